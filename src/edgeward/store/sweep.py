"""The sweep of the store: releases that are not kept any more go, and then the blobs that no kept release needs.

Write, then check: a push writes its intent and then waits while the sweep's lease exists; the sweep takes its lease and
then gives up if there is an intent. So whatever the interleaving, one of the two sees the other, and a blob that a push
has been told is present stays until that push is over. The lease is looked at again before every batch of deletions,
and before any deletion if the last look is a while ago: a sweep that was stopped in between finds its lease lost.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from edgeward.core.codec import canonical_bytes
from edgeward.core.digest import Digest
from edgeward.core.fleet import Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.release import unpack_manifest
from edgeward.core.retention import Policy, Retention, SiteInUse, retain, unneeded_blobs
from edgeward.errors import ConflictError, CorruptionError, NotFoundError, StoreError
from edgeward.store.buckets import Bucket, Versioned
from edgeward.store.connection import Store

LEASE: Final = "sweep"
"""Key of the lease in the bucket `leases`."""

_BATCH: Final = 200
_LONGEST: Final = 30.0
"""Seconds after which a sweep leaves the rest to the next one: pushes wait while it holds the lease."""

_DEFAULT_DAYS: Final = 7
_DEFAULT_TTL: Final = 30


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep did. releases: keys of the records that went. blobs, bytes: how many blobs, and their bytes.

    because: why these and no others, or why nothing could be done.
    """

    releases: tuple[str, ...]
    blobs: int
    bytes: int
    because: str


class _LeaseLost(Exception):
    """The lease is not ours any more."""


class _Lease:
    """The sweep's lease while it is held: `check` before each step that cannot be taken back."""

    def __init__(self, bucket: Bucket, value: bytes, revision: int) -> None:
        self._bucket = bucket
        self._value = value
        self._revision = revision
        self._changing = asyncio.Lock()
        self._renewed = asyncio.get_running_loop().time()

    async def ensure(self) -> None:
        """Renew the lease if that is a while ago: this process may have been stopped in between. Raises as `check`."""
        ttl = self._bucket.layout.ttl or _DEFAULT_TTL
        if asyncio.get_running_loop().time() - self._renewed > ttl / 3:
            await self.check()

    async def check(self) -> None:
        """Renew the lease; raises _LeaseLost if it ran out or is somebody else's. Raises StoreUnavailable."""
        async with self._changing:
            try:
                now = asyncio.get_running_loop().time()
                self._revision = await self._bucket.update(LEASE, self._value, self._revision)
                self._renewed = now
            except ConflictError as error:
                raise _LeaseLost from error

    async def keep(self, every: float) -> None:
        """Renew the lease for ever: a long step must not let it run out."""
        while True:
            await asyncio.sleep(every)
            with suppress(StoreError, _LeaseLost):
                await self.check()

    async def give_back(self) -> None:
        """Delete the lease if it is still ours."""
        async with self._changing:
            with suppress(StoreError, ConflictError):
                # By its value: a renewal may have been cut off after it was stored.
                stored = await self._bucket.get(LEASE)
                if stored is not None and stored.value == self._value:
                    await self._bucket.delete(LEASE, stored.revision)


async def sweep(store: Store, *, now: int, by: str, policy: Policy | None = None) -> SweepResult:
    """Sweep the store once. now: seconds since the epoch. by: who sweeps, for people.

    Raises StoreUnavailable, SchemaError (a record of an unknown schema: nothing is deleted then).
    """
    policy = policy or Policy()
    # Manifests never change, so they are read beforehand: pushes wait while the lease is held.
    contents = await _read_contents(store, _records(await store.releases.values()), {})
    value = canonical_bytes({"schema": [1, 0], "by": by, "at": now, "id": secrets.token_hex(8)})
    try:
        revision = await store.leases.create(LEASE, value)
    except ConflictError:
        return SweepResult((), 0, 0, "nothing was done: another sweep is under way")
    lease = _Lease(store.leases, value, revision)
    async with _held(lease, (store.leases.layout.ttl or _DEFAULT_TTL) / 4):
        intents = await store.pushes.keys()
        if intents:
            return SweepResult((), 0, 0, f"nothing was done: {len(intents)} pushes are under way")
        try:
            return await _sweep(store, lease, contents, now, policy)
        except _LeaseLost:
            return SweepResult((), 0, 0, "it was stopped half-way: its lease ran out")


