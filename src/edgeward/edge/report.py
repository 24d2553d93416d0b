"""What the edge says of itself: its status in the store, and the health file that the HTTP engine serves."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edgeward import __version__
from edgeward.core.fleet import EdgeRecord, EdgeStatus
from edgeward.edge.agent import Agent
from edgeward.edge.conditions import Conditions
from edgeward.edge.disk import EdgeDisk, write_durably
from edgeward.edge.gather import StoreView
from edgeward.edge.holdings import Holdings
from edgeward.edge.probe import brief_bytes
from edgeward.edge.scrub import Scrub
from edgeward.edge.settings import EdgeSettings
from edgeward.edge.switching import Switching
from edgeward.errors import ConflictError, DiskError, EdgewardError, StoreError
from edgeward.store.connection import Store

_LOG = logging.getLogger("edgeward.edge")
_EVERY = 2.0
_INTRODUCE_EVERY = 5.0
_MOST_PROBLEMS = 50
_HEALTH_SCHEMA = [1, 0]


def first_health(settings: EdgeSettings, *, now: int) -> Mapping[str, Any]:
    """Return what the health file says until the agent knows better: an earlier process's words must not be served."""
    return {
        "schema": _HEALTH_SCHEMA,
        "edge": settings.name,
        "location": settings.location,
        "version": __version__,
        "engine": settings.http.engine,
        "generation": 0,
        "ready": False,
        "because": ["it has just started"],
        "problems": [],
        "rotten": 0,
        "store": {"connected": False, "lost_since": None},
        "sites": {},
        "started": now,
        "updated": now,
    }


def write_health(disk: EdgeDisk, health: Mapping[str, Any]) -> None:
    """Write the health file, and its brief for those who probe this edge. Raises DiskError."""
    text = json.dumps(health, ensure_ascii=False, separators=(",", ":")) + "\n"
    write_durably(disk.health, text.encode(), sync=False)
    write_durably(disk.brief, brief_bytes(health), sync=False)


