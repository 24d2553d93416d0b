"""The state server: `nats-server` as one child process, started again when it ends, stopped with us."""

import asyncio
import json
import logging
import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final, Self, TypeGuard

import nats.errors
from nats.aio.msg import Msg

from edgeward.errors import EdgewardError, StoreError, StoreFull, StoreUnavailable
from edgeward.store.errors import FULL_HINT
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import SERVER
from edgeward.store.link import Link, StoreAddress
from edgeward.store.prepare import prepare
from edgeward.store.program import ServerFolder, ServerSettings, check_port, command, free_port, stop_leftover

__all__ = ["ServerSettings", "StateServer"]

log = logging.getLogger(__name__)

READY_DEADLINE: Final = 60.0
"""Seconds until a server that was started must answer JetStream requests (it reads its files first)."""

_MEMORY: Final = "96MiB"
_STOP_PATIENCE: Final = 10.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_HEALTHY_AFTER: Final = 5.0
_CHECK_EVERY: Final = 2.0
_ROOM_CHECKS: Final = 15
"""After so many checks (half a minute) the limit of the blobs follows the room on the disk, if that has changed"""

_ROOM_STEP: Final = 32 * 1024 * 1024
"""by more than so many bytes."""

_DISABLED_CHECKS: Final = 3
"""So many times in a row that JetStream says it is not there (it disables itself on an error of the disk)."""

_SILENT_CHECKS: Final = 15
"""So many times in a row that no answer comes at all: about a minute, for a machine that is merely overloaded."""


