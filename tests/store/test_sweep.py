"""The sweep of the store: what nothing needs goes, what anybody counts on stays, whatever the interleaving."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.release import Entry, Manifest, Variant, pack_manifest
from edgeward.core.retention import DAY, Policy
from edgeward.core.site import SiteSettings
from edgeward.errors import ConflictError, SchemaError
from edgeward.publish.intent import intent
from edgeward.publish.progress import Noticed
from edgeward.store import sweep as sweep_module
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store, open_store
from edgeward.store.server import ServerSettings, StateServer
from edgeward.store.sweep import LEASE, sweep

NOW = int(time.time())
AT_ONCE = Policy(last=2, days=0, grace=0)


def source(data: bytes) -> BlobSource:
    return BlobSource(digest_of(data), len(data), data)


def manifest_of(site: str, pages: dict[str, bytes]) -> Manifest:
    entries = [
        Entry(path, "text/html", NOW, (Variant("identity", digest_of(data), len(data)),))
        for path, data in sorted(pages.items())
    ]
    settings = SiteSettings(name=site, hostnames=(f"{site}.test",), keep_assets_days=0)
    return Manifest(settings, tuple(entries))


Step = Callable[[str], Awaitable[None]]


async def no_step(name: str) -> None:
    pass


async def push(
    store: Store,
    site: str,
    pages: dict[str, bytes],
    *,
    created: int = NOW,
    step: Step = no_step,
    progress=lambda _: None,
) -> ReleaseRecord:
    """What a push does to the store, step by step; `step` is awaited before each."""
    manifest = manifest_of(site, pages)
    packed = pack_manifest(manifest)
    sources = {item.digest: item for item in map(source, pages.values())}
    await step("intent")
    async with intent(store, site, progress):
        await step("present")
        present = await store.blobs.present({digest: item.size for digest, item in sources.items()})
        await step("put")
        await store.blobs.put([item for digest, item in sources.items() if digest not in present])
        await step("manifest")
        await store.blobs.put([source(packed)])
        record = ReleaseRecord(
            site, manifest.release, digest_of(packed), len(packed), created, "", "ada", len(pages), 0
        )
        await step("record")
        with suppress(ConflictError):
            await store.releases.create(f"{site}.{record.release}", record.to_bytes())
        await step("pointer")
        live = await store.live.get(site)
        previous = Pointer.from_bytes(live.value).release if live else None
        pointer = Pointer(site, record.release, previous, created, "ada", "push")
        await store.live.put(site, pointer.to_bytes())
        await step("end")
    return record


async def blobs_of(store: Store) -> set[Digest]:
    return set(await store.blobs.digests())


async def test_a_blob_that_no_release_needs_goes_and_all_others_stay(store: Store):
    """Orphans go; the blobs and the manifest of a kept release stay."""
    pages = {"/index.html": b"hello", "/a.html": b"a"}
    record = await push(store, "docs", pages)
    await store.blobs.put([source(b"orphan"), source(b"x" * 600_000)])
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert (result.releases, result.blobs, result.bytes) == ((), 2, 600_006)
    assert await blobs_of(store) == {digest_of(b"hello"), digest_of(b"a"), record.manifest}
    assert await store.leases.keys() == (), "the lease is given back"


async def test_what_a_takedown_names_is_overwritten_by_the_sweep(store: Store, settings: ServerSettings):
    """Purged bytes that came back into the store are in none of the server's files after the sweep."""
    leak = b"TOP-SECRET-" + b"leak " * 200
    await push(store, "docs", {"/index.html": b"hello"})
    await store.blobs.put([source(leak), *(source(b"%d" % number * 5000) for number in range(20))])
    order = PurgeOrder("k1", "docs", ("/leak.txt",), (digest_of(leak),), NOW, "ann")
    await store.purges.put("k1", order.to_bytes())

    def holding() -> list[Path]:
        return [path for path in settings.data.rglob("*") if path.is_file() and leak in path.read_bytes()]

    assert holding()
    await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert holding() == []


