"""Bounded waits on conditions that nothing announces: tests never sleep for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


class NeverCameTrue(AssertionError):
    """The condition did not come true in its time. The message has the last thing seen."""


async def eventually(
    condition: Callable[[], Found | Awaitable[Found]],
    *,
    within: float = 10.0,
    every: float = 0.02,
    what: str = "",
    ignoring: tuple[type[Exception], ...] = (),
) -> Found:
    """Call `condition` until it returns something true, and return that.

    within, every: seconds. ignoring: exceptions that only mean "not yet". An AssertionError inside the condition means
    "not yet" too, so a condition can be a function of plain asserts that returns True. Raises NeverCameTrue.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            result = condition()
            found = await result if inspect.isawaitable(result) else result
            if found:
                return found
            last = found
        except (AssertionError, *ignoring) as error:
            last = error
        if time.monotonic() >= deadline:
            raise NeverCameTrue(_sentence(condition, what, within, last)) from _cause(last)
        await asyncio.sleep(every)


def eventually_sync(
    condition: Callable[[], Found],
    *,
    within: float = 10.0,
    every: float = 0.02,
    what: str = "",
    ignoring: tuple[type[Exception], ...] = (),
) -> Found:
    """`eventually` for tests that run no event loop."""
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            if found := condition():
                return found
            last = found
        except (AssertionError, *ignoring) as error:
            last = error
        if time.monotonic() >= deadline:
            raise NeverCameTrue(_sentence(condition, what, within, last)) from _cause(last)
        time.sleep(every)


def _sentence(condition: Callable[[], object], what: str, within: float, last: object) -> str:
    name = what or getattr(condition, "__name__", "the condition")
    return f"{name} did not come true within {within:g} s; last seen: {last!r}"


def _cause(last: object) -> Exception | None:
    return last if isinstance(last, Exception) else None
