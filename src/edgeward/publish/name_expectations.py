"""What name servers must answer to what, as their zones say: what `edgeward dns check` asks and goes by. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeward.core.hostnames import MAX_HOSTNAME
from edgeward.dns.wire import AA, AAAA, CNAME, DS, HINFO, NOERROR, NS, NXDOMAIN, RCODES, SOA, TXT, A, name_to_wire
from edgeward.dns.zone import RRset, Zone

if TYPE_CHECKING:
    import dns.message
    import dns.rrset

PROOF: Final = "_acme-challenge."
"""What names of ACME proofs begin with (RFC 8555 section 8.4)."""

_COMMON: Final = (TXT, HINFO, AAAA, A)
"""Types to ask for where there is none: the first that a name lacks. Those of addresses last, which are steered."""
_MOST_TEXT: Final = 1000
"""Characters of an answer in a sentence: those of a DKIM key are all there."""

Record = tuple[str, int, bytes]
"""Owner (lower-case text without a final dot), type, and data in wire form."""
Expectation = tuple[str, int, "Said"]
"""Name and type of a question, and what must be answered."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says, but for times to live. answer: data of its records of the type asked for, in wire form.

    authority: SOA and NS records where there is no such answer: of a denial (RFC 2308) or a referral. glue: addresses
    that come with a referral.
    """

    answer: frozenset[bytes] = frozenset()
    rcode: int = NOERROR
    authoritative: bool = True
    authority: frozenset[Record] = frozenset()
    glue: frozenset[Record] = frozenset()

    @property
    def denies(self) -> bool:
        """Whether it has the SOA record of a denial."""
        return any(kind == SOA for _, kind, _ in self.authority)


def said_in(message: "dns.message.Message", kind: int) -> Said:
    """Return what an answer to a question of that type says."""
    answer = frozenset(rdata.to_wire() or b"" for each in message.answer if each.rdtype == kind for rdata in each)
    authority = frozenset() if answer else _records(message.authority, {NS, SOA})
    refers = any(kind == NS for _, kind, _ in authority)
    return Said(
        answer,
        rcode=int(message.rcode()),
        authoritative=bool(message.flags & AA),
        authority=authority,
        glue=_records(message.additional, {A, AAAA}) if refers else frozenset(),
    )


def _records(rrsets: "Iterable[dns.rrset.RRset]", kinds: set[int]) -> frozenset[Record]:
    return frozenset(
        (each.name.to_text(omit_final_dot=True).lower(), int(each.rdtype), rdata.to_wire() or b"")
        for each in rrsets
        if each.rdtype in kinds
        for rdata in each
    )


def expectations(zone: Zone, label: str) -> Iterator[Expectation]:
    """Return questions to which a zone itself has the answers: its records, delegations and denials.

    label: one that no name of the zone begins with. Steered addresses and proofs are not among them.
    """
    return (each for each in _expectations(zone, label) if len(each[0]) <= MAX_HOSTNAME)


def _expectations(zone: Zone, label: str) -> Iterator[Expectation]:
    cuts = delegations(zone)
    own = {name: by_type for name, by_type in zone.rrsets.items() if not is_within(name, cuts)}
    for name, by_type in own.items():
        for kind, rrset in by_type.items():
            yield _asked(name, label), kind, Said(frozenset(rrset.rdatas))
    by_wire = {name_to_wire(name): name for name in zone.rrsets} if cuts else {}
    for cut in sorted(cuts):
        if not is_within(cut.partition(".")[2], cuts):
            yield from _referrals(zone, cut, by_wire, label)
    yield from _denials(zone, own, label)


def delegations(zone: Zone) -> set[str]:
    """Return the names that a zone delegates."""
    return {name for name, by_type in zone.rrsets.items() if NS in by_type and name != zone.origin}


def is_within(name: str, names: set[str]) -> bool:
    """Whether a name is one of those, or below one."""
    while name and name not in names:
        name = name.partition(".")[2]
    return bool(name)


def _asked(name: str, label: str) -> str:
    """Return the name to ask for; a wildcard's records are those of names that are not there."""
    return f"{label}{name[1:]}" if name.startswith("*.") else name


