"""Which edges report, which of them a push waits for, and whether enough of them are ready.

The deciding is pure; `RollCall` follows the buckets `status`, `edges` and `live` and asks it again at every change.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from edgeward.core.fleet import NOT_FOR_READERS, EdgeRecord, EdgeStatus, Pointer
from edgeward.errors import SchemaError
from edgeward.publish.values import Bystander, Quorum, Waiting
from edgeward.store.buckets import Watch
from edgeward.store.connection import Store

_CATCH_UP = 10.0


@dataclass(frozen=True, slots=True)
class Attendance:
    """Edges at one moment. expected: those that are waited for. reached: those of them that are there.

    bystanders: known edges that are not waited for, and why.
    """

    expected: frozenset[str]
    reached: frozenset[str]
    bystanders: tuple[Bystander, ...]

    @property
    def late(self) -> tuple[str, ...]:
        """Edges that are waited for and are not there yet, sorted."""
        return tuple(sorted(self.expected - self.reached))

    @property
    def complete(self) -> bool:
        """Whether there is at least one edge, and all are there."""
        return bool(self.expected) and self.expected == self.reached


def enough(attendance: Attendance, quorum: Quorum) -> bool:
    """Whether those that are there suffice once the wait is over; no edge at all never does."""
    there, all_of_them = len(attendance.reached), len(attendance.expected)
    if quorum == "any":
        return there > 0
    if quorum == "majority":
        return there * 2 > all_of_them
    return there > 0 and there == all_of_them


def attendance(
    status: Mapping[str, EdgeStatus],
    edges: Mapping[str, EdgeRecord],
    reached: Callable[[EdgeStatus], bool],
    *,
    everyone: bool = False,
) -> Attendance:
    """Say who is expected and who is there. reached: whether an edge with that status is. everyone: also those to which
    no readers are sent: drained ones, and those without the role.
    """
    passed: dict[str, str] = {}
    if not everyone:
        passed = {name: NOT_FOR_READERS for name, edge in edges.items() if not edge.is_for_readers}
        passed |= {name: "drained" for name, edge in edges.items() if edge.drained}
    expected = frozenset(status) - passed.keys()
    bystanders = [Bystander(name, why) for name, why in passed.items()]
    bystanders += [Bystander(name, "not reporting") for name in edges if name not in status and name not in passed]
    return Attendance(
        expected,
        frozenset(name for name in expected if reached(status[name])),
        tuple(sorted(bystanders, key=lambda bystander: bystander.edge)),
    )


class RollCall:
    """The fleet as it reports itself, always current."""

    def __init__(self, status: Watch, edges: Watch, live: Watch) -> None:
        self._status = status
        self._edges = edges
        self._live = live
        self._wake = asyncio.Event()
        self._parsed: dict[str, tuple[int, EdgeStatus]] = {}
        self._followers: list[asyncio.Task[None]] = []

    @property
    def status(self) -> Mapping[str, EdgeStatus]:
        """What each reporting edge says; one that says what we cannot read does not report."""
        found: dict[str, EdgeStatus] = {}
        for name, stored in self._status.state.items():
            known = self._parsed.get(name)
            if known is None or known[0] != stored.revision:
                try:
                    known = stored.revision, EdgeStatus.from_bytes(stored.value)
                except SchemaError:
                    continue
                self._parsed[name] = known
            found[name] = known[1]
        return found

    @property
    def edges(self) -> Mapping[str, EdgeRecord]:
        """The edges as their operator describes them; a drain that is over is none."""
        found: dict[str, EdgeRecord] = {}
        for name, stored in self._edges.state.items():
            try:
                record = EdgeRecord.from_bytes(stored.value)
            except SchemaError:
                continue
            found[name] = replace(record, drained=record.is_drained(time.time()))
        return found

    def pointer(self, site: str) -> Pointer | None:
        """Return the live pointer of a site."""
        stored = self._live.state.get(site)
        return Pointer.from_bytes(stored.value) if stored else None

    def attendance(
        self, reached: Callable[[EdgeStatus], bool], among: frozenset[str] | None = None, *, everyone: bool = False
    ) -> Attendance:
        """Say who is expected (among: no others than these; everyone: see `attendance`) and who is there just now."""
        found = attendance(self.status, self.edges, reached, everyone=everyone)
        if among is None:
            return found
        return Attendance(found.expected & among, found.reached & among, found.bystanders)

    def moved_since(self, site: str, revision: int | None) -> bool:
        """Whether the site's live pointer has moved on from a revision that was read (None: there was no pointer)."""
        seen = self._live.state.get(site)
        return seen is not None and seen.revision > (revision or 0)

    async def wait(
        self,
        reached: Callable[[EdgeStatus], bool],
        waiting: Waiting,
        *,
        on_edge: Callable[[str], None],
        among: frozenset[str] | None = None,
        everyone: bool = False,
        over: Callable[[], bool] = lambda: False,
    ) -> Attendance:
        """Return who is there as soon as all are, when the wait is over, or when `over` says that it has no sense any
        more.

        on_edge: called once for each edge that is there. among: wait for no other edges than these. everyone: see
        `attendance`.
        """
        end = time.monotonic() + waiting.seconds
        told: set[str] = set()
        while True:
            self._wake.clear()
            for follower in self._followers:
                if follower.done():
                    follower.result()
            now = self.attendance(reached, among, everyone=everyone)
            for edge in sorted(now.reached - told):
                on_edge(edge)
            told |= now.reached
            left = end - time.monotonic()
            if now.complete or left <= 0 or over():
                return now
            try:
                await asyncio.wait_for(self._wake.wait(), left)
            except TimeoutError:
                continue

    async def _follow(self, watch: Watch) -> None:
        while True:
            await watch.changed()
            self._wake.set()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Be current while the context lasts."""
        watches = (self._status, self._edges, self._live)
        self._followers = [asyncio.create_task(self._follow(watch), name="roll call") for watch in watches]
        for follower in self._followers:
            follower.add_done_callback(lambda _: self._wake.set())
        try:
            for watch in watches:
                await watch.caught_up(_CATCH_UP)
            yield
        finally:
            for follower in self._followers:
                follower.cancel()
            await asyncio.gather(*self._followers, return_exceptions=True)


@asynccontextmanager
async def call_roll(store: Store) -> AsyncIterator[RollCall]:
    """Follow the fleet while the context lasts; it is entered once all that is stored has been seen."""
    async with AsyncExitStack() as stack:
        status = await stack.enter_async_context(store.status.watch())
        edges = await stack.enter_async_context(store.edges.watch())
        live = await stack.enter_async_context(store.live.watch())
        roll = RollCall(status, edges, live)
        await stack.enter_async_context(roll.following())
        yield roll
