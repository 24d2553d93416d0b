"""What edges see of each other, as plain messages: nothing is stored, one that is lost is followed by the next."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from edgeward.store.layout import OBSERVATIONS
from edgeward.store.link import Link, cancels, heed

_DEADLINE: Final = 1.0


class Observations:
    """The subjects `health.<observer>`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(self, observer: str, data: bytes) -> bool:
        """Send one report if there is a connection; return whether it was handed over. Nobody says that it came."""
        if not self._link.connected:
            return False
        with suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(_DEADLINE):
                session = await self._link.session()
                await session.send(OBSERVATIONS + observer, data)
                return True
        return False

    async def follow(self, take: Callable[[str, bytes], None]) -> None:
        """Call `take` with observer and bytes of every report, one's own too, until cancelled, on each connection."""

        async def receive(msg: Msg) -> None:
            take(msg.subject.removeprefix(OBSERVATIONS), msg.data)

        while True:
            session = await self._link.session()
            with suppress(nats.errors.Error, OSError):
                before = cancels()
                await session.client.subscribe(f"{OBSERVATIONS}*", cb=receive)
                heed(before)
            await session.over()
