"""Blobs into the state store and out of it, and small writes, side by side with the same store without syncs."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

from edgeward.core.digest import Digest, digest_of
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store, open_store
from edgeward.store.program import ServerFolder
from edgeward.store.server import ServerSettings, StateServer

ADDRESS = "127.0.87.1"
SHAPES = ((10_000, 17_900), (400, 512 * 1024))
"""Blobs and bytes of each: pages with their variants, and large files."""

Row = dict[str, float]


@asynccontextmanager
async def server(folder: Path, *, sync: str) -> AsyncIterator[StateServer]:
    """A state server as it is always run, but for `sync_interval`."""
    genuine = ServerFolder.write_config

    def write(self: ServerFolder, port: int) -> None:
        genuine(self, port)
        config = json.loads(self.config.read_text())
        config["jetstream"]["sync_interval"] = sync
        self.config.write_text(json.dumps(config, ensure_ascii=False))

    with mock.patch.object(ServerFolder, "write_config", write):
        async with StateServer(ServerSettings(folder, ADDRESS, 0)) as running:
            yield running


async def measure(folder: Path, *, sync: str) -> Row:
    """Return seconds for each piece of work."""
    row: Row = {}

    async def timed(name: str, work: Awaitable[object]) -> None:
        began = time.monotonic()
        await work
        row[name] = time.monotonic() - began

    async with server(folder / "state", sync=sync) as running, open_store(running.address, name="bench") as store:
        for count, size in SHAPES:
            sources = [BlobSource(digest_of(data), size, data) for data in (os.urandom(size) for _ in range(count))]
            sizes = {item.digest: item.size for item in sources}
            scratch = folder / f"scratch{size}"
            scratch.mkdir()
            await timed(f"put {count} x {size}", store.blobs.put(sources))
            await timed(f"present {count}", store.blobs.present(sizes))
            await timed(f"fetch {count} x {size}", fetch_all(store, sizes, scratch))
        await timed("500 small writes", write_small(store, 500))
    return row


async def fetch_all(store: Store, sizes: Mapping[Digest, int], scratch: Path) -> None:
    """Fetch every blob into the scratch folder."""
    async for _ in store.blobs.fetch(sizes, scratch):
        pass


async def write_small(store: Store, count: int) -> None:
    """Write one key so often, one after the other."""
    for _ in range(count):
        await store.live.put("docs", bytes(300))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as name:
        rows = {}
        for sync in ("always", "2m"):
            folder = Path(name) / sync
            folder.mkdir()
            rows[sync] = asyncio.run(measure(folder, sync=sync))
    print(f"{'state store':<24}{'as it is run':>14}{'without syncs':>15}{'ratio':>8}")
    for work, took in rows["always"].items():
        print(f"{work:<24}{took:>12.2f} s{rows['2m'][work]:>13.2f} s{took / rows['2m'][work]:>8.2f}")
