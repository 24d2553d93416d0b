"""What readers get: our answers through the resolvers that ask for them, each the real one of Debian."""

import contextlib
import functools
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from dns_resolvers import PORT, RESOLVERS, Configure, Resolver, Stubs, resolving, unbound
from dns_world import AMERICAN, AUSTRALIAN, FRANKFURT, GERMAN, RECORDS, SECRET, SYDNEY, VIRGINIA, texts, zones
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, bind
from edgeward.dns.view import View
from edgeward.errors import ServeError


class Noting(Responder):
    """A responder that notes what it is asked: name in lower case, type, over TCP or not."""

    def __init__(self, view: View, table: SteeringTable | None) -> None:
        super().__init__(view, table, secret=SECRET)
        self.asked: Counter[tuple[str, str, bool]] = Counter()
        self.spellings: set[str] = set()

    def respond(self, data: bytes, source: bytes, *, tcp: bool = False) -> bytes | None:
        (question,) = dns.message.from_wire(data).question
        name = question.name.to_text(omit_final_dot=True)
        self.asked[name.lower(), dns.rdatatype.to_text(question.rdtype), tcp] += 1
        self.spellings.add(name)
        assert source[0] == 127
        return super().respond(data, source, tcp=tcp)

    def times(self, name: str, kind: str = "A") -> int:
        return self.asked[name, kind, False] + self.asked[name, kind, True]


@contextlib.asynccontextmanager
async def answering(responder: Responder, address: str) -> AsyncIterator[None]:
    try:
        udp, tcp = bind([address], PORT)
    except ServeError as error:
        pytest.skip(f"resolvers ask port {PORT}, and this user may not listen there: {error}")
    async with NameServer(responder).serving(udp[0], tcp):
        yield
    for each in (*udp[0], *tcp):
        each.close()


REST = """
elsewhere.test 300 SOA ns.elsewhere.test. hostmaster.elsewhere.test. 1 3600 600 86400 60
elsewhere.test 300 NS ns.elsewhere.test.
ns.elsewhere.test 300 A {rest}
www.elsewhere.test 300 A 192.0.2.80
child.example.test 300 SOA ns1.child.example.test. hostmaster.child.example.test. 1 3600 600 86400 60
child.example.test 300 NS ns1.child.example.test.
ns1.child.example.test 300 A {rest}
www.child.example.test 300 A 192.0.2.81
"""
"""What other people's name servers have, behind an alias and a delegation of ours."""


class World:
    """Our server, another one that has REST, and what a resolver must be told to find both. folder: for its files."""

    def __init__(self, ours: Noting, stubs: Stubs, folder: Path) -> None:
        self.ours = ours
        self.stubs = stubs
        self.folder = folder

    def resolving(self, name: str, configure: Configure) -> contextlib.AbstractAsyncContextManager[Resolver]:
        return resolving(name, configure, self.stubs, self.folder, known="mail.example.test")


@pytest.fixture
async def world(view: View, table: SteeringTable, loopback_addresses, tmp_path) -> AsyncIterator[World]:
    """Both servers run; the delegation in our zone leads to the other one."""
    here, rest = loopback_addresses(), loopback_addresses()
    ours = Noting(replace(view, zones=zones(RECORDS.replace("192.0.2.53", rest))), table)
    others = Noting(replace(view, zones=zones(REST.replace("{rest}", rest))), None)
    stubs = Stubs({"example.test": here, "fleet.test": here, "elsewhere.test": rest}, rest)
    async with answering(ours, here), answering(others, rest):
        yield World(ours, stubs, tmp_path)


LARGE = " ".join([f'"{"x" * 250}"'] * 8)
FOUND = [
    ("mail.example.test", "A", ["192.0.2.25"]),
    ("example.test", "MX", ["10 mail.example.test."]),
    ("example.test", "TXT", ['"v=spf1 -all" "second string"']),
    ("example.test", "CAA", ['0 issue "ca.example"']),
    ("_sip._tcp.example.test", "SRV", ["1 2 5060 mail.example.test."]),
    ("ns-fra.fleet.test", "AAAA", ["2001:db8::1"]),
    ("www.example.test", "A", [FRANKFURT]),
    ("www.example.test", "AAAA", ["2001:db8::1"]),
    ("example.test", "A", [FRANKFURT]),
    ("alias.example.test", "A", ["www.example.test.", FRANKFURT]),
    ("chain.example.test", "AAAA", ["alias.example.test.", "www.example.test.", "2001:db8::1"]),
    ("a.wild.example.test", "A", ["192.0.2.99"]),
    ("a.b.wild.example.test", "TXT", ['"any"']),
    ("deep.empty.example.test", "A", ["192.0.2.97"]),
    ("large.example.test", "TXT", [LARGE]),
]
LED_AWAY = [
    ("away.example.test", "A", ["www.elsewhere.test.", "192.0.2.80"]),
    ("www.child.example.test", "A", ["192.0.2.81"]),
]
NOT_FOUND = [
    ("nothing.example.test", "A", dns.rcode.NXDOMAIN),
    ("x.mail.example.test", "A", dns.rcode.NXDOMAIN),
    ("dead.example.test", "A", dns.rcode.NXDOMAIN),
    ("nothing.fleet.test", "TXT", dns.rcode.NXDOMAIN),
    ("mail.example.test", "AAAA", dns.rcode.NOERROR),
    ("empty.example.test", "A", dns.rcode.NOERROR),
    ("sub.wild.example.test", "TXT", dns.rcode.NOERROR),
    ("www.example.test", "MX", dns.rcode.NOERROR),
]


