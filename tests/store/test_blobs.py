"""Blobs: idempotent puts, verified fetches, corruption, deletion that really erases."""

import asyncio
import os
import random
import time
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

import pytest

from edgeward.core.digest import Digest, digest_of
from edgeward.errors import CorruptionError, DiskError, NotFoundError
from edgeward.store.blobs import Blobs, BlobSource
from edgeward.store.connection import Store
from edgeward.store.layout import CHUNK, chunk_subject, chunks
from edgeward.store.server import ServerSettings

LARGE = 3 * CHUNK + 12_345


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def source(data: bytes) -> BlobSource:
    return BlobSource(digest_of(data), len(data), data)


def sizes_of(sources: Iterable[BlobSource]) -> dict[Digest, int]:
    return {item.digest: item.size for item in sources}


async def fetch(blobs: Blobs, sizes: dict[Digest, int], scratch: Path) -> dict[Digest, bytes]:
    os.makedirs(scratch, exist_ok=True)  # noqa: PTH103 (a test may block)
    found = {}
    async with aclosing(blobs.fetch(sizes, scratch)) as files:
        async for digest, path in files:
            assert digest not in found
            found[digest] = path.read_bytes()
            path.unlink()
    return found


async def store_chunk(store: Store, digest: Digest, number: int, data: bytes) -> None:
    """Store one chunk as it would never be by a put."""
    await store.jetstream.publish(chunk_subject(digest, number), data, headers={}, what="test")


async def drop_chunk(store: Store, digest: Digest, number: int) -> None:
    subject = {"filter": chunk_subject(digest, number)}
    await store.jetstream.call("STREAM.PURGE.blobs", subject, what="test")


ODD_SIZES = [0, 1, 255, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, LARGE]


async def test_every_size_comes_back_as_it_was_put(store: Store, tmp_path: Path):
    """Empty blobs, whole chunks, one byte more or less: all come back, from bytes and from files."""
    sources = []
    for number, size in enumerate(ODD_SIZES):
        data = some_bytes(size)
        if number % 2:
            path = tmp_path / f"source{number}"
            path.write_bytes(data)
            sources.append(BlobSource(digest_of(data), size, path))
        else:
            sources.append(source(data))
    await store.blobs.put(sources)
    assert await store.blobs.present(sizes_of(sources)) == frozenset(sizes_of(sources))
    found = await fetch(store.blobs, sizes_of(sources), tmp_path / "scratch")
    assert {digest: len(data) for digest, data in found.items()} == sizes_of(sources)
    assert all(digest_of(data) == digest for digest, data in found.items())
    assert list((tmp_path / "scratch").iterdir()) == []
    for item in sources:
        assert await store.blobs.read(item.digest, item.size) == found[item.digest]


async def test_progress_adds_up(store: Store):
    """The numbers given to on_progress add up to all blobs and bytes."""
    sources = [source(some_bytes(size)) for size in ODD_SIZES]
    seen: list[tuple[int, int]] = []
    await store.blobs.put(sources, lambda blobs, size: seen.append((blobs, size)))
    assert sum(blobs for blobs, _ in seen) == len(sources)
    assert sum(size for _, size in seen) == sum(ODD_SIZES)


async def test_a_put_may_be_repeated(store: Store, tmp_path: Path):
    """The second put stores nothing new, and what is stored stays right."""
    sources = [source(some_bytes(size)) for size in ODD_SIZES]
    await store.blobs.put(sources)
    before = (await store.jetstream.info("blobs", what="test"))["state"]
    await store.blobs.put(sources)
    await asyncio.gather(*(store.blobs.put(sources) for _ in range(3)))
    after = (await store.jetstream.info("blobs", what="test"))["state"]
    assert (after["messages"], after["last_seq"]) == (before["messages"], before["last_seq"])
    assert len(await fetch(store.blobs, sizes_of(sources), tmp_path / "scratch")) == len(sources)


