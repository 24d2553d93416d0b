"""Slow work in threads that changes the disk: it is never left running behind a caller who was cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


async def to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a thread and return its value; a caller that is cancelled meanwhile leaves only when it has ended.

    So a lock that is held around this call is held as long as the work lasts. Raises what `work` raises.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        with suppress(Exception):
            task.result()
        raise
