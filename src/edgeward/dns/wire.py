"""DNS messages as bytes: questions parsed, answers put together. No input or output.

RFC 1035 section 4, RFC 6891 (EDNS), RFC 7871 (client subnet), RFC 7873 (cookies), RFC 5001 (NSID). A message that is no
well-formed question raises Refused with the code to answer; one that must not be answered at all is None.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
BADVERS: Final = 16
BADCOOKIE: Final = 23
RCODES: Final = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    BADVERS: "BADVERS",
    BADCOOKIE: "BADCOOKIE",
}
"""Names of the codes that we answer with (RFC 6895 section 2.3)."""

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
TXT: Final = 16
AAAA: Final = 28
HINFO: Final = 13
OPT: Final = 41
DS: Final = 43
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255
IN: Final = 1
CHAOS: Final = 3

QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
OPCODE: Final = 0x7800

PAYLOAD: Final = 1232
"""Bytes of a UDP answer that reach everybody without fragments (DNS flag day 2020)."""

SMALLEST: Final = 512
"""Bytes of a UDP answer to a question without EDNS (RFC 1035 section 4.2.1)."""

_NSID: Final = 3
SUBNET: Final = 8
COOKIE: Final = 10
_HEADER: Final = struct.Struct("!HHHHHH")
_FIXED: Final = struct.Struct("!HHIH")
_OPTION: Final = struct.Struct("!HH")
_IXFR: Final = IXFR.to_bytes(2, "big")
_LONGEST_NAME: Final = 255
_BYTES: Final = {0: 0, 1: 4, 2: 16}
"""Bytes of an address by its family number in a client subnet; 0: no address is told."""


class Refused(Exception):
    """A message that is answered with an error. Never leaves this package. question: bytes to repeat, or none."""

    def __init__(self, rcode: int, question: bytes = b"", *, edns: "Edns | None" = None) -> None:
        super().__init__(rcode)
        self.rcode = rcode
        self.question = question
        self.edns = edns


@dataclass(frozen=True, slots=True)
class Subnet:
    """A client subnet (RFC 7871 section 6). family: 1 IPv4, 2 IPv6, 0 none. source: prefix length. address: as sent."""

    family: int
    source: int
    address: bytes

    @property
    def padded(self) -> bytes:
        """The network's first address, 4 or 16 bytes."""
        return self.address.ljust(_BYTES[self.family], b"\0")


