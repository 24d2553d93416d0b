"""The zones of a fleet: what its settings, edges and sites make of them. Pure; every server makes the same."""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.core.hostnames import is_hostname, is_record_name, record_name
from edgeward.core.orders import is_address
from edgeward.dns.wire import AAAA, CNAME, NS, SOA, A, name_to_wire
from edgeward.dns.zone import RRset, Zone

DNS_ROLE: Final = "dns"
"""The role of an edge that answers DNS (EdgeRecord.roles)."""

DAY: Final = 86_400
NEGATIVE_TTL: Final = 60
_REFRESH: Final = (3_600, 600, DAY)
"""Refresh, retry and expire of the SOA record: nobody transfers these zones."""

_LONGEST_TTL: Final = (1 << 31) - 1
"""RFC 2181 section 8."""
LONGEST_DATA: Final = 60_000
"""Bytes of records: a message over TCP has 65,535, and aliases may come before them."""

Render = Callable[[Record], tuple[int, bytes]]
"""Returns number of the type and data in wire form of a static record (`records.rendered`)."""


@dataclass(frozen=True, slots=True)
class FleetZones:
    """zones: what is to be served. problems: a sentence for each record, name and edge that could not be taken in.

    warnings: those of them that are no reason to refuse the settings: they lie in an edge's record or a site's
    hostnames, or name an edge that is not in the fleet, or not yet. unsteered: names in the zones at which a site that
    would have them is not steered, each with its sentence among the warnings.
    """

    zones: tuple[Zone, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    unsteered: Mapping[str, str] = field(default_factory=dict)


def server_name(edge: str, settings: DnsSettings) -> str:
    """Return the name of an edge as a name server."""
    return f"ns-{edge}.{settings.zone}"


def servers_of(settings: DnsSettings, edges: Mapping[str, EdgeRecord]) -> tuple[str, ...]:
    """Return the edges that are named as name servers: those that answer DNS and, where the operator chose, are
    chosen. One whose record is odd is not among them.
    """
    able = [
        name
        for name, record in sorted(edges.items())
        if DNS_ROLE in record.roles and not _odd(server_name(name, settings), record)
    ]
    chosen = [name for name in able if name in settings.nameservers] if settings.nameservers else able
    return tuple(chosen or able)


def _odd(name: str, record: EdgeRecord) -> str:
    """Return why an edge cannot be the name server of that name, "" if it can."""
    if not is_hostname(name):
        return f"{name!r} is no hostname"
    return "; ".join(f"{each!r} is no IP address" for each in record.addresses if not is_address(each))


def fleet_zones(
    settings: DnsSettings, edges: Mapping[str, EdgeRecord], sites: Mapping[str, Iterable[str]], *, render: Render
) -> FleetZones:
    """Return the zones. sites: hostnames of each site that has a live release.

    A hostname in one of the zones is steered there; a site, and no other, is steered at `<site>.<fleet's zone>` too,
    for hostnames elsewhere that have a CNAME to it. A static record never stands in the place of a steered
    name, but for a delegation: what is at it and below is somebody else's, and no site is steered there. What cannot be
    served is left out, with a problem: values in the store may be older than the rules for them.
    """
    made = _Zones(settings)
    warnings = tuple(
        f"edge {name} is not named as a name server: {odd}"
        for name, record in sorted(edges.items())
        if DNS_ROLE in record.roles and (odd := _odd(server_name(name, settings), record))
    )
    warnings += tuple(_unknown_edges(settings, edges))
    servers = servers_of(settings, edges)
    for zone in settings.all_zones:
        made.add(zone, SOA, DAY, _soa(settings, servers))
        for name in servers:
            made.add(zone, NS, DAY, name_to_wire(server_name(name, settings)))
    for name in servers:
        made.serve(server_name(name, settings), edges[name].addresses)
    others = made.delegate(made.read(settings.records, render))
    # Every site's own name before any hostname: no other site can take it.
    for site in sorted(sites):
        made.steer(f"{site}.{settings.zone}", site)
        made.exists(f"_acme-challenge.{site}.{settings.zone}")
    for site, hostnames in sorted(sites.items()):
        for hostname in sorted(hostnames):
            if settings.zone_of(hostname) is not None:
                made.steer(hostname, site)
    made.take_in(others)
    warnings += tuple(made.unsteered.values())
    return FleetZones(made.zones() if servers else (), (*warnings, *made.problems), warnings, made.unsteered)


def _unknown_edges(settings: DnsSettings, edges: Mapping[str, EdgeRecord]) -> Iterable[str]:
    """Yield a sentence for each place of the settings that names an edge which the fleet does not have."""
    places = [("nameservers", settings.nameservers), ("default", settings.default)]
    places += [(f"the network {each.network}", each.edges) for each in settings.networks]
    for place, names in places:
        if unknown := sorted(set(names) - edges.keys()):
            yield f"{place}: the fleet has no edge {', '.join(unknown)}"


def _soa(settings: DnsSettings, servers: tuple[str, ...]) -> bytes:
    primary = server_name(servers[0], settings) if servers else settings.zone
    numbers = (settings.changed & 0xFFFFFFFF, *_REFRESH, NEGATIVE_TTL)
    hostmaster = settings.hostmaster or f"hostmaster.{settings.zone}"
    return name_to_wire(primary) + name_to_wire(hostmaster) + b"".join(number.to_bytes(4, "big") for number in numbers)


def _read(record: Record, render: Render) -> tuple[int, bytes]:
    """Return what `render` does. Raises ValueError for whatever a name server could not serve."""
    if record_name(record.name) != record.name:
        raise ValueError("its name is not in lower case")
    if not 0 <= record.ttl <= _LONGEST_TTL:
        raise ValueError(f"its TTL is {record.ttl}; it is 0 to {_LONGEST_TTL} seconds")
    kind, rdata = render(record)
    if len(rdata) > LONGEST_DATA:
        raise ValueError(f"its data has {len(rdata)} bytes; at most {LONGEST_DATA} fit into an answer")
    return kind, rdata


_Row = tuple[str, Record, int, bytes]
"""A static record that has been read, between its zone and what `_read` returned."""


class _Zones:
    """Zones under way."""

    def __init__(self, settings: DnsSettings) -> None:
        self.problems: list[str] = []
        self.unsteered: dict[str, str] = {}
        self._settings = settings
        self._servers: set[str] = set()
        self._cuts: dict[str, set[str]] = {zone: set() for zone in settings.all_zones}
        self._rrsets: dict[str, dict[str, dict[int, tuple[int, list[bytes]]]]] = {z: {} for z in settings.all_zones}
        self._steered: dict[str, dict[str, str]] = {zone: {} for zone in settings.all_zones}

    def add(self, name: str, kind: int, ttl: int, rdata: bytes) -> None:
        zone = self._settings.zone_of(name)
        assert zone is not None
        known = self._rrsets[zone].setdefault(name, {}).setdefault(kind, (ttl, []))
        if rdata not in known[1]:
            known[1].append(rdata)

    def serve(self, name: str, addresses: Iterable[str]) -> None:
        """Add a name server's addresses."""
        self._servers.add(name)
        for address in addresses:
            ip = ipaddress.ip_address(address)
            self.add(name, A if ip.version == 4 else AAAA, DAY, ip.packed)

    def exists(self, name: str) -> None:
        """Have a name that holds nothing yet: asked for, it is there (RFC 8020), and later has proofs.

        One that would be too long has none, and is nothing to tell of: the site's own name may still fit. One that is
        delegated is somebody else's.
        """
        if not is_record_name(name):
            return
        zone = self._settings.zone_of(name)
        assert zone is not None
        if self._cut(zone, name) is None:
            self._rrsets[zone].setdefault(name, {})

    def steer(self, name: str, site: str) -> None:
        zone = self._settings.zone_of(name)
        assert zone is not None
        if not is_hostname(name):
            self.unsteered[name] = f"site {site} is not steered at {name!r}, which is no hostname"
        elif name in self._servers:
            self.unsteered[name] = f"{name} is the name of a name server and cannot be that of site {site}"
        elif cut := self._cut(zone, name):
            self.unsteered[name] = f"site {site} is not steered at {name}: {cut} is delegated (NS in the DNS settings)"
        elif (owner := self._steered[zone].get(name, site)) != site:
            self.unsteered[name] = f"site {site} is not steered at {name}, which is the name of site {owner}"
        else:
            self._steered[zone][name] = site

    def _cut(self, zone: str, name: str) -> str | None:
        """Return the highest delegation in the zone that is at a name or above it, None for none."""
        labels = name.split(".")
        above = (".".join(labels[first:]) for first in range(len(labels) - 1, -1, -1))
        return next((each for each in above if each in self._cuts[zone]), None)

    def read(self, records: Iterable[Record], render: Render) -> Iterator[_Row]:
        """Yield the static records that can be read and are in one of the zones."""
        for each in records:
            zone = self._settings.zone_of(each.name)
            if zone is None:
                self.problems.append(f"the record {each.name} {each.type} is in none of the zones")
                continue
            try:
                kind, rdata = _read(each, render)
            except ValueError as error:
                self.problems.append(f"the record {each.name} {each.type} cannot be read: {error}")
                continue
            yield zone, each, kind, rdata

    def delegate(self, rows: Iterable[_Row]) -> list[_Row]:
        """Add the delegations, before anything is steered; return the other records."""
        rows = list(rows)
        self.take_in(row for row in rows if row[2] == NS)
        for zone, names in self._rrsets.items():
            self._cuts[zone] = {name for name, by_type in names.items() if NS in by_type and name != zone}
        return [row for row in rows if row[2] != NS]

    def take_in(self, rows: Iterable[_Row]) -> None:
        """Add static records, but for those that would hide something."""
        for zone, each, kind, rdata in rows:
            odd = self._in_the_way(zone, each.name, kind)
            if odd:
                self.problems.append(f"the record {each.name} {each.type} is left out: {odd}")
            else:
                self.add(each.name, kind, each.ttl, rdata)

    def _in_the_way(self, zone: str, name: str, kind: int) -> str:
        """Return why a static record cannot stand beside what there is, "" if it can."""
        there = self._rrsets[zone].get(name, {})
        site = self._steered[zone].get(name)
        if kind == SOA or (kind == NS and name == zone):
            return "it is made by the fleet itself"
        if name in self._servers and kind in {A, AAAA}:
            return "a name server has the addresses of its edge"
        if site is not None and kind in {A, AAAA, CNAME}:
            return f"site {site} is steered there"
        if (kind == CNAME and there) or (CNAME in there and kind != CNAME):
            return "a CNAME stands alone (RFC 2181 10.1)"
        if kind == NS and (below := sorted(each for each in self._servers if f".{each}".endswith(f".{name}"))):
            return f"the delegation would hide {', '.join(below)}"
        return ""

    def zones(self) -> tuple[Zone, ...]:
        return tuple(
            Zone(
                zone,
                {
                    name: {kind: RRset(ttl, tuple(rdatas)) for kind, (ttl, rdatas) in by_type.items()}
                    for name, by_type in self._rrsets[zone].items()
                },
                self._steered[zone],
            )
            for zone in self._settings.all_zones
        )
