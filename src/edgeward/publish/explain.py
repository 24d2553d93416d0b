"""Why a client is answered what it is: the use-case behind `edgeward dns explain`.

The order and its reasons are computed from what name servers go by: the store, and what the edges tell each other. What
comes of it is compared with what the name servers answer, since an edge may have a city database of its own.
"""

import asyncio
import contextlib
import ipaddress
import json
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeward.core.answer import choose
from edgeward.core.families import families_of, judge_families
from edgeward.core.families import silent as silent_families
from edgeward.core.health import Report, Rules
from edgeward.core.lacking import lacking
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.build_table import Wanted, write_table
from edgeward.dns.fleet_zones import NEGATIVE_TTL, servers_of
from edgeward.dns.view import STEERED_TTL
from edgeward.dns.wire import AAAA, CNAME, NXDOMAIN, RCODES, A
from edgeward.dns.zone import RRset
from edgeward.errors import InputError, SchemaError
from edgeward.publish.name_check import Question, ask
from edgeward.publish.name_path import NamePath, follow
from edgeward.publish.name_service import Entry, Situation, entries_at, read_situation
from edgeward.store.connection import Store

if TYPE_CHECKING:
    from edgeward.core.orders import Family

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HEARD: Final = 1.5
"""Seconds to wait for the reports of all edges: each sends one a second."""


@dataclass(frozen=True, slots=True)
class RankedEdge:
    """One edge's place in the order for a client. state: why it is not to be named just now, "" for nothing. note: what
    will be a reason, and is none yet.
    """

    edge: str
    location: str
    milliseconds: float | None
    because: str
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What one name server answers. records: what is no address, aliases among it, as `TYPE data`; NXDOMAIN alone, if
    it says that there is no such name. wrong: why it could not be asked, "" if it could. differs: from what is
    computed; note: what that may be for.
    """

    edge: str
    addresses: tuple[str, ...] = ()
    wrong: str = ""
    differs: bool = False
    note: str = ""
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a client gets an answer. scope: the network that has this same order. addresses: A, then AAAA records.

    geography: "by country", or the city database that was named. served: of each name server of the fleet. failed_open:
    edges that are named although they are out, since all are. aliases: names that the one asked for is an alias of, the
    last is the one that has the addresses. records: of a name that is not steered, which has no site and no edges.
    """

    name: str
    client: str
    site: str | None
    addresses: tuple[str, ...]
    ttl: int
    scope: str
    source: str
    because: str
    geography: str
    ranked: tuple[RankedEdge, ...]
    served: tuple[Served, ...]
    failed_open: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    records: tuple[Entry, ...] = ()


def _silent(reports: Collection[Report], situation: Situation) -> dict[str, dict[int, str]]:
    """Return what the edges are silent over, as of now: what is held out since before is known to the edges alone."""
    families = judge_families(reports, before={}, now=0.0, rules=Rules())
    return silent_families(families, addresses=families_of(situation.edges), out=situation.out)


async def explain(store: Store, name: str, client: str, *, city_database: Path | None = None) -> Explanation:
    """Say what a client at an address is answered for a name, and why each edge has its place; of a name with fixed
    records, what they are.

    city_database: go by this one in place of countries, as an edge does that has it. Raises InputError (no address, no
    database), NotFoundError (the name leads to nothing in the fleet's zones), StoreError.
    """
    address = client_address(client)
    situation = await read_situation(store)
    path = follow(situation.zones.zones, name)
    if path.site is None:
        return await _fixed(situation, path, address)
    return await _steered(store, situation, path, address, city_database)


async def _fixed(situation: Situation, path: NamePath, address: "Address") -> Explanation:
    """Say what everybody is answered for a name that is not steered."""
    records = (*path.aliases, *path.records)
    addresses, others = _told(records)
    return Explanation(
        name=_first(path),
        client=str(address),
        site=None,
        addresses=addresses,
        ttl=min((each.ttl for each in path.records if each.ttl is not None), default=NEGATIVE_TTL),
        scope=str(ipaddress.ip_network((address, 0), strict=False)),
        source="records",
        because="fixed records are the same for everybody",
        geography="",
        ranked=(),
        served=tuple(
            _compared(each, addresses, others, "ask again: it may just have heard of a change")
            for each in await _ask_all(situation, path, str(address))
        ),
        aliases=_aliases(path),
        records=path.records,
    )


