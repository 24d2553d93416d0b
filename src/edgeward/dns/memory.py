"""Answers to usual questions, remembered as bytes: the next one like it costs a few look-ups and a copy.

A usual question has no EDNS, or one OPT record with a client subnet, a cookie, both or neither. It is answered with the
general path's answer to an earlier one (`Responder`), cut where the parts begin that differ from one question to the
next: cookie and client subnet, which are its end. So nothing is decided here, and what is not known by its bytes takes
the general path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from edgeward.dns.bodies import Match
from edgeward.dns.cookies import FUTURE, RENEWED, answer_cookie, made_at
from edgeward.dns.wire import COOKIE, OPT, SUBNET, Query

MOST_ANSWERS: Final = 65_536
MOST_NETWORKS: Final = 262_144
"""Client networks, at some 100 bytes each."""
MOST_COOKIES: Final = 16_384
MOST_LAYOUTS: Final = 1024
_NAME: Final = 12
"""Where the name of the question begins."""
_OPT_SIZE: Final = 11
_OPTION_HEAD: Final = 4
_COOKIES: Final = (8, 24)
"""Bytes of a client's cookie alone, and with the server's."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where options are in what follows a usual question. size: bytes of it all. second: head of the second option.

    subnet, cookie: from and to, None for no such option.
    """

    size: int
    subnet: tuple[int, int] | None = None
    cookie: tuple[int, int] | None = None
    second_at: int = 0
    second: bytes = b""

    @property
    def varying(self) -> int:
        """Bytes at the end of the answer that are not the same for all questions of this layout."""
        return (24 if self.cookie else 0) + (self.subnet[1] - self.subnet[0] if self.subnet else 0)


_Places = tuple[int, int, int, int, int, int, int, bytes]
"""Number of a layout, its size, from and to of the subnet and of the cookie, place and bytes of the second head."""


class Memory:
    """What is remembered. secret: of the cookies. clock: seconds since the epoch.

    Each part is forgotten as a whole when it is full: to keep the latest instead would cost every question.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock
        self._layouts: dict[bytes, _Places] = {}
        self._answers: dict[tuple[bytes, int, int], tuple[bytes, bool, int]] = {}
        self._subnets: dict[bytes, Match] = {}
        self._sources: dict[bytes, Match] = {}
        self._matches: dict[Match, Match] = {}
        self._cookies: dict[bytes, int] = {}

    def forget(self, *, networks: bool) -> None:
        """Forget all answers. networks: which order is whose as well."""
        self._layouts.clear()
        self._answers.clear()
        if networks:
            for each in (self._subnets, self._sources, self._matches):
                each.clear()

    def find(self, data: bytes, source: bytes) -> tuple[bytes, int, bool] | None:
        """Return the answer to a message over UDP, its code, and whether it came with a cookie of ours.

        None: it is none of those that are known. source: 4 or 16 bytes.
        """
        end = data.find(0, _NAME) + 5
        tail = data[end:]
        places = self._layouts.get(tail[:15])
        if places is None:
            return None
        layout, size, subnet_at, subnet_end, cookie_at, cookie_end, second_at, second = places
        if len(tail) != size or tail[second_at : second_at + 4] != second:
            return None
        subnet = tail[subnet_at:subnet_end]
        match = self._subnets.get(subnet) if subnet else self._sources.get(source)
        if match is None:
            return None
        kept = self._answers.get((data[2:end], layout, match[0]))
        if kept is None:
            return None
        start, steered, rcode = kept
        if steered and subnet:
            subnet = subnet[:7] + match[1].to_bytes() + subnet[8:]
        if not cookie_at:
            return data[:2] + start + subnet, rcode, False
        cookie, known = self._cookie(tail[cookie_at:cookie_end], source)
        return data[:2] + start + cookie + subnet, rcode, known

    def _cookie(self, cookie: bytes, source: bytes) -> tuple[bytes, bool]:
        """Do what `answer_cookie` does; that a cookie is good is remembered."""
        key, now = cookie + source, int(self._clock())
        made = self._cookies.get(key)
        if made is not None and -FUTURE <= now - made < RENEWED:
            return cookie, True
        answered, known = answer_cookie(cookie, source, secret=self._secret, now=now)
        if answered == cookie:
            _bounded(self._cookies, MOST_COOKIES)[key] = made_at(cookie)
        return answered, known

    def learn(self, data: bytes, query: Query, source: bytes, match: Match, answer: bytes, *, steered: bool) -> None:
        """Remember a whole answer over UDP, unless its question is no usual one.

        match: of the question's client network. steered: whether the answer depends on it.
        """
        end = _NAME + len(query.question)
        tail = data[end:]
        layout = usual(tail)
        if layout is None or data.find(0, _NAME) + 5 != end:
            return
        match = self._matches.setdefault(match, match)
        if layout.subnet is None:
            _bounded(self._sources, MOST_NETWORKS)[source] = match
        else:
            _bounded(self._subnets, MOST_NETWORKS)[tail[slice(*layout.subnet)]] = match
        places = self._layouts.get(tail[:15])
        if places is None:
            if len(self._layouts) >= MOST_LAYOUTS:
                self.forget(networks=False)
            places = self._layouts[tail[:15]] = (
                len(self._layouts), layout.size, *(layout.subnet or (0, 0)), *(layout.cookie or (0, 0)),
                layout.second_at, layout.second,
            )  # fmt: skip
        start = answer[2 : len(answer) - layout.varying]
        _bounded(self._answers, MOST_ANSWERS)[data[2:end], places[0], match[0]] = start, steered, answer[3] & 15


def usual(tail: bytes) -> Layout | None:
    """Return the layout of what follows a question, None if it is no usual one. The question must be well-formed."""
    if not tail:
        return Layout(0)
    if len(tail) < _OPT_SIZE or tail[0] or int.from_bytes(tail[1:3]) != OPT:
        return None
    if int.from_bytes(tail[9:11]) != len(tail) - _OPT_SIZE:
        return None
    found: dict[int, tuple[int, int]] = {}
    second_at, second, at = len(tail), b"", _OPT_SIZE
    while at < len(tail):
        head = tail[at : at + _OPTION_HEAD]
        code, size = int.from_bytes(head[:2]), int.from_bytes(head[2:])
        end = at + _OPTION_HEAD + size
        if code in found or code not in {SUBNET, COOKIE} or (code == COOKIE and size not in _COOKIES):
            return None
        if code == SUBNET and not tail[at + 6]:
            return None  # a subnet of no bits: the source of the question counts
        if found:
            second_at, second = at, head
        found[code] = (at, end) if code == SUBNET else (at + _OPTION_HEAD, end)
        at = end
    return Layout(len(tail), found.get(SUBNET), found.get(COOKIE), second_at, second)


def _bounded(kept: dict[_Key, _Value], most: int) -> dict[_Key, _Value]:
    """Return the dictionary, emptied where it is full."""
    if len(kept) >= most:
        kept.clear()
    return kept
