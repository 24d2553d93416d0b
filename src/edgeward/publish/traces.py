"""What a command writes before its move: taken back if the move does not come about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from edgeward.core.digest import Digest
from edgeward.core.fleet import HostClaim, ReleaseRecord
from edgeward.errors import ConflictError, CorruptionError, NotFoundError, SchemaError, StoreError
from edgeward.publish.claims import claim
from edgeward.publish.releases import Live, ensure_record, live_manifest, read_live, release_key
from edgeward.publish.takedowns import Orders
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store

_GOODBYE = 5.0


@dataclass
class Traces:
    """What this command made: hostnames with the revisions of their claims, records, purge orders as
    they were and are.
    """

    store: Store
    _hostnames: list[tuple[str, int]] = field(default_factory=list)
    _records: list[ReleaseRecord] = field(default_factory=list)
    _orders: list[tuple[Versioned, Versioned]] = field(default_factory=list)

    async def claim(self, claims: list[HostClaim]) -> None:
        """Claim hostnames. Raises ConflictError if one belongs to another site."""
        for each in claims:
            revision = await claim(self.store, each)
            if revision is not None:
                self._hostnames.append((each.hostname, revision))

    async def record(self, record: ReleaseRecord) -> None:
        """Store the record of a release unless it is there."""
        if await ensure_record(self.store, record) is not None:
            self._records.append(record)

    async def exempt(self, orders: Orders, release: Digest) -> Orders:
        """Take the name of a release that may hold purged bytes out of the orders; return them as they are now."""
        changed = []
        for order, stored in orders:
            now = (order, stored)
            if release in order.releases:
                order_now = replace(order, releases=tuple(name for name in order.releases if name != release))
                value = order_now.to_bytes()
                revision = await self.store.purges.update(stored.key, value, stored.revision)
                now = (order_now, Versioned(stored.key, value, revision))
                self._orders.append((stored, now[1]))
            changed.append(now)
        return changed

    async def take_back(self, live: Live) -> None:
        """Delete what was made, but not what somebody has changed since, nor a hostname of the release that is live."""
        for record in self._records:
            key = release_key(record.site, record.release)
            with suppress(StoreError, ConflictError):
                # By its value: the record may have been written again just before a move that failed.
                stored = await self.store.releases.get(key, deadline=_GOODBYE)
                if stored is not None and stored.value == record.to_bytes():
                    await self.store.releases.delete(key, stored.revision, deadline=_GOODBYE)
        for before, now in self._orders:
            with suppress(StoreError, ConflictError):
                await self.store.purges.update(before.key, before.value, now.revision, deadline=_GOODBYE)
        if not self._hostnames:
            return
        named = await hostnames_in_use(self.store, live)
        for hostname, revision in self._hostnames:
            if named is not None and hostname not in named:
                with suppress(StoreError, ConflictError):
                    await self.store.hosts.delete(hostname, revision, deadline=_GOODBYE)


async def hostnames_in_use(store: Store, live: Live) -> frozenset[str] | None:
    """Return the hostnames that the live release of a site names; None if that cannot be known.

    `live` must have been read after the claims that may be given back: whoever moves the pointer later writes its
    claims anew, so that they have another revision. Raises StoreError.
    """
    try:
        manifest = await live_manifest(store, live)
    except (NotFoundError, CorruptionError, SchemaError):
        return None
    return frozenset(manifest.settings.hostnames) if manifest else frozenset()


@asynccontextmanager
async def traces(store: Store, site: str, release: Digest) -> AsyncIterator[Traces]:
    """Give what is to be taken back if the context ends by an error or an interrupt before the release is live.

    If the release is live all the same, or was until just now, or the store cannot say, everything is left as it is.
    """
    left = Traces(store)
    try:
        yield left
    except BaseException:
        with suppress(StoreError):
            live = await read_live(store, site)
            if live.pointer is None or release not in (live.pointer.release, live.pointer.previous):
                await left.take_back(live)
        raise
