"""JetStream's own requests (ADR-1, ADR-2, ADR-31): JSON to `$JS.API.*`, JSON back, errors translated."""

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import nats.errors

from edgeward.errors import StoreError
from edgeward.store.errors import (
    DELETE_FAILED,
    NO_MESSAGE,
    SEQUENCE_NOT_FOUND,
    STREAM_EXISTS,
    STREAM_NOT_FOUND,
    refusal,
)
from edgeward.store.link import DEADLINE, Link, Lost, Session

MESSAGE_ID: Final = "Nats-Msg-Id"
EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"

BATCH: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"

_PAUSE: Final = 0.05
_HEADER: Final = re.compile(r"^([^:\r\n]+):[ \t]*(.*?)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream: its subject, sequence, headers and bytes."""

    subject: str
    sequence: int
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class JetStream:
    """JetStream behind a link. Every method raises StoreError or one of its kinds."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def call(
        self, request: str, payload: Mapping[str, Any] | None = None, *, what: str, deadline: float = DEADLINE
    ) -> dict[str, Any]:
        """Ask `$JS.API.<request>` and return the answer. It may be sent twice, so it must bear that."""
        data = json.dumps(payload).encode() if payload is not None else b""
        msg, _ = await self.link.request(f"$JS.API.{request}", data, what=what, deadline=deadline)
        answer: dict[str, Any] = json.loads(msg.data)
        if "error" in answer:
            raise refusal(answer["error"], what)
        return answer

    async def info(self, stream: str, *, what: str, deadline: float = DEADLINE, **payload: Any) -> dict[str, Any]:
        """Return STREAM.INFO, answered by the leader."""
        return await self.call(f"STREAM.INFO.{stream}", payload, what=what, deadline=deadline)

    async def last_message(self, stream: str, subject: str, *, what: str, deadline: float = DEADLINE) -> Stored | None:
        """Return the newest message of a subject, or None. The leader answers, so it is never stale."""
        return await self._message(stream, {"last_by_subj": subject}, what=what, deadline=deadline)

    async def next_message(
        self, stream: str, subject: str, sequence: int, *, what: str, deadline: float = DEADLINE
    ) -> Stored | None:
        """Return the first message at or after `sequence` whose subject fits (wildcards allowed), or None."""
        return await self._message(stream, {"seq": sequence, "next_by_subj": subject}, what=what, deadline=deadline)

    async def _message(self, stream: str, query: Mapping[str, Any], *, what: str, deadline: float) -> Stored | None:
        try:
            answer = await self.call(f"STREAM.MSG.GET.{stream}", query, what=what, deadline=deadline)
        except StoreError as error:
            if error.facts.get("code") == NO_MESSAGE:
                return None
            raise
        return _stored(answer["message"])

    async def erase(self, stream: str, sequence: int, *, what: str, deadline: float = DEADLINE) -> None:
        """Overwrite one message in the server's files and remove it. One that is gone already is no error."""
        try:
            query = {"seq": sequence, "no_erase": False}
            await self.call(f"STREAM.MSG.DELETE.{stream}", query, what=what, deadline=deadline)
        except StoreError as error:
            if error.facts.get("code") not in {NO_MESSAGE, SEQUENCE_NOT_FOUND, DELETE_FAILED}:
                raise

    async def publish(
        self, subject: str, data: bytes, *, headers: Mapping[str, str], what: str, deadline: float = DEADLINE
    ) -> tuple[int, int]:
        """Store a message and return its sequence and how often it was sent. `headers` must make it safe to repeat."""
        msg, sends = await self.link.request(subject, data, headers=headers, what=what, deadline=deadline)
        answer = json.loads(msg.data)
        if "error" in answer:
            error = refusal(answer["error"], what)
            error.facts["sends"] = sends
            raise error
        return int(answer["seq"]), sends

    async def publish_together(
        self, messages: Sequence[tuple[str, bytes]], *, what: str, deadline: float = DEADLINE
    ) -> bool:
        """Store messages (subject, bytes) atomically (ADR-50), at most 1,000; return whether they were stored.

        False: the server refused, and stored none of them. After a lost connection they are sent again; then False may
        also mean that the first attempt got through. Raises StoreUnavailable.
        """
        try:
            async with asyncio.timeout(deadline):
                while True:
                    with suppress(Lost, nats.errors.ConnectionClosedError, nats.errors.NoRespondersError):
                        return await self._together(await self.link.session(), messages)
                    await asyncio.sleep(_PAUSE)
        except TimeoutError as error:
            raise await self.link.explain(what) from error

    async def _together(self, session: Session, messages: Sequence[tuple[str, bytes]]) -> bool:
        batch = secrets.token_hex(11)
        for number, (subject, data) in enumerate(messages[:-1], start=1):
            await session.send(subject, data, headers={BATCH: batch, BATCH_SEQUENCE: str(number)})
        subject, data = messages[-1]
        headers = {BATCH: batch, BATCH_SEQUENCE: str(len(messages)), BATCH_COMMIT: "1"}
        answer = json.loads((await session.request(subject, data, headers)).data)
        return "error" not in answer and int(answer.get("count", 0)) == len(messages)

    async def ensure_stream(self, config: Mapping[str, Any], *, replicas: int | None) -> None:
        """Make the stream, or bring an existing one to this configuration. replicas None: 1 if new, else as it is."""
        name = config["name"]
        what = f"prepare the stream {name}"
        try:
            current = (await self.info(name, what=what))["config"]
        except StoreError as error:
            if error.facts.get("code") != STREAM_NOT_FOUND:
                raise
            try:
                await self.call(f"STREAM.CREATE.{name}", {**config, "num_replicas": replicas or 1}, what=what)
            except StoreError as lost:
                # Somebody else made it between the question and the answer.
                if lost.facts.get("code") != STREAM_EXISTS:
                    raise
                current = (await self.info(name, what=what))["config"]
            else:
                return
        wanted = {**config, "num_replicas": replicas or current.get("num_replicas", 1)}
        # The server leaves fields out that are zero or false.
        if any((current.get(key) or 0) != (value or 0) for key, value in wanted.items()):
            await self.call(f"STREAM.UPDATE.{name}", {**current, **wanted}, what=what)


def _stored(message: Mapping[str, Any]) -> Stored:
    headers = {}
    if message.get("hdrs"):
        text = base64.b64decode(message["hdrs"]).decode("utf-8", "replace")
        headers = {name.strip(): value for name, value in _HEADER.findall(text)}
    return Stored(
        subject=message["subject"],
        sequence=int(message["seq"]),
        data=base64.b64decode(message.get("data") or ""),
        headers=headers,
    )