class Report:
    """Writes the status and the health file at every change and every two seconds."""

    def __init__(
        self,
        settings: EdgeSettings,
        store: Store,
        *,
        view: StoreView,
        holdings: Holdings,
        agent: Agent,
        switching: Switching,
        scrub: Scrub,
        conditions: Conditions,
        clock: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._store = store
        self._view = view
        self._holdings = holdings
        self._agent = agent
        self._switching = switching
        self._scrub = scrub
        self._conditions = conditions
        self._clock = clock
        self._started = clock()
        self._lost_since: int | None = None
        self._not_ready_since: int | None = None
        self._introduced = asyncio.Event()
        self._heard_of = False
        self._wake = asyncio.Event()
        self._events = (agent.changed, scrub.changed, conditions.listen())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why this edge is not ready; empty when it is."""
        rot = (f"{len(self._scrub.rotten)} blobs have rotted on its disk",) if self._scrub.rotten else ()
        engine = () if self._switching.answering else ("its HTTP engine does not answer",)
        failing = self._free()[1]
        unknown = () if self._heard_of else ("the fleet has not heard of it since it started",)
        return (*rot, *engine, *([failing] if failing else ()), *self._agent.why_not_ready(), *unknown)

    @property
    def behind(self) -> Mapping[str, str]:
        """Why each site that is behind its live pointer is; empty when none is."""
        return self._agent.behind

    @property
    def store_lag(self) -> int:
        """Seconds for which the store has not been followed."""
        return 0 if self._lost_since is None else self._clock() - self._lost_since

    def status(self) -> EdgeStatus:
        """Return what the edge reports now."""
        return EdgeStatus(
            edge=self._settings.name,
            version=__version__,
            engine=self._switching.engine.name,
            ready=not self.reasons,
            generation=self._switching.engine.generation,
            started=self._started,
            at=self._clock(),
            sites=self._holdings.site_status(),
            purged=self._agent.carried_out,
            problems=_first(self._conditions.sentences),
            disk_free=self._free()[0],
            blobs=self._scrub.progress.total,
            city_database=city.name if (dns := self._settings.dns) and (city := dns.city_file) else "",
        )

    def health(self) -> Mapping[str, Any]:
        """Return what /.well-known/edgeward/health says (docs/formats.md)."""
        status = self.status()
        return {
            "schema": _HEALTH_SCHEMA,
            "edge": status.edge,
            "location": self._settings.location,
            "version": status.version,
            "engine": status.engine,
            "generation": status.generation,
            "ready": status.ready,
            "because": list(self.reasons),
            "problems": list(status.problems),
            "rotten": len(self._scrub.rotten),
            "store": {"connected": self._view.connected, "lost_since": self._lost_since},
            "sites": {
                name: {"live": site.live, "since": site.since, "staged": list(site.staged)}
                for name, site in status.sites.items()
            },
            "started": status.started,
            "updated": status.at,
        }

    async def write_health_for_ever(self) -> None:
        """Write the health file at every change and every two seconds, until cancelled."""
        while True:
            self._watch_the_clock()
            try:
                write_health(self._holdings.disk, self.health())
                problem = None
            except EdgewardError as error:
                problem = error.message
            self._conditions.set("health file", problem, now=self._clock())
            await self._change()

    async def send_status_for_ever(self) -> None:
        """Put the status into the store while it can be reached, until cancelled.

        The edge's record is there before its first status: whoever sees it report can look up where it is.
        """
        await self._introduced.wait()
        sent: EdgeStatus | None = None
        sent_at = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            status = self.status()
            same = sent is not None and _essence(sent) == _essence(status)
            if self._store.connected and (not same or loop.time() - sent_at >= _EVERY):
                try:
                    await self._store.status.put(status.edge, status.to_bytes(), deadline=_EVERY)
                    sent, sent_at = status, loop.time()
                    if not self._heard_of:
                        self._heard_of = True
                        continue
                except StoreError as error:
                    _LOG.debug("the status could not be sent: %s", error.message)
            try:
                async with asyncio.timeout(_EVERY / 2):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def say_goodbye(self) -> None:
        """Take the status out of the store, so that nobody waits for this edge; left to expire if that fails."""
        if self._store.connected:
            with contextlib.suppress(StoreError):
                await self._store.status.delete(self._settings.name, deadline=1.0)

    async def introduce(self) -> None:
        """Have a record of this edge in the store: made if there is none, and kept as this edge's settings say.

        A drain is decided in the store, and is not touched. A store may be lost and begun anew, so this looks again
        from time to time, until cancelled.
        """
        while True:
            await self._store.wait_connected(float("inf"))
            try:
                await self._introduce()
            except ConflictError:
                continue
            except StoreError as error:
                _LOG.debug("the record of this edge could not be written: %s", error.message)
                await asyncio.sleep(_EVERY / 10)
                continue
            except EdgewardError as error:
                # A record that a later version wrote is there, which is what the others need.
                _LOG.debug("the record of this edge cannot be read: %s", error.message)
            self._introduced.set()
            await asyncio.sleep(_INTRODUCE_EVERY)

    async def _introduce(self) -> None:
        settings = self._settings
        own: dict[str, Any] = {
            "name": settings.name,
            "location": settings.location,
            "addresses": settings.addresses,
            "roles": settings.roles,
            "weight": settings.weight,
            "port": settings.http.port,
        }
        if settings.dns is not None:
            own["dns_port"] = settings.dns.port
        found = await self._store.edges.get(settings.name)
        if found is None:
            await self._store.edges.create(settings.name, EdgeRecord(**own).to_bytes())
            return
        known = EdgeRecord.from_bytes(found.value)
        mine = replace(known, **own)
        if mine != known:
            await self._store.edges.update(settings.name, mine.to_bytes(), found.revision)

    async def _change(self) -> None:
        """Wait for a change, two seconds at most, and tell the sender of the status."""
        waits = [asyncio.ensure_future(event.wait()) for event in self._events]
        try:
            await asyncio.wait(waits, timeout=_EVERY, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for event in self._events:
            event.clear()
        self._wake.set()

    def _free(self) -> tuple[int, str | None]:
        """Return the free bytes of the disk, or 0 and why they cannot be told: whoever reports must go on reporting."""
        try:
            return self._holdings.disk.free(), None
        except DiskError as error:
            return 0, f"the disk fails: {error.message}"

    def _watch_the_clock(self) -> None:
        """Turn what has lasted too long into conditions."""
        now, after = self._clock(), self._settings.limits.stale_after
        self._lost_since = None if self._view.connected else self._lost_since or now
        lost = None
        if self._lost_since is not None and now - self._lost_since >= min(after, 2):
            lost = "the state store cannot be reached; everything is served from this edge's own disk"
        self._conditions.set("store", lost, now=now)
        reasons = self.reasons
        self._not_ready_since = (self._not_ready_since or now) if reasons else None
        out = None
        if self._not_ready_since is not None and (self._scrub.rotten or now - self._not_ready_since >= after):
            out = "this edge is out: " + "; ".join(reasons)
        self._conditions.set("out", out, now=now)
        free, full = self._free()
        if full is None and free < self._settings.limits.disk_reserve:
            full = f"the disk of {self._holdings.disk.path} is below its reserve: nothing new is staged"
        self._conditions.set("disk", full, now=now)


def _first(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first sentences, and how many more there are: a status has to stay small."""
    more = len(sentences) - _MOST_PROBLEMS
    return sentences if more <= 0 else (*sentences[:_MOST_PROBLEMS], f"and {more} problems more, in this edge's log")


def _essence(status: EdgeStatus) -> tuple[object, ...]:
    """Return what makes two statuses different enough to send the second at once."""
    sites = tuple(sorted((name, site.live, site.staged) for name, site in status.sites.items()))
    return status.ready, status.generation, sites, status.purged, status.problems
