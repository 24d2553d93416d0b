"""Which edges answers may name, as this edge sees the fleet: probes, what other observers say, drains."""

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from edgeward.core import health
from edgeward.core.families import Families, families_of, judge_families
from edgeward.core.families import silent as silent_families
from edgeward.core.health import Report, Verdict
from edgeward.core.lacking import Expected, Live, lacking
from edgeward.core.observers import observed_by
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.edge.loop_clock import LoopClock
from edgeward.edge.neighbours import Neighbours
from edgeward.edge.observer import Observer
from edgeward.edge.probe import Endpoint
from edgeward.edge.settings import EdgeSettings
from edgeward.edge.verdict_log import VerdictLog
from edgeward.errors import SchemaError
from edgeward.store.connection import Store

if TYPE_CHECKING:
    from edgeward.core.fleet import EdgeRecord, Pointer

_LOG = logging.getLogger("edgeward.edge")
_HEARTBEAT: Final = 1.0
_LOOK: Final = 0.25
"""Seconds between two judgements when nothing happens: reports grow old, drains end."""


class Verdicts:
    """Who is out, and why, always current while `run` runs.

    out: edges that no answer should name, each with the reason. drained: those of them that an operator took out.
    lacking: by site, those that do not hold its live release, with the reason. silent: by edge, families over which it
    does not answer, each with the reason. `changed` is set when somebody comes or goes in one of these; cleared by who
    reads. The reasons are those of then: other words alone are no change.
    verdicts: on every edge of the fleet.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        store: Store,
        *,
        view: StoreView,
        conditions: Conditions,
        neighbours: Neighbours,
        epoch: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.changed = asyncio.Event()
        self.out: Mapping[str, str] = {}
        self.drained: frozenset[str] = frozenset()
        self.lacking: Mapping[str, Mapping[str, str]] = {}
        self.silent: Mapping[str, Mapping[int, str]] = {}
        self._families: Families = {}
        self.verdicts: Mapping[str, Verdict] = {}
        self.clock = LoopClock()
        self._name = settings.name
        self._rules = settings.health.rules
        self._store = store
        self._view = view
        self._epoch = epoch
        self._neighbours = neighbours
        self._edges: Mapping[str, EdgeRecord] = neighbours.load()
        self._pointers: Mapping[str, Pointer] | None = None
        self._expected: dict[str, Expected] | None = None
        self._received: dict[str, tuple[Report, float]] = {}
        self._wake = asyncio.Event()
        self.observer = Observer(
            self._name,
            self._rules,
            references=settings.health.references,
            clock=self.clock,
            live=self._live,
            epoch=epoch,
        )
        self._log = VerdictLog(store, conditions, edge=self._name, epoch=epoch, clock=self.clock.now)

    @property
    def watching(self) -> bool:
        """Whether what is known of the edges is of now: after a stall that is so once all have been looked at again."""
        self.clock.tick()
        return self.observer.settled

    def _begin_anew(self) -> None:
        _LOG.warning("this agent stood still for some seconds: it looks at all edges before it says anything of them")
        self._received.clear()
        self.observer.doubt()

    async def run(self) -> None:
        """Observe, listen and judge until cancelled."""
        self.clock.tick()
        self.clock.stalled = self._begin_anew
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clock.run(), name="loop clock")
            group.create_task(self.observer.run(), name="observer")
            group.create_task(self._store.observations.follow(self._hear), name="hear observers")
            group.create_task(self._tell_for_ever(), name="tell observations")
            group.create_task(self._log.run(), name="verdict log")
            while True:
                self._wake.clear()
                self.judge()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()

    def remember(
        self,
        out: Mapping[str, str],
        drained: frozenset[str],
        *,
        lacking: Mapping[str, Mapping[str, str]],
        silent: Mapping[str, Mapping[int, str]],
    ) -> None:
        """Begin with what was so before a restart: an edge that was down is, until it is seen to answer."""
        now = self.clock.now()
        self.out, self.drained, self.lacking, self.silent = dict(out), drained, lacking, silent
        self.verdicts = {
            edge: Verdict(edge, up=False, because=(because,), since=now)
            for edge, because in out.items()
            if edge not in drained
        }
        self._families = {
            (edge, family): Verdict(edge, up=False, because=(because,), since=now)
            for edge, said in silent.items()
            for family, because in said.items()
        }

    @property
    def edges(self) -> "Mapping[str, EdgeRecord]":
        """The edges of the fleet, as they were last known."""
        return self._edges

    @property
    def alone(self) -> bool:
        """Whether only this edge's own observations count: not even its own reports come back from the store."""
        heard = self._received.get(self._name)
        return not self._store.connected or heard is None or self.clock.now() - heard[1] > self._rules.expiry

    def judge(self) -> None:
        """Look at everything once, and say what follows."""
        now, alone = self.clock.now(), self.alone
        self._take_stock(now)
        self.observer.watch(self._endpoints(alone=alone))
        reports = health.counting(self._received, self.observer.report(), alone=alone, now=now, rules=self._rules)
        before = self.verdicts
        readers = [name for name, record in self._edges.items() if record.is_for_readers]
        self.verdicts = health.judge(readers, reports, own=self._name, before=before, now=now, rules=self._rules)
        for edge, verdict in self.verdicts.items():
            if verdict.up != (edge not in before or before[edge].up):
                _LOG.warning("edge %s is %s: %s", edge, "up" if verdict.up else "down", "; ".join(verdict.because))
        out = {edge: "; ".join(verdict.because) for edge, verdict in self.verdicts.items() if not verdict.up}
        out |= (withdrawn := self._drained())
        drained = frozenset(withdrawn)
        lacks = lacking(reports, before=self._lacking_before(reports))
        silent = self._silent(reports, out, now)
        # Other words for the same are no change: one is a durable write, and answers that are forgotten.
        told = (self.drained, *_who(self.out, self.lacking, self.silent))
        if (drained, *_who(out, lacks, silent)) != told:
            self.out, self.drained, self.lacking, self.silent = out, drained, lacks, silent
            self.changed.set()
        speaking = {each.observer for each in reports if each.connected}
        self._log.note(self.verdicts, silent=silent, alone=alone, speaking=speaking)

    def _silent(self, reports: Collection[Report], out: Collection[str], now: float) -> dict[str, dict[int, str]]:
        """Judge families, and return those over which answers are not to name an edge."""
        # Of itself an edge knows nothing that others do not tell it.
        known = set(self._edges) if self._is_observed(reports) else self._edges.keys() - {self._name}
        before = {key: verdict for key, verdict in self._families.items() if key[0] in known}
        self._families = judge_families(reports, before=before, now=now, rules=self._rules)
        return silent_families(self._families, addresses=families_of(self._edges), out=out)

    def _is_observed(self, reports: Collection[Report]) -> bool:
        return any(seen.target == self._name for each in reports for seen in each.observations)

    def _live(self) -> Live | None:
        """Return what is known of the live pointers, None if nothing yet."""
        if self._expected is None:
            return None
        return Live(self._expected, self._view.connected, self._view.unread("live"))

    def _lacking_before(self, reports: Collection[Report]) -> dict[str, dict[str, str]]:
        """Return what stays so of edges of which nobody is sure: of this one itself only while somebody observes it."""
        known = set(self._edges)
        if not self._is_observed(reports):
            known.discard(self._name)
        return {
            site: {edge: why for edge, why in edges.items() if edge in known}
            for site, edges in self.lacking.items()
            if self._expected is None or site in self._expected or site in self._view.unread("live")
        }

    def _take_stock(self, now: float) -> None:
        """Take over what the store says of edges and live pointers, and note when a pointer was first seen."""
        if not self._view.complete:
            return
        self._edges = self._view.edges
        self._neighbours.save(self._edges)
        pointers = self._view.live
        if pointers == self._pointers:
            return
        self._pointers = pointers
        live = {site: pointer.release for site, pointer in pointers.items() if pointer.release is not None}
        before = self._expected or {}
        self._expected = {
            site: known if (known := before.get(site)) and known.release == release else Expected(release, now)
            for site, release in live.items()
        }

    def _endpoints(self, *, alone: bool) -> Iterator[Endpoint]:
        """Yield what is to be probed here: everything, while nobody else can be heard.

        The edges with the state servers always are: when one freezes, nobody hears of it from others.
        """
        places = frozenset((name, record.location) for name, record in self._edges.items())
        wanted = set(self._edges if alone else observed_by(self._name, places))
        wanted |= {name for name, record in self._edges.items() if "state" in record.roles}
        for name, record in self._edges.items():
            if name == self._name or name not in wanted or not record.is_for_readers:
                continue
            for address in record.addresses:
                with contextlib.suppress(ValueError):
                    found = str(ipaddress.ip_address(address))
                    yield Endpoint(name, found, record.port, host=f"[{found}]" if ":" in found else found)

    def _drained(self) -> dict[str, str]:
        now = self._epoch()
        return {
            name: f"drained: {record.drained_because}" if record.drained_because else "drained"
            for name, record in self._edges.items()
            if record.is_drained(now)
        }

    def _hear(self, observer: str, data: bytes) -> None:
        try:
            said = Report.from_bytes(data)
        except SchemaError as error:
            _LOG.debug("a report of edge %s is left out: %s", observer, error.message)
            return
        if said.observer != observer:
            return
        known = self._received.get(observer)
        self._received[observer] = said, self.clock.now()
        if known is None or known[0].essence != said.essence:
            self._wake.set()

    async def _tell_for_ever(self) -> None:
        """Send the report at every change and as a heartbeat."""
        while True:
            self.observer.changed.clear()
            await self._store.observations.send(self._name, self.observer.report().to_bytes())
            self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT):
                    await self.observer.changed.wait()


def _who(
    out: Mapping[str, str], lacking: Mapping[str, Mapping[str, str]], silent: Mapping[str, Mapping[int, str]]
) -> tuple[object, ...]:
    """Return what answers depend on: who is out, lacking, silent, without the reasons."""
    sites = {site: edges.keys() for site, edges in lacking.items()}
    return out.keys(), sites, {edge: families.keys() for edge, families in silent.items()}
