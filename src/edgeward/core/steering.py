"""Which edges a client network prefers: built once from all that is known, read for every question.

The first of these that knows anything of a network decides: the operator's own networks, round trips measured for it,
geography, the default order. Health is not in here: it changes by the second and is laid over the order when a question
is answered (`answer.choose`), so that failover never waits for a table.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate

from edgeward.core.answer import MARGIN
from edgeward.core.geography import Place, Ways, milliseconds
from edgeward.core.orders import Family, Match, Order, Ranked, Source, SteeredEdge, near_tenths
from edgeward.core.spans import NOTHING, Cover, Span, Steps, combine
from edgeward.core.steering_table import (
    KINDS,
    NONE,
    SECTIONS,
    UNKNOWN_TENTHS,
    Head,
    SteeringTable,
    counted_tenths,
)
from edgeward.errors import InputError

__all__ = [
    "Match",
    "Network",
    "Order",
    "Ranked",
    "Source",
    "Span",
    "SteeredEdge",
    "SteeringTable",
    "build",
    "default_order",
]

Network = IPv4Network | IPv6Network | Span

_OPERATOR, _MEASURED, _GEOGRAPHY, _DEFAULT = range(len(KINDS))

# An edge without a round trip comes after every round trip, also one with a weight of 1.
_LAST = 1 << 40
_TIE = 0xFFFF


def default_order(edges: Iterable[SteeredEdge], wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of all edges: those that are wanted first, then by weight (heaviest first), then by name."""
    ahead = {name: number for number, name in enumerate(wanted)}
    ordered = sorted(edges, key=lambda edge: (ahead.get(edge.name, len(ahead)), -edge.weight, edge.name))
    return tuple(edge.name for edge in ordered)


def build(
    edges: Iterable[SteeredEdge],
    *,
    operator: Iterable[tuple[Network, Sequence[str]]] = (),
    measured: Iterable[tuple[Network, Mapping[str, float]]] = (),
    geography: Iterable[tuple[Network, Place, str]] = (),
    default: Sequence[str] = (),
    margin: float = MARGIN,
) -> SteeringTable:
    """Build the table. It does not depend on the order of what is given.

    operator: networks and the edges that the operator wants for them, best first; the other edges follow as they would
    without this. measured: round trips in milliseconds from edges to networks; an edge without one is placed among them
    by geography. geography: networks, where they are, and what that place is called. In each of these the narrowest
    network around an address counts. default: edges to begin the default order with. Names of edges that are not in
    `edges` are left out: an edge may leave the fleet before its measurements do.

    Raises InputError for no edges, two of one name, networks that overlap in part or are given twice, IPv6 networks
    longer than /64, and round trips that are no numbers from 0.
    """
    known = tuple(sorted(edges, key=lambda edge: edge.name))
    names = [edge.name for edge in known]
    if not known or len(set(names)) < len(names):
        raise InputError("a steering table needs edges, each with a name of its own")
    wanted = [(Span.of(network), str(network), _known(listed, names)) for network, listed in operator]
    wanted = [each for each in wanted if each[2]]
    return _Builder(Head(known, default_order(known, default), margin)).table(wanted, measured, geography)


