"""What a check makes of the answers of name servers."""

import asyncio
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import pytest

from checking import PORT, answering, fleet_of, situation_of
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.dns.limits import RateLimiter, Rates
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, bind
from edgeward.dns.view import View
from edgeward.dns.wire import A
from edgeward.publish import name_check
from edgeward.publish.name_check import (
    Question,
    Reply,
    _different,
    _questions,
    _reply,
    _strangers,
    _wrong,
    ask,
    ask_everything,
)
from edgeward.publish.name_expectations import Said

NOWHERE = "fe80::1%lo"
"""An address that no machine has a way to, since the loopback interface has no link; nothing is ever sent."""

FRA, SYD = (ipaddress.ip_address(address).packed for address in ("203.0.113.1", "203.0.113.3"))
STATIC = Question("mail.example.test", A, expected=Said(frozenset([FRA])))
STEERED = Question("www.example.test", A, "139.130.4.0")


def data(*addresses: bytes) -> Reply:
    return Reply(Said(frozenset(addresses)))


def test_static_records_must_be_those_of_the_settings() -> None:
    """Another address, one too many, or none is a problem that names server and question."""
    assert list(_wrong([("fra", STATIC, data(FRA))])) == []
    for reply, got in (
        (data(SYD), "203.0.113.3"),
        (data(FRA, SYD), "203.0.113.1, 203.0.113.3"),
        (data(), "NODATA without a SOA record"),
    ):
        (problem,) = _wrong([("fra (192.0.2.1, UDP)", STATIC, reply)])
        assert problem == f"fra (192.0.2.1, UDP): mail.example.test A: expected 203.0.113.1; got {got}"
    (failed,) = _wrong([("fra", STEERED, Reply(wrong="SERVFAIL"))])
    assert failed == "fra: www.example.test A for 139.130.4.0/24: SERVFAIL"


def test_servers_must_agree_on_steered_names() -> None:
    """Who says what is told, once; a server that said nothing is not said to differ."""
    same = [("fra", STEERED, data(SYD)), ("syd", STEERED, data(SYD)), ("iad", STEERED, Reply(wrong="no answer"))]
    assert list(_different(same)) == []
    (problem,) = _different([*same, ("gru", STEERED, data(FRA))])
    assert "the name servers differ" in problem
    assert "gru say 203.0.113.1" in problem
    assert "fra, syd say 203.0.113.3" in problem


def test_addresses_must_be_those_of_edges() -> None:
    """An address that no edge has is somebody else's."""
    found = [("fra", STEERED, data(FRA, SYD))]
    assert list(_strangers(found, {"203.0.113.1", "203.0.113.3"})) == []
    (problem,) = _strangers(found, {"203.0.113.1"})
    assert "203.0.113.3 is no address of an edge" in problem


@pytest.mark.parametrize(
    ("rcode", "flags", "wrong"),
    [(0, 0, "not authoritative"), (2, dns.flags.AA, "SERVFAIL"), (0, dns.flags.AA, "neither records nor the SOA")],
)
def test_what_is_no_good_answer(rcode: int, flags: int, wrong: str) -> None:
    """A code that is not NOERROR, an answer without authority, and one that says nothing and does not deny either."""
    answer = dns.message.make_response(dns.message.make_query("www.example.test", "A"))
    answer.set_rcode(dns.rcode.Rcode(rcode))
    answer.flags |= flags
    assert wrong in _reply(answer, STEERED).wrong


@pytest.mark.parametrize("four", [True, False])
async def test_addresses_that_this_machine_has_no_way_to_are_passed_over(loopback_address: str, *, four: bool) -> None:
    """A machine without IPv6 finds a fleet well over IPv4, with a note for each address; if there are no others, that
    nobody could be asked is the problem.
    """
    addresses = (loopback_address, NOWHERE) if four else (NOWHERE,)
    situation = situation_of(addresses, Record("mail.fleet.test", "A", "192.0.2.25"))
    responder = Responder(View(situation.zones.zones), None, secret=b"")
    async with answering(loopback_address, responder):
        found = await ask_everything(situation, within=60)
    passed = (f"fra ({NOWHERE}) was not asked: this machine has no way to IPv6 addresses",)
    assert (found.problems, found.notes) == (((), passed) if four else (passed, ()))
    assert found.questions == (16 if four else 0), "SOA, NS, A and AAAA of the server, A of mail, denials; twice"


@pytest.mark.parametrize("slip", [0, 2], ids=["all dropped", "every second truncated"])
async def test_a_server_with_a_limit_of_answers_is_found_well(loopback_address: str, slip: int) -> None:
    """Past the limit, one answer a second, what was asked without a cookie is lost, and had by asking once more with
    the cookie that another answer brought; nothing that is asked with a cookie is lost.
    """
    records = [Record(f"h{number}.fleet.test", "A", "192.0.2.25") for number in range(300)]
    situation = situation_of((loopback_address,), *records)
    limiter = RateLimiter(Rates(per_second=1, burst=1, slip=slip))
    responder = Responder(View(situation.zones.zones), None, secret=bytes(16), limiter=limiter)
    async with answering(loopback_address, responder):
        found = await ask_everything(situation, within=60)
    assert (found.problems, found.questions) == ((), 612), (
        "SOA, NS, A of the server, records, denials; over UDP and TCP"
    )


