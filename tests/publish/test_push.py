"""The protocol of a push against a real store, with edges that report themselves as each test wants."""

import asyncio
from dataclasses import replace

import pytest

from edgeward.core.digest import digest_of
from edgeward.core.fleet import HostClaim, Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.release import unpack_manifest
from edgeward.core.site import SiteSettings
from edgeward.errors import ConflictError, InputError, QuorumError
from edgeward.publish.deployer import signature_holds
from edgeward.publish.places import Places
from edgeward.publish.progress import EdgeReached, Event, Finished, Started
from edgeward.publish.push import push
from edgeward.publish.values import Waiting
from publishing import ReportingEdge, options, write_site
from waiting import eventually


@pytest.fixture
def pushing(store, folder, places):
    """Push `folder` with some options."""
    return lambda **changes: push(options(folder, **changes), store, places=places)


async def nothing_left_behind(store) -> None:
    """No candidate, no intent, no pointer, no record, no claim."""
    for bucket in (store.candidates, store.pushes, store.live, store.releases, store.hosts):
        assert await bucket.keys() == (), bucket.name


async def test_a_push_makes_a_release_live_everywhere(store, edge, folder, places) -> None:
    """Manifest, blobs, record, claim and pointer are in the store; the result says when each edge
    staged and served it.
    """
    await edge("FRA")
    await edge("IAD")
    result = await push(options(folder, message="first"), store, places=places)
    assert result.outcome == "released"
    assert result.previous is None
    assert sorted(result.changes.added) == ["/about.html", "/assets/app.3f9a1c7e.js", "/index.html", "/logo.png"]
    assert result.immutable == ("/assets/app.3f9a1c7e.js",)
    assert result.moved is not None
    assert [(times.edge, times.staged is not None, times.live is not None) for times in result.moved.edges] == [
        ("FRA", True, True),
        ("IAD", True, True),
    ]
    pointer = Pointer.from_bytes((await store.live.get("blog")).value)
    assert (pointer.release, pointer.previous, pointer.move, pointer.by) == (result.release, None, "push", "tester")
    record = ReleaseRecord.from_bytes((await store.releases.get(f"blog.{result.release}")).value)
    assert (record.message, record.files, record.deployer) == ("first", 4, "tester")
    assert signature_holds(record)
    manifest = unpack_manifest(await store.blobs.read(record.manifest, record.manifest_size), result.release)
    for variant in manifest.blobs():
        assert digest_of(await store.blobs.read(variant.digest, variant.size)) == variant.digest
    assert HostClaim.from_bytes((await store.hosts.get("example.test")).value).site == "blog"
    assert await store.candidates.keys() == ()
    assert await store.pushes.keys() == ()


async def test_an_unchanged_folder_makes_no_new_release(store, edge, folder, places) -> None:
    """The second push finds the same release digest, uploads nothing, and moves nothing."""
    await edge()
    first = await push(options(folder), store, places=places)
    revision = (await store.live.get("blog")).revision
    second = await push(options(folder, message="again"), store, places=places)
    assert (second.outcome, second.release) == ("unchanged", first.release)
    assert (second.upload_blobs, second.moved) == (0, None)
    assert second.changes.nothing
    assert (await store.live.get("blog")).revision == revision


async def test_a_second_push_uploads_and_compresses_only_what_changed(store, edge, folder, places, tmp_path) -> None:
    """Also from a machine with empty caches: variants of unchanged content are taken over from the release before."""
    await edge()
    await push(options(folder), store, places=places)
    write_site(folder, {"about.html": "<p>short, but new</p>", "new.css": "a{color:red}" * 100})
    (folder / "logo.png").unlink()
    fresh = Places(tmp_path / "cache2", tmp_path / "config2")
    result = await push(options(folder), store, places=fresh)
    assert result.outcome == "released"
    assert (result.changes.added, result.changes.changed, result.changes.removed) == (
        ("/new.css",), ("/about.html",), ("/logo.png",),
    )  # fmt: skip
    assert result.compressed == 1
    assert result.upload_blobs == 4  # about.html; new.css, its br and gzip


