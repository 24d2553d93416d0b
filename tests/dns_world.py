"""A small world of zones and edges that the tests of the name server ask about, and how they ask."""

import ipaddress

import dns.edns
import dns.message
import dns.rdata
import dns.rdatatype

from dns_sockets import SOCKETS
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord
from edgeward.core.geography import Place
from edgeward.core.orders import SteeredEdge
from edgeward.dns.fleet_zones import fleet_zones
from edgeward.dns.records import rendered
from edgeward.dns.responder import Responder
from edgeward.dns.view import View
from edgeward.dns.wire import SMALLEST
from edgeward.dns.zone import RRset, Zone

SECRET = bytes(range(16))
NOW = 1_790_000_000
"""Seconds since the epoch, wherever a responder is not given a clock."""
FRANKFURT, VIRGINIA, SYDNEY = "203.0.113.1", "203.0.113.2", "203.0.113.3"
GERMAN, AUSTRALIAN, AMERICAN = "194.25.0.0/24", "139.130.4.0/24", "8.8.8.0/24"
PLACES = (
    (ipaddress.ip_network(GERMAN), Place(51.0, 10.0), "Germany"),
    (ipaddress.ip_network(AUSTRALIAN), Place(-33.0, 148.0), "Australia"),
    (ipaddress.ip_network(AMERICAN), Place(39.0, -80.0), "United States"),
    (ipaddress.ip_network("2001:db8:a::/48"), Place(-33.0, 148.0), "Australia"),
    (ipaddress.ip_network("127.1.0.0/16"), Place(51.0, 10.0), "Germany"),
    (ipaddress.ip_network("127.2.0.0/16"), Place(-33.0, 148.0), "Australia"),
    (ipaddress.ip_network("127.3.0.0/16"), Place(39.0, -80.0), "United States"),
)
"""Networks with where they are: three of IPv4 and one of IPv6, and as many of this machine, to ask from."""
CLIENTS = {"fra": "127.1.0.7", "syd": "127.2.0.5", "iad": "127.3.0.8"}
"""Addresses that are near an edge, and of this machine."""
NOWHERE = "127.0.0.1"
"""The address of a client of which nothing is known."""

RECORDS = """
fleet.test 86400 SOA ns-fra.fleet.test. hostmaster.fleet.test. 7 3600 600 86400 60
fleet.test 86400 NS ns-fra.fleet.test.
fleet.test 86400 NS ns-syd.fleet.test.
ns-fra.fleet.test 86400 A 203.0.113.1
ns-fra.fleet.test 86400 AAAA 2001:db8::1
ns-syd.fleet.test 86400 A 203.0.113.3
example.test 86400 SOA ns-fra.fleet.test. hostmaster.fleet.test. 7 3600 600 86400 60
example.test 86400 NS ns-fra.fleet.test.
example.test 86400 NS ns-syd.fleet.test.
example.test 300 MX 10 mail.example.test.
example.test 300 TXT "v=spf1 -all" "second string"
example.test 300 CAA 0 issue "ca.example"
mail.example.test 300 A 192.0.2.25
_sip._tcp.example.test 300 SRV 1 2 5060 mail.example.test.
alias.example.test 300 CNAME www.example.test.
chain.example.test 300 CNAME alias.example.test.
away.example.test 300 CNAME www.elsewhere.test.
dead.example.test 300 CNAME nothing.example.test.
loop.example.test 300 CNAME pool.example.test.
pool.example.test 300 CNAME loop.example.test.
*.wild.example.test 300 A 192.0.2.99
*.wild.example.test 300 TXT "any"
below.sub.wild.example.test 300 A 192.0.2.98
deep.empty.example.test 300 A 192.0.2.97
child.example.test 300 NS ns1.child.example.test.
child.example.test 300 NS ns.elsewhere.test.
child.example.test 300 DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns1.child.example.test 300 A 192.0.2.53
large.example.test 300 TXT "{large}"
"""
STEERED = {"example.test": "www", "www.example.test": "www"}

ROLES = ("http", "dns")
EDGES = {
    "fra": EdgeRecord("fra", "FRA", ("203.0.113.1", "2001:db8::1"), roles=ROLES),
    "iad": EdgeRecord("iad", "IAD", ("203.0.113.2",)),
    "syd": EdgeRecord("syd", "SYD", ("203.0.113.3", "2001:db8::3"), roles=ROLES),
}
SITES = {"www": ("example.test", "www.example.test"), "blog": ("blog.elsewhere.test",)}
"""A fleet's edges and sites by name, as its store has them: one edge answers no DNS."""


