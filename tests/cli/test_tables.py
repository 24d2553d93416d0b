"""How values look: every table within 100 columns, whatever the names are."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from edgeward.cli import tables
from edgeward.cli.figures import moment
from edgeward.cli.grid import Grid
from edgeward.core.digest import digest_of
from edgeward.core.fleet import EdgeStatus, SiteStatus
from edgeward.publish.values import (
    Bystander,
    Changes,
    Difference,
    EdgeLine,
    EdgeTimes,
    FleetStatus,
    MoveLine,
    MoveResult,
    PurgeResult,
    PushResult,
    ReleaseLine,
    SiteLine,
    SiteReleases,
    VerifyReport,
)
from edgeward.store.events import Event

NOW = 1_800_000_000
ONE, TWO = digest_of(b"1"), digest_of(b"2")
LONG = "a-very-long-name-of-something-that-somebody-chose-without-thinking-of-tables"


def drawn(*parts: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


def edge(name: str, *, live=ONE, ready=True, problems=(), drained=False, reporting=True) -> EdgeLine:
    status = EdgeStatus(
        edge=name, version="0.1.0", engine="nginx", ready=ready, generation=3, started=NOW - 5000, at=NOW,
        sites={"www": SiteStatus(live, NOW - 60, (ONE,))}, problems=problems, disk_free=10**10, blobs=12_345,
    )  # fmt: skip
    current = reporting and ready and live == ONE
    return EdgeLine(name, name[:3].upper(), ("203.0.113.1",), drained, status if reporting else None, current)


def test_an_event_is_a_line_with_nothing_cut_off_and_control_characters_visible() -> None:
    """Time, kind, what happened, and by whom."""
    found = [Event("push", NOW, "ada", f"site {LONG} is live: a\x1b[31m"), Event("undrain", NOW, LONG, "edge fra")]
    first, second = (line.plain for line in tables.events(found))
    assert first == f"{moment(NOW)}  push     site {LONG} is live: a\\x1b[31m  by ada"
    assert second == f"{moment(NOW)}  undrain  edge fra  by {LONG}"


SITE = SiteLine("www", ("www.example.test", "example.test"), ONE, NOW - 60, "ada@laptop", 1065, 67_100_000, 2, 3)


def test_a_grid_cuts_its_flexible_columns_alone():
    """The others are shown whole; nothing is wider than the terminal."""
    table = Grid("name", "text", "size", flexible=("text",), right=("size",))
    table.add_row("x" * 20, "word " * 40, "1,000")
    lines = drawn(table, width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert "x" * 20 in lines[1]
    assert lines[1].endswith("1,000")
    assert "…" in lines[1]


def test_a_grid_shows_brackets_as_they_are():
    """What looks like markup is text."""
    table = Grid("message")
    table.add_row("[red]not red[/red]")
    assert "[red]not red[/red]" in drawn(table)


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (edge("fra"), "current"),
        (edge("fra", live=TWO), "behind"),
        (edge("fra", live=TWO, ready=False), "catching up"),
        (edge("fra", ready=False, problems=("disk full",)), "not ready"),
        (edge("fra", problems=("stale",)), "ready, with problems"),
        (edge("fra", reporting=False), "not reporting"),
        (edge("fra", drained=True), "current, drained"),
        (replace(edge("fra"), down=("iad: no answer",)), "down, current"),
        (replace(edge("fra"), silent="over IPv6: iad: no answer"), "silent in part, current"),
        (edge("fra", drained=True, reporting=False), "not reporting, drained"),
    ],
)
def test_the_state_of_an_edge_in_a_word(line, state):
    """What an operator must know first."""
    assert tables.edge_state(line)[0] == state


def test_the_status_of_a_fleet():
    """Edges by name, what each serves and since when, and what is wrong, in words."""
    lines = (edge("fra"), edge("iad", live=TWO), edge("syd", reporting=False))
    status = FleetStatus(lines, (SITE,))
    text = drawn(tables.edges(lines, now=NOW), tables.live_releases(status, now=NOW))
    assert "live 60 s" in text
    assert f"{TWO[:6]} 60 s, next staged" in text
    assert "not reporting" in text
    problems = drawn(*tables.edge_problems([edge("fra", problems=("the disk is full", "stale"))]))
    assert problems == "fra: the disk is full\nfra: stale\n"


def test_many_edges_are_counted():
    """With more edges than columns, those that are behind are named."""
    lines = tuple(edge(f"edge{number}", live=TWO if number == 5 else ONE) for number in range(9))
    text = drawn(tables.live_releases(FleetStatus(lines, (SITE,)), now=NOW))
    assert "2 of 3" in text
    assert "edge5" in text
    assert "edge4" not in text


@pytest.mark.parametrize("name", ["www", LONG, "漢字" * 30])
def test_every_table_fits_100_columns(name):
    """Whatever is long is cut, and no line wraps."""
    release = ReleaseLine(ONE, NOW - 9999, name * 2, f"{name}@{name}", 200_000, 20 * 10**9, True, True, ("/x",))
    site = SiteLine(name, (name, f"www.{name}"), ONE, NOW - 10**7, name, 200_000, 20 * 10**9, 10, 10)
    releases = SiteReleases(name, (release,), (MoveLine(None, NOW, name, "rollback"),))
    text = drawn(
        tables.sites((site,), now=NOW),
        tables.releases(releases, now=NOW),
        tables.moves(releases, now=NOW),
        tables.live_releases(FleetStatus((edge("fra"), edge("iad")), (site,)), now=NOW),
    )
    console = Console(width=100)
    assert max(console.measure(line).maximum for line in text.splitlines()) <= 100
    assert len(text.splitlines()) == 8


def push_result(outcome, **more) -> PushResult:
    moved = MoveResult(
        "www", "push", ONE, TWO, (EdgeTimes("fra", 0.2, 0.3), EdgeTimes("iad", None, None)),
        (Bystander("syd", "not reporting"),), 0.4,
    )  # fmt: skip
    values = {
        "site": "www", "hostnames": ("www.example.test",),
        "release": ONE, "previous": TWO, "message": "", "files": 1065,
        "size": 67_100_000, "upload_blobs": 3, "upload_bytes": 82_000, "left_out": (".git/",),
        "immutable": ("/a.0a1b2c3d.js",), "reread": 3, "compressed": 3, "warnings": (), "timings": {}, "seconds": 0.4,
        "changes": Changes(added=("/new",), changed=("/a", "/b"), redirects=True),
        "moved": moved if outcome == "released" else None, **more,
    }  # fmt: skip
    return PushResult(outcome=outcome, **values)


def test_a_push_says_what_is_live_what_changed_and_how_to_undo_it():
    """The release, the numbers, each edge's times, who was not waited for."""
    text = drawn(*tables.push_result(push_result("released"), verbose=False))
    assert f"www {ONE[:12]} is live at www.example.test (1,065 files, 67.1 MB)" in text
    assert "1 added, 2 changed, redirects; 3 blobs uploaded (82 kB)" in text
    assert "not yet" in text
    assert "not waited for: syd (not reporting)" in text
    assert "undo: edgeward rollback www" in text
    assert "/new" not in text
    verbose = drawn(*tables.push_result(push_result("released"), verbose=True))
    for line in ("+ /new", "~ /a", "left out .git/", "immutable /a.0a1b2c3d.js"):
        assert line in verbose


