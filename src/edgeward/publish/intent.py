"""A push says that it is under way, so that no sweep of the store takes away what it counts on.

Write, then check: the intent is written first; then the push waits while a sweep has the lease. A sweep takes its lease
first and gives up if there is an intent. So one of the two always sees the other.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from edgeward.core.codec import canonical_bytes
from edgeward.errors import ConflictError, StoreError
from edgeward.publish.progress import Noticed, Progress
from edgeward.store.connection import Store

SWEEP = "sweep"
"""Key of the sweep's lease."""

_PATIENCE = 120.0
_GOODBYE = 5.0


@dataclass
class Intent:
    """An intent that is held. `confirm` before the pointer moves: this machine may have slept while it expired."""

    store: Store
    site: str
    key: str
    value: bytes
    lost: bool = False

    async def confirm(self) -> None:
        """Raise ConflictError if the intent has not stood all the time: a sweep may have taken what it protected."""
        if self.lost or await self.store.pushes.get(self.key) is None:
            self.lost = True
            raise ConflictError(
                f"the intent to change site {self.site} expired before it was done: this machine was asleep or cut off"
                " from the store, and what the change counts on may have been swept meanwhile",
                hint="run the command again",
                site=self.site,
            )

    async def keep(self, every: float) -> None:
        """Write it anew every so many seconds. One that has expired stays lost: it would hide what a sweep did."""
        while not self.lost:
            await asyncio.sleep(every)
            with suppress(StoreError):
                stored = await self.store.pushes.get(self.key)
                try:
                    self.lost = stored is None
                    if stored is not None:
                        await self.store.pushes.update(self.key, self.value, stored.revision)
                except ConflictError:
                    self.lost = True


@asynccontextmanager
async def intent(store: Store, site: str, progress: Progress) -> AsyncIterator[Intent]:
    """Hold an intent while the context lasts; it is entered when no sweep is under way.

    Raises StoreUnavailable, ConflictError if a sweep has not ended after two minutes.
    """
    key = secrets.token_hex(8)
    value = canonical_bytes({"schema": [1, 0], "site": site, "at": int(time.time())})
    ttl = store.pushes.layout.ttl
    assert ttl is not None
    await store.pushes.put(key, value)
    held = Intent(store, site, key, value)
    keeper = asyncio.create_task(held.keep(ttl / 3), name=f"intent of a push of {site}")
    try:
        await _wait_for_sweep(store, progress)
        yield held
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        # If the store is away the intent goes by itself when its time is over.
        with suppress(StoreError):
            await store.pushes.delete(key, deadline=_GOODBYE)


async def _wait_for_sweep(store: Store, progress: Progress) -> None:
    async with store.leases.watch() as leases:
        await leases.caught_up(5.0)
        if SWEEP not in leases.state:
            return
        progress(Noticed("waiting for a sweep of the store to end"))
        try:
            async with asyncio.timeout(_PATIENCE):
                while SWEEP in leases.state:
                    await leases.changed()
        except TimeoutError:
            raise ConflictError(
                f"a sweep of the store has been under way for over {_PATIENCE:.0f} seconds", hint="push again later"
            ) from None
