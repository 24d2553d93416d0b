"""`/metrics` in the text format of Prometheus (exposition format 0.0.4) on a loopback port."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from edgeward.edge.settings import Endpoint
from edgeward.errors import ServeError

_LOG = logging.getLogger("edgeward.edge")
_DEADLINE = 5.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
"""Labels and value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples. name: without the prefix `edgeward_`."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    samples: tuple[Sample, ...]


def gauge(name: str, meaning: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return Metric(name, "gauge", meaning, (({}, value),))


def counter(name: str, meaning: str, value: float) -> Metric:
    """Return a counter without labels; its name ends in `_total`."""
    return Metric(name, "counter", meaning, (({}, value),))


def render(metrics: Iterable[Metric]) -> bytes:
    """Return the exposition text of some metrics."""
    lines: list[str] = []
    for metric in metrics:
        name = f"edgeward_{metric.name}"
        lines += [f"# HELP {name} {_escape_help(metric.meaning)}", f"# TYPE {name} {metric.kind}"]
        for labels, value in metric.samples:
            inner = ",".join(f'{label}="{_escape_label(text)}"' for label, text in labels.items())
            braces = f"{{{inner}}}" if inner else ""
            number = int(value) if float(value).is_integer() else value
            lines.append(f"{name}{braces} {number}")
    return ("\n".join(lines) + "\n").encode()


@asynccontextmanager
async def metrics_server(endpoint: Endpoint, collect: Callable[[], Iterable[Metric]]) -> AsyncIterator[Endpoint]:
    """Answer GET /metrics on `endpoint` with what `collect` returns; yields where it listens. Raises ServeError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DEADLINE):
                request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].split(b" ")
                writer.write(_response(request, collect))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _LOG.debug("a request for /metrics came to nothing: %r", error)
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, endpoint[0], endpoint[1], limit=16 * 1024)
    except OSError as error:
        raise ServeError(
            f"/metrics cannot listen on {endpoint[0]}:{endpoint[1]}: {error.strerror}", hint="[metrics] listen"
        ) from error
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await server.wait_closed()


def _response(request: list[bytes], collect: Callable[[], Iterable[Metric]]) -> bytes:
    if len(request) != 3 or not request[2].startswith(b"HTTP/1."):
        return _message("400 Bad Request", b"this is an HTTP/1 server\n")
    method, target, _ = request
    if target.split(b"?", 1)[0] != b"/metrics":
        return _message("404 Not Found", b"there is only /metrics here\n")
    if method not in {b"GET", b"HEAD"}:
        return _message("405 Method Not Allowed", b"GET or HEAD\n", "Allow: GET, HEAD\r\n")
    body = render(collect())
    answer = _message("200 OK", body, kind=_TYPE)
    return answer[: len(answer) - len(body)] if method == b"HEAD" else answer


def _message(status: str, body: bytes, more: str = "", *, kind: str = "text/plain; charset=utf-8") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _escape_label(text: str) -> str:
    return _escape_help(text).replace('"', '\\"')
