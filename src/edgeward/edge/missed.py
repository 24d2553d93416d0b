"""Assets of releases that were live while this edge did not serve them: it was away, or is new, or skipped one.

A page of such a release may still be open at a reader whom another edge served; its assets stay reachable here as well.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from edgeward.core.digest import Digest
from edgeward.core.fleet import Pointer, ReleaseRecord
from edgeward.core.plan import Desired
from edgeward.edge.gather import StoreView
from edgeward.edge.holdings import Holdings
from edgeward.edge.stager import Stager
from edgeward.errors import EdgewardError, SchemaError
from edgeward.store.connection import Store

_LOG = logging.getLogger("edgeward.edge")
_DAY = 86_400
_PAUSE = 30.0


class Missed:
    """Brings the kept folders of sites up to what their pointers' histories say. All that it does may be repeated."""

    def __init__(
        self, store: Store, view: StoreView, holdings: Holdings, stager: Stager, *, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._view = view
        self._holdings = holdings
        self._stager = stager
        self._clock = clock
        self._asked: set[str] = set()
        self._wake = asyncio.Event()

    def ask(self, sites: Iterable[str]) -> None:
        """Look at these sites soon: releases may have been missed."""
        self._asked.update(sites)
        self._wake.set()

    async def run(self) -> None:
        """Do what was asked for, until cancelled; a site that cannot be looked at is tried again later."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._asked:
                site = self._asked.pop()
                try:
                    await self.recover(site)
                except EdgewardError as error:
                    _LOG.info("assets of earlier releases of site %s cannot be had yet: %s", site, error.message)
                    await asyncio.sleep(_PAUSE)
                    self._asked.add(site)

    async def recover(self, site: str) -> int:
        """Keep the assets of each release that left within the site's days; returns how many releases were missing.

        Raises StoreError, DiskError, NotFoundError, CorruptionError.
        """
        live, served = self._holdings.live.get(site), self._holdings.manifest_of(site)
        if live is None or served is None:
            return 0
        days = served.settings.keep_assets_days
        history = []
        for stored in await self._store.live.history(site):
            try:
                history.append(Pointer.from_bytes(stored.value))
            except SchemaError as error:
                _LOG.warning("a move of site %s cannot be read: %s", site, error.message)
        count = 0
        for release, at in departures(history, after=self._clock() - days * _DAY):
            record = _record(self._view.desired, site, release)
            if record is None or record.release == live or self._holdings.has_noted(site, record.release):
                continue
            await self._stager.stage_assets(record)
            self._holdings.note_left(site, record.release, max(0, self._clock() - at))
            await self._holdings.keep(site)
            count += 1
        return count


def departures(history: Sequence[Pointer], *, after: int) -> list[tuple[Digest, int]]:
    """Return each release that stopped being live after a time, once, with the last time it did, oldest first."""
    left: dict[Digest, int] = {}
    for pointer in history:
        if pointer.previous is not None and pointer.at > after:
            left.pop(pointer.previous, None)
            left[pointer.previous] = pointer.at
    return list(left.items())


def _record(desired: Desired, site: str, release: Digest) -> ReleaseRecord | None:
    """Return the record of a release, or of the one that a purge made of it."""
    if (found := desired.releases.get((site, release))) is not None:
        return found
    return next(
        (record for record in desired.releases.values() if record.site == site and release in record.replaces), None
    )
