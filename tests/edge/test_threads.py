"""Work that changes the disk is never left running behind a caller who was cancelled."""

import asyncio
import threading

import pytest

from edgeward.edge.threads import to_the_end


async def test_a_value_and_an_error_come_through() -> None:
    """What the work returns or raises is what the caller gets."""
    assert await to_the_end(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await to_the_end(lambda: 1 / 0)


async def test_a_cancelled_caller_waits_for_the_thread() -> None:
    """Cancelled, even twice, the caller leaves only when the thread has ended; a lock around it is held so long."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        ended.set()

    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await to_the_end(work)

    task = asyncio.create_task(hold())
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    assert lock.locked()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert not lock.locked()
