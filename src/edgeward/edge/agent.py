"""The loop of an edge: gather what should be, decide, apply, until the two are the same; then wait for a change."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from edgeward.core.digest import Digest
from edgeward.core.fleet import ReleaseRecord
from edgeward.core.plan import Desired, Failure, Observed, Plan, ReleaseKey, Stage, decide, wait_until, why_not_ready
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.edge.holdings import Holdings
from edgeward.edge.settings import Limits
from edgeward.edge.stager import Stager
from edgeward.edge.switching import Switching
from edgeward.edge.takedown import take_down
from edgeward.errors import EdgewardError

_LOG = logging.getLogger("edgeward.edge")
_FIRST_PAUSE = 1
_LONGEST_PAUSE = 60
_LINGER = 30
"""Seconds that a release which nobody wants any more stays staged: buckets are seen one by one, and a candidate may be
gone a moment before the pointer that made it live is seen."""


class Agent:
    """Moves one edge towards what the store says. All that it does may be repeated.

    missed: told of sites that may have had live releases which were not served here.
    """

    def __init__(
        self,
        *,
        view: StoreView,
        holdings: Holdings,
        stager: Stager,
        switching: Switching,
        conditions: Conditions,
        limits: Limits,
        missed: Callable[[Iterable[str]], None] = lambda _: None,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.changed = asyncio.Event()
        """Set after each round, for whoever reports; cleared by them."""
        self._view = view
        self._holdings = holdings
        self._stager = stager
        self._switching = switching
        self._conditions = conditions
        self._limits = limits
        self._missed = missed
        self._compared = False
        self._clock = clock
        self._stagings: dict[ReleaseKey, asyncio.Task[None]] = {}
        self._failed: dict[ReleaseKey, Failure] = {}
        self._rejected: dict[ReleaseKey, Failure] = {}
        self._tries: dict[ReleaseKey, int] = {}
        self._tainted: dict[str, frozenset[ReleaseKey]] = {}
        self._examined: dict[str, tuple[object, ...]] = {}
        self._unwanted: dict[ReleaseKey, int] = {}
        self._incomplete: frozenset[ReleaseKey] = frozenset()
        self._settled = False
        self.behind: Mapping[str, str] = {}
        """Why each site that is behind its live pointer is."""
        self._behind_since: int | None = None

    async def run(self) -> None:
        """Compare and act until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._view.changed.clear()
                try:
                    await self._round(group)
                except EdgewardError as error:
                    self._conditions.set("agent", f"the edge cannot act: {error.message}", now=self._clock())
                else:
                    self._conditions.set("agent", None, now=self._clock())
                self.changed.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._view.changed.wait()

    def why_not_ready(self) -> tuple[str, ...]:
        """Return why this edge must not call itself current; empty when it is."""
        return why_not_ready(
            compared=self._view.complete,
            settled=self._settled,
            behind=self.behind,
            behind_since=self._behind_since,
            now=self._clock(),
            stale_after=self._limits.stale_after,
        )

    @property
    def carried_out(self) -> tuple[str, ...]:
        """Keys of the standing purge orders that are carried out here."""
        return tuple(sorted(self._holdings.state.purged & self._view.desired.orders.keys()))

    async def _round(self, group: asyncio.TaskGroup) -> None:
        if not self._view.complete:
            return
        if not self._view.connected:
            self._settled = False
        desired = self._view.desired
        if not self._compared:
            self._compared = True
            self._missed(self._holdings.live)
        for site, release in await self._holdings.drop_lost():
            _LOG.warning("release %s of site %s is gone from this edge's disk; it is staged again", release[:12], site)
        if self._holdings.incomplete != self._incomplete:
            await self._switching.refresh()
            self._incomplete = self._holdings.incomplete
        await self._examine(desired)
        observed = self._observed()
        plan = decide(desired, observed, now=self._clock())
        self._tell(plan)
        for key in plan.cancel:
            self._stagings[key].cancel()
        for action in plan.stage:
            _LOG.info(
                "staging release %s of site %s: %s", action.record.release[:12], action.record.site, action.because
            )
            task = group.create_task(self._stage(action, desired), name=f"stage {action.record.site}")
            self._stagings[action.key] = task
        # What is on the air without our knowing goes only when all that is to come is here.
        wait = self._switching.leaving_alone and bool(self._stagings)
        if plan.switches and not wait:
            refusals = await self._switching.switch(plan.switches)
            for change in plan.switches:
                if change.new is not None:
                    self._note(self._rejected, (change.site, change.new), refusals.get(change.site))
                    if change.site not in refusals and change.old != desired.live[change.site].previous:
                        self._missed([change.site])
            if not refusals:
                self._view.changed.set()
        if wait:
            return
        await self._switching.take_over()
        await self._tidy(plan, desired)

    async def _tidy(self, plan: Plan, desired: Desired) -> None:
        """Carry out purge orders and take trees away that nobody wants."""
        created = {key: record.created for key, record in desired.releases.items()}
        done = set(self._holdings.state.purged & desired.orders.keys())
        for order in plan.purge:
            name = f"purge {order.key}"
            try:
                await self._stop_stagings(order.site)
                tainted = await self._holdings.tainted(order, created)
                await take_down(order, self._holdings, tainted=tainted, created=created)
                await self._switching.refresh()
            except EdgewardError as error:
                sentence = f"purge {order.key} of site {order.site} cannot be carried out here: {error.message}"
                self._conditions.set(name, sentence, now=self._clock())
                continue
            self._conditions.set(name, None, now=self._clock())
            done.add(order.key)
        if desired.orders or self._view.connected:
            self._holdings.note_purged(done)
        if plan.purge:
            self._view.changed.set()
        now = self._clock()
        self._unwanted = {
            (action.site, action.release): self._unwanted.get((action.site, action.release), now)
            for action in plan.unstage
        }
        for action in plan.unstage:
            if now - self._unwanted[action.site, action.release] >= _LINGER:
                _LOG.info("unstaging release %s of site %s: %s", action.release[:12], action.site, action.because)
                await self._holdings.unstage((action.site, action.release))

    async def _stop_stagings(self, site: str) -> None:
        """End what is under way for a site: it was begun before a purge order was known."""
        tasks = [task for key, task in self._stagings.items() if key[0] == site]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _observed(self) -> Observed:
        return Observed(
            live=self._holdings.live,
            staged=dict(self._holdings.staged),
            staging=frozenset(self._stagings),
            failed=dict(self._failed),
            rejected=dict(self._rejected),
            carried_out=self._holdings.state.purged,
            tainted=dict(self._tainted),
        )

    async def _examine(self, desired: Desired) -> None:
        """Find out which staged releases hold what standing purge orders name."""
        created = {key: record.created for key, record in desired.releases.items()}
        for gone in self._tainted.keys() - desired.orders.keys():
            del self._tainted[gone], self._examined[gone]
        for key, order in desired.orders.items():
            staged = tuple(sorted(found for found in self._holdings.staged if found[0] == order.site))
            seen = (order, tuple((each, created.get(each, 0)) for each in staged))
            if self._examined.get(key) != seen:
                self._tainted[key] = await self._holdings.tainted(order, created)
                self._examined[key] = seen

    async def _stage(self, action: Stage, desired: Desired) -> None:
        record = action.record
        began = time.monotonic()
        failure: str | None = None
        try:
            await self._stager.stage(
                record, forbidden=forbidden_digests(record, desired), deployers=self._view.deployers
            )
            seconds = time.monotonic() - began
            _LOG.info("staged release %s of site %s in %.2f s", record.release[:12], record.site, seconds)
        except EdgewardError as error:
            failure = error.message
        except OSError as error:
            failure = f"the disk failed: {error}"
        finally:
            del self._stagings[action.key]
            self._view.changed.set()
        self._note(self._failed, action.key, failure)

    def _note(self, failures: dict[ReleaseKey, Failure], key: ReleaseKey, because: str | None) -> None:
        if because is None:
            failures.pop(key, None)
            self._tries.pop(key, None)
            return
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        pause = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)
        failures[key] = Failure(because, self._clock() + pause)

    def _tell(self, plan: Plan) -> None:
        """Note what the plan says of this edge, and forget failures of releases that nobody wants any more."""
        now = self._clock()
        self.behind = plan.behind
        self._behind_since = (self._behind_since or now) if plan.behind else None
        if not plan.behind and self._view.connected:
            self._settled = True
            self._conditions.set_group("disk", {}, now=now)  # what a start could not find on the disk is here again
        self._conditions.set_group("release", plan.problems, now=now)
        wanted = {action.key for action in plan.stage} | self._wanted_keys()
        for failures in (self._failed, self._rejected):
            for key in failures.keys() - wanted:
                del failures[key]
                self._tries.pop(key, None)

    def _wanted_keys(self) -> set[ReleaseKey]:
        desired = self._view.desired
        pointers = {(site, pointer.release) for site, pointer in desired.live.items() if pointer.release}
        previous = {(site, pointer.previous) for site, pointer in desired.live.items() if pointer.previous}
        return pointers | previous | set(desired.candidates)

    def _pause(self) -> float:
        """Return the seconds until the next round if nothing happens."""
        again = wait_until(self._observed(), now=self._clock())
        return min(self._limits.poll, max(0.1, again - self._clock())) if again else self._limits.poll


def forbidden_digests(record: ReleaseRecord, desired: Desired) -> frozenset[Digest]:
    """Return the digests that purge orders forbid in a release, which they cover."""
    return frozenset(
        digest
        for order in desired.orders.values()
        if order.covers(record.site, record.release, record.created)
        for digest in order.digests
    )
