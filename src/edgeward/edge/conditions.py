"""What is wrong with this edge just now: a board of sentences by name, that log, status, metrics and alerts read."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

_LOG = logging.getLogger("edgeward.edge")


@dataclass(frozen=True, slots=True)
class Condition:
    """Something an operator must know. name: of its kind and object ("disk", "release blog"). since: epoch seconds."""

    name: str
    message: str
    since: int


class Conditions:
    """The board. Whoever finds something out sets it, and takes it back when it is over."""

    def __init__(self) -> None:
        self._found: dict[str, Condition] = {}
        self._listeners: list[asyncio.Event] = []

    def listen(self) -> asyncio.Event:
        """Return an event that is set at every change, for one listener, who clears it."""
        event = asyncio.Event()
        self._listeners.append(event)
        return event

    @property
    def current(self) -> Mapping[str, Condition]:
        """What is wrong now, by name."""
        return dict(self._found)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is wrong now, for people, in order of name."""
        return tuple(self._found[name].message for name in sorted(self._found))

    def set(self, name: str, message: str | None, *, now: int) -> None:
        """Say that something is wrong (`message`) or is not, or no longer (None). Changes are logged."""
        before = self._found.get(name)
        if message is None:
            if before is not None:
                del self._found[name]
                _LOG.info("over: %s", before.message)
                self._tell()
            return
        if before is not None and before.message == message:
            return
        self._found[name] = Condition(name, message, before.since if before else now)
        _LOG.warning("%s", message)
        self._tell()

    def set_group(self, group: str, messages: Mapping[str, str], *, now: int) -> None:
        """Make `messages`, by the rest of their name, all that is wrong in one group ("release" -> "release blog")."""
        for name in [name for name in self._found if name.startswith(group + " ")]:
            if name.removeprefix(group + " ") not in messages:
                self.set(name, None, now=now)
        for rest, message in messages.items():
            self.set(f"{group} {rest}", message, now=now)

    def _tell(self) -> None:
        for event in self._listeners:
            event.set()
