"""The records of answers: what zones, proofs and steering make of a name, rendered once and kept until they change."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

from edgeward.core.answer import choose
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.view import View
from edgeward.dns.wire import (
    AAAA,
    ANY,
    CNAME,
    DS,
    HINFO,
    NOERROR,
    NS,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    SOA,
    TXT,
    A,
    name_to_wire,
    record,
)
from edgeward.dns.zone import Catalogue, Found, Kind, Node, RRset, ZoneIndex

_QNAME: Final = b"\xc0\x0c"
"""A pointer to the name of the question, which is always at this place."""
_PROOF: Final = b"\x0f_acme-challenge"
_PROOF_TTL: Final = 1
MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of the bodies that are kept and of the names that they are kept for, with what Python needs around them.

By bytes, since a body may be as large as an answer over TCP.
"""
_NAME_BYTES: Final = 200
_BODY_BYTES: Final = 500
"""Bytes around a name and around a body, measured: objects, and their places in tables."""
_MOST_ALIASES: Final = 8
_MINIMAL: Final = RRset(3600, (b"\x07RFC8482\x00",))
"""The answer to ANY where there is a record and no alias (RFC 8482 section 4.2)."""

Section = tuple[int, bytes]
_NONE: Final[Section] = (0, b"")

Match = tuple[int, int]
"""Number of an order of edges, and length of the prefix around a network that has this order."""


@dataclass(frozen=True, slots=True)
class Body:
    """An answer without what differs from one question to the next. Sections: number and bytes of their records."""

    rcode: int
    authoritative: bool
    answer: Section = _NONE
    authority: Section = _NONE
    additional: Section = _NONE


_REFUSED: Final = Body(REFUSED, authoritative=False)
_FAILED: Final = Body(SERVFAIL, authoritative=False)


class Bodies:
    """Bodies by name, type and, where an answer is steered, order of edges."""

    def __init__(self, view: View, table: SteeringTable | None, catalogue: Catalogue | None = None) -> None:
        self._view = view
        self._table = table
        self._edges = {edge.name: edge for edge in table.edges} if table else {}
        self.catalogue = catalogue or Catalogue(view.zones)
        self._proofs = {
            name_to_wire(name): RRset(_PROOF_TTL, tuple(text_rdata(text) for text in texts))
            for name, texts in view.proofs.txt.items()
        }
        self._unsure = frozenset(map(name_to_wire, view.unsure))
        self._fixed: dict[tuple[bytes, int], Body | None] = {}
        self._steered: dict[tuple[bytes, int, int], Body] = {}
        self._each: dict[Body, Body] = {}
        self._bytes = 0
        self._has_steered: dict[tuple[str, int], bool] = {}

    def match(self, network: bytes) -> Match:
        """Return what steering knows of a network (its first address, 4 or 16 bytes); (0, 0) without a table."""
        if self._table is None:
            return 0, 0
        found = self._table.match(network)
        return found.order, found.prefix

    def find(self, name: bytes, kind: int, order: int) -> tuple[Body, bool]:
        """Return the body, and whether it depends on the order of edges."""
        key = (name, kind)
        if key in self._fixed:
            fixed = self._fixed[key]
        else:
            fixed = self._shared(self._resolve(name, kind, None))
            self._make_room(len(name) + _NAME_BYTES)
            self._fixed[key] = fixed
        if fixed is not None:
            return fixed, False
        if self._table is None:
            return _FAILED, False
        body = self._steered.get((name, kind, order))
        if body is None:
            body = self._shared(self._resolve(name, kind, order)) or _FAILED
            self._make_room(len(name) + _NAME_BYTES)
            self._steered[name, kind, order] = body
        return body, True

    def _shared(self, body: Body | None) -> Body | None:
        """Return one body for all names with the same: there is no end of names that are not there, or wildcards'."""
        if body is None:
            return None
        found = self._each.get(body)
        if found is None:
            self._make_room(
                sum(len(records) for _, records in (body.answer, body.authority, body.additional)) + _BODY_BYTES
            )
            found = self._each[body] = body
        return found

    def _make_room(self, size: int) -> None:
        """Count what is to be kept from now on, in bytes; forget all that is kept if it becomes too much."""
        self._bytes += size
        if self._bytes > MOST_BYTES:
            for kept in (self._fixed, self._steered, self._each):
                kept.clear()
            self._bytes = size

    def _resolve(self, name: bytes, kind: int, order: int | None) -> Body | None:
        """Return the body; None if it depends on an order of edges and none is given."""
        zone = self.catalogue.zone_of(name, kind)
        if zone is None:
            return _REFUSED
        count, records, owner = 0, b"", _QNAME
        seen: set[bytes] = set()
        while True:
            seen.add(name)
            found = zone.look_up(name, kind)
            if found.kind is Kind.REFERRAL:
                # Also for a name that holds proofs: below a delegation nothing is ours to say (RFC 1034 section 4.3.2).
                return _with(_referral(zone, found.node, authoritative=bool(count)), count, records)
            proofs = self._proof_body(zone, found, name, kind, owner)
            if proofs is not None:
                return _with(proofs, count, records)
            if name in self._unsure and (kind in {A, AAAA} or found.node.owner != name):
                return _FAILED
            if found.kind is Kind.NOTHING:
                # The apex of a zone of ours is there, also for a parent that does not delegate it.
                code = NOERROR if kind == DS and self.catalogue.has_apex(name) else NXDOMAIN
                return _with(Body(code, authoritative=True, authority=_denial(zone)), count, records)
            node = found.node
            alias = node.rrsets.get(CNAME)
            if alias is None or kind in {CNAME, ANY}:
                body = self._at(zone, node, kind, owner, order)
                return None if body is None else _with(body, count, records)
            target = alias.rdatas[0].lower()
            records += record(owner, CNAME, alias.ttl, alias.rdatas[0])
            count += 1
            next_zone = self.catalogue.zone_of(target, kind)
            if next_zone is None or target in seen or count >= _MOST_ALIASES:
                return Body(NOERROR, authoritative=True, answer=(count, records))
            name, owner, zone = target, alias.rdatas[0], next_zone

    def _proof_body(self, zone: ZoneIndex, found: Found, name: bytes, kind: int, owner: bytes) -> Body | None:
        """Return what is to be said of a name that may hold proofs, None if its zone says it.

        found: what the zone has there, no referral.
        """
        if not name.startswith(_PROOF):
            return None
        if not self._view.proofs.known:
            return None if CNAME in found.node.rrsets else _FAILED
        proofs = self._proofs.get(name)
        if proofs is None:
            return None
        if kind == ANY:
            return Body(NOERROR, authoritative=True, answer=_section(owner, HINFO, _MINIMAL))
        if kind != TXT:
            # The name is there, whatever the zone says of it (RFC 8020).
            nothing = found.kind is Kind.NOTHING
            return Body(NOERROR, authoritative=True, authority=_denial(zone)) if nothing else None
        return Body(NOERROR, authoritative=True, answer=_section(owner, TXT, proofs))

    def _at(self, zone: ZoneIndex, node: Node, kind: int, owner: bytes, order: int | None) -> Body | None:
        if kind == ANY:
            if node.site is not None or node.rrsets.keys() - {CNAME}:
                return Body(NOERROR, authoritative=True, answer=_section(owner, HINFO, _MINIMAL))
            kind = CNAME  # what is there instead of any other record, if anything is
        if node.site is not None and kind in {A, AAAA}:
            family: Literal[4, 6] = 4 if kind == A else 6
            if order is None and self._is_steered(node.site, family):
                return None
            rrset = None if order is None else self._addresses(node.site, family, order)
        else:
            rrset = node.rrsets.get(kind)
        if rrset is None:
            return Body(NOERROR, authoritative=True, authority=_denial(zone))
        additional = _glue(zone, rrset) if kind == NS else _NONE
        return Body(NOERROR, authoritative=True, answer=_section(owner, kind, rrset), additional=additional)

    def _is_steered(self, site: str, family: Literal[4, 6]) -> bool:
        """Whether addresses depend on the order of edges. All orders have the same edges, so where none of those can be
        named nobody has an address, and that is everybody's answer (RFC 7871 section 7.4 wants it so as well).
        """
        if self._table is None:
            return True
        found = self._has_steered.get((site, family))
        if found is None:
            found = self._has_steered[site, family] = self._addresses(site, family, 0) is not None
        return found

    def _addresses(self, site: str, family: Literal[4, 6], order: int) -> RRset | None:
        assert self._table is not None
        view = self._view
        answer = choose(
            self._table.orders[order],
            self._edges,
            out=view.out,
            family=family,
            margin=view.margin,
            most=view.most,
            lacking=view.lacking.get(site),
            silent=view.silent,
            drained=view.drained,
        )
        if not answer.addresses:
            return None
        return RRset(view.steered_ttl, tuple(ipaddress.ip_address(each).packed for each in answer.addresses))


