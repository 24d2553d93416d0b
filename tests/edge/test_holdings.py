"""What an edge holds: kept assets, the state that survives a restart, and what a restart finds."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_parts import Clock, Parts, make_release
from edgeward.core.digest import Digest
from edgeward.edge.disk import EdgeDisk, EdgeState, ServedRelease
from edgeward.edge.holdings import Holdings
from edgeward.edge.stager import Stager
from edgeward.errors import DiskError, SchemaError

DAY = 86_400
APP1, APP2, APP3 = "/assets/app.11111a11.js", "/assets/app.22222b22.js", "/assets/app.33333c33.js"


def site(app: str, **more):
    return make_release({"/index.html": f"<script src={app}>", app: f"code of {app}"}, keep_assets_days=7, **more)


def kept(parts: Parts) -> set[str]:
    return set(parts.disk.kept("blog").assets())


async def test_assets_stay_for_the_days_of_the_site(store, parts: Parts) -> None:
    """An asset that left with its release stays reachable for keep_assets_days, even without its tree; then it goes."""
    first, second = await site(APP1).put(store), await site(APP2).put(store)
    await parts.stage(first)
    await parts.serve(first)
    await parts.stage(second)
    assert kept(parts) == {APP1, APP2}  # staged assets are reachable before they are live
    await parts.serve(second)
    await parts.holdings.unstage(first.key)
    parts.clock.now += 7 * DAY - 1
    await parts.holdings.keep("blog")
    assert kept(parts) == {APP1, APP2}
    parts.clock.now += 2
    await parts.holdings.keep("blog")
    assert kept(parts) == {APP2}
    assert not (parts.disk.kept("blog").path / f"identity{APP1}").exists()


async def test_a_withdrawn_candidate_leaves_nothing_reachable(store, parts: Parts) -> None:
    """Assets of a release that was staged and never live go with its tree."""
    first, never = await site(APP1).put(store), await site(APP3).put(store)
    await parts.stage(first)
    await parts.serve(first)
    await parts.stage(never)
    assert kept(parts) == {APP1, APP3}
    await parts.holdings.unstage(never.key)
    assert kept(parts) == {APP1}


async def test_a_rollback_and_back_keeps_both(store, parts: Parts) -> None:
    """Moves to and fro: whatever was live within the days stays; the clock of an asset starts when it left last."""
    first, second = await site(APP1).put(store), await site(APP2).put(store)
    for made in (first, second):
        await parts.stage(made)
        await parts.serve(made)
    parts.clock.now += 5 * DAY
    await parts.serve(first)
    parts.clock.now += 1 * DAY
    await parts.holdings.unstage(second.key)
    parts.clock.now += 5 * DAY
    await parts.holdings.keep("blog")
    assert kept(parts) == {APP1, APP2}
    parts.clock.now += 2 * DAY
    await parts.holdings.keep("blog")
    assert kept(parts) == {APP1}


@pytest.mark.parametrize("jump", [-3650 * DAY, 30 * DAY])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_wrong_clock_ages_no_asset(store, parts: Parts, jump: int, *, restarted: bool) -> None:
    """The machine's clock jumps, by days or years, to and fro, under a running agent or before one starts: an asset is
    kept for keep_assets_days of the time that passed, no shorter and no longer.
    """
    wall, passed = Clock(), Clock(0)

    def process() -> Holdings:
        made = Holdings(parts.disk, edge="fra", clock=wall, timer=passed)
        made.load()
        return made

    parts = replace(parts, holdings=process())
    parts.stager = Stager(parts.holdings, store.blobs, reserve=0)
    first, second = await site(APP1).put(store), await site(APP2).put(store)
    for made in (first, second):
        await parts.stage(made)
        await parts.serve(made)
    await parts.holdings.unstage(first.key)
    for step, left in ((jump, {APP1, APP2}), (-jump, {APP1, APP2}), (jump, {APP2})):
        wall.now += step
        passed.now += 7 * DAY // 3 + 1
        parts.holdings.note_time()
        if restarted:
            passed.now = 5  # the machine, too
            parts.holdings = process()
        await parts.holdings.keep("blog")
        assert kept(parts) == left


async def test_a_site_that_is_removed_leaves_no_folder(store, parts: Parts) -> None:
    """When neither a release nor a pointer is left, the site's folder goes, kept assets too."""
    first = await site(APP1).put(store)
    await parts.stage(first)
    await parts.serve(first)
    await parts.serve()
    await parts.holdings.unstage(first.key)
    assert list(parts.disk.sites()) == []


async def test_a_restart_finds_what_was_served(store, parts: Parts) -> None:
    """A new process loads the same releases, live and staged, from the disk alone, and since when."""
    first, second = await site(APP1).put(store), await site(APP2).put(store)
    await parts.stage(first)
    await parts.serve(first)
    await parts.stage(second)
    again = Holdings(parts.disk, edge="fra")
    assert again.load() == {}
    assert again.live == {"blog": first.key[1]}
    assert again.staged == parts.holdings.staged
    assert again.state.sites["blog"].since == parts.clock.now
    view = await again.view(again.live)
    assert [each.manifest for each in view.sites] == [first.manifest]


