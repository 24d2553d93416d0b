"""One edge as a process: its parts started in the order in which readers miss them, and stopped in the other."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Final

from edgeward.edge.access_log import RequestCount
from edgeward.edge.agent import Agent
from edgeward.edge.alerts import Alerts
from edgeward.edge.clock import SteadyClock
from edgeward.edge.conditions import Conditions
from edgeward.edge.disk import EdgeDisk
from edgeward.edge.engines import access_log, chores, make_engine
from edgeward.edge.figures import Figures
from edgeward.edge.gather import StoreView
from edgeward.edge.holdings import Holdings
from edgeward.edge.journal import Journal
from edgeward.edge.metrics import metrics_server
from edgeward.edge.missed import Missed
from edgeward.edge.name_server import EdgeNameServer
from edgeward.edge.neighbours import Neighbours
from edgeward.edge.report import Report, first_health, write_health
from edgeward.edge.scrub import Scrub
from edgeward.edge.settings import EdgeSettings, Endpoint, StateSettings
from edgeward.edge.stager import Stager
from edgeward.edge.store_sweep import StoreSweep
from edgeward.edge.sweep import Sweep
from edgeward.edge.switching import Switching
from edgeward.edge.verdicts import Verdicts
from edgeward.errors import DiskError, EdgewardError, ServeError
from edgeward.store.connection import Store, StoreAddress, open_store
from edgeward.store.server import ServerSettings, StateServer

_LOG = logging.getLogger("edgeward.edge")
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0

_now: Final = SteadyClock()
"""One clock for all parts of the process: what one of them stamps, another compares."""

Loop = Callable[[], Coroutine[None, None, None]]
"""A part of the edge that runs until it is cancelled."""


async def run_edge(settings: EdgeSettings) -> None:
    """Be an edge until SIGTERM or SIGINT (everything ends, the HTTP engine too) or SIGHUP (the engine goes on serving).

    Being cancelled is the same as SIGTERM. What the disk holds is served first, before any store is asked. Raises
    DiskError (another agent works there), ServeError (the HTTP engine cannot be started), EngineMissing, SchemaError
    (the disk was written by a later version).
    """
    # nginx's workers are another user, and read what the agent makes; secrets have modes of their own.
    os.umask(0o022)
    stop = Stop()
    disk = EdgeDisk(settings.data)
    disk.lock()
    try:
        disk.clear_scratch()
        with stop.on_signals():
            await _Edge(settings, disk).run(stop)
    finally:
        disk.unlock()


class Stop:
    """Whether, and how, the process was asked to end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.engine_goes_on = False

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen to SIGTERM, SIGINT and SIGHUP while the context lasts."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._ask, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _ask(self, number: int) -> None:
        _LOG.info("%s: ending", signal.Signals(number).name)
        self.engine_goes_on = self.engine_goes_on or number == signal.SIGHUP
        self.asked.set()