async def test_old_releases_go_with_what_only_they_needed(store: Store):
    """Beyond the last releases and the days the records go, and the blobs that no newer release shares."""
    shared = b"in every release"
    records = [
        await push(store, "docs", {"/index.html": b"%d" % turn, "/s.html": shared}, created=NOW - (9 - turn) * DAY)
        for turn in range(5)
    ]
    other = await push(store, "blog", {"/index.html": b"0"}, created=NOW - 100 * DAY)
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    gone = {f"docs.{record.release}" for record in records[:3]}
    assert set(result.releases) == gone
    assert set(await store.releases.keys()) == {
        *(f"docs.{record.release}" for record in records[3:]),
        f"blog.{other.release}",
    }
    stays = {digest_of(data) for data in (b"3", b"4", shared, b"0")}
    assert await blobs_of(store) == stays | {records[3].manifest, records[4].manifest, other.manifest}


async def test_a_release_that_a_candidate_announces_stays(store: Store):
    """What a push is about to make live is not old, however old it is."""
    first = await push(store, "docs", {"/index.html": b"0"}, created=NOW - 90 * DAY)
    for turn in range(1, 5):
        await push(store, "docs", {"/index.html": b"%d" % turn}, created=NOW - 80 * DAY + turn)
    pointer = Pointer("docs", first.release, None, NOW, "ada", "rollback")
    await store.candidates.put(f"docs.{first.release}", pointer.to_bytes())
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert f"docs.{first.release}" not in result.releases
    assert digest_of(b"0") in await blobs_of(store)


async def test_within_the_grace_period_nothing_goes(store: Store):
    """A blob that was put just now stays, even if nothing needs it yet."""
    await store.blobs.put([source(b"orphan")])
    result = await sweep(store, now=NOW, by="test", policy=Policy(grace=3600))
    assert result.blobs == 0
    assert await blobs_of(store) == {digest_of(b"orphan")}


async def test_nothing_goes_while_a_push_is_under_way(store: Store):
    """An intent stops the sweep before it has looked at anything."""
    await store.blobs.put([source(b"orphan")])
    async with intent(store, "docs", lambda _: None):
        result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert (result.blobs, result.because) == (0, "nothing was done: 1 pushes are under way")
    assert await store.leases.keys() == ()
    assert (await sweep(store, now=NOW, by="test", policy=AT_ONCE)).blobs == 1


async def test_only_one_sweep_at_a_time(store: Store):
    """The second one goes away and leaves the first one's lease alone."""
    await store.leases.create(LEASE, b"somebody else's")
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert result.because == "nothing was done: another sweep is under way"
    assert await store.leases.keys() == (LEASE,)


async def test_a_release_whose_manifest_cannot_be_read_stops_the_sweep(store: Store):
    """Nothing is known of what may go, so nothing goes."""
    record = await push(store, "docs", {"/index.html": b"hello"})
    await store.blobs.put([source(b"orphan")])
    await store.blobs.delete([record.manifest])
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert result.blobs == 0
    assert f"manifest of release {record.release[:12]} cannot be read" in result.because
    assert digest_of(b"orphan") in await blobs_of(store)


async def test_a_record_of_an_unknown_schema_stops_the_sweep(store: Store):
    """A newer program's release is not one to judge by an older one."""
    await store.releases.put("docs.x", b'{"schema":[9,0]}')
    await store.blobs.put([source(b"orphan")])
    with pytest.raises(SchemaError):
        await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert await blobs_of(store) == {digest_of(b"orphan")}
    assert await store.leases.keys() == ()


async def test_a_sweep_that_loses_its_lease_stops(store: Store, monkeypatch):
    """Whoever takes the lease away stops the deletions that are still to come."""
    await store.blobs.put([source(b"orphan")])
    genuine = store.blobs.digests

    async def robbed(**_: object):
        await store.leases.put(LEASE, b"somebody else's")
        return await genuine()

    monkeypatch.setattr(store.blobs, "digests", robbed)
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert result.because == "it was stopped half-way: its lease ran out"
    assert await blobs_of(store) == {digest_of(b"orphan")}
    held = await store.leases.get(LEASE)
    assert held is not None
    assert held.value == b"somebody else's"


@pytest.fixture
async def sweeper(server: StateServer) -> AsyncIterator[Store]:
    """A second client of the store: the sweep's."""
    async with open_store(server.address, name="sweeper") as opened:
        yield opened


def stop_before(store: Store, monkeypatch, action: Callable[[int], Awaitable[None]]) -> list[int]:
    """Have `action` awaited before every request of a store; returns a list that counts them."""
    count = [0]
    for link in (store._link, store._bulk):
        genuine = link.request

        async def held(*args, genuine=genuine, **kwargs):
            number = count[0]
            count[0] += 1
            await action(number)
            return await genuine(*args, **kwargs)

        monkeypatch.setattr(link, "request", held)
    return count


