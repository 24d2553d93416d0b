"""Buckets: small values under keys, each changed by compare-and-set, and watched.

The form on the wire is that of the NATS key-value convention (ADR-8). Every write carries a message id of its own, so
that a write that is repeated after a lost connection is told from a write of somebody else.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from edgeward.errors import ConflictError, StoreError
from edgeward.store.jetstream import EXPECTED_SEQUENCE, MESSAGE_ID, JetStream, Stored
from edgeward.store.layout import BucketLayout
from edgeward.store.link import DEADLINE
from edgeward.store.replay import Interrupted, open_replay
from edgeward.store.watch import Versioned, Watch

__all__ = ["Bucket", "Versioned", "Watch", "removed"]

OPERATION: Final = "KV-Operation"
MARKER: Final = "Nats-Marker-Reason"
ROLLUP: Final = "Nats-Rollup"
MESSAGE_TTL: Final = "Nats-TTL"

MARK_SECONDS: Final = 86_400
"""How long the mark of a deletion stays: watchers that were away for longer read the bucket anew in any case."""

_KEY: Final = re.compile(r"[-/_=.a-zA-Z0-9]+\Z")
_MAX_KEY: Final = 1024


class Bucket:
    """One bucket. Methods raise StoreUnavailable when `deadline` seconds are over, StoreFull when there is no room.

    A write that was under way when the connection was lost is sent again within its deadline; when StoreUnavailable is
    raised it may or may not have been stored.
    """

    def __init__(self, jetstream: JetStream, layout: BucketLayout) -> None:
        self._jetstream = jetstream
        self.layout = layout

    @property
    def name(self) -> str:
        """The bucket's name in the layout."""
        return self.layout.name

    async def get(self, key: str, *, deadline: float = DEADLINE) -> Versioned | None:
        """Return the value of a key, or None. Never stale: the leader of the stream answers."""
        stored = await self._last(key, f"read {self._say(key)}", deadline)
        return None if stored is None or removed(stored.headers) else Versioned(key, stored.data, stored.sequence)

    async def create(self, key: str, value: bytes, *, deadline: float = DEADLINE) -> int:
        """Store the value of a key that has none and return its revision. Raises ConflictError if it has one."""
        what = f"create {self._say(key)}"
        try:
            return await self._write(key, value, {EXPECTED_SEQUENCE: "0"}, what, deadline)
        except ConflictError:
            stored = await self._last(key, what, deadline)
            if stored is not None and not removed(stored.headers):
                raise ConflictError(f"cannot {what}: it exists already", key=key, revision=stored.sequence) from None
            # The mark of a deletion is in the way: it is what we compare with.
            expected = str(stored.sequence if stored is not None else 0)
            return await self._write(key, value, {EXPECTED_SEQUENCE: expected}, what, deadline)

    async def update(self, key: str, value: bytes, revision: int, *, deadline: float = DEADLINE) -> int:
        """Replace the value that has that revision and return the new one. Raises ConflictError if it has another."""
        what = f"change {self._say(key)} at revision {revision}"
        return await self._write(key, value, {EXPECTED_SEQUENCE: str(revision)}, what, deadline)

    async def put(self, key: str, value: bytes, *, deadline: float = DEADLINE) -> int:
        """Store the value of a key whatever is there, and return its revision."""
        return await self._write(key, value, {}, f"write {self._say(key)}", deadline)

    async def delete(self, key: str, revision: int | None = None, *, deadline: float = DEADLINE) -> None:
        """Remove a key and its history (a mark stays for watchers). A key that is not there is no error.

        revision: raise ConflictError unless the value has it.
        """
        headers = {OPERATION: "PURGE", ROLLUP: "sub", MESSAGE_TTL: f"{self.layout.ttl or MARK_SECONDS}s"}
        if revision is not None:
            headers[EXPECTED_SEQUENCE] = str(revision)
        await self._write(key, b"", headers, f"delete {self._say(key)}", deadline)

    async def keys(self, *, deadline: float = DEADLINE) -> tuple[str, ...]:
        """Return all keys, sorted."""
        return tuple(sorted(await self.values(deadline=deadline)))

    async def values(self, *, deadline: float = DEADLINE) -> Mapping[str, Versioned]:
        """Return all that is in the bucket, as it was at one moment after the call."""
        async with self.watch() as watch:
            await watch.caught_up(deadline)
            return dict(watch.state)

    async def history(self, key: str, *, deadline: float = DEADLINE) -> list[Versioned]:
        """Return the revisions of a key that are kept, oldest first; deletions are left out."""
        what = f"read the history of {self._say(key)}"
        subject = self._subject(key)
        last = await self._last(key, what, deadline)
        found: list[Versioned] = []
        if last is None:
            return found
        options = {"deliver_policy": "all", "filter_subject": subject}
        for _ in range(3):
            found.clear()
            try:
                async with open_replay(
                    self._jetstream, self.layout.stream, what=what, deadline=deadline, **options
                ) as replay:
                    while (delivery := await replay.next(deadline)) is not None:
                        if not delivery.removed:
                            found.append(Versioned(key, delivery.data, delivery.sequence))
                        if delivery.sequence >= last.sequence or not delivery.pending:
                            return found
            except Interrupted:
                continue
        raise StoreError(f"cannot {what}: interrupted three times")

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Watch]:
        """Follow the bucket while the context lasts. Entering it does not wait for the store: see `Watch.caught_up`."""
        watch = Watch(self._jetstream, self.layout)
        async with watch.following():
            yield watch

    async def _last(self, key: str, what: str, deadline: float) -> Stored | None:
        return await self._jetstream.last_message(self.layout.stream, self._subject(key), what=what, deadline=deadline)

    async def _write(self, key: str, value: bytes, headers: Mapping[str, str], what: str, deadline: float) -> int:
        identity = secrets.token_hex(11)
        headers = {**headers, MESSAGE_ID: identity}
        try:
            revision, _ = await self._jetstream.publish(
                self._subject(key), value, headers=headers, what=what, deadline=deadline
            )
        except ConflictError as error:
            error.facts["key"] = key
            if error.facts.get("sends", 1) == 1:
                raise
            # It was sent again after a loss: perhaps the first one got through, and it is our own that is in the way.
            stored = await self._last(key, what, deadline)
            if stored is not None and stored.headers.get(MESSAGE_ID) == identity:
                return stored.sequence
            raise
        return revision

    def _subject(self, key: str) -> str:
        if not _KEY.match(key) or key[0] == "." or key[-1] == "." or ".." in key or len(key) > _MAX_KEY:
            raise StoreError(f"{key[:80]!r} cannot be a key of bucket {self.name}", key=key[:80])
        return self.layout.prefix + key

    def _say(self, key: str) -> str:
        return f"{key!r} in bucket {self.name}"


def removed(headers: Mapping[str, str]) -> bool:
    """Whether a message with these headers is the mark of a deletion or an expiry."""
    return OPERATION in headers or MARKER in headers
