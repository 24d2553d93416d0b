"""From the bytes of a question to those of its answer. No input or output but the log of faults; one thread."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from edgeward.core.steering_table import SteeringTable
from edgeward.dns.bodies import Bodies, Body, Section, text_rdata
from edgeward.dns.cookies import CLIENT, answer_cookie
from edgeward.dns.faults import Faults
from edgeward.dns.limits import RateLimiter, Verdict
from edgeward.dns.memory import Memory
from edgeward.dns.view import Proofs, View
from edgeward.dns.wire import (
    AA,
    AXFR,
    BADCOOKIE,
    CHAOS,
    IN,
    IXFR,
    NOERROR,
    OPCODE,
    PAYLOAD,
    QR,
    RD,
    REFUSED,
    SERVFAIL,
    SMALLEST,
    TC,
    TXT,
    Edns,
    Query,
    Refused,
    cookie_option,
    message,
    name_to_wire,
    nsid_option,
    opt_record,
    parse_query,
    record,
    subnet_option,
    truncated,
)
from edgeward.dns.zone import Catalogue

_CD: Final = 0x0010
_TCP_LIMIT: Final = 65_535
_EMPTY: Final[Section] = (0, b"")
_ID_NAMES: Final = frozenset(map(name_to_wire, ("id.server", "hostname.bind")))
_VERSION_NAMES: Final = frozenset(map(name_to_wire, ("version.server", "version.bind")))


class Responder:
    """Answers questions. secret: key of the cookies, up to 32 bytes. limiter: None for no limit.

    clock, steady: seconds since the epoch, and seconds that never jump. counts: where answers are counted by code.
    """

    def __init__(
        self,
        view: View,
        table: SteeringTable | None,
        *,
        secret: bytes,
        limiter: RateLimiter | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        counts: dict[int, int] | None = None,
    ) -> None:
        self._view = view
        self._table = table
        self._secret = secret
        self._limiter = limiter
        self._clock = clock
        self._steady = steady
        self._watched = True
        self._bodies = Bodies(view, table)
        self._memory = Memory(secret, clock, self._bodies.match)
        self.counts = {} if counts is None else counts
        """Answers by code."""
        self.faults = Faults()
        """Questions that were answered SERVFAIL since something was raised."""

    @property
    def view(self) -> View:
        """What is answered from."""
        return self._view

    def replace(
        self, *, view: View | None = None, table: SteeringTable | None = None, catalogue: Catalogue | None = None
    ) -> None:
        """Answer from something else from now on; what is not given stays. catalogue: of the view's zones, slow
        to make of many names; made here if it is not given and the zones are others.
        """
        if catalogue is None and (view is None or view.zones is self._view.zones):
            catalogue = self._bodies.catalogue
        same = table is None or table is self._table
        self._table = table or self._table
        self._view = view or self._view
        self._renew(catalogue, same_orders=same)

    def lose_table(self) -> None:
        """Answer steered names with SERVFAIL until there is another table: the one that there is has become unsound."""
        self._table = None
        self._renew(self._bodies.catalogue, same_orders=False)

    def watch(self, *, watched: bool) -> None:
        """Say whether somebody watches which edges are well. While nobody does, what depends on it is answered
        SERVFAIL: steered names, and names that may hold a proof. Static records are answered as ever.

        SERVFAIL rather than silence: a resolver that reads it asks the next name server at once, where without an
        answer it waits for some hundred milliseconds first, and then thinks this server dead for static names as well.
        """
        if watched != self._watched:
            self._watched = watched
            self._renew(self._bodies.catalogue, same_orders=False)

    def _renew(self, catalogue: Catalogue | None, *, same_orders: bool) -> None:
        if self._watched:
            self._bodies = Bodies(self._view, self._table, catalogue)
        else:
            self._bodies = Bodies(replace(self._view, proofs=Proofs(known=False)), None, catalogue)
        self._memory.forget(None if same_orders else self._bodies.match)

    def respond(self, data: bytes, source: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the answer to a message from the address `source` (4 or 16 bytes); None: there is to be none."""
        try:
            found = None if tcp else self._memory.find(data, source)
            if found is None:
                found = self.compose(data, source, tcp=tcp)
        except Exception as error:  # noqa: BLE001 (a fault of ours, or of what we answer from, is told and is no answer)
            self.faults.note(error, data, now=self._steady())
            found = self._failure(data)
        if found is None:
            return None
        answer, rcode, sure = found
        try:
            self.counts[rcode] += 1
        except KeyError:
            self.counts[rcode] = 1
        if tcp or sure or self._limiter is None:
            return answer
        verdict = self._limiter.judge(source, rcode, self._steady())
        if verdict is Verdict.SEND:
            return answer
        return truncated(answer) if verdict is Verdict.SLIP else None

    def _failure(self, data: bytes) -> tuple[bytes, int, bool] | None:
        """Return SERVFAIL, with which a resolver asks the next server at once; None for what is no question."""
        try:
            query = parse_query(data)
        except Refused as error:
            return self._refusal(data, error), error.rcode, False
        except Exception:  # noqa: BLE001 (it is told already; what cannot be read cannot be answered)
            return None
        if query is None:
            return None
        return self._refusal(data, Refused(SERVFAIL, query.question, edns=query.edns)), SERVFAIL, False

    def compose(self, data: bytes, source: bytes, *, tcp: bool = False) -> tuple[bytes, int, bool] | None:
        """Return an answer that is put together anew, its code, and whether the question had a cookie of ours: then its
        address is as sure as one of TCP. What `respond` remembers comes from here.
        """
        try:
            query = parse_query(data)
        except Refused as error:
            return self._refusal(data, error), error.rcode, False
        if query is None:
            return None
        edns, known = query.edns, False
        options = b""
        if edns is not None:
            if edns.cookie is not None:
                cookie, known = answer_cookie(edns.cookie, source, secret=self._secret, now=int(self._clock()))
                options += cookie_option(cookie)
            if edns.nsid:
                options += nsid_option(self._view.server.encode())
        if query.klass != IN or query.type in {AXFR, IXFR}:
            body = Body(REFUSED, authoritative=False) if query.klass == IN else self._other(query, known=known)
            order, usual = None, False
        else:
            subnet = edns.subnet if edns else None
            told = subnet if subnet and subnet.source else None
            match = self._bodies.match(told.padded if told else source)
            body, steered = self._bodies.find(query.name, query.type, match[0])
            order, usual = match[0] if steered else None, not tcp and told is subnet
            if subnet is not None:
                options += subnet_option(subnet, match[1] if steered and told else 0)
        answer = _assemble(query, body, options, limit=_limit(edns, tcp=tcp))
        if usual:
            self._memory.learn(data, 12 + len(query.question), order, answer)
        return answer, body.rcode, known

    def _refusal(self, data: bytes, error: Refused) -> bytes:
        sent = int.from_bytes(data[2:4], "big")
        flags = QR | sent & (OPCODE | RD | _CD) | error.rcode & 15
        additional: Section = _EMPTY
        if error.edns is not None:
            additional = (1, opt_record(b"", rcode=error.rcode, dnssec_ok=error.edns.dnssec_ok))
        return message(
            int.from_bytes(data[:2], "big"), flags, error.question, (_EMPTY, _EMPTY, additional)
        )  # fmt: skip

    def _other(self, query: Query, *, known: bool) -> Body:
        """Answer what operators ask servers about themselves (RFC 4892), and who wants no more than a cookie."""
        if query.edns is not None and query.edns.cookie is not None and not query.question:
            # A client that sends none of ours asks for its first; one that does wants to know if it is still good.
            good = known or len(query.edns.cookie) == CLIENT
            return Body(NOERROR if good else BADCOOKIE, authoritative=False)
        text = None
        if query.klass == CHAOS and query.type == TXT:
            if query.name in _ID_NAMES:
                text = self._view.server
            elif query.name in _VERSION_NAMES:
                text = self._view.version
        if text is None:
            return Body(REFUSED, authoritative=False)
        return Body(NOERROR, authoritative=True, answer=(1, record(b"\xc0\x0c", TXT, 0, text_rdata(text), CHAOS)))