async def test_dry_run_says_what_would_change_and_changes_nothing(store, edge, folder, places) -> None:
    """It needs no edge, and leaves the store as it is."""
    result = await push(options(folder, dry_run=True), store, places=places)
    assert result.outcome == "planned"
    assert len(result.changes.added) == 4
    assert result.upload_blobs == 8
    assert result.upload_bytes > 1000
    await nothing_left_behind(store)
    assert await store.blobs.digests() == {}


async def test_progress_tells_the_phases_in_their_order(store, edge, folder, places) -> None:
    """Scan, compress, upload, stage, activate begin and end in this order, and each edge is told of twice."""
    await edge()
    seen: list[Event] = []
    await push(options(folder), store, seen.append, places=places)
    phases = ["scan", "compress", "upload", "stage", "activate"]
    assert [event.phase for event in seen if isinstance(event, Started)] == phases
    assert [event.phase for event in seen if isinstance(event, Finished)] == phases
    assert [(event.edge, event.what) for event in seen if isinstance(event, EdgeReached)] == [
        ("FRA", "staged"),
        ("FRA", "live"),
    ]


async def test_a_late_edge_fails_the_push_and_nothing_is_half_done(store, edge, folder, places) -> None:
    """--quorum all: when the wait is over the pointer has not moved, and candidate, record, claim and
    intent are gone.
    """
    await edge("FRA")
    late = await edge("SYD", problems=("the disk is full",))
    late.stages.clear()
    with pytest.raises(QuorumError) as caught:
        await push(options(folder, waiting=Waiting(0.8)), store, places=places)
    assert caught.value.message == (
        "only 1 of 2 edges were staged after 0.8 seconds (--quorum all), without SYD (the disk is full);"
        " site blog is not served, as before"
    )
    await nothing_left_behind(store)


@pytest.mark.parametrize(
    ("waiting", "late"), [(Waiting(0.8, "majority"), 1), (Waiting(0.8, "any"), 2), (Waiting(0.8, "any"), 0)]
)
async def test_a_quorum_is_enough_when_the_wait_is_over(pushing, edge, waiting, late) -> None:
    """Of three edges a majority needs two, any needs one; who was late is shown by the times."""
    await _three_edges(edge, late)
    result = await pushing(waiting=waiting)
    assert [times.staged is None for times in result.moved.edges] == [number < late for number in range(3)]


async def test_less_than_the_quorum_fails_the_push(store, edge, folder, places) -> None:
    """One of three is no majority, and none of three is not any."""
    edges = await _three_edges(edge, 2)
    with pytest.raises(QuorumError):
        await push(options(folder, waiting=Waiting(0.5, "majority")), store, places=places)
    edges[2].stages.clear()
    (folder / "new.html").write_text("new")
    with pytest.raises(QuorumError):
        await push(options(folder, waiting=Waiting(0.5, "any")), store, places=places)


async def _three_edges(edge, late: int) -> list[ReportingEdge]:
    edges = [await edge(f"E{number}") for number in range(3)]
    for each in edges[:late]:
        each.stages.clear()
        each.switches.clear()
    return edges


async def test_drained_and_silent_edges_are_not_waited_for(store, edge, folder, places) -> None:
    """They are named with the reason, and do not hold the push up."""
    await edge("FRA")
    drained = await edge("IAD", drained=True)
    drained.stages.clear()
    await store.edges.put("SYD", (await store.edges.get("FRA")).value)
    result = await push(options(folder), store, places=places)
    assert [(each.edge, each.because) for each in result.moved.bystanders] == [
        ("IAD", "drained"), ("SYD", "not reporting"),
    ]  # fmt: skip


async def test_a_push_to_a_fleet_with_no_edge_is_refused(store, folder, places) -> None:
    """Nobody would serve it: the push says so and changes nothing."""
    with pytest.raises(QuorumError, match="no edge of the fleet is reporting"):
        await push(options(folder, waiting=Waiting(0.3, "any")), store, places=places)
    await nothing_left_behind(store)


async def test_an_edge_that_comes_back_in_time_is_enough(store, edge, folder, places) -> None:
    """A push that finds no edge waits for one, as after a restart of the store."""
    pushing = asyncio.create_task(push(options(folder), store, places=places))
    await eventually(store.candidates.keys)
    await edge()
    assert (await pushing).outcome == "released"


