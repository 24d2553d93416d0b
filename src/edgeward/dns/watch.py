"""Whether the agent is still there: what a worker may say of steered names hangs on it.

An agent that is frozen (SIGSTOP, a machine that swaps, an event loop that hangs) keeps its pipes open and says nothing
of the edges that die meanwhile. So it writes a line every second, and a worker that has heard nothing for a while
answers steered names with SERVFAIL: an answer whose health nobody watches is worse than none.
"""

import asyncio
from collections.abc import Callable
from typing import Final

HERE: Final = b'"here"\n'
"""The agent is there, and has nothing else to say."""
BEAT: Final = 1.0
"""Seconds between two of these lines."""
HEARD_WITHIN: Final = 4.0
"""Seconds without a word of the agent's after which it no longer counts as watching.

An edge that dies is named for up to 5 s; one that dies just as the agent freezes is to be named no longer than that, so
the last answer must come before. Three lines may be late or lost until then: an event loop that is held up for a second
or two, by its own work or for want of CPU, silences nobody.
"""


class Ear(asyncio.StreamReaderProtocol):
    """Reads from the agent, and says when it falls silent and when it speaks again.

    What comes in counts when it comes in: a worker that is busy with a large zone is not yet at the line.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._clock = asyncio.get_running_loop()
        self._heard = self._clock.time()
        self._within = HEARD_WITHIN
        self._changed: Callable[[], None] = lambda: None
        self.hears = True
        """Whether the agent was heard of late. A timer rather than a check of each question sets it."""

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self._heard = self._clock.time()
        if not self.hears:
            self._turn(hears=True)
            self._look()
        super().data_received(data)

    def watch(self, within: float, changed: Callable[[], None]) -> None:
        """Call `changed` whenever `hears` is another from now on. within: seconds."""
        self._within, self._changed = within, changed
        self._look()

    def _look(self) -> None:
        # After a stall of our own asyncio takes what has come in before it looks at timers.
        left = self._heard + self._within - self._clock.time()
        if left > 0:
            self._clock.call_later(left, self._look)
        else:
            self._turn(hears=False)

    def _turn(self, *, hears: bool) -> None:
        self.hears = hears
        self._changed()
