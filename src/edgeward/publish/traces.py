"""What a command writes before its move: taken back if the move does not come about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from edgeward.core.digest import Digest
from edgeward.core.fleet import HostClaim, ReleaseRecord
from edgeward.errors import ConflictError, StoreError
from edgeward.publish.claims import claim
from edgeward.publish.releases import ensure_record, read_live, release_key
from edgeward.store.buckets import Bucket
from edgeward.store.connection import Store

_GOODBYE = 5.0


@dataclass
class Traces:
    """Keys that this command made, with their revisions."""

    store: Store
    _made: list[tuple[Bucket, str, int]] = field(default_factory=list)

    async def claim(self, claims: list[HostClaim]) -> None:
        """Claim hostnames. Raises ConflictError if one belongs to another site."""
        for each in claims:
            revision = await claim(self.store, each)
            if revision is not None:
                self._made.append((self.store.hosts, each.hostname, revision))

    async def record(self, record: ReleaseRecord) -> None:
        """Store the record of a release unless it is there."""
        revision = await ensure_record(self.store, record)
        if revision is not None:
            self._made.append((self.store.releases, release_key(record.site, record.release), revision))

    async def take_back(self) -> None:
        """Delete what was made, if nobody has changed it since."""
        for bucket, key, revision in reversed(self._made):
            with suppress(StoreError, ConflictError):
                await bucket.delete(key, revision, deadline=_GOODBYE)


@asynccontextmanager
async def traces(store: Store, site: str, release: Digest) -> AsyncIterator[Traces]:
    """Give what is to be taken back if the context ends by an error or an interrupt before the release is live.

    If the release is live all the same, or the store cannot say, everything is left as it is.
    """
    left = Traces(store)
    try:
        yield left
    except BaseException:
        with suppress(StoreError):
            if (await read_live(store, site)).release != release:
                await left.take_back()
        raise