@dataclass(frozen=True, slots=True)
class Edns:
    """What a question says in its OPT record. cookie: client cookie, and server cookie if there is one."""

    payload: int
    version: int
    dnssec_ok: bool
    subnet: Subnet | None = None
    cookie: bytes | None = None
    nsid: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A question. name: wire form in lower case, for looking it up. question: the bytes to repeat, case kept.

    question is empty, and `edns` has a cookie, where only a server cookie is asked for (RFC 7873 section 5.4).
    """

    id: int
    flags: int
    name: bytes
    type: int
    klass: int
    question: bytes
    edns: Edns | None


def parse_query(data: bytes) -> Query | None:
    """Parse a message; None: it must not be answered (too short for a header, or an answer itself). Raises Refused,
    with the OPT record wherever one can be read: whoever sends one gets one (RFC 6891 section 6.1.1).
    """
    try:
        return _query(data)
    except Refused as error:
        error.edns = error.edns or _readable_edns(data)
        raise


def _query(data: bytes) -> Query | None:
    if len(data) < _HEADER.size:
        return None
    ident, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & QR:
        return None
    if flags & OPCODE:
        raise Refused(NOTIMP)
    if questions > 1 or answers or authorities > 1:
        raise Refused(FORMERR)
    end = _question_end(data) if questions else _HEADER.size
    question = data[_HEADER.size : end]
    after = end
    if authorities:
        # RFC 1995 section 3: who asks for IXFR tells of the version that it has, in a SOA record.
        if question[-4:-2] != _IXFR:
            raise Refused(FORMERR)
        ((*_, after),) = _records(data, end, authorities, question)
    edns, after = _additional(data, after, additional, question)
    if after != len(data):
        raise Refused(FORMERR, question, edns=edns)
    if edns is not None and edns.version > 0:
        raise Refused(BADVERS, question, edns=edns)
    if not question:
        if edns is None or edns.cookie is None:
            raise Refused(FORMERR, edns=edns)
        return Query(ident, flags, b"", 0, 0, b"", edns)
    kind, klass = struct.unpack_from("!HH", data, end - 4)
    return Query(ident, flags, question[:-4].lower(), kind, klass, question, edns)


def _question_end(data: bytes) -> int:
    """Return where the question ends. Its name is the first of the message, so nothing can be compressed in it."""
    at = _HEADER.size
    while at < len(data) and (length := data[at]):
        if length > 63:
            raise Refused(FORMERR)
        at += 1 + length
    at += 1
    if at - _HEADER.size > _LONGEST_NAME or at + 4 > len(data):
        raise Refused(FORMERR)
    return at + 4


def _additional(data: bytes, at: int, count: int, question: bytes) -> tuple[Edns | None, int]:
    """Return the OPT record among the additional ones, and where those end. Others are passed over."""
    edns: Edns | None = None
    for is_root, kind, klass, ttl, start, end in _records(data, at, count, question):
        if kind == OPT:
            if edns is not None or not is_root:
                raise Refused(FORMERR, question)
            edns = _edns(klass, ttl, data[start:end], question)
        at = end
    return edns, at


def _records(data: bytes, at: int, count: int, question: bytes) -> Iterator[tuple[bool, int, int, int, int, int]]:
    """Yield of each record whether its owner is the root, type, class, time to live, and from where to where its data
    is.
    """
    for _ in range(count):
        is_root = data[at : at + 1] == b"\0"
        at = _after_name(data, at, question)
        if at + _FIXED.size > len(data):
            raise Refused(FORMERR, question)
        kind, klass, ttl, length = _FIXED.unpack_from(data, at)
        at += _FIXED.size + length
        if at > len(data):
            raise Refused(FORMERR, question)
        yield is_root, kind, klass, ttl, at - length, at


def _readable_edns(data: bytes) -> Edns | None:
    """Return the first OPT record of a message of any other kind, None if none can be read."""
    _, _, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    at = _HEADER.size
    try:
        for _ in range(questions):
            at = _after_name(data, at, b"") + 4
        for is_root, kind, klass, ttl, start, end in _records(data, at, answers + authorities + additional, b""):
            if kind == OPT and is_root:
                return _edns(klass, ttl, data[start:end], b"")
    except Refused as error:
        return error.edns
    return None


def _after_name(data: bytes, at: int, question: bytes) -> int:
    """Return where a name ends that nobody looks at: at its root, or behind a pointer, wherever that leads."""
    while at < len(data):
        length = data[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2
        if length > 63:
            break
        at += 1 + length
    raise Refused(FORMERR, question)


def _edns(payload: int, ttl: int, options: bytes, question: bytes) -> Edns:
    version = ttl >> 16 & 0xFF
    plain = Edns(payload, version, bool(ttl & 0x8000))
    if version:
        return plain  # what its options mean is not ours to know
    subnet: Subnet | None = None
    cookie: bytes | None = None
    nsid = False
    at = 0
    while at < len(options):
        if at + _OPTION.size > len(options):
            raise Refused(FORMERR, question, edns=plain)
        code, length = _OPTION.unpack_from(options, at)
        at += _OPTION.size
        value = options[at : at + length]
        at += length
        if len(value) < length:
            raise Refused(FORMERR, question, edns=plain)
        if code == SUBNET:
            subnet = parse_subnet(value)
            if subnet is None:
                raise Refused(FORMERR, question, edns=plain)
        elif code == COOKIE and cookie is None:
            if length != 8 and not 16 <= length <= 40:
                raise Refused(FORMERR, question, edns=plain)
            cookie = value
        elif code == _NSID:
            nsid = True
    return Edns(payload, version, plain.dnssec_ok, subnet, cookie, nsid)


def parse_subnet(value: bytes) -> Subnet | None:
    """Parse a client subnet; None if it is malformed (RFC 7871 section 6: bits behind the prefix must be 0)."""
    if len(value) < 4:
        return None
    family, source, scope = struct.unpack_from("!HBB", value)
    address = value[4:]
    size = _BYTES.get(family)
    if size is None or scope or source > size * 8 or len(address) != (source + 7) // 8:
        return None
    if source % 8 and address[-1] & 0xFF >> source % 8:
        return None
    return Subnet(family, source, address)


def subnet_option(subnet: Subnet, scope: int) -> bytes:
    """Return the option that answers a client subnet. scope: prefix length that the answer holds for."""
    return _OPTION.pack(SUBNET, 4 + len(subnet.address)) + struct.pack(
        "!HBB", subnet.family, subnet.source, scope
    ) + subnet.address  # fmt: skip


def option(code: int, value: bytes) -> bytes:
    """Return one EDNS option."""
    return _OPTION.pack(code, len(value)) + value


def cookie_option(value: bytes) -> bytes:
    """Return the option with client and server cookie (RFC 7873 section 4)."""
    return option(COOKIE, value)


def nsid_option(name: bytes) -> bytes:
    """Return the option that names this server (RFC 5001)."""
    return option(_NSID, name)


def opt_record(options: bytes, *, rcode: int = NOERROR, dnssec_ok: bool = False) -> bytes:
    """Return our OPT record (RFC 6891 section 6.1.2). rcode: its upper 8 bits stand here."""
    ttl = (rcode >> 4) << 24 | (0x8000 if dnssec_ok else 0)
    return b"\0" + _FIXED.pack(OPT, PAYLOAD, ttl, len(options)) + options


def message(
    ident: int, flags: int, question: bytes, sections: tuple[tuple[int, bytes], ...] = ((0, b""),) * 3
) -> bytes:
    """Return an answer. sections: number and bytes of the records of answer, authority and additional section."""
    (answers, one), (authorities, two), (additional, three) = sections
    header = _HEADER.pack(ident, flags, 1 if question else 0, answers, authorities, additional)
    return header + question + one + two + three


def truncated(answer: bytes) -> bytes:
    """Return an answer of ours without its records, truncated. Its OPT record stays (RFC 6891 section 7), and with it
    the upper bits of the code and the cookie, with which the client is known next time.
    """
    ident, flags, questions, *counts = _HEADER.unpack_from(answer)
    end = _question_end(answer) if questions else _HEADER.size
    records = _records(answer, end, sum(counts), b"")
    opt = [answer[start - 1 - _FIXED.size : stop] for _, kind, _, _, start, stop in records if kind == OPT]
    return message(ident, flags | TC, answer[_HEADER.size : end], ((0, b""), (0, b""), (len(opt), b"".join(opt))))


def name_to_wire(text: str) -> bytes:
    """Return a name (lower-case text, no final dot, "" for the root) in wire form. Raises ValueError."""
    made = bytearray()
    for label in text.split(".") if text else ():
        raw = label.encode("ascii")
        if not 1 <= len(raw) <= 63:
            msg = f"{text!r} has a label of {len(raw)} bytes"
            raise ValueError(msg)
        made += bytes([len(raw)]) + raw
    made.append(0)
    if len(made) > _LONGEST_NAME:
        msg = f"{text!r} is longer than 255 bytes"
        raise ValueError(msg)
    return bytes(made)


def parent(name: bytes) -> bytes:
    """Return the name without its first label; the root has none."""
    return name[1 + name[0] :]


def record(owner: bytes, kind: int, ttl: int, rdata: bytes, klass: int = IN) -> bytes:
    """Return one record. owner: wire form, or a pointer."""
    return owner + _FIXED.pack(kind, klass, ttl, len(rdata)) + rdata
