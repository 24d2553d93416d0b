"""Putting blobs: chunks are sent ahead of their acknowledgements, within a bound, and repeated after a loss."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeward.core.digest import Digest, check_digest, digest_of
from edgeward.errors import CorruptionError, DiskError, StoreUnavailable
from edgeward.store.batches import Batches
from edgeward.store.errors import first_of, is_second_of_subject, refusal
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BLOBS, CHUNK, chunk_subject, chunks

Progress = Callable[[int, int], None]
"""Called with the blobs and bytes stored since the last call."""

_WORKERS: Final = 3
_GROUP_BYTES: Final = 1024 * 1024
_GROUP_MESSAGES: Final = 256
"""Small chunks go in groups of which the server stores all or nothing and syncs its disk a few times in all, not once
for each. Three groups of 1 MiB are on their way: that fills a fast line and meets the deadline on a slow one."""

_LEAST_GROUP: Final = 8
"""Fewer chunks than that are sent one by one: the server writes a group twice."""

_READ_FILES: Final = 128
_READ_BYTES: Final = 4 * 1024 * 1024
_MEND_AT_ONCE: Final = 16
_PAUSE: Final = 0.1
_NO_DEADLINE: Final = 86_400.0
"""The watchdog ends a put that does not move; one message has no deadline of its own."""


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob to put: its digest and size, and its bytes or the file that holds them."""

    digest: Digest
    size: int
    data: bytes | Path


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One message to send. digest: of these bytes alone."""

    source: BlobSource
    number: int
    data: bytes
    digest: Digest

    @property
    def subject(self) -> str:
        return chunk_subject(self.source.digest, self.number)

    @property
    def last(self) -> bool:
        return self.number == chunks(self.source.size) - 1


@dataclass(frozen=True, slots=True)
class _Refused:
    """A chunk that was there already: what is stored must be compared with what was to be put."""

    source: BlobSource
    number: int
    digest: Digest


class Upload:
    """One put. A reader task reads the sources in threads, workers send; memory is bounded whatever the sizes."""

    def __init__(self, jetstream: JetStream, on_progress: Progress | None, patience: float) -> None:
        self._jetstream = jetstream
        self._on_progress = on_progress
        self._patience = patience
        self._queue: asyncio.Queue[list[_Chunk] | None] = asyncio.Queue(maxsize=1)
        self._group: list[_Chunk] = []
        self._group_bytes = 0
        self._moved = 0.0
        self._refused: list[_Refused] = []

    async def run(self, sources: Iterable[BlobSource]) -> None:
        """Put all sources. Raises as `Blobs.put` says."""
        self._moved = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                watchdog = group.create_task(self._watch(limit))
                workers = [group.create_task(self._work()) for _ in range(_WORKERS)]
                group.create_task(self._read(sources))
                await asyncio.wait(workers)
                watchdog.cancel()
            await self._mend()
        except TimeoutError as error:
            failure = await self._jetstream.link.explain("put blobs")
            self._jetstream.link.drop()
            raise failure from error
        except ExceptionGroup as group_error:
            raise first_of(group_error) from None

    async def _watch(self, limit: asyncio.Timeout) -> None:
        """End the put when nothing has moved for `patience` seconds."""
        loop = asyncio.get_running_loop()
        while True:
            left = self._moved + self._patience - loop.time()
            if left <= 0:
                limit.reschedule(loop.time())
                return
            await asyncio.sleep(left)

    async def _read(self, sources: Iterable[BlobSource]) -> None:
        small: list[BlobSource] = []
        held = 0
        for source in sources:
            if source.size > CHUNK:
                await self._read_large(source)
                continue
            small.append(source)
            held += source.size
            if held >= _READ_BYTES or len(small) >= _READ_FILES:
                await self._send_on(await asyncio.to_thread(_read_small, small))
                small, held = [], 0
        await self._send_on(await asyncio.to_thread(_read_small, small))
        await self._queue.put(self._group)
        for _ in range(_WORKERS):
            await self._queue.put(None)

    async def _read_large(self, source: BlobSource) -> None:
        reader = _large_chunks(source)
        # The last chunk comes only after the digest of the whole has been found right, so that a file that changes
        # while it is read never becomes a complete blob.
        while (chunk := await asyncio.to_thread(next, reader, None)) is not None:
            await self._send_on([chunk])

    async def _send_on(self, found: list[_Chunk]) -> None:
        """Hand chunks to the workers in groups within the bounds."""
        for chunk in found:
            full = self._group_bytes + len(chunk.data) > _GROUP_BYTES or len(self._group) >= _GROUP_MESSAGES
            if self._group and full:
                group, self._group, self._group_bytes = self._group, [], 0
                await self._queue.put(group)
            self._group.append(chunk)
            self._group_bytes += len(chunk.data)

    async def _work(self) -> None:
        while (group := await self._queue.get()) is not None:
            if len(group) >= _LEAST_GROUP and await self._send_group(group):
                continue
            # Too few, or one of them at least is there already: which, each one tells.
            async with asyncio.TaskGroup() as tasks:
                for chunk in group:
                    tasks.create_task(self._send(chunk))

    async def _send_group(self, group: list[_Chunk]) -> bool:
        """Store all of a group or nothing of it, with one sync of the disk; return whether it was stored."""
        messages = [(chunk.subject, chunk.data) for chunk in group]
        stored = await self._jetstream.publish_together(messages, what="put blobs", deadline=_NO_DEADLINE)
        if stored:
            self._note(sum(chunk.last for chunk in group), sum(len(chunk.data) for chunk in group))
        return stored

    def _note(self, blobs: int, size: int) -> None:
        self._moved = asyncio.get_running_loop().time()
        if self._on_progress is not None:
            self._on_progress(blobs, size)

    async def _send(self, chunk: _Chunk) -> None:
        what = f"put blob {chunk.source.digest[:12]}"
        while True:
            msg, _ = await self._jetstream.link.request(chunk.subject, chunk.data, what=what, deadline=_NO_DEADLINE)
            answer = json.loads(msg.data)
            if "error" not in answer:
                break
            if is_second_of_subject(answer["error"]):
                self._refused.append(_Refused(chunk.source, chunk.number, chunk.digest))
                break
            error = refusal(answer["error"], what)
            if not isinstance(error, StoreUnavailable):
                raise error
            await asyncio.sleep(_PAUSE)
        self._note(int(chunk.last), len(chunk.data))

    async def _mend(self) -> None:
        """Compare the chunks that were there already with ours, and replace those that differ."""
        getter = Batches(self._jetstream, self._patience)
        for start in range(0, len(self._refused), _MEND_AT_ONCE):
            batch = self._refused[start : start + _MEND_AT_ONCE]
            stored = await getter.parts([chunk_subject(item.source.digest, item.number) for item in batch])
            for item in batch:
                part = stored.get(chunk_subject(item.source.digest, item.number))
                if part is not None and digest_of(part.data) == item.digest:
                    continue
                if part is not None:
                    what = f"replace corrupt blob {item.source.digest[:12]}"
                    await self._jetstream.erase(BLOBS, part.sequence, what=what, deadline=self._patience)
                await self._send_again(item)

    async def _send_again(self, item: _Refused) -> None:
        data = await asyncio.to_thread(_read_chunk, item.source, item.number)
        check_digest(data, item.digest)
        what = f"put blob {item.source.digest[:12]}"
        subject = chunk_subject(item.source.digest, item.number)
        msg, _ = await self._jetstream.link.request(subject, data, what=what, deadline=self._patience)
        answer = json.loads(msg.data)
        if "error" in answer and not is_second_of_subject(answer["error"]):
            raise refusal(answer["error"], what)


def _read_small(sources: list[BlobSource]) -> list[_Chunk]:
    found = []
    for source in sources:
        data = _read_chunk(source, 0)
        if len(data) != source.size:
            raise _changed(source)
        try:
            check_digest(data, source.digest)
        except CorruptionError as error:
            raise _changed(source) from error
        found.append(_Chunk(source, 0, data, source.digest))
    return found


def _large_chunks(source: BlobSource) -> Iterator[_Chunk]:
    whole = hashlib.sha256()
    last = chunks(source.size) - 1
    for number in range(last + 1):
        data = _read_chunk(source, number)
        whole.update(data)
        if number == last and (whole.hexdigest() != source.digest or _longer(source)):
            raise _changed(source)
        yield _Chunk(source, number, data, digest_of(data))


def _read_chunk(source: BlobSource, number: int) -> bytes:
    start = number * CHUNK
    if isinstance(source.data, bytes):
        return source.data[start : start + CHUNK]
    try:
        with source.data.open("rb", buffering=0) as file:
            file.seek(start)
            # One byte more than the blob has, so that a file that has grown shows itself.
            return file.read(CHUNK if source.size > CHUNK else source.size + 1)
    except OSError as error:
        raise DiskError(f"cannot read {source.data}: {error.strerror}", path=str(source.data)) from error


def _longer(source: BlobSource) -> bool:
    return (len(source.data) if isinstance(source.data, bytes) else source.data.stat().st_size) != source.size


def _changed(source: BlobSource) -> CorruptionError:
    name = source.data if isinstance(source.data, Path) else f"the source of blob {source.digest[:12]}"
    msg = f"{name} does not have the digest {source.digest[:12]} any more: it changed while it was pushed"
    return CorruptionError(msg, hint="push again when nothing writes to the folder", digest=source.digest)
