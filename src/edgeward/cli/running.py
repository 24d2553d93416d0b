"""Run one coroutine as a command: Ctrl-C and SIGTERM cancel it, it cleans up, and the exit code says so."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class Stopped(BaseException):
    """The command was told to end by a signal, and has cleaned up. number: of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(work: Coroutine[object, object, T]) -> T:
    """Run `work` to its end and return its value.

    SIGINT, SIGTERM and SIGHUP cancel it; once it has cleaned up, Stopped is raised. A second signal while it cleans up
    changes nothing: what it waits for has deadlines.
    """
    return asyncio.run(_cancelled_by_signals(work))


async def end_with(parent: int, work: Coroutine[object, object, T]) -> T:
    """Run `work`, and send ourselves SIGTERM when the process `parent` ends, however it ends (Linux; else never)."""
    try:
        watched = os.pidfd_open(parent)
    except AttributeError:
        return await work
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGTERM)
        return await work
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(watched)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(watched, ended)
    try:
        return await work
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def _cancelled_by_signals(work: Coroutine[object, object, T]) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Stopped(received[0]) from None
        raise
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
