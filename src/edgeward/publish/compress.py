"""Make the br and gzip variants of files, on all cores (SITE-FORMAT section 1).

Both compressors let go of the interpreter lock, so threads are enough. The largest files go first, so that no core is
left with a long one at the end. Each file is read once for both codings, and its digest is checked on the way: what was
compressed is what was scanned. Output goes to files of the variant cache, never to memory.
"""

import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import brotli

from edgeward.core.digest import Digest
from edgeward.core.media_types import is_compressible, media_type
from edgeward.core.release import Coding, Entry, Manifest, Variant
from edgeward.errors import DiskError, InputError, Problem
from edgeward.publish.scan import ScannedFile
from edgeward.publish.stat_cache import Stamp
from edgeward.publish.variant_cache import VariantCache

SMALLEST = 256
"""Bytes below which nothing is compressed."""
LARGE = 4 * 1024 * 1024
"""Bytes above which brotli's quality 11 takes too long for what it saves."""

_CHUNK = 512 * 1024


class Stopped(Exception):
    """The push was interrupted while it compressed. Never leaves this package."""


class _Compressor(Protocol):
    def feed(self, data: bytes, /) -> bytes: ...
    def end(self) -> bytes: ...


class _Brotli:
    def __init__(self, size: int) -> None:
        # A window (RFC 7932 section 9.1) no larger than the file: it finds as much, in two thirds of the time.
        window = min(max(size.bit_length(), 10), 22)
        self._engine = brotli.Compressor(quality=11 if size <= LARGE else 9, lgwin=window)

    def feed(self, data: bytes, /) -> bytes:
        return bytes(self._engine.process(data))

    def end(self) -> bytes:
        return bytes(self._engine.finish())


class _Gzip:
    """A gzip member (RFC 1952) as zlib writes it: no name, time 0, so that equal bytes give equal bytes."""

    def __init__(self) -> None:
        self._engine = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def feed(self, data: bytes, /) -> bytes:
        return self._engine.compress(data)

    def end(self) -> bytes:
        return self._engine.flush()


@dataclass
class _Output:
    """One variant on its way into a file."""

    coding: Coding
    path: Path
    file: BinaryIO
    compressor: _Compressor
    hasher: "hashlib._Hash"
    size: int = 0

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.hasher.update(data)
        self.size += len(data)

    def variant(self) -> Variant:
        return Variant(self.coding, Digest(self.hasher.hexdigest()), self.size)


def wants_variants(path: str, size: int) -> bool:
    """Whether an entry of that path and size is to have compressed variants, if they save enough."""
    return size >= SMALLEST and is_compressible(media_type(path))


def is_worth_it(size: int, compressed: int) -> bool:
    """Whether a variant saves at least 5 %."""
    return compressed * 100 <= size * 95


def variants_of(manifest: Manifest | None) -> Mapping[Digest, tuple[Variant, ...]]:
    """Return the compressed variants of each content of a release that was considered for compression
    (perhaps none).
    """
    if manifest is None:
        return {}
    return {entry.identity.digest: entry.variants[1:] for entry in manifest.entries if _was_considered(entry)}


def _was_considered(entry: Entry) -> bool:
    return entry.identity.size >= SMALLEST and is_compressible(entry.media_type)


def compress_all(
    files: Iterable[ScannedFile],
    cache: VariantCache,
    *,
    jobs: int | None = None,
    on_done: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Mapping[Digest, tuple[Variant, ...]]:
    """Return the compressed variants of each file's content, from the cache or made now.

    jobs: threads, None = one for each core. on_done: called from those threads with (files, bytes) just done. stop: set
    it to make the call raise Stopped soon. Raises InputError with every file that changed since it was scanned,
    DiskError if the cache cannot be written.
    """
    contents = {file.digest: file for file in files}
    ordered = sorted(contents.values(), key=lambda file: (-file.size, file.digest))
    halt = stop or threading.Event()
    made: dict[Digest, tuple[Variant, ...]] = {}
    problems: list[Problem] = []

    def work(file: ScannedFile) -> None:
        known = cache.find(file.digest)
        try:
            made[file.digest] = known if known is not None else compress_file(file, cache, halt)
        except InputError as error:
            problems.extend(error.problems)
        if on_done:
            on_done(1, file.size)

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1, thread_name_prefix="compress") as pool:
        futures = [pool.submit(work, file) for file in ordered]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()
        except BaseException:
            halt.set()
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        raise InputError("the folder changed while it was pushed", problems)
    return made


def compress_file(file: ScannedFile, cache: VariantCache, stop: threading.Event) -> tuple[Variant, ...]:
    """Make the variants of one file and keep them in the cache.

    Raises InputError if the bytes are not those that were scanned, DiskError if they or the cache cannot be used,
    Stopped.
    """
    if stop.is_set():
        raise Stopped
    compressors: dict[Coding, _Compressor] = {"br": _Brotli(file.size), "gzip": _Gzip()}
    scratch: dict[Coding, Path] = {coding: cache.scratch() for coding in compressors}
    try:
        with ExitStack() as stack:
            outputs = [
                _Output(coding, path, stack.enter_context(path.open("xb")), compressors[coding], hashlib.sha256())
                for coding, path in scratch.items()
            ]
            _run(file, outputs, stop)
        kept: dict[Variant, Path] = {}
        for output in outputs:
            if is_worth_it(file.size, output.size) and all(output.size != other.size for other in kept):
                kept[output.variant()] = output.path
        cache.keep(file.digest, kept)
        return tuple(kept)
    except OSError as error:
        msg = f"{file.path.removeprefix('/')} cannot be compressed in {cache.folder}: {error.strerror}"
        raise DiskError(msg, hint="set XDG_CACHE_HOME to a folder with more room", path=file.path) from error
    finally:
        for path in scratch.values():
            path.unlink(missing_ok=True)


def _run(file: ScannedFile, outputs: list[_Output], stop: threading.Event) -> None:
    hasher = hashlib.sha256()
    try:
        with file.source.open("rb") as source:
            same = Stamp.of(os.fstat(source.fileno())).size == file.size
            while same and (chunk := source.read(_CHUNK)):
                if stop.is_set():
                    raise Stopped
                hasher.update(chunk)
                for output in outputs:
                    output.write(output.compressor.feed(chunk))
    except FileNotFoundError:
        same = False
    if not same or hasher.hexdigest() != file.digest:
        raise InputError("a file changed", [changed_problem(file.path)])
    for output in outputs:
        output.write(output.compressor.end())


def changed_problem(path: str) -> Problem:
    """The problem of a file that is no longer what was scanned."""
    return Problem(
        path.removeprefix("/"), 0, "changed while it was pushed; stop what writes to the folder and push again"
    )
