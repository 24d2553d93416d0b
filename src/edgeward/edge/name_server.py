"""The name server of an edge: keeps the files that its workers answer from true, and runs the workers.

Two files. The steering table changes when an edge comes, moves or goes, or the operator's networks do; it is built in a
process of its own. The view has zones and everything that changes by the second, and is written at every change. Both
lie on the disk, so that a restart answers at once.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeward import __version__
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.build_table import WRONG_CITY, Wanted, is_steered
from edgeward.dns.fleet_zones import fleet_zones
from edgeward.dns.geo import file_version
from edgeward.dns.records import rendered
from edgeward.dns.view import Proofs, View
from edgeward.dns.workers import Listening, Workers
from edgeward.edge.conditions import Conditions
from edgeward.edge.disk import EdgeDisk, write_durably
from edgeward.edge.gather import StoreView
from edgeward.edge.last_known import known_names
from edgeward.edge.settings import DnsService
from edgeward.edge.verdicts import Verdicts
from edgeward.errors import EdgewardError, SchemaError, ServeError

if TYPE_CHECKING:
    from edgeward.dns.zone import Zone

_LOG = logging.getLogger("edgeward.edge")
_LOOK = 0.25
"""Seconds between two looks at what the answers are made of."""
_AGAIN = 10.0
"""Seconds until what failed is tried again."""
_BUILD_SECONDS = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 600.0
"""Seconds until a table that could not be built is tried again, at first and at most: twice as long each time."""


class EdgeNameServer:
    """Follows store and verdicts, and answers DNS. Levels: what is, is compared with what was written last."""

    def __init__(
        self,
        service: DnsService,
        disk: EdgeDisk,
        *,
        edge: str,
        view: StoreView,
        verdicts: Verdicts,
        conditions: Conditions,
        clock: Callable[[], int],
    ) -> None:
        self._service = service
        self._edge = edge
        self._view = view
        self._verdicts = verdicts
        self._conditions = conditions
        self._clock = clock
        self._view_file = disk.dns / "view.json"
        self._table_file = disk.dns / "steering.table"
        self._secret_file = disk.dns / "secret"
        self._told: object = None
        """What workers were told to be true just now."""
        self._found: View | None = None
        """What the disk is to have."""
        self._looked = asyncio.Event()
        self._written: View | None = None
        """What the disk has."""
        self._zones_of: tuple[object, ...] | None = None
        self._made: tuple[Zone, ...] = ()
        self._built: Wanted | None = None
        self._known = set(verdicts.edges)
        """Every edge that a table may name: one that has left the fleet is in it until it is built anew."""
        self._city_version: tuple[int, ...] | None = None
        self.workers = Workers(
            Listening(service.listen, service.port, service.workers or os.cpu_count() or 1, service.answers_per_second),
            view=self._view_file,
            table=self._table_file,
            secret=self._secret(),
            watching=lambda: verdicts.watching,
        )
        with contextlib.suppress(OSError, SchemaError):
            self._written = View.from_bytes(self._view_file.read_bytes())
            was = self._written
            verdicts.remember(was.out, was.drained, lacking=was.lacking, silent=was.silent)

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(), name="name server")
            group.create_task(self._build_for_ever(), name="steering table")
            group.create_task(self._write_for_ever(), name="view of the name server")
            while True:
                self._renew()
                if self.workers.fallen:
                    sentence = "; ".join(self.workers.fallen.values()) + ": started again"
                    self._conditions.set("dns", sentence, now=self._clock())
                elif self.workers.ready:
                    self._conditions.set("dns", None, now=self._clock())
                self._verdicts.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._verdicts.changed.wait()

    async def _serve(self) -> None:
        """Run the workers; an address that cannot be had is tried again, and never ends the edge."""
        while True:
            try:
                await self.workers.run()
            except* ServeError as errors:
                sentence = "; ".join(str(error.message) for error in errors.exceptions if isinstance(error, ServeError))
                self._conditions.set("dns", sentence, now=self._clock())
            await asyncio.sleep(_AGAIN)

    def _renew(self) -> None:
        """Tell the workers what has changed and needs no disk; the zones follow by the file that they read."""
        self._found = found = self._look()
        if found is None:
            return
        # Before the disk is compared: on a full one, what it has may be so again after something else was told.
        if (moment := found.moment()) != self._told:
            self.workers.tell(found)
            self._told = moment
        self._looked.set()

    async def _write_for_ever(self) -> None:
        """Have the disk follow, in a loop of its own: one that takes its time holds no failover up."""
        while True:
            await self._looked.wait()
            self._looked.clear()
            if self._found is not None and self._found != self._written:
                await self._write(self._found)

    async def _write(self, found: View) -> None:
        try:
            await asyncio.to_thread(write_durably, self._view_file, found.to_bytes())
        except EdgewardError as error:
            self._conditions.set("dns view", error.message, now=self._clock())
            return
        self._conditions.set("dns view", None, now=self._clock())
        before, self._written = self._written, found
        if before is None or found.at(before.moment()) != before:
            self.workers.load()

    def _look(self) -> View | None:
        """Return what is to be answered now; None if that is not known.

        Before the store has spoken it is what the disk has, under the verdicts of now: a start without a store.
        """
        if not self._view.complete:
            return self._from_disk()
        settings = self._view.dns
        if settings is None:
            return self._from_disk() if "dns" in self._view.unread("fleet") else None
        return self._from_store(settings)

    def _from_disk(self) -> View | None:
        if self._written is None:
            return None
        return replace(
            self._written,
            out=dict(self._verdicts.out),
            drained=self._verdicts.drained,
            lacking=self._lacking(),
            silent=dict(self._verdicts.silent),
            proofs=self._proofs(),
        )

    def _lacking(self) -> dict[str, dict[str, str]]:
        return {site: dict(lacking) for site, lacking in self._verdicts.lacking.items()}

    def _proofs(self) -> Proofs:
        known = self._view.complete and self._view.connected
        return Proofs(known, self._view.proofs)

    def _from_store(self, settings: DnsSettings) -> View:
        edges = self._view.edges
        names = known_names(self._view, settings, self._written.zones if self._written else ())
        made_of = (settings, edges, names.sites)
        if made_of != self._zones_of:
            made = fleet_zones(settings, edges, names.sites, render=rendered)
            problems = "; ".join(made.problems) or None
            self._conditions.set("dns zones", problems, now=self._clock())
            self._zones_of, self._made = made_of, made.zones
        now = self._clock()
        return View(
            zones=self._made,
            unsure=names.unsure,
            out={**self._verdicts.out, **self._left(edges)},
            drained=frozenset(name for name, record in edges.items() if record.is_drained(now)),
            lacking=self._lacking(),
            silent=dict(self._verdicts.silent),
            proofs=self._proofs(),
            server=self._edge,
            version=f"edgeward {__version__}",
            margin=float(settings.margin),
            most=settings.most,
        )

    def _left(self, edges: Mapping[str, EdgeRecord]) -> dict[str, str]:
        """Return the edges that are steered to no more, with the reason: no verdict is on them."""
        steered = {name for name, record in edges.items() if is_steered(record)}
        self._known |= steered
        return dict.fromkeys(sorted(self._known - steered), "it is no longer one that readers are sent to")

    async def _build_for_ever(self) -> None:
        """Build the table whenever what it is made of has changed, or the one that there is cannot be read; what failed
        is tried again, ever more seldom.
        """
        clock = asyncio.get_running_loop().time
        failed: tuple[object, ...] | None = None
        pause = again = 0.0
        while True:
            wanted, version = self._wanted(), self._city()
            goal = (wanted, version)
            wrong = self.workers.wrong_table
            changed = bool(wrong) or goal != (self._built, self._city_version)
            if wanted is None and wrong and self._table_file.exists():
                self._conditions.set("dns table", wrong, now=self._clock())
            if wanted is not None and changed and (goal != failed or clock() >= again):
                is_built, problem = await self._build(wanted)
                if wrong or not is_built:
                    pause = min(2 * pause, _LONGEST_PAUSE) if goal == failed else _FIRST_PAUSE
                    failed, again = goal, clock() + pause
                else:
                    failed = None
                if is_built:
                    self._built, self._city_version, self.workers.wrong_table = wanted, version, ""
                    self.workers.load()
                self._conditions.set("dns table", problem, now=self._clock())
            await asyncio.sleep(_LOOK)

    def _wanted(self) -> Wanted | None:
        settings = self._view.dns
        if not self._view.complete or settings is None:
            return None
        return Wanted.of(settings, self._view.edges, self._service.city_file)

    def _city(self) -> tuple[int, ...] | None:
        """Return the version of the city database; while there is none to be read, of the one before."""
        file = self._service.city_file
        return None if file is None else file_version(file) or self._city_version

    async def _build(self, wanted: Wanted) -> tuple[bool, str | None]:
        """Build the table. Returns whether the one that is there now will do, and what is wrong, None if nothing is."""
        code, said = await self._run_build(wanted)
        if code == 0:
            _LOG.info("built the steering table of %d edges", len(wanted.edges))
            return True, said or None
        problem = f"the steering table cannot be built, the last one stays: {said}"
        _LOG.warning("the build of the steering table has failed with exit code %d", code)
        if code != WRONG_CITY:
            return False, problem
        # No other try with this file ends better. A table of other edges is worse than one by country, as none is.
        if self._built in {None, wanted} and await asyncio.to_thread(_is_table, self._table_file):
            return True, problem
        code, _ = await self._run_build(replace(wanted, city_file=None))
        return code == 0, problem

    async def _run_build(self, wanted: Wanted) -> tuple[int, str]:
        """Run the program that builds. Returns its exit code and what it said: remarks, or why it failed."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edgeward.dns.build_table", str(self._table_file),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:  # no more processes or descriptors: others may end
            return 1, str(error.strerror)
        try:
            async with asyncio.timeout(_BUILD_SECONDS):
                said, errors = await process.communicate(wanted.to_bytes())
        except TimeoutError:
            return 1, f"it took longer than {_BUILD_SECONDS:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return 0, said.decode(errors="replace").strip().replace("\n", "; ")
        reason = errors.decode(errors="replace").strip() or f"no reason given, exit code {process.returncode}"
        return process.returncode or 1, reason.splitlines()[-1]

    def _secret(self) -> bytes:
        """Return the key of the cookies: its own on each edge, made once, readable by the agent alone."""
        try:
            found = self._secret_file.read_bytes()
            if len(found) == 16:
                return found
        except OSError:
            pass
        made = secrets.token_bytes(16)
        with contextlib.suppress(OSError):
            self._secret_file.unlink(missing_ok=True)
            descriptor = os.open(self._secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made)
        return made


def _is_table(file: Path) -> bool:
    """Whether a file is a steering table that can be read."""
    try:
        SteeringTable.from_bytes(file.read_bytes())
    except (OSError, SchemaError):
        return False
    return True
