"""A push and what the store has already: asked for, known, or lost."""

import time

import pytest

from edgeward.core.digest import digest_of
from edgeward.core.fleet import ReleaseRecord
from edgeward.core.release import unpack_manifest
from edgeward.errors import QuorumError
from edgeward.publish.places import Places
from edgeward.publish.push import push
from edgeward.publish.values import Waiting
from publishing import options


async def test_lost_blobs_are_put_again_by_the_next_push(store, edge, folder, places, tmp_path) -> None:
    """A store that lost blobs is mended, even if the folder is unchanged and this machine has no caches."""
    await edge()
    first = await push(options(folder), store, places=places)
    record = ReleaseRecord.from_bytes((await store.releases.get(f"blog.{first.release}")).value)
    manifest = unpack_manifest(await store.blobs.read(record.manifest, record.manifest_size), first.release)
    sizes = {variant.digest: variant.size for variant in manifest.blobs()}
    await store.blobs.delete(list(sizes))
    fresh = Places(tmp_path / "cache2", tmp_path / "config2")
    second = await push(options(folder), store, places=fresh)
    assert second.upload_blobs == len(sizes)
    assert await store.blobs.present(sizes) == frozenset(sizes)


async def test_a_push_asks_for_new_blobs_only_while_the_store_has_lost_none(store, edge, folder, places, monkeypatch):
    """What the push before has stored is not asked for again, unless something was taken out of the store since."""
    asked: list[int] = []
    real = store.blobs.present

    async def present(sizes, **options):
        asked.append(len(sizes))
        return await real(sizes, **options)

    await edge()
    monkeypatch.setattr(store.blobs, "present", present)
    first = await push(options(folder), store, places=places)
    (folder / "new.bin").write_bytes(b"new")
    second = await push(options(folder), store, places=places)
    assert second.upload_blobs == 1
    gone = digest_of(b"new")
    await store.blobs.delete([gone])
    third = await push(options(folder), store, places=places)
    assert (third.outcome, third.upload_blobs) == ("unchanged", 1)
    await push(options(folder), store, places=places)
    assert asked == [first.upload_blobs, 1, first.upload_blobs + 1, 0]


async def test_a_lost_manifest_does_not_stop_a_push(store, edge, folder, places) -> None:
    """If the live release cannot be read, the push takes nothing over from it and goes on."""
    await edge()
    first = await push(options(folder), store, places=places)
    record = ReleaseRecord.from_bytes((await store.releases.get(f"blog.{first.release}")).value)
    await store.blobs.delete([record.manifest])
    second = await push(options(folder, now=int(time.time()) + 5), store, places=places)
    assert second.outcome == "released"
    assert second.release != first.release


async def test_after_a_push_that_failed_everything_is_asked_for(store, edge, folder, places, monkeypatch) -> None:
    """What was counted on is forgotten until a push has ended well: it may be what was wrong."""
    asked: list[int] = []
    real = store.blobs.present

    async def present(sizes, **options):
        asked.append(len(sizes))
        return await real(sizes, **options)

    reporting = await edge()
    monkeypatch.setattr(store.blobs, "present", present)
    first = await push(options(folder), store, places=places)
    (folder / "new.bin").write_bytes(b"new")
    reporting.stages.clear()
    with pytest.raises(QuorumError):
        await push(options(folder, waiting=Waiting(0.8)), store, places=places)
    reporting.stages.set()
    (folder / "other.bin").write_bytes(b"other")
    assert (await push(options(folder), store, places=places)).outcome == "released"
    assert asked == [first.upload_blobs, 1, first.upload_blobs + 2]
