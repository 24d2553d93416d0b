"""nginx as an engine: started so that it outlives the agent, adopted again, switched with confirmation, rolled back.

A switch: write the configuration beside, `nginx -t`, put it in place, SIGHUP, and wait until fresh connections are
answered by the new generation and every older worker has stopped taking any. Older workers go on with what they have
begun; a connection that was opened, but silent, before the switch is theirs too, so a file tells them that they are
retired, and they pass such requests on to the new generation (`locations`).
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeward.errors import ConfigRejected, EngineMissing, ServeError
from edgeward.serve.blobs import disk_error
from edgeward.serve.engine import ServedView
from edgeward.serve.nginx.book import Parts
from edgeward.serve.nginx.folders import length, link_roots, machine_of, prepare, rotate, tail, write_config
from edgeward.serve.nginx.installed import find_nginx
from edgeward.serve.nginx.processes import Process, children_of, find_master, send, workers_of
from edgeward.serve.nginx.render import Machine, generation_of, render, retired_file, short_roots
from edgeward.serve.nginx.settings import ACCESS_LOG, CONFIG, CONTROL, ERROR_LOG, PID, NginxSettings

_LOG = logging.getLogger("edgeward.serve.nginx")
_TEST_SECONDS: Final = 60.0
_START_SECONDS: Final = 15.0
_SWITCH_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 1.0
_QUIT_SECONDS: Final = 5.0
_TERM_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01
_OVERLOOKED_SECONDS: Final = 1.2
"""How long an old worker may go on believing that it is not retired: `open_file_cache_valid`, and a little."""


class NginxEngine:
    """Runs one nginx on a folder of its own. See `serve.engine.Engine` for the promises.

    Raises EngineMissing where nginx is not installed.
    """

    name = "nginx"

    def __init__(self, settings: NginxSettings) -> None:
        program = find_nginx(settings.program)
        if program is None:
            raise EngineMissing(
                f"{settings.program} is not installed", hint="apt-get install nginx, or use the preview engine"
            )
        self._program = program
        self._settings = settings
        self._folder = settings.folder.absolute()
        self._machine: Machine | None = None
        self._parts = Parts()
        self._generation = 0
        self._tried = 0

    @property
    def generation(self) -> int:
        """The generation that answers, 0 before the first."""
        return self._generation

    async def start(self, view: ServedView) -> int:
        """Serve `view`, on the nginx that is already running in this folder if it answers, else from nothing.

        Raises EngineMissing, ConfigRejected, ServeError, DiskError.
        """
        served = {site.tree.parent for site in view.sites} | {site.kept.parent for site in view.sites}
        self._machine, warning = machine_of(self._settings, sorted(served))
        if warning:
            _LOG.warning(warning)
        prepare(self._settings, self._machine)
        master = self._master()
        if master is not None:
            answer = await self._answer("/generation")
            if answer.isdigit():
                self._generation = int(answer)
                _LOG.info("adopted nginx (pid %d, generation %d)", master.pid, self._generation)
                return await self.activate(view)
            _LOG.warning("nginx (pid %d) does not answer; it is ended and started anew", master.pid)
        await self._end()
        return await self._start_anew(view)

    async def activate(self, view: ServedView) -> int:
        """Switch to `view`. Raises ConfigRejected or ServeError, with the earlier view still served."""
        master = self._master()
        if master is None or self._machine is None:
            raise ServeError("nginx is not running", hint="the agent starts it again by itself")
        generation = await self._write(view)
        config, previous = self._path(CONFIG), self._path(CONFIG + ".previous")
        log_start = length(self._path(ERROR_LOG))
        older = [worker for worker in children_of(master.pid) if not worker.is_ending]
        try:
            shutil.copyfile(config, previous)
            self._path(CONFIG + ".next").replace(config)
        except OSError as error:
            raise disk_error("replace", config, error) from error
        send(master.pid, signal.SIGHUP)
        try:
            await self._confirm(master, generation, older, log_start)
        except ServeError:
            await self._roll_back(master, log_start)
            raise
        before, self._generation = self._generation, generation
        await self._retire(master, before, older)
        return generation

    @property
    def running(self) -> bool:
        """Whether the master process is there, and can be asked: somebody may have deleted its folder."""
        return self._master() is not None and self._path(CONTROL).exists()

    async def healthy(self) -> bool:
        """Whether nginx answers on its control socket within a second."""
        return self._master() is not None and (await self._answer("/generation")).isdigit()

    async def connections(self) -> str:
        """Return nginx's own counts (stub_status), "" if it does not answer."""
        return await self._answer("/status")

    async def tend(self) -> None:
        """Rotate logs that have grown too large, and forget generations whose workers are gone. Raises DiskError."""
        master = self._master()
        if master is None:
            return
        settings = self._settings
        rotated = [
            rotate(self._path(name), size=settings.log_bytes, keep=settings.log_files)
            for name in (ACCESS_LOG, ERROR_LOG)
        ]
        if any(rotated):
            send(master.pid, signal.SIGUSR1)
        if not any(worker.is_ending for worker in children_of(master.pid)):
            try:
                for mark in (self._folder / "retired").iterdir():
                    mark.unlink(missing_ok=True)
            except OSError as error:
                raise disk_error("tidy", self._folder, error) from error

    async def stop(self) -> None:
        """End nginx: requests under way have five seconds. Idempotent."""
        await self._end()
        self._generation = 0

    async def release(self) -> None:
        """Leave nginx running, to be adopted."""

    # ------------------------------------------------------------------------------------------------ configuration

    async def _write(self, view: ServedView) -> int:
        """Write the next configuration and have nginx read it. Returns its generation. Raises ConfigRejected."""
        assert self._machine is not None
        self._tried = max(self._tried, self._generation) + 1
        file = self._path(CONFIG + ".next")
        try:
            # Thousands of rules take seconds, in which the agent must go on saying that it is there.
            text = await asyncio.to_thread(render, view, self._settings, self._machine, self._tried, self._parts)
            self._parts.tidy()
        except ValueError as error:
            raise ConfigRejected(f"the releases of {len(view.sites)} sites cannot be told to nginx: {error}") from error
        write_config(file, text)
        link_roots(self._settings, self._tried, short_roots(view.sites, self._settings, self._tried))
        code, output = await self._run("-t", "-q", "-c", str(file))
        if code != 0:
            raise ConfigRejected(
                f"nginx refuses the configuration of {len(view.sites)} sites: {_first_error(output)}",
                hint=f"see {file}; what was served before is still served",
                output=output[-4_000:],
            )
        return self._tried

    async def _run(self, *arguments: str) -> tuple[int, str]:
        """Run nginx to its end; returns exit code and what it said. Raises ServeError if it takes too long."""
        process = await asyncio.create_subprocess_exec(
            self._program, "-p", str(self._folder), "-e", str(self._path(ERROR_LOG)), *arguments,
            cwd=self._folder, env=_environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_TEST_SECONDS):
                _, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ServeError(f"nginx took more than {_TEST_SECONDS:.0f} s to read its configuration") from None
        return process.returncode or 0, errors.decode(errors="replace")

    # ------------------------------------------------------------------------------------------------------ switches

    async def _start_anew(self, view: ServedView) -> int:
        config = self._path(CONFIG)
        with contextlib.suppress(OSError):
            self._tried = max(self._tried, generation_of(config.read_text(encoding="utf-8")))
        generation = await self._write(view)
        for stale in [*(self._folder / "sockets").iterdir(), *(self._folder / "retired").iterdir(), self._path(PID)]:
            stale.unlink(missing_ok=True)
        self._path(CONFIG + ".next").replace(config)
        log_start = length(self._path(ERROR_LOG))
        code, output = await self._run("-c", str(config))
        if code != 0:
            raise ServeError(
                f"nginx does not start: {_first_error(output)}",
                hint="is another program listening on these addresses?",
                listen=list(self._settings.listen),
            )
        # The pid file is written after nginx has put itself into the background.
        await _until(lambda: self._master() is not None, _START_SECONDS)
        master = self._master()
        if master is None:
            raise ServeError(f"nginx ended at once: {_first_error(tail(self._path(ERROR_LOG), log_start))}")
        await self._confirm(master, generation, [], log_start)
        self._generation = generation
        link_roots(self._settings, generation, None)
        _LOG.info("started nginx (pid %d, generation %d)", master.pid, generation)
        return generation

    async def _confirm(self, master: Process, generation: int, older: list[Process], log_start: int) -> None:
        """Wait until the generation answers and no older worker takes connections. Raises ServeError if it will not.

        Once the generation answers, the older workers are told to end from here: nginx's master sleeps for 0.1 s before
        it does so itself (`ngx_master_process_cycle`), and by then takes none that has ended for one that crashed.
        """
        deadline = time.monotonic() + _SWITCH_SECONDS
        pids = {worker.pid for worker in older}
        told = False
        while time.monotonic() < deadline:
            if await self._answer("/generation") == str(generation):
                now = {worker.pid: worker for worker in children_of(master.pid)}
                left = [pid for pid in pids if pid in now and not now[pid].is_ending]
                if not left:
                    return
                for pid in left if not told else ():
                    send(pid, signal.SIGQUIT)
                told = True
            said = tail(self._path(ERROR_LOG), log_start)
            if _has_given_up(said):
                raise ServeError(f"nginx does not switch: {_first_error(said)}", log=said)
            if self._master() is None:
                raise ServeError("nginx ended during a switch", log=said)
            await asyncio.sleep(_POLL_SECONDS)
        raise ServeError(f"nginx did not switch to generation {generation} within {_SWITCH_SECONDS:.0f} s")

    async def _roll_back(self, master: Process, log_start: int) -> None:
        """Put the previous configuration back, and make nginx read it if it had begun with the new one."""
        self._path(CONFIG + ".previous").replace(self._path(CONFIG))
        if await self._answer("/generation") == str(self._generation):
            return
        older = [worker for worker in children_of(master.pid) if not worker.is_ending]
        send(master.pid, signal.SIGHUP)
        try:
            await self._confirm(master, self._generation, older, max(log_start, length(self._path(ERROR_LOG))))
        except ServeError as error:
            _LOG.error("nginx does not go back to generation %d: %s", self._generation, error.message)

    async def _retire(self, master: Process, generation: int, older: list[Process]) -> None:
        """Tell the workers of a generation that a later one serves, and wait until they have certainly seen it."""
        pids = {worker.pid for worker in older}

        def gone() -> bool:
            return pids.isdisjoint(worker.pid for worker in children_of(master.pid))

        mark = retired_file(self._folder, generation)
        try:
            mark.touch()
        except OSError as error:
            raise disk_error("write", mark, error) from error
        link_roots(self._settings, self._generation, None)
        await _until(gone, _OVERLOOKED_SECONDS)

    async def _end(self) -> None:
        """End whatever runs in this folder: master and workers, or workers whose master was killed."""
        try:
            session = int(self._path(PID).read_text().strip())
        except (OSError, ValueError):
            if (orphan := self._master()) is None:
                return
            session = orphan.session
        for number, seconds in (
            (signal.SIGQUIT, _QUIT_SECONDS), (signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _TERM_SECONDS)
        ):  # fmt: skip
            master = self._master()
            found = workers_of(session, self._folder)
            if master is None and not found:
                break
            for process in [master] if master is not None else found:
                send(process.pid, number)
            await _until(lambda: self._master() is None and not workers_of(session, self._folder), seconds)
        self._path(PID).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------ questions

    def _master(self) -> Process | None:
        return find_master(self._path(PID), self._path(CONFIG))

    def _path(self, name: str) -> Path:
        return self._folder / name

    async def _answer(self, target: str) -> str:
        """Ask the control socket on a connection of its own; "" if there is no answer within a second."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._asked(target)
        except (OSError, TimeoutError):
            return ""

    async def _asked(self, target: str) -> str:
        # A socket's path has at most 107 bytes; through a descriptor of the folder it is short wherever that is.
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{CONTROL}")
        finally:
            os.close(folder)
        try:
            writer.write(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            await writer.drain()
            head, _, body = (await reader.read(65_536)).decode(errors="replace").partition("\r\n\r\n")
            return body.strip() if " 200 " in head.partition("\r\n")[0] + " " else ""
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds, or the time is over."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:  # noqa: ASYNC110 (processes end with no event for us)
        await asyncio.sleep(_POLL_SECONDS)


def _environment() -> dict[str, str]:
    """Environment of nginx: nothing of the agent's. nginx writes its processes' titles over it, so it has a length."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "EDGEWARD": "room for the titles of processes"}


def _has_given_up(said: str) -> bool:
    """Whether nginx's log says that a switch has failed. An address that is taken is tried five times before that."""
    errors = [line for line in said.splitlines() if "[emerg]" in line]
    return any("bind()" not in line or "still could not bind()" in line for line in errors)


def _first_error(output: str) -> str:
    """Return the first line in which nginx says what is wrong."""
    lines = [line for line in output.splitlines() if line.strip()]
    found = next((line for line in lines if "[emerg]" in line or "[crit]" in line), lines[0] if lines else "no reason")
    return found.partition("[emerg] ")[2].partition(": ")[2] or found
