"""The steering table as it is read: client network -> edges in order of preference, with the reason for the order.

It lies in flat arrays, so that a file of it is ready as soon as it is mapped into memory, and every process that
answers shares one copy. `docs/formats.md` describes the bytes.

Two layers of ranges, each sorted and without gaps or overlaps. The first tells *decisions* apart: the same edges in the
same sequence, with the same ones near enough to stand beside each other. It alone is read to answer a question. The
second tells *reasons* apart (which country, which measurement), and is read to explain one.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self, overload

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.geography import Place, great_circle_km
from edgeward.core.orders import Family, Match, Order, Ranked, Source, SteeredEdge
from edgeward.core.spans import BITS, find, widest_prefix
from edgeward.errors import InputError, SchemaError

SCHEMA = (2, 0)
MAGIC = b"edgeward-steers\n"
UNKNOWN_TENTHS = 0xFFFF
"""In place of a round trip: none decided the place."""
NONE = 0xFFFFFFFF
"""In place of the number of a label: there is none."""

KINDS: tuple[Source, ...] = ("operator", "measured", "geography", "default")
"""What decided an edge's place; stored as the index."""

SECTIONS: Final[Mapping[str, Literal["B", "H", "I", "Q", "i"]]] = {
    "decision_starts_4": "I",
    "decision_starts_6": "Q",
    "decisions_4": "I",
    "decisions_6": "I",
    "reason_starts_4": "I",
    "reason_starts_6": "Q",
    "reasons_4": "I",
    "reasons_6": "I",
    "representatives": "I",
    "edges": "H",
    "tenths": "H",
    "kinds": "B",
    "operators": "I",
    "places": "I",
    "latitudes": "i",
    "longitudes": "i",
    "label_ends": "I",
    "labels": "B",
}
"""Every section in the order of the file, with the type code of its cells (`array` module). Degrees are in
millionths."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a table says of itself. default: every edge, in the order for networks of which nothing is known.

    margin: milliseconds within which two edges may be named together.
    """

    edges: tuple[SteeredEdge, ...]
    default: tuple[str, ...]
    margin: float

    def to_json(self) -> dict[str, Json]:
        """Return it without floats, as canonical JSON wants."""
        edges = [
            {
                "name": each.name,
                "place": None
                if each.place is None
                else [repr(float(each.place.latitude)), repr(float(each.place.longitude))],
                "addresses": list(each.addresses),
                "weight": each.weight,
            }
            for each in self.edges
        ]
        return {"edges": edges, "default": list(self.default), "margin": repr(self.margin)}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Parse it. Raises what a wrong shape leads to: KeyError, TypeError, ValueError, InputError."""
        edges = tuple(
            SteeredEdge(
                each["name"],
                None if each["place"] is None else Place(*map(float, each["place"])),
                tuple(each["addresses"]),
                each["weight"],
            )
            for each in value["edges"]
        )
        return cls(edges, tuple(value["default"]), float(value["margin"]))


@dataclass(frozen=True, slots=True)
class _Family:
    """The ranges of one family of addresses."""

    CELLS: ClassVar = ("decision_starts", "decisions", "reason_starts", "reasons")

    bits: int
    decision_starts: memoryview
    decisions: memoryview
    reason_starts: memoryview
    reasons: memoryview


_LENGTHS: Final[Mapping[int, Family]] = {4: 4, 16: 6}


class SteeringTable:
    """Immutable. Made by `steering.build` or `from_bytes`; `orders` holds every decision once."""

    __slots__ = ("_by_length", "cells", "edges", "head", "orders")

    def __init__(self, head: Head, cells: Mapping[str, memoryview]) -> None:
        self.head = head
        self.edges = head.edges
        self.cells = cells
        self.orders: Sequence[Order] = _Orders(self, cells["representatives"])
        self._by_length = {
            length: _Family(BITS[family], *(cells[f"{name}_{family}"] for name in _Family.CELLS))
            for length, family in _LENGTHS.items()
        }

    @property
    def margin(self) -> float:
        """Milliseconds within which two edges may be named together; orders are told apart by it."""
        return self.head.margin

    def match(self, address: bytes) -> Match:
        """Return the decision for an address of 4 or 16 bytes, and how wide the network is that shares it.

        Raises ValueError for any other number of bytes. An IPv4 address in an IPv6 one (::ffff:0:0/96) counts as IPv6.
        """
        family = self._family(address)
        key = int.from_bytes(address[:8])
        step = find(family.decision_starts, key)
        return Match(family.decisions[step], widest_prefix(family.decision_starts, step, key, family.bits))

    def explain(self, address: bytes) -> Order:
        """Return the order for an address with that address's own reasons. Raises ValueError as `match` does.

        `orders[match(address).order]` has the same edges in the same sequence, but the reasons (and milliseconds) of
        the first network that has this decision.
        """
        family = self._family(address)
        return self.reason(family.reasons[find(family.reason_starts, int.from_bytes(address[:8]))])

    def _family(self, address: bytes) -> "_Family":
        try:
            return self._by_length[len(address)]
        except KeyError:
            msg = f"an address has 4 or 16 bytes, not {len(address)}"
            raise ValueError(msg) from None

    def reason(self, number: int) -> Order:
        """Return the order with the reasons that are stored under a number."""
        cells, every = self.cells, len(self.edges)
        place, operator = cells["places"][number], cells["operators"][number]
        where = None if place == NONE else (self._label(place), self._place(place))
        network = None if operator == NONE else self._label(operator)
        ranked = []
        for slot in range(number * every, (number + 1) * every):
            edge, kind, tenths = self.edges[cells["edges"][slot]], KINDS[cells["kinds"][slot]], cells["tenths"][slot]
            round_trip = None if tenths == UNKNOWN_TENTHS else tenths / 10
            ranked.append(Ranked(edge.name, round_trip, _because(edge, kind, tenths, network, where)))
        source = KINDS[min(cells["kinds"][number * every : (number + 1) * every])]
        return Order(tuple(ranked), source, _why(source, network, where))

    def _label(self, number: int) -> str:
        ends = self.cells["label_ends"]
        return bytes(self.cells["labels"][ends[number - 1] if number else 0 : ends[number]]).decode()

    def _place(self, number: int) -> Place:
        return Place(self.cells["latitudes"][number] / 1e6, self.cells["longitudes"][number] / 1e6)

    def to_bytes(self) -> bytes:
        """Return the bytes of a file that `from_bytes` reads. Equal tables have equal bytes."""
        sections = {name: len(self.cells[name]) for name in SECTIONS}
        head = canonical_bytes({"schema": list(SCHEMA), **self.head.to_json(), "sections": sections})
        parts: list[bytes | memoryview] = [MAGIC, len(head).to_bytes(8, "little"), head, bytes(-len(head) % 8)]
        for cells in map(self.cells.__getitem__, SECTIONS):
            parts += [cells, bytes(-cells.nbytes % 8)]
        return b"".join([*parts, _digest(parts)])

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Self:
        """Read what `to_bytes` wrote, without a copy: the table keeps the buffer, a mapped file for one.

        Raises SchemaError for anything else: no such file, another major version, cut short, another byte order, a bit
        that is not as it was written.
        """
        view = memoryview(data).cast("B")
        if bytes(view[:16]) != MAGIC or sys.byteorder != "little":
            raise SchemaError("this is no steering table for this machine", kind="steering table")
        size = int.from_bytes(view[16:24], "little")
        head = parse_object(bytes(view[24 : 24 + size]), kind="steering table", major=SCHEMA[0])
        return cls._checked(view, head, 24 + size + -size % 8)

    @classmethod
    def _checked(cls, view: memoryview, head: Mapping[str, Json], at: int) -> Self:
        """Return the table after its head is read. at: where the sections begin."""
        if _digest([view[:-_DIGEST_SIZE]]) != view[-_DIGEST_SIZE:]:
            msg = "a stored steering table is damaged: its bytes do not have the digest that it ends with"
            raise SchemaError(msg, kind="steering table", hint="an edge builds its table anew by itself")
        view, cells = view[:-_DIGEST_SIZE], {}
        try:
            for name, code in SECTIONS.items():
                length = int(head["sections"][name]) * _SIZES[code]
                cells[name] = view[at : at + length].cast(code)
                at += length + -length % 8
            if at != len(view):
                msg = f"it has {len(view)} bytes, and its head speaks of {at}"
                raise ValueError(msg)
            table = cls(Head.from_json(head), cells)
            if len(cells["edges"]) != len(cells["places"]) * len(table.edges):
                raise ValueError("it does not rank every edge for every network")
            return table
        except (KeyError, TypeError, ValueError, InputError) as error:
            msg = f"a stored steering table is not of the expected shape: {error}"
            raise SchemaError(msg, kind="steering table") from error


_DIGEST_SIZE: Final = 32
_SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8, "i": 4}


def _digest(parts: Iterable[bytes | memoryview]) -> bytes:
    """Return the SHA-256 of all that is before it. The head is in it: an address with one digit changed is an address.

    To check it is nearly all that loading takes: 19 ms for 1 million prefixes in 50,000 cities (38 MB), 43 ms for 1
    million measured ones (87 MB), on a core with SHA extensions; other threads run meanwhile. BLAKE2b takes half more.
    """
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def counted_tenths(tenths: int, weight: int) -> int:
    """Return a round trip in tenths of a millisecond with the weight of its edge counted in."""
    return tenths * 100 // weight


class _Orders(Sequence[Order]):
    """Every decision of a table, made from its arrays when it is asked for."""

    __slots__ = ("_representatives", "_table")

    def __init__(self, table: SteeringTable, representatives: memoryview) -> None:
        self._table = table
        self._representatives = representatives

    def __len__(self) -> int:
        return len(self._representatives)

    @overload
    def __getitem__(self, index: int) -> Order: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Order, ...]: ...
    def __getitem__(self, index: int | slice) -> Order | tuple[Order, ...]:
        if isinstance(index, slice):
            return tuple(self._table.reason(each) for each in self._representatives[index])
        return self._table.reason(self._representatives[index])


def _why(source: Source, network: str | None, where: tuple[str, Place] | None) -> str:
    """Return the sentence for a whole order."""
    if source == "operator":
        return f"the operator's own order for {network}"
    if source == "measured":
        return "round trips that were measured for this network"
    if source == "geography" and where is not None:
        return f"geography: this network is in {where[0]} ({where[1].latitude:.1f}, {where[1].longitude:.1f})"
    return "the default order: nothing is known of where this network is"


def _because(edge: SteeredEdge, kind: Source, tenths: int, network: str | None, where: tuple[str, Place] | None) -> str:
    """Return the sentence for one edge's place in it."""
    if kind == "operator":
        return f"the operator names it for {network}"
    weight = (
        ""
        if edge.weight == 100
        else f", counted as {counted_tenths(tenths, edge.weight) / 10:.0f} (weight {edge.weight})"
    )
    if kind == "measured":
        return f"{tenths / 10:.0f} ms measured{weight}"
    if kind == "geography" and where is not None and edge.place is not None:
        km = great_circle_km(edge.place, where[1])
        return f"about {tenths / 10:.0f} ms to {where[0]}, {km:,.0f} km away{weight}"
    return "in default order: its own place is not known" if where is not None else "in default order"
