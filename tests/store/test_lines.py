"""Bad lines between a client and the store: bytes changed in flight, a slow line, a line that swallows everything."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgeward.core.digest import digest_of
from edgeward.errors import CorruptionError, StoreUnavailable
from edgeward.store import link as link_module
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store, StoreAddress, open_store
from edgeward.store.server import StateServer
from waiting import eventually

Carry = Callable[[bytes], Awaitable[bytes]]
"""What happens to bytes on their way from the server to the client: they come out as they are returned."""

MARKER = b"a sentence that is easily found"


@asynccontextmanager
async def line(server: StateServer, address: str, carry: Carry) -> AsyncIterator[StoreAddress]:
    """A TCP line to the server through which every byte towards the client is carried by `carry`."""
    host, _, port = server.address.url.removeprefix("nats://").rpartition(":")
    open_writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carry: Carry | None) -> None:
        try:
            while data := await reader.read(8192):
                writer.write(data if carry is None else await carry(data))
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        open_writers.extend((writer, inner_writer))
        await asyncio.gather(pump(reader, inner_writer, None), pump(inner_reader, writer, carry))

    proxy = await asyncio.start_server(connected, address, 0)
    try:
        yield StoreAddress(f"nats://{address}:{proxy.sockets[0].getsockname()[1]}", server.address.token)
    finally:
        proxy.close()
        for writer in open_writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in open_writers), return_exceptions=True)


async def as_it_is(data: bytes) -> bytes:
    return data


async def test_bytes_changed_in_flight_are_never_handed_out(
    store: Store, server: StateServer, loopback_address: str, tmp_path: Path
):
    """A blob that arrives changed is a CorruptionError; fetched again over a good line it is right."""
    data = MARKER + random.Random(1).randbytes(20_000)
    other = b"another blob"
    await store.blobs.put([BlobSource(digest_of(item), len(item), item) for item in (data, other)])
    sizes = {digest_of(item): len(item) for item in (data, other)}
    bad = True

    async def carry(piece: bytes) -> bytes:
        return piece.replace(MARKER, MARKER.upper()) if bad else piece

    found = {}
    async with line(server, loopback_address, carry) as address, open_store(address, name="edge") as edge:

        async def take(wanted: dict) -> None:
            async for digest, path in edge.blobs.fetch(wanted, tmp_path):
                found[digest] = path.read_bytes()

        with pytest.raises(CorruptionError) as caught:
            await take(sizes)
        assert caught.value.facts["corrupt"] == [digest_of(data)]
        assert found == {digest_of(other): other}
        bad = False
        await take({digest_of(data): len(data)})
    assert found[digest_of(data)] == data


async def test_a_line_that_swallows_everything_is_noticed_and_replaced(
    server: StateServer, loopback_address: str, monkeypatch
):
    """A connection on which nothing comes any more, without being closed, is given up; the next one works."""
    monkeypatch.setattr(link_module, "_PING_EVERY", 1)
    swallow = False

    async def carry(piece: bytes) -> bytes:
        return b"" if swallow else piece

    async with line(server, loopback_address, carry) as address, open_store(address, name="edge") as edge:
        await edge.live.put("docs", b"1")
        swallow = True
        with pytest.raises(StoreUnavailable):
            await edge.live.put("docs", b"2", deadline=0.5)
        await eventually(lambda: not edge.connected, within=20)
        swallow = False
        await edge.wait_connected(20)
        await edge.live.put("docs", b"3", deadline=10)


async def test_a_transfer_on_which_nothing_moves_is_given_up(
    store: Store, server: StateServer, loopback_address: str, tmp_path: Path
):
    """A fetch and a put over a line that swallows everything end in their time, and the next ones take a new line."""
    data = random.Random(1).randbytes(20_000)
    source = BlobSource(digest_of(data), len(data), data)
    await store.blobs.put([source])
    swallow = False

    async def carry(piece: bytes) -> bytes:
        return b"" if swallow else piece

    async with line(server, loopback_address, carry) as address, open_store(address, name="edge") as edge:
        assert await edge.blobs.read(source.digest, source.size) == data
        for operation in (
            lambda: edge.blobs.read(source.digest, source.size, patience=1.0),
            lambda: edge.blobs.put([source], patience=1.0),
        ):
            swallow = True
            with pytest.raises(StoreUnavailable):
                async with asyncio.timeout(10):
                    await operation()
            swallow = False
            async with asyncio.timeout(10):
                assert await edge.blobs.read(source.digest, source.size) == data


@pytest.mark.long
async def test_a_slow_line_is_slow_and_nothing_else(
    store: Store, server: StateServer, loopback_address: str, tmp_path: Path
):
    """At 300 KB/s blobs come and go over one and the same connection, and small values pass them."""
    blobs = [random.Random(number).randbytes(400_000) for number in range(20)]
    sources = [BlobSource(digest_of(data), len(data), data) for data in blobs]
    await store.blobs.put(sources)

    async def carry(piece: bytes) -> bytes:
        await asyncio.sleep(len(piece) / 300_000)
        return piece

    async with line(server, loopback_address, carry) as address, open_store(address, name="edge") as edge:
        sizes = {item.digest: item.size for item in sources}
        found = 0
        slowest = 0.0
        loop = asyncio.get_running_loop()
        async for _ in edge.blobs.fetch(sizes, tmp_path):
            found += 1
            began = loop.time()
            await edge.live.put("docs", b"1")
            slowest = max(slowest, loop.time() - began)
        assert found == len(sources)
        assert edge._bulk.generation == 1
        assert slowest < 2.0
