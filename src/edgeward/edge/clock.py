"""The clocks of an agent: the machine's without its jumps, and one that only counts the time it has lived through."""

import time
from collections.abc import Callable

TOLERANCE = 5.0
"""Seconds by which the wall clock may differ and be followed at once: that is how clocks are kept right."""

PATIENCE = 3600.0
"""Seconds that a jump must stand until it is followed."""


def elapsed() -> float:
    """Seconds since the machine started, time asleep included where the system counts it (Linux)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Seconds since the epoch, for pauses, ages and stamps of one process.

    Goes with the time that passes. Where the wall clock jumps (a wrong time server, an operator's slip) nothing that
    waits for a time is due at once or stands still, and no asset is thrown away for its age; a jump that has stood for
    an hour is believed. wall: seconds since the epoch; elapsed: seconds that never jump.
    """

    def __init__(self, *, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._offset = wall() - elapsed()
        self._jumped_at: float | None = None

    def __call__(self) -> int:
        """Return the whole seconds since the epoch."""
        passed = self._elapsed()
        offset = self._wall() - passed
        if abs(offset - self._offset) > TOLERANCE:
            if self._jumped_at is None:
                self._jumped_at = passed
            if passed - self._jumped_at < PATIENCE:
                return int(self._offset + passed)
        self._offset, self._jumped_at = offset, None
        return int(self._offset + passed)


class LivedTime:
    """Seconds since the epoch as an edge counts them: from the clock at its first start, then only while an agent runs.

    How long an asset has been kept is measured by it. A clock that is wrong, at a start too, ages nothing; the time in
    which no agent ran does not count. began: what it was when the process before wrote it down, 0: it begins now.
    """

    def __init__(self, began: int, *, clock: Callable[[], int], timer: Callable[[], float] = elapsed) -> None:
        self._offset = (began or clock()) - timer()
        self._timer = timer

    def __call__(self) -> int:
        """Return the whole seconds."""
        return int(self._offset + self._timer())