def _referrals(zone: Zone, cut: str, by_wire: Mapping[bytes, str], label: str) -> Iterator[Expectation]:
    """A delegation is answered alike at and below its name, but for DS, which is the zone's own (RFC 4035 3.1.4.1).

    by_wire: names of the zone by their wire form.
    """
    servers = zone.rrsets[cut][NS].rdatas
    glue = (
        (name, kind, each)
        for name in (by_wire.get(server.lower()) for server in servers)
        for kind in (A, AAAA)
        if name and kind in zone.rrsets[name]
        for each in zone.rrsets[name][kind].rdatas
    )
    referral = Said(authoritative=False, authority=frozenset((cut, NS, each) for each in servers), glue=frozenset(glue))
    yield cut, NS, referral
    yield f"{label}.{cut}", A, referral
    signed = zone.rrsets[cut].get(DS)
    yield cut, DS, Said(frozenset(signed.rdatas)) if signed else _denial(zone, NOERROR)


def _denials(zone: Zone, own: Mapping[str, Mapping[int, RRset]], label: str) -> Iterator[Expectation]:
    """Ask for a name that is not there, and, of one name of each sort, for a type that it lacks."""
    places = [zone.origin, *zone.steered, *(name for name in own if not name.startswith("*."))]
    # Below a name that is there no wildcard counts but its own (RFC 4592 section 3.3.1).
    nowhere = next(
        (name for name in places if f"*.{name}" not in zone.rrsets and len(label) + len(name) < MAX_HOSTNAME), None
    )
    if nowhere is not None:
        yield f"{label}.{nowhere}", A, _denial(zone, NXDOMAIN)
    plain = [name for name, by_type in own.items() if by_type and CNAME not in by_type and not name.startswith(PROOF)]
    sorts = (
        (zone.origin,),
        zone.steered,
        (name for name in plain if name != zone.origin and name not in zone.steered and not name.startswith("*.")),
        (name for name in plain if name.startswith("*.")),
    )
    for name in dict.fromkeys(next(iter(sort), None) for sort in sorts):
        if name is None:
            continue
        there = {*own.get(name, {}), *((A, AAAA) if name in zone.steered else ())}
        lacked = next((kind for kind in _COMMON if kind not in there), None)
        if lacked is not None:
            yield _asked(name, label), lacked, _denial(zone, NOERROR)


def _denial(zone: Zone, rcode: int) -> Said:
    (soa,) = zone.rrsets[zone.origin][SOA].rdatas
    return Said(rcode=rcode, authority=frozenset({(zone.origin, SOA, soa)}))


def shown(said: Said, kind: int) -> str:
    """Return what an answer to a question of that type says, for a sentence."""
    if said.rcode not in {NOERROR, NXDOMAIN}:
        return RCODES.get(said.rcode, str(said.rcode))
    refers = not said.answer and said.rcode == NOERROR and any(each == NS for _, each, _ in said.authority)
    if said.answer:
        text = texts(said.answer, kind)
    elif refers:
        text = _referral(said)
    else:
        code = "NXDOMAIN" if said.rcode == NXDOMAIN else "NODATA"
        soas = [f"{owner}, serial {_serial(data)}" for owner, each, data in sorted(said.authority) if each == SOA]
        text = f"{code} with the SOA record of {'; '.join(soas)}" if soas else f"{code} without a SOA record"
    text = text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
    return text if said.authoritative != refers else f"{text}, {'with' if refers else 'without'} AA"


def _referral(said: Said) -> str:
    cuts = ", ".join(sorted({owner for owner, kind, _ in said.authority if kind == NS}))
    servers = texts((data for _, kind, data in said.authority if kind == NS), NS)
    glue = ", ".join(sorted(f"{owner} {texts([data], kind)}" for owner, kind, data in said.glue))
    return f"a referral of {cuts} to {servers}, {f'glue {glue}' if glue else 'no glue'}"


def _serial(soa: bytes) -> int:
    """Return the first of the five numbers at its end (RFC 1035 section 3.3.13)."""
    return int.from_bytes(soa[-20:-16], "big")


def texts(data: Iterable[bytes], kind: int) -> str:
    """Return data of records as zone files have it, sorted and separated by commas."""
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype

    number = dns.rdatatype.RdataType.make(kind)
    return ", ".join(
        sorted(dns.rdata.from_wire(dns.rdataclass.IN, number, each, 0, len(each)).to_text() for each in data)
    )