async def _steered(
    store: Store, situation: Situation, path: NamePath, address: "Address", city_database: Path | None
) -> Explanation:
    """Say to which edges a client is sent, and why."""
    assert path.site is not None
    site = path.site
    table = await asyncio.to_thread(_table, situation, city_database)
    reports, answers = await asyncio.gather(_reports(store, situation.status), _ask_all(situation, path, str(address)))
    lacks, silent = lacking(reports, before={}).get(site, {}), _silent(reports, situation)
    order, match = table.explain(address.packed), table.match(address.packed)
    edges = {edge.name: edge for edge in table.edges}
    families: tuple[Family, ...] = (4, 6)
    chosen = [
        choose(
            order, edges, out=situation.out, family=family, margin=float(situation.settings.margin),
            most=situation.settings.most, lacking=lacks, silent=silent, drained=situation.drained,
        )
        for family in families
    ]  # fmt: skip
    addresses = tuple(found for answer in chosen for found in answer.addresses)
    # As far as it failed open, an edge is named over a family though it does not answer there.
    opened = {
        edge: {family for family, each in zip(families, chosen, strict=True) if each.failed_open and edge in each.edges}
        for edge in edges
    }
    ranked = tuple(
        RankedEdge(
            edge=each.edge,
            location=situation.edges[each.edge].location,
            milliseconds=each.milliseconds,
            because=each.because,
            state=situation.out.get(each.edge) or lacks.get(each.edge) or "",
            note="; ".join(_notes(situation, site, each.edge, lacks, silent, opened=opened[each.edge])),
        )
        for each in order.ranked
    )
    return Explanation(
        name=_first(path),
        client=str(address),
        site=site,
        addresses=addresses,
        ttl=STEERED_TTL,
        scope=str(ipaddress.ip_network((address, match.prefix), strict=False)),
        source=order.source,
        because=order.because,
        geography=f"by the city database {city_database.name}" if city_database else "by country",
        ranked=ranked,
        served=tuple(
            _compared(each, addresses, _told(path.aliases)[1], _note_of(each.edge, situation, city_database))
            for each in answers
        ),
        failed_open=tuple(each.edge for each in order.ranked if opened[each.edge]),
        aliases=_aliases(path),
    )


def _first(path: NamePath) -> str:
    """Return the name that was asked for."""
    return path.aliases[0].name if path.aliases else path.name


def _aliases(path: NamePath) -> tuple[str, ...]:
    return (*(each.name for each in path.aliases[1:]), path.name) if path.aliases else ()


