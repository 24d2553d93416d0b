"""What this edge sees of others: a probe for each address of each target, and one report of them all."""

import asyncio
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from edgeward.core.health import Report, Result, Rules, Seen, Trend, distrusted, report
from edgeward.core.lacking import Live, missing
from edgeward.edge.loop_clock import LoopClock
from edgeward.edge.probe import Endpoint, Probe, family_of

_JITTER: Final = 0.2
"""Share of the interval by which a probe may come sooner, so that observers do not fall into step."""

_SETTLING: Final = 3.0
"""Seconds after a doubt in which every address has been asked once, unless the machine is very slow."""

Reference = tuple[str, int]
"""An outside address and port that answers TCP."""


class _Watched:
    """One address under observation."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.trend = Trend()
        self.failing = False
        self.milliseconds: float | None = None
        self.since: dict[str, float] = {}
        self.lacking: dict[str, str] = {}
        self.unsure: frozenset[str] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def seen(self) -> Seen:
        return Seen(self.endpoint.edge, self.endpoint.family, self.trend, self.milliseconds, self.lacking, self.unsure)


class Observer:
    """Probes its targets while `run` runs. `changed` is set when what it thinks of one changes; cleared by who reads.

    live: the live releases, None while they are not known. references: asked only while everything of a family fails.
    """

    def __init__(
        self,
        edge: str,
        rules: Rules,
        *,
        references: Iterable[Reference],
        clock: LoopClock,
        live: Callable[[], Live | None],
        epoch: Callable[[], int],
    ) -> None:
        self.changed = asyncio.Event()
        self._edge = edge
        self._rules = rules
        self._references = tuple(references)
        self._answering: dict[int, bool] = {}
        self._doubt = asyncio.Event()
        self._clock = clock
        self._live = live
        self._epoch = epoch
        self._watched: dict[Endpoint, _Watched] = {}
        self._retarget = asyncio.Event()
        self._wanted: frozenset[Endpoint] = frozenset()
        self._doubts = 0
        self._unsettled: set[Endpoint] = set()
        self._settled_by = 0.0

    def doubt(self) -> None:
        """Believe what was seen until now no longer than to the next failure: nobody has looked for a while."""
        self._doubts += 1
        for watched in self._watched.values():
            watched.trend = watched.trend.doubted(self._rules)
        self._unsettled = set(self._watched)
        self._settled_by = self._clock.now() + _SETTLING

    @property
    def settled(self) -> bool:
        """Whether everything that is watched has been looked at since the last doubt."""
        return not self._unsettled & self._watched.keys() or self._clock.now() >= self._settled_by

    def watch(self, endpoints: Iterable[Endpoint]) -> None:
        """Make these all that is probed."""
        wanted = frozenset(endpoints)
        if wanted != self._wanted:
            self._wanted = wanted
            self._retarget.set()

    def report(self) -> Report:
        """Return what is thought now."""
        rows = (watched.seen for watched in self._watched.values())
        return report(self._edge, rows, references=self._answering, at=self._epoch())

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._references:
                group.create_task(self._ask_references(), name="health references")
            while True:
                self._retarget.clear()
                for gone in self._watched.keys() - self._wanted:
                    task = self._watched.pop(gone).task
                    if task is not None:
                        task.cancel()
                for new in self._wanted - self._watched.keys():
                    watched = self._watched[new] = _Watched(new)
                    watched.task = group.create_task(self._probe(watched), name=f"probe {new.edge} at {new.where}")
                await self._retarget.wait()

    async def _probe(self, watched: _Watched) -> None:
        probe = Probe(watched.endpoint, clock=self._clock, latency=self._rules.latency)
        try:
            await asyncio.sleep(random.random() * self._rules.interval)  # noqa: S311 (not a secret: spreads the load)
            while True:
                began = self._clock.now()
                live = self._live()
                releases = {site: each.release for site, each in live.expected.items()} if live else {}
                doubts, result = self._doubts, await probe.ask(releases)
                # What was asked before a stall says nothing of after it.
                if doubts == self._doubts:
                    self._take(watched, result)
                pause = self._rules.interval * random.uniform(1 - _JITTER, 1)  # noqa: S311 (as above)
                await asyncio.sleep(max(0.0, began + pause - self._clock.now()))
        finally:
            await probe.close()

    def _take(self, watched: _Watched, result: Result) -> None:
        self._unsettled.discard(watched.endpoint)
        before = watched.trend.up, watched.lacking
        if result.failure is None and watched.endpoint.family in self._distrusted():
            # An edge that answers speaks for the network as a reference does.
            self._forget(watched.endpoint.family)
        watched.trend = watched.trend.after(result, self._rules)
        watched.failing = result.failure is not None
        if result.failure is None:
            watched.milliseconds = result.milliseconds
            self._compare(watched, result)
        if before != (watched.trend.up, watched.lacking):
            self.changed.set()
        if self._doubtful():
            self._doubt.set()

    def _compare(self, watched: _Watched, result: Result) -> None:
        """Compare what an edge serves with the live releases; until that could be done once, nothing is sure."""
        live = self._live()
        if live is None or (result.sites is None and watched.unsure is None):
            return
        watched.since, watched.lacking = missing(live, result, watched.since, now=self._clock.now(), rules=self._rules)
        watched.unsure = live.unread.union(watched.since.keys() - watched.lacking.keys())

    def _doubtful(self) -> frozenset[int]:
        """Return the families in which nothing answers."""
        families = {each.endpoint.family for each in self._watched.values()}
        return frozenset(families - {each.endpoint.family for each in self._watched.values() if not each.failing})

    async def _ask_references(self) -> None:
        """Ask the outside references, once in an interval and only while there is a doubt."""
        while True:
            self._doubt.clear()
            doubtful = self._doubtful()
            if not doubtful:
                self._trust({})
                await self._doubt.wait()
                continue
            asked = [each for each in self._references if family_of(each[0]) in doubtful]
            answers = await asyncio.gather(*(self._answers(each) for each in asked))
            found: dict[int, bool] = {}
            for (address, _), answered in zip(asked, answers, strict=True):
                found[family_of(address)] = found.get(family_of(address), False) or answered
            self._trust(found)
            await asyncio.sleep(self._rules.interval)

    def _distrusted(self) -> frozenset[int]:
        """Return the families in which this edge is, or may be, cut off itself."""
        seen = [watched.seen for watched in self._watched.values()]
        return frozenset().union(*distrusted(seen, references=self._answering))

    def _forget(self, family: int) -> None:
        """Begin anew in a family: what was seen was of this edge's own network, and would be held against the others
        until they have answered a few times.
        """
        for watched in self._watched.values():
            if watched.endpoint.family == family:
                watched.trend = Trend()
        self._answering.pop(family, None)
        self.changed.set()

    def _trust(self, answering: dict[int, bool]) -> None:
        """Take over which references answer."""
        for family in self._distrusted():
            if answering.get(family):
                self._forget(family)
        if answering != self._answering:
            self._answering = answering
            self.changed.set()

    async def _answers(self, reference: Reference) -> bool:
        """Whether a reference takes a connection; one that refuses it has answered too."""
        with suppress(OSError):
            try:
                return await self._clock.within(_knock(*reference), self._rules.latency)
            except ConnectionRefusedError:
                return True
        return False


async def _knock(address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()
    return True
