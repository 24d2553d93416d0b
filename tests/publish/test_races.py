"""Commands that meet: what one of them takes back, clears away or erases is never what another one counts on."""

import asyncio
from functools import partial

import pytest

from edgeward.core.digest import digest_of
from edgeward.core.fleet import HostClaim, Pointer, PurgeOrder
from edgeward.errors import ConflictError, InputError, QuorumError, StoreUnavailable
from edgeward.publish import promote as promote_module
from edgeward.publish import purge as purge_module
from edgeward.publish import push as push_module
from edgeward.publish import takedowns as takedowns_module
from edgeward.publish.catalog import list_releases, purge
from edgeward.publish.progress import Event, Noticed, Started
from edgeward.publish.promote import Promotion
from edgeward.publish.purge import take_down
from edgeward.publish.push import push
from edgeward.publish.releases import read_manifest, read_record
from edgeward.publish.traces import traces
from edgeward.publish.values import Waiting
from edgeward.store.blobs import BlobSource
from publishing import options, write_site

LEAK = "the password is swordfish, do not tell anybody about it. " * 20
LEAKED = digest_of(LEAK.encode())


@pytest.fixture
def at(store, folder, places):
    """Push the folder, and await something at the beginning of a phase of it (it is held there)."""

    async def push_with(phase: str, meanwhile, **changes):
        reached, go_on = asyncio.Event(), asyncio.Event()

        def progress(event: Event) -> None:
            if isinstance(event, Started) and event.phase == phase:
                reached.set()

        real = promote_module._move

        async def move(promotion: Promotion, store) -> None:
            if promotion.move == "push" and not go_on.is_set():
                await go_on.wait()
            await real(promotion, store)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(promote_module, "_move", move)
            pushing = asyncio.create_task(push(options(folder, **changes), store, progress, places=places))
            await reached.wait()
            go_on_after = await meanwhile()
            go_on.set()
            try:
                return await pushing, go_on_after
            finally:
                pushing.cancel()

    return push_with


async def test_the_loser_of_two_first_pushes_leaves_the_winner_its_hostname(store, edge, folder, places) -> None:
    """The loser made the claim, the winner relies on it: it is live with it, so the claim stays."""
    await edge()
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="lost"):
            async with traces(store, "blog", digest_of(b"never live")) as left:
                await left.claim([_claim("example.test")])
                won = await push(options(folder), store, places=places)
                raise RuntimeError("lost")
    assert won.outcome == "released"
    assert await store.hosts.keys() == ("example.test",)


async def test_a_claim_that_was_given_back_in_the_last_moment_is_made_again(store, edge, folder, at) -> None:
    """The loser gives its claim back between the winner's claim and its move: after the move the winner has it."""
    await edge()

    async def meanwhile() -> None:
        await store.hosts.delete("example.test")

    result, _ = await at("stage", meanwhile)
    assert result.outcome == "released"
    assert await store.hosts.keys() == ("example.test",)


def _claim(hostname: str):
    return HostClaim(hostname, "blog", 1)


async def test_a_push_leaves_the_candidate_of_one_that_began_after_it(store, edge, folder, places, monkeypatch) -> None:
    """After a move those candidates go that cannot win; one that began from what is live now is staged in peace."""
    await edge()
    first = (await push(options(folder), store, places=places)).release
    dead = digest_of(b"dead")
    newer = digest_of(b"newer")
    real = promote_module._clear

    async def clear(site, store) -> None:
        live = Pointer.from_bytes((await store.live.get(site)).value).release
        await store.candidates.put(f"blog.{dead}", Pointer("blog", dead, first, 1, "x", "push").to_bytes())
        await store.candidates.put(f"blog.{newer}", Pointer("blog", newer, live, 1, "x", "push").to_bytes())
        await real(site, store)

    monkeypatch.setattr(promote_module, "_clear", clear)
    write_site(folder, {"about.html": "second"})
    await push(options(folder), store, places=places)
    keys = await store.candidates.keys()
    assert f"blog.{newer}" in keys
    assert f"blog.{dead}" not in keys


