"""Verdicts for people: each change is written down once for the fleet, and is a condition while an edge is down."""

import asyncio
import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from edgeward.core.fleet import VerdictRecord, families_text
from edgeward.core.health import Verdict
from edgeward.edge.conditions import Conditions
from edgeward.errors import ConflictError, SchemaError, StoreError
from edgeward.store.buckets import Watch
from edgeward.store.connection import Store
from edgeward.store.events import Event
from edgeward.store.layout import EVENT_WINDOW

_LOG = logging.getLogger("edgeward.edge")
_DEADLINE: Final = 2.0
_LOOK: Final = 1.0
_TRIED: Final = EVENT_WINDOW / 2
"""Seconds from a change for which its event is tried again: whoever has not seen it stored sends it, and the store
takes one.
"""
_SETTLED: Final = 5
"""Seconds for which a family has to be silent, or to answer again, before that is told: an edge that dies does not
begin with a silence, and a writer that has just started does not know yet what the others see.
"""
_FAMILIES: Final = (4, 6)


class VerdictLog:
    """Writes for the fleet when it is this edge's turn: the first by name of those that are up and heard.

    A record in the bucket `verdicts`, changed by compare-and-set, keeps two writers apart; who changed it has the
    condition on its board until the edge is up again. Without a store each edge has its own. The event follows from the
    record: who writes sees to it that there is one of each revision, its own or that of a writer that ended or lost the
    store in between, before the next.
    """

    def __init__(
        self,
        store: Store,
        conditions: Conditions,
        *,
        edge: str,
        epoch: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        """epoch: for people, and may jump. clock: seconds that never go back, by which all durations are measured."""
        self._store = store
        self._conditions = conditions
        self._edge = edge
        self._epoch = epoch
        self._clock = clock
        self._verdicts: Mapping[str, Verdict] = {}
        self._alone = True
        self._speaking: Collection[str] = ()
        self._silent: Mapping[str, Mapping[int, str]] = {}
        self._families: dict[tuple[str, int], tuple[bool, float]] = {}
        """By edge and family, whether it is silent, and since when."""
        self._changed: dict[str, tuple[int, float]] = {}
        """By edge, the revision of its record, and when that was written by this edge's own clock."""
        self._following = False
        self._told: dict[str, int] = {}
        """By edge, the revision of the record whose event is known to be stored."""
        self._wake = asyncio.Event()

    def note(
        self,
        verdicts: Mapping[str, Verdict],
        *,
        silent: Mapping[str, Mapping[int, str]],
        alone: bool,
        speaking: Collection[str],
    ) -> None:
        """Take over what this edge thinks. silent: as of `families.silent`. speaking: the connected observers that are
        heard, this edge too.
        """
        if {edge: each.up for edge, each in verdicts.items()} != {
            edge: each.up for edge, each in self._verdicts.items()
        }:
            self._wake.set()
        self._verdicts, self._silent, self._alone, self._speaking = verdicts, silent, alone, speaking
        now = self._clock()
        families: dict[tuple[str, int], tuple[bool, float]] = {}
        for each in itertools.product(verdicts, _FAMILIES):
            is_silent = each[1] in silent.get(each[0], {})
            known = self._families.get(each)
            families[each] = known if known is not None and known[0] == is_silent else (is_silent, now)
        self._families = families

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            try:
                async with self._store.verdicts.watch() as watch:
                    await self._keep(watch)
            except StoreError as error:
                _LOG.debug("the verdicts cannot be followed: %s", error.message)
            await asyncio.sleep(_LOOK)

    async def _keep(self, watch: Watch) -> None:
        self._following = False
        while True:
            self._wake.clear()
            self._see(watch)
            if not self._alone and watch.current and self._edge == self._writer():
                try:
                    await self._write(watch)
                except StoreError as error:
                    _LOG.debug("a verdict could not be written down: %s", error.message)
            self._tell(watch)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._wake.wait()

    def _writer(self) -> str | None:
        up = [edge for edge in self._speaking if edge in self._verdicts and self._verdicts[edge].up]
        return min(up or self._speaking, default=None)

    def _see(self, watch: Watch) -> None:
        """Note when each record was written: one that comes in while the store is followed, just now.

        Of others only the clock of who wrote them tells; one of the future tells nothing, and the event stays away.
        """
        now, was_following = self._clock(), self._following
        self._following = watch.current
        for edge, stored in watch.state.items():
            record = _parse(watch, edge)
            # What this edge has just written may not have come back yet.
            if record is None or (edge in self._changed and self._changed[edge][0] >= stored.revision):
                continue
            age = 0 if was_following else self._epoch() - record.at
            self._changed[edge] = stored.revision, now - age if age >= 0 else -math.inf

    def _thinks(self, verdict: Verdict, known: VerdictRecord | None) -> VerdictRecord:
        """Return what this edge thinks of an edge now. known: what is written down of it."""
        told = known.silent if known is not None and known.up else ()
        silent = tuple(each for each in _FAMILIES if verdict.up and self._is_silent(verdict.edge, each, told))
        answers = tuple(each for each in told if verdict.up and each not in silent)
        because = () if answers else verdict.because
        if silent:
            said = self._silent.get(verdict.edge, {})
            because = tuple(said[each] for each in silent if each in said) or (known.because if known else ())
        return VerdictRecord(
            verdict.edge, verdict.up, because, self._epoch(), self._edge, silent=silent, answers=answers
        )

    def _is_silent(self, edge: str, family: int, told: Collection[int]) -> bool:
        """Whether an edge does not answer over a family; as it was told until that has been otherwise for a while."""
        now, before = self._clock(), family in told
        is_silent, since = self._families.get((edge, family), (before, now))
        return is_silent if now - since >= _SETTLED else before

    async def _write(self, watch: Watch) -> None:
        """Bring records and events to what this edge thinks, the records first. Raises StoreError."""
        owed = {
            edge: (known, stored.revision)
            for edge, stored in watch.state.items()
            if (known := _parse(watch, edge)) is not None and self._owes(edge, stored.revision)
        }
        waiting = False
        # Taken once: the fleet may change while something is written.
        verdicts = self._verdicts
        for edge, verdict in verdicts.items():
            known = _parse(watch, edge)
            record = self._thinks(verdict, known)
            if (record.up, record.silent) == ((True, ()) if known is None else (known.up, known.silent)):
                continue
            if edge in owed:
                waiting = True
                continue
            # A clock that was set back, or that of another edge, makes no time negative.
            record = replace(record, after=None if known is None else max(0, record.at - known.at))
            revision = await self._put(record, watch)
            if revision is not None:
                self._changed[edge] = revision, self._clock()
                owed[edge] = record, revision
        for edge in watch.state.keys() - verdicts.keys() - owed.keys():
            with contextlib.suppress(ConflictError):
                await self._store.verdicts.delete(edge, watch.state[edge].revision, deadline=_DEADLINE)
        told = await asyncio.gather(*(self._record_event(*each) for each in owed.values()))
        if waiting and any(told):
            self._wake.set()

    async def _put(self, record: VerdictRecord, watch: Watch) -> int | None:
        """Write a record down; return its revision, None if another edge has written one. Raises StoreError."""
        stored, data = watch.state.get(record.edge), record.to_bytes()
        try:
            if stored is None:
                return await self._store.verdicts.create(record.edge, data, deadline=_DEADLINE)
            return await self._store.verdicts.update(record.edge, data, stored.revision, deadline=_DEADLINE)
        except ConflictError:
            _LOG.debug("another edge has written a verdict on edge %s down", record.edge)
            return None

    def _owes(self, edge: str, revision: int) -> bool:
        """Whether the event of a change is still to be stored: it is not known to be, and the change is not too old."""
        if self._told.get(edge, 0) >= revision:
            return False
        known, changed = self._changed.get(edge, (None, -math.inf))
        return known == revision and self._clock() - changed <= _TRIED

    async def _record_event(self, record: VerdictRecord, revision: int) -> bool:
        """Store the event of a change; return whether it is stored."""
        facts = {
            "edge": record.edge,
            "up": record.up,
            "silent": list(record.silent),
            "answers": list(record.answers),
            "evidence": list(record.because),
        }
        event = Event("verdict", record.at, record.by, _sentence(record), facts)
        ident = f"verdict.{record.edge}.{revision}"
        try:
            await self._store.events.record(event, ident=ident, deadline=_DEADLINE)
        except StoreError as error:
            _LOG.debug("the event of a verdict could not be stored: %s", error.message)
            return False
        self._told[record.edge] = revision
        return True

    def _tell(self, watch: Watch) -> None:
        if self._alone:
            records = [self._thinks(verdict, _parse(watch, edge)) for edge, verdict in self._verdicts.items()]
        else:
            found = [_parse(watch, edge) for edge in watch.state]
            records = [each for each in found if each is not None and each.by == self._edge]
        sentences = {each.edge: _sentence(each) for each in records if not each.up or each.silent}
        self._conditions.set_group("verdict", sentences, now=self._epoch())


def _sentence(record: VerdictRecord) -> str:
    evidence = f": {'; '.join(record.because)}" if record.because else ""
    if not record.up:
        return f"edge {record.edge} is down{evidence}"
    if record.silent:
        return f"edge {record.edge} does not answer {record.silence}"
    after = "" if record.after is None else f", after {record.after} s"
    if record.answers:
        return f"edge {record.edge} answers over {families_text(record.answers)} again{after}"
    return f"edge {record.edge} is up again{after}{evidence}"


def _parse(watch: Watch, edge: str) -> VerdictRecord | None:
    stored = watch.state.get(edge)
    try:
        return None if stored is None else VerdictRecord.from_bytes(stored.value)
    except SchemaError:
        return None
