"""The edge's own sweep: manifests of releases that the fleet no longer keeps go; after a grace period, their blobs."""

import asyncio
import logging
import time
from collections.abc import Callable

from edgeward.core.digest import Digest
from edgeward.edge.gather import StoreView
from edgeward.edge.holdings import Holdings
from edgeward.edge.threads import to_the_end
from edgeward.errors import EdgewardError

_LOG = logging.getLogger("edgeward.edge")
_BATCH = 200
_LONGEST_PAUSE = 900.0


class Sweep:
    """Removes what nothing needs; decides only while the whole state of the store is in view."""

    def __init__(
        self, holdings: Holdings, view: StoreView, *, grace: int, clock: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self._holdings = holdings
        self._view = view
        self._grace = grace
        self._clock = clock
        self._unneeded: dict[Digest, int] = {}
        self._looked_at: frozenset[Digest] | None = None

    async def run(self) -> None:
        """Sweep until cancelled, four times in each grace period and at least every quarter of an hour."""
        while True:
            await asyncio.sleep(min(max(1.0, self._grace / 4), _LONGEST_PAUSE))
            try:
                await self.once()
            except EdgewardError as error:
                _LOG.warning("the sweep of this edge's disk came to nothing: %s", error.message)

    async def once(self) -> int:
        """Sweep once; returns how many blobs were removed. Raises DiskError, CorruptionError, SchemaError."""
        self._holdings.note_time()
        for site in sorted({*self._holdings.live, *(key[0] for key in self._holdings.staged)}):
            if await self._holdings.keep(site):  # assets whose time is over
                self._looked_at = None
        if not (self._view.complete and self._view.connected):
            return 0
        desired = self._view.desired
        if self._holdings.live.keys() - desired.live.keys():
            return 0  # a store that has lost pointers is not one to take deletions from
        retained = {release for _, release in desired.releases}
        self._forget_manifests(retained)
        before = frozenset(self._holdings.disk.manifests())
        if before == self._looked_at and not self._unneeded:
            return 0  # nothing has come or gone since: reading every manifest again would say the same
        needed = await asyncio.to_thread(self._holdings.needed)
        here = await asyncio.to_thread(lambda: list(self._holdings.disk.blobs.digests()))
        now = self._clock()
        self._unneeded = {digest: self._unneeded.get(digest, now) for digest in here if digest not in needed}
        self._looked_at = before
        due = [digest for digest, since in self._unneeded.items() if now - since >= self._grace]
        return await self._remove(due, before)

    def _forget_manifests(self, retained: set[Digest]) -> None:
        used = {release for _, release in self._holdings.staged}
        used |= {release for served in self._holdings.state.sites.values() for release, _ in served.left}
        for release in list(self._holdings.disk.manifests()):
            if release not in retained and release not in used and not self._holdings.pins:
                self._holdings.disk.remove_manifest(release)

    async def _remove(self, due: list[Digest], before: frozenset[Digest]) -> int:
        """Remove blobs in batches, as long as no release was staged since `before` was looked at."""
        count = 0
        for start in range(0, len(due), _BATCH):
            async with self._holdings.writing:
                if frozenset(self._holdings.disk.manifests()) - before:
                    break
                counted_on = self._holdings.pins.counted_on()
                batch = [digest for digest in due[start : start + _BATCH] if not counted_on(digest)]
                await to_the_end(self._remove_batch, batch)
            count += len(batch)
        if count:
            async with self._holdings.writing:
                await to_the_end(self._holdings.disk.blobs.tidy)
            _LOG.info("swept %d blobs that no retained release needs", count)
        return count

    def _remove_batch(self, batch: list[Digest]) -> None:
        for digest in batch:
            self._holdings.disk.blobs.remove(digest)
            self._unneeded.pop(digest, None)