async def whole(store: Store, pages: dict[str, bytes]) -> bool:
    sizes = {digest_of(data): len(data) for data in pages.values()}
    return await store.blobs.present(sizes) == frozenset(sizes)


async def test_a_push_at_any_moment_of_a_sweep_finds_all_it_counts_on(store: Store, sweeper: Store, monkeypatch):
    """For every request of a sweep: a push begins just before it, asks what is present, and goes on after it.

    In the end the pushed release is whole, whichever of the two gave way.
    """
    turn, gave_way = 0, {"push": 0, "sweep": 0}
    while True:
        pages = {"/index.html": b"orphan that the push counts on %d" % turn}
        await store.blobs.put([source(data) for data in pages.values()])
        over = asyncio.Event()
        settled = asyncio.Event()
        pushing: list[asyncio.Task[ReleaseRecord]] = []

        async def step(name: str, settled=settled, over=over) -> None:
            if name == "put":
                settled.set()
                await over.wait()

        def progress(step: object, settled=settled) -> None:
            assert isinstance(step, Noticed), "the push says that it waits for a sweep"
            gave_way["push"] += 1
            settled.set()

        async def action(
            number: int, turn=turn, pages=pages, step=step, progress=progress, settled=settled, pushing=pushing
        ) -> None:
            if number == turn and not pushing:
                pushing.append(asyncio.create_task(push(store, "docs", pages, step=step, progress=progress)))
                await settled.wait()

        with monkeypatch.context() as patch:
            count = stop_before(sweeper, patch, action)
            result = await sweep(sweeper, now=NOW + 60, by="test", policy=AT_ONCE)
        over.set()
        if not pushing:
            assert turn >= count[0] > 15, "every request of the sweep was tried"
            break
        gave_way["sweep"] += "pushes are under way" in result.because
        await pushing[0]
        assert await whole(store, pages), f"the push began before request {turn} of the sweep"
        turn += 1
    assert gave_way["push"] > 5
    assert gave_way["sweep"] > 0


async def test_a_sweep_at_any_moment_of_a_push_takes_nothing_it_counts_on(store: Store, sweeper: Store):
    """For every step of a push: a whole sweep runs just before it, and the release is whole in the end."""
    for moment in ("intent", "present", "put", "manifest", "record", "pointer", "end"):
        pages = {"/index.html": f"counted on at {moment}".encode(), "/new.html": f"new at {moment}".encode()}
        await store.blobs.put([source(pages["/index.html"])])
        results = []

        async def step(name: str, moment=moment, results=results) -> None:
            if name == moment:
                results.append(await sweep(sweeper, now=NOW + 60, by="test", policy=AT_ONCE))

        await push(store, "docs", pages, step=step)
        assert await whole(store, pages), moment
        assert ("pushes are under way" in results[0].because) == (moment != "intent")


async def test_a_sweep_that_was_stopped_for_long_deletes_nothing_more(store: Store, monkeypatch):
    """A process that was held up until its lease ran out looks again before the next deletion."""
    await store.blobs.put([source(b"first orphan"), source(b"second orphan")])
    loop = asyncio.get_running_loop()
    genuine = store.blobs.delete
    deleted = []

    async def held_up(digests, **more: object):
        await genuine(digests, **more)
        deleted.extend(digests)
        await store.leases.put(LEASE, b"somebody else's, after ours ran out")
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now + 25)

    monkeypatch.setattr(store.blobs, "delete", held_up)
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    monkeypatch.undo()
    assert result.because == "it was stopped half-way: its lease ran out"
    assert len(deleted) == 1
    assert await blobs_of(store) == {digest_of(b"first orphan"), digest_of(b"second orphan")} - set(deleted)


async def test_a_sweep_leaves_the_rest_to_the_next_one_when_it_takes_long(store: Store, monkeypatch):
    """Pushes wait while the lease is held, so a sweep is short."""
    monkeypatch.setattr(sweep_module, "_LONGEST", -1.0)
    await store.blobs.put([source(b"orphan")])
    result = await sweep(store, now=NOW, by="test", policy=AT_ONCE)
    assert result.blobs == 0
    assert "1 more are left to the next sweep" in result.because