async def test_an_edge_that_stays_behind_after_the_move_is_told(store, edge, folder, places) -> None:
    """The release is live all the same: the error says so, and record and claim stay."""
    late = await edge()
    late.switches.clear()
    with pytest.raises(QuorumError) as caught:
        await push(options(folder, waiting=Waiting(0.8)), store, places=places)
    assert caught.value.facts["moved"] is True
    assert "is live, and those edges follow as soon as they can" in caught.value.message
    pointer = Pointer.from_bytes((await store.live.get("blog")).value)
    assert await store.releases.get(f"blog.{pointer.release}")
    assert await store.hosts.get("example.test")
    assert await store.candidates.keys() == ()


async def test_of_two_pushes_at_the_same_time_one_wins(store, edge, folder, places, tmp_path) -> None:
    """The other gets a conflict that names the winner, and leaves nothing behind."""
    one = await edge()
    await push(options(folder), store, places=places)
    one.stages.clear()
    other = write_site(tmp_path / "other", {"index.html": "from elsewhere"})
    first = asyncio.create_task(push(options(folder / "../site2", deployer="ann"), store, places=places))
    write_site(tmp_path / "site2", {"index.html": "changed"})
    second = asyncio.create_task(push(options(other, deployer="bob"), store, places=places))
    await eventually(lambda: _two_candidates(store))
    one.stages.set()
    results = await asyncio.gather(first, second, return_exceptions=True)
    winners = [result for result in results if not isinstance(result, BaseException)]
    (loser,) = [result for result in results if isinstance(result, BaseException)]
    assert len(winners) == 1
    assert isinstance(loser, ConflictError)
    assert "site blog was changed by somebody else while this push was under way" in loser.message
    assert winners[0].release[:12] in loser.message
    pointer = Pointer.from_bytes((await store.live.get("blog")).value)
    assert pointer.release == winners[0].release
    records = await store.releases.keys()
    assert len(records) == 2  # the first push's, and the winner's
    assert await store.candidates.keys() == ()
    assert await store.pushes.keys() == ()


async def _two_candidates(store) -> bool:
    return len(await store.candidates.keys()) == 2


@pytest.mark.parametrize("phase", ["scan", "compress", "upload", "stage"])
async def test_an_interrupted_push_leaves_nothing_behind(store, edge, folder, places, phase) -> None:
    """Ctrl-C at the beginning of any phase before the move: no candidate, intent, record, claim or pointer stays."""
    each = await edge()
    each.stages.clear()

    def progress(event: Event) -> None:
        if isinstance(event, Started) and event.phase == phase:
            pushing.cancel()

    pushing = asyncio.create_task(push(options(folder), store, progress, places=places))
    with pytest.raises(asyncio.CancelledError):
        await pushing
    await nothing_left_behind(store)


async def test_an_interrupt_after_the_move_leaves_the_release_live(store, edge, folder, places) -> None:
    """What is live stays whole: record and claim are not taken back."""
    each = await edge()
    each.switches.clear()

    def progress(event: Event) -> None:
        if isinstance(event, Started) and event.phase == "activate":
            pushing.cancel()

    pushing = asyncio.create_task(push(options(folder), store, progress, places=places))
    with pytest.raises(asyncio.CancelledError):
        await pushing
    pointer = Pointer.from_bytes((await store.live.get("blog")).value)
    assert await store.releases.get(f"blog.{pointer.release}")
    assert await store.hosts.get("example.test")
    assert await store.candidates.keys() == ()


async def test_losing_most_of_a_site_needs_force(store, edge, places, tmp_path) -> None:
    """More than half of over 20 paths gone stops the push; --force passes; exactly half passes."""
    await edge()
    folder = write_site(tmp_path / "big", {"index.html": "i", **{f"p{n}.html": f"page {n}" for n in range(21)}})
    await push(options(folder), store, places=places)
    for number in range(12):
        (folder / f"p{number}.html").unlink()
    with pytest.raises(InputError) as caught:
        await push(options(folder), store, places=places)
    assert caught.value.message == "this push would take 12 of the 22 paths of site blog away"
    planned = await push(options(folder, dry_run=True), store, places=places)
    assert [str(each) for each in planned.warnings] == ["this push would take 12 of the 22 paths of site blog away"]
    assert (await push(options(folder, force=True), store, places=places)).outcome == "released"