def _told(entries: Iterable[Entry]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the addresses in records, A before AAAA, and all else as `TYPE data`."""
    addresses = [value for kind in ("A", "AAAA") for each in entries if each.type == kind for value in each.values]
    others = [f"{each.type} {value}" for each in entries if each.type not in {"A", "AAAA"} for value in each.values]
    return tuple(addresses), tuple(others)


def client_address(text: str) -> "Address":
    """Return the address as name servers see it: an IPv4 address that is written as an IPv6 one is an IPv4 address.

    Raises InputError for what is none, and for one with a zone (RFC 4007), which says nothing beyond one machine.
    """
    hint = "edgeward dns explain NAME ADDRESS"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InputError(f"{text!r} is no IP address", hint=hint) from None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise InputError(f"{text!r} has a zone (after the %), which means something on one machine only", hint=hint)
    return address.ipv4_mapped or address


def _table(situation: Situation, city_database: Path | None) -> SteeringTable:
    """Build the table as an edge does. Raises InputError if no edge can be steered to, or the database is none."""
    wanted = Wanted.of(situation.settings, situation.edges, city_database)
    if wanted is None:
        raise InputError("the fleet has no edge that readers can be sent to", hint="edgeward edge list")
    with tempfile.TemporaryDirectory(prefix="edgeward-steering-") as folder:
        file = Path(folder) / "table"
        write_table(file, json.loads(wanted.to_bytes()))
        return SteeringTable.from_bytes(file.read_bytes())


async def _reports(store: Store, edges: Collection[str]) -> list[Report]:
    """Return what the edges say of each other just now: verdicts on families and releases follow from that alone."""
    heard: dict[str, Report] = {}
    complete = asyncio.Event()

    def hear(observer: str, data: bytes) -> None:
        with contextlib.suppress(SchemaError):
            heard[observer] = Report.from_bytes(data)
        if heard.keys() >= set(edges):
            complete.set()

    following = asyncio.create_task(store.observations.follow(hear))
    waiting = asyncio.create_task(complete.wait())
    await asyncio.wait((following, waiting), timeout=_HEARD, return_when=asyncio.FIRST_COMPLETED)
    for task in (following, waiting):
        task.cancel()
    await asyncio.gather(following, waiting, return_exceptions=True)
    return list(heard.values())


def _notes(
    situation: Situation,
    site: str,
    edge: str,
    lacking: Mapping[str, str],
    silent: Mapping[str, Mapping[int, str]],
    *,
    opened: Collection[int],
) -> list[str]:
    """Return what is to be known of an edge besides its state. opened: families over which it is named all the same."""
    notes = [
        f"{'named all the same' if family in opened else 'not named'} over IPv{family}: {why}"
        for family, why in sorted(silent.get(edge, {}).items())
    ]
    pointer, status = situation.live.get(site), situation.status.get(edge)
    if pointer is None or pointer.release is None or status is None or edge in lacking:
        return notes
    held = status.sites.get(site)
    if held is None or held.live != pointer.release:
        end = pointer.at + Rules().grace
        until = datetime.fromtimestamp(end, UTC).strftime("%H:%M:%S UTC")
        grace = f"still within its grace period until {until}" if time.time() < end else "its observers go on naming it"
        notes.append(f"it does not hold the live release {pointer.release[:12]}: {grace}")
    return notes


async def _ask_all(situation: Situation, path: NamePath, client: str) -> list[Served]:
    """Ask every name server, at the first of its addresses that this machine has a way to, for all that a name leads
    over and to.
    """
    import dns.rdatatype

    bits = 128 if ":" in client else 32
    kinds = {A, AAAA, *(int(dns.rdatatype.from_text(each.type)) for each in path.records if path.site is None)}
    asked = [(_first(path), kind) for kind in sorted(kinds)] + [(each.name, int(CNAME)) for each in path.aliases]
    questions = [Question(name, kind, client, bits=bits) for name, kind in asked]

    async def one(edge: str) -> Served:
        record = situation.edges[edge]
        wrong = "it has no address"
        for address in record.addresses:
            replies = await asyncio.gather(*(ask(address, record.dns_port, each) for each in questions))
            wrong = next((each.wrong for each in replies if each.wrong), "")
            if not wrong:
                found = [
                    entry
                    for question, reply in zip(questions, replies, strict=True)
                    for entry in entries_at(question.name, {question.kind: RRset(0, tuple(sorted(reply.data)))})
                ]
                addresses, others = _told(found)
                return Served(edge, addresses, records=others)
            if wrong == RCODES[NXDOMAIN]:  # an answer, and another one than that of whoever knows the name
                return Served(edge, records=(wrong,))
            if all(each.asked for each in replies):
                break
        return Served(edge, wrong=wrong)

    return await asyncio.gather(*(one(edge) for edge in servers_of(situation.settings, situation.edges)))


def _compared(served: Served, addresses: Sequence[str], others: Sequence[str], note: str) -> Served:
    """Return what a name server answers, with how that compares to what was computed. note: what a difference may be
    for.
    """
    if served.wrong or {*served.addresses, *served.records} == {*addresses, *others}:
        return served
    return replace(served, differs=True, note=note)


def _note_of(edge: str, situation: Situation, city_database: Path | None) -> str:
    """Return what it may be for that a name server sends a client elsewhere."""
    status = situation.status.get(edge)
    theirs = status.city_database if status else ""
    if theirs and city_database is None:
        return f"it goes by the city database {theirs}: --city-database FILE shows what comes of that"
    if theirs:
        return f"it goes by the city database {theirs}, which may be another one"
    if city_database is not None:
        return "it goes by country"
    return "ask again: it may just have heard of a change"
