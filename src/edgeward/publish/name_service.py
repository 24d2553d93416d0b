"""What the fleet's name servers are told and why they answer what they do: the use-cases behind `edgeward dns`."""

import asyncio
import ipaddress
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeward.core.answer import choose
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord, HostClaim, Pointer, VerdictRecord
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.build_table import Wanted, write_table
from edgeward.dns.fleet_zones import FleetZones, fleet_zones, server_name, servers_of
from edgeward.dns.records import rendered
from edgeward.errors import ConflictError, InputError, NotFoundError
from edgeward.publish.journal import write_down
from edgeward.publish.progress import Progress, silent
from edgeward.publish.status import fleet_status
from edgeward.publish.values import FleetStatus
from edgeward.store.connection import Store

if TYPE_CHECKING:
    from edgeward.core.orders import Family

KEY = "dns"
"""The key of the settings in the bucket `fleet`."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that answers are made of, as the store has it. out: edge -> why it is not named. lacking: by site."""

    settings: DnsSettings
    edges: Mapping[str, EdgeRecord]
    hostnames: Mapping[str, tuple[str, ...]]
    out: Mapping[str, str]
    drained: frozenset[str]
    lacking: Mapping[str, Mapping[str, str]]

    @property
    def zones(self) -> FleetZones:
        """The zones that every name server makes of this."""
        return fleet_zones(self.settings, self.edges, self.hostnames, render=rendered)


@dataclass(frozen=True, slots=True)
class RankedEdge:
    """One edge's place in the order for a client. state: why it is not to be named just now, "" for nothing."""

    edge: str
    location: str
    milliseconds: float | None
    because: str
    state: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a client gets an answer. scope: the network that has this same order. addresses: A, then AAAA records."""

    name: str
    client: str
    site: str
    addresses: tuple[str, ...]
    ttl: int
    scope: str
    source: str
    because: str
    ranked: tuple[RankedEdge, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What `dns show` shows. servers: name servers and their edges. records: static ones and steered names by zone."""

    zones: Mapping[str, tuple[str, ...]]
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
    wrong = [problem for problem in made.problems if problem not in made.of_edges]
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
        lacking=_lacking(status, pointers),
    )


def _lacking(status: FleetStatus, pointers: Mapping[str, Pointer]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for site, pointer in pointers.items():
        for line in status.edges:
            if pointer.release is None or line.status is None:
                continue
            held = line.status.sites.get(site)
            if held is None or held.live != pointer.release:
                found.setdefault(site, {})[line.edge] = f"it does not serve the live release {pointer.release[:12]}"
    return found


async def explain(store: Store, name: str, client: str) -> Explanation:
    """Say what a client at an address is answered for a name, and why each edge has its place.

    Computed from what the store says, as every name server does. Raises InputError (no address), NotFoundError (nothing
    is steered at that name), StoreError.
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        raise InputError(f"{client!r} is no IP address", hint="edgeward dns explain NAME ADDRESS") from None
    situation = await read_situation(store)
    name = name.lower().removesuffix(".")
    site = _site_at(situation, name)
    table = await asyncio.to_thread(_table, situation)
    order, match = table.explain(address.packed), table.match(address.packed)
    lacking = situation.lacking.get(site, {})
    edges = {edge.name: edge for edge in table.edges}
    families: tuple[Family, ...] = (4, 6)
    answers = [
        choose(
            order, edges, out=situation.out, family=family, margin=float(situation.settings.margin),
            most=situation.settings.most, lacking=lacking, drained=situation.drained,
        )
        for family in families
    ]  # fmt: skip
    ranked = tuple(
        RankedEdge(
            edge=each.edge,
            location=situation.edges[each.edge].location,
            milliseconds=each.milliseconds,
            because=each.because,
            state=situation.out.get(each.edge) or lacking.get(each.edge) or "",
        )
        for each in order.ranked
    )
    return Explanation(
        name=name,
        client=str(address),
        site=site,
        addresses=tuple(found for answer in answers for found in answer.addresses),
        ttl=30,
        scope=str(ipaddress.ip_network((address, match.prefix), strict=False)),
        source=order.source,
        because=order.because,
        ranked=ranked,
    )


def _site_at(situation: Situation, name: str) -> str:
    steered = {host: site for zone in situation.zones.zones for host, site in zone.steered.items()}
    if name not in steered:
        names = ", ".join(sorted(steered)) or "none yet"
        raise NotFoundError(f"nothing is steered at {name}; steered names: {names}", hint="edgeward dns show")
    return steered[name]


def _table(situation: Situation) -> SteeringTable:
    """Build the table by country, as an edge does. Raises InputError if no edge can be steered to."""
    edges = tuple(
        (name, record.location, record.addresses, record.weight)
        for name, record in sorted(situation.edges.items())
        if "http" in record.roles and record.addresses
    )
    networks = tuple((each.network, each.edges) for each in situation.settings.networks)
    wanted = Wanted(edges, networks, None, float(situation.settings.margin))
    with tempfile.TemporaryDirectory(prefix="edgeward-steering-") as folder:
        file = Path(folder) / "table"
        write_table(file, json.loads(wanted.to_bytes()))
        return SteeringTable.from_bytes(file.read_bytes())


async def overview(store: Store) -> Overview:
    """Return zones, name servers, and the state of every edge as answers see it. Raises NotFoundError, StoreError."""
    situation = await read_situation(store)
    made = situation.zones
    zones = {zone.origin: tuple(sorted({*zone.rrsets, *zone.steered} - {zone.origin})) for zone in made.zones}
    servers = {server_name(edge, situation.settings): edge for edge in servers_of(situation.settings, situation.edges)}
    states = {name: situation.out.get(name, "up") for name in sorted(situation.edges)}
    return Overview(zones, servers, states, made.problems)
