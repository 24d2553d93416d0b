"""Takedowns against a real store: no record, manifest or blob holds the content any more, and it does not come back."""

import time

import pytest

from edgeward.core.digest import digest_of
from edgeward.core.fleet import Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.release import unpack_manifest
from edgeward.errors import InputError, NotFoundError
from edgeward.publish import purge as purge_module
from edgeward.publish.catalog import list_releases, purge, rollback
from edgeward.publish.deployer import signature_holds
from edgeward.publish.push import push
from edgeward.publish.values import Bystander, Waiting
from edgeward.publish.variant_cache import VariantCache
from publishing import options, write_site

LEAK = "the password is swordfish, do not tell anybody about it. " * 20


@pytest.fixture
async def leaked(store, edge, folder, places):
    """Three releases: before the leak, with it (twice, under two names), with it still."""
    await edge("FRA")
    releases = []
    for files in ({}, {"leak.txt": LEAK, "copy/of.txt": LEAK, "two.html": "2"}, {"more.html": "more"}):
        write_site(folder, files)
        releases.append((await push(options(folder), store, places=places)).release)
    return releases


async def everything_stored(store) -> bytes:
    """Every byte of every blob in the store."""
    found = await store.blobs.digests()
    return b"".join([await store.blobs.read(digest, blob.size) for digest, blob in found.items()])


async def manifests(store, site="blog"):
    for stored in (await store.releases.values()).values():
        record = ReleaseRecord.from_bytes(stored.value)
        if record.site == site:
            assert signature_holds(record)
            yield record, unpack_manifest(await store.blobs.read(record.manifest, record.manifest_size), record.release)


async def test_content_is_out_of_every_release_and_blob(store, edge, folder, places, leaked) -> None:
    """Live and older releases are rewritten, the same bytes under another name go too, and the report
    says all of it.
    """
    result = await purge(store, "blog", ("/leak.txt",), by="ann", places=places)
    assert result.taken_out == ("/copy/of.txt", "/leak.txt")
    assert {old for old, _ in result.releases} == set(leaked[1:])
    assert result.edges == ("FRA",)
    assert result.late == ()
    assert result.shared == ()
    assert digest_of(LEAK.encode()) in result.digests
    stored = await store.blobs.digests()
    assert not stored.keys() & set(result.digests)
    assert b"swordfish" not in await everything_stored(store)
    count = 0
    async for record, manifest in manifests(store):
        count += 1
        assert not {"/leak.txt", "/copy/of.txt"} & manifest.by_path.keys()
        if record.replaces:
            assert record.purged == ("/copy/of.txt", "/leak.txt")
    assert count == 3
    pointer = Pointer.from_bytes((await store.live.get("blog")).value)
    names = dict(result.releases)
    assert (pointer.release, pointer.previous, pointer.move) == (names[leaked[2]], names[leaked[1]], "purge")
    assert VariantCache.below(places.cache).find(digest_of(LEAK.encode())) is None


async def test_a_rollback_past_a_purge_does_not_bring_it_back(store, edge, folder, places, leaked) -> None:
    """Rollbacks lead to the rewritten releases, as if they had always been so."""
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    names = dict(result.releases)
    assert (await rollback(store, "blog")).release == names[leaked[1]]
    assert (await rollback(store, "blog")).release == leaked[0]


async def test_a_release_that_becomes_one_that_is_there_is_that_one(store, edge, folder, places) -> None:
    """Without the leak the second release is the first: there is one left, and nothing to go back to."""
    await edge()
    first = (await push(options(folder), store, places=places)).release
    write_site(folder, {"leak.txt": LEAK})
    second = (await push(options(folder), store, places=places)).release
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    assert result.releases == ((second, first),)
    assert [line.release for line in (await list_releases(store, "blog")).releases] == [first]
    with pytest.raises(NotFoundError, match="no earlier release"):
        await rollback(store, "blog")


async def test_purged_bytes_cannot_be_pushed_again_by_accident(store, edge, folder, places, leaked) -> None:
    """The file that is still in the folder is refused by name; with --allow-purged it is published and may be purged
    again.
    """
    await purge(store, "blog", ("/leak.txt",), by="ann", places=places)
    with pytest.raises(InputError) as caught:
        await push(options(folder), store, places=places)
    assert [problem.file for problem in caught.value.problems] == ["copy/of.txt", "leak.txt"]
    assert (await push(options(folder, allow_purged=True), store, places=places)).outcome == "released"
    assert await store.purges.keys() == ()
    again = await purge(store, "blog", ("/leak.txt",), places=places)
    assert again.taken_out == ("/copy/of.txt", "/leak.txt")
    assert b"swordfish" not in await everything_stored(store)


async def test_bytes_of_another_site_stay_there(store, folder, places, leaked) -> None:
    """They are named with the site that holds them, and go from this site all the same."""
    other = write_site(folder.parent / "other", {"index.html": LEAK})
    await push(options(other, site="shop", hostnames=("shop.test",)), store, places=places)
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    assert (digest_of(LEAK.encode()), "shop") in result.shared
    async for _, manifest in manifests(store, "shop"):
        sizes = {variant.digest: variant.size for variant in manifest.blobs()}
        assert await store.blobs.present(sizes) == frozenset(sizes)


