"""What a check makes of the answers of name servers."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import pytest

from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
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
from edgeward.publish.name_service import Situation

PORT = 5300
NOWHERE = "fe80::1%lo"
"""An address that no machine has a way to, since the loopback interface has no link; nothing is ever sent."""

FRA, SYD = (ipaddress.ip_address(address).packed for address in ("203.0.113.1", "203.0.113.3"))
STATIC = Question("mail.example.test", A, expected=frozenset([FRA]))
STEERED = Question("www.example.test", A, "139.130.4.0")


def situation_of(addresses: tuple[str, ...], *records: Record) -> Situation:
    """A fleet of one edge, which answers DNS, without sites."""
    return Situation(
        settings=DnsSettings(zone="fleet.test", records=records),
        edges={"fra": EdgeRecord("fra", "FRA", addresses, roles=("dns",), dns_port=PORT)},
        hostnames={},
        out={},
        drained=frozenset(),
    )


@asynccontextmanager
async def answering(address: str, responder: Responder) -> AsyncIterator[None]:
    """A name server on an address, over UDP and TCP."""
    udp, tcp = bind([address], PORT)
    try:
        async with NameServer(responder).serving(udp[0], tcp):
            yield
    finally:
        for each in (*udp[0], *tcp):
            each.close()


def data(*addresses: bytes) -> Reply:
    return Reply(frozenset(addresses))


def test_static_records_must_be_those_of_the_settings() -> None:
    """Another address, one too many, or none is a problem that names server and question."""
    assert list(_wrong([("fra", STATIC, data(FRA))])) == []
    for reply in (data(SYD), data(FRA, SYD), data()):
        (problem,) = _wrong([("fra (192.0.2.1, UDP)", STATIC, reply)])
        assert problem == "fra (192.0.2.1, UDP): mail.example.test A: the answer is not what the settings say"
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


@pytest.mark.parametrize(("rcode", "flags", "wrong"), [(0, 0, "not authoritative"), (2, dns.flags.AA, "SERVFAIL")])
def test_what_is_no_good_answer(rcode: int, flags: int, wrong: str) -> None:
    """A code that is not NOERROR, and an answer without authority."""
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
        found = await ask_everything(situation)
    passed = (f"fra ({NOWHERE}) was not asked: this machine has no way to IPv6 addresses",)
    assert (found.problems, found.notes) == (((), passed) if four else (passed, ()))
    assert found.questions == (10 if four else 0), "SOA, NS, A and AAAA of the server, A of mail; over UDP and TCP"


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
        found = await ask_everything(situation)
    assert (found.problems, found.questions) == ((), 606), "SOA, NS, A of the server, and the records; over UDP and TCP"


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
        found = await ask_everything(situation)
    finally:
        transport.close()
    tcp, udp = found.problems
    assert tcp.startswith(f"fra ({loopback_address}, TCP): no answer to 3 questions in a row, so ")
    assert udp.startswith(f"fra ({loopback_address}, UDP): no answer to 3 questions in a row, so ")
    assert 0 < len(mute.heard) <= 2 * (name_check._AT_ONCE + 3)


def test_steered_names_are_asked_for_from_networks_of_both_families() -> None:
    """A client may have an IPv6 network and ask for A, and the other way round: 56 bits of it are told."""
    situation = replace(situation_of(("127.0.0.1",)), hostnames={"blog": ("www.fleet.test",)})
    asked = [str(each) for each in _questions(situation) if each.name == "www.fleet.test"]
    assert "www.fleet.test A for 8.8.8.0/24" in asked
    assert "www.fleet.test A for 2001:4860::/56" in asked
    assert "www.fleet.test AAAA for 2001:4860::/56" in asked
