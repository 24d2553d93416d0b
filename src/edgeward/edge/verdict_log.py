"""Verdicts for people: each change is written down once for the fleet, and is a condition while an edge is down."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from edgeward.core.fleet import VerdictRecord
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
"""Seconds after which an edge that is up has a family over which it does not answer: one that dies does not begin with
that.
"""


class VerdictLog:
    """Writes for the fleet when it is this edge's turn: the first by name of those that are up and heard.

    A record in the bucket `verdicts`, changed by compare-and-set, keeps two writers apart; who changed it has the
    condition on its board until the edge is up again. Without a store each edge has its own. The event follows from the
    record: who writes sees to it that there is one of each revision, its own or that of a writer that ended or lost the
    store in between, before the next.
    """

    def __init__(self, store: Store, conditions: Conditions, *, edge: str, epoch: Callable[[], int]) -> None:
        self._store = store
        self._conditions = conditions
        self._edge = edge
        self._epoch = epoch
        self._verdicts: Mapping[str, Verdict] = {}
        self._alone = True
        self._speaking: Collection[str] = ()
        self._silent: Mapping[str, Mapping[int, str]] = {}
        self._since: dict[tuple[str, int], int] = {}
        """Since when which edge does not answer over which family."""
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
        """Take over what this edge thinks. silent: as of `health.silent`. speaking: the connected observers that are
        heard, this edge too.
        """
        if {edge: each.up for edge, each in verdicts.items()} != {
            edge: each.up for edge, each in self._verdicts.items()
        }:
            self._wake.set()
        self._verdicts, self._silent, self._alone, self._speaking = verdicts, silent, alone, speaking
        now = self._epoch()
        quiet = [(edge, family) for edge, families in silent.items() for family in families]
        self._since = {each: self._since.get(each, now) for each in quiet}

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
        while True:
            self._wake.clear()
            if not self._alone and watch.current and self._edge == self._writer():
                try:
                    await self._write(watch)
                except StoreError as error:
                    _LOG.debug("a verdict could not be written down: %s", error.message)
                except ConflictError:
                    _LOG.debug("another edge has written a verdict down")
            self._tell(watch)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._wake.wait()

    def _writer(self) -> str | None:
        up = [edge for edge in self._speaking if edge in self._verdicts and self._verdicts[edge].up]
        return min(up or self._speaking, default=None)

    def _thinks(self, edge: str) -> VerdictRecord:
        """Return what this edge thinks of an edge now."""
        verdict, now = self._verdicts[edge], self._epoch()
        silent = {
            family: why
            for family, why in sorted(self._silent.get(edge, {}).items())
            if verdict.up and now - self._since[edge, family] >= _SETTLED
        }
        because = tuple(silent.values()) or verdict.because
        return VerdictRecord(edge, verdict.up, because, now, self._edge, silent=tuple(silent))

    async def _write(self, watch: Watch) -> None:
        """Bring events and records to what this edge thinks. Raises StoreError, ConflictError."""
        for edge, last in list(watch.state.items()):
            known = _parse(watch, edge)
            if known is not None:
                await self._record_event(known, last.revision)
        for edge in self._verdicts:
            known, record = _parse(watch, edge), self._thinks(edge)
            if (record.up, record.silent) == ((True, ()) if known is None else (known.up, known.silent)):
                continue
            record = replace(record, after=None if known is None else record.at - known.at)
            stored = watch.state.get(edge)
            if stored is None:
                revision = await self._store.verdicts.create(edge, record.to_bytes(), deadline=_DEADLINE)
            else:
                revision = await self._store.verdicts.update(
                    edge, record.to_bytes(), stored.revision, deadline=_DEADLINE
                )
            await self._record_event(record, revision)
        for edge in watch.state.keys() - self._verdicts.keys():
            await self._store.verdicts.delete(edge, watch.state[edge].revision, deadline=_DEADLINE)

    async def _record_event(self, record: VerdictRecord, revision: int) -> None:
        """Store the event of a change, unless it is known to be stored or is too old. Raises StoreError."""
        edge = record.edge
        if self._told.get(edge) == revision or self._epoch() - record.at > _TRIED:
            return
        facts = {"edge": edge, "up": record.up, "silent": list(record.silent), "evidence": list(record.because)}
        event = Event("verdict", record.at, record.by, _sentence(record), facts)
        await self._store.events.record(event, ident=f"verdict.{edge}.{revision}", deadline=_DEADLINE)
        self._told[edge] = revision

    def _tell(self, watch: Watch) -> None:
        if self._alone:
            records = [self._thinks(edge) for edge in self._verdicts]
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
    return f"edge {record.edge} is up again{after}{evidence}"


def _parse(watch: Watch, edge: str) -> VerdictRecord | None:
    stored = watch.state.get(edge)
    try:
        return None if stored is None else VerdictRecord.from_bytes(stored.value)
    except SchemaError:
        return None
