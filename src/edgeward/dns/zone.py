"""Zones, and what a name in them answers with (RFC 1034 section 4.3.2, RFC 4592 for wildcards, RFC 8020)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from edgeward.dns.wire import CNAME, DS, NS, SOA, name_to_wire, parent
from edgeward.errors import InputError

_WILDCARD: Final = b"\x01*"


@dataclass(frozen=True, slots=True)
class RRset:
    """Records of one name and type. ttl: seconds. rdatas: in wire form, without compressed names."""

    ttl: int
    rdatas: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone. Names are lower-case text without a final dot; `origin` is the apex.

    rrsets: records by owner name and type, SOA and NS of the apex among them. steered: owner name -> site; its A and
    AAAA records come from steering. Raises InputError for a zone that cannot be served, with every reason.
    """

    origin: str
    rrsets: Mapping[str, Mapping[int, RRset]]
    steered: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold what the docstring promises."""
        apex = self.rrsets.get(self.origin, {})
        wrong = []
        if SOA not in apex or len(apex[SOA].rdatas) != 1:
            wrong.append("it has no SOA record at its apex, or several")
        if NS not in apex:
            wrong.append("it has no NS records at its apex")
        for name in dict.fromkeys((*self.rrsets, *self.steered)):
            try:
                name_to_wire(name)
            except ValueError as error:
                wrong.append(str(error))
        for name, by_type in self.rrsets.items():
            if name != self.origin and not name.endswith(f".{self.origin}"):
                wrong.append(f"{name} is not in it")
            if CNAME in by_type and (len(by_type) > 1 or name in self.steered):
                wrong.append(f"{name} has a CNAME beside other records (RFC 2181 section 10.1)")
        wrong += [
            f"{name} is not in it"
            for name in self.steered
            if name != self.origin and not name.endswith(f".{self.origin}")
        ]
        if wrong:
            raise InputError(f"zone {self.origin} cannot be served: {'; '.join(wrong)}")


class Kind(Enum):
    """What a zone says of a name."""

    FOUND = "found"
    """The name is there: with `node`, perhaps without the type that is asked for."""
    REFERRAL = "referral"
    """It is delegated: `node` is that of the cut."""
    NOTHING = "nothing"
    """There is no such name, and no wildcard for it."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is at one name. owner: in wire form. site: whose addresses are steered here, None for none."""

    owner: bytes
    rrsets: Mapping[int, RRset]
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a look-up. node: see Kind. cut: owner of the delegation, for a referral."""

    kind: Kind
    node: Node


_EMPTY: Final = Node(b"", {})


class ZoneIndex:
    """A zone ready for look-ups by names in wire form (lower case)."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.origin = name_to_wire(zone.origin)
        self._nodes: dict[bytes, Node] = {}
        for name in {*zone.rrsets, *zone.steered}:
            owner = name_to_wire(name)
            self._nodes[owner] = Node(owner, zone.rrsets.get(name, {}), zone.steered.get(name))
        # Empty non-terminals exist as well (RFC 4592 section 2.2.2).
        for owner in list(self._nodes):
            above = owner
            while above != self.origin:
                above = parent(above)
                self._nodes.setdefault(above, Node(above, {}))
        self._cuts = frozenset(
            owner for owner, node in self._nodes.items() if NS in node.rrsets and owner != self.origin
        )
        apex = self._nodes[self.origin]
        self.soa = apex.rrsets[SOA]
        self.ns = apex.rrsets[NS]

    def node(self, owner: bytes) -> Node | None:
        """Return what is at a name, without delegations and wildcards: for glue."""
        return self._nodes.get(owner)

    def look_up(self, name: bytes, kind: int) -> Found:
        """Return what the zone, which the name is in, says of it. kind: the type asked for (DS is the parent's)."""
        if self._cuts:
            cut = self._cut(name)
            if cut is not None and not (kind == DS and cut == name):
                return Found(Kind.REFERRAL, self._nodes[cut])
        node = self._nodes.get(name)
        if node is not None:
            return Found(Kind.FOUND, node)
        closest = parent(name)
        while closest not in self._nodes:
            closest = parent(closest)
        wildcard = self._nodes.get(_WILDCARD + closest)
        return Found(Kind.NOTHING, _EMPTY) if wildcard is None else Found(Kind.FOUND, wildcard)

    def _cut(self, name: bytes) -> bytes | None:
        """Return the highest delegation at or above a name."""
        found = None
        while name != self.origin:
            if name in self._cuts:
                found = name
            name = parent(name)
        return found


class Catalogue:
    """All zones of a server."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._by_origin = {index.origin: index for index in map(ZoneIndex, zones)}

    def has_apex(self, name: bytes) -> bool:
        """Whether a zone begins at that name."""
        return name in self._by_origin

    def zone_of(self, name: bytes, kind: int = 0) -> ZoneIndex | None:
        """Return the deepest zone that a name is in, None if it is in none.

        kind: type of the records that are asked for. DS at an apex is the parent's, where that is here too (RFC 4035
        section 3.1.4.1).
        """
        if kind == DS and name in self._by_origin and name != b"\0" and (above := self.zone_of(parent(name))):
            return above
        while True:
            found = self._by_origin.get(name)
            if found is not None or name == b"\0":
                return found
            name = parent(name)
