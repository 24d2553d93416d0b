"""A client that changes nothing: what is asked goes to the socket byte for byte, and what comes back is told apart."""

import socket
from dataclasses import dataclass, field
from typing import Self

from edgeward.core.exchange import Request, host_of

CONNECTION_FIELDS = frozenset({"date", "server", "connection", "keep-alive", "transfer-encoding"})
"""Fields of the connection and the moment, which no contract is about."""


@dataclass(frozen=True)
class Ask:
    """One request. target: raw, latin-1. host: the Host field, None to send none. lines: more header lines, as sent."""

    target: str
    host: str | None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    version: str = "1.1"

    def to_bytes(self) -> bytes:
        """The request as it goes to the wire."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        if self.host is not None:
            lines.append(f"Host: {self.host}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def to_request(self) -> Request:
        """The same request as `core.resolve` takes it."""
        fields = [] if self.host is None else [self.host.strip()]
        host = host_of(fields, http_1_0=self.version == "1.0")
        return Request(
            self.method,
            host.name if host else None,
            self.target,
            tuple((name, value) for name, value in self.headers),
            port=host.port if host else None,
        )


@dataclass(frozen=True)
class Got:
    """One response as it came from the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    version: str = "1.1"
    closed: bool = field(default=False, compare=False)

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def comparable(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, fields (lower case, sorted, without those of the connection) and body."""
        fields = sorted((name.lower(), value) for name, value in self.headers if name.lower() not in CONNECTION_FIELDS)
        return self.status, fields, self.body


class Wire:
    """One connection, kept open while the server lets it be."""

    def __init__(self, address: tuple[str, int], *, timeout: float = 10.0) -> None:
        self._address = address
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self.began = False
        """Whether a byte came back since the last `send`."""

    def ask(self, ask: Ask) -> Got:
        """Send one request and read its response; once more on a new connection if a reused one was closed."""
        reused = self._socket is not None
        try:
            self.send(ask.to_bytes())
            return self.read(head=ask.method == "HEAD")
        except (ConnectionError, EOFError):
            self.close()
            if not reused:
                raise
        self.send(ask.to_bytes())
        return self.read(head=ask.method == "HEAD")

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    def open(self) -> None:
        """Connect, and send nothing."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=self._timeout)
            self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.open()
        self.began = False
        assert self._socket is not None
        self._socket.sendall(data)

    def first(self) -> bytes:
        """Wait for the first byte of a response and return it; `read` still gets it."""
        while not self._buffer:
            self._more()
        return bytes(self._buffer[:1])

    def read(self, *, head: bool = False) -> Got:
        """Read one response. head: it answers HEAD and has no body. Raises EOFError if there is none."""
        raw = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = raw[:-4].split("\r\n")
        version, _, rest = first.partition(" ")
        status = int(rest[:3])
        headers = tuple((name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines))
        got = Got(status, headers, b"", version.removeprefix("HTTP/"))
        body = b"" if head or status in {204, 304} or status < 200 else self._body(got)
        connection = ",".join(got.values("connection")).lower()
        closed = "close" in connection or (got.version == "1.0" and "keep-alive" not in connection)
        if closed:
            self.close()
        return Got(status, headers, body, got.version, closed)

    def _body(self, got: Got) -> bytes:
        if "chunked" in got.values("transfer-encoding"):
            return self._chunks()
        lengths = got.values("content-length")
        assert len(lengths) <= 1, f"content-length sent {len(lengths)} times"
        return self._exactly(int(lengths[0])) if lengths else self._rest()

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            piece = self._exactly(size + 2)[:-2]
            if not size:
                return body
            body += piece

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        end = self._buffer.index(mark) + len(mark)
        return self._take(end)

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        return self._take(count)

    def _take(self, count: int) -> bytes:
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _rest(self) -> bytes:
        try:
            while True:
                self._more()
        except EOFError:
            return self._take(len(self._buffer))

    def _more(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError("the server closed the connection")
        self.began = True
        self._buffer += data

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
