"""A bucket followed: what is in it, always current, and which keys have changed.

Levels, not events: `state` is what the bucket holds as far as is known; after a lost connection the bucket is read
anew and the difference to what was known comes out as changes. When the first replay is over is decided against the
leader of the stream, not by the count of pending messages, which is wrong under concurrent writers.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from edgeward.errors import StoreError
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BucketLayout
from edgeward.store.replay import Delivery, Interrupted, Replay, open_replay

log = logging.getLogger(__name__)

_QUIET: Final = 0.05
"""Seconds without a delivery after which the leader is asked whether there is more."""

_PAUSE: Final = 0.2
"""Seconds before a replay that failed is begun again."""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value with the revision that compare-and-set compares. Revisions of one bucket only grow."""

    key: str
    value: bytes
    revision: int


class Watch:
    """A bucket as it is. One task may wait for `changed`; any number may read `state` and wait for `caught_up`."""

    def __init__(self, jetstream: JetStream, layout: BucketLayout) -> None:
        self._jetstream = jetstream
        self._layout = layout
        self._state: dict[str, Versioned] = {}
        self._received: dict[str, float] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._current = asyncio.Event()
        self._failure: BaseException | None = None
        self.state: Mapping[str, Versioned] = MappingProxyType(self._state)
        """Every key with its value, as far as is known: a live view. While the store is away, what was last known."""

    @property
    def current(self) -> bool:
        """Whether the store is being followed just now (False while it is away, and until the first replay is over)."""
        return self._current.is_set()

    def age(self, key: str) -> float | None:
        """Return the seconds since the value of a key came in here, by this machine's clock; None for no such key."""
        received = self._received.get(key)
        return None if received is None else time.monotonic() - received

    async def caught_up(self, deadline: float) -> None:
        """Return when `state` holds all that was stored before the watch (or its last reconnect) began.

        Raises StoreUnavailable after `deadline` seconds.
        """
        try:
            async with asyncio.timeout(deadline):
                await self._current.wait()
        except TimeoutError as error:
            raise await self._jetstream.link.explain(f"watch bucket {self._layout.name}") from error
        self._check()

    async def changed(self) -> frozenset[str]:
        """Wait for changes and return the keys that changed since the last call: new, changed, deleted or expired ones.

        It waits as long as it takes. Several changes of one key are one; a change that was undone may be one.
        """
        while not self._changed:
            self._check()
            self._wake.clear()
            await self._wake.wait()
        keys = frozenset(self._changed)
        self._changed.clear()
        return keys

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the bucket while the context lasts."""
        task = asyncio.create_task(self._follow(), name=f"watch {self._layout.name}")
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            self._wake.set()
            self._current.set()

    async def _follow(self) -> None:
        options: dict[str, Any] = {"deliver_policy": "last_per_subject", "filter_subject": f"{self._layout.prefix}>"}
        what = f"watch bucket {self._layout.name}"
        while True:
            try:
                async with open_replay(self._jetstream, self._layout.stream, what=what, **options) as replay:
                    await self._read(replay, what)
            except Interrupted:
                log.debug("cannot go on to %s: it is begun again", what)
            except StoreError as error:
                log.debug("%s", error)
            finally:
                self._current.clear()
            await asyncio.sleep(_PAUSE)

    async def _read(self, replay: Replay, what: str) -> None:
        stream = self._layout.stream
        goal = int((await self._jetstream.info(stream, what=what))["state"]["last_seq"])
        seen: set[str] = set()
        while goal:
            delivery = await replay.next(_QUIET)
            if delivery is not None:
                self._take(delivery, seen)
                if delivery.sequence >= goal:
                    break
                continue
            # Nothing came for a while: the message with the number `goal` may be gone by now. The leader knows.
            ahead = await self._jetstream.next_message(
                stream, f"{self._layout.prefix}>", replay.last_sequence + 1, what=what
            )
            if (ahead is None or ahead.sequence > goal) and not replay.waiting:
                break
        for key in self._state.keys() - seen:
            self._drop(key)
        self._current.set()
        while (delivery := await replay.next()) is not None:
            self._take(delivery, seen)

    def _take(self, delivery: Delivery, seen: set[str]) -> None:
        key = delivery.subject.removeprefix(self._layout.prefix)
        if delivery.removed:
            seen.discard(key)
            self._drop(key)
            return
        seen.add(key)
        self._received[key] = time.monotonic()
        known = self._state.get(key)
        if known is None or known.revision != delivery.sequence:
            self._state[key] = Versioned(key, delivery.data, delivery.sequence)
            self._note(key)

    def _drop(self, key: str) -> None:
        self._received.pop(key, None)
        if self._state.pop(key, None) is not None:
            self._note(key)

    def _note(self, key: str) -> None:
        self._changed.add(key)
        self._wake.set()
