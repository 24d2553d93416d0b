"""A name server on real sockets that answers for whichever responder a test asks: one for all tests of a process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, TcpLimits, bind
from edgeward.dns.view import View

_ADDRESS: Final = "127.0.0.1"
_SECONDS: Final = 10.0
_LARGEST: Final = 65_535


class Asked(Responder):
    """Answers with whichever responder is asked: a server may be about to read on with the one that it has."""

    def __init__(self) -> None:
        super().__init__(View(()), None, secret=b"")
        self.now: Responder = self

    def respond(self, data: bytes, source: bytes, *, tcp: bool = False) -> bytes | None:
        """Return what that one answers."""
        return self.now.respond(data, source, tcp=tcp)


class Sockets:
    """UDP and TCP of a name server that runs in a thread of its own. Asked by one test at a time."""

    def __init__(self) -> None:
        self._asked = Asked()
        self._server = NameServer(self._asked, limits=TcpLimits(from_one=256))
        self._udp = self._tcp = (_ADDRESS, 0)

    def udp_address(self, responder: Responder) -> tuple[str, int]:
        """Answer with a responder until another one is asked; return address and port, for a tool to ask over UDP."""
        self._asked.now = responder
        return self._udp

    def over_udp(self, responder: Responder, *sent: bytes, source: str, answers: int = 1) -> list[bytes]:
        """Send datagrams from one port of an address in 127.0.0.0/8, and return so many answers as they come back."""
        self._asked.now = responder
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(_SECONDS)
            client.bind((source, 0))
            client.connect(self._udp)
            for data in sent:
                client.send(data)
            return [client.recv(_LARGEST) for _ in range(answers)]

    def over_tcp(self, responder: Responder, data: bytes, *, source: str) -> bytes | None:
        """Return the answer over a connection of its own; None if that is closed without one."""
        self._asked.now = responder
        with (
            socket.create_connection(self._tcp, timeout=_SECONDS, source_address=(source, 0)) as client,
            client.makefile("rb") as stream,
        ):
            client.sendall(len(data).to_bytes(2, "big") + data)
            size = stream.read(2)
            return stream.read(int.from_bytes(size, "big")) if size else None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve on free ports until the context ends."""
        udp, tcp = bind([_ADDRESS], 0)
        self._udp, self._tcp = udp[0][0].getsockname(), tcp[0].getsockname()
        loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def serve() -> None:
            async with self._server.serving(udp[0], tcp):
                ready.set()
                await ended.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(_SECONDS), "the name server does not answer"
            yield
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()
            for each in (*udp[0], *tcp):
                each.close()


SOCKETS: Final = Sockets()
"""Opened by the fixture `sockets` of `tests/dns`."""