def text_rdata(text: str) -> bytes:
    """Return the data of a TXT record: strings of at most 255 bytes (RFC 1035 section 3.3.14)."""
    raw = text.encode()
    parts = [raw[start : start + 255] for start in range(0, len(raw), 255)] or [b""]
    return b"".join(bytes([len(part)]) + part for part in parts)


def _with(body: Body, count: int, records: bytes) -> Body:
    """Return the body with the aliases that led to it before its answer."""
    if not count:
        return body
    if body.rcode in {REFUSED, SERVFAIL}:
        return _FAILED if body.rcode == SERVFAIL else Body(NOERROR, authoritative=True, answer=(count, records))
    return Body(
        body.rcode,
        authoritative=True,
        answer=(count + body.answer[0], records + body.answer[1]),
        authority=body.authority,
        additional=body.additional,
    )


def _section(owner: bytes, kind: int, rrset: RRset) -> Section:
    return len(rrset.rdatas), b"".join(record(owner, kind, rrset.ttl, rdata) for rdata in rrset.rdatas)


def _denial(zone: ZoneIndex) -> Section:
    """The SOA record of an answer that says no; its time to live is that of the denial (RFC 2308 section 3)."""
    rdata = zone.soa.rdatas[0]
    minimum = int.from_bytes(rdata[-4:], "big")
    return 1, record(zone.origin, SOA, min(zone.soa.ttl, minimum), rdata)


def _referral(zone: ZoneIndex, cut: Node, *, authoritative: bool) -> Body:
    rrset = cut.rrsets[NS]
    return Body(NOERROR, authoritative, authority=_section(cut.owner, NS, rrset), additional=_glue(zone, rrset))


def _glue(zone: ZoneIndex, servers: RRset) -> Section:
    """The addresses, as far as the zone has them, of the servers that NS records name."""
    count, records = 0, b""
    for target in servers.rdatas:
        node = zone.node(target.lower())
        for kind in (A, AAAA):
            rrset = node.rrsets.get(kind) if node else None
            if rrset is not None:
                more, data = _section(target, kind, rrset)
                count, records = count + more, records + data
    return count, records
