"""One HTTP request and the response to it, as values.

Text is an image of wire bytes: each character is one byte (latin-1), so that nothing is lost or invented on the way.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edgeward.core.digest import Digest

Scheme = Literal["http", "https"]

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"(?P<name>\[[^\]]*\]|[^:]*)(?P<rest>.*)\Z", re.DOTALL)
_HOST_REFUSED: Final = re.compile(r"[\x00-\x20\x7f/]|\.\.")
_PORT: Final = re.compile(r":(?P<port>[1-9][0-9]{0,4})\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent.

    host, port: from the Host field by `host_of`; host "" if there was none, which HTTP/1.0 allows; None if it is not
    legal, which is answered 400. The port is kept in redirects. target: the raw request-target. headers: names as sent.
    """

    method: str
    host: str | None
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    scheme: Scheme = "http"
    port: int | None = None

    def field(self, name: str) -> str | None:
        """Return a field's value, None if it is absent; the first if it was sent several times. `name`: lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def cookies(self) -> str:
        """Return all Cookie fields as one (RFC 9113 section 8.2.3)."""
        return "; ".join(value for key, value in self.headers if key.lower() == "cookie")


@dataclass(frozen=True, slots=True)
class BlobBody:
    """The body is these bytes of a blob: from `start` up to, but without, `end`."""

    digest: Digest
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered, without the fields of the connection (Date, Server, Connection, Keep-Alive).

    body: of a HEAD request b"", with the Content-Length that GET would have.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | BlobBody = b""

    def values(self, name: str) -> Iterator[str]:
        """Yield the values of a field, in order, without regard to the case of its name."""
        wanted = name.lower()
        return (value for key, value in self.headers if key.lower() == wanted)

    def field(self, name: str) -> str | None:
        """Return the first value of a field, or None."""
        return next(self.values(name), None)


@dataclass(frozen=True, slots=True)
class Host:
    """A parsed Host field. name: lower case, without a trailing dot. port: None if there is none that is a number."""

    name: str
    port: int | None


def host_of(fields: Sequence[str], *, http_1_0: bool = False) -> Host | None:
    """Return what the Host fields of a request name (RFC 9112 section 3.2); None unless there is one, and it is legal.

    http_1_0: the request may have no Host; then the name is "".
    """
    if http_1_0 and not "".join(fields):
        return Host("", None)
    return parse_host(fields[0]) if len(fields) == 1 else None


def parse_host(field: str) -> Host | None:
    """Return what a Host field (or the authority of a target) names; None if it is not legal, which is answered 400."""
    if _HOST_REFUSED.search(field):
        return None
    found = _HOST.match(field)
    name = found["name"].removesuffix(".") if found else ""
    if found is None or not name:
        return None
    port = _PORT.match(found["rest"])
    return Host(name.lower(), int(port["port"]) if port else None)
