"""No room: the limit of the blobs, and a disk that is really full."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeward.core.digest import digest_of
from edgeward.errors import StoreError, StoreFull
from edgeward.store import server as server_module
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import open_store
from edgeward.store.server import ServerSettings, StateServer
from waiting import eventually

MIB = 1024 * 1024


def source(seed: int, size: int) -> BlobSource:
    data = seed.to_bytes(4, "big") + os.urandom(size - 4)
    return BlobSource(digest_of(data), size, data)


async def test_when_the_blobs_have_used_up_their_room_pointers_can_still_be_written(settings: ServerSettings):
    """The error names the store and the setting; small values go on; deleting makes room; all that was put stays."""
    limited = ServerSettings(settings.data, settings.listen, 0, max_bytes=4 * MIB)
    async with StateServer(limited) as server, open_store(server.address, name="test") as store:
        kept = [source(number, 900_000) for number in range(4)]
        await store.blobs.put(kept)
        over = source(9, 900_000)
        with pytest.raises(StoreFull, match=r"cannot put blob .*: the state store has no room") as caught:
            await store.blobs.put([over])
        assert "max_bytes" in str(caught.value.hint)
        sizes = {item.digest: item.size for item in [*kept, over]}
        assert await store.blobs.present(sizes) == {item.digest for item in kept}
        await store.live.put("docs", b"still works")
        await store.status.put("fra", b"still works")
        await store.blobs.delete([kept[0].digest])
        await store.blobs.put([over])
        assert over.digest in await store.blobs.present(sizes)


async def test_a_limit_that_is_lowered_below_what_is_stored_deletes_nothing(settings: ServerSettings):
    """A smaller limit refuses more blobs; those that are stored stay."""
    blobs = [source(number, 500_000) for number in range(8)]
    sizes = {item.digest: item.size for item in blobs}
    async with StateServer(settings) as server, open_store(server.address, name="test") as store:
        await store.blobs.put(blobs)
    limited = ServerSettings(settings.data, settings.listen, 0, settings.token, max_bytes=MIB)
    async with StateServer(limited) as server, open_store(server.address, name="test") as store:
        assert await store.blobs.present(sizes) == frozenset(sizes)
        with pytest.raises(StoreFull):
            await store.blobs.put([source(99, 500_000)])
        assert await store.blobs.present(sizes) == frozenset(sizes)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting a small file system takes root on Linux")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_said_and_survived(small_disk: Path, loopback_address: str, monkeypatch):
    """The disk fills up behind the server's back: writes are refused, the supervisor says why, and when there is room
    again everything works without a manual step, with all that was acknowledged.
    """
    monkeypatch.setattr(server_module, "_CHECK_EVERY", 0.2)
    server = StateServer(ServerSettings(small_disk / "state", loopback_address, 0, max_bytes=100 * MIB, reserve=0))
    filler = small_disk / "filler"
    acknowledged = []
    async with server, open_store(server.address, name="test") as store:
        await store.live.put("docs", b"1")
        blobs = [source(number, 700_000) for number in range(10)]
        await store.blobs.put(blobs)
        with filler.open("wb") as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(65_536))
                file.flush()
        failed = None
        for number in range(200):
            try:
                acknowledged.append(await store.releases.create(f"k{number}", bytes(10_000), deadline=2.0))
            except StoreError as error:
                failed = error
                break
        assert failed is not None
        with pytest.raises(StoreError):
            await store.blobs.put([source(50, 700_000)], patience=2.0)
        await eventually(lambda: "is full, so nothing can be written" in (server.problem or ""), within=30)
        with pytest.raises(
            StoreFull, match="cannot create 'late' in bucket releases: the state store has no room: the disk"
        ):
            await store.releases.create("late", b"", deadline=0.5)
        assert await store.blobs.read(blobs[0].digest, blobs[0].size) == blobs[0].data, "reading goes on"
        filler.unlink()
        await eventually(lambda: server.problem is None, within=30)
        await store.live.put("docs", b"2", deadline=10)
        assert len(await store.releases.keys()) >= len(acknowledged)
        sizes = {item.digest: item.size for item in blobs}
        assert await store.blobs.present(sizes) == frozenset(sizes)
        more = source(60, 700_000)
        await store.blobs.put([more])
        assert await store.blobs.read(more.digest, more.size) == more.data
        await asyncio.gather(*(store.blobs.read(item.digest, item.size) for item in blobs))