async def test_a_push_whose_pointer_moves_while_edges_stage_is_told_at_once(store, edge, folder, places) -> None:
    """The winner takes the loser's candidate away, so no edge will stage it: a conflict now, not after the wait."""
    slow = await edge()
    first = await push(options(folder), store, places=places)
    stored = await store.live.get("blog")
    write_site(folder, {"about.html": "second"})
    slow.stages.clear()
    waiting = asyncio.Event()

    def progress(event: Event) -> None:
        if isinstance(event, Started) and event.phase == "stage":
            waiting.set()

    losing = asyncio.create_task(push(options(folder, waiting=Waiting(600)), store, progress, places=places))
    await waiting.wait()
    moved = Pointer("blog", first.release, first.release, 1, "somebody", "rollback")
    await store.live.update("blog", moved.to_bytes(), stored.revision)
    async with asyncio.timeout(10):
        with pytest.raises(ConflictError, match="changed by somebody else"):
            await losing
    assert await store.candidates.keys() == ()


async def test_a_push_that_began_before_a_purge_brings_nothing_back(store, edge, folder, places, monkeypatch) -> None:
    """It has scanned and uploaded when the purge ends: it is refused, and its bytes are erased again."""
    await edge()
    write_site(folder, {"leak.txt": LEAK})
    await push(options(folder), store, places=places)
    write_site(folder, {"new.html": "new"})
    purged = []

    real = push_module.upload

    async def upload(*arguments) -> None:
        if not purged:
            purged.append(await purge(store, "blog", ("/leak.txt",), places=places))
            # What a slow push found missing, or had put already.
            await store.blobs.put([BlobSource(LEAKED, len(LEAK), LEAK.encode())])
        await real(*arguments)

    monkeypatch.setattr(push_module, "upload", upload)
    real_missing = push_module.find_missing

    async def find_missing(store, build, stored=()):
        found = await real_missing(store, build, stored)
        sizes = {variant.digest: variant.size for variant in build.manifest.blobs()}
        return type(found)({**found.sizes, LEAKED: sizes[LEAKED]})

    monkeypatch.setattr(push_module, "find_missing", find_missing)
    with pytest.raises(InputError) as caught:
        await push(options(folder), store, places=places)
    assert [problem.file for problem in caught.value.problems] == ["leak.txt"]
    assert LEAKED not in await store.blobs.digests()
    assert await store.candidates.keys() == ()
    live = Pointer.from_bytes((await store.live.get("blog")).value)
    assert live.move == "purge"
    assert {line.release for line in (await list_releases(store, "blog")).releases} == {live.release}


@pytest.fixture
async def shared_with_shop(store, edge, folder, places, tmp_path):
    """Two sites are live; the next push of the blog has a page with bytes that, so far, only the shop has."""
    await edge()
    await push(options(folder), store, places=places)
    shop = write_site(tmp_path / "shop", {"index.html": "shop", "page.html": LEAK})
    await push(options(shop, site="shop", hostnames=("shop.test",)), store, places=places)
    write_site(folder, {"copy.html": LEAK})


async def all_there(store, release) -> None:
    """Every blob of a release of the blog can be read."""
    manifest = await read_manifest(store, await read_record(store, "blog", release))
    assert "/copy.html" in manifest.by_path
    for variant in manifest.blobs():
        await store.blobs.read(variant.digest, variant.size)


@pytest.mark.usefixtures("shared_with_shop")
async def test_a_blob_that_a_purge_of_another_site_erases_is_uploaded_again(store, folder, places, monkeypatch) -> None:
    """The push was told that the store has it; it is erased before there is a record that needs it."""
    purged = []
    real = push_module.pack_manifest

    async def purge_now() -> None:
        purged.append(await purge(store, "shop", ("/page.html",), places=places))

    loop = asyncio.get_running_loop()

    def pack_manifest(manifest):
        # In a thread, after the upload of what was missing and before the record.
        asyncio.run_coroutine_threadsafe(purge_now(), loop).result(30)
        return real(manifest)

    monkeypatch.setattr(push_module, "pack_manifest", pack_manifest)
    result = await push(options(folder), store, places=places)
    assert purged[0].shared == ()
    assert LEAKED in purged[0].digests
    assert (result.outcome, result.upload_blobs) == ("released", 0)
    await all_there(store, result.release)


@pytest.mark.usefixtures("shared_with_shop")
async def test_a_push_waits_for_a_purge_that_has_not_seen_its_record(store, folder, places, monkeypatch) -> None:
    """The purge has read which releases need the bytes, and erases them only after the record was written."""
    listed, erase = asyncio.Event(), asyncio.Event()
    real = takedowns_module.needed_elsewhere

    async def needed_elsewhere(*arguments):
        found = await real(*arguments)
        listed.set()
        await erase.wait()
        return found

    monkeypatch.setattr(takedowns_module, "needed_elsewhere", needed_elsewhere)
    purging = asyncio.create_task(purge(store, "shop", ("/page.html",), places=places))
    waits: list[str] = []

    def progress(event: Event) -> None:
        if isinstance(event, Noticed):
            waits.append(event.text)
            erase.set()

    async with asyncio.timeout(60):
        await listed.wait()
        result = await push(options(folder), store, progress, places=places)
        purged = await purging
    assert waits == ["waiting until what was purged from site shop is erased"]
    assert (purged.shared, result.outcome) == ((), "released")
    await all_there(store, result.release)


