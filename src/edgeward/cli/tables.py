"""How values look: pure functions from a value to what the terminal shows. Every table fits 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from edgeward.cli.figures import count, moment, seconds, short, size, span
from edgeward.cli.fleets_file import Fleet, FleetChoice
from edgeward.cli.grid import Grid
from edgeward.cli.views import visible

if TYPE_CHECKING:
    from edgeward.publish.values import (
        Bystander,
        Changes,
        EdgeLine,
        EdgeTimes,
        FleetStatus,
        MoveResult,
        PurgeResult,
        PushResult,
        SiteLine,
        SiteReleases,
        VerifyReport,
    )
    from edgeward.store.events import Event

MOST_COLUMNS = 4
"""A table has a column for each edge up to so many edges."""

GOOD, LOOK, BAD, FAINT = "green", "yellow", "red", "dim"


def fleets(known: Sequence[Fleet], choice: FleetChoice | None) -> Grid:
    """Fleets, with the one that a command would speak to."""
    table = Grid("fleet", "store", "token file", "chosen because", flexible=("token file",))
    rows = list(known)
    if choice is not None and choice.fleet not in rows:
        rows.insert(0, choice.fleet)
    for fleet in rows:
        because = choice.because if choice is not None and choice.fleet == fleet else ""
        name = Text(fleet.name, style=GOOD if because else "")
        table.add_row(name, visible(fleet.store), visible(str(fleet.token_file or "-")), because)
    return table


def edge_times(edges: Sequence[EdgeTimes]) -> Grid:
    """When each edge had a release staged and live."""
    table = Grid("edge", "staged", "live", right=("staged", "live"))
    for edge in edges:
        live = Text(seconds(edge.live) if edge.live is not None else "not yet", style=GOOD if edge.live else LOOK)
        table.add_row(visible(edge.edge), seconds(edge.staged), live)
    return table


def bystanders(edges: Sequence[Bystander]) -> str:
    """Edges that were not waited for: "syd (not reporting), iad (drained)"."""
    return ", ".join(f"{visible(edge.edge)} ({visible(edge.because)})" for edge in edges)


def edges(lines: Sequence[EdgeLine], *, now: int) -> Grid:
    """Edges: whether each is current, and what it is at."""
    table = Grid("edge", "at", "state", "engine", "up", "blobs", "disk free", right=("up", "blobs", "disk free"))
    for line in lines:
        state, style = edge_state(line)
        status = line.status
        table.add_row(
            visible(line.edge),
            visible(line.location) or "-",
            Text(state, style=style),
            visible(status.engine) if status else "-",
            span(now - status.started) if status else "-",
            f"{status.blobs:,}" if status else "-",
            size(status.disk_free) if status else "-",
        )
    return table


def edge_state(line: EdgeLine) -> tuple[str, str]:
    """Return the state of an edge in a word or two, and its colour."""
    if line.status is None:
        state, style = "not reporting", BAD
    elif line.status.problems:
        state, style = ("ready, with problems", LOOK) if line.status.ready else ("not ready", BAD)
    elif line.current:
        state, style = "current", GOOD
    else:
        state, style = ("behind", LOOK) if line.status.ready else ("catching up", LOOK)
    if line.down is not None:
        state, style = f"down, {state}", BAD
    elif line.silent:
        state, style = f"silent in part, {state}", BAD
    return (f"{state}, drained", LOOK) if line.drained else (state, style)


def edge_problems(lines: Sequence[EdgeLine]) -> list[Text]:
    """What the edges have to say to an operator, a line for each."""
    found = []
    for line in lines:
        said = [] if line.down is None else [f"down: {'; '.join(line.down)}"]
        if line.silent:
            said.append(f"does not answer {line.silent}")
        if line.drained and line.drained_because:
            said.append(f"drained: {line.drained_because}")
        for problem in (*said, *(line.status.problems if line.status else ())):
            found.append(Text.assemble((f"{visible(line.edge)}: ", LOOK), visible(problem)))
    return found


def live_releases(status: FleetStatus, *, now: int) -> Grid:
    """What every edge serves of every site, since when: a column for each edge, or how many if they are many."""
    if len(status.edges) > MOST_COLUMNS:
        return _live_counts(status)
    table = Grid("site", "release", *(visible(line.edge) for line in status.edges), flexible=("site",))
    for site in status.sites:
        cells = [_live_cell(line, site, now=now) for line in status.edges]
        table.add_row(visible(site.site), short(site.release), *cells)
    return table


def _live_counts(status: FleetStatus) -> Grid:
    table = Grid("site", "release", "live on", "not on", flexible=("site", "not on"))
    for site in status.sites:
        behind = [line.edge for line in status.edges if line.status is not None and not _is_live(line, site)]
        everywhere = site.edges_live == site.edges_reporting and site.edges_live > 0
        table.add_row(
            visible(site.site),
            short(site.release),
            Text(f"{site.edges_live} of {site.edges_reporting}", style=GOOD if everywhere else LOOK),
            Text(visible(", ".join(behind)) or "-", style=LOOK if behind else ""),
        )
    return table


def _is_live(line: EdgeLine, site: SiteLine) -> bool:
    held = line.status.sites.get(site.site) if line.status else None
    return held is not None and held.live == site.release


def _live_cell(line: EdgeLine, site: SiteLine, *, now: int) -> Text:
    held = line.status.sites.get(site.site) if line.status else None
    if held is None or held.live is None:
        return Text("-", style=FAINT if site.release is None else LOOK)
    age = span(now - held.since)
    if held.live == site.release:
        return Text(f"live {age}", style=GOOD)
    waiting = ", next staged" if site.release in held.staged else ""
    return Text(f"{held.live[:6]} {age}{waiting}", style=LOOK)


def sites(lines: Sequence[SiteLine], *, now: int) -> Grid:
    """Sites of the fleet."""
    table = Grid(
        "site", "hostnames", "release", "pushed", "by", "files", "size", "edges",
        flexible=("hostnames", "by", "site"), right=("files", "size"),
    )  # fmt: skip
    for line in lines:
        everywhere = line.edges_live == line.edges_reporting and line.edges_live > 0
        table.add_row(
            visible(line.site),
            visible(" ".join(line.hostnames)),
            short(line.release),
            f"{span(now - line.pushed)} ago",
            visible(line.by),
            f"{line.files:,}",
            size(line.size),
            Text(f"{line.edges_live} of {line.edges_reporting}", style=GOOD if everywhere else LOOK),
        )
    return table


def releases(value: SiteReleases, *, now: int) -> Grid:
    """Retained releases of a site, newest first; the live one is marked."""
    table = Grid(
        "release",
        "",
        "pushed",
        "age",
        "by",
        "files",
        "size",
        "message",
        flexible=("message", "by"),
        right=("files", "size"),
    )
    for line in value.releases:
        note = f"[purged {len(line.purged)}] " if line.purged else ""
        table.add_row(
            Text(short(line.release), style=GOOD if line.live else ""),
            Text("live", style=GOOD) if line.live else "",
            moment(line.created),
            span(now - line.created),
            visible(line.deployer),
            f"{line.files:,}",
            size(line.size),
            Text(note + visible(line.message.partition("\n")[0])),
        )
    return table


def moves(value: SiteReleases, *, now: int) -> Grid:
    """Who moved the live pointer of a site, when, and how; newest first."""
    table = Grid("move", "to", "at", "age", "by", flexible=("by",))
    for line in value.moves:
        table.add_row(line.move, short(line.release), moment(line.at), span(now - line.at), visible(line.by))
    return table


def events(found: Sequence[Event]) -> list[Text]:
    """What happened in the fleet, a line each; nothing of a line is cut off."""
    width = max((len(visible(event.kind)) for event in found), default=0)
    return [
        Text.assemble(
            f"{moment(event.at)}  {visible(event.kind):<{width}}  {visible(event.text)}  ",
            (f"by {visible(event.by)}", FAINT),
        )
        for event in found
    ]


def push_result(result: PushResult, *, verbose: bool) -> list[RenderableType]:
    """What a push came to. verbose: with every path that changed, was left out, or is immutable."""
    hosts = ", ".join(result.hostnames)
    facts = f"{count(result.files, 'file')}, {size(result.size)}"
    parts: list[RenderableType] = []
    if result.outcome == "unchanged":
        same = Text.assemble((short(result.release), GOOD), f" is live already at {hosts}: nothing changed ({facts})")
        parts.append(same)
    elif result.outcome == "planned":
        parts.append(Text(f"{result.site} would become {short(result.release)} ({facts}); nothing was changed"))
    else:
        parts.append(Text.assemble(f"{result.site} ", (short(result.release), GOOD), f" is live at {hosts} ({facts})"))
    if result.outcome != "unchanged":
        done = "to upload" if result.outcome == "planned" else "uploaded"
        sent = f"{count(result.upload_blobs, 'blob')} {done} ({size(result.upload_bytes)})"
        parts.append(Text(f"{_changes(result.changes)}; {sent}"))
    parts.append(
        Text(f"{count(len(result.immutable), 'immutable asset')}; {len(result.left_out):,} dot files left out")
    )
    if verbose:
        parts.extend(_paths(result))
    if result.moved is not None:
        parts.extend(["", *_move_details(result.moved)])
        if result.previous is not None:
            parts.append(Text(f"undo: edgeward rollback {result.site}", style=FAINT))
    return parts


def _changes(changes: Changes) -> str:
    found = [
        f"{len(paths):,} {word}"
        for paths, word in ((changes.added, "added"), (changes.changed, "changed"), (changes.removed, "removed"))
        if paths
    ]
    found += [word for word in ("redirects", "headers", "settings") if getattr(changes, word)]
    return ", ".join(found) or "no path changed"


def _paths(result: PushResult) -> list[RenderableType]:
    changes = result.changes
    groups = (
        ("+", GOOD, changes.added),
        ("~", LOOK, changes.changed),
        ("-", BAD, changes.removed),
        ("left out", FAINT, result.left_out),
        ("immutable", FAINT, result.immutable),
    )
    return [Text(f"  {mark} {visible(path)}", style=style) for mark, style, paths in groups for path in paths]


def move_result(result: MoveResult) -> list[RenderableType]:
    """What a rollback or a removal came to."""
    if result.release is None:
        first = Text(f"site {result.site} is removed ({seconds(result.seconds)})")
    else:
        back = Text.assemble(f"{result.site} is back at ", (short(result.release), GOOD))
        first = back.append(f", was {short(result.previous)} ({seconds(result.seconds)})")
    return [first, "", *_move_details(result)]


def _move_details(result: MoveResult) -> list[RenderableType]:
    parts: list[RenderableType] = [edge_times(result.edges)] if result.edges else []
    if result.bystanders:
        parts.append(Text(f"not waited for: {bystanders(result.bystanders)}", style=LOOK))
    return parts


def purge_result(result: PurgeResult) -> list[RenderableType]:
    """What a takedown did, and where it is not done yet."""
    if result.key is None:
        return [Text(f"no release of {result.site} that is kept holds {', '.join(map(visible, result.paths))}")]
    parts: list[RenderableType] = [
        Text.assemble(
            (f"gone from {count(len(result.releases), 'release')}", GOOD if not result.late else LOOK),
            f" of {result.site}, {count(len(result.digests), 'blob')} erased ({seconds(result.seconds)})",
        )
    ]
    parts += [Text(f"  - {visible(path)}") for path in result.taken_out]
    parts += [
        Text(f"blob {short(digest)} stays in the fleet: site {other} holds the same bytes", style=LOOK)
        for digest, other in result.shared
    ]
    if result.edges:
        parts.append(Text(f"confirmed gone by {', '.join(map(visible, result.edges))}", style=GOOD))
    if result.late:
        parts.append(Text(f"not confirmed by {bystanders(result.late)}: gone there when they report again", style=BAD))
    return parts


def verify_report(report: VerifyReport) -> list[RenderableType]:
    """What verify found: the differences, then the sum."""
    parts: list[RenderableType] = []
    for item in report.differences:
        parts.append(
            Text.assemble(
                (f"{visible(item.edge)} ", "bold"), f"{visible(item.request)}: {visible(item.what)} is ",
                (visible(item.found), BAD), " and should be ", (visible(item.expected), GOOD),
            )
        )  # fmt: skip
    for edge in report.unreachable:
        parts.append(Text.assemble((f"{visible(edge.edge)} ", "bold"), (visible(edge.because), BAD)))
    asked = (
        f"{count(report.requests, 'request')} for {count(report.paths, 'path')} to {count(len(report.edges), 'edge')}"
    )
    verdict = (
        Text("no difference", style=GOOD)
        if report.good
        else Text(f"{count(len(report.differences), 'difference')}, {len(report.unreachable)} not reached", style=BAD)
    )
    parts.append(Text.assemble(f"{report.site} {short(report.release)}: {asked}: ", verdict))
    return parts
