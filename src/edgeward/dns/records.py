"""Records as people write them, in settings and in zone files (RFC 1035 section 5), read by dnspython."""

import re
from pathlib import Path

from edgeward.core.dns_settings import Record
from edgeward.core.hostnames import record_name
from edgeward.errors import DiskError, InputError, Problem


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


def read_zone_file(path: Path, zone: str) -> tuple[Record, ...]:
    """Return the records of a zone file but for SOA and the NS of its apex, which the fleet makes itself.

    Raises InputError with file and line for what is no zone file, with file and every name that no record may have,
    DiskError.
    """
    import dns.exception
    import dns.rdatatype
    import dns.zone

    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DiskError(f"the zone file {path} cannot be read: {error}", path=str(path)) from error
    try:
        found = dns.zone.from_text(content, origin=zone, relativize=False, check_origin=False, allow_include=False)
    except (dns.exception.DNSException, ValueError) as error:
        # dnspython counts the end of a line to the next one, or not: it is near there.
        message = re.sub(r"^<string>:(\d+): ", r"near line \1: ", str(error)) or type(error).__name__
        raise InputError(f"{path} is no zone file of {zone}: {message}", [Problem(str(path), 0, message)]) from error
    made, wrong = [], []
    for name, rdataset in found.iterate_rdatasets():
        try:
            owner = record_name(name.to_text())
        except ValueError as error:
            wrong.append(Problem(str(path), 0, str(error)))
            continue
        kind = dns.rdatatype.to_text(rdataset.rdtype)
        if kind != "SOA" and not (kind == "NS" and owner == zone):
            made += [Record(owner, kind, rdata.to_text(), rdataset.ttl) for rdata in rdataset]
    if wrong:
        raise InputError(f"{path} has names that cannot be served", sorted(set(wrong)))
    return tuple(sorted(made, key=lambda each: (each.name, each.type, each.value)))
