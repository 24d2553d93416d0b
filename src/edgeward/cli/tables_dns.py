"""How the values of `edgeward dns` look. Every table fits 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from edgeward.cli.grid import Grid
from edgeward.cli.tables import BAD, FAINT, GOOD
from edgeward.cli.views import visible
from edgeward.core.fleet import NOT_FOR_READERS

if TYPE_CHECKING:
    from edgeward.publish.explain import Explanation, Served
    from edgeward.publish.name_check import CheckReport
    from edgeward.publish.name_service import Entry, Overview

_MOST_PROBLEMS = 20
_MOST_RECORDS = 50


def applied(wanted: Sequence[str], zones: Mapping[str, int]) -> list[RenderableType]:
    """What the name servers serve from now on."""
    if not zones:
        return [Text(f"stored: {', '.join(wanted)}; no edge answers DNS yet ([dns] in edge.toml)")]
    return [Text(f"{zone}: {count} names") for zone, count in zones.items()]


_STYLES = {"up": GOOD, NOT_FOR_READERS: FAINT}


def overview(found: Overview) -> list[RenderableType]:
    """Zones, servers, edges."""
    zones = [part for zone, entries in found.zones.items() for part in _zone(zone, entries)]
    servers = Grid("name server", "edge", flexible=("name server",))
    for name, edge in found.servers.items():
        servers.add_row(name, edge)
    edges = Grid("edge", "for answers", flexible=("for answers",))
    for name, state in found.edges.items():
        edges.add_row(visible(name), Text(visible(state), style=_STYLES.get(state, BAD)))
    problems = [Text(visible(problem), style=BAD) for problem in found.problems]
    return [*zones, servers, Text(""), edges, *problems]


def _zone(zone: str, entries: Sequence[Entry]) -> list[RenderableType]:
    """What a zone has, by names relative to it; its apex is @, as in zone files."""
    records = Grid("name", "type", "ttl", "value", flexible=("name", "value"), right=("ttl",))
    for each in entries[:_MOST_RECORDS]:
        name = "@" if each.name == zone else each.name.removesuffix(f".{zone}")
        value = ", ".join(each.values) or (f"nearest edge of site {each.site}" if each.site else "nothing yet")
        ttl = "-" if each.ttl is None else str(each.ttl)
        records.add_row(visible(name), each.type or "-", ttl, visible(value))
    more = len(entries) - _MOST_RECORDS
    cut = [Text(f"and {more:,} more (--json)")] if more > 0 else []
    return [Text(f"zone {zone}", style="bold"), records, *cut, Text("")]


def checked(found: CheckReport) -> list[RenderableType]:
    """The problems, or that there are none."""
    asked = f"{found.questions:,} questions to {', '.join(found.servers) or 'no name server'}"
    if not found.servers:
        return [Text(f"{asked}: no edge answers DNS yet ([dns] in edge.toml)", style=BAD)]
    notes = [Text(visible(note), style=FAINT) for note in found.notes]
    if not found.problems:
        return [Text(f"{asked}: every answer is right, and all agree", style=GOOD), *notes]
    more = len(found.problems) - _MOST_PROBLEMS
    lines = [Text(visible(problem), style=BAD) for problem in found.problems[:_MOST_PROBLEMS]]
    return [
        Text(f"{asked}: {len(found.problems)} problems"),
        *lines,
        *([Text(f"and {more} more (--json)")] if more > 0 else []),
        *notes,
    ]


def explanation(found: Explanation) -> list[RenderableType]:
    """The answer, the order with its reasons, and what the name servers say."""
    answer = ", ".join(found.addresses) or "no address"
    names = (found.name, *found.aliases)
    aliases = [Text(visible(f"{one} is an alias of {other}")) for one, other in pairwise(names)]
    if found.site is None:
        return [*aliases, *_fixed(names[-1], found.records), Text(""), *_served(found.served)]
    head = Text.assemble((names[-1], "bold"), f" for {found.client}: ", (answer, GOOD), f"  (TTL {found.ttl} s)")
    why = Text(f"order of {found.scope}, {visible(found.geography)}: {visible(found.because)}", style=FAINT)
    order = Grid("", "edge", "at", "ms", "because", flexible=("because",), right=("", "ms"))
    for number, each in enumerate(found.ranked, start=1):
        milliseconds = "-" if each.milliseconds is None else f"{each.milliseconds:.0f}"
        because = Text(visible(each.because))
        if each.state:
            is_named = "all are out: named all the same" if each.edge in found.failed_open else "not named"
            because = Text(f"{is_named}: {visible(each.state)}", style=BAD)
        if each.note:
            because = Text.assemble(because, "; ", (visible(each.note), BAD))
        order.add_row(str(number), visible(each.edge), visible(each.location), milliseconds, because)
    return [*aliases, head, why, Text(""), order, Text(""), *_served(found.served)]


def _fixed(name: str, records: Sequence[Entry]) -> list[RenderableType]:
    """The records of a name that is not steered, one type a row."""
    if not records:
        return [Text(visible(f"{name} is there, and holds no records; that is so for everybody"))]
    rows = Grid("type", "ttl", "value", flexible=("value",), right=("ttl",))
    for each in records:
        rows.add_row(each.type, str(each.ttl), visible(", ".join(each.values)))
    return [Text(visible(f"{name} has fixed records, the same for everybody:")), rows]


def _served(found: Sequence[Served]) -> list[RenderableType]:
    """Which name servers answer so, which otherwise, and which could not be asked."""
    same = [each.edge for each in found if not each.wrong and not each.differs]
    lines = [Text(f"so the name servers answer: {visible(', '.join(same))}", style=GOOD)] if same else []
    for each in found:
        if each.differs:
            answer = ", ".join((*each.records, *each.addresses)) or "no address"
            lines.append(Text(visible(f"{each.edge} answers {answer}: {each.note}"), style=BAD))
        elif each.wrong:
            lines.append(Text(visible(f"{each.edge} could not be asked: {each.wrong}"), style=FAINT))
    return [*lines] or [Text("no edge answers DNS yet ([dns] in edge.toml)", style=BAD)]
