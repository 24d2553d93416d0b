"""One connection to the state server that is made again for ever, and requests over it.

nats-py's own reconnecting is off: it would send again what was written while the connection was down, long after the
caller gave up, and it closes for good on some errors of the server. Here a connection that is lost is simply lost: what
was under way on it fails at once, and a new one is made.
"""

import asyncio
import itertools
import json
import logging
import secrets
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from edgeward.errors import InputError, StoreError, StoreFull, StoreUnavailable
from edgeward.store.errors import FULL_HINT, UNREACHABLE_HINT, plain, unreachable, wall
from edgeward.store.layout import SERVER

log = logging.getLogger(__name__)

DEADLINE: Final = 5.0
"""Seconds that one operation may take when its caller does not say."""

_CONNECT_DEADLINE: Final = 5.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_PING_EVERY: Final = 5
_PING_EVERY_BULK: Final = 30
"""Seconds. Behind batches of blobs on a slow line a pong comes late; transfers watch their own progress."""

_PINGS_UNANSWERED: Final = 2
_EXPLAIN_DEADLINE: Final = 0.5
_NO_RESPONDERS: Final = "503"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where the state server is. url: nats://host:port or tls://host:port, without credentials.

    token: the fleet's secret, never shown. ca: certificates to trust for tls://, or None for the system's.
    Raises InputError for another form of URL.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def __post_init__(self) -> None:
        """Hold the form of the URL."""
        parts = urlsplit(self.url)
        try:
            valid = parts.scheme in {"nats", "tls"} and bool(parts.hostname) and (parts.port or 0) > 0
        except ValueError:
            valid = False
        if not valid or parts.username is not None:
            msg = f"{self.url!r} is not the address of a state store: it has the form nats://host:port"
            raise InputError(msg)


class Lost(Exception):
    """The connection went away while something was under way on it."""


Reply = Callable[[Msg | None], None]
"""Called with each message of a reply subject, and once with None when the connection is lost."""


