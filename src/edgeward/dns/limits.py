"""Response rate limiting: what keeps this server from being used to flood others (as BIND and Knot have it).

A prefix of clients has a budget of answers a second for each kind of answer, saved up for a few seconds. Past it most
answers are left out, and every second one is truncated (slip): who is there asks again over TCP, whose handshake shows
that the address is real. Clients with a server cookie of ours, and TCP, are not limited.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

_MOST: Final = 100_000
"""Prefixes that are remembered; for a new one goes the one that was new, or over its limit, longest ago."""


class Verdict(Enum):
    """What becomes of an answer."""

    SEND = "send"
    SLIP = "slip"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rates:
    """per_second: answers for a prefix, 0: no limit. burst: seconds that are saved up. slip: every how many-th answer
    past the limit is truncated in place of dropped, 0: none. prefix4, prefix6: bits of a prefix.
    """

    per_second: int = 200
    burst: int = 5
    slip: int = 2
    prefix4: int = 24
    prefix6: int = 56


def client_of(address: bytes) -> bytes:
    """Return what one client has for certain, of an address of 4 or 16 bytes: all of an IPv4 address, the /56 of an
    IPv6 one, since who has that has every address in it.
    """
    return address if len(address) == 4 else address[: Rates().prefix6 // 8]


class RateLimiter:
    """Budgets by prefix and kind of answer."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._bytes4, self._bytes6 = rates.prefix4 // 8, rates.prefix6 // 8
        self._budgets: OrderedDict[tuple[bytes, int], list[float]] = OrderedDict()

    def judge(self, address: bytes, kind: int, now: float) -> Verdict:
        """Say what becomes of an answer. address: 4 or 16 bytes. kind: rcode. now: monotonic seconds."""
        rates = self._rates
        if not rates.per_second:
            return Verdict.SEND
        key = (address[: self._bytes4] if len(address) == 4 else address[: self._bytes6], kind)
        full = float(rates.per_second * rates.burst)
        budget = self._budgets.get(key)
        if budget is None:
            if len(self._budgets) >= _MOST:
                self._budgets.popitem(last=False)
            budget = self._budgets[key] = [full, now, 0]
        left = min(full, budget[0] + (now - budget[1]) * rates.per_second)
        budget[1] = now
        if left >= 1:
            budget[0] = left - 1
            return Verdict.SEND
        budget[0] = left
        self._budgets.move_to_end(key)
        budget[2] += 1
        return Verdict.SLIP if rates.slip and budget[2] % rates.slip == 0 else Verdict.DROP
