"""Events: what happened, for people. Kept for 30 days; nothing decides by them."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.errors import SchemaError, StoreError
from edgeward.store.jetstream import MESSAGE_ID, JetStream
from edgeward.store.layout import EVENTS, event_subject
from edgeward.store.link import DEADLINE
from edgeward.store.replay import Interrupted, open_replay

SCHEMA = (1, 0)

_READ: Final = "read the events"


@dataclass(frozen=True, slots=True)
class Event:
    """kind: lower-case letters and dashes ("push", "purge", "sweep"). at: seconds since the epoch, the writer's clock.

    by: who (an edge or a deployer). text: one sentence. facts: JSON values without floats, by name.
    """

    kind: str
    at: int
    by: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes. Raises SchemaError for facts that JSON cannot say."""
        value = {"kind": self.kind, "at": self.at, "by": self.by, "text": self.text, "facts": self.facts}
        return canonical_bytes({"schema": list(SCHEMA), **value})


def parse_event(data: bytes) -> Event:
    """Parse canonical bytes. Raises SchemaError."""
    value = parse_object(data, kind="event", major=SCHEMA[0])
    try:
        return Event(str(value["kind"]), int(value["at"]), str(value["by"]), str(value["text"]), _facts(value))
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(f"a stored event is not of the expected shape: {error!r}") from error


def _facts(value: Json) -> dict[str, Any]:
    facts = value.get("facts", {})
    if not isinstance(facts, dict):
        raise TypeError("facts")
    return facts


class Events:
    """The stream of events."""

    def __init__(self, jetstream: JetStream) -> None:
        self._jetstream = jetstream

    async def record(self, event: Event, *, ident: str | None = None, deadline: float = DEADLINE) -> None:
        """Store an event. ident: what makes it the same event however often and by whomever it is recorded, within
        layout.EVENT_WINDOW seconds. Raises StoreUnavailable, StoreFull.
        """
        headers = {MESSAGE_ID: ident or secrets.token_hex(11)}
        what = f"record an event of kind {event.kind!r}"
        await self._jetstream.publish(
            event_subject(event.kind), event.to_bytes(), headers=headers, what=what, deadline=deadline
        )

    async def recent(self, count: int = 100, *, deadline: float = DEADLINE) -> list[Event]:
        """Return the newest `count` events, oldest first; events of an unknown schema are left out.

        Raises StoreUnavailable.
        """
        state = await self._state(deadline)
        first = max(1, int(state["last_seq"]) - count + 1)
        return await self._read(state, deadline, deliver_policy="by_start_sequence", opt_start_seq=first)

    async def since(self, at: int, *, deadline: float = DEADLINE) -> list[Event]:
        """Return the events that were stored at or after a time (seconds since the epoch, the server's clock).

        Oldest first, without those of an unknown schema. Raises StoreUnavailable.
        """
        state = await self._state(deadline)
        start = datetime.fromtimestamp(at, UTC)
        if datetime.fromisoformat(state["last_ts"]) < start:
            return []
        return await self._read(state, deadline, deliver_policy="by_start_time", opt_start_time=start.isoformat())

    async def _state(self, deadline: float) -> dict[str, Any]:
        state: dict[str, Any] = (await self._jetstream.info(EVENTS, what=_READ, deadline=deadline))["state"]
        return state

    async def _read(self, state: Mapping[str, Any], deadline: float, **options: object) -> list[Event]:
        """Return the events from where `options` say up to the last one of `state`."""
        if not state["messages"]:
            return []
        goal = int(state["last_seq"])
        found: list[Event] = []
        try:
            async with (
                asyncio.timeout(deadline),
                open_replay(self._jetstream, EVENTS, what=_READ, deadline=deadline, **options) as replay,
            ):
                while (delivery := await replay.next(deadline)) is not None:
                    with suppress(SchemaError):
                        found.append(parse_event(delivery.data))
                    if delivery.sequence >= goal or not delivery.pending:
                        break
        except (Interrupted, TimeoutError) as error:
            raise StoreError(f"cannot {_READ}: interrupted") from error
        return found
