"""What edges see of each other, as plain messages: nothing is stored, one that is lost is followed by the next."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from edgeward.store.layout import OBSERVATIONS
from edgeward.store.link import Link, cancels, heed

_LOG = logging.getLogger(__name__)
_DEADLINE: Final = 1.0


class Observations:
    """The subjects `health.<observer>`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._is_refused = False

    async def send(self, observer: str, data: bytes) -> bool:
        """Send one report if there is a connection; return whether it was handed over. Nobody says that it came."""
        if not self._link.connected:
            return False
        with suppress(nats.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(_DEADLINE):
                session = await self._link.session()
                try:
                    await session.send(OBSERVATIONS + observer, data)
                except nats.errors.MaxPayloadError:
                    self._refuse(len(data), session.client.max_payload)
                    return False
                self._is_refused = False
                return True
        return False

    def _refuse(self, size: int, most: int) -> None:
        """Say once that reports are larger than the store takes: it will say so every second."""
        if not self._is_refused:
            _LOG.warning(
                "a health report of %d bytes cannot be sent, the state server takes %d:"
                " other edges do not hear what this one observes until it is smaller",
                size, most,
            )  # fmt: skip
        self._is_refused = True

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