@asynccontextmanager
async def _held(lease: _Lease, every: float) -> AsyncIterator[None]:
    keeper = asyncio.create_task(lease.keep(every), name="lease of the sweep")
    try:
        yield
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await lease.give_back()


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a sweep needs to know of a manifest, without the manifest: 200,000 entries are large."""

    keep_assets_days: int
    blobs: frozenset[Digest]


async def _sweep(
    store: Store, lease: _Lease, read: Mapping[Digest, _Contents], now: int, policy: Policy
) -> SweepResult:
    until = asyncio.get_running_loop().time() + _LONGEST
    stored = await store.releases.values()
    records = _records(stored)
    contents = await _read_contents(store, records, read)
    retentions = await _retentions(store, records, contents, now, policy)
    kept = [item.record for retention in retentions for item in retention.kept]
    gone = [record for retention in retentions for record in retention.gone]
    unread = sorted(record.release for record in kept if record.release not in contents)
    if unread:
        because = f"nothing was done: the manifest of release {unread[0][:12]} cannot be read"
        return SweepResult((), 0, 0, because)
    removed = await _delete_records(lease, store.releases, gone, stored)

    blobs = await store.blobs.digests()
    puts = {digest: now - int(blob.age) for digest, blob in blobs.items()}
    needed: set[Digest] = {record.manifest for record in kept}
    needed.update(*(contents[record.release].blobs for record in kept))
    verdict = unneeded_blobs(puts, needed, now=now, policy=policy)
    because = verdict.because
    # What a takedown names is overwritten, however it came back: an edge or a push may have put it since.
    orders = [PurgeOrder.from_bytes(item.value) for item in (await store.purges.values()).values()]
    purged = {digest for order in orders for digest in order.digests}
    deleted: list[Digest] = []
    for start in range(0, len(verdict.delete), _BATCH):
        if asyncio.get_running_loop().time() > until:
            because += f"; {len(verdict.delete) - start} more are left to the next sweep, so that pushes need not wait"
            break
        await lease.check()
        for digest in verdict.delete[start : start + _BATCH]:
            await lease.ensure()
            await store.blobs.delete([digest], erase=digest in purged)
            deleted.append(digest)
    return SweepResult(removed, len(deleted), sum(blobs[digest].size for digest in deleted), because)


def _records(stored: Mapping[str, Versioned]) -> list[ReleaseRecord]:
    return [ReleaseRecord.from_bytes(item.value) for item in stored.values()]


async def _retentions(
    store: Store, records: list[ReleaseRecord], contents: Mapping[Digest, _Contents], now: int, policy: Policy
) -> list[Retention]:
    live = {site: Pointer.from_bytes(item.value) for site, item in (await store.live.values()).items()}
    candidates = [Pointer.from_bytes(item.value) for item in (await store.candidates.values()).values()]
    by_site: dict[str, list[ReleaseRecord]] = defaultdict(list)
    for record in records:
        by_site[record.site].append(record)
    found = []
    for site, releases in by_site.items():
        left: dict[Digest, int] = {}
        for item in await store.live.history(site):
            move = Pointer.from_bytes(item.value)
            if move.previous is not None:
                left[move.previous] = move.at
        days = [contents[record.release].keep_assets_days for record in releases if record.release in contents]
        pointer = live.get(site)
        use = SiteInUse(
            live=pointer.release if pointer else None,
            previous=pointer.previous if pointer else None,
            candidates=frozenset(item.release for item in candidates if item.site == site and item.release),
            left=left,
            keep_assets_days=max(days, default=_DEFAULT_DAYS),
        )
        found.append(retain(releases, use, now=now, policy=policy))
    return found


async def _read_contents(
    store: Store, records: Iterable[ReleaseRecord], read: Mapping[Digest, _Contents]
) -> Mapping[Digest, _Contents]:
    """Return the contents of every release whose manifest can be read; `read`: those that have been read already."""
    found: dict[Digest, _Contents] = {}
    # Releases of one site share most of their blobs: one string for each digest.
    known: dict[Digest, Digest] = {}
    for record in records:
        if record.release in read:
            found[record.release] = read[record.release]
            continue
        with suppress(NotFoundError, CorruptionError):
            packed = await store.blobs.read(record.manifest, record.manifest_size)
            manifest = await asyncio.to_thread(unpack_manifest, packed, record.release)
            blobs = frozenset(known.setdefault(variant.digest, variant.digest) for variant in manifest.blobs())
            found[record.release] = _Contents(manifest.settings.keep_assets_days, blobs)
    return found


async def _delete_records(
    lease: _Lease, bucket: Bucket, gone: list[ReleaseRecord], stored: Mapping[str, Versioned]
) -> tuple[str, ...]:
    removed = []
    for start in range(0, len(gone), _BATCH):
        await lease.check()
        for record in gone[start : start + _BATCH]:
            key = f"{record.site}.{record.release}"
            # A record that changed in between is not the one that was judged.
            with suppress(ConflictError):
                await bucket.delete(key, stored[key].revision)
                removed.append(key)
    return tuple(removed)
