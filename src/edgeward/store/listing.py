"""Which blobs the store holds: asked by digest for a few, read from the list of subjects for many."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edgeward.core.digest import Digest
from edgeward.errors import StoreUnavailable
from edgeward.store.errors import first_of
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BLOBS, chunk_subject, chunks
from edgeward.store.replay import Interrupted, open_replay

_FEW: Final = 500
"""Up to so many digests are asked for one by one in any case: about 15,000 a second, whatever else is stored."""

_LISTED_FOR_ONE: Final = 20
"""In the time in which one digest is asked for, so many subjects are listed."""

_AT_ONCE: Final = 64
_SUBJECT: Final = re.compile(r"blob\.([0-9a-f]{64})\.[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """age: seconds since its newest chunk was stored, by the server's clock alone. size: bytes of its chunks."""

    age: float
    size: int


async def present(jetstream: JetStream, sizes: Mapping[Digest, int], patience: float) -> frozenset[Digest]:
    """Return those of the digests of which every chunk is stored. Raises StoreUnavailable."""
    if len(sizes) <= _FEW or len(sizes) * _LISTED_FOR_ONE < await _count(jetstream, patience):
        subjects = await _subjects_of(jetstream, list(sizes), patience)
    else:
        subjects = await _all_subjects(jetstream, patience)
    return frozenset(
        digest
        for digest, size in sizes.items()
        if all(chunk_subject(digest, number) in subjects for number in range(chunks(size)))
    )


async def _subjects_of(jetstream: JetStream, digests: Sequence[Digest], patience: float) -> set[str]:
    found: set[str] = set()
    queue = iter(digests)

    async def ask() -> None:
        for digest in queue:
            found.update(await _page(jetstream, f"blob.{digest}.*", 0, patience))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(digests))):
                group.create_task(ask())
    except ExceptionGroup as error:
        raise first_of(error) from None
    return found


async def _count(jetstream: JetStream, patience: float) -> int:
    answer = await jetstream.info(BLOBS, what="ask how many blobs are stored", deadline=patience)
    return int(answer["state"].get("num_subjects", 0))


async def _all_subjects(jetstream: JetStream, patience: float) -> set[str]:
    found: set[str] = set()
    offset = 0
    while True:
        page = await _page(jetstream, "blob.>", offset, patience)
        if not page:
            return found
        found.update(page)
        offset += len(page)


async def _page(jetstream: JetStream, subjects: str, offset: int, patience: float) -> list[str]:
    # The server gives up to 100,000 subjects at a time.
    answer = await jetstream.info(
        BLOBS, what="ask which blobs are stored", deadline=patience, subjects_filter=subjects, offset=offset
    )
    return list(answer["state"].get("subjects") or ())


async def list_blobs(jetstream: JetStream, patience: float) -> Mapping[Digest, StoredBlob]:
    """Return every blob of which a chunk is stored. Raises StoreUnavailable."""
    what = "list the blobs"
    for _ in range(3):
        try:
            return await _read_all(jetstream, what, patience)
        except Interrupted:
            continue
    raise StoreUnavailable(f"cannot {what}: the connection was lost three times", url=jetstream.link.address.url)


async def _read_all(jetstream: JetStream, what: str, patience: float) -> Mapping[Digest, StoredBlob]:
    state = (await jetstream.info(BLOBS, what=what, deadline=patience))["state"]
    goal = int(state["last_seq"]) if state["messages"] else 0
    newest: dict[Digest, int] = {}
    sizes: dict[Digest, int] = {}
    options = {"deliver_policy": "all", "headers_only": True}
    async with open_replay(jetstream, BLOBS, what=what, deadline=patience, **options) as replay:
        while goal:
            delivery = await replay.next(1.0)
            if delivery is None:
                ahead = await jetstream.next_message(BLOBS, "blob.>", replay.last_sequence + 1, what=what)
                if ahead is None or ahead.sequence > goal:
                    break
                continue
            match = _SUBJECT.match(delivery.subject)
            if match:
                digest = Digest(match[1])
                newest[digest] = max(delivery.time, newest.get(digest, 0))
                sizes[digest] = sizes.get(digest, 0) + delivery.size
            if delivery.sequence >= goal:
                break
    now = await server_time(jetstream, patience)
    return {
        digest: StoredBlob(age=max(0.0, (now - moment) / 1e9), size=sizes[digest]) for digest, moment in newest.items()
    }


async def server_time(jetstream: JetStream, patience: float) -> int:
    """Return the server's clock in nanoseconds since the epoch: the clock that stamped the messages."""
    answer = await jetstream.info(BLOBS, what="ask the state store for its time", deadline=patience)
    return nanoseconds(answer["ts"])


def nanoseconds(stamp: str) -> int:
    """Return an RFC 3339 time in UTC, with up to nine digits of fraction, as nanoseconds since the epoch."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)