async def test_an_unreadable_manifest_of_another_site_keeps_the_bytes(store, folder, places, leaked) -> None:
    """What it names nobody knows: nothing is erased by guess, the site is named, and the page is gone all the same."""
    other = write_site(folder.parent / "other", {"index.html": LEAK})
    pushed = await push(options(other, site="shop", hostnames=("shop.test",)), store, places=places)
    record = ReleaseRecord.from_bytes((await store.releases.get(f"shop.{pushed.release}")).value)
    await store.blobs.delete([record.manifest])
    noticed = []
    result = await purge(store, "blog", ("/leak.txt",), places=places, progress=noticed.append)
    assert result.digests == ()
    assert dict(result.shared)[digest_of(LEAK.encode())] == "shop"
    assert any("site shop may need them" in getattr(event, "text", "") for event in noticed), noticed
    assert digest_of(LEAK.encode()) in await store.blobs.digests()
    live = Pointer.from_bytes((await store.live.get("blog")).value)
    assert live.release == dict(result.releases)[leaked[2]]


async def test_an_order_is_no_older_than_what_it_names(store, edge, folder, places, leaked, monkeypatch) -> None:
    """The purger's clock is an hour behind the pushers': the order names the releases, with a time that covers them."""
    now = time.time()
    created = [line.created for line in (await list_releases(store, "blog")).releases]
    with monkeypatch.context() as patch:
        patch.setattr(purge_module.time, "time", lambda: now - 3600)
        result = await purge(store, "blog", ("/leak.txt",), places=places)
    (stored,) = (await store.purges.values()).values()
    order = PurgeOrder.from_bytes(stored.value)
    assert set(order.releases) == {old for old, _ in result.releases} == set(leaked[1:])
    assert order.at >= max(created)


async def test_a_push_in_the_middle_of_a_purge_gets_an_order_of_its_own(
    store, edge, folder, places, leaked, monkeypatch
) -> None:
    """A push wins between order and pointer: edges may have confirmed that order, so the second attempt has another
    key, names the new release too, and the first order is withdrawn.
    """
    real, keys = purge_module._move, []

    async def move(run, live, names):
        keys.extend(await store.purges.keys())
        if len(keys) == 1:
            withheld = await store.purges.get(keys[0])
            await store.purges.delete(keys[0])
            write_site(folder, {"newer.html": "newer"})
            pushed.append((await push(options(folder), store, places=places)).release)
            await store.purges.put(keys[0], withheld.value)
        return await real(run, live, names)

    pushed: list[str] = []
    monkeypatch.setattr(purge_module, "_move", move)
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    assert len(set(keys)) == 2
    assert await store.purges.keys() == (keys[1],) == (result.key,)
    assert pushed[0] in dict(result.releases)
    order = PurgeOrder.from_bytes((await store.purges.get(result.key)).value)
    assert pushed[0] in order.releases
    assert b"swordfish" not in await everything_stored(store)


async def test_edges_that_are_away_are_named(store, edge, folder, places, leaked) -> None:
    """The takedown does not wait for what cannot answer, nor stop for what is late; drained edges must confirm too."""
    drained = await edge("IAD", drained=True)
    drained.switches.clear()
    record = (await store.edges.get("FRA")).value.replace(b'"name":"FRA"', b'"name":"SYD"')
    await store.edges.put("SYD", record)
    result = await purge(store, "blog", ("/leak.txt",), waiting=Waiting(1), places=places)
    assert result.edges == ("FRA",)
    assert result.late == (
        Bystander("IAD", "has not confirmed in time"),
        Bystander("SYD", "not reporting: carries it out when it is back"),
    )


async def test_a_path_that_nobody_holds_is_an_error(store, edge, folder, places, leaked) -> None:
    """A mistyped path is not reported as taken down, and nothing is done for the others."""
    with pytest.raises(NotFoundError) as caught:
        await purge(store, "blog", ("/leak.txt", "/leek.txt"), places=places)
    assert caught.value.message == "no release of site blog holds /leek.txt"
    assert await store.purges.keys() == ()
    with pytest.raises(NotFoundError, match="the fleet has no site 'shop'"):
        await purge(store, "shop", ("/x",), places=places)


async def test_a_purge_that_was_cut_off_is_completed_by_the_same_command(store, edge, folder, places, leaked) -> None:
    """With the order and the new releases in place but the bytes still stored, the second run erases them."""
    first = await purge(store, "blog", ("/leak.txt",), places=places)
    from edgeward.store.blobs import BlobSource

    await store.blobs.put([BlobSource(digest_of(LEAK.encode()), len(LEAK), LEAK.encode())])
    second = await purge(store, "blog", ("/leak.txt",), places=places)
    assert second.key == first.key
    assert second.taken_out == ("/leak.txt",)
    assert b"swordfish" not in await everything_stored(store)


async def test_the_live_release_is_unchanged_when_only_older_ones_held_it(store, edge, folder, places, leaked) -> None:
    """The pointer is written anew (so that pushes under way lose), but names the same release."""
    for name in ("leak.txt", "copy/of.txt"):
        (folder / name).unlink()
    newest = (await push(options(folder), store, places=places)).release
    before = await store.live.get("blog")
    result = await purge(store, "blog", ("/leak.txt",), places=places)
    after = await store.live.get("blog")
    assert after.revision > before.revision
    pointer = Pointer.from_bytes(after.value)
    assert pointer.release == newest
    assert dict(result.releases)[leaked[2]] == newest
    assert pointer.previous is None
    orders = await store.purges.values()
    assert [PurgeOrder.from_bytes(stored.value).paths for stored in orders.values()] == [("/leak.txt",)]
    assert len((await list_releases(store, "blog")).releases) == 3
