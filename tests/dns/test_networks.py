"""A network has one answer: told as a client subnet, or as the address that asks."""

import random
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_world import NOWHERE, SECRET, edges, query, subnet, texts, zones
from edgeward.core.geography import Place
from edgeward.core.steering import build
from edgeward.dns.responder import Responder
from edgeward.dns.view import View

ELSEWHERE = ip_address(NOWHERE).packed
PLACES = (Place(51.0, 10.0), Place(39.0, -80.0), Place(-33.0, 148.0), Place(45.0, -30.0), Place(20.0, 80.0))
FAMILIES = st.sampled_from(((32, 32), (128, 64)))
"""Bits of an address, and of the longest prefix that tables tell apart."""


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network | IPv6Network:
    """Of either family, of any size; many share their first bits, so that they lie in and beside each other."""
    bits, longest = draw(FAMILIES)
    first = draw(st.sampled_from((0, 1, (1 << bits) - 1, 0xA5 << bits - 8)) | st.integers(0, (1 << bits) - 1))
    first ^= draw(st.integers(0, (1 << longest) - 1)) << bits - longest >> draw(st.integers(0, longest))
    return ip_network((first.to_bytes(bits // 8), draw(st.integers(1, longest))), strict=False)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Responder, IPv4Network | IPv6Network]:
    """A responder with a real table, and a network: one that the table knows, around or in one, or any other."""
    known = draw(st.dictionaries(networks(), st.sampled_from(PLACES), max_size=12))
    table = build(edges(), geography=[(network, place, "somewhere") for network, place in known.items()])
    view = View(zones(), server="fra", margin=draw(st.sampled_from((0.0, 15.0, 80.0))))
    asked = draw(st.sampled_from(list(known)) | networks() if known else networks())
    length = draw(st.integers(1, asked.max_prefixlen))
    asked = ip_network((draw(st.sampled_from((asked[0], asked[-1]))).packed, length), strict=False)
    return Responder(view, table, secret=SECRET), asked


def answered(responder: Responder, data: bytes, source: bytes) -> dns.message.Message:
    """What comes over TCP, which over UDP is the same the first time and from memory."""
    (raw,) = {responder.respond(data, source, tcp=tcp) for tcp in (False, False, True)}
    assert raw is not None
    return dns.message.from_wire(raw)


@settings(max_examples=400)
@given(worlds(), st.sampled_from(("A", "AAAA")), st.randoms(use_true_random=False))
def test_a_network_has_the_same_answer_as_a_subnet_and_as_the_address_that_asks(
    world: tuple[Responder, IPv4Network | IPv6Network], kind: str, chance: random.Random
) -> None:
    """For its first address, and for all in the scope of the answer, whoever else asks for them."""
    responder, network = world
    told = answered(responder, query("www.example.test", kind, options=[subnet(str(network))]).to_wire(), ELSEWHERE)
    (option,) = told.options
    assert (option.address, option.srclen) == (str(network[0]), network.prefixlen)
    scope = ip_network((network[0].packed, option.scopelen), strict=False)
    inside = {network[0], scope[0], scope[-1], scope[chance.randrange(scope.num_addresses)]}
    for address in inside:
        own = answered(responder, query("www.example.test", kind).to_wire(), address.packed)
        assert texts(own) == texts(told) != []
        again = subnet(f"{address}/{scope.max_prefixlen}")
        alone = answered(responder, query("www.example.test", kind, options=[again]).to_wire(), ELSEWHERE)
        assert (texts(alone), alone.options[0].scopelen) == (texts(told), option.scopelen)


def test_those_networks_have_different_answers() -> None:
    """The property above would hold of a server that answers all alike: among so many worlds there are all answers."""
    seen: dict[str, set[str]] = {"A": set(), "AAAA": set()}

    @settings(max_examples=200, derandomize=True)
    @given(worlds())
    def look(world: tuple[Responder, IPv4Network | IPv6Network]) -> None:
        responder, network = world
        for kind, found in seen.items():
            asked = query("www.example.test", kind, options=[subnet(str(network))])
            found.update(texts(answered(responder, asked.to_wire(), ELSEWHERE)))

    look()
    assert {kind: len(found) for kind, found in seen.items()} == {"A": 3, "AAAA": 2}