class StateServer:
    """One nats-server. `start`, then use `address`; `stop` at the end; or `async with`."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.problem: str | None = None
        """Why the server does not serve just now, as a sentence; None while it does."""
        self.full = False
        """Whether that is because the disk has no room."""
        self.restarts = 0
        """How often it has been started again."""
        self._port = settings.port
        self._folder = ServerFolder(settings)
        self._process: asyncio.subprocess.Process | None = None
        self._link: Link | None = None
        self._write_failed = False
        self._blob_bytes = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def address(self) -> StoreAddress:
        """Where clients reach it. With port 0 in the settings, known after `start`."""
        host = f"[{self.settings.listen}]" if ":" in self.settings.listen else self.settings.listen
        return StoreAddress(f"nats://{host}:{self._port}", self.settings.token)

    @property
    def pid(self) -> int | None:
        """The process, or None while none runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and return when it answers JetStream requests and has the layout.

        A server that an earlier run of ours left behind in the same folder is stopped first. Raises EngineMissing,
        DiskError (folder), StoreFull (no room), StoreError (folder in use, port taken, the server's own complaint).
        """
        self._folder.open()
        try:
            left = await stop_leftover(self._folder)
            if left is not None:
                log.warning("stopped the state server that an earlier run left behind (process %d)", left)
            if self._port == 0:
                self._port = free_port(self.settings.listen)
            self._link = Link(self.address, name="supervisor")
            self._begin(self._link.run(), "link")
            await self._spawn(self._link)
            self._begin(self._answer(self._link), "answers")
            self._begin(self._supervise(self._link), "supervisor")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it and everything about it. Safe to repeat."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            # A task that failed is a fault of ours: it is raised, but only when nothing is left running.
            failures = [item for item in await asyncio.gather(*tasks, return_exceptions=True) if _is_failure(item)]
        finally:
            await self._end()
            self._folder.close()
        for failure in failures:
            raise failure

    def _begin(self, loop: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(loop, name=f"state server: {name}")
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Show that nobody looks after the server any more; `stop` raises the fault itself."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.problem = f"{task.get_name()} failed: {fault!r}"
            log.error("%s", self.problem, exc_info=fault)

    async def _spawn(self, link: Link) -> None:
        """Start the process and wait until it is ready; leaves none behind when it raises."""
        self._blob_bytes = await asyncio.to_thread(self._folder.blob_bytes)
        self._write_failed = False
        check_port(self.settings.listen, self._port)
        self._folder.write_config(self._port)
        self._folder.forget_output()
        with self._folder.output.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command(self._folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # What Go's runtime aims to stay below before it gives memory up: unlimited, it lets garbage grow to
                # several times of what is in use, on a machine that has a site to serve.
                env={"GOMEMLIMIT": _MEMORY, **os.environ},
                # Ctrl-C goes to the whole foreground group; we stop the server ourselves, after its clients.
                start_new_session=True,
            )
        try:
            await self._until_ready(self._process, link)
            await prepare(JetStream(link), blob_bytes=self._blob_bytes)
        except BaseException:
            await self._end()
            raise

    async def _until_ready(self, process: asyncio.subprocess.Process, link: Link) -> None:
        ready = asyncio.create_task(
            JetStream(link).call("INFO", what="start the state server", deadline=READY_DEADLINE)
        )
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise self._complaint(ended.result())
            ready.result()
        finally:
            for task in (ready, ended):
                task.cancel()
                with suppress(asyncio.CancelledError, EdgewardError):
                    await task

    def _complaint(self, code: int) -> StoreError:
        said = self._folder.complaint()
        msg = f"the state server ended with code {code}: {said or 'it said nothing'}"
        hint = f"see {self._folder.log}"
        if "no space left" in said:
            return StoreFull(msg, hint=FULL_HINT, code=code)
        return StoreError(msg, hint=hint, code=code)

    async def _supervise(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            began = loop.time()
            self.problem = await self._until_down(link)
            log.warning("%s; it is started again", self.problem)
            await self._end()
            if loop.time() - began > _HEALTHY_AFTER:
                pause = _FIRST_PAUSE
            while True:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                try:
                    await self._spawn(link)
                except (EdgewardError, OSError) as error:
                    self.problem = str(error)
                    self.full = isinstance(error, StoreFull)
                    log.warning("%s", error)
                else:
                    break
            self.problem, self.full = None, False
            self.restarts += 1
            log.warning("the state server runs again")

    async def _until_down(self, link: Link) -> str:
        """Return why the server must be started again, as a sentence."""
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        disabled = silent = checks = 0
        try:
            while True:
                await asyncio.wait({ended}, timeout=_CHECK_EVERY)
                if ended.done():
                    return str(self._complaint(ended.result()))
                checks += 1
                if await self._cannot_write():
                    return "the state server could not write to its disk"
                try:
                    await JetStream(link).call("INFO", what="check the state server", deadline=_CHECK_EVERY)
                    if checks % _ROOM_CHECKS == 0:
                        await self._limit_blobs(link)
                    disabled = silent = 0
                except StoreUnavailable as error:
                    silent += 1
                    disabled += "JetStream" in error.message or "code" in error.facts
                if disabled >= _DISABLED_CHECKS or silent >= _SILENT_CHECKS:
                    said = self._folder.complaint()
                    return f"the state server does not answer JetStream requests{said and ': '}{said}"
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError):
                await ended

    async def _cannot_write(self) -> bool:
        """Whether a write has failed and there is room now, so that a start would help.

        Without room the server is left running: what is stored can still be read.
        """
        self._write_failed |= await asyncio.to_thread(self._folder.write_failed)
        if not self._write_failed:
            return False
        self.full = await asyncio.to_thread(lambda: self._folder.full)
        if self.full:
            where = self.settings.data
            self.problem = f"the state store has no room: the disk of {where} is full, so nothing can be written"
        return not self.full

    async def _limit_blobs(self, link: Link) -> None:
        """Bring the limit of the blobs to what the disk has room for now."""
        with suppress(StoreFull):
            blob_bytes = await asyncio.to_thread(self._folder.blob_bytes)
            if abs(blob_bytes - self._blob_bytes) > _ROOM_STEP:
                self._blob_bytes = blob_bytes
                await prepare(JetStream(link), blob_bytes=blob_bytes)

    async def _answer(self, link: Link) -> None:
        """Tell clients that ask what is wrong (`Link.explain`)."""
        while True:
            session = await link.session()

            async def tell(msg: Msg) -> None:
                answer = {"problem": self.problem, "full": self.full}
                await msg.respond(json.dumps(answer).encode())

            with suppress(nats.errors.Error, OSError):
                await session.client.subscribe(SERVER, cb=tell)
            await session.over()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_PATIENCE):
                await process.wait()
        except TimeoutError:
            log.warning("the state server does not end by itself: it is killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _is_failure(item: BaseException | None) -> TypeGuard[Exception]:
    return isinstance(item, Exception) and not isinstance(item, asyncio.CancelledError)
