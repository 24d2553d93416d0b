"""The clock that stands still while the process does not run."""

import asyncio
import time

import pytest

from edgeward.edge.loop_clock import LoopClock


def test_time_in_which_the_loop_was_held_up_does_not_count() -> None:
    """Between two ticks it goes on by a tenth of a second at most; the rest is lag. It never goes back."""
    source = [100.0]
    clock = LoopClock(lambda: source[0])
    for _ in range(10):
        source[0] += 0.05
        clock.tick()
    assert clock.now() == pytest.approx(0.5)
    source[0] += 30
    assert clock.now() == pytest.approx(0.6)
    clock.tick()
    assert clock.now() == pytest.approx(0.6)
    assert clock.lag == pytest.approx(29.9)


async def test_a_deadline_is_not_missed_by_a_loop_that_was_held_up() -> None:
    """What came in time is read, though the loop was busy for far longer than the deadline."""
    clock = LoopClock()
    running = asyncio.create_task(clock.run())
    read, write = asyncio.StreamReader(), asyncio.Event()

    async def answer() -> bytes:
        write.set()
        return await read.readexactly(2)

    async def block() -> None:
        await write.wait()
        time.sleep(0.5)  # noqa: ASYNC251 (the fault itself)
        read.feed_data(b"ok")

    blocking = asyncio.create_task(block())
    assert await clock.within(answer(), 0.2) == b"ok"
    await blocking
    running.cancel()


async def test_a_deadline_that_is_missed_ends_the_work() -> None:
    """TimeoutError, and the work has been cancelled by then."""
    clock = LoopClock()
    running = asyncio.create_task(clock.run())
    ended: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    with pytest.raises(TimeoutError):
        await clock.within(work(), 0.05)
    assert ended == ["ended"]
    begun.clear()
    waiting = asyncio.create_task(clock.within(work(), 60))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["ended", "ended"]
    running.cancel()