def _limit(edns: Edns | None, *, tcp: bool) -> int:
    if tcp:
        return _TCP_LIMIT
    return SMALLEST if edns is None else max(SMALLEST, min(edns.payload, PAYLOAD))


def _assemble(query: Query, body: Body, options: bytes, *, limit: int) -> bytes:
    """Put an answer together; where it is too long, additional records go first, then it is truncated (RFC 2181 9).

    A referral is truncated for want of its glue alone: without it nobody may reach the servers (RFC 9471 section 3.1).
    """
    flags = QR | query.flags & (RD | _CD) | body.rcode & 15
    if body.authoritative:
        flags |= AA
    own = b"" if query.edns is None else opt_record(options, rcode=body.rcode, dnssec_ok=query.edns.dnssec_ok)
    count = 0 if query.edns is None else 1
    more, glue = body.additional
    size = 12 + len(query.question) + len(body.answer[1]) + len(body.authority[1]) + len(own)
    # Only a referral has both sections: a denial has no additional records, an answer no authority.
    needed = len(glue) if body.authority[0] else 0
    if size + needed > limit:
        return message(query.id, flags | TC, query.question, (_EMPTY, _EMPTY, (count, own)))
    if size + len(glue) > limit:
        more, glue = _EMPTY
    return message(query.id, flags, query.question, (body.answer, body.authority, (more + count, glue + own)))
