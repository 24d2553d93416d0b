"""What an edge sees of a store, for tests."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from edge_parts import Clock
from edgeward.core.fleet import EdgeRecord
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.store.connection import Store


@asynccontextmanager
async def following(
    store: Store, edges: Mapping[str, EdgeRecord] | None = None
) -> AsyncIterator[tuple[StoreView, Conditions]]:
    """A view that follows a store, and its conditions. edges: known before its start."""
    conditions = Conditions()
    view = StoreView(conditions, edges=edges, clock=Clock())
    task = asyncio.create_task(view.follow(store))
    try:
        yield view, conditions
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
