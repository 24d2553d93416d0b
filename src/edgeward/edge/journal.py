"""What happened on this edge, for people: a line in the log, and an event in the store if that can be reached."""

import logging
from collections.abc import Callable, Mapping

from edgeward.errors import EdgewardError
from edgeward.store.connection import Store
from edgeward.store.events import Event

_LOG = logging.getLogger("edgeward.edge")
_DEADLINE = 2.0


class Journal:
    """Writes events of kind `edge` in the name of one edge."""

    def __init__(self, store: Store, *, edge: str, clock: Callable[[], int]) -> None:
        self._store = store
        self._edge = edge
        self._clock = clock

    async def record(self, text: str, facts: Mapping[str, object]) -> None:
        """Write one event down; one that cannot be stored is in the log alone. Raises nothing."""
        _LOG.warning("%s", text)
        if not self._store.connected:
            return
        event = Event("edge", self._clock(), self._edge, text, dict(facts))
        try:
            await self._store.events.record(event, deadline=_DEADLINE)
        except EdgewardError as error:
            _LOG.debug("an event could not be stored: %s", error.message)
