"""A plain HTTP/1.1 client (RFC 9112) for asking edges: raw targets and raw bodies, one keep-alive connection each.

It sends exactly what it is told and changes nothing that comes back; the body is digested while it arrives and never
kept whole.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import brotli

from edgeward.core.digest import Digest
from edgeward.errors import ServeError

_LINE = 64 * 1024
_CHUNK = 256 * 1024
_MOST_HEADERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. headers: as received. size, digest: of the raw body. decoded: digest of the body without its
    Content-Encoding, None if it does not decode. text: the first bytes of the body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    digest: Digest
    decoded: Digest | None
    start: bytes


class Connection:
    """A connection to one edge. Opened when it is needed, and once more if a kept one was closed meanwhile."""

    def __init__(self, address: str, port: int, *, deadline: float) -> None:
        self._address = address
        self._port = port
        self._deadline = deadline
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        """Send one request and return the answer. Raises ServeError if there is none in time, or none in HTTP."""
        fresh = self._streams is None
        try:
            async with asyncio.timeout(self._deadline):
                try:
                    return await self._exchange(method, target, headers)
                except (ConnectionError, asyncio.IncompleteReadError):
                    # A server may close a kept connection at any time; a new one is owed an answer.
                    if fresh:
                        raise
                    await self.close()
                    return await self._exchange(method, target, headers)
        except TimeoutError as error:
            await self.close()
            raise self._failed(f"no answer within {self._deadline:g} seconds") from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            await self.close()
            raise self._failed(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    def _failed(self, why: str) -> ServeError:
        return ServeError(f"{self._address}:{self._port} does not answer: {why}", hint="edgeward status")

    async def _exchange(self, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._address, self._port, limit=_LINE)
        reader, writer = self._streams
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await writer.drain()
        status, fields = await _head(reader)
        body = _Body(next((value for name, value in fields if name.lower() == "content-encoding"), "identity"))
        keep = await _read_body(reader, method, status, fields, body.take)
        if not keep:
            await self.close()
        return Answer(status, fields, body.size, Digest(body.raw.hexdigest()), body.decoded(), bytes(body.start))


class _Decoder(Protocol):
    def __call__(self, data: bytes, /) -> bytes: ...


class _Body:
    """Digests of a body as it arrives, raw and decoded."""

    def __init__(self, coding: str) -> None:
        self.raw = hashlib.sha256()
        self.size = 0
        self.start = bytearray()
        self._plain = hashlib.sha256()
        self._broken = False
        self._ended: Callable[[], bool]
        self._decode: _Decoder
        if coding == "br":
            engine = brotli.Decompressor()
            self._decode, self._ended = engine.process, engine.is_finished
        elif coding == "gzip":
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            self._decode, self._ended = inflater.decompress, lambda: inflater.eof
        else:
            self._decode, self._ended = bytes, lambda: True
            self._broken = coding != "identity"

    def take(self, data: bytes) -> None:
        self.raw.update(data)
        self.size += len(data)
        self.start += data[: 200 - len(self.start)] if len(self.start) < 200 else b""
        if not self._broken:
            try:
                self._plain.update(self._decode(data))
            except (zlib.error, brotli.error):
                self._broken = True

    def decoded(self) -> Digest | None:
        if self._broken or (self.size and not self._ended()):
            return None
        return Digest(self._plain.hexdigest())


async def _head(reader: asyncio.StreamReader) -> tuple[int, tuple[tuple[str, str], ...]]:
    line = (await reader.readuntil(b"\r\n")).decode("latin-1")
    version, _, rest = line.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise ValueError(f"what it says is not HTTP/1: {line[:80]!r}")
    fields: list[tuple[str, str]] = []
    while (line := (await reader.readuntil(b"\r\n")).decode("latin-1")) != "\r\n":
        name, colon, value = line.partition(":")
        if not colon or len(fields) >= _MOST_HEADERS:
            raise ValueError(f"its header cannot be read: {line[:80]!r}")
        fields.append((name, value.strip()))
    return int(status), tuple(fields)


async def _read_body(
    reader: asyncio.StreamReader,
    method: str,
    status: int,
    fields: tuple[tuple[str, str], ...],
    take: Callable[[bytes], None],
) -> bool:
    """Read the body (RFC 9112 section 6.3); return whether the connection can be used again."""
    named = {name.lower(): value for name, value in fields}
    keep = named.get("connection", "").lower() != "close"
    if method == "HEAD" or status in {204, 304}:
        return keep
    if named.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await _take_exactly(reader, size, take)
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return keep
    if "content-length" in named:
        await _take_exactly(reader, int(named["content-length"]), take)
        return keep
    while data := await reader.read(_CHUNK):
        take(data)
    return False


async def _take_exactly(reader: asyncio.StreamReader, size: int, take: Callable[[bytes], None]) -> None:
    while size:
        data = await reader.read(min(size, _CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", size)
        take(data)
        size -= len(data)
