"""What was purged stays out: the orders of a site, checked against every push."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from edgeward.core.digest import Digest
from edgeward.core.fleet import PurgeOrder, ReleaseRecord
from edgeward.core.takedown import shared_blobs
from edgeward.errors import ConflictError, CorruptionError, NotFoundError, Problem, SchemaError
from edgeward.publish.intent import erasing
from edgeward.publish.progress import Noticed, Progress
from edgeward.publish.releases import read_manifest
from edgeward.publish.scan import ScannedFile
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store

Orders = Sequence[tuple[PurgeOrder, Versioned]]


async def read_orders(store: Store, site: str) -> Orders:
    """Return the purge orders of a site, oldest first. Raises StoreError, SchemaError."""
    found = [(PurgeOrder.from_bytes(stored.value), stored) for stored in (await store.purges.values()).values()]
    return sorted((each for each in found if each[0].site == site), key=lambda each: (each[0].at, each[0].key))


def purged_files(orders: Orders, files: Sequence[ScannedFile]) -> tuple[Problem, ...]:
    """Return a problem for every file that holds bytes that were purged."""
    by_digest: Mapping[Digest, PurgeOrder] = {digest: order for order, _ in orders for digest in order.digests}
    return tuple(
        Problem(
            file.path.removeprefix("/"),
            0,
            f"holds bytes that {order.by} purged from site {order.site} on {_day(order)};"
            " --allow-purged publishes them again",
        )
        for file in files
        if (order := by_digest.get(file.digest)) is not None
    )


def youngest(orders: Orders, digests: frozenset[Digest]) -> int:
    """Return the time of the youngest order that names one of the digests, 0 if none does."""
    return max((order.at for order, _ in orders if not digests.isdisjoint(order.digests)), default=0)


async def allow_again(store: Store, orders: Orders, digests: frozenset[Digest]) -> None:
    """Take these digests out of the orders, so that later pushes may hold them. Raises StoreError.

    An order that has been given or changed since `orders` were read stands as it is.
    """
    for order, stored in orders:
        left = tuple(digest for digest in order.digests if digest not in digests)
        if left == order.digests:
            continue
        with suppress(ConflictError):
            if left:
                await store.purges.update(stored.key, replace(order, digests=left).to_bytes(), stored.revision)
            else:
                await store.purges.delete(stored.key, stored.revision)


async def needed_elsewhere(
    store: Store, site: str, digests: Sequence[Digest], progress: Progress
) -> Mapping[Digest, str]:
    """Return those of the blobs that releases of other sites need, with one such site. Raises StoreError.

    Where a manifest cannot be read nobody knows what it names: then all of them are needed.
    """
    shared: dict[Digest, str] = {}
    for stored in (await store.releases.values()).values():
        record = ReleaseRecord.from_bytes(stored.value)
        if record.site == site:
            continue
        try:
            manifest = await read_manifest(store, record)
        except (NotFoundError, CorruptionError, SchemaError) as error:
            progress(Noticed(f"the bytes stay in the store, since site {record.site} may need them: {error.message}"))
            found: Mapping[Digest, str] = dict.fromkeys(digests, record.site)
        else:
            found = await asyncio.to_thread(shared_blobs, digests, {record.site: (manifest,)})
        shared = {**found, **shared}
    return shared


async def erase_purged(store: Store, site: str, digests: Iterable[Digest], progress: Progress) -> None:
    """Erase those of the blobs, which a push that failed has put, that a purge order of the site names by now.

    Raises StoreError.
    """
    named = {digest for order, _ in await read_orders(store, site) for digest in order.digests}
    purged = sorted(named.intersection(digests))
    if purged:
        await erase_unneeded(store, site, purged, progress)


async def erase_unneeded(
    store: Store, site: str, digests: Sequence[Digest], progress: Progress, *, more: Sequence[Digest] = ()
) -> Mapping[Digest, str]:
    """Erase the blobs but for those that other sites need, and return these. more: what no other site can need.

    Raises ConflictError if this machine slept meanwhile, StoreError.
    """
    async with erasing(store, site) as held:
        shared = await needed_elsewhere(store, site, digests, progress)
        await held.confirm()
        await store.blobs.delete([*more, *(digest for digest in digests if digest not in shared)])
    return shared


def _day(order: PurgeOrder) -> str:
    return f"{datetime.fromtimestamp(order.at, UTC):%Y-%m-%d}"
