"""Records as people write them, in settings and in zone files (RFC 1035 section 5), read by dnspython."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeward.core.dns_settings import Record
from edgeward.core.hostnames import record_name
from edgeward.core.orders import is_address
from edgeward.dns.fleet_zones import LONGEST_DATA
from edgeward.dns.wire import NS, name_to_wire, record
from edgeward.errors import DiskError, InputError, Problem

_SIGNED: Final = frozenset(("CDNSKEY", "CDS", "DNSKEY", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG"))
"""Types of signed zones (RFC 4034, 5155, 7344). These zones are not signed."""

_TARGETS: Final = frozenset(("CNAME", "MX", "NS", "PTR", "SRV"))
"""Types whose data ends with a name."""


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """What a zone file holds. left_out: a sentence about what was not taken over, for whoever brought it."""

    records: tuple[Record, ...]
    left_out: tuple[str, ...] = ()


def rendered(record: Record) -> tuple[int, bytes]:
    """Return number of the type and data in wire form. Raises ValueError with what is wrong with it."""
    import dns.exception
    import dns.name
    import dns.rdata
    import dns.rdatatype

    try:
        kind = dns.rdatatype.from_text(record.type)
        data = dns.rdata.from_text("IN", kind, record.value, origin=dns.name.root, relativize=False)
        return int(kind), data.to_wire() or b""
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def absolute(record: Record, zone: str) -> Record:
    """Return the record with the names in its data written out: those without a final dot are of its zone, as in zone
    files. Raises ValueError with what is wrong with it.
    """
    import dns.exception
    import dns.name
    import dns.rdata
    import dns.rdatatype

    try:
        origin, kind = dns.name.from_text(zone), dns.rdatatype.from_text(record.type)
        data = dns.rdata.from_text("IN", kind, record.value, origin=origin, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if dns.rdatatype.is_metatype(kind):
        raise ValueError("it is a type of questions, not of records")
    # By its own name, however it was written (RFC 3597): what is refused is refused as TYPE39 too.
    found = replace(record, type=dns.rdatatype.to_text(kind), value=data.to_text())
    if why := _refusal(found, zone) or (found.type in _SIGNED and "these zones are not signed"):
        raise ValueError(why)
    return found


def _refusal(record: Record, zone: str) -> str:
    """Return why a record would not be answered as whoever wrote it expects, "" if it would be."""
    if record.type == "DNAME":
        return "DNAME (RFC 6672) is not answered here; write a CNAME for each name below it"
    if record.type == "NS" and record.name.startswith("*."):
        return "a wildcard cannot be delegated (RFC 4592 section 4.2); write NS records for each name"
    target = record.value.rpartition(" ")[2].removesuffix(".")
    if record.type in _TARGETS and any(is_address(each) for each in (target, target.removesuffix(f".{zone}"))):
        return f"its data is a name, and {target.removesuffix(f'.{zone}')} is an address; name a host that has it"
    return ""


def too_large(records: Iterable[Record]) -> Iterator[str]:
    """Yield a sentence for each name and type whose records are too many bytes for any answer, TCP's among them.

    A record that cannot be read counts for nothing: whoever makes zones of them tells of it (`fleet_zones`).
    """
    found: dict[tuple[str, str], set[bytes]] = {}
    for each in records:
        try:
            kind, rdata = rendered(each)
            # As it is answered: with a pointer to the name asked for, but in a referral, which is for names below it.
            owner = name_to_wire(each.name) if kind == NS else b"\xc0\x0c"
        except ValueError:
            continue
        found.setdefault((each.name, each.type), set()).add(record(owner, kind, each.ttl, rdata))
    for (name, type_name), rows in found.items():
        size = sum(map(len, rows))
        if size > LONGEST_DATA:
            yield (
                f"the {len(rows):,} records {name} {type_name} have {size:,} bytes in an answer, which has room for "
                f"{LONGEST_DATA:,} of one name and type; give fewer or shorter ones"
            )


def read_zone_file(path: Path, zone: str) -> ZoneFile:
    """Return the records of a zone file but for SOA and the NS of its apex, which the fleet makes itself, and DNSSEC's.

    Raises InputError with file and line for what is no zone file, with file and every record that cannot be served,
    DiskError.
    """
    import dns.exception
    import dns.name
    import dns.rdatatype
    import dns.zone

    class Whole(dns.zone.Zone):
        """Takes records of every name, and SOA at the apex: dnspython passes over what is outside of the zone."""

        def origin_information(self) -> tuple[dns.name.Name | None, bool, dns.name.Name | None]:
            return dns.name.root, False, dns.name.from_text(zone)

    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DiskError(f"the zone file {path} cannot be read: {error}", path=str(path)) from error
    try:
        found = dns.zone.from_text(
            f"$ORIGIN {zone}.\n{content}",
            origin=".",
            relativize=False,
            zone_factory=Whole,
            check_origin=False,
            allow_include=False,
        )
    except (dns.exception.DNSException, ValueError) as error:
        # dnspython counts the end of a line to the next one, or not: it is near there.
        message = re.sub(r"^<string>:(\d+): ", _line, str(error)) or type(error).__name__
        raise InputError(f"{path} is no zone file of {zone}: {message}", [Problem(str(path), 0, message)]) from error
    made: list[Record] = []
    wrong: list[Problem] = []
    signs: set[str] = set()
    for name, rdataset in found.iterate_rdatasets():
        kind = dns.rdatatype.to_text(rdataset.rdtype)
        try:
            owner = record_name(name.to_text())
            if owner != zone and not owner.endswith(f".{zone}"):
                raise ValueError(f"{owner} {kind} is not in the zone {zone}; has its name a final dot too many?")
            if kind in _SIGNED:
                signs.add(kind)
            elif kind != "SOA" and not (kind == "NS" and owner == zone):
                records = [Record(owner, kind, rdata.to_text(), rdataset.ttl) for rdata in rdataset]
                for each in records:
                    if why := _refusal(each, zone):
                        raise ValueError(f"{owner} {kind}: {why}")
                made += records
        except ValueError as error:
            wrong.append(Problem(str(path), 0, str(error)))
    if wrong:
        raise InputError(f"{path} has records that cannot be served", sorted(set(wrong)))
    left_out = f"{path}: {', '.join(sorted(signs))} records are left out: these zones are not signed"
    return ZoneFile(
        tuple(sorted(made, key=lambda each: (each.name, each.type, each.value))), (left_out,) if signs else ()
    )


def _line(found: re.Match[str]) -> str:
    return f"near line {max(1, int(found[1]) - 1)}: "
