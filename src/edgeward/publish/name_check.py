"""Ask every name server of the fleet for every name, and compare: the use-case behind `edgeward dns check`."""

import asyncio
import errno
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from edgeward.dns.fleet_zones import servers_of
from edgeward.dns.wire import AAAA, NOERROR, RCODES, SERVFAIL, TXT, A
from edgeward.publish.name_expectations import PROOF, Said, delegations, expectations, is_within, said_in, shown, texts
from edgeward.publish.name_service import Situation, read_situation
from edgeward.store.connection import Store

if TYPE_CHECKING:
    import dns.edns
    import dns.message

Transport = Literal["UDP", "TCP"]
_Way = tuple[str, int, Transport]

SAMPLES: Final = ("8.8.8.0", "139.130.4.0", "194.25.0.0", "200.160.0.0", "196.25.1.0", "202.12.27.0")
"""Client networks on six continents, told as client subnets (RFC 7871): steered names are asked for from each."""
SAMPLES_OF_IPV6: Final = ("2001:4860::", "2001:4400::")
"""The same over IPv6, of which name servers are told 56 bits (RFC 7871 section 11.1)."""

_NO_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENETUNREACH})
_SECONDS: Final = 3.0
_AT_ONCE: Final = 8
"""Questions to one server over one transport: one that is slow holds up none of the others."""
_LOST_IN_A_ROW: Final = 3
"""Questions without an answer after which a server is asked nothing more over that transport."""
_NOTHING: Final = Said()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """servers: edges that were asked. questions: how many, UDP and TCP counted apart. problems: one sentence each.

    notes: a sentence for each address that could not be asked from here, which is no fault of the fleet.
    """

    servers: tuple[str, ...]
    questions: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One question. client: network that is told as the client's, with `bits` of its address. expected: None where
    servers are only compared with each other.
    """

    name: str
    kind: int
    client: str | None = None
    expected: Said | None = None
    bits: int = 24

    def __str__(self) -> str:
        import dns.rdatatype

        told = f" for {self.client}/{self.bits}" if self.client else ""
        return f"{self.name} {dns.rdatatype.to_text(dns.rdatatype.RdataType(self.kind))}{told}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What one server said, or what went wrong.

    asked: whether this machine could ask it. lost: whether nothing came back, which may be the network's doing.
    skipped: whether it was not sent, since the server had answered nothing before. late: whether the time was over
    before it was sent, or answered.
    """

    said: Said = _NOTHING
    wrong: str = ""
    asked: bool = True
    lost: bool = False
    skipped: bool = False
    late: bool = False

    @property
    def data(self) -> frozenset[bytes]:
        """Data of the answer's records of the type asked for, in wire form."""
        return self.said.answer


class Cookies:
    """Cookies of the servers that are asked (RFC 7873): a client that is so many questions' source is over the limit of
    answers soon, and one that sends a server's own cookie back has none.

    Each server is sent a client cookie of its own, so that none can be told by another that it was asked there.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], dns.edns.CookieOption] = {}

    def of(self, address: str, port: int) -> "dns.edns.CookieOption":
        """Return the option to send to a server: without its part until there is one."""
        import dns.edns

        return self._known.setdefault((address, port), dns.edns.CookieOption(os.urandom(8), b""))

    def learn(self, address: str, port: int, answer: "dns.message.Message") -> None:
        """Keep the server's part, if the answer is to our own (RFC 7873 section 5.3)."""
        import dns.edns

        for option in answer.options:
            if isinstance(option, dns.edns.CookieOption) and option.client == self.of(address, port).client:
                self._known[address, port] = option


async def check_names(store: Store, *, within: float) -> CheckReport:
    """Ask each name server, over UDP and TCP, for everything in its zones. within: seconds that it may take.

    Static records, delegations and denials must be those of the settings; steered names and proofs must be answered
    alike by all servers, steered names with addresses of the fleet's edges. Raises NotFoundError (no DNS settings),
    StoreError.
    """
    return await ask_everything(await read_situation(store), within=within)


