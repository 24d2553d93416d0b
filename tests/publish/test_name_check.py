"""What a check makes of the answers of name servers."""

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Callable
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
from edgeward.dns.view import Proofs, View
from edgeward.dns.wire import NXDOMAIN, A
from edgeward.publish import name_check
from edgeward.publish.name_check import (
    CheckReport,
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
from edgeward.publish.name_service import Situation

PORT = 5300
NOWHERE = "fe80::1%lo"
"""An address that no machine has a way to, since the loopback interface has no link; nothing is ever sent."""

FRA, SYD = (ipaddress.ip_address(address).packed for address in ("203.0.113.1", "203.0.113.3"))
STATIC = Question("mail.example.test", A, expected=Said(frozenset([FRA])))
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
        found = await ask_everything(situation)
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
        found = await ask_everything(situation)
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


CHILD = Record("child.fleet.test", "NS", "ns.child.fleet.test.")
GLUE = Record("ns.child.fleet.test", "A", "192.0.2.53")
REFERRAL = "expected a referral of child.fleet.test to ns.child.fleet.test., glue ns.child.fleet.test 192.0.2.53; got "
WILD = Record("*.wild.fleet.test", "TXT", '"w"')
DENIED = "with the SOA record of fleet.test, serial 1"


def fleet_of(addresses: tuple[str, str], settings: DnsSettings, sites: tuple[str, ...] = ()) -> Situation:
    """A fleet of two edges, which answer DNS."""
    edges = {
        name: EdgeRecord(name, name.upper(), (address,), roles=("dns",), dns_port=PORT)
        for name, address in zip(("fra", "syd"), addresses, strict=True)
    }
    return replace(situation_of(()), settings=settings, edges=edges, hostnames=dict.fromkeys(sites, ()))


async def checked(addresses: tuple[str, str], situation: Situation, *views: View) -> CheckReport:
    """What is found of two real name servers that answer from these views."""
    first, second = (Responder(view, None, secret=b"") for view in views)
    async with answering(addresses[0], first), answering(addresses[1], second):
        return await ask_everything(situation)


@pytest.mark.parametrize(
    ("right", "other", "told"),
    [
        pytest.param(
            [CHILD, GLUE],
            [CHILD, replace(GLUE, value="192.0.2.54")],
            [
                f"{name}: {REFERRAL}a referral of child.fleet.test to ns.child.fleet.test., "
                "glue ns.child.fleet.test 192.0.2.54"
                for name in ("child.fleet.test NS", "NEW.child.fleet.test A")
            ],
            id="other glue",
        ),
        pytest.param(
            [CHILD, GLUE],
            [CHILD],
            [
                f"{name}: {REFERRAL}a referral of child.fleet.test to ns.child.fleet.test., no glue"
                for name in ("child.fleet.test NS", "NEW.child.fleet.test A")
            ],
            id="no glue",
        ),
        pytest.param(
            [CHILD, GLUE],
            [GLUE],
            [
                f"child.fleet.test NS: {REFERRAL}NODATA {DENIED}",
                f"NEW.child.fleet.test A: {REFERRAL}NXDOMAIN {DENIED}",
            ],
            id="no delegation",
        ),
        pytest.param(
            [CHILD, GLUE],
            [replace(CHILD, value="ns.elsewhere.test.")],
            [
                f"{name}: {REFERRAL}a referral of child.fleet.test to ns.elsewhere.test., no glue"
                for name in ("child.fleet.test NS", "NEW.child.fleet.test A")
            ],
            id="other servers",
        ),
        pytest.param(
            [CHILD],
            [CHILD, Record("child.fleet.test", "DS", "1 13 2 " + "00" * 32)],
            [f"child.fleet.test DS: expected NODATA {DENIED}; got 1 13 2 {'00' * 32}"],
            id="a signed delegation",
        ),
        pytest.param(
            [],
            [Record("*.fleet.test", "A", "192.0.2.9")],
            [f"NEW.fleet.test A: expected NXDOMAIN {DENIED}; got 192.0.2.9"],
            id="a name that is not there",
        ),
        pytest.param(
            [],
            [Record("fleet.test", "TXT", '"x"')],
            [f'fleet.test TXT: expected NODATA {DENIED}; got "x"'],
            id="a type that is not there",
        ),
        pytest.param(
            [WILD],
            [Record("*.fleet.test", "TXT", '"w"')],
            [
                f"NEW.fleet.test A: expected NXDOMAIN {DENIED}; got NODATA {DENIED}",
            ],
            id="a wildcard in another place",
        ),
        pytest.param(
            [WILD],
            [],
            [
                f'NEW.wild.fleet.test TXT: expected "w"; got NXDOMAIN {DENIED}',
                f"NEW.wild.fleet.test HINFO: expected NODATA {DENIED}; got NXDOMAIN {DENIED}",
            ],
            id="no wildcard",
        ),
    ],
)
async def test_a_server_with_other_zones_is_told_with_what_was_expected_and_came(
    loopback_addresses: Callable[[], str], right: list[Record], other: list[Record], told: list[str]
) -> None:
    """Each difference is one sentence for each transport; the server that is right is in none."""
    addresses = (loopback_addresses(), loopback_addresses())
    situation, odd = (
        fleet_of(addresses, DnsSettings(zone="fleet.test", records=tuple(records))) for records in (right, other)
    )
    found = await checked(addresses, situation, View(situation.zones.zones), View(odd.zones.zones))
    assert sorted(re.sub(r"edgeward-check-[0-9a-f]{8}", "NEW", problem) for problem in found.problems) == sorted(
        f"syd ({addresses[1]}, {transport}): {sentence}" for sentence in told for transport in ("UDP", "TCP")
    )


async def test_a_denial_must_have_the_soa_record_of_the_settings(loopback_addresses: Callable[[], str]) -> None:
    """A server that has not heard of the settings of now says so with every denial; one without the zone refuses."""
    addresses = (loopback_addresses(), loopback_addresses())
    old, now = (fleet_of(addresses, DnsSettings(zone="fleet.test", changed=changed)) for changed in (7, 8))
    found = await checked(addresses, now, View(old.zones.zones), View(()))
    denials = [problem for problem in found.problems if "NXDOMAIN" in problem]
    wanted = "A: expected NXDOMAIN with the SOA record of fleet.test, serial 8; got"
    assert len(denials) == 4, "two servers, UDP and TCP"
    assert [f"{wanted} NXDOMAIN with the SOA record of fleet.test, serial 7" in each for each in denials[:2]] == [
        True
    ] * 2
    assert [f"{wanted} REFUSED" in each for each in denials[2:]] == [True] * 2


async def test_zones_with_everything_are_found_well(loopback_addresses: Callable[[], str]) -> None:
    """Delegations within delegations, with glue that is too much for UDP, signed; wildcards at each apex; aliases;
    names without room for a label more; names for proofs that are delegated, aliases, or set by hand.
    """
    addresses = (loopback_addresses(), loopback_addresses())
    long = ".".join(["a" * 60] * 4)
    records = (
        *(Record("big.fleet.test", "NS", f"ns{number}.big.fleet.test.") for number in range(60)),
        *(Record(f"ns{number}.big.fleet.test", "A", f"192.0.2.{number}") for number in range(60)),
        Record("signed.fleet.test", "NS", "ns-fra.fleet.test."),
        Record("signed.fleet.test", "DS", "1 13 2 " + "00" * 32),
        Record("below.signed.fleet.test", "NS", "ns.elsewhere.test."),
        Record("*.fleet.test", "A", "192.0.2.1"),
        Record("*.ns-fra.fleet.test", "CNAME", "elsewhere.test."),
        Record("alias.fleet.test", "CNAME", "fleet.test."),
        Record("*.all.test", "MX", "10 mail.all.test."),
        Record(f"*.{long[:238]}.all.test", "TXT", '"long"'),
        Record(f"{long[:236]}x.fleet.test", "TXT", '"long"'),
        Record("_acme-challenge.shop.fleet.test", "NS", "ns.elsewhere.test."),
        Record("_acme-challenge.club.fleet.test", "CNAME", "club.elsewhere.test."),
        Record("_acme-challenge.all.test", "TXT", '"set by hand"'),
    )
    settings = DnsSettings(zone="fleet.test", zones=("all.test",), records=records)
    situation = fleet_of(addresses, settings, ("blog", "shop", "club"))
    assert situation.zones.problems == ()
    view = View(situation.zones.zones)
    found = await checked(addresses, situation, view, view)
    steered = [problem for problem in found.problems if "SERVFAIL" in problem]
    assert [problem for problem in found.problems if problem not in steered] == []
    assert {re.findall(r"(\S+) A", problem)[0] for problem in steered} == {
        f"{site}.fleet.test" for site in ("blog", "shop", "club")
    }, "there is no table to steer by"


def test_a_name_that_is_not_there_is_looked_for_where_no_wildcard_is(loopback_address: str) -> None:
    """Beneath a wildcard of the whole zone, below the first name that is there and has none of its own."""
    records = [Record("*.fleet.test", "A", "192.0.2.1"), Record("*.mail.fleet.test", "A", "192.0.2.1")]
    for more, place in (([], "fleet.test"), (records, "ns-fra.fleet.test")):
        situation = situation_of((loopback_address,), *more)
        (denied,) = [each for each in _questions(situation) if each.expected and each.expected.rcode == NXDOMAIN]
        assert re.fullmatch(rf"edgeward-check-[0-9a-f]{{8}}\.{re.escape(place)} A", str(denied))


async def test_proofs_must_be_the_same_on_all_servers(loopback_addresses: Callable[[], str]) -> None:
    """None, or the same; who says what is told, and who does not know them."""
    addresses = (loopback_addresses(), loopback_addresses())
    situation = fleet_of(addresses, DnsSettings(zone="fleet.test"), ("blog",))
    name, view = "_acme-challenge.blog.fleet.test", View(situation.zones.zones)
    fra, syd = (
        [f"{edge} ({address}, {each})" for each in ("TCP", "UDP")]
        for edge, address in (("fra", addresses[0]), ("syd", addresses[1]))
    )

    async def told(first: Proofs, second: Proofs) -> list[str]:
        found = await checked(addresses, situation, replace(view, proofs=first), replace(view, proofs=second))
        return [problem for problem in found.problems if "_acme" in problem]

    one, two = (Proofs(txt={name: (text,)}) for text in ("one", "four"))
    assert await told(Proofs(), Proofs()) == []
    assert await told(one, one) == []
    (differ,) = await told(one, two)
    assert differ == f'{name} TXT: the name servers differ: {", ".join(fra)} say "one"; {", ".join(syd)} say "four"'
    (differ,) = await told(one, Proofs())
    assert differ == f'{name} TXT: the name servers differ: {", ".join(syd)} say nothing; {", ".join(fra)} say "one"'
    failed = "SERVFAIL: it does not know the proofs, as while it cannot reach the store"
    assert await told(one, Proofs(known=False)) == [f"{who}: {name} TXT: {failed}" for who in syd]
