"""Processes that die in the middle of a push: the store, and the push itself."""

import asyncio
import os
import random
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from edgeward.core.digest import Digest
from edgeward.core.fleet import Pointer
from edgeward.errors import StoreError
from edgeward.publish.progress import Event, Started
from edgeward.publish.push import push
from edgeward.publish.releases import read_live, read_manifest, read_record
from publishing import options, write_site
from waiting import eventually

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from edgeward.core.site import SiteSettings
from edgeward.publish.places import Places
from edgeward.publish.progress import Started
from edgeward.publish.push import push
from edgeward.publish.values import PushOptions
from edgeward.store.connection import StoreAddress, open_store

url, folder, root, phase = sys.argv[1:]

def progress(event):
    if isinstance(event, Started) and event.phase == phase:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    options = PushOptions(Path(folder), SiteSettings("blog", ("example.test",)), message="")
    async with open_store(StoreAddress(url), name="child") as store:
        await push(options, store, progress, places=Places(Path(root) / "cache", Path(root) / "config"))

asyncio.run(main())
"""


async def run_child(server, folder: Path, phase: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, server.address.url, str(folder), str(folder.parent), phase
    )
    return await process.wait()


@pytest.mark.parametrize("phase", ["scan", "compress", "upload", "stage"])
async def test_a_push_killed_before_its_move_changes_nothing_that_is_served(server, store, edge, folder, phase) -> None:
    """SIGKILL leaves it no time to clean up: the pointer stands as before, and the next push works at once."""
    await edge()
    assert await run_child(server, folder, phase="none") == 0
    before = await store.live.get("blog")
    write_site(folder, {"new.html": "<p>new</p>" * 100})
    assert await run_child(server, folder, phase) == -signal.SIGKILL
    assert await store.live.get("blog") == before
    assert await run_child(server, folder, phase="none") == 0
    live = await read_live(store, "blog")
    manifest = await read_manifest(store, await read_record(store, "blog", live.release))
    assert "/new.html" in manifest.by_path
    assert await store.candidates.keys() == ()


async def test_a_push_killed_after_its_move_is_live(server, store, edge, folder) -> None:
    """The edge follows the pointer; nobody has to be there."""
    each = await edge()
    assert await run_child(server, folder, "activate") == -signal.SIGKILL
    live = await read_live(store, "blog")
    assert live.release is not None
    await eventually(lambda: each.live.get("blog") == live.release)
    await read_manifest(store, await read_record(store, "blog", live.release))


async def everything_of(store, release: Digest) -> None:
    """Read the record, the manifest and every blob of a release, each verified."""
    manifest = await read_manifest(store, await read_record(store, "blog", release))
    for variant in manifest.blobs():
        await store.blobs.read(variant.digest, variant.size)


def _is_back(server, store, times: int) -> bool:
    return server.restarts == times and store.connected


@pytest.mark.long
async def test_a_store_that_is_killed_loses_nothing_that_a_push_reported(server, store, edge, folder, places) -> None:
    """SIGKILL 20 times at any moment of a push: it ends done or with an error, what was done is there, the next one
    works.
    """
    await edge()
    source = random.Random(20)
    first = (await push(options(folder), store, places=places)).release
    reported: list[Digest] = [first]
    killed = failed = 0
    while killed < 20:
        killed += 1
        text = "".join(source.choices("abcdef \n", k=30_000))
        write_site(folder, {"round.html": f"<p>{killed} {text}</p>", f"a{killed % 5}.bin": source.randbytes(700_000)})
        pushing = asyncio.create_task(push(options(folder), store, places=places))
        # Every fourth has time to end: what was reported must stand the kill that follows.
        await asyncio.sleep(source.uniform(0, 0.9) if killed % 4 else 4)
        if server.pid is not None:
            os.kill(server.pid, signal.SIGKILL)
        try:
            reported.append((await pushing).release)
            ended = True
        except StoreError:
            failed += 1
            ended = False
        await eventually(partial(_is_back, server, store, killed), within=30)
        moves = [Pointer.from_bytes(stored.value) for stored in await store.live.history("blog")]
        chain = [move.release for move in moves]
        assert [move.previous for move in moves[1:]] == chain[:-1], "every move began from the one before"
        # A push that failed may have moved the pointer all the same; one that was reported has.
        assert [release for release in chain if release in reported] == reported
        assert chain[-1] == reported[-1] or not ended
        for release in {reported[-1], chain[-1]}:
            await everything_of(store, release)
    print(f"killed {killed} times: {len(reported) - 1} pushes done, {failed} failed")
    assert len(reported) > 5
    assert len(reported) - 1 + failed == killed
    result = await push(options(folder), store, places=places)
    assert result.outcome in {"released", "unchanged"}
    await everything_of(store, result.release)


@pytest.mark.parametrize("phase", ["scan", "upload", "stage"])
async def test_a_push_goes_on_when_the_store_comes_back_in_time(server, store, edge, folder, places, phase) -> None:
    """One SIGKILL at the beginning of a phase: the server is started again and the same push ends well."""
    await edge()

    def progress(event: Event) -> None:
        if isinstance(event, Started) and event.phase == phase:
            os.kill(server.pid, signal.SIGKILL)

    result = await push(options(folder), store, progress, places=places)
    assert result.outcome == "released"
    await everything_of(store, result.release)
    await eventually(lambda: server.restarts == 1)
