"""The state server killed in the middle of things: nothing acknowledged is lost, nothing half-done is shown."""

import asyncio
import os
import random
import signal
from contextlib import aclosing
from pathlib import Path

import pytest

from edgeward.core.digest import digest_of
from edgeward.errors import ConflictError, StoreUnavailable
from edgeward.store import server as server_module
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store, open_store
from edgeward.store.layout import CHUNK
from edgeward.store.server import StateServer
from waiting import eventually


@pytest.fixture(autouse=True)
def _quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed again and again is started again without growing pauses."""
    monkeypatch.setattr(server_module, "_HEALTHY_AFTER", 0.0)


def make(count: int, size: int, seed: str) -> list[BlobSource]:
    source = random.Random(seed)
    blobs = [source.randbytes(size) for _ in range(count)]
    return [BlobSource(digest_of(data), len(data), data) for data in blobs]


def mixed() -> list[BlobSource]:
    return [*make(600, 3_000, "small"), *make(12, 5 * CHUNK + 77, "large"), *make(600, 3_000, "more")]


def kill_now(server: StateServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_a_put_goes_on_when_the_server_is_killed_in_the_middle(store: Store, server: StateServer, tmp_path: Path):
    """Killed twice during one put: the put ends well, and every blob is there, whole."""
    sources = mixed()
    sizes = {item.digest: item.size for item in sources}
    done = 0
    kills = [300, 700]

    def on_progress(blobs: int, size: int) -> None:
        nonlocal done
        done += blobs
        if kills and done >= kills[0]:
            kills.pop(0)
            kill_now(server)

    await store.blobs.put(sources, on_progress)
    assert kills == []
    assert done == len(sources)
    assert await store.blobs.present(sizes) == frozenset(sizes)
    found = {digest async for digest, _ in store.blobs.fetch(sizes, tmp_path)}
    assert found == frozenset(sizes)


async def test_a_fetch_goes_on_when_the_server_is_killed_in_the_middle(
    store: Store, server: StateServer, tmp_path: Path
):
    """Killed twice during one fetch: every blob comes exactly once, verified."""
    sources = mixed()
    sizes = {item.digest: item.size for item in sources}
    await store.blobs.put(sources)
    kills = {1, 700}
    found = []
    async with aclosing(store.blobs.fetch(sizes, tmp_path)) as files:
        async for digest, _ in files:
            found.append(digest)
            if len(found) in kills:
                kill_now(server)
    assert sorted(found) == sorted(sizes)


async def test_a_put_to_a_server_that_stays_away_gives_up_and_can_be_repeated(
    store: Store, server: StateServer, tmp_path: Path
):
    """StoreUnavailable after the patience; no blob is called present that is not whole; a repeat completes."""
    sources = mixed()
    sizes = {item.digest: item.size for item in sources}
    done = 0
    stopping: list[asyncio.Task[None]] = []

    def on_progress(blobs: int, size: int) -> None:
        nonlocal done
        done += blobs
        if done > 500 and not stopping:
            kill_now(server)
            stopping.append(asyncio.ensure_future(server.stop()))

    with pytest.raises(StoreUnavailable, match="cannot put blobs: no answer from the state store"):
        await store.blobs.put(sources, on_progress, patience=1.0)
    await asyncio.gather(*stopping)
    with pytest.raises(StoreUnavailable):
        async for _ in store.blobs.fetch(sizes, tmp_path, patience=0.5):
            pass
    await server.start()
    present = await store.blobs.present(sizes)
    assert done <= len(present) < len(sources), "all that was acknowledged is there, and not everything is"
    found = {digest async for digest, _ in store.blobs.fetch({key: sizes[key] for key in present}, tmp_path)}
    assert found == present
    await store.blobs.put(sources)
    assert await store.blobs.present(sizes) == frozenset(sizes)


async def test_every_acknowledged_write_survives_twenty_kills(store: Store, server: StateServer):
    """Killed 20 times under writers: every acknowledged key is there, and compare-and-set counted without a gap."""
    acknowledged: dict[str, bytes] = {}
    counter = 0
    going = True

    async def create(number: int) -> None:
        turn = 0
        while going:
            key, value = f"w{number}.{turn}", f"{number} {turn}".encode()
            await store.releases.create(key, value, deadline=30)
            acknowledged[key] = value
            turn += 1

    async def count() -> None:
        nonlocal counter
        revision = await store.live.create("counter", b"0", deadline=30)
        while going:
            revision = await store.live.update("counter", str(counter + 1).encode(), revision, deadline=30)
            counter += 1

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(create(number))
        group.create_task(count())
        for turn in range(20):
            before, counted = len(acknowledged), counter
            await eventually(
                lambda before=before, counted=counted: len(acknowledged) > before + 20 and counter > counted + 5,
                within=30,
                every=0.001,
            )
            kill_now(server)
            await eventually(lambda turn=turn: server.restarts > turn, within=30)
        going = False
    stored = await store.releases.values()
    assert {key: item.value for key, item in stored.items()} == acknowledged
    found = await store.live.get("counter")
    assert found is not None
    assert int(found.value) == counter


async def test_a_connection_that_is_cut_is_made_again(store: Store, server: StateServer):
    """Writes under way when the connection is cut are completed or refused, never lost in silence."""
    for turn in range(10):
        session = await store.jetstream.link.session()
        writes = [asyncio.create_task(store.live.put(f"k{turn}.{n}", b"x", deadline=10)) for n in range(20)]
        await asyncio.sleep(0)
        session.client._transport.close()
        revisions = await asyncio.gather(*writes)
        assert len(set(revisions)) == 20
    assert len(await store.live.keys()) == 200


async def test_cancelling_an_operation_takes_effect_at_once(store: Store, server: StateServer):
    """An operation that waits for a store that is away can be cancelled."""
    await server.stop()
    await eventually(lambda: not store.connected)
    task = asyncio.create_task(store.live.put("a", b"1", deadline=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(2):
            await task


async def test_many_stores_open_and_close_under_a_failing_server(server: StateServer):
    """Opening and closing never hangs, whatever the server does meanwhile."""

    async def come_and_go(number: int) -> None:
        for _ in range(5):
            async with asyncio.timeout(20):
                async with open_store(server.address, name=f"guest {number}", wait=False) as store:
                    try:
                        await store.hosts.create(f"h{number}", b"1", deadline=0.3)
                        await store.hosts.delete(f"h{number}", deadline=0.3)
                    except (StoreUnavailable, ConflictError):
                        continue

    async def trouble() -> None:
        for turn in range(5):
            kill_now(server)
            await eventually(lambda turn=turn: server.restarts > turn, within=20)

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(come_and_go(number))
        group.create_task(trouble())
