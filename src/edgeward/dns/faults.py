"""What went wrong while questions were answered, in the log: seldom, however often it happens."""

import logging
from typing import Final

_LOG = logging.getLogger("edgeward.dns")
_EVERY: Final = 10.0
"""Seconds between two lines. A fault that one question shows, a flood of it shows as often."""
_SHOWN: Final = 80
"""Bytes of a question that a line has."""


class Faults:
    """Counts faults and logs them."""

    def __init__(self) -> None:
        self.count = 0
        self._told = 0
        self._taken = 0
        self._quiet_until = float("-inf")

    def take(self) -> int:
        """Return how many there were since the last call."""
        found, self._taken = self.count - self._taken, self.count
        return found

    def note(self, error: Exception, data: bytes, *, now: float) -> None:
        """Note that answering the question `data` has raised `error`. now: monotonic seconds."""
        self.count += 1
        if now < self._quiet_until:
            return
        self._quiet_until = now + _EVERY
        _LOG.error(
            "%d questions could not be answered, by a fault of this program or of what it answers from, and had "
            "SERVFAIL; the last was %s: %r",
            self.count - self._told,
            data[:_SHOWN].hex(),
            error,
            exc_info=error,
        )
        self._told = self.count
