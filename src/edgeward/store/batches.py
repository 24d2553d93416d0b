"""Batched direct get (ADR-31): the newest messages of up to 1,000 subjects in one request."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import nats.errors

from edgeward.errors import StoreError, StoreUnavailable
from edgeward.store.errors import wall
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BLOBS
from edgeward.store.link import Lost, Session, is_no_responders

if TYPE_CHECKING:
    from nats.aio.msg import Msg

MOST_SUBJECTS: Final = 1_000
MOST_BYTES: Final = 2 * 1024 * 1024
"""Bytes that one request may bring, so that a slow reader is not cut off by the server."""

_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Part:
    """One message: its sequence and bytes."""

    sequence: int
    data: bytes


class Batches:
    """Gets messages of the stream of blobs by subject."""

    def __init__(self, jetstream: JetStream, patience: float) -> None:
        self._jetstream = jetstream
        self._patience = patience

    async def parts(self, subjects: Sequence[str]) -> dict[str, Part]:
        """Return what is stored under the subjects, all in memory; those without a message are left out.

        Ask for at most MOST_SUBJECTS. Raises StoreUnavailable after `patience` seconds without progress.
        """
        link = self._jetstream.link
        wanted = dict.fromkeys(subjects)
        found: dict[str, Part] = {}
        loop = asyncio.get_running_loop()
        moved = loop.time()
        while wanted:
            complete = False
            try:
                async with asyncio.timeout_at(moved + self._patience):
                    session = await link.session()
                with wall(link.address.url, "get blobs"):
                    complete = await self._batch(session, list(wanted), found)
            except (Lost, StoreUnavailable, TimeoutError) as error:
                if not found.keys() & wanted.keys() and loop.time() >= moved + self._patience:
                    failure = await link.explain("get blobs")
                    link.drop()
                    raise failure from error
                await asyncio.sleep(_PAUSE)
            before = len(wanted)
            for subject in found:
                wanted.pop(subject, None)
            if complete:
                break
            if len(wanted) < before:
                moved = loop.time()
        return found

    async def _batch(self, session: Session, subjects: Sequence[str], found: dict[str, Part]) -> bool:
        """Ask once; return whether the answer was complete. Raises Lost, StoreUnavailable if nothing comes any more."""
        queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        inbox = session.expect(queue.put_nowait)
        request = {"multi_last": subjects, "batch": len(subjects), "max_bytes": MOST_BYTES}
        try:
            await session.send(f"$JS.API.DIRECT.GET.{BLOBS}", json.dumps(request).encode(), reply=inbox)
            while True:
                async with asyncio.timeout(self._patience):
                    msg = await queue.get()
                if msg is None:
                    raise Lost
                headers: Mapping[str, Any] = msg.headers or {}
                if "Nats-Subject" in headers:
                    found[headers["Nats-Subject"]] = Part(int(headers["Nats-Sequence"]), msg.data)
                    continue
                if is_no_responders(msg):
                    raise nats.errors.NoRespondersError
                status = headers.get("Status")
                if status == "204":
                    return int(headers.get("Nats-Num-Pending", 0)) == 0
                if status == "404":
                    return True
                text = headers.get("Description", "no description")
                raise StoreError(f"cannot get blobs: the state store answered {status} {text}")
        finally:
            session.forget(inbox)