async def test_a_switch_that_was_cut_off_still_keeps_assets(store, parts: Parts) -> None:
    """Killed between the switch and the note of what left: the next process keeps the assets all the same."""
    first, second = await site(APP1).put(store), await site(APP2).put(store)
    await parts.stage(first)
    await parts.serve(first)
    await parts.stage(second)
    view = await parts.holdings.view({"blog": second.key[1]})
    parts.holdings.note_served(view, {"blog": first.key[1]})  # and no `keep`: killed here
    again = Holdings(parts.disk, edge="fra", clock=parts.clock)
    again.load()
    await again.keep("blog")
    await again.unstage(first.key)
    assert kept(parts) == {APP1, APP2}
    assert again.state.sites["blog"].left == ()


async def test_a_broken_manifest_is_not_served_and_comes_back(store, parts: Parts) -> None:
    """A manifest that rotted is reported, its release forgotten, and staged anew from the store."""
    first = await site(APP1).put(store)
    await parts.stage(first)
    await parts.serve(first)
    file = parts.disk.path / "manifests" / first.key[1]
    file.write_bytes(file.read_bytes()[:-3] + b"xyz")
    again = Holdings(parts.disk, edge="fra")
    assert "cannot be served from this edge's own disk" in again.load()["blog"]
    assert again.staged == {}
    await parts.stage(first)
    again = Holdings(parts.disk, edge="fra")
    again.load()
    assert first.key in again.staged


def test_an_unknown_schema_is_refused_untouched(parts: Parts) -> None:
    """State written by a later major version stops the agent instead of being overwritten."""
    file = parts.disk.path / "edge.json"
    file.write_bytes(b'{"schema":[9,0],"sites":{}}')
    with pytest.raises(SchemaError, match=r"schema 9\.0"):
        Holdings(parts.disk, edge="fra").load()
    assert file.read_bytes() == b'{"schema":[9,0],"sites":{}}'


async def test_a_damaged_state_is_set_aside(store, parts: Parts) -> None:
    """A state that is no JSON any more does not keep the agent from starting; what is staged is still known."""
    first = await site(APP1).put(store)
    await parts.stage(first)
    await parts.serve(first)
    (parts.disk.path / "edge.json").write_bytes(b"\0\0\0")
    (parts.disk.path / "edge.json.copy").write_bytes(b"{")
    again = Holdings(parts.disk, edge="fra")
    assert "does not know what it served" in again.load()["state"]
    assert set(again.staged) == {first.key}
    assert (parts.disk.path / "edge.json.broken").exists()
    assert (dict(again.live), again.lost) == ({}, True)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"{}")])
async def test_a_lost_state_comes_back_from_its_copy(store, parts: Parts, damage) -> None:
    """Damaged or deleted: the copy says what is served, and the operator is told."""
    first = await site(APP1).put(store)
    await parts.stage(first)
    await parts.serve(first)
    damage(parts.disk.path / "edge.json")
    again = Holdings(parts.disk, edge="fra")
    assert "known from a copy only" in again.load()["state"]
    assert (dict(again.live), again.lost) == (dict([first.key]), False)


def test_a_fresh_disk_has_lost_nothing(parts: Parts) -> None:
    """No state and no releases is how every edge begins."""
    again = Holdings(parts.disk, edge="fra")
    assert (again.load(), again.lost) == ({}, False)


async def test_a_damaged_index_of_kept_assets_is_made_anew(store, parts: Parts) -> None:
    """Kept assets come back from what is staged."""
    first = await site(APP1).put(store)
    await parts.stage(first)
    await parts.serve(first)
    parts.disk.kept("blog").index.write_bytes(b"{")
    await parts.holdings.keep("blog")
    assert kept(parts) == {APP1}
    assert (parts.disk.kept("blog").path / f"identity{APP1}").read_text() == f"code of {APP1}"


def test_the_state_survives_the_disk() -> None:
    """Bytes of the state parse back to it."""
    release = make_release({"/index.html": "x"}).key[1]
    state = EdgeState({"blog": ServedRelease(release, 5, ((release, 4),))}, frozenset({"order"}), lived=77)
    assert EdgeState.from_bytes(state.to_bytes()) == state


def test_one_agent_for_one_folder(parts: Parts) -> None:
    """A second agent is kept out as long as the first one lives."""
    parts.disk.lock()
    with pytest.raises(DiskError, match="another agent works in"):
        type(parts.disk)(parts.disk.path).lock()
    parts.disk.unlock()
    parts.disk.lock()
    parts.disk.unlock()


async def test_however_many_releases_are_staged_one_more_reads_no_manifest_again(
    store, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever pushes twenty times in a minute waits no longer for the last push than for the first."""
    read: list[str] = []
    packed_manifest = EdgeDisk.packed_manifest

    def noted(self: EdgeDisk, release: Digest) -> bytes:
        read.append(release)
        return packed_manifest(self, release)

    monkeypatch.setattr(EdgeDisk, "packed_manifest", noted)
    made = []
    for number in range(20):
        made.append(await make_release({"/index.html": f"{number}", f"/a.{number:07}a.js": "code"}).put(store))
        await parts.stage(made[-1])
        await parts.serve(made[-1])
    assert read == []
    assert len(kept(parts)) == len(parts.holdings.staged) == 20
    for each in made[:-1]:
        await parts.holdings.unstage(each.key)
    assert len(kept(parts)) == 20, "they have only just left"
