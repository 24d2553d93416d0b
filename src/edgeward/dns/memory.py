"""Answers to usual questions, remembered as bytes: the next one like it costs a few look-ups and a copy.

A usual question has no EDNS, or one OPT record with a client subnet, a cookie, both or neither. It is answered with the
general path's answer to an earlier one (`Responder`), cut where the parts begin that differ from one question to the
next: cookie and client subnet, which are its end. So nothing is decided here, and what is not known by its bytes takes
the general path.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from edgeward.dns.bodies import Match
from edgeward.dns.cookies import FUTURE, RENEWED, answer_cookie, made_at
from edgeward.dns.wire import COOKIE, OPT, SUBNET, parse_subnet

MOST_BYTES: Final = 96 * 1024 * 1024
"""Bytes of questions and answers, with what Python needs around them. By bytes, since an answer may have ten times as
many as another.
"""
_FORM_BYTES: Final = 600
_ANSWER_BYTES: Final = 100
"""Bytes around a question and around each of its answers, measured: objects, and their places in tables."""
MOST_NETWORKS: Final = 262_144
"""Client networks, at some 100 bytes each."""
MOST_COOKIES: Final = 16_384
_NAME: Final = 12
"""Where the name of the question begins."""
_OPT_SIZE: Final = 11
_HEAD: Final = 4
"""Bytes of an option's code and length."""
_COOKIES: Final = (8, 24)
"""Bytes of a client's cookie alone, and with the server's."""
_ANSWERED: Final = 24


class Layout(NamedTuple):
    """Where the options of a usual question are. size: bytes of it all; the others: from and to in them, 0 for none.

    second: the head of the second option, which is at `second_at`.
    """

    size: int
    subnet_at: int = 0
    subnet_end: int = 0
    cookie_at: int = 0
    cookie_end: int = 0
    second_at: int = 0
    second: bytes = b""


class Form(NamedTuple):
    """Questions that differ in id, case of the name, cookie and client subnet alone. starts: their answers without id,
    cookie and subnet, the name in lower case, by order of edges; for answers that do not depend on it, by 0.
    """

    layout: Layout
    rcode: int
    steered: bool
    starts: dict[int, bytes]


