"""The processes of the name server: sockets opened once, a worker for each core, started again when they end.

The sockets are the agent's, so a worker that ends loses no question that waits in them.
"""

import asyncio
import contextlib
import json
import logging
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeward.dns.server import bind
from edgeward.dns.view import View
from edgeward.dns.watch import BEAT, HERE
from edgeward.dns.wire import RCODES
from edgeward.dns.worker import Start

_LOG = logging.getLogger("edgeward.dns")
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_END_SECONDS: Final = 3.0
_SILENT_STEPS: Final = 10
"""Steps of a second in which a worker says nothing until it counts as frozen: steps, since a second may be longer than
it seems. The agent may have been frozen as well.
"""
_MOST_UNREAD: Final = 1024 * 1024
"""Bytes that wait for a worker that does not read, beyond which it is told nothing until it has."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how the name server listens. workers: processes. per_second: answers for one prefix of clients."""

    addresses: tuple[str, ...]
    port: int
    workers: int
    per_second: int


class Workers:
    """Runs the workers. view, table: the files that they answer from. secret: key of the cookies, 16 bytes. watching:
    whether what they are told of the edges is of now; while it is not, they are told nothing, and fall silent.
    """

    def __init__(
        self,
        listening: Listening,
        *,
        view: Path,
        table: Path,
        secret: bytes,
        watching: Callable[[], bool] = lambda: True,
    ) -> None:
        self._listening = listening
        self._files = view, table
        self._secret = secret
        self._watching = watching
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._answers: dict[int, Counter[int]] = {}
        self._moment = b""
        """What workers were told last."""
        self._behind: set[int] = set()
        """Numbers of the workers that were not told something, since they do not read."""
        self.wrong_table = ""
        """What a worker said last is wrong with the file of the table, "" for nothing. Whoever mends it takes it back.
        """
        self.ready: set[int] = set()
        """Numbers of the workers that answer."""
        self.fallen: dict[int, str] = {}
        """Of workers that have ended and do not answer again yet, how that was."""

    @property
    def answers(self) -> Mapping[str, int]:
        """Answers by name of the code, of the workers that run, as they last told."""
        total = sum(self._answers.values(), Counter[int]())
        return {RCODES.get(code, str(code)): count for code, count in sorted(total.items())}

    async def run(self) -> None:
        """Answer until cancelled. Raises ServeError if an address cannot be listened on."""
        listening = self._listening
        udp, tcp = bind(listening.addresses, listening.port, workers=listening.workers)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat(), name="sign of life for the name server")
                for number, sockets in enumerate(udp):
                    group.create_task(self._keep(number, sockets, tcp), name=f"name server {number}")
        finally:
            for each in (*tcp, *(one for sockets in udp for one in sockets)):
                each.close()

    def load(self) -> None:
        """Tell every worker that the files have changed."""
        self._send(b"\n" + self._moment)

    def tell(self, view: View) -> None:
        """Tell every worker what is true just now, which needs no disk."""
        self._moment = json.dumps(view.moment()).encode() + b"\n"
        self._send(self._moment)

    async def _beat(self) -> None:
        """Say that the agent is there. In its loop and not in a thread: a loop that hangs watches nothing."""
        while True:
            self._send(HERE)
            await asyncio.sleep(BEAT)

    def _send(self, data: bytes) -> None:
        if not self._watching():
            self._behind.update(self._running)
            return
        for number, process in self._running.items():
            assert process.stdin is not None
            if process.stdin.is_closing():
                continue
            if process.stdin.transport.get_write_buffer_size() > _MOST_UNREAD:
                self._behind.add(number)
            elif number in self._behind:
                self._behind.discard(number)
                process.stdin.write(b"\n" + self._moment)  # all that it may have missed
            else:
                process.stdin.write(data)

    async def _keep(self, number: int, udp: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                code = await self._work(number, udp, tcp)
            except OSError as error:  # no more processes or descriptors: others may end
                _LOG.warning("worker %d of the name server cannot be started: %s", number, error)
                code = None
            if loop.time() - began > 60:
                pause = _FIRST_PAUSE
            how = "cannot be started" if code is None else f"ended (exit code {code})"
            self.fallen[number] = f"process {number} of the name server {how}"
            _LOG.warning("%s; it starts again in %g s", self.fallen[number], pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _work(self, number: int, udp: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> int | None:
        view, table = self._files
        numbers = tuple(each.fileno() for each in udp), tuple(each.fileno() for each in tcp)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edgeward.dns.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, pass_fds=(*numbers[0], *numbers[1]),
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            start = Start(*numbers, str(view), str(table), self._secret.hex(), self._listening.per_second)
            process.stdin.write(start.to_line() + self._moment)
            self._running[number] = process
            while line := await _next_line(process.stdout):
                self._heard(number, line)
        finally:
            self._running.pop(number, None)
            self._answers.pop(number, None)
            self._behind.discard(number)
            self.ready.discard(number)
            await asyncio.shield(_end(process))
        return process.returncode

    def _heard(self, number: int, line: bytes) -> None:
        said = json.loads(line)
        if said.get("ready"):
            self.ready.add(number)
            self.fallen.pop(number, None)
        if "answers" in said:
            self._answers[number] = Counter({int(code): count for code, count in said["answers"].items()})
        self.wrong_table = said.get("wrong_table") or self.wrong_table


async def _next_line(stdout: asyncio.StreamReader) -> bytes:
    """Return the next line of a worker, b"" if it has ended, or is silent for so long that it must be frozen."""
    for _ in range(_SILENT_STEPS):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                return await stdout.readline()
    return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let a worker end by itself; kill it if it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