class _Edge:
    """The parts of one edge, put together."""

    def __init__(self, settings: EdgeSettings, disk: EdgeDisk) -> None:
        self.settings = settings
        self.conditions = Conditions()
        self.holdings = Holdings(disk, edge=settings.name, clock=_now)
        self.view = StoreView(self.conditions, edges=Neighbours(disk.edges).load(), clock=_now)
        log = access_log(settings, disk)
        self.requests = None if log is None else RequestCount(log)
        self.switching = Switching(
            make_engine(settings, disk),
            self.holdings,
            self.conditions,
            delay=settings.activate_delay,
            clock=_now,
        )

    async def run(self, stop: Stop) -> None:
        """Serve from the disk, then follow the store, until `stop` is asked for or this is cancelled."""
        for site, problem in self.holdings.load().items():
            self.conditions.set(f"disk {site}", problem, now=_now())
        write_health(self.holdings.disk, first_health(self.settings, now=_now()))
        await self.switching.start()
        try:
            async with open_store(self._address(), name=f"edge {self.settings.name}", wait=False) as store:
                await self._follow(store, stop)
        except asyncio.CancelledError:
            await self.switching.engine.stop()
            raise
        except BaseException:
            # A fault of the agent is none of the readers': it will be started again, and adopt the engine.
            await self.switching.engine.release()
            raise
        if stop.engine_goes_on:
            await self.switching.engine.release()
        else:
            await self.switching.engine.stop()

    async def _follow(self, store: Store, stop: Stop) -> None:
        settings, conditions = self.settings, self.conditions
        stager = Stager(self.holdings, store.blobs, reserve=settings.limits.disk_reserve)
        journal = Journal(store, edge=settings.name, clock=_now)
        missed = Missed(store, self.view, self.holdings, stager, clock=_now)
        agent = Agent(
            view=self.view,
            holdings=self.holdings,
            stager=stager,
            switching=self.switching,
            conditions=conditions,
            limits=settings.limits,
            missed=missed.ask,
            clock=_now,
        )
        scrub = Scrub(
            self.holdings,
            stager,
            conditions,
            rate=settings.limits.scrub_rate,
            round_seconds=settings.limits.scrub_round,
            reachable=lambda: store.connected,
            refresh=self.switching.refresh,
            journal=journal,
            clock=_now,
        )
        report = self._report(store, agent, scrub)
        verdicts = self._verdicts(store)
        names = self._name_server(verdicts)
        figures = Figures(
            report,
            self.view,
            scrub,
            verdicts,
            requests=lambda: self.requests.by_status if self.requests else {},
            answers=lambda: names.workers.answers if names else {},
            clock=_now,
        )
        loops = {
            "follow": lambda: self.view.follow(store),
            "agent": agent.run,
            "looks": lambda: stager.looks.follow(store),
            "missed": missed.run,
            "engine": self.switching.tend,
            "scrub": scrub.run,
            "trees": scrub.watch_trees,
            "mend": scrub.mend_for_ever,
            **self._sweeps(store, journal),
            "health": report.write_health_for_ever,
            "status": report.send_status_for_ever,
            "introduce": report.introduce,
            "verdicts": verdicts.run,
            **({"dns": names.run} if names else {}),
            **self._optional_loops(figures),
        }
        await self._run_loops(loops, report, stop)

    @staticmethod
    async def _run_loops(loops: Mapping[str, Loop], report: Report, stop: Stop) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(loop(), name=name) for name, loop in loops.items()}
            await stop.asked.wait()
            tasks["status"].cancel()
            if not stop.engine_goes_on:
                await report.say_goodbye()
            for task in tasks.values():
                task.cancel()

    def _verdicts(self, store: Store) -> Verdicts:
        """Return what says which edges answers may name."""
        return Verdicts(
            self.settings,
            store,
            view=self.view,
            conditions=self.conditions,
            neighbours=Neighbours(self.holdings.disk.edges),
            epoch=_now,
        )

    def _report(self, store: Store, agent: Agent, scrub: Scrub) -> Report:
        """Return what tells the fleet and the HTTP engine how this edge is."""
        return Report(
            self.settings,
            store,
            view=self.view,
            holdings=self.holdings,
            agent=agent,
            switching=self.switching,
            scrub=scrub,
            conditions=self.conditions,
            clock=_now,
        )

    def _name_server(self, verdicts: Verdicts) -> EdgeNameServer | None:
        """Return what answers DNS, where this edge does."""
        if (service := self.settings.dns) is None:
            return None
        return EdgeNameServer(
            service,
            self.holdings.disk,
            edge=self.settings.name,
            view=self.view,
            verdicts=verdicts,
            conditions=self.conditions,
            clock=_now,
        )

    def _sweeps(self, store: Store, journal: Journal) -> dict[str, Loop]:
        """Return the loops that take away what nobody needs: on this disk, and in the store for all."""
        name, limits = self.settings.name, self.settings.limits
        own = Sweep(self.holdings, self.view, grace=limits.blob_grace, clock=_now)
        common = StoreSweep(store, journal, edge=name, every=limits.store_sweep, clock=_now)
        return {"sweep": own.run, "store sweep": common.run}

    def _optional_loops(self, figures: Figures) -> dict[str, Loop]:
        """Return the loops that only some settings ask for."""
        settings, found = self.settings, dict[str, Loop]()
        if (state := settings.state) is not None:
            found["state"] = lambda: self._state_server(state)
        if (endpoint := settings.metrics) is not None:
            found["metrics"] = lambda: self._metrics(endpoint, figures)
        if settings.webhook is not None:
            alerts = Alerts(
                settings.webhook, self.conditions, edge=settings.name, location=settings.location, clock=_now
            )
            found["alerts"] = alerts.run
        if self.requests is not None:
            found["requests"] = self.requests.run
        if (tidying := chores(self.switching.engine)) is not None:
            found["chores"] = tidying
        return found

    async def _metrics(self, endpoint: Endpoint, figures: Figures) -> None:
        """Answer /metrics; a port that cannot be had is tried again, and never ends the edge."""
        while True:
            try:
                async with metrics_server(endpoint, figures.collect):
                    self.conditions.set("metrics", None, now=_now())
                    await asyncio.get_running_loop().create_future()
            except ServeError as error:
                self.conditions.set("metrics", error.message, now=_now())
                await asyncio.sleep(_LONGEST_PAUSE)

    async def _state_server(self, state: StateSettings) -> None:
        """Run the state server of the fleet; what goes wrong with it never ends the edge."""
        token = read_token(self.settings.store.token_file)
        pause = _FIRST_PAUSE
        while True:
            server = StateServer(ServerSettings(data=state.data, listen=state.listen, port=state.port, token=token))
            try:
                async with server:
                    while True:
                        self.conditions.set("state server", server.problem, now=_now())
                        await asyncio.sleep(1.0)
            except (EdgewardError, OSError) as error:
                sentence = f"the state server of the fleet cannot be started here: {error}"
                self.conditions.set("state server", sentence, now=_now())
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _address(self) -> StoreAddress:
        """Return where the store is; an edge with the state role makes the fleet's token if there is none yet."""
        store = self.settings.store
        if self.settings.state is not None and store.token_file is not None:
            make_token(store.token_file)
        return StoreAddress(store.url, read_token(store.token_file))


def make_token(file: Path) -> None:
    """Write a new random token to `file`, readable by its owner alone, unless it is there. Raises DiskError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as opened:
                opened.write(secrets.token_urlsafe(32) + "\n")
    except OSError as error:
        raise DiskError(f"cannot write the token file {file}: {error.strerror}", path=str(file)) from error


def read_token(file: Path | None) -> str | None:
    """Return the token in `file`, None if no file is named. Raises DiskError if it cannot be read or is empty."""
    if file is None:
        return None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DiskError(
            f"cannot read the token file {file}: {error}", hint="[store] token_file", path=str(file)
        ) from error
    if not token:
        raise DiskError(f"the token file {file} is empty", hint="[store] token_file", path=str(file))
    return token