async def test_purged_bytes_are_refused_until_allowed(store, edge, folder, places) -> None:
    """A file with purged bytes fails the push at any path; --allow-purged publishes it and takes it out
    of the order.
    """
    await edge()
    leaked = digest_of((folder / "about.html").read_bytes())
    order = PurgeOrder("k1", "blog", ("/about.html",), (leaked, digest_of(b"x")), 1_700_000_000, "ann")
    await store.purges.put("k1", order.to_bytes())
    with pytest.raises(InputError) as caught:
        await push(options(folder), store, places=places)
    assert [str(problem) for problem in caught.value.problems] == [
        "about.html: holds bytes that ann purged from site blog on 2023-11-14; --allow-purged publishes them again"
    ]
    assert (await push(options(folder, allow_purged=True), store, places=places)).outcome == "released"
    assert PurgeOrder.from_bytes((await store.purges.get("k1")).value).digests == (digest_of(b"x"),)


async def test_a_push_waits_while_a_sweep_is_under_way(store, edge, folder, places) -> None:
    """Nothing is asked of the store before the sweep's lease is gone, and then the push goes on by itself."""
    await edge()
    await store.leases.put("sweep", b"x")
    events: list[Event] = []
    pushing = asyncio.create_task(push(options(folder), store, events.append, places=places))
    await eventually(lambda: any("sweep" in getattr(event, "text", "") for event in events))
    assert await store.pushes.keys() != ()
    assert not any(isinstance(event, Started) for event in events)
    await store.leases.delete("sweep")
    assert (await pushing).outcome == "released"


async def test_equal_folders_on_the_same_release_with_the_same_clock_are_the_same_release(
    store, edge, folder, places, tmp_path
) -> None:
    """Times come from the clock argument and the release before, never from files."""
    await edge()
    planned = [
        await push(options(each, dry_run=True, now=1_700_000_000), store, places=Places(tmp_path / each.name, tmp_path))
        for each in (folder, write_site(tmp_path / "copy", {p.relative_to(folder).as_posix(): p.read_bytes()
                                                            for p in folder.rglob("*") if p.is_file()}))
    ]  # fmt: skip
    assert planned[0].release == planned[1].release


async def test_source_date_epoch_replaces_the_clock(store, edge, folder, places, monkeypatch) -> None:
    """Every new entry has that time."""
    await edge()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    result = await push(options(folder), store, places=places)
    record = ReleaseRecord.from_bytes((await store.releases.get(f"blog.{result.release}")).value)
    manifest = unpack_manifest(await store.blobs.read(record.manifest, record.manifest_size), result.release)
    assert {entry.modified for entry in manifest.entries} == {1_700_000_000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH is 'tomorrow'"):
        await push(options(folder), store, places=places)


async def test_a_changed_setting_or_rule_alone_is_a_release(store, edge, folder, places) -> None:
    """Rules and settings are part of the release; no blob is uploaded for them."""
    await edge()
    await push(options(folder), store, places=places)
    (folder / "_redirects").write_text("/old /about 301\n")
    result = await push(options(folder), store, places=places)
    assert result.changes == replace(result.changes, added=(), changed=(), removed=(), redirects=True)
    assert (result.outcome, result.upload_blobs) == ("released", 0)
    settings = SiteSettings("blog", ("example.test",), spa=True)
    result = await push(options(folder, settings=settings), store, places=places)
    assert (result.outcome, result.changes.settings) == ("released", True)


async def test_the_message_is_the_subject_of_the_commit(store, edge, folder, places) -> None:
    """Without --message the folder's git commit says what this is; control characters never reach a terminal."""
    await edge()
    who = ("-c", "user.name=t", "-c", "user.email=t@example.test")
    for command in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "Say \x1b[31mred")):
        process = await asyncio.create_subprocess_exec("git", "-C", str(folder), *command)
        assert await process.wait() == 0
    result = await push(options(folder, message=None), store, places=places)
    assert result.message == "Say  [31mred"
    assert result.left_out == (".git/",)
