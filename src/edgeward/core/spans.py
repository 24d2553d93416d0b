"""Ranges of addresses: flattened so that each address has one value, and the widest network around an address in one.

An IPv4 address is a number of 32 bits. Of an IPv6 address only the upper 64 bits count: nobody gets less than a /64.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import repeat

from edgeward.core.orders import Family
from edgeward.errors import InputError, Problem

BITS: dict[Family, int] = {4: 32, 6: 64}
"""Bits of an address that count, by family."""

NOTHING = -1
"""Value of the addresses that no span covers."""

_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """All addresses of one family from `first` to `last`, both included (for IPv6: their upper 64 bits)."""

    family: Family
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last < 1 << BITS[self.family]:
            msg = f"{self.first}-{self.last} is no range of IPv{self.family} addresses"
            raise ValueError(msg)

    @classmethod
    def of(cls, network: "IPv4Network | IPv6Network | Span") -> "Span":
        """Return the span of a network. Raises InputError for an IPv6 network longer than /64."""
        if isinstance(network, Span):
            return network
        first = int(network.network_address)
        if isinstance(network, IPv4Network):
            return cls(4, first, first + (1 << 32 - network.prefixlen) - 1)
        if network.prefixlen > 64:
            msg = f"{network} is narrower than /64, and the steering table knows IPv6 addresses by their first 64 bits"
            raise InputError(msg, hint="name the /64 that it lies in")
        first >>= 64
        return cls(6, first, first + (1 << 64 - network.prefixlen) - 1)

    def __str__(self) -> str:
        shift = 128 - BITS[6] if self.family == 6 else 0
        return f"{_text(self.first << shift, self.family)}-{_text((self.last + 1 << shift) - 1, self.family)}"


def _text(number: int, family: Family) -> str:
    return str(ip_address(number.to_bytes(4 if family == 4 else 16)))


class Steps:
    """A value for every address of a family: `values[i]` from `starts[i]` up to the next start. The first is 0."""

    __slots__ = ("starts", "values")

    def __init__(self, starts: Sequence[int], values: Sequence[int]) -> None:
        self.starts = starts
        self.values = values


class Cover:
    """Spans of one family, each with a value, that lie within each other or apart. In arrays: there may be millions."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._firsts, self._lasts, self._values = array("Q"), array("Q"), array("q")
        self._sorted = True

    def add(self, span: Span, value: int) -> None:
        """Take in one more, of this family."""
        if self._firsts and (span.first, -span.last) < (self._firsts[-1], -self._lasts[-1]):
            self._sorted = False
        self._firsts.append(span.first)
        self._lasts.append(span.last)
        self._values.append(value)

    def _ascending(self) -> Iterable[int]:
        """Return the indices by first address, wider spans before those within them."""
        numbers = range(len(self._firsts))
        if self._sorted:
            return numbers
        return sorted(numbers, key=lambda each: (self._firsts[each], -self._lasts[each]))

    def flatten(self, what: str) -> Steps:
        """Give each address the value of the narrowest span around it, NOTHING where there is none.

        Raises InputError for two that overlap in part and for one that is given twice, since no order of input may
        decide. what: their source, for the message.
        """
        top = (1 << BITS[self._family]) - 1
        starts, values = array("Q", [0]), array("q", [NOTHING])
        around = [(top, NOTHING)]
        problems: list[Problem] = []
        before = (NOTHING, NOTHING)

        def begin(start: int, value: int) -> None:
            if starts[-1] == start:
                values[-1] = value
            else:
                starts.append(start)
                values.append(value)

        for number in self._ascending():
            first, last = self._firsts[number], self._lasts[number]
            while around[-1][0] < first:
                ended, _ = around.pop()
                begin(ended + 1, around[-1][1])
            if (first, last) == before:
                problems.append(Problem("", 0, f"{Span(self._family, first, last)} is given twice"))
            elif last > around[-1][0]:
                problems.append(Problem("", 0, f"{Span(self._family, first, last)} overlaps another one in part"))
            else:
                begin(first, self._values[number])
                around.append((last, self._values[number]))
            before = first, last
        while len(around) > 1:
            ended, _ = around.pop()
            if ended < top:
                begin(ended + 1, around[-1][1])
        if problems:
            msg = f"{what}: {len(problems)} cannot be told apart, the first: {problems[0].message}"
            raise InputError(msg, problems[:_MOST_PROBLEMS], hint="name each network once")
        return Steps(starts, values)


def combine(layers: Sequence[Steps]) -> Iterator[tuple[int, list[int]]]:
    """Yield each start of any layer in ascending order, with the value that each layer has from there on.

    The list is the same one each time, changed in place.
    """
    changes = merge(*(zip(layer.starts, repeat(number), layer.values) for number, layer in enumerate(layers)))
    values = [NOTHING] * len(layers)
    pending = 0
    for start, number, value in changes:
        if start != pending:
            yield pending, values
            pending = start
        values[number] = value
    yield pending, values


def find(starts: Sequence[int], key: int) -> int:
    """Return the index of the step that holds at `key`."""
    return bisect_right(starts, key) - 1


def widest_prefix(starts: Sequence[int], index: int, key: int, bits: int) -> int:
    """Return the length of the widest network around `key` that lies in the step with this index.

    It is one bit more than `key` has in common with the nearest address outside, below or above.
    """
    first = starts[index]
    below = (key ^ first - 1).bit_length() if first else bits + 1
    above = (key ^ starts[index + 1]).bit_length() if index + 1 < len(starts) else bits + 1
    return bits + 1 - min(below, above)
