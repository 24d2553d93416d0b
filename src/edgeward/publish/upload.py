"""Bring the blobs of a release into the store: only those that are missing, read from where they are on disk."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from edgeward.core.digest import Digest
from edgeward.errors import CorruptionError
from edgeward.publish.build import Build, refusal
from edgeward.publish.compress import changed_problem, compress_all
from edgeward.publish.progress import Advanced, Progress
from edgeward.publish.variant_cache import VariantCache
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store


@dataclass(frozen=True, slots=True)
class Missing:
    """Blobs of a release that the store lacks, with their sizes."""

    sizes: Mapping[Digest, int]

    @property
    def bytes(self) -> int:
        """Bytes of them all."""
        return sum(self.sizes.values())


async def find_missing(store: Store, build: Build, stored: Collection[Digest] = ()) -> Missing:
    """Ask the store which blobs of the release it lacks. stored: known to be there already. Raises StoreError."""
    sizes = {variant.digest: variant.size for variant in build.manifest.blobs() if variant.digest not in stored}
    present = await store.blobs.present(sizes)
    return Missing({digest: size for digest, size in sizes.items() if digest not in present})


def lost_variants(build: Build, missing: Missing, cache: VariantCache) -> frozenset[Digest]:
    """Return the contents whose variants were taken over from the release before, but are neither in the store nor
    here.

    Their manifest entries cannot be kept: they have to be compressed again. That happens only where a store has lost
    blobs.
    """
    lost: set[Digest] = set()
    for origin in build.origins(missing.sizes).values():
        if origin.variant.coding != "identity" and not cache.holds(origin.file.digest, origin.variant):
            lost.add(origin.file.digest)
    return frozenset(lost)


def compress_again(build: Build, missing: Missing, cache: VariantCache, *, jobs: int | None = None) -> bool:
    """Make the missing variants that are not here either; return whether all are what the manifest names.

    Raises InputError if a file is no longer what was scanned, DiskError.
    """
    files = {origin.file.digest: origin.file for origin in build.origins(missing.sizes).values()}
    compress_all([files[digest] for digest in lost_variants(build, missing, cache)], cache, jobs=jobs)
    return not lost_variants(build, missing, cache)


async def upload(store: Store, build: Build, missing: Missing, cache: VariantCache, progress: Progress) -> None:
    """Put the missing blobs. Raises InputError if a file is no longer what was scanned, StoreError, DiskError."""
    done = 0

    def on_progress(blobs: int, size: int) -> None:
        del blobs
        nonlocal done
        done += size
        progress(Advanced("upload", done))

    try:
        await store.blobs.put(_sources(build, missing, cache), on_progress)
    except CorruptionError as error:
        digest = Digest(str(error.facts.get("digest")))
        origin = build.origins({digest}).get(digest)
        if origin is None:
            raise
        raise refusal(build.draft.scan.folder, [changed_problem(origin.file.path)]) from error


def _sources(build: Build, missing: Missing, cache: VariantCache) -> Iterator[BlobSource]:
    origins = build.origins(missing.sizes)
    for digest, size in missing.sizes.items():
        origin = origins[digest]
        coding = origin.variant.coding
        path = origin.file.source if coding == "identity" else cache.path(origin.file.digest, coding)
        yield BlobSource(digest, size, path)
