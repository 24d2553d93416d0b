"""The sweep of the state store, now and then, by one edge for all: the first by name of those that report."""

import asyncio
import logging
from collections.abc import Callable

from edgeward.edge.journal import Journal
from edgeward.errors import EdgewardError
from edgeward.store.connection import Store
from edgeward.store.sweep import SweepResult, sweep

_LOG = logging.getLogger("edgeward.edge")
_FIRST = 600.0
"""Seconds from the start to the first sweep, so that an edge that restarts often sweeps as well."""


class StoreSweep:
    """Sweeps every `every` seconds. A lease in the store keeps two sweeps apart, whoever begins them."""

    def __init__(self, store: Store, journal: Journal, *, edge: str, every: int, clock: Callable[[], int]) -> None:
        self._store = store
        self._journal = journal
        self._edge = edge
        self._every = every
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        pause = min(_FIRST, self._every)
        while self._every:
            await asyncio.sleep(pause)
            pause = self._every
            try:
                await self.once()
            except EdgewardError as error:
                _LOG.warning("the sweep of the state store came to nothing: %s", error.message)

    async def once(self) -> SweepResult | None:
        """Sweep if it is this edge's turn; None if it is not. Raises StoreError, SchemaError."""
        if not self._store.connected or self._edge != min(await self._store.status.keys(), default=self._edge):
            return None
        result = await sweep(self._store, now=self._clock(), by=self._edge)
        _LOG.info(
            "swept the state store: %d releases, %d blobs (%s)", len(result.releases), result.blobs, result.because
        )
        if result.releases or result.blobs:
            text = f"swept {len(result.releases)} releases and {result.blobs} blobs out of the state store"
            await self._journal.record(text, {"releases": list(result.releases), "bytes": result.bytes})
        return result
