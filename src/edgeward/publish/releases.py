"""Releases in the store: records, manifests, and the pointer that says which one is live."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from edgeward.core.digest import Digest, parse_digest
from edgeward.core.fleet import Pointer, ReleaseRecord
from edgeward.core.release import Manifest, unpack_manifest
from edgeward.errors import ConflictError, NotFoundError, SchemaError
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store


@dataclass(frozen=True, slots=True)
class Live:
    """Where the pointer of a site stands. revision: for compare-and-set, None if the site never had a pointer."""

    site: str
    pointer: Pointer | None
    revision: int | None

    @property
    def release(self) -> Digest | None:
        """The live release, None for a site that has none."""
        return self.pointer.release if self.pointer else None


def release_key(site: str, release: Digest) -> str:
    """Return the key of a release in the buckets `releases` and `candidates`."""
    return f"{site}.{release}"


async def read_live(store: Store, site: str) -> Live:
    """Return where the pointer of a site stands. Raises StoreError, SchemaError."""
    stored = await store.live.get(site)
    if stored is None:
        return Live(site, None, None)
    pointer = Pointer.from_bytes(stored.value)
    if pointer.site != site:
        raise SchemaError(f"the pointer of site {site} in the store is one of site {pointer.site}", site=site)
    return Live(site, pointer, stored.revision)


async def read_record(store: Store, site: str, release: Digest) -> ReleaseRecord:
    """Return the record of a release. Raises NotFoundError, StoreError, SchemaError."""
    stored = await store.releases.get(release_key(site, release))
    if stored is None:
        raise NotFoundError(f"site {site} has no release {release[:12]}", hint=f"edgeward releases {site}")
    return _record(site, release, stored)


async def read_manifest(store: Store, record: ReleaseRecord) -> Manifest:
    """Return the manifest of a release, verified. Raises NotFoundError, CorruptionError, StoreError, SchemaError."""
    packed = await store.blobs.read(record.manifest, record.manifest_size)
    return await asyncio.to_thread(unpack_manifest, packed, record.release)


async def live_manifest(store: Store, live: Live) -> Manifest | None:
    """Return the manifest of the live release, None if there is none."""
    if live.release is None:
        return None
    return await read_manifest(store, await read_record(store, live.site, live.release))


async def site_records(store: Store, site: str) -> Mapping[Digest, tuple[ReleaseRecord, Versioned]]:
    """Return the records of all releases of a site that are kept. Raises StoreError, SchemaError."""
    prefix = f"{site}."
    return {
        release: (_record(site, release, stored), stored)
        for key, stored in (await store.releases.values()).items()
        if key.startswith(prefix) and (release := parse_digest(key.removeprefix(prefix)))
    }


def _record(site: str, release: Digest, stored: Versioned) -> ReleaseRecord:
    record = ReleaseRecord.from_bytes(stored.value)
    if (record.site, record.release) != (site, release):
        told = f"release {record.release[:12]} of site {record.site}"
        raise SchemaError(f"the record of release {release[:12]} of site {site} is that of {told}", site=site)
    return record


async def ensure_record(store: Store, record: ReleaseRecord) -> int | None:
    """Store the record of a release unless it is there; return its revision if this call made it. Raises StoreError."""
    try:
        return await store.releases.create(release_key(record.site, record.release), record.to_bytes())
    except ConflictError:
        return None
