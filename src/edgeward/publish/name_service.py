"""What the fleet's name servers are told, and what their answers are made of: use-cases behind `edgeward dns`."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import NOT_FOR_READERS, EdgeRecord, EdgeStatus, HostClaim, Pointer, VerdictRecord
from edgeward.dns.fleet_zones import FleetZones, fleet_zones, server_name, servers_of
from edgeward.dns.records import rendered
from edgeward.dns.view import STEERED_TTL
from edgeward.dns.zone import RRset, Zone
from edgeward.errors import ConflictError, InputError, NotFoundError, SchemaError
from edgeward.publish.journal import write_down
from edgeward.publish.progress import Progress, silent
from edgeward.publish.status import fleet_status
from edgeward.store.connection import Store

KEY = "dns"
"""The key of the settings in the bucket `fleet`."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that answers are made of, as the store has it. out: edge -> why it is not named. live: pointers by site.

    status: of the edges that report. silent: edge -> over which families it does not answer, and why.
    """

    settings: DnsSettings
    edges: Mapping[str, EdgeRecord]
    hostnames: Mapping[str, tuple[str, ...]]
    out: Mapping[str, str]
    drained: frozenset[str]
    live: Mapping[str, Pointer] = field(default_factory=dict)
    status: Mapping[str, EdgeStatus] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def zones(self) -> FleetZones:
        """The zones that every name server makes of this."""
        return fleet_zones(self.settings, self.edges, self.hostnames, render=rendered)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one name has of one type. type: "A, AAAA" of a steered name, "" of one that is there and holds nothing yet.

    values: data as in zone files (RFC 1035 section 5), none where the name is steered to a site's edges. ttl: seconds.
    """

    name: str
    type: str
    ttl: int | None
    values: tuple[str, ...] = ()
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """What `dns show` shows. zones: what each has: its apex, then steered names, then all others. servers: name servers
    and their edges. edges: their states.
    """

    zones: Mapping[str, tuple[Entry, ...]]
    servers: Mapping[str, str]
    edges: Mapping[str, str]
    problems: tuple[str, ...]


async def apply_settings(
    store: Store, settings: DnsSettings, *, by: str | None = None, progress: Progress = silent
) -> FleetZones:
    """Store the settings, and return the zones that they make.

    Raises InputError with every record that cannot be taken in, ConflictError (somebody else changed them meanwhile),
    StoreError.
    """
    settings = replace(settings, changed=int(time.time()))
    found = await store.fleet.get(KEY)
    situation = await read_situation(store, settings)
    made = situation.zones
    wrong = [problem for problem in made.problems if problem not in made.warnings]
    if wrong:
        raise InputError(f"the DNS settings cannot be used: {'; '.join(wrong)}")
    try:
        if found is None:
            await store.fleet.create(KEY, settings.to_bytes())
        else:
            await store.fleet.update(KEY, settings.to_bytes(), found.revision)
    except ConflictError as error:
        raise ConflictError(
            "the DNS settings were changed by somebody else meanwhile", hint="edgeward dns show"
        ) from error
    text = f"DNS: zones {', '.join(settings.all_zones)}"
    await write_down(store, progress, "dns", by=by, text=text, facts={"zones": list(settings.all_zones)})
    return made


