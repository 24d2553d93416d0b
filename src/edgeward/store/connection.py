"""The store as the rest of the program sees it: buckets, blobs and events behind one address."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from edgeward.store.blobs import Blobs
from edgeward.store.buckets import Bucket
from edgeward.store.events import Events
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BUCKETS
from edgeward.store.link import DEADLINE, Link, StoreAddress
from edgeward.store.observations import Observations
from edgeward.store.prepare import prepare

__all__ = ["Store", "StoreAddress", "open_store"]


class Store:
    """An open store. Small values go over one connection, blobs over another, so that neither waits for the other."""

    def __init__(self, address: StoreAddress, *, name: str) -> None:
        self.address = address
        self._link = Link(address, name=name)
        self._bulk = Link(address, name=f"{name} (blobs)", bulk=True)
        self.jetstream = JetStream(self._link)
        """For tests and tools: JetStream's own requests."""
        self.blobs = Blobs(JetStream(self._bulk))
        self.events = Events(self.jetstream)
        self.releases = self.bucket("releases")
        self.live = self.bucket("live")
        self.candidates = self.bucket("candidates")
        self.hosts = self.bucket("hosts")
        self.edges = self.bucket("edges")
        self.status = self.bucket("status")
        self.purges = self.bucket("purges")
        self.pushes = self.bucket("pushes")
        self.leases = self.bucket("leases")
        self.verdicts = self.bucket("verdicts")
        self.proofs = self.bucket("proofs")
        self.fleet = self.bucket("fleet")
        self.observations = Observations(self._link)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket of the layout by name."""
        return Bucket(self.jetstream, BUCKETS[name])

    @property
    def connected(self) -> bool:
        """Whether the store can be reached just now, as far as is known."""
        return self._link.connected

    async def wait_connected(self, deadline: float = DEADLINE) -> None:
        """Return when there is a connection. Raises StoreUnavailable after `deadline` seconds."""
        await self._link.wait_connected(deadline)

    async def ensure_layout(self, replicas: int | None = None) -> None:
        """Make every stream of the layout that is missing, and bring the others to the layout. Safe to repeat.

        replicas: servers that hold each message; None keeps what there is (1 for what is new).
        """
        await prepare(self.jetstream, replicas=replicas)

    async def run(self) -> None:
        """Keep the connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self._bulk.run())


@asynccontextmanager
async def open_store(
    address: StoreAddress, *, name: str, deadline: float = DEADLINE, wait: bool = True
) -> AsyncIterator[Store]:
    """Open the store at an address; lost connections are made again for ever while the context lasts.

    name: who we are, for the server's own lists. Raises StoreUnavailable if no connection comes about within `deadline`
    seconds; wait=False enters at once, connected or not.
    """
    store = Store(address, name=name)
    task = asyncio.create_task(store.run(), name=f"store connections of {name}")
    try:
        if wait:
            await store.wait_connected(deadline)
        yield store
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