class Session:
    """One connection while it lasts. `lost` is set when it is gone."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lost = asyncio.Event()
        self._prefix = f"_INBOX.{secrets.token_hex(11)}."
        self._tokens = itertools.count(1)
        self._replies: dict[str, Reply] = {}

    async def begin(self) -> None:
        """Subscribe to the one subject that all replies come to."""
        before = cancels()
        await self.client.subscribe(f"{self._prefix}*", cb=self._receive)
        heed(before)

    async def send(
        self, subject: str, payload: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send without waiting for an answer. Raises what nats-py raises."""
        before = cancels()
        await self.client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        heed(before)

    async def _receive(self, msg: Msg) -> None:
        reply = self._replies.get(msg.subject)
        if reply is not None:
            reply(msg)

    def expect(self, reply: Reply) -> str:
        """Return a new subject whose messages go to `reply`, until `forget`."""
        subject = f"{self._prefix}{next(self._tokens)}"
        self._replies[subject] = reply
        if self.lost.is_set():
            reply(None)
        return subject

    def forget(self, subject: str) -> None:
        """Stop listening to a subject that `expect` returned."""
        self._replies.pop(subject, None)

    async def over(self) -> None:
        """Return when the connection is gone.

        nats-py says so by a callback, but not when its own closing fails half-way; its reading task ends in any case.
        """
        lost = asyncio.create_task(self.lost.wait())
        reading = self.client._reading_task  # noqa: SLF001 (see above: there is no other sure sign)
        try:
            await asyncio.wait({lost, reading} if reading else {lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            if reading is not None and reading.done() and not reading.cancelled():
                reading.exception()

    def end(self) -> None:
        """Tell everybody who waits that nothing more will come."""
        self.lost.set()
        for reply in list(self._replies.values()):
            reply(None)
        self._replies.clear()

    async def request(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> Msg:
        """Send and return the one answer. Raises Lost, or nats-py's NoRespondersError. The caller sets the deadline."""
        future: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        def reply(msg: Msg | None) -> None:
            if future.done():
                return
            if msg is None:
                future.set_exception(Lost())
            else:
                future.set_result(msg)

        inbox = self.expect(reply)
        try:
            await self.send(subject, payload, reply=inbox, headers=headers)
            msg = await future
        finally:
            self.forget(inbox)
            if future.done() and not future.cancelled():
                future.exception()
        if is_no_responders(msg):
            raise nats.errors.NoRespondersError
        return msg


def is_no_responders(msg: Msg) -> bool:
    """Whether an answer says that nobody listens to the subject (ADR-4 status 503)."""
    return not msg.data and (msg.headers or {}).get("Status") == _NO_RESPONDERS


class Link:
    """A connection that is made again for ever while `run` runs."""

    def __init__(self, address: StoreAddress, *, name: str, bulk: bool = False) -> None:
        self.address = address
        self.name = name
        self._ping_every = _PING_EVERY_BULK if bulk else _PING_EVERY
        self.generation = 0
        """How often a connection has been made."""
        self.problem = "not connected yet"
        """Why there is no answer, in words; without meaning while there are answers."""
        self._session: Session | None = None
        self._up = asyncio.Condition()

    @property
    def connected(self) -> bool:
        """Whether there is a connection just now, as far as is known."""
        return self._session is not None and not self._session.lost.is_set()

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            heed()
            session = await self._connect()
            if session is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            try:
                async with self._up:
                    self._session = session
                    self.generation += 1
                    self.problem = "it takes requests but does not answer them"
                    self._up.notify_all()
                log.debug("%s: connected to %s", self.name, self.address.url)
                await session.over()
                self.problem = "the connection was lost"
                log.info("%s: lost the connection to %s", self.name, self.address.url)
            finally:
                self._session = None
                session.end()
                await _close(session.client)

    async def _connect(self) -> Session | None:
        client = Client()
        session = Session(client)
        last: list[Exception] = []

        async def on_error(error: Exception) -> None:
            last.append(error)
            del last[:-1]

        async def on_closed() -> None:
            session.end()

        try:
            async with asyncio.timeout(_CONNECT_DEADLINE):
                await client.connect(
                    self.address.url,
                    name=self.name,
                    token=self.address.token,
                    tls=self._tls(),
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(_CONNECT_DEADLINE),
                    ping_interval=self._ping_every,
                    max_outstanding_pings=_PINGS_UNANSWERED,
                    flush_timeout=DEADLINE,
                    error_cb=on_error,
                    closed_cb=on_closed,
                )
                heed()
                await session.begin()
        except (nats.errors.Error, OSError, TimeoutError, Lost) as error:
            cause = last[-1] if isinstance(error, nats.errors.NoServersError) and last else error
            self.problem = "too slow" if isinstance(error, TimeoutError) else plain(cause)
            await _close(client)
            return None
        except BaseException:
            await _close(client)
            raise
        return session

    def _tls(self) -> ssl.SSLContext | None:
        if not self.address.url.startswith("tls:"):
            return None
        return ssl.create_default_context(cafile=str(self.address.ca) if self.address.ca else None)

    async def session(self) -> Session:
        """Return the connection, waiting for one. The caller sets the deadline."""
        async with self._up:
            while self._session is None or self._session.lost.is_set():
                await self._up.wait()
            return self._session

    async def wait_connected(self, deadline: float) -> None:
        """Return when there is a connection. Raises StoreUnavailable after `deadline` seconds."""
        try:
            async with asyncio.timeout(deadline):
                await self.session()
        except TimeoutError as error:
            raise unreachable(self.address.url, "connect", self.problem) from error

    def drop(self) -> None:
        """Give the present connection up and make another: for one on which nothing has moved for too long."""
        if self._session is not None:
            self._session.end()

    async def explain(self, what: str) -> StoreError:
        """Return the exception for an operation that was not answered in its time: StoreFull or StoreUnavailable.

        A server that cannot write does not answer; its supervisor knows why, if there is one.
        """
        url = self.address.url
        session = self._session
        if session is not None and not session.lost.is_set():
            with suppress(nats.errors.Error, OSError, TimeoutError, Lost, ValueError):
                async with asyncio.timeout(_EXPLAIN_DEADLINE):
                    msg = await session.request(SERVER, b"")
                answer = json.loads(msg.data)
                if answer.get("problem"):
                    sentence = f"cannot {what}: {answer['problem']}"
                    if answer.get("full"):
                        return StoreFull(sentence, hint=FULL_HINT, url=url)
                    return StoreUnavailable(sentence, hint=UNREACHABLE_HINT, url=url)
        return unreachable(url, what, self.problem)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
    ) -> tuple[Msg, int]:
        """Send a request that is safe to send twice, again after each loss, and return its answer and the sends.

        what: the operation for messages. Raises StoreUnavailable when `deadline` seconds are over.
        """
        sends = 0
        try:
            async with asyncio.timeout(deadline):
                while True:
                    session = await self.session()
                    sends += 1
                    with suppress(Lost, nats.errors.ConnectionClosedError):
                        try:
                            return await session.request(subject, payload, headers), sends
                        except nats.errors.NoRespondersError:
                            # A server that has just started takes connections before JetStream answers.
                            self.problem = "JetStream does not answer there"
                    await asyncio.sleep(_FIRST_PAUSE)
        except TimeoutError as error:
            raise await self.explain(what) from error
        except (nats.errors.Error, OSError) as error:
            with wall(self.address.url, what):
                raise
            raise AssertionError from error


def cancels() -> int:
    """Return how often the current task has been cancelled: more than never in a `finally` that cleans up."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def heed(before: int = 0) -> None:
    """Raise the cancellation that nats-py has swallowed since `cancels` was `before` (its flush and close do that)."""
    if cancels() > before:
        raise asyncio.CancelledError


async def _close(client: Client) -> None:
    """Close without caring how: there is nobody left to tell."""
    with suppress(Exception):
        async with asyncio.timeout(1.0):
            await client.close()