class Mute(asyncio.DatagramProtocol):
    """A server that hears everything and says nothing."""

    def __init__(self) -> None:
        self.heard: list[dns.message.Message] = []

    def datagram_received(self, data: bytes, _: object) -> None:
        self.heard.append(dns.message.from_wire(data))


async def test_what_is_lost_is_asked_once_more(loopback_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, and no more, with one client cookie; a server that says nothing is a problem then."""
    monkeypatch.setattr(name_check, "_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    transport, mute = await loop.create_datagram_endpoint(Mute, local_addr=(loopback_address, PORT))
    try:
        reply = await ask(loopback_address, PORT, STATIC)
    finally:
        transport.close()
    assert reply.lost
    assert reply.wrong.startswith("no answer within")
    assert [str(each.question[0].name) for each in mute.heard] == ["mail.example.test."] * 2
    first, second = ([option.to_wire() for option in each.options] for each in mute.heard)
    assert first == second
    assert [len(option) for option in first] == [8], "a client cookie alone, until the server has sent its own"


async def test_a_dead_server_is_asked_little_and_named_once(
    loopback_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 303 questions it gets those under way when it is found dead; one problem for each transport says so."""
    monkeypatch.setattr(name_check, "_SECONDS", 0.2)
    records = [Record(f"h{number}.fleet.test", "A", "192.0.2.25") for number in range(300)]
    situation = situation_of((loopback_address,), *records)
    loop = asyncio.get_running_loop()
    transport, mute = await loop.create_datagram_endpoint(Mute, local_addr=(loopback_address, PORT))
    try:
        found = await ask_everything(situation, within=60)
    finally:
        transport.close()
    tcp, udp = found.problems
    assert tcp.startswith(f"fra ({loopback_address}, TCP): no answer to 3 questions in a row, so ")
    assert udp.startswith(f"fra ({loopback_address}, UDP): no answer to 3 questions in a row, so ")
    assert 0 < len(mute.heard) <= 2 * (name_check._AT_ONCE + 3)


class Slow(asyncio.DatagramProtocol):
    """A server that answers each question when it hears it for the second time."""

    def __init__(self, responder: Responder) -> None:
        self.responder = responder
        self.heard: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        question = str(dns.message.from_wire(data).question[0])
        self.heard[question] += 1
        if self.heard[question] == 2:
            answer = self.responder.respond(data, ipaddress.ip_address(source[0]).packed)
            assert answer is not None
            self.transport.sendto(answer, source)


async def test_a_check_ends_when_its_time_is_over(
    loopback_addresses: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server answers, but every question takes half a second: of the other all is known, of this one what there was
    time for; one line says what was not asked. Without an end it would take four seconds at least.
    """
    monkeypatch.setattr(name_check, "_SECONDS", 0.5)
    addresses = (loopback_addresses(), loopback_addresses())
    records = tuple(Record(f"h{number}.fleet.test", "A", "192.0.2.25") for number in range(60))
    situation = fleet_of(addresses, DnsSettings(zone="fleet.test", records=records))
    responder = Responder(View(situation.zones.zones), None, secret=b"")
    (udp,), tcp = bind([addresses[1]], PORT)
    loop = asyncio.get_running_loop()
    transport, slow = await loop.create_datagram_endpoint(lambda: Slow(responder), sock=udp[0])
    async with answering(addresses[0], responder), NameServer(responder).serving([], tcp):
        found = await ask_everything(situation, within=2.0)
    for each in (transport, *tcp):
        each.close()
    (problem,) = found.problems
    told = re.fullmatch(
        rf"2 s were not enough: (\d+) questions were not asked, or not answered: \1 to syd \({addresses[1]}, UDP\)",
        problem,
    )
    assert told
    late, each = int(told[1]), len(list(_questions(situation)))
    assert found.questions == 4 * each - late, "two servers, UDP and TCP"
    assert late < each, "what was answered in time is counted"
    assert len(slow.heard) < each, "most of what was late was never sent"


def test_steered_names_are_asked_for_from_networks_of_both_families() -> None:
    """A client may have an IPv6 network and ask for A, and the other way round: 56 bits of it are told."""
    situation = replace(situation_of(("127.0.0.1",)), hostnames={"blog": ("www.fleet.test",)})
    asked = [str(each) for each in _questions(situation) if each.name == "www.fleet.test"]
    assert "www.fleet.test A for 8.8.8.0/24" in asked
    assert "www.fleet.test A for 2001:4860::/56" in asked
    assert "www.fleet.test AAAA for 2001:4860::/56" in asked
