"""Fetching blobs: batches of chunks become verified files, the next batch on its way while one is written."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeward.core.digest import Digest, digest_of
from edgeward.errors import CorruptionError, DiskError, NotFoundError
from edgeward.store.batches import MOST_BYTES, MOST_SUBJECTS, Batches, Part
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import CHUNK, chunk_subject, chunks

_MODE: Final = 0o644


@dataclass(slots=True)
class _Growing:
    """A blob of several chunks that is being written. left: numbers of the chunks that have not come."""

    path: Path
    left: set[int]
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One chunk to get."""

    digest: Digest
    number: int

    @property
    def subject(self) -> str:
        return chunk_subject(self.digest, self.number)


@dataclass(slots=True)
class _Outcome:
    """What one batch brought."""

    good: list[tuple[Digest, Path]] = field(default_factory=list)
    corrupt: list[Digest] = field(default_factory=list)
    missing: list[Digest] = field(default_factory=list)


class Download:
    """One fetch. `close` takes away what was left half-way."""

    def __init__(self, jetstream: JetStream, sizes: Mapping[Digest, int], scratch: Path, patience: float) -> None:
        self._batches = Batches(jetstream, patience)
        self._sizes = sizes
        self._scratch = scratch
        self._growing: dict[Digest, _Growing] = {}
        self._ahead: asyncio.Task[dict[str, Part]] | None = None

    async def run(self) -> AsyncIterator[tuple[Digest, Path]]:
        """Yield verified files; at the end raise for what was corrupt or missing."""
        corrupt: dict[Digest, None] = {}
        missing: dict[Digest, None] = {}
        plan = _plan(self._sizes)
        batch = next(plan, None)
        self._request(batch)
        while batch is not None and self._ahead is not None:
            parts = await self._ahead
            following = next(plan, None)
            self._request(following)
            outcome = await asyncio.to_thread(self._write, batch, parts)
            corrupt.update(dict.fromkeys(outcome.corrupt))
            missing.update(dict.fromkeys(outcome.missing))
            for found in outcome.good:
                yield found
            batch = following
        _complain(list(corrupt), [digest for digest in missing if digest not in corrupt])

    def _request(self, batch: list[_Wanted] | None) -> None:
        self._ahead = None
        if batch is not None:
            self._ahead = asyncio.create_task(self._batches.parts([item.subject for item in batch]))

    async def close(self) -> None:
        """Stop what is under way and remove the files that are not complete."""
        if self._ahead is not None:
            self._ahead.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._ahead
        for growing in self._growing.values():
            growing.path.unlink(missing_ok=True)
        self._growing.clear()

    def _write(self, batch: list[_Wanted], parts: Mapping[str, Part]) -> _Outcome:
        """Write what a batch brought (in a thread). Raises DiskError."""
        outcome = _Outcome()
        try:
            for item in batch:
                part = parts.get(item.subject)
                if chunks(self._sizes[item.digest]) == 1:
                    self._write_small(item.digest, part, outcome)
                else:
                    self._write_chunk(item, part, outcome)
        except OSError as error:
            msg = f"cannot write fetched blobs to {self._scratch}: {error.strerror}"
            raise DiskError(msg, path=str(self._scratch)) from error
        return outcome

    def _write_small(self, digest: Digest, part: Part | None, outcome: _Outcome) -> None:
        if part is None:
            outcome.missing.append(digest)
        elif digest_of(part.data) != digest:
            outcome.corrupt.append(digest)
        else:
            path = self._name(digest)
            handle = _create(path)
            try:
                _write_all(handle, part.data, 0)
            finally:
                os.close(handle)
            outcome.good.append((digest, path))

    def _write_chunk(self, item: _Wanted, part: Part | None, outcome: _Outcome) -> None:
        growing = self._growing.get(item.digest)
        if growing is None:
            growing = _Growing(self._name(item.digest), set(range(chunks(self._sizes[item.digest]))))
            os.close(_create(growing.path))
            self._growing[item.digest] = growing
        growing.left.discard(item.number)
        if part is None:
            growing.corrupt = True
            outcome.missing.append(item.digest)
        elif len(part.data) > CHUNK:
            growing.corrupt = True
            outcome.corrupt.append(item.digest)
        else:
            handle = os.open(growing.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                _write_all(handle, part.data, item.number * CHUNK)
            finally:
                os.close(handle)
        if growing.left:
            return
        del self._growing[item.digest]
        if not growing.corrupt and _file_digest(growing.path) == item.digest:
            outcome.good.append((item.digest, growing.path))
            return
        growing.path.unlink()
        if not growing.corrupt:
            outcome.corrupt.append(item.digest)

    def _name(self, digest: Digest) -> Path:
        return self._scratch / f"{digest}.{secrets.token_hex(4)}"


def _plan(sizes: Mapping[Digest, int]) -> Iterator[list[_Wanted]]:
    """Yield the chunks of all blobs in batches within the bounds of one request."""
    batch: list[_Wanted] = []
    held = 0
    for item, size in _all_chunks(sizes):
        if batch and (len(batch) >= MOST_SUBJECTS or held + size > MOST_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size
    if batch:
        yield batch


def _all_chunks(sizes: Mapping[Digest, int]) -> Iterable[tuple[_Wanted, int]]:
    for digest, size in sizes.items():
        for number in range(chunks(size)):
            yield _Wanted(digest, number), min(CHUNK, size - number * CHUNK)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        offset += written
        view = view[written:]


def _file_digest(path: Path) -> Digest:
    with path.open("rb", buffering=0) as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())


def _complain(corrupt: list[Digest], missing: list[Digest]) -> None:
    if corrupt:
        first = f"{len(corrupt)} blobs are corrupt in the state store, " if len(corrupt) > 1 else ""
        msg = f"{first}blob {corrupt[0][:12]} does not have the digest that names it"
        raise CorruptionError(
            msg, hint="push the site again: a put mends what is stored", corrupt=corrupt, missing=missing
        )
    if missing:
        first = f"{len(missing)} blobs are not in the state store, " if len(missing) > 1 else ""
        msg = f"{first}blob {missing[0][:12]} is not there"
        raise NotFoundError(msg, missing=missing)
