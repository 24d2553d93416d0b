"""The alert webhook: one JSON POST when something becomes wrong with this edge, one when it is over."""

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Literal

from edgeward.edge.conditions import Condition, Conditions

_LOG = logging.getLogger("edgeward.edge")


@dataclass(frozen=True, slots=True)
class Patience:
    """How an alert is sent: seconds. hold: a condition must last that long before it is told (a short one is never).

    deadline: of one POST. first_pause, longest_pause: between tries, doubling. give_up: an alert that could not be
    delivered for that long is dropped, with a line in the log.
    """

    hold: float = 5.0
    deadline: float = 10.0
    first_pause: float = 1.0
    longest_pause: float = 60.0
    give_up: float = 1800.0


class Alerts:
    """Sends what the board says to one URL. The body is described in docs/reference/alerts.md."""

    def __init__(
        self,
        url: str,
        conditions: Conditions,
        *,
        edge: str,
        location: str,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._conditions = conditions
        self._edge = edge
        self._location = location
        self._patience = patience or Patience()
        self._clock = clock
        self._changed = conditions.listen()
        self._told: dict[str, Condition] = {}

    async def run(self) -> None:
        """Send for ever, one alert after the other. Two messages about one condition are never sent for one change."""
        while True:
            wait = await self._send_what_is_due()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()

    async def _send_what_is_due(self) -> float | None:
        """Send every change that has lasted; return the seconds until the next one is due, or None."""
        current = self._conditions.current
        for name in sorted(self._told.keys() - current.keys()):
            await self._deliver(self._told.pop(name), "resolved")
        due: list[float] = []
        for name, condition in sorted(current.items()):
            if name in self._told:
                continue
            left = condition.since + self._patience.hold - self._clock()
            if left > 0:
                due.append(left)
                continue
            self._told[name] = condition
            await self._deliver(condition, "firing")
        return min(due, default=None)

    async def _deliver(self, condition: Condition, state: Literal["firing", "resolved"]) -> None:
        body = {
            "edge": self._edge,
            "location": self._location,
            "condition": condition.name,
            "state": state,
            "message": condition.message,
            "since": condition.since,
            "at": int(self._clock()),
        }
        data = json.dumps(body, ensure_ascii=False).encode()
        pause, spent = self._patience.first_pause, 0.0
        while True:
            refusal = await asyncio.to_thread(self._post, data)
            if refusal is None:
                return
            if spent >= self._patience.give_up:
                _LOG.error("the alert %r could not be delivered and is dropped: %s", condition.message, refusal)
                return
            _LOG.warning("the alert webhook did not take %r: %s; next try in %g s", condition.message, refusal, pause)
            await asyncio.sleep(pause)
            spent += pause
            pause = min(pause * 2, self._patience.longest_pause)

    def _post(self, data: bytes) -> str | None:
        """Return None if the webhook answered 2xx, else why it did not."""
        request = urllib.request.Request(  # noqa: S310 (settings allow http and https alone)
            self._url, data=data, headers={"Content-Type": "application/json", "User-Agent": "edgeward"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self._patience.deadline):  # noqa: S310 (as above)
                return None
        except urllib.error.HTTPError as error:
            with error:
                return f"it answered {error.code}"
        except (OSError, HTTPException) as error:
            return str(error)