@pytest.mark.parametrize("there", [[0], [1], [3], [0, 2], [1, 2, 3]])
async def test_a_blob_that_was_put_half_way_is_not_present_and_is_completed(store: Store, tmp_path, there: list[int]):
    """Present wants every chunk; a put fills in those that are missing."""
    data = some_bytes(LARGE)
    item = source(data)
    for number in there:
        await store_chunk(store, item.digest, number, data[number * CHUNK : (number + 1) * CHUNK])
    assert await store.blobs.present({item.digest: item.size}) == frozenset()
    with pytest.raises(NotFoundError, match="is not there") as caught:
        await fetch(store.blobs, {item.digest: item.size}, tmp_path / "scratch")
    assert caught.value.facts["missing"] == [item.digest]
    with pytest.raises(NotFoundError):
        await store.blobs.read(item.digest, item.size)
    await store.blobs.put([item])
    assert await store.blobs.present({item.digest: item.size}) == {item.digest}
    assert await fetch(store.blobs, {item.digest: item.size}, tmp_path / "scratch") == {item.digest: data}


@pytest.mark.parametrize("size", [0, 20_000, LARGE])
async def test_a_corrupt_blob_is_detected_and_a_put_mends_it(store: Store, tmp_path: Path, size: int):
    """Wrong bytes under a digest are never handed out; putting the right ones again replaces them."""
    good, data = source(some_bytes(700, seed=1)), some_bytes(size)
    item = source(data)
    await store.blobs.put([good, item])
    number = chunks(size) - 1
    await drop_chunk(store, item.digest, number)
    await store_chunk(store, item.digest, number, b"evil")
    wanted = sizes_of([item, good])

    found = {}
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    async def take() -> None:
        async for digest, path in store.blobs.fetch(wanted, scratch):
            found[digest] = path  # noqa: PERF403 (what came before the error matters)

    with pytest.raises(CorruptionError, match="does not have the digest that names it") as caught:
        await take()
    assert caught.value.facts["corrupt"] == [item.digest]
    assert list(found) == [good.digest], "the others come all the same"
    assert list(scratch.iterdir()) == list(found.values()), "nothing unverified is left behind"
    with pytest.raises(CorruptionError):
        await store.blobs.read(item.digest, item.size)

    await store.blobs.put([item])
    assert await fetch(store.blobs, wanted, tmp_path / "again") == {item.digest: data, good.digest: good.data}


async def test_a_chunk_that_is_longer_than_a_chunk_is_corrupt(store: Store, tmp_path: Path):
    """A chunk that would run into the next one's place is refused."""
    data = some_bytes(2 * CHUNK)
    item = source(data)
    await store_chunk(store, item.digest, 0, data[: CHUNK + 100])
    await store_chunk(store, item.digest, 1, data[CHUNK:])
    with pytest.raises(CorruptionError):
        await fetch(store.blobs, {item.digest: item.size}, tmp_path / "scratch")


@pytest.mark.parametrize("size", [500, LARGE])
@pytest.mark.parametrize("change", ["shorter", "longer", "other", "gone"])
async def test_a_source_that_is_not_what_it_was_never_becomes_a_blob(store: Store, tmp_path: Path, size: int, change):
    """A file that changed since it was scanned is refused by name, and its digest is not present afterwards."""
    data = some_bytes(size)
    path = tmp_path / "page.html"
    contents = {"shorter": data[:-1], "longer": data + b"x", "other": data[:-1] + b"?"}
    if change != "gone":
        path.write_bytes(contents[change])
    item = BlobSource(digest_of(data), size, path)
    with pytest.raises(DiskError if change == "gone" else CorruptionError, match=r"page\.html"):
        await store.blobs.put([item])
    assert await store.blobs.present({item.digest: size}) == frozenset()
    await store.blobs.put([source(data)])
    assert await fetch(store.blobs, {item.digest: size}, tmp_path / "scratch") == {item.digest: data}


async def test_a_scratch_folder_that_cannot_be_written_is_a_disk_error(store: Store, tmp_path: Path):
    """The local disk's fault is not the store's."""
    item = source(b"hello")
    await store.blobs.put([item])
    with pytest.raises(DiskError, match="cannot write fetched blobs"):
        async for _ in store.blobs.fetch({item.digest: item.size}, tmp_path / "not" / "there"):
            pass


