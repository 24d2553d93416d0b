"""From a release record to a staged release: fetch what is missing, verify all of it, link the trees."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from edgeward.core.assets import assets_of
from edgeward.core.deployers import Deployers
from edgeward.core.digest import Digest
from edgeward.core.fleet import ReleaseRecord
from edgeward.core.release import Entry, Manifest, unpack_manifest
from edgeward.edge.holdings import Holdings
from edgeward.edge.looks import Looks
from edgeward.edge.signatures import why_not_trusted
from edgeward.edge.threads import to_the_end
from edgeward.errors import CorruptionError, DiskError, EdgewardError, NotFoundError, SchemaError

_LOG = logging.getLogger("edgeward.edge")
_AT_ONCE = 4
"""Releases that are staged at the same time: a new edge of a fleet with many sites has a thousand before it."""

_ADOPT_BLOBS = 1000
_ADOPT_BYTES = 64 * 1024 * 1024


class BlobSource(Protocol):
    """Where missing blobs come from: `store.blobs.Blobs`."""

    def fetch(self, sizes: Mapping[Digest, int], scratch: Path) -> AsyncIterator[tuple[Digest, Path]]:
        """Yield verified files; raise CorruptionError or NotFoundError after the last good one."""

    async def read(self, digest: Digest, size: int) -> bytes:
        """Return verified bytes."""


class Refused(EdgewardError):
    """A release must not be served on this edge: its signature or a purge order forbids it."""


class Stager:
    """Stages releases, a few at once; all that it does may be repeated."""

    def __init__(self, holdings: Holdings, source: BlobSource, *, reserve: int) -> None:
        self.looks = Looks(holdings)
        self._holdings = holdings
        self._disk = holdings.disk
        self._source = source
        self._reserve = reserve
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def stage(
        self, record: ReleaseRecord, *, forbidden: frozenset[Digest], deployers: Deployers | None = None
    ) -> None:
        """Have the release staged, durably, when this returns.

        forbidden: digests that a purge took out. deployers: who may push, None: whoever can. A blob that lies on this
        disk and is not what its name says is fetched again before anything is linked to it. Raises Refused,
        SchemaError, CorruptionError, NotFoundError, StoreError, DiskError (also for the disk reserve).
        """
        if (reason := why_not_trusted(record, deployers)) is not None:
            raise Refused(reason, site=record.site, release=record.release)
        async with self._turns:
            packed, manifest = await self._manifest(record)
            if taken_out := forbidden and forbidden & manifest.digests():
                refusal = f"{len(taken_out)} of its blobs were taken down by a purge"
                raise Refused(refusal, digests=sorted(taken_out)[:10])
            async with self._holdings.pinned(manifest.digests):
                sound = await self.looks.sound(record.site)
                await self._have([entry for entry in manifest.entries if not _is(sound.get(entry.path), entry)])
                await self._holdings.link((record.site, record.release), manifest, packed)

    async def stage_assets(self, record: ReleaseRecord) -> None:
        """Have the manifest and the immutable assets' blobs of a release here, and nothing else of it.

        Raises SchemaError, CorruptionError, NotFoundError, StoreError, DiskError.
        """
        packed, manifest = await self._manifest(record)
        entries = tuple(assets_of(manifest))
        async with self._holdings.pinned(manifest.digests):
            await self._have(entries)
            async with self._holdings.writing:
                await to_the_end(self._disk.save_manifest, manifest.release, packed)

    async def fetch(self, sizes: Mapping[Digest, int]) -> None:
        """Put these blobs into the blob folder, over whatever is there.

        What arrives corrupt is asked for once more. Raises CorruptionError, NotFoundError, DiskError, StoreError.
        """
        left = dict(sizes)
        try:
            await self._fetch(left)
        except CorruptionError as error:
            _LOG.warning("%s; fetching %d blobs again", error.message, len(left))
            await self._fetch(left)

    async def _manifest(self, record: ReleaseRecord) -> tuple[bytes, Manifest]:
        """Return the manifest, from this disk if it is here and sound, else from the store."""
        served = self._holdings.manifest_of(record.site)
        if self._disk.has_manifest(record.release):
            try:
                packed = await asyncio.to_thread(self._disk.packed_manifest, record.release)
                return packed, await asyncio.to_thread(unpack_manifest, packed, record.release, served)
            except (CorruptionError, SchemaError) as error:
                _LOG.warning("%s; fetching it again", error.message)
        packed = await self._source.read(record.manifest, record.manifest_size)
        manifest = await asyncio.to_thread(unpack_manifest, packed, record.release, served)
        if manifest.settings.name != record.site:
            raise SchemaError(f"the release belongs to site {manifest.settings.name}, not {record.site}")
        return packed, manifest

    async def _have(self, entries: Sequence[Entry]) -> None:
        """Make every blob of these entries be here and sound."""
        async with self._holdings.writing:
            missing = await to_the_end(self._missing, entries)
        if not missing:
            return
        need, free = sum(missing.values()), await asyncio.to_thread(self._disk.free)
        if free - need < self._reserve:
            raise DiskError(
                f"it needs {need:,} bytes and {free:,} are free, of which {self._reserve:,} stay in reserve",
                hint="make room on the disk, or lower disk_reserve in [limits]",
                need=need,
                free=free,
                reserve=self._reserve,
            )
        await self.fetch(missing)

    def _missing(self, entries: Sequence[Entry]) -> Mapping[Digest, int]:
        """Return the blobs that are not here or not sound, with their sizes; unsound ones are taken away.

        An inode that trees link already and that has its size and the time of the manifest has not been written to
        since it was verified: it is not read again (the scrub reads everything in its turn). All else is read.
        """
        missing: dict[Digest, int] = {}
        sound: set[Digest] = set()
        for entry in entries:
            for variant in entry.variants:
                digest = variant.digest
                if digest in missing:
                    continue
                if self._disk.blobs.untouched(digest, entry.modified, variant.size) or digest in sound:
                    continue
                if self._disk.blobs.has(digest) and self._verified(digest):
                    sound.add(digest)
                else:
                    missing[digest] = variant.size
        return missing

    def _verified(self, digest: Digest) -> bool:
        try:
            self._disk.blobs.check(digest)
        except CorruptionError as error:
            _LOG.warning("%s; fetching it again", error.message)
            return False
        return True

    async def _fetch(self, left: dict[Digest, int]) -> None:
        """Fetch what is in `left`, taking out of it what has arrived and is durably here."""
        batch: list[tuple[Digest, Path]] = []
        held = 0
        async with aclosing(self._source.fetch(dict(left), self._disk.scratch)) as files:  # type: ignore[type-var]  # an async generator
            try:
                async for digest, path in files:
                    batch.append((digest, path))
                    held += left[digest]
                    if len(batch) >= _ADOPT_BLOBS or held >= _ADOPT_BYTES:
                        await self._adopt(batch, left)
                        held = 0
            finally:
                await self._adopt(batch, left)
        if left:
            raise NotFoundError(f"{len(left)} blobs did not come from the store", missing=sorted(left)[:10])

    async def _adopt(self, batch: list[tuple[Digest, Path]], left: dict[Digest, int]) -> None:
        if not batch:
            return
        async with self._holdings.writing:
            unsound = await to_the_end(self._replace_all, list(batch))
        await self._holdings.mend(unsound)
        for digest, _ in batch:
            left.pop(digest, None)
        batch.clear()

    def _replace_all(self, batch: list[tuple[Digest, Path]]) -> frozenset[Digest]:
        """Take files in; return those that were here before, and so were not sound.

        Whatever was made of an unsound blob goes first, so that nothing links it anew.
        """
        unsound = frozenset(digest for digest, _ in batch if self._disk.blobs.has(digest))
        for digest in unsound:
            self._disk.blobs.remove(digest)
        self._disk.blobs.adopt_all(batch)
        return unsound


def _is(known: Entry | None, entry: Entry) -> bool:
    """Whether two entries are equal. Most are one object, which comparing them would not notice."""
    return known is entry or known == entry