@pytest.mark.usefixtures("shared_with_shop")
async def test_a_push_asks_once_what_the_store_lacks_where_nothing_was_erased(
    store, folder, places, monkeypatch
) -> None:
    """The second look is for the rare case: it costs nothing in the usual one."""
    asked = []
    real = push_module.find_missing

    async def find_missing(store, build, stored=()):
        asked.append(build)
        return await real(store, build, stored)

    monkeypatch.setattr(push_module, "find_missing", find_missing)
    assert (await push(options(folder), store, places=places)).outcome == "released"
    assert len(asked) == 1


async def test_a_purge_sees_a_record_that_was_written_while_it_read(store, edge, folder, places, monkeypatch) -> None:
    """A push writes its record after the purge has listed the releases and reads the orders before there is one: the
    purge looks again and names that release too.
    """
    await edge()
    write_site(folder, {"leak.txt": LEAK})
    first = (await push(options(folder), store, places=places)).release
    write_site(folder, {"new.html": "new"})
    attempts = []

    def taking(paths, releases):
        attempts.append(frozenset(releases))
        return take_down(paths, releases)

    real = purge_module._order

    async def order(*arguments):
        if len(attempts) == 1:
            late.append((await push(options(folder), store, places=places)).release)
        return await real(*arguments)

    late: list[str] = []
    monkeypatch.setattr(purge_module, "take_down", taking)
    monkeypatch.setattr(purge_module, "_order", order)
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    assert attempts == [{first}, {first, late[0]} | {new for old, new in result.releases if old == first}]
    stored = await store.purges.values()
    assert {late[0], first} <= set(PurgeOrder.from_bytes(stored[result.key].value).releases)
    assert len(stored) == 1


async def test_a_failed_push_leaves_the_orders_as_they_were(store, edge, folder, places) -> None:
    """--allow-purged that does not come about allows nothing: order and bytes are as before, also where the order
    names that very release.
    """
    each = await edge()
    write_site(folder, {"leak.txt": LEAK})
    release = (await push(options(folder, now=1_700_000_000), store, places=places)).release
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    before = (await store.purges.get(result.key)).value
    assert release in PurgeOrder.from_bytes(before).releases
    each.stages.clear()
    again = partial(options, folder, allow_purged=True, now=1_700_000_000)
    with pytest.raises(QuorumError):
        await push(again(waiting=Waiting(1)), store, places=places)
    assert (await store.purges.get(result.key)).value == before
    assert LEAKED not in await store.blobs.digests()
    each.stages.set()
    assert (await push(again(), store, places=places)).outcome == "released"
    assert await store.purges.keys() == ()


async def test_a_release_that_was_allowed_is_younger_than_the_order(store, edge, folder, places) -> None:
    """The purger's clock was ahead: edges would refuse a release that is no younger than the order."""
    await edge()
    later = 4_000_000_000
    order = PurgeOrder("k1", "blog", ("/x",), (digest_of((folder / "about.html").read_bytes()),), later, "ann")
    await store.purges.put("k1", order.to_bytes())
    await push(options(folder, allow_purged=True), store, places=places)
    (line,) = (await list_releases(store, "blog")).releases
    assert line.created == later + 1


async def test_a_store_that_fails_after_the_move_is_told_as_such(store, edge, folder, places, monkeypatch) -> None:
    """The error says that the release is live, since it is; nothing of it is taken back."""
    await edge()

    async def clear(site, store) -> None:
        raise StoreUnavailable("the store cannot be reached")

    monkeypatch.setattr(promote_module, "_clear", clear)
    with pytest.raises(StoreUnavailable) as caught:
        await push(options(folder), store, places=places)
    live = Pointer.from_bytes((await store.live.get("blog")).value)
    assert caught.value.message.startswith(f"release {live.release[:12]} is live, but")
    assert caught.value.facts["moved"] is True
    assert await store.releases.get(f"blog.{live.release}")
    assert await store.hosts.keys() == ("example.test",)