@pytest.mark.parametrize("name", RESOLVERS)
async def test_a_resolver_resolves_every_name(world: World, name: str) -> None:
    """Static and steered names, aliases, wildcards, what is between names, names and types that are not there, and an
    answer that only TCP can carry: each comes as the zone has it.
    """
    async with world.resolving(name, RESOLVERS[name]) as resolver:
        for owner, kind, expected in FOUND:
            answer = await resolver.ask(owner, kind)
            assert (answer.rcode(), texts(answer)) == (dns.rcode.NOERROR, expected), f"{owner} {kind}"
        for owner, kind, code in NOT_FOUND:
            answer = await resolver.ask(owner, kind)
            last = [rdata for rdata in texts(answer) if not rdata.endswith(".")]
            assert (answer.rcode(), last) == (code, []), f"{owner} {kind}"
            (denial,) = answer.authority
            assert denial.rdtype == dns.rdatatype.SOA
            assert denial.ttl <= 60
    assert world.ours.asked["large.example.test", "TXT", True], "what was truncated was asked for again over TCP"


@pytest.mark.parametrize("name", ["BIND", "Unbound"])
async def test_a_resolver_finds_what_others_serve(world: World, name: str) -> None:
    """An alias out of our zones is followed, and so is a delegation, by our glue. Knot Resolver does neither in a zone
    that has a stub: it hands on what the stub's server says.
    """
    async with world.resolving(name, RESOLVERS[name]) as resolver:
        for owner, kind, expected in LED_AWAY:
            answer = await resolver.ask(owner, kind)
            assert (answer.rcode(), texts(answer)) == (dns.rcode.NOERROR, expected), f"{owner} {kind}"


@pytest.mark.parametrize("name", RESOLVERS)
async def test_answers_are_kept_for_their_time_and_no_longer(world: World, name: str) -> None:
    """A steered answer is in the resolver's cache at once, with at most the 30 s that we gave it; so is a denial."""
    async with world.resolving(name, RESOLVERS[name]) as resolver:
        for owner in ("www.example.test", "nothing.example.test"):
            first = await resolver.ask(owner)
            asked = world.ours.times(owner)
            second = await resolver.ask(owner)
            assert world.ours.times(owner) == asked >= 1
            for answer in (first, second):
                assert all(rrset.ttl <= 30 for rrset in answer.answer)


# ------------------------------------------------------------------------------------------------------ client subnets


def scope(answer: dns.message.Message) -> int:
    (option,) = [each for each in answer.options if isinstance(each, dns.edns.ECSOption)]
    return option.scopelen


@pytest.mark.parametrize("validator", [True, False], ids=["validating", "not validating"])
async def test_readers_behind_one_resolver_get_their_own_edge(world: World, table: SteeringTable, validator) -> None:
    """Unbound that forwards client subnets: each network has its answer, kept for its scope and nothing beyond."""
    forwarding = functools.partial(unbound, subnets=True, validator=validator)
    async with world.resolving("Unbound", forwarding) as resolver:
        for _ in range(2):
            for network, edge in ((AUSTRALIAN, SYDNEY), (AMERICAN, VIRGINIA)):
                answer = await resolver.ask("www.example.test", subnet=network)
                assert texts(answer) == [edge]
                assert scope(answer) == table.match(packed(network)).prefix == 24
        assert world.ours.times("www.example.test") == 2, "once for each network"

        # A German network has the same order of edges as all around it of which nothing is known.
        wide = table.match(packed(GERMAN)).prefix
        assert 1 <= wide < 8
        for network in (GERMAN, "195.1.2.0/24", "215.3.2.0/24"):
            answer = await resolver.ask("www.example.test", subnet=network)
            assert (texts(answer), scope(answer)) == ([FRANKFURT], wide)
        assert world.ours.times("www.example.test") == 3, "one answer serves its whole scope"
        await resolver.ask("www.example.test", subnet="130.1.2.0/24")
        assert world.ours.times("www.example.test") == 4, "and no network outside of it"


async def test_what_is_the_same_for_all_is_asked_for_once(world: World) -> None:
    """Scope 0 (RFC 7871 section 7.2.1): Unbound has one answer for static names and denials, whoever asks."""
    async with world.resolving("Unbound", functools.partial(unbound, subnets=True)) as resolver:
        for owner in ("a.wild.example.test", "nothing.example.test"):
            for network in (AUSTRALIAN, GERMAN, "198.51.100.0/24"):
                assert scope(await resolver.ask(owner, subnet=network)) == 0
            assert world.ours.times(owner) == 1


async def test_names_in_mixed_case_are_taken_as_they_come(world: World) -> None:
    """Unbound mixes cases and takes no answer whose question is spelled otherwise."""
    async with world.resolving("Unbound", unbound) as resolver:
        assert texts(await resolver.ask("a-long-name.wild.example.test")) == ["192.0.2.99"]
    (spelling,) = [each for each in world.ours.spellings if each.lower().startswith("a-long-name")]
    assert spelling != spelling.lower()


def packed(network: str) -> bytes:
    return ipaddress.ip_network(network).network_address.packed