async def test_leaving_a_fetch_early_leaves_no_half_written_file(store: Store, tmp_path: Path):
    """Only files that were handed out stay in the scratch folder."""
    sources = [source(some_bytes(9 * CHUNK, seed=seed)) for seed in range(5)]
    await store.blobs.put(sources)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    async with aclosing(store.blobs.fetch(sizes_of(sources), scratch)) as files:
        async for _, path in files:
            kept = path
            break
    assert list(scratch.iterdir()) == [kept]


async def test_fetched_files_can_be_read_by_the_web_server(store: Store, tmp_path: Path):
    """Files are readable for all, whatever the process's umask keeps of it: they are public content."""
    previous = os.umask(0o022)
    try:
        sources = [source(b"small"), source(some_bytes(LARGE))]
        await store.blobs.put(sources)
        async for _, path in store.blobs.fetch(sizes_of(sources), tmp_path):
            assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(previous)


async def test_present_of_ten_thousand_is_quick_and_right(store: Store):
    """10,000 digests, some half there and some not at all, are answered in well under a second, correctly."""
    sources = [source(b"%d" % number) for number in range(10_000)]
    half = source(some_bytes(LARGE))
    await store.blobs.put(sources[:9_000])
    await store_chunk(store, half.digest, 0, half.data[:CHUNK])
    began = time.monotonic()
    found = await store.blobs.present(sizes_of([*sources, half]))
    took = time.monotonic() - began
    assert found == frozenset(sizes_of(sources[:9_000]))
    few = sizes_of([*sources[8_500:9_500], half])
    assert await store.blobs.present(few) == frozenset(sizes_of(sources[8_500:9_000]))
    assert took < 1.0


async def test_digests_tells_ages_by_the_servers_clock(store: Store):
    """Every blob with its age and bytes, half-put ones as well."""
    assert await store.blobs.digests() == {}
    half = source(some_bytes(LARGE))
    small, empty = source(b"hello"), source(b"")
    await store.blobs.put([small, empty])
    await store_chunk(store, half.digest, 2, half.data[:100])
    found = await store.blobs.digests()
    assert {digest: item.size for digest, item in found.items()} == {small.digest: 5, empty.digest: 0, half.digest: 100}
    assert all(0 <= item.age < 10 for item in found.values())


async def test_a_deleted_blob_is_gone_and_can_be_put_again(store: Store, tmp_path: Path):
    """Delete takes the named blobs and no others, with and without erasing; repeating it does no harm."""
    kept, small, large = source(b"kept"), source(b"small"), source(some_bytes(LARGE))
    for erase in (True, False):
        await store.blobs.put([kept, small, large])
        await store.blobs.delete([small.digest, large.digest, digest_of(b"never")], erase=erase)
        await store.blobs.delete([small.digest], erase=erase)
        assert await store.blobs.present(sizes_of([kept, small, large])) == {kept.digest}
        assert set(await store.blobs.digests()) == {kept.digest}
    await store.blobs.put([small, large])
    found = await fetch(store.blobs, sizes_of([small, large]), tmp_path / "scratch")
    assert found[large.digest] == large.data


def holds(folder: Path, marker: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and marker in path.read_bytes()]


async def test_erased_bytes_are_in_none_of_the_servers_files(store: Store, settings: ServerSettings, kill):
    """What a takedown removes is not on the server's disk any more, not even after it has been started again."""
    marker = b"TOP-SECRET-" + os.urandom(8).hex().encode()
    leaked = [source(marker + some_bytes(900)), source(some_bytes(CHUNK + 100) + marker), source(marker)]
    others = [source(some_bytes(5_000, seed=seed)) for seed in range(50)]
    await store.blobs.put([*others[:25], *leaked, *others[25:]])
    assert holds(settings.data, marker)
    await store.blobs.delete([item.digest for item in leaked])
    assert holds(settings.data, marker) == []
    await kill()
    assert holds(settings.data, marker) == []
    assert await store.blobs.present(sizes_of([*leaked, *others])) == frozenset(sizes_of(others))