def test_a_dry_run_and_an_unchanged_folder_promise_nothing():
    """Neither says that something was done."""
    planned = drawn(*tables.push_result(push_result("planned"), verbose=False))
    assert "would become" in planned
    assert "to upload" in planned
    unchanged = drawn(*tables.push_result(push_result("unchanged", changes=Changes()), verbose=False))
    assert "nothing changed" in unchanged
    assert "uploaded" not in unchanged


def test_a_purge_says_where_it_is_not_done_yet():
    """Confirmed and late edges, blobs that another site keeps."""
    result = PurgeResult(
        "www", "key", ("/leak",), ("/leak", "/copy"), ((ONE, TWO),), (ONE,), ((TWO, "blog"),), ("fra",),
        (Bystander("syd", "not reporting"),), None, 0.3,
    )  # fmt: skip
    text = drawn(*tables.purge_result(result))
    for said in ("/copy", "confirmed gone by fra", "not confirmed by syd (not reporting)", "site blog holds the same"):
        assert said in text


def test_verify_names_edge_request_and_both_values():
    """What was asked, what came, what should have come."""
    difference = Difference("iad", "GET /about", "status", "200", "404\x1b[31m")
    report = VerifyReport("www", ONE, ("fra", "iad"), 10, 5, (difference,), (Bystander("syd", "no answer"),), 0.1)
    text = drawn(*tables.verify_report(report))
    assert "iad GET /about: status is 404\\x1b[31m and should be 200" in text
    assert "syd no answer" in text
    assert "1 difference, 1 not reached" in text


def test_why_an_edge_is_down_or_drained_is_said_below_the_table() -> None:
    """The observers' words and the operator's, before what the edge says of itself."""
    line = edge("syd", drained=True, problems=("stale",))
    line = replace(line, down=("fra: no answer", "iad: no answer"), drained_because="new disk")
    assert [text.plain for text in tables.edge_problems([line])] == [
        "syd: down: fra: no answer; iad: no answer",
        "syd: drained: new disk",
        "syd: stale",
    ]
    line = replace(edge("syd"), silent="over IPv6: fra: no answer")
    assert [text.plain for text in tables.edge_problems([line])] == ["syd: does not answer over IPv6: fra: no answer"]
