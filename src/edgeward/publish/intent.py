"""A push says that it is under way, so that no sweep of the store takes away what it counts on.

Write, then check: the intent is written first; then the push waits while a sweep has the lease. A sweep takes its lease
first and gives up if there is an intent. So one of the two always sees the other.

Whoever erases blobs for good says so in the same way, before it reads which releases need them; a push writes the
record of its release, waits until nobody erases who may not have seen it, and then looks whether all its blobs are
there.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from edgeward.core.codec import canonical_bytes, parse_object
from edgeward.errors import ConflictError, SchemaError, StoreError
from edgeward.publish.progress import Noticed, Progress
from edgeward.store.buckets import Watch
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
    async with _held(store, site, f"intent of a push of {site}") as held:
        await _wait_for_sweep(store, progress)
        yield held


@asynccontextmanager
async def erasing(store: Store, site: str) -> AsyncIterator[Intent]:
    """Say that blobs of a site are erased while the context lasts: enter it, then read what needs them.

    Raises StoreUnavailable.
    """
    async with _held(store, site, f"erasure for {site}", erases=True) as held:
        yield held


async def nobody_erases(store: Store, progress: Progress) -> None:
    """Wait until none of those erases blobs any more who may have begun before this was called.

    Raises StoreUnavailable, ConflictError if one has not ended after two minutes.
    """
    async with store.pushes.watch() as intents:
        await intents.caught_up(5.0)
        begun = _erasures(intents)
        if not begun:
            return
        progress(Noticed(f"waiting until what was purged from site {', '.join(sorted(begun.values()))} is erased"))
        try:
            async with asyncio.timeout(_PATIENCE):
                while begun.keys() & _erasures(intents).keys():
                    await intents.changed()
        except TimeoutError:
            raise ConflictError(
                f"a purge has been erasing for over {_PATIENCE:.0f} seconds", hint="push again later"
            ) from None


def _erasures(intents: Watch) -> dict[str, str]:
    """Return the sites for which something is erased, by intent."""
    found = {}
    for key, stored in intents.state.items():
        with suppress(SchemaError):
            value = parse_object(stored.value, kind="intent", major=1)
            if value.get("erases"):
                found[key] = str(value.get("site"))
    return found


@asynccontextmanager
async def _held(store: Store, site: str, name: str, *, erases: bool = False) -> AsyncIterator[Intent]:
    key = secrets.token_hex(8)
    value = canonical_bytes({"schema": [1, 0], "site": site, "at": int(time.time()), "erases": erases})
    ttl = store.pushes.layout.ttl
    assert ttl is not None
    await store.pushes.put(key, value)
    held = Intent(store, site, key, value)
    keeper = asyncio.create_task(held.keep(ttl / 3), name=name)
    try:
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
