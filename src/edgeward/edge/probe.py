"""One probe of one address of an edge: a request for its health, over HTTP or HTTPS, on a connection that is kept.

What is asked for each time is the brief, a few hundred bytes with a digest of what is served; the whole health, which
grows with the number of sites, only when that digest is another than that of the live pointers.
"""

import asyncio
import errno
import json
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import h11

from edgeward.core.health import Result, sites_digest
from edgeward.edge.loop_clock import LoopClock

BRIEF: Final = "/.well-known/edgeward/brief"
HEALTH: Final = "/.well-known/edgeward/health"

_MOST_BYTES: Final = 16 * 1024 * 1024
_OWN_FAULTS: Final = frozenset(
    {
        errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
    }
)  # fmt: skip
"""Errors of connect(2) that say something of this machine, nothing of the edge."""
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EACCES})
"""Errors that do where this machine has no route; a router on the way causes them as well, by ICMP."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where readers reach an edge. tls: None for plain HTTP; host: the name for SNI, certificate and Host."""

    edge: str
    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None = None

    @property
    def family(self) -> int:
        """4 or 6."""
        return family_of(self.address)

    @property
    def where(self) -> str:
        """Address and port, for people."""
        return f"[{self.address}]:{self.port}" if self.family == 6 else f"{self.address}:{self.port}"


def family_of(address: str) -> int:
    """Return 4 or 6."""
    return 6 if ":" in address else 4


def has_route(address: str) -> bool:
    """Whether this machine itself has a way to send to an address: no packet leaves it for that (udp(7), connect)."""
    with socket.socket(socket.AF_INET6 if family_of(address) == 6 else socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((address, 9))
        except OSError as error:
            return error.errno not in _NO_ROUTE
        return True


class Probe:
    """Asks one endpoint again and again. latency: seconds that a connection, and then an answer, may take."""

    def __init__(self, endpoint: Endpoint, *, clock: LoopClock, latency: float) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._latency = latency
        self._connection: _Connection | None = None
        self._known: tuple[str, Mapping[str, str]] = ("", {})
        """What the edge last said that it serves, where that was not what it should, with its digest."""

    async def ask(self, live: Mapping[str, str]) -> Result:
        """Ask once. live: the release of each site that the edge should serve; an answer with it costs least."""
        where = self._endpoint.where
        try:
            began = self._clock.now()
            brief = read_brief(self._endpoint.edge, *await self._answer(BRIEF))
            took = (self._clock.now() - began) * 1000
            if brief.sites == sites_digest(live):
                sites = live
            elif brief.sites == self._known[0]:
                sites = self._known[1]
            else:
                sites = read_sites(*await self._answer(HEALTH))
                self._known = sites_digest(sites), sites
            return Result(milliseconds=took, sites=sites, starting=brief.starting)
        except TimeoutError:
            why, own = f"{where} does not answer within {self._latency:g} s", False
        except ssl.SSLCertVerificationError as error:
            why, own = f"the certificate of {where} does not hold: {error.verify_message}", False
        except _Unfit as error:
            why, own = f"{where} {error}", False
        except (OSError, h11.RemoteProtocolError, EOFError) as error:
            own = isinstance(error, OSError) and self._is_own(error.errno)
            why = f"{where} cannot be asked: {_words(error)}"
        await self.close()
        return Result(failure=why, own=own)

    def _is_own(self, number: int | None) -> bool:
        return number in _OWN_FAULTS or (number in _NO_ROUTE and not has_route(self._endpoint.address))

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _answer(self, path: str) -> tuple[int, bytes]:
        """Return the status and body of one answer."""
        kept = self._connection
        if kept is not None:
            try:
                return await self._clock.within(self._exchange(kept, path), self._latency)
            except TimeoutError:
                raise
            except (OSError, h11.RemoteProtocolError, EOFError):
                # A server may close a kept connection at any time, as nginx does at a reload: it is asked on a new one.
                if kept.heard:
                    raise
                await self.close()
        self._connection = await self._clock.within(_Connection.open(self._endpoint), self._latency)
        return await self._clock.within(self._exchange(self._connection, path), self._latency)

    async def _exchange(self, connection: "_Connection", path: str) -> tuple[int, bytes]:
        found = await connection.get(path, self._endpoint.host)
        if not connection.reusable:
            await self.close()
        return found


class _Unfit(Exception):
    """An answer that an edge in good health does not give; the words follow its address."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What an edge says of itself in short. sites: digest of the releases that it serves (`sites_digest`).

    starting: its HTTP engine has only just begun, and what it serves is not known yet.
    """

    sites: str
    starting: bool


def brief_bytes(health: Mapping[str, Any]) -> bytes:
    """Return the brief of the health that an edge serves (docs/formats.md)."""
    live = {name: site["live"] for name, site in health["sites"].items() if site["live"]}
    value = {name: health[name] for name in ("schema", "edge", "generation", "rotten")}
    return json.dumps({**value, "sites": sites_digest(live)}, separators=(",", ":")).encode() + b"\n"


def read_brief(edge: str, status: int, body: bytes) -> Brief:
    """Return the brief in an answer of an edge. Raises _Unfit unless it is 200, of that edge, and tells of no rot."""
    value = _value(status, body)
    try:
        name, rotten, found = value["edge"], int(value["rotten"]), Brief(str(value["sites"]), value["generation"] == 0)
    except (KeyError, TypeError, ValueError):
        raise _Unfit("answers with something else than the health of an edge") from None
    if name != edge:
        raise _Unfit(f"says that it is edge {str(name)[:40]!r}")
    if rotten:
        raise _Unfit(f"says that {rotten} blobs have rotted on its disk")
    return found


def read_sites(status: int, body: bytes) -> dict[str, str]:
    """Return the release that each site is served from, in an answer with the whole health. Raises _Unfit."""
    value = _value(status, body)
    try:
        return {str(site): str(held["live"]) for site, held in value["sites"].items() if held["live"]}
    except (KeyError, TypeError, AttributeError):
        raise _Unfit("answers with something else than the health of an edge") from None


def _value(status: int, body: bytes) -> Any:
    if status != 200:
        raise _Unfit(f"answers {status}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _Unfit("answers with something else than JSON") from None


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)  # asyncio's own words name the address, not the reason
    return str(error) or type(error).__name__


class _Connection:
    """An open connection. heard: whether anything of the present answer has come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self.heard = False

    @classmethod
    async def open(cls, endpoint: Endpoint) -> "_Connection":
        name = endpoint.host if endpoint.tls else None
        return cls(
            *await asyncio.open_connection(endpoint.address, endpoint.port, ssl=endpoint.tls, server_hostname=name)
        )

    @property
    def reusable(self) -> bool:
        return bool(self._http.our_state is h11.IDLE)

    async def get(self, path: str, host: str) -> tuple[int, bytes]:
        """Ask for a path; return status and body. Raises OSError, EOFError, h11.RemoteProtocolError."""
        self.heard = False
        headers = [("Host", host), ("User-Agent", "edgeward"), ("Accept", "application/json")]
        request = h11.Request(method="GET", target=path, headers=headers)
        self._writer.write((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        await self._writer.drain()
        status, size, parts = 0, 0, list[bytes]()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(65536)
                self.heard = self.heard or bool(data)
                self._http.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > _MOST_BYTES:
                    raise EOFError("the answer does not end")
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("the connection was closed before the answer")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return status, b"".join(parts)

    async def close(self) -> None:
        self._writer.transport.abort()
        with suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
