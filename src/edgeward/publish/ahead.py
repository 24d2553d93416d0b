"""What a push does before it speaks to the fleet: read a folder that this machine has pushed before, and begin to
compress what has changed in it.

Loading what speaks to the store, connecting and reading the live release take about as long as compressing ten files,
which another core can do meanwhile. Nothing here decides anything: the push takes what is made of it from the caches.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.release import Variant
from edgeward.publish.compress import compress_all, wants_variants
from edgeward.publish.progress import Advanced, Progress, Started
from edgeward.publish.scan import Scan, ScannedFile, scan
from edgeward.publish.stat_cache import StatCache
from edgeward.publish.values import Limits, PushOptions
from edgeward.publish.variant_cache import VariantCache

_Compressing = Future[Mapping[Digest, tuple[Variant, ...]]]

_MOST = 4 * 1024 * 1024
"""Bytes that are compressed ahead at most: of more the push can tell later what the release before has already."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was found. limits: under which the folder was read. seconds: that it took. stop: set it to end the
    compressing.
    """

    scan: Scan
    limits: Limits
    seconds: float
    stop: threading.Event
    compressing: Sequence[_Compressing]

    def read_under(self, limits: Limits) -> Scan | None:
        """Return what was read, None if the fleet's limits are others than those that it was read under."""
        return self.scan if limits == self.limits else None

    def wait(self) -> None:
        """Wait until what could be compressed is in the cache. What failed is tried, and told, by the push itself."""
        for future in self.compressing:
            future.exception()


@contextmanager
def look_ahead(options: PushOptions, cache: Path, progress: Progress) -> Iterator[Ahead | None]:
    """Read the folder, and compress what has changed while the context lasts; None for a folder that was never pushed
    from here, of which everything would be read before anybody knows whether the fleet can be reached.

    cache: the cache folder. Raises InputError if the folder cannot be read.
    """
    if not StatCache.knows(cache, options.folder):
        yield None
        return
    limits, began = Limits(), time.monotonic()
    progress(Started("scan"))
    found = scan(
        options.folder,
        cache=cache,
        limits=limits,
        jobs=options.jobs,
        on_read=lambda done: progress(Advanced("scan", done)),
    )
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        compressing: Sequence[_Compressing] = ()
        if changed := _worth_it(found):
            variants = VariantCache.below(cache)
            compressing = (pool.submit(compress_all, changed, variants, jobs=options.jobs, stop=stop),)
        try:
            yield Ahead(found, limits, time.monotonic() - began, stop, compressing)
        finally:
            stop.set()


def _worth_it(found: Scan) -> tuple[ScannedFile, ...]:
    """Return the files to compress ahead: what was read, if it is a small part of the site."""
    read = tuple(file for file in found.read if wants_variants(file.path, file.size))
    few = len(found.read) * 2 <= len(found.files) and sum(file.size for file in read) <= _MOST
    return read if few else ()
