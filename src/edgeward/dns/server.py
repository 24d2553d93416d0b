"""Sockets of the name server: UDP in batches, TCP with pipelining (RFC 7766) and limits."""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edgeward.dns.limits import client_of
from edgeward.dns.responder import Responder
from edgeward.errors import ServeError

_LOG = logging.getLogger("edgeward.dns")
_BATCH: Final = 64
"""Questions that are answered in a row before anything else has its turn."""
_LARGEST: Final = 65_535
_RECEIVE_BUFFER: Final = 4 * 1024 * 1024
_MAPPED: Final = b"\0" * 10 + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """connections: at once; one more ends the one that has been longest without a whole question. from_one: of one
    client (IPv4 address, IPv6 /56); one more is refused. idle: seconds without a whole question until one is closed.
    pending: seconds that a client may take to read an answer.
    """

    connections: int = 256
    from_one: int = 32
    idle: float = 10.0
    pending: float = 10.0


def bind(
    addresses: Sequence[str], port: int, *, workers: int = 1
) -> tuple[list[list[socket.socket]], list[socket.socket]]:
    """Return UDP sockets for each worker (SO_REUSEPORT: the kernel shares questions out), and listening TCP sockets.

    addresses: IPv4 and IPv6, each of its own, so that answers leave from where the question went. Raises ServeError.
    """
    udp: list[list[socket.socket]] = [[] for _ in range(workers)]
    tcp: list[socket.socket] = []
    try:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for sockets in udp:
                sockets.append(_bound(family, socket.SOCK_DGRAM, address, port, shared=True))
            tcp.append(_bound(family, socket.SOCK_STREAM, address, port, shared=False))
            tcp[-1].listen(256)
    except OSError as error:
        for each in (*tcp, *(one for sockets in udp for one in sockets)):
            each.close()
        reason = error.strerror or str(error)
        raise ServeError(
            f"the name server cannot listen on {address} port {port}: {reason}",
            hint="is another name server running there (systemd-resolved, bind)? [dns] listen and port say where",
            address=address,
            port=port,
        ) from error
    return udp, tcp


def _bound(family: int, kind: int, address: str, port: int, *, shared: bool) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


class NameServer:
    """One process's part of the name server."""

    def __init__(self, responder: Responder, *, limits: TcpLimits | None = None) -> None:
        self.responder = responder
        self._limits = limits or TcpLimits()
        self._open: Counter[bytes] = Counter()
        # Each with its client, the one that has been longest without a whole question first.
        self._streams: dict[asyncio.StreamWriter, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, udp: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Answer on these sockets, which must not block, while the context lasts; they are not closed."""
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for each in udp:
                loop.add_reader(each, self._datagrams, each)
                stack.callback(loop.remove_reader, each)
            for each in tcp:
                server = await asyncio.start_server(self._stream, sock=each.dup(), limit=_LARGEST + 2)
                stack.callback(server.close)
            try:
                yield
            finally:
                for stream in list(self._streams):
                    self._end(stream)
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _datagrams(self, sock: socket.socket) -> None:
        receive, respond, send = sock.recvfrom, self.responder.respond, sock.sendto
        for _ in range(_BATCH):
            try:
                data, address = receive(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                _LOG.debug("a datagram could not be received: %s", error)
                return
            answer = respond(data, packed(address[0]))
            if answer is not None:
                try:
                    send(answer, address)
                except OSError as error:  # a full buffer, an unreachable client: it asks again
                    _LOG.debug("an answer could not be sent: %s", error)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = packed(writer.get_extra_info("peername")[0])
        client = client_of(source)
        limits = self._limits
        if self._open[client] >= limits.from_one:
            writer.transport.abort()
            return
        if len(self._streams) >= limits.connections:
            # A few clients that keep theirs busy enough would shut out all others (RFC 7766 section 6.2.3 lets idle
            # ones be closed early).
            self._end(next(iter(self._streams)))
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open[client] += 1
        self._streams[writer] = client
        try:
            await self._converse(reader, writer, source)
            writer.close()
            async with asyncio.timeout(limits.pending):
                await writer.wait_closed()
        except (TimeoutError, OSError):
            pass
        finally:
            self._tasks.discard(task)
            self._end(writer)  # with what its client did not read: to wait for that would hold it open for ever

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: bytes) -> None:
        """Answer until the client has no more to ask. Raises TimeoutError and OSError."""
        limits = self._limits
        while True:
            try:
                async with asyncio.timeout(limits.idle):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    data = await reader.readexactly(size)
            except asyncio.IncompleteReadError:
                return
            if writer not in self._streams:
                return  # it was ended while this question came in
            self._streams[writer] = self._streams.pop(writer)
            answer = self.responder.respond(data, source, tcp=True)
            if answer is None:
                return  # what is no question at all has no answer; nor has what follows it
            writer.write(len(answer).to_bytes(2, "big") + answer)
            async with asyncio.timeout(limits.pending):
                await writer.drain()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        """End a connection; its task ends with it. To cancel that instead would be logged as an error (Python 3.11)."""
        writer.transport.abort()
        client = self._streams.pop(writer, None)
        if client is not None:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]


@lru_cache(maxsize=16_384)
def packed(address: str) -> bytes:
    """Return an address as 4 or 16 bytes; an IPv4 address that is written as an IPv6 one as 4."""
    if ":" not in address:
        return socket.inet_aton(address)
    raw = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return raw[12:] if raw.startswith(_MAPPED) else raw