def _known(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the edges that there are, each once."""
    return tuple(dict.fromkeys(names.index(name) for name in wanted if name in names))


class _Layer:
    """Networks from one source. what: which, for messages."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.four = Cover(4)
        self.six = Cover(6)

    def add(self, network: Network, value: int) -> None:
        span = Span.of(network)
        (self.four if span.family == 4 else self.six).add(span, value)


class _Builder:
    """Sweeps once over all addresses of each family, in ascending order; numbers are given as things are met."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.numbers = {edge.name: number for number, edge in enumerate(head.edges)}
        self.by_tie = [self.numbers[name] for name in head.default]
        self.ties = [head.default.index(edge.name) for edge in head.edges]
        self.reach = near_tenths(head.margin)
        self.ways = [None if edge.place is None else Ways(edge.place) for edge in head.edges]
        self.cells = {name: array(code) for name, code in SECTIONS.items()}
        self.listed: list[tuple[str, tuple[int, ...]]] = []
        self.round_trips: list[Mapping[str, float]] = []
        self.places: list[tuple[str, Place]] = []
        self.labels: dict[tuple[str, Place | None], int] = {}
        self.modelled: dict[int, tuple[list[int], list[int]]] = {}
        self.decisions: dict[bytes, int] = {}
        self.known: dict[tuple[int, int, int], tuple[int, int]] = {}

    def table(
        self,
        operator: Iterable[tuple[Span, str, tuple[int, ...]]],
        measured: Iterable[tuple[Network, Mapping[str, float]]],
        geography: Iterable[tuple[Network, Place, str]],
    ) -> SteeringTable:
        """Return the table of what was learned."""
        layers = [_Layer("the operator's networks"), _Layer("measured networks"), _Layer("networks with a place")]
        for number, (span, text, listed) in enumerate(operator):
            layers[0].add(span, number)
            self.listed.append((text, listed))
        for number, (network, round_trips) in enumerate(measured):
            layers[1].add(network, number)
            self.round_trips.append(round_trips)
        numbers: dict[tuple[str, Place], int] = {}
        for network, place, label in geography:
            layers[2].add(network, numbers.setdefault((label, place), len(numbers)))
        self.places = list(numbers)
        self._sweep(4, [layer.four.flatten(layer.what) for layer in layers])
        self._sweep(6, [layer.six.flatten(layer.what) for layer in layers])
        return SteeringTable(self.head, {name: memoryview(cells) for name, cells in self.cells.items()})

    def _sweep(self, family: Family, layers: list[Steps]) -> None:
        cells = self.cells
        last_reason = last_decision = NOTHING
        for start, (operator, measured, place) in combine(layers):
            reason, decision = self._decide((operator, measured, place))
            if reason != last_reason:
                cells[f"reason_starts_{family}"].append(start)
                cells[f"reasons_{family}"].append(reason)
            if decision != last_decision:
                cells[f"decision_starts_{family}"].append(start)
                cells[f"decisions_{family}"].append(decision)
            last_reason, last_decision = reason, decision

    def _decide(self, known: tuple[int, int, int]) -> tuple[int, int]:
        """Return the numbers of the reason and of the decision for what each layer knows of a range."""
        decided = self.known.get(known)
        if decided is None:
            decided = self._rank(known)
            # Nearly every measurement is of one range alone: not worth remembering.
            if known[1] == NOTHING:
                self.known[known] = decided
        return decided

    def _rank(self, known: tuple[int, int, int]) -> tuple[int, int]:
        operator, measured, place = known
        text, listed = self.listed[operator] if operator != NOTHING else ("", ())
        keys, tenths = self._of_place(place)
        kind_of: dict[int, int] = dict.fromkeys(listed, _OPERATOR)
        if measured != NOTHING:
            keys, tenths = keys.copy(), tenths.copy()
            for name, value in self.round_trips[measured].items():
                edge = self.numbers.get(name)
                if edge is not None:
                    tenths[edge] = _tenths(value, name)
                    keys[edge] = self._key(edge, tenths[edge])
                    kind_of.setdefault(edge, _MEASURED)
        ranked = [self.by_tie[key & _TIE] for key in sorted(keys)]
        if listed:
            ranked = [*listed, *(edge for edge in ranked if edge not in listed)]
        kinds = [kind_of.get(edge, _DEFAULT if tenths[edge] == UNKNOWN_TENTHS else _GEOGRAPHY) for edge in ranked]
        trips = [
            UNKNOWN_TENTHS if kind == _OPERATOR else tenths[edge] for edge, kind in zip(ranked, kinds, strict=True)
        ]
        return self._store(
            ranked,
            kinds,
            trips,
            self._label(text, None) if listed else NONE,
            NONE if place == NOTHING else self._label(*self.places[place]),
        )

    def _store(
        self, ranked: list[int], kinds: list[int], trips: list[int], operator: int, place: int
    ) -> tuple[int, int]:
        cells = self.cells
        reason = len(cells["places"])
        cells["edges"].extend(ranked)
        cells["kinds"].extend(kinds)
        cells["tenths"].extend(trips)
        cells["operators"].append(operator)
        cells["places"].append(place)
        decision = self._decision(ranked, trips)
        if decision not in self.decisions:
            self.decisions[decision] = len(self.decisions)
            cells["representatives"].append(reason)
        return reason, self.decisions[decision]

    def _decision(self, ranked: list[int], trips: list[int]) -> bytes:
        """Return what tells a decision from others: a digest of the edges in order and of which are near which others.

        In a sequence by round trips alone, those near an edge stand beside each other; with weights they need not.
        """
        known = sorted((trip, place) for place, trip in enumerate(trips) if trip != UNKNOWN_TENTHS)
        ascending = [trip for trip, _ in known]
        # The first so many of these as a set of bits, so that a range of them is the difference of two.
        firsts = list(accumulate((1 << place for _, place in known), initial=0))
        beside = [0] * len(ranked)
        for trip, place in known:
            low, high = bisect_left(ascending, trip - self.reach), bisect_right(ascending, trip + self.reach)
            beside[place] = (firsts[high] ^ firsts[low]) >> place + 1
        wide = len(ranked) + 7 >> 3
        parts = (array("H", ranked).tobytes(), *(near.to_bytes(wide, "little") for near in beside))
        return blake2b(b"".join(parts), digest_size=16).digest()

    def _of_place(self, place: int) -> tuple[list[int], list[int]]:
        """Return sort keys and tenths of milliseconds of all edges, by their numbers, from geography alone."""
        found = self.modelled.get(place)
        if found is None:
            where = None if place == NOTHING else self.places[place][1]
            tenths = [
                UNKNOWN_TENTHS if where is None or ways is None else _tenths(milliseconds(ways.km(where)), edge.name)
                for edge, ways in zip(self.head.edges, self.ways, strict=True)
            ]
            found = [self._key(edge, tenth) for edge, tenth in enumerate(tenths)], tenths
            self.modelled[place] = found
        return found

    def _key(self, edge: int, tenths: int) -> int:
        """Return what sorts an edge: its counted round trip; between equal ones its place in the default order."""
        counted = _LAST if tenths == UNKNOWN_TENTHS else counted_tenths(tenths, self.head.edges[edge].weight)
        return counted << 16 | self.ties[edge]

    def _label(self, text: str, place: Place | None) -> int:
        number = self.labels.get((text, place))
        if number is None:
            number = self.labels[text, place] = len(self.labels)
            cells = self.cells
            cells["latitudes"].append(round(place.latitude * 1e6) if place else 0)
            cells["longitudes"].append(round(place.longitude * 1e6) if place else 0)
            cells["labels"].extend(text.encode())
            cells["label_ends"].append(len(cells["labels"]))
        return number


def _tenths(value: float, edge: str) -> int:
    """Return a round trip in tenths of a millisecond, at most 6,553.4 ms. Raises InputError for what is none."""
    if not 0 <= value < math.inf:
        msg = f"a round trip of {value!r} ms to edge {edge} is no number from 0"
        raise InputError(msg)
    return min(round(value * 10), UNKNOWN_TENTHS - 1)
