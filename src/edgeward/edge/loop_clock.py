"""A clock that stands still while this process does not run, and deadlines by it.

The agent's event loop is held up at times, by its own work, by a machine that is short of CPU, by SIGSTOP. What an edge
did not answer meanwhile is no fault of the edge: a second in which nobody listened does not count.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_TICK: Final = 0.05
_MOST: Final = 0.1
"""Seconds that pass at most between two ticks: what is beyond them is lag."""
_STALL: Final = 3.0
"""Seconds of lag at once after which what was known before is no longer believed: an edge may have died in them."""


class LoopClock:
    """Seconds that the event loop has been alive. It goes only while `run` runs. source: a monotonic clock."""

    def __init__(self, source: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._ticked = source()
        self._alive = 0.0
        self.lag = 0.0
        """Seconds that did not count, all together."""
        self.stalled: Callable[[], None] = lambda: None
        """Called when the loop goes on after a stall."""

    def now(self) -> float:
        """Return the time; it never goes back."""
        return self._alive + min(self._source() - self._ticked, _MOST)

    def tick(self) -> None:
        """Note that the loop is alive."""
        now = self._source()
        passed = now - self._ticked
        self._alive += min(passed, _MOST)
        self.lag += max(0.0, passed - _MOST)
        self._ticked = now
        if passed > _STALL:
            self.stalled()

    async def run(self) -> None:
        """Keep the clock going until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(_TICK)

    async def within(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what `work` returns, if it does so within `seconds` by this clock. Raises TimeoutError."""
        task = asyncio.ensure_future(work)
        end = self.now() + seconds
        try:
            while not task.done() and (left := end - self.now()) > 0:
                await asyncio.wait({task}, timeout=left)
            if not task.done():
                # A loop that was held up runs timers before those who wait for what has come in meanwhile.
                await asyncio.wait({task}, timeout=_TICK)
            if task.done():
                return task.result()
            raise TimeoutError
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