class Memory:
    """What is remembered. secret: of the cookies. clock: seconds since the epoch. match: says which order of edges a
    network has (its first address, 4 or 16 bytes).

    Each part is forgotten as a whole when it is full: to keep the latest instead would cost every question.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float], match: Callable[[bytes], Match]) -> None:
        self._secret = secret
        self._clock = clock
        self._match = match
        self._forms: dict[bytes, Form] = {}
        self._bytes = 0
        # By option and by address: kept apart, since an address may have the bytes of an option.
        self._subnets: dict[bytes, Match] = {}
        self._sources: dict[bytes, Match] = {}
        self._matches: dict[Match, Match] = {}
        self._cookies: dict[bytes, int] = {}

    def forget(self, match: Callable[[bytes], Match] | None = None) -> None:
        """Forget all answers. match: another one, if orders are others now as well."""
        self._forms.clear()
        self._bytes = 0
        if match is not None:
            self._match = match
            for each in (self._subnets, self._sources, self._matches):
                each.clear()

    def find(self, data: bytes, source: bytes) -> tuple[bytes, int, bool] | None:
        """Return the answer to a message over UDP, its code, and whether it came with a cookie of ours.

        None: it is none of those that are known. source: 4 or 16 bytes.
        """
        end = data.find(0, _NAME) + 5
        form = self._forms.get(data[2 : end + 15])
        if form is None:
            return self._find_mixed(data, source, end - 4)
        (size, subnet_at, subnet_end, cookie_at, cookie_end, second_at, second), rcode, steered, starts = form
        if len(data) != size or (second and data[second_at : second_at + 4] != second):
            return None
        subnet = b""
        order = 0
        if subnet_at:
            subnet = data[subnet_at:subnet_end]
            match = self._subnets.get(subnet) or self._subnet(subnet)
            if match is None:
                return None
            if steered:
                order = match[0]
                subnet = subnet[:7] + match[1].to_bytes(1, "big") + subnet[8:]
        elif steered:
            order = (self._sources.get(source) or self._network(self._sources, source, source))[0]
        start = starts.get(order)
        if start is None:
            return None
        if not cookie_at:
            return data[:2] + start + subnet, rcode, False
        cookie, known = self._cookie(data[cookie_at:cookie_end], source)
        return data[:2] + start + cookie + subnet, rcode, known

    def _find_mixed(self, data: bytes, source: bytes, end: int) -> tuple[bytes, int, bool] | None:
        """Return what `find` does for a question whose name is not all in lower case, with the name as it is asked.

        Resolvers mix cases against forgery (0x20), and there is no end of ways to. end: of the name, its root included.
        """
        name = data[_NAME:end]
        plain = name.lower()
        if plain == name:
            return None
        found = self.find(data[:_NAME] + plain + data[end:], source)
        if found is None:
            return None
        answer, rcode, known = found
        return answer[:_NAME] + name + answer[end:], rcode, known

    def _subnet(self, option: bytes) -> Match | None:
        """Return the match for a client subnet at its first sight; None for one that has none of its own."""
        subnet = parse_subnet(option[_HEAD:])
        if subnet is None or not subnet.source:
            return None
        return self._network(self._subnets, option, subnet.padded)

    def _network(self, kept: dict[bytes, Match], key: bytes, network: bytes) -> Match:
        if len(kept) >= MOST_NETWORKS:
            kept.clear()
        match = self._match(network)
        # One object for all networks with this match: there are many of those.
        match = kept[key] = self._matches.setdefault(match, match)
        return match

    def _cookie(self, cookie: bytes, source: bytes) -> tuple[bytes, bool]:
        """Do what `answer_cookie` does; that a cookie is good is remembered."""
        key, now = cookie + source, self._clock()
        made = self._cookies.get(key)
        if made is not None and -FUTURE <= now - made < RENEWED:
            return cookie, True
        answered, known = answer_cookie(cookie, source, secret=self._secret, now=int(now))
        if answered == cookie:
            if len(self._cookies) >= MOST_COOKIES:
                self._cookies.clear()
            self._cookies[key] = made_at(cookie)
        return answered, known

    def learn(self, data: bytes, end: int, order: int | None, answer: bytes) -> None:
        """Remember a whole answer over UDP, unless its question is no usual one.

        data: the question, which is well-formed. end: where its name, type and class end. order: of edges, which the
        answer depends on; None if it depends on none.
        """
        layout = layout_of(data, end)
        if layout is None or data.find(0, _NAME) + 5 != end:
            return
        varying = layout.subnet_end - layout.subnet_at + (_ANSWERED if layout.cookie_at else 0)
        # In lower case, for `_find_mixed`: only the name, since other bytes may be those of letters as well.
        name = data[_NAME : end - 4].lower()
        key = data[2:_NAME] + name + data[end - 4 : end + 15]
        start = answer[2:_NAME] + name + answer[end - 4 : len(answer) - varying]
        if self._bytes + len(key) + len(start) + _FORM_BYTES + _ANSWER_BYTES > MOST_BYTES:
            self.forget()
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = Form(layout, answer[3] & 15, order is not None, {})
            self._bytes += len(key) + _FORM_BYTES
        before = form.starts.get(order or 0)
        form.starts[order or 0] = start
        self._bytes += len(start) + _ANSWER_BYTES if before is None else len(start) - len(before)


def layout_of(data: bytes, end: int) -> Layout | None:
    """Return the layout of a well-formed question, None if it is no usual one. end: of its name, type and class."""
    size, at = len(data), end + _OPT_SIZE
    if size == end:
        return Layout(size)
    if size < at or int.from_bytes(data[end + 1 : end + 3], "big") != OPT:
        return None
    if int.from_bytes(data[at - 2 : at], "big") != size - at:
        return None  # other records are behind this one
    subnet, cookie, second = (0, 0), (0, 0), (0, b"")
    while at < size:
        code, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + _HEAD], "big")
        if subnet[0] or cookie[0]:
            second = at, data[at : at + _HEAD]
        if code == SUBNET and not subnet[0]:
            subnet = at, at + _HEAD + length
        elif code == COOKIE and not cookie[0] and length in _COOKIES:
            cookie = at + _HEAD, at + _HEAD + length
        else:
            return None
        at += _HEAD + length
    return Layout(size, *subnet, *cookie, *second)
