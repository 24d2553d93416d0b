"""The ASGI application of the preview engine: a request from Granian, through `core.resolve`, to its answer.

ASGI and not RSGI, because only ASGI hands on the raw request target, which SITE-FORMAT section 2 is about.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edgeward.core.digest import Digest
from edgeward.core.exchange import BlobBody, Request, Response, host_of
from edgeward.core.paths import Target, parse_target
from edgeward.core.resolve import is_reserved, refuse, reserved, resolve
from edgeward.serve.preview.site import Show, Source

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

CHUNK: Final = 256 * 1024
"""Bytes read and sent at a time; a body of no more than this is sent as one piece."""

HEALTH: Final = "/.well-known/edgeward/health"
BRIEF: Final = "/.well-known/edgeward/brief"
CHALLENGE: Final = "/.well-known/acme-challenge/"

_log = logging.getLogger(__name__)


class Application:
    """Answers requests from the show that is current when they begin.

    health, brief: files with the edge's health as JSON. challenges: folder with one file for each ACME HTTP-01 token.
    """

    def __init__(
        self, show: Show, *, health: Path | None = None, brief: Path | None = None, challenges: Path | None = None
    ) -> None:
        self.show = show
        self._files = {HEALTH: health, BRIEF: brief}
        self._challenges = challenges
        self._sending: set[asyncio.Task[Any]] = set()

    def abort(self) -> None:
        """Cut off the bodies that are still being sent: their connections close before the promised length."""
        for task in tuple(self._sending):
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        del receive
        show = self.show
        request = read_request(scope)
        task = asyncio.current_task()
        assert task is not None
        self._sending.add(task)
        try:
            await _send(show, request, self._answer(show, request), send)
        finally:
            self._sending.discard(task)

    def _answer(self, show: Show, request: Request) -> Response:
        target = parse_target(request.target)
        if request.host is not None and request.scheme == "http" and isinstance(target, Target) and is_reserved(target):
            found = self._own(target.path)
            if found is not None:
                return reserved(show.view, request, *found)
        return resolve(show.view, request)

    def _own(self, path: str) -> tuple[str, bytes] | None:
        """Return media type and bytes of what this edge itself has at a reserved path."""
        if (found := self._files.get(path)) is not None:
            file, media_type = found, "application/json"
        elif path.startswith(CHALLENGE) and self._challenges is not None:
            token = path.removeprefix(CHALLENGE)
            if not token.replace("-", "").replace("_", "").isalnum() or not token.isascii():
                return None
            file, media_type = self._challenges / token, "text/plain"
        else:
            return None
        try:
            return media_type, file.read_bytes()
        except OSError:
            return None


def read_request(scope: Scope) -> Request:
    """Return the request of an ASGI scope. (Granian gives a Host field that is missing as an empty one.)"""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    http_1_0 = scope["http_version"] in {"1", "1.0"}
    host = host_of([value for name, value in headers if name == "host"], http_1_0=http_1_0)
    query = scope["query_string"].decode("latin-1")
    return Request(
        method=scope["method"],
        host=host.name if host else None,
        target=scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        headers=headers,
        scheme="https" if scope["scheme"] == "https" else "http",
        port=host.port if host else None,
    )


async def _send(show: Show, request: Request, response: Response, send: Send) -> None:
    if isinstance(response.body, bytes):
        await _start(response, send)
        await send({"type": "http.response.body", "body": response.body})
        return
    source = show.source(response.body.digest)
    if isinstance(source, bytes):
        await _start(response, send)
        await send({"type": "http.response.body", "body": source[response.body.start : response.body.end]})
        return
    try:
        file = _open(source, response.body.digest)
    except OSError as error:
        # A fault of ours is never a 404.
        _log.error("blob %s cannot be read: %s", response.body.digest[:12], error)
        await _send(show, request, refuse(show.view, request, 500, show.view.sites.get(request.host or "")), send)
        return
    try:
        await _start(response, send)
        await _send_file(file, response.body, send)
    finally:
        os.close(file)


def _open(source: Source | None, digest: Digest) -> int:
    if not isinstance(source, str):
        raise FileNotFoundError(f"nothing holds {digest}")
    return os.open(source, os.O_RDONLY | os.O_CLOEXEC)


async def _start(response: Response, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def _send_file(file: int, body: BlobBody, send: Send) -> None:
    position, end = body.start, body.end
    if end - position <= CHUNK:
        await send({"type": "http.response.body", "body": os.pread(file, end - position, position)})
        return
    while position < end:
        data = await asyncio.to_thread(os.pread, file, min(CHUNK, end - position), position)
        if not data:
            raise EOFError(f"blob {body.digest} is shorter than the manifest says")
        position += len(data)
        await send({"type": "http.response.body", "body": data, "more_body": position < end})
