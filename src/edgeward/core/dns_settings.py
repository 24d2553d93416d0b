"""What the fleet's name servers are told: zones, records and networks of the operator's own (docs/reference/dns.md).

Written as TOML with a `[dns]` table, stored as one value of the fleet's settings. Everything else that is answered
follows from the edges, the sites and their health.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.hostnames import parse_hostname, record_name
from edgeward.core.spans import Span
from edgeward.core.toml_tables import Reader, Table, text, texts, whole
from edgeward.errors import InputError, SchemaError

SCHEMA: Final = (1, 0)
MARGIN: Final = 15
MOST: Final = 2
RECORD_TTL: Final = 300

_TYPE: Final = re.compile(r"[A-Z][A-Z0-9]{0,9}")
_OURS: Final = frozenset(("SOA",))


@dataclass(frozen=True, slots=True)
class Record:
    """One static record. name: lower-case, without a final dot. ttl: seconds. value: as zone files have it."""

    name: str
    type: str
    value: str
    ttl: int = RECORD_TTL


@dataclass(frozen=True, slots=True)
class PreferredEdges:
    """A network of the operator's and the edges for it, best first. network: in CIDR form."""

    network: str
    edges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """zone: the fleet's own, in which every site and name server has a name. zones: others that are delegated to it.

    hostmaster: mailbox of who is responsible, as a name (RFC 1035 section 3.3.13). nameservers: edges that are named as
    such, empty for all that answer DNS. margin: milliseconds within which a second address is named; most: addresses of
    one family. default: edges that come first for networks of which nothing is known, best first. changed: epoch
    seconds, serial number of the zones.
    """

    zone: str
    zones: tuple[str, ...] = ()
    hostmaster: str = ""
    nameservers: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    networks: tuple[PreferredEdges, ...] = ()
    margin: int = MARGIN
    most: int = MOST
    changed: int = 1
    default: tuple[str, ...] = ()

    @property
    def all_zones(self) -> tuple[str, ...]:
        """Every zone, the fleet's own first."""
        return (self.zone, *self.zones)

    def zone_of(self, name: str) -> str | None:
        """Return the deepest zone that a name is in, None if it is in none."""
        inside = [zone for zone in self.all_zones if name == zone or name.endswith(f".{zone}")]
        return max(inside, key=len, default=None)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_bytes(
            {
                "schema": list(SCHEMA),
                "zone": self.zone,
                "zones": list(self.zones),
                "hostmaster": self.hostmaster,
                "nameservers": list(self.nameservers),
                "records": [[each.name, each.type, each.value, each.ttl] for each in self.records],
                "networks": [[each.network, list(each.edges)] for each in self.networks],
                "margin": self.margin,
                "most": self.most,
                "default": list(self.default),
                "changed": self.changed,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes. Raises SchemaError."""
        value = parse_object(data, kind="DNS settings", major=SCHEMA[0])
        try:
            made = cls(
                zone=str(value["zone"]),
                zones=tuple(map(str, value["zones"])),
                hostmaster=str(value["hostmaster"]),
                nameservers=tuple(map(str, value["nameservers"])),
                records=tuple(
                    Record(str(name), str(kind), str(data), int(ttl)) for name, kind, data, ttl in value["records"]
                ),
                networks=tuple(PreferredEdges(str(name), tuple(map(str, edges))) for name, edges in value["networks"]),
                margin=int(value["margin"]),
                most=int(value["most"]),
                changed=int(value["changed"]),
                default=tuple(map(str, value.get("default", ()))),
            )
            for name in (*made.all_zones, *filter(None, [made.hostmaster])):
                record_name(name)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the stored DNS settings are not of the expected shape: {error!r}"
            raise SchemaError(msg) from error
        return made


def parse_dns_settings(
    content: str, *, file: str = "dns.toml", changed: int = 1
) -> tuple[DnsSettings, tuple[str, ...]]:
    """Return what a file says, and the zone files that it names. Raises InputError with every problem, each with its
    line.
    """
    reader = Reader(content, file=file)
    table = reader.table("dns")
    if table is None:
        reader.problem("there is no [dns] table")
        reader.finish()
    assert table is not None
    zone = table.need("zone", _zone, "fleet.invalid")
    settings = DnsSettings(
        zone=zone,
        zones=table.read("zones", _zones, ()),
        hostmaster=table.read("hostmaster", _mailbox, f"hostmaster.{zone}"),
        nameservers=table.read("nameservers", texts, ()),
        records=table.read("records", _rows(_record), ()),
        networks=table.read("networks", _networks, ()),
        margin=table.read("margin", whole(0, 10_000), MARGIN),
        most=table.read("most", whole(1, 8), MOST),
        changed=changed,
        default=table.read("default", _each_once, ()),
    )
    no_files: tuple[str, ...] = ()
    zone_files = table.read("zone_files", texts, no_files)
    table.close()
    _check(settings, table)
    reader.finish()
    return settings, zone_files


def steered_network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network that a steering table can have. Raises ValueError for any other."""
    network = ipaddress.ip_network(cidr)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        raise ValueError(f"{cidr} is an IPv4 network: write {mapped}/{network.prefixlen - 96}")
    try:
        Span.of(network)
    except InputError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return network


def outside(settings: DnsSettings) -> list[str]:
    """Return a sentence for each record that is in none of the zones, or that is not the operator's to set."""
    wrong = [
        f"the record {each.name} {each.type} is in none of the zones {', '.join(settings.all_zones)}"
        for each in settings.records
        if settings.zone_of(each.name) is None
    ]
    for each in settings.records:
        at_apex = each.name in settings.all_zones
        if each.type in _OURS or (each.type == "NS" and at_apex):
            wrong.append(f"the record {each.name} {each.type} is made by the fleet itself")
    return wrong


def _check(settings: DnsSettings, table: Table) -> None:
    for sentence in outside(settings):
        table.problem(f"records: {sentence}", "records")
    if len(set(settings.all_zones)) != len(settings.all_zones):
        table.problem("zones: one of them is named twice", "zones")


def _each_once(value: Any) -> tuple[str, ...]:
    names = texts(value)
    if len(set(names)) != len(names):
        raise ValueError(f"names an edge twice: {', '.join(names)}")
    return names


def _zone(value: Any) -> str:
    try:
        return parse_hostname(text(value))
    except InputError as error:
        raise ValueError(error.message) from None


def _zones(value: Any) -> tuple[str, ...]:
    return tuple(_zone(item) for item in texts(value))


def _mailbox(value: Any) -> str:
    """Return a mailbox as the name that SOA records have: the part before the `@` is the first label."""
    local, at, domain = text(value).rpartition("@")
    if not at or not re.fullmatch(r"[A-Za-z0-9_-]+", local):
        raise ValueError(f'must be a mailbox such as "hostmaster@example.net", got {value!r}')
    return record_name(f"{local}.{_zone(domain)}")


def _rows(parse: "Callable[[Mapping[str, Json]], Any]") -> "Callable[[Any], tuple[Any, ...]]":
    """Return a parser of a list of tables that raises ValueError with what is wrong with the first that is."""

    def rows(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise ValueError("must be a list of tables")
        made, wrong = [], []
        for number, row in enumerate(value, start=1):
            try:
                made.append(parse(row))
            except ValueError as error:
                wrong.append(f"number {number}: {error}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return tuple(made)

    return rows


def _record(row: Mapping[str, Json]) -> Record:
    _only(row, ("name", "type", "value", "ttl"))
    name = record_name(text(row.get("name")))
    kind = text(row.get("type")).upper()
    if not _TYPE.fullmatch(kind):
        raise ValueError(f"{kind!r} is no type of a record")
    return Record(name, kind, text(row.get("value")), whole(0, 604_800)(row.get("ttl", RECORD_TTL)))


def _networks(value: Any) -> tuple[PreferredEdges, ...]:
    seen: set[str] = set()

    def network(row: Mapping[str, Json]) -> PreferredEdges:
        _only(row, ("network", "edges"))
        try:
            found = str(steered_network(text(row.get("network"))))
        except ValueError as error:
            raise ValueError(f"network: {error}") from None
        if found in seen:
            raise ValueError(f"network: {found} is given twice")
        seen.add(found)
        return PreferredEdges(found, _each_once(row.get("edges")))

    made: tuple[PreferredEdges, ...] = _rows(network)(value)
    return made


def _only(row: Mapping[str, Json], known: tuple[str, ...]) -> None:
    unknown = sorted(row.keys() - set(known))
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown)}; known: {', '.join(known)}")
