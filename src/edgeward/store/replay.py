"""A stream read in order from the beginning and then as it grows: the ordered consumer of ADR-17, in our own hands.

The consumer lives in the server's memory. Whatever may have been lost on the way (a gap in the numbers, a heartbeat
that tells of more than came, no heartbeat, the connection) ends the replay with `Interrupted`; its owner begins anew.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg

from edgeward.errors import StoreError, StoreUnavailable
from edgeward.store.errors import wall
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import SECOND
from edgeward.store.link import DEADLINE, Lost, Session, cancels, heed

HEARTBEAT: Final = 2.0
"""Seconds between signs of life of the server on a quiet stream; three missed ones end the replay."""

_MISSED: Final = 3.2
_MARKER: Final = "Nats-Marker-Reason"
_OPERATION: Final = "KV-Operation"


class Interrupted(Exception):
    """Something may be missing: begin again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of the stream. time: nanoseconds since the epoch, the server's clock. pending: how many it has after.

    removed: it is not a value but the mark of a deletion or an expiry. size: bytes of the message (also where only the
    headers were asked for).
    """

    subject: str
    sequence: int
    time: int
    pending: int
    removed: bool
    size: int
    data: bytes


class Replay:
    """What `open_replay` opens: `next` returns one delivery after the other."""

    def __init__(self, session: Session, heartbeat: float) -> None:
        self._session = session
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._silence = heartbeat * _MISSED
        self._received = 0
        self.last_sequence = 0
        """Sequence in the stream of the last delivery."""

    def receive(self, msg: Msg | None) -> None:
        """Take a message from the connection, or None when that is lost."""
        self._queue.put_nowait(msg)

    @property
    def waiting(self) -> bool:
        """Whether a delivery is there already."""
        return not self._queue.empty()

    async def next(self, patience: float | None = None) -> Delivery | None:
        """Return the next delivery, or None after `patience` seconds without one. Raises Interrupted."""
        loop = asyncio.get_running_loop()
        until = None if patience is None else loop.time() + patience
        while True:
            wait = self._silence if until is None else min(self._silence, until - loop.time())
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    msg = await self._queue.get()
            except TimeoutError:
                if until is not None and loop.time() >= until:
                    return None
                raise Interrupted from None
            if msg is None:
                raise Interrupted
            status = (msg.headers or {}).get("Status")
            if status is None:
                return self._delivery(msg)
            last = (msg.headers or {}).get("Nats-Last-Consumer")
            if status != "100" or (last is not None and int(last) != self._received):
                raise Interrupted

    def _delivery(self, msg: Msg) -> Delivery:
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>, or with a
        # domain and an account hash before the stream and a token after (ADR-15).
        parts = msg.reply.split(".")
        sequence, number, time, pending = parts[5:9] if len(parts) == 9 else parts[7:11]
        if int(number) != self._received + 1:
            raise Interrupted
        self._received += 1
        self.last_sequence = int(sequence)
        headers: Mapping[str, str] = msg.headers or {}
        return Delivery(
            subject=msg.subject,
            sequence=int(sequence),
            time=int(time),
            pending=int(pending),
            removed=_OPERATION in headers or _MARKER in headers,
            size=int(headers.get("Nats-Msg-Size", len(msg.data))),
            data=msg.data,
        )


@asynccontextmanager
async def open_replay(
    jetstream: JetStream, stream: str, *, what: str, deadline: float = DEADLINE, **config: Any
) -> AsyncIterator[Replay]:
    """Begin a replay; config: fields of the consumer (deliver_policy, filter_subjects, headers_only).

    Raises StoreUnavailable when the store does not answer within the deadline, StoreError for a missing stream.
    """
    link = jetstream.link
    await link.wait_connected(deadline)
    try:
        async with asyncio.timeout(deadline):
            session = await link.session()
            replay = Replay(session, HEARTBEAT)
            inbox = f"_INBOX.{secrets.token_hex(11)}"

            async def receive(msg: Msg) -> None:
                replay.receive(msg)

            lost = session.expect(lambda msg: replay.receive(None) if msg is None else None)
            try:
                with wall(link.address.url, what):
                    before = cancels()
                    subscription = await session.client.subscribe(inbox, cb=receive)
                    heed(before)
            except BaseException:
                session.forget(lost)
                raise
    except TimeoutError as error:
        msg = f"cannot {what}: the state store at {link.address.url} is too slow"
        raise StoreUnavailable(msg, url=link.address.url) from error
    name = secrets.token_hex(8)
    request = {
        "stream_name": stream,
        "config": {
            "name": name,
            "deliver_subject": inbox,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "replay_policy": "instant",
            "idle_heartbeat": int(HEARTBEAT * SECOND),
            "inactive_threshold": 60 * SECOND,
            **config,
        },
        "action": "",
    }
    try:
        await jetstream.call(f"CONSUMER.CREATE.{stream}.{name}", request, what=what, deadline=deadline)
        yield replay
    finally:
        session.forget(lost)
        if not session.lost.is_set():
            with suppress(nats.errors.Error, OSError, TimeoutError, Lost, StoreError):
                async with asyncio.timeout(1.0):
                    await subscription.unsubscribe()
                    # No answer is waited for: a consumer without a listener goes by itself after a minute.
                    await session.send(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", json.dumps({}).encode())