def zones(records: str = RECORDS) -> tuple[Zone, ...]:
    """The zones of a text like the one above: each begins with a SOA record."""
    large = '" "'.join("x" * 250 for _ in range(8))
    rows = [line.split(" ", 3) for line in records.replace("{large}", large).strip().splitlines()]
    made: dict[str, dict[str, dict[int, list[tuple[int, bytes]]]]] = {}
    for owner, ttl, kind, text in rows:
        if kind == "SOA":
            made[owner] = {}
        origin = next(each for each in reversed(made) if owner == each or owner.endswith(f".{each}"))
        by_type = made[origin].setdefault(owner, {})
        rdata = dns.rdata.from_text("IN", kind, text).to_wire()
        by_type.setdefault(int(dns.rdatatype.from_text(kind)), []).append((int(ttl), rdata))
    return tuple(
        Zone(
            origin,
            {
                owner: {kind: RRset(rows[0][0], tuple(data for _, data in rows)) for kind, rows in by_type.items()}
                for owner, by_type in owners.items()
            },
            STEERED if origin == "example.test" else {},
        )
        for origin, owners in made.items()
    )


def edges() -> tuple[SteeredEdge, ...]:
    """Three edges, far from each other; the one in Virginia has no IPv6 address."""
    return (
        SteeredEdge("fra", Place(50.03, 8.57), (FRANKFURT, "2001:db8::1")),
        SteeredEdge("iad", Place(38.94, -77.46), (VIRGINIA,)),
        SteeredEdge("syd", Place(-33.95, 151.18), (SYDNEY, "2001:db8::3")),
    )


def respond(settings: DnsSettings, table, sites=None) -> Responder:
    """A responder of the zones that these settings make of that fleet."""
    made = fleet_zones(settings, EDGES, SITES if sites is None else sites, render=rendered)
    return Responder(View(made.zones, server="fra"), table, secret=SECRET)


def exchange(responder: Responder, data: bytes, *, source: str = NOWHERE, tcp: bool | None = None) -> bytes:
    """Return the answer to a message that is sent over real sockets: by UDP, or by TCP.

    tcp: None for both, which must then answer alike as far as UDP has room; returned is what came over UDP.
    """
    streamed = None if tcp is False else SOCKETS.over_tcp(responder, data, source=source)
    if tcp:
        assert streamed is not None
        return streamed
    (answer,) = SOCKETS.over_udp(responder, data, source=source)
    if tcp is None:
        assert streamed is not None
        assert streamed == answer or len(streamed) > SMALLEST
    return answer


def is_unanswered(responder: Responder, data: bytes) -> bool:
    """Whether nothing comes back: over UDP only the answer to what is sent behind it; a TCP connection is closed."""
    behind = query("example.test", "SOA")
    (first,) = SOCKETS.over_udp(responder, data, behind.to_wire(), source=NOWHERE)
    is_next = first[:2] == behind.id.to_bytes(2, "big") != data[:2]
    return is_next and SOCKETS.over_tcp(responder, data, source=NOWHERE) is None


def ask(
    responder: Responder, query: dns.message.Message, *, source: str = NOWHERE, tcp: bool | None = None
) -> dns.message.Message:
    """Return the answer to a question, which must have one that is well-formed and belongs to it (see `exchange`)."""
    answer = dns.message.from_wire(exchange(responder, query.to_wire(), source=source, tcp=tcp))
    assert answer.id == query.id
    return answer


def query(name: str, kind: str = "A", **options) -> dns.message.Message:
    return dns.message.make_query(name, kind, **options)


def subnet(network: str) -> dns.edns.ECSOption:
    """The option that tells of a client subnet."""
    address, _, length = network.partition("/")
    return dns.edns.ECSOption(address, int(length))


def texts(answer: dns.message.Message) -> list[str]:
    return [str(rdata) for rrset in answer.answer for rdata in rrset]


def is_denial(answer: dns.message.Message) -> bool:
    """Whether the authority section is the zone's SOA with the TTL of denials."""
    (rrset,) = answer.authority
    return rrset.rdtype == dns.rdatatype.SOA and rrset.ttl == 60 and not answer.answer
