"""The preview engine as a `serve.engine.Engine`: Granian embedded in this process and its event loop.

A switch of view is one assignment: a request is answered wholly from the view that was current when it began.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from edgeward.core.view import View
from edgeward.errors import ServeError
from edgeward.serve.engine import ServedView
from edgeward.serve.preview.application import HEALTH, Application
from edgeward.serve.preview.site import Show, show_of

START_SECONDS: Final = 10.0
FINISH_SECONDS: Final = 2.0
"""For requests under way when the engine is stopped; then their bodies are cut off."""
CLOSE_SECONDS: Final = 1.0

# Granian sets up logging for the whole process unless it is told to change nothing.
_NO_LOGGING: Final = {"incremental": True, "handlers": {}, "loggers": {}}
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (names of wildcards, nothing is bound here)


class PreviewEngine:
    """Serves on every address of `listen` at `port` (0: any free port). See `serve.engine.Engine` for the promises.

    health, brief: files that answer /.well-known/edgeward/health and /.well-known/edgeward/brief. challenges: folder
    with a file for each ACME token.
    It lives in this process: `release` ends it as `stop` does.
    """

    name = "preview"

    def __init__(
        self,
        listen: Sequence[str],
        port: int,
        *,
        health: Path | None = None,
        brief: Path | None = None,
        challenges: Path | None = None,
    ) -> None:
        self._listen = tuple(listen)
        self._port = port
        self._application = Application(Show(View("", {}), {}), health=health, brief=brief, challenges=challenges)
        # Granian's embedded server is typed in part only; what is called on it is in this file.
        self._servers: list[tuple[Any, asyncio.Task[None]]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._generation = 0

    @property
    def generation(self) -> int:
        """The number of the view that is shown; 0 before the first."""
        return self._generation

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens."""
        return tuple((address, self._port) for address in self._listen)

    async def start(self, view: ServedView) -> int:
        """Serve `view`. Raises ServeError if an address cannot be bound or does not answer."""
        return await self.start_show(show_of(view))

    async def start_show(self, show: Show) -> int:
        """Serve `show`, as `start` does for a view of an edge."""
        await self.stop()
        generation = self.switch(show)
        try:
            for address in self._listen:
                self._port = _claim(address, self._port)
                server = _server(self._application, address, self._port)
                self._servers.append((server, asyncio.create_task(server.serve(), name=f"preview {address}")))
            async with asyncio.timeout(START_SECONDS):
                for address in self._listen:
                    while not await self._answers(address):
                        self._raise_if_ended()
        except TimeoutError:
            await self.stop()
            raise ServeError(f"the preview engine does not answer after {START_SECONDS:g} s") from None
        except BaseException:
            await self.stop()
            raise
        return generation

    async def activate(self, view: ServedView) -> int:
        """Serve `view` instead of the current one."""
        return self.switch(show_of(view))

    def switch(self, show: Show) -> int:
        """Show something else from the next request on; returns its generation."""
        self._application.show = show
        self._generation += 1
        return self._generation

    @property
    def running(self) -> bool:
        """Whether there is a server for every address that has not ended."""
        return bool(self._servers) and not any(task.done() for _, task in self._servers)

    async def healthy(self) -> bool:
        """Whether every address answers within a second."""
        if not self._servers:
            return False
        try:
            async with asyncio.timeout(1.0):
                return all([await self._answers(address) for address in self._listen])
        except TimeoutError:
            return False

    async def stop(self) -> None:
        """End it within a few seconds. Idempotent."""
        servers, self._servers = self._servers, []
        for server, _ in servers:
            server.stop()
        tasks = {task for _, task in servers}
        for seconds in (FINISH_SECONDS, CLOSE_SECONDS):
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=seconds)
            self._application.abort()
        # What is left waits for a client that neither sends nor takes anything. Granian ends by itself when that client
        # is gone, and cannot be cancelled without noise; its listening socket is closed.
        self._ending.update(tasks)
        for task in tasks:
            task.add_done_callback(self._ending.discard)
        await asyncio.gather(*(task for _, task in servers if task not in tasks), return_exceptions=True)

    async def release(self) -> None:
        """End it: an engine inside this process cannot outlive it."""
        await self.stop()

    def _raise_if_ended(self) -> None:
        for _, task in self._servers:
            if task.done():
                error = None if task.cancelled() else task.exception()
                raise ServeError(f"the preview engine ended while it started: {error or 'no reason given'}") from error

    async def _answers(self, address: str) -> bool:
        try:
            reader, writer = await asyncio.open_connection(_ANYWHERE.get(address, address), self._port)
        except OSError:
            await asyncio.sleep(0.01)
            return False
        try:
            writer.write(f"HEAD {HEALTH} HTTP/1.0\r\n\r\n".encode())
            return (await reader.read(5)).startswith(b"HTTP/")
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _server(application: Application, address: str, port: int) -> Server:
    return Server(
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
        websockets=False,
        backlog=1024,
        log_enabled=False,
        log_dictconfig=_NO_LOGGING,
    )


def _claim(address: str, port: int) -> int:
    """Return `port`, or a free one for 0. Raises ServeError if it cannot be bound.

    Granian binds with SO_REUSEPORT and would share a port with another Granian without a word.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return int(probe.getsockname()[1])
        except OSError as error:
            raise ServeError(
                f"cannot listen on {address} port {port}: {error.strerror}",
                hint="choose another port, or stop what listens there",
                address=address,
                port=port,
            ) from error
