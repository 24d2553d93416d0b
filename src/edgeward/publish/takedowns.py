"""What was purged stays out: the orders of a site, checked against every push."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from edgeward.core.digest import Digest
from edgeward.core.fleet import PurgeOrder
from edgeward.errors import Problem
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


async def allow_again(store: Store, orders: Orders, digests: frozenset[Digest]) -> None:
    """Take these digests out of the orders, so that edges fetch and serve them again. Raises
    StoreError, ConflictError.
    """
    for order, stored in orders:
        left = tuple(digest for digest in order.digests if digest not in digests)
        if left == order.digests:
            continue
        if left:
            await store.purges.update(stored.key, replace(order, digests=left).to_bytes(), stored.revision)
        else:
            await store.purges.delete(stored.key, stored.revision)


def _day(order: PurgeOrder) -> str:
    return f"{datetime.fromtimestamp(order.at, UTC):%Y-%m-%d}"