async def read_situation(store: Store, settings: DnsSettings | None = None) -> Situation:
    """Return what answers are made of. settings: in place of those that are stored.

    Raises NotFoundError, StoreError, SchemaError.
    """
    if settings is None:
        stored = await store.fleet.get(KEY)
        if stored is None:
            raise NotFoundError("the fleet has no DNS settings", hint="edgeward dns apply dns.toml")
        settings = DnsSettings.from_bytes(stored.value)
    edges, hosts, live, judged, status = await asyncio.gather(
        store.edges.values(), store.hosts.values(), store.live.values(), store.verdicts.values(), fleet_status(store)
    )
    records = {name: EdgeRecord.from_bytes(each.value) for name, each in edges.items()}
    pointers = {site: Pointer.from_bytes(each.value) for site, each in live.items()}
    hostnames: dict[str, list[str]] = {site: [] for site, pointer in pointers.items() if pointer.release is not None}
    for each in hosts.values():
        claim = HostClaim.from_bytes(each.value)
        if claim.site in hostnames:
            hostnames[claim.site].append(claim.hostname)
    verdicts = [VerdictRecord.from_bytes(each.value) for each in judged.values()]
    out = {each.edge: "; ".join(each.because) for each in verdicts if not each.up}
    now = time.time()
    drained = {name for name, record in records.items() if record.is_drained(now)}
    out |= {name: f"drained: {records[name].drained_because}".removesuffix(": ") for name in drained}
    return Situation(
        settings=settings,
        edges=records,
        hostnames={site: tuple(sorted(names)) for site, names in hostnames.items()},
        out=out,
        drained=frozenset(drained),
        live=pointers,
        status={line.edge: line.status for line in status.edges if line.status is not None},
        silent={each.edge: f"does not answer {each.silence}" for each in verdicts if each.silent},
    )


async def own_name(store: Store, site: str) -> tuple[str, str]:
    """Return the name of a site in the fleet's own zone, and that zone; both "" while no settings can be read."""
    stored = await store.fleet.get(KEY)
    try:
        zone = DnsSettings.from_bytes(stored.value).zone if stored else ""
    except SchemaError:
        zone = ""
    return (f"{site}.{zone}", zone) if zone else ("", "")


async def unsteered(store: Store, site: str, hostnames: tuple[str, ...]) -> tuple[str, ...]:
    """Return a sentence for each name at which a site with these hostnames would not be steered, none without DNS.

    A value that cannot be read, as of a later version, is no reason not to publish: it is the one sentence.
    """
    stored = await store.fleet.get(KEY)
    if stored is None:
        return ()
    edges = await store.edges.values()
    try:
        settings = DnsSettings.from_bytes(stored.value)
        records = {name: EdgeRecord.from_bytes(each.value) for name, each in edges.items()}
    except SchemaError as error:
        return (f"it is not known whether site {site} will be steered at its hostnames: {error.message}",)
    # Zones of thousands of records take a moment, in which the push must go on saying that it is there.
    made = await asyncio.to_thread(fleet_zones, settings, records, {site: hostnames}, render=rendered)
    return tuple(made.unsteered.values())


async def overview(store: Store) -> Overview:
    """Return zones, name servers, and the state of every edge as answers see it. Raises NotFoundError, StoreError."""
    situation = await read_situation(store)
    made = situation.zones
    zones = {zone.origin: tuple(entries_of(zone)) for zone in made.zones}
    servers = {server_name(edge, situation.settings): edge for edge in servers_of(situation.settings, situation.edges)}
    states = {
        name: (situation.out.get(name) or situation.silent.get(name, "up"))
        if record.is_for_readers
        else NOT_FOR_READERS
        for name, record in sorted(situation.edges.items())
    }
    return Overview(zones, servers, states, made.problems)


def entries_of(zone: Zone) -> Iterator[Entry]:
    """Yield what a zone has: its apex, then what is steered, then all else, each by name and number of the type."""
    names = {*zone.rrsets, *zone.steered}
    for name in sorted(names, key=lambda name: (name != zone.origin, name not in zone.steered, name)):
        if name in zone.steered:
            yield Entry(name, "A, AAAA", STEERED_TTL, site=zone.steered[name])
        elif not zone.rrsets[name]:
            yield Entry(name, "", None)
        yield from entries_at(name, zone.rrsets.get(name, {}))


def entries_at(name: str, rrsets: Mapping[int, RRset]) -> Iterator[Entry]:
    """Yield the records of one name by number of the type."""
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    for number, rrset in sorted(rrsets.items()):
        kind = dns.rdatatype.RdataType.make(number)
        data = [dns.rdata.from_wire(dns.rdataclass.IN, kind, each, 0, len(each)) for each in rrset.rdatas]
        yield Entry(name, dns.rdatatype.to_text(kind), rrset.ttl, tuple(each.to_text() for each in data))
