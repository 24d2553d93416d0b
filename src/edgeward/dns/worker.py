"""One process of the name server: `python -m edgeward.dns.worker`, started by `workers` with its sockets.

Stdin: a line of JSON (see `Start`), then an empty line whenever the files have changed, and a line of JSON with what is
true just now (`View.moment`) whenever that has: a full disk holds no failover up; every second a sign of life
(`watch.HERE`). While nothing comes, steered names are answered SERVFAIL (`Responder.watch`); when stdin ends, so does
the process. Stdout: a line once it answers, one with what is wrong with the steering table, if anything is, and one
with the answers by code (JSON) every few seconds.
"""

import asyncio
import contextlib
import gc
import json
import logging
import mmap
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeward.core.steering_table import SteeringTable
from edgeward.dns.limits import RateLimiter, Rates
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer
from edgeward.dns.view import View
from edgeward.dns.watch import HEARD_WITHIN, HERE, Ear
from edgeward.dns.zone import Catalogue
from edgeward.errors import SchemaError

_LOG = logging.getLogger("edgeward.dns")
_TELL_EVERY = 2.0
"""Seconds between two lines with the answers by code, which say that it lives as well."""
_LONGEST_LINE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is told first. udp, tcp: descriptors of its sockets. view, table: files. secret: hex. per_second:
    answers for one prefix of clients, 0: no limit. heard_within: seconds, see `watch`.
    """

    udp: tuple[int, ...]
    tcp: tuple[int, ...]
    view: str
    table: str
    secret: str
    per_second: int
    heard_within: float = HEARD_WITHIN

    def to_line(self) -> bytes:
        """Return the line that the worker reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Files:
    """The files that a worker answers from; each is read again only when it is another one."""

    def __init__(self, view: Path, table: Path) -> None:
        self._view, self._table = view, table
        self._seen: tuple[int, int] | None = None
        self._mapped: SteeringTable | None = None
        self.wrong_table = ""
        """Why the table that was looked for last cannot be used; "" if it can."""

    def load(self) -> tuple[View | None, Catalogue | None, SteeringTable | None]:
        """Return what the files hold now, None for what cannot be read: the last good one is answered from. Slow."""
        view, catalogue = None, None
        try:
            view = View.from_bytes(self._view.read_bytes())
            catalogue = Catalogue(view.zones)
        except (OSError, ValueError, SchemaError) as error:
            _LOG.warning("the name server's view cannot be used: %s", error)
            view = None
        return view, catalogue, self.table()

    def table(self, *, afresh: bool = False) -> SteeringTable | None:
        """Return the table, mapped; None if there is none that can be read. afresh: check the one that was read, too.

        The last good one stays, unless it is this very file that is damaged: what is mapped is damaged with it.
        """
        try:
            with self._table.open("rb") as file:
                status = os.fstat(file.fileno())
                seen = status.st_ino, status.st_mtime_ns
                if afresh or seen != self._seen:
                    if self._seen and self._seen[0] == seen[0]:
                        self._mapped = self._seen = None
                    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    self._mapped, self._seen = SteeringTable.from_bytes(memoryview(mapped)), seen
            self.wrong_table = ""
        except (OSError, ValueError, SchemaError) as error:
            self.wrong_table = f"the steering table cannot be read: {error}"
            _LOG.warning("%s", self.wrong_table)
        return self._mapped


async def work() -> None:
    """Answer until stdin ends."""
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    _, ear = await loop.connect_read_pipe(lambda: Ear(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    start = Start(**json.loads(line))
    files = Files(Path(start.view), Path(start.table))
    counts: dict[int, int] = {}
    telling = asyncio.create_task(_tell_for_ever(counts, ear))
    try:
        view, _, table = await asyncio.to_thread(files.load)
        while view is None:
            line = await reader.readline()
            if not line:
                return
            if line != HERE:
                view, _, table = await asyncio.to_thread(files.load)
        limiter = RateLimiter(Rates(per_second=start.per_second)) if start.per_second else None
        responder = Responder(view, table, secret=bytes.fromhex(start.secret), limiter=limiter, counts=counts)
        ear.watch(start.heard_within, lambda: _heed(responder, ear, start.heard_within))
        sockets = [[socket.socket(fileno=number) for number in numbers] for numbers in (start.udp, start.tcp)]
        async with NameServer(responder).serving(*sockets):
            _say({"ready": True, "wrong_table": files.wrong_table})
            while line := await reader.readline():
                await _follow(line, files, responder)
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


def _heed(responder: Responder, ear: Ear, within: float) -> None:
    """Say less while the agent says nothing, and all again at once when it does."""
    responder.watch(watched=ear.hears)
    if ear.hears:
        _LOG.info("the agent is heard again: steered names are answered again")
    else:
        _LOG.warning(
            "nothing was heard from the agent for %g s, so nobody may be watching which edges are well: "
            "steered names are answered SERVFAIL until it speaks again",
            within,
        )


async def _follow(line: bytes, files: Files, responder: Responder) -> None:
    """Answer from what the agent says from now on. What cannot be read changes nothing."""
    if line == HERE:
        await _mistrust(files, responder)
    elif line.strip():
        try:
            responder.replace(view=responder.view.at(json.loads(line)))
        except (ValueError, SchemaError) as error:
            _LOG.warning("what the agent says cannot be used: %s", error)
    else:
        view, catalogue, table = await asyncio.to_thread(files.load)
        responder.replace(view=view, table=table, catalogue=catalogue)
        _note_table(files, responder, table)


async def _mistrust(files: Files, responder: Responder) -> None:
    """Look whether the table is as it was built, if answering questions has failed since the last time."""
    if responder.faults.take():
        _note_table(files, responder, await asyncio.to_thread(files.table, afresh=True))


def _note_table(files: Files, responder: Responder, table: SteeringTable | None) -> None:
    """Do without a table that is damaged, and say so: the agent builds another one."""
    if table is None:
        responder.lose_table()
    if files.wrong_table:
        _say({"wrong_table": files.wrong_table})


async def _tell_for_ever(counts: dict[int, int], ear: Ear) -> None:
    while True:
        if ear.hears:  # a full pipe would hold this process up
            _say({"answers": counts})
        await asyncio.sleep(_TELL_EVERY)


def _say(value: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Entry point of the process."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    gc.set_threshold(50_000, 20, 50)  # an answer leaves no cycles behind
    asyncio.run(work())


if __name__ == "__main__":
    main()
