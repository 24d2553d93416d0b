"""Connections over TCP: how many there may be, of whom, and what ends them."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, TcpLimits, bind
from waiting import eventually

PORT = 5300


@asynccontextmanager
async def serving(responder: Responder, address: str, limits: TcpLimits) -> AsyncIterator[NameServer]:
    udp, tcp = bind([address], PORT)
    server = NameServer(responder, limits=limits)
    try:
        async with server.serving(udp[0], tcp):
            yield server
    finally:
        for each in (*udp[0], *tcp):
            each.close()


class Connection:
    """A client's connection. source: its own address, if it matters."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def open(cls, to: str, source: str = "127.0.0.1") -> AsyncIterator["Connection"]:
        made = cls(*await asyncio.open_connection(to, PORT, local_addr=(source, 0)))
        try:
            yield made
        finally:
            made.writer.close()
            with contextlib.suppress(ConnectionError):
                await made.writer.wait_closed()

    async def answer(self) -> dns.message.Message:
        """Return the next answer. Raises IncompleteReadError or ConnectionError if the connection has ended."""
        async with asyncio.timeout(5):
            size = int.from_bytes(await self.reader.readexactly(2), "big")
            return dns.message.from_wire(await self.reader.readexactly(size))

    async def is_answered(self) -> bool:
        """Ask; False: the connection has ended."""
        self.writer.write(framed(dns.message.make_query("mail.example.test", "A")))
        try:
            return (await self.answer()).rcode() == dns.rcode.NOERROR
        except (ConnectionError, asyncio.IncompleteReadError):
            return False

    async def ends(self) -> bool:
        """Whether the server closes it while nothing is asked."""
        async with asyncio.timeout(5):
            return await self.reader.read() == b""


def framed(message: dns.message.Message) -> bytes:
    """As it is sent over TCP."""
    raw = message.to_wire()
    return struct.pack("!H", len(raw)) + raw


async def test_questions_may_be_pipelined(responder: Responder, loopback_address: str) -> None:
    """RFC 7766 section 6.2.1.1: several on one connection before the first answer is read; each has its answer."""
    async with serving(responder, loopback_address, TcpLimits()), Connection.open(loopback_address) as client:
        asked = [dns.message.make_query("mail.example.test", "A") for _ in range(50)]
        for message in asked:
            client.writer.write(framed(message))
        answers = [await client.answer() for _ in asked]
    assert {answer.id for answer in answers} == {message.id for message in asked}
    assert all(answer.rcode() == dns.rcode.NOERROR for answer in answers)


async def test_idle_connections_are_closed_and_too_many_refused(responder: Responder, loopback_address: str) -> None:
    """Half a question keeps nothing open; the fifth connection of one address is ended at once, the others live on."""
    limits = TcpLimits(connections=8, from_one=4, idle=0.5)
    async with serving(responder, loopback_address, limits), contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(Connection.open(loopback_address)) for _ in range(4)]
        async with Connection.open(loopback_address) as fifth:
            assert not await fifth.is_answered()
        held[0].writer.write(b"\0\x20half")
        for each in held:
            assert await each.ends(), "closed for being idle"
        async with Connection.open(loopback_address) as another:
            assert await another.is_answered()


async def test_few_clients_that_hold_all_connections_shut_nobody_out(
    responder: Responder, loopback_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 7766 section 6.2.3: two clients, each with as many connections as it may have, take all, and ask often enough
    for none to time out. A third one is answered: the connection that has been longest without a whole question ends
    for it, and each of the others goes on. That is no fault, and not logged as one: it may be often.
    """
    limits = TcpLimits(connections=8, from_one=4, idle=60)
    async with serving(responder, loopback_address, limits), contextlib.AsyncExitStack() as stack:

        async def connect(source: str) -> Connection:
            return await stack.enter_async_context(Connection.open(loopback_address, source))

        held = [await connect(source) for source in ("127.1.0.1", "127.1.0.2") for _ in range(4)]
        for each in (*held, held[0]):
            assert await each.is_answered()
        held[2].writer.write(b"\0\x20half")  # which keeps nothing open
        others = []
        for number in (1, 2):
            others.append(await connect(f"127.1.1.{number}"))
            assert await others[-1].is_answered()
            assert await held[number].ends()
        for number in (0, 3, 4, 5, 6, 7):
            assert await held[number].is_answered(), f"connection {number} has asked later than those"
        assert not await (await connect("127.1.0.2")).is_answered(), "more than its share, and nobody's place"
        for each in others:
            assert await each.is_answered()
    assert not caplog.records


@pytest.mark.parametrize("behaviour", ["asks on", "falls silent", "closes its half"])
async def test_a_client_that_reads_no_answers_holds_nothing_for_long(
    responder: Responder, loopback_address: str, behaviour: str
) -> None:
    """What is left to send it is thrown away after a while, and with it the connection, not only its count."""
    large = framed(dns.message.make_query("large.example.test", "TXT"))
    limits = TcpLimits(idle=0.5, pending=0.5)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serving(responder, loopback_address, limits) as server:
            before = open_files()
            client.connect((loopback_address, PORT))
            await eventually(lambda: len(server._streams) == 1)
            (stream,) = server._streams
            asked = 0
            while not stream.transport.get_write_buffer_size():
                client.sendall(large)
                asked += 1
                await eventually(lambda: responder.counts.get(0) == asked, every=0)  # noqa: B023  # called at once
            if behaviour == "asks on":
                client.sendall(large * 100)
            elif behaviour == "closes its half":
                client.shutdown(socket.SHUT_WR)
            await eventually(lambda: open_files() == before)
            assert not server._streams


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