async def ask_everything(situation: Situation, *, within: float) -> CheckReport:
    """Do what `check_names` does, against what is expected of a situation.

    Addresses of a family that this machine has no way to are passed over with a note, unless there are no others. What
    has no answer when the time is over is counted in one problem.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    servers = [
        (edge, address, situation.edges[edge].dns_port)
        for edge in servers_of(situation.settings, situation.edges)
        for address in situation.edges[edge].addresses
    ]
    questions = list(_questions(situation))
    transports: tuple[Transport, ...] = ("UDP", "TCP")
    turns: dict[_Way, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
    lost: dict[_Way, int] = {}  # in a row, until now
    cookies = Cookies()

    async def one(address: str, port: int, question: Question, transport: Transport) -> Reply:
        way = (address, port, transport)
        try:
            async with turns[way], asyncio.timeout_at(end):
                if lost.get(way, 0) >= _LOST_IN_A_ROW:
                    return Reply(skipped=True)
                if loop.time() >= end:
                    return Reply(late=True)
                # Where nothing is answered just now, every second try would only take its time.
                reply = await ask(address, port, question, transport, cookies=cookies, tries=1 if lost.get(way) else 2)
        except TimeoutError:
            return Reply(late=True)
        lost[way] = lost.get(way, 0) + 1 if reply.lost else 0
        return reply

    tried = [(server, question, transport) for server in servers for question in questions for transport in transports]
    replies = await asyncio.gather(
        *(one(address, port, question, transport) for (_, address, port), question, transport in tried)
    )
    found: _Found = []
    passed: dict[str, None] = {}
    skipped: Counter[str] = Counter()
    late: Counter[str] = Counter()
    for ((edge, address, _), question, transport), reply in zip(tried, replies, strict=True):
        if reply.skipped:
            skipped[f"{edge} ({address}, {transport})"] += 1
        elif reply.late:
            late[f"{edge} ({address}, {transport})"] += 1
        elif reply.asked:
            found.append((f"{edge} ({address}, {transport})", question, reply))
        else:
            passed[f"{edge} ({address}) was not asked: this machine has no way to IPv6 addresses"] = None
    known = {address for record in situation.edges.values() for address in record.addresses}
    answered = [each for each in found if not (each[0] in skipped and each[2].lost)]
    problems = sorted({*_wrong(answered), *_different(found), *_strangers(found, known), *_dead(skipped)})
    problems += _late(late, within)
    names = tuple(dict.fromkeys(edge for edge, _, _ in servers))
    if not found:
        return CheckReport(names, 0, problems=(*problems, *passed))
    return CheckReport(names, len(found), tuple(problems), notes=tuple(passed))


def _questions(situation: Situation) -> Iterator[Question]:
    label = f"edgeward-check-{os.urandom(4).hex()}"
    for zone in situation.zones.zones:
        for name, kind, expected in expectations(zone, label):
            yield Question(name, kind, expected=expected)
        for name in zone.steered:
            for client in SAMPLES:
                yield Question(name, A, client)
            for client in SAMPLES_OF_IPV6:
                yield Question(name, A, client, bits=56)
                yield Question(name, AAAA, client, bits=56)
            yield Question(name, AAAA)
        cuts = delegations(zone)
        for name, by_type in zone.rrsets.items():
            if name.startswith(PROOF) and not by_type and not is_within(name, cuts):
                yield Question(name, TXT)


async def ask(
    address: str,
    port: int,
    question: Question,
    transport: Transport = "UDP",
    *,
    cookies: Cookies | None = None,
    tries: int = 2,
) -> Reply:
    """Ask one name server; over UDP, and TCP where that is too small for the answer.

    tries: how often, while nothing comes back. cookies: what is known of the servers, and is learnt from this one.
    """
    cookies = cookies or Cookies()
    reply = Reply()
    for _ in range(tries):
        reply = await _ask_once(address, port, question, transport, cookies)
        if not reply.lost:
            break
    return reply


async def _ask_once(address: str, port: int, question: Question, transport: Transport, cookies: Cookies) -> Reply:
    import dns.asyncquery
    import dns.edns
    import dns.exception
    import dns.message
    import dns.rdatatype

    options: list[dns.edns.Option] = [cookies.of(address, port)]
    if question.client:
        options.append(dns.edns.ECSOption(question.client, question.bits))
    kind = dns.rdatatype.RdataType(question.kind)
    message = dns.message.make_query(question.name, kind, use_edns=0, options=options)
    try:
        if transport == "UDP":
            answer, _ = await dns.asyncquery.udp_with_fallback(message, address, port=port, timeout=_SECONDS)
        else:
            answer = await dns.asyncquery.tcp(message, address, port=port, timeout=_SECONDS)
    except dns.exception.Timeout:
        return Reply(wrong=f"no answer within {_SECONDS:.0f} s", lost=True)
    except (OSError, EOFError, dns.exception.DNSException) as error:
        asked = not is_out_of_reach(address, error)
        return Reply(wrong=str(error) or type(error).__name__, asked=asked, lost=asked)
    cookies.learn(address, port, answer)
    return _reply(answer, question)


def is_out_of_reach(address: str, error: Exception) -> bool:
    """Whether an address could not be asked because this machine has no IPv6, or no way out with it."""
    return ":" in address and isinstance(error, OSError) and error.errno in _NO_FAMILY


def _reply(answer: "dns.message.Message", question: Question) -> Reply:
    said = said_in(answer, question.kind)
    return Reply(said, wrong="" if question.expected is not None else _unfit(said, question))


def _unfit(said: Said, question: Question) -> str:
    """Return why this cannot be the answer to a question whose answer is not known."""
    if said.rcode == SERVFAIL and question.name.startswith(PROOF):
        return "SERVFAIL: it does not know the proofs, as while it cannot reach the store"
    if said.rcode != NOERROR:
        return RCODES.get(said.rcode, str(said.rcode))
    if not said.authoritative:
        return "the answer is not authoritative"
    return "" if said.answer or said.denies else "neither records nor the SOA record of a denial"


_Found = list[tuple[str, Question, Reply]]


def _wrong(found: _Found) -> Iterator[str]:
    for who, question, reply in found:
        if reply.wrong:
            yield f"{who}: {question}: {reply.wrong}"
        elif question.expected is not None and reply.said != question.expected:
            expected, got = (shown(each, question.kind) for each in (question.expected, reply.said))
            yield f"{who}: {question}: expected {expected}; got {got}"


def _dead(skipped: Mapping[str, int]) -> Iterator[str]:
    for who, count in skipped.items():
        yield f"{who}: no answer to {_LOST_IN_A_ROW} questions in a row, so {count} more were not asked"


def _late(late: Mapping[str, int], within: float) -> list[str]:
    if not late:
        return []
    each = ", ".join(f"{count} to {who}" for who, count in late.items())
    return [f"{within:.0f} s were not enough: {sum(late.values())} questions were not asked, or not answered: {each}"]


def _different(found: _Found) -> Iterator[str]:
    """Say of a name whose servers differ, steered or of proofs, who says what."""
    by_question: dict[Question, dict[frozenset[bytes], list[str]]] = {}
    for who, question, reply in found:
        if question.expected is None and not reply.wrong:
            by_question.setdefault(question, {}).setdefault(reply.data, []).append(who)
    for question, answers in by_question.items():
        if len(answers) > 1:
            parts = [
                f"{', '.join(sorted(who))} say {texts(data, question.kind) or 'nothing'}"
                for data, who in sorted(answers.items(), key=str)
            ]
            yield f"{question}: the name servers differ: {'; '.join(parts)}"


def _strangers(found: _Found, known: set[str]) -> Iterator[str]:
    for who, question, reply in found:
        if question.expected is None and question.kind in {A, AAAA}:
            for address in addresses_in(reply.data):
                if address not in known:
                    yield f"{who}: {question}: {address} is no address of an edge"


def addresses_in(data: frozenset[bytes]) -> list[str]:
    """Return the addresses in data of A and AAAA records, as text."""
    import ipaddress

    return sorted(str(ipaddress.ip_address(each)) for each in data if len(each) in {4, 16})
