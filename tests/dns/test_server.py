"""The name server on real sockets, asked by the tools that people use."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from dns_world import FRANKFURT, SECRET, SYDNEY
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.limits import RateLimiter, Rates, client_of
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, bind, packed
from edgeward.dns.view import View
from edgeward.errors import ServeError

PORT = 5300


class Running:
    """A name server on an address of its own."""

    def __init__(self, address: str, server: NameServer) -> None:
        self.address = address
        self.server = server

    def dig(self, *arguments: str) -> tuple[str, ...]:
        return ("dig", f"@{self.address}", "-p", str(PORT), "+tries=1", "+time=5", *arguments)


@pytest.fixture
async def running(responder: Responder, loopback_address: str) -> AsyncIterator[Running]:
    """A server of its own."""
    udp, tcp = bind([loopback_address], PORT)
    server = NameServer(responder)
    async with server.serving(udp[0], tcp):
        yield Running(loopback_address, server)
    for each in (*udp[0], *tcp):
        each.close()


async def test_dig_gets_the_nearest_edge_for_a_subnet(running: Running, run_tool) -> None:
    """UDP and TCP, with the client subnet of the demo."""
    for extra in ((), ("+tcp",)):
        out = await run_tool(*running.dig("www.example.test", "+subnet=139.130.4.0/24", *extra))
        assert SYDNEY in out
        assert re.search(r"CLIENT-SUBNET: 139\.130\.4\.0/24/[1-9]", out)
        assert "status: NOERROR" in out
    out = await run_tool(*running.dig("+short", "www.example.test", "+subnet=194.25.0.0/24"))
    assert out.split() == [FRANKFURT]
    out = await run_tool(*running.dig("www.example.test", "+subnet=0"))
    assert "status: NOERROR" in out


async def test_it_answers_over_ipv6(responder: Responder) -> None:
    """UDP and TCP over ::1, for A and AAAA records, the first time and from memory."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
        try:
            free.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"there is no IPv6 here: {error}")
        port = free.getsockname()[1]
    udp, tcp = bind(["::1"], port)
    async with NameServer(responder).serving(udp[0], tcp):
        asked = dns.message.make_query("www.example.test", "A", use_edns=0)
        told = dns.message.make_query(
            "www.example.test", "AAAA", use_edns=0, options=[dns.edns.ECSOption("2001:db8:a::", 48)]
        )
        for message, expected in ((asked, FRANKFURT), (told, "2001:db8::3")):
            for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
                for _ in range(2):
                    answer = await ask(message, "::1", port=port, timeout=5)
                    assert [str(rdata) for rrset in answer.answer for rdata in rrset] == [expected]
    for each in (*udp[0], *tcp):
        each.close()


async def test_the_tools_agree(running: Running, run_tool) -> None:
    """dig, kdig, drill and delv read the same answers."""
    tools = {
        "dig": lambda name, kind: running.dig("+short", name, kind),
        "kdig": lambda name, kind: ("kdig", f"@{running.address}", "-p", str(PORT), "+short", name, kind),
        "drill": lambda name, kind: ("drill", "-p", str(PORT), f"@{running.address}", name, kind),
        "delv": lambda name, kind: ("delv", "-i", f"@{running.address}", "-p", str(PORT), "+short", name, kind),
    }
    for name, kind, expected in (
        ("mail.example.test", "A", "192.0.2.25"),
        ("example.test", "MX", "10 mail.example.test."),
        ("a.wild.example.test", "A", "192.0.2.99"),
        ("example.test", "CAA", '0 issue "ca.example"'),
    ):
        for tool, command in tools.items():
            out = " ".join((await run_tool(*command(name, kind))).split())
            assert expected in out, f"{tool}: {out}"


SOA = "example.test. 60 IN SOA ns-fra.fleet.test. hostmaster.fleet.test. 7 3600 600 86400 60"
CASES = (
    ("nothing.example.test", "A", "NXDOMAIN", "qr aa", (SOA,), "ncache nxdomain"),
    ("mail.example.test", "AAAA", "NOERROR", "qr aa", (SOA,), "ncache nxrrset"),
    ("www.example.test", "A", "NOERROR", "qr aa", (f"www.example.test. 30 IN A {FRANKFURT}",), FRANKFURT),
    (
        "chain.example.test", "A", "NOERROR", "qr aa",
        (
            "chain.example.test. 300 IN CNAME alias.example.test.",
            "alias.example.test. 300 IN CNAME www.example.test.",
            f"www.example.test. 30 IN A {FRANKFURT}",
        ),
        f"alias.example.test. 300 IN CNAME www.example.test. www.example.test. 30 IN A {FRANKFURT}",
    ),
    (
        "www.child.example.test", "A", "NOERROR", "qr",
        (
            "child.example.test. 300 IN NS ns1.child.example.test.",
            "child.example.test. 300 IN NS ns.elsewhere.test.",
            "ns1.child.example.test. 300 IN A 192.0.2.53",
        ),
        "referral",
    ),
)  # fmt: skip
"""Name, type, code, flags, records, and what delv says, which goes on as a resolver would."""


@pytest.mark.parametrize(("name", "kind", "rcode", "flags", "records", "resolved"), CASES, ids=[c[0] for c in CASES])
async def test_the_tools_agree_on_every_kind_of_answer(
    running: Running, run_tool, name: str, kind: str, rcode: str, flags: str, records: tuple[str, ...], resolved: str
) -> None:
    """Steered, aliases, no such name, no such type, a referral with glue: code, flags, records, and nothing more."""
    at = (f"@{running.address}", "-p", str(PORT))
    for tool, command in {
        "dig": running.dig("+norecurse", name, kind),
        "kdig": ("kdig", "+norecurse", *at, name, kind),
        "drill": ("drill", "-o", "rd", *at, name, kind),
    }.items():
        out = await run_tool(*command)
        assert re.search(rf"(?:status|rcode): {rcode}\b", out), f"{tool}: {out}"
        assert re.search(rf"flags: {flags} ?;", out, re.IGNORECASE), f"{tool}: {out}"
        lines = {" ".join(line.split()) for line in out.splitlines() if line and not line.startswith(";")}
        assert lines == set(records), f"{tool}: {out}"
    assert resolved in " ".join((await run_tool("delv", "-i", *at, name, kind)).split())


async def test_the_tools_agree_on_edns(running: Running, run_tool) -> None:
    """Client subnet, NSID, a cookie that is taken for good and known again, and BADVERS for version 1."""
    at = (f"@{running.address}", "-p", str(PORT))
    asked = ("+nsid", "+subnet=139.130.4.0/24", "+cookie=0123456789abcdef", "www.example.test")
    told = await run_tool(*running.dig(*asked))
    cookie = re.search(r"COOKIE: (0123456789abcdef[0-9a-f]{32}) \(good\)", told)
    assert cookie, told
    assert '("fra")' in told
    for out in (told, await run_tool("kdig", *at, *asked)):
        assert re.search(r"CLIENT-SUBNET: 139\.130\.4\.0/24/[1-9]", out), out
        assert "NSID: " in out
        assert SYDNEY in out
        assert FRANKFURT not in out
    again = await run_tool(*running.dig(f"+cookie={cookie[1]}", "mail.example.test"))
    assert f"COOKIE: {cookie[1]} (good)" in again
    for command in (running.dig("+edns=1", "+noednsnegotiation"), ("kdig", *at, "+edns=1")):
        out = await run_tool(*command, "mail.example.test")
        assert "status: BADVERS" in out
        assert re.search(r"version: 0", out, re.IGNORECASE)
        assert "192.0.2.25" not in out


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
async def test_dig_can_ask_for_a_cookie_alone(running: Running, run_tool, transport: str) -> None:
    """A message without a question (RFC 7873 section 5.4): a good cookie, which the next one has confirmed. One that is
    not ours is BADCOOKIE. Without a cookie it is a format error.
    """
    ask = (transport, "+header-only", "+norecurse", "+nobadcookie")
    told = await run_tool(*running.dig(*ask, "+cookie=0123456789abcdef"))
    cookie = re.search(r"COOKIE: (0123456789abcdef[0-9a-f]{32}) \(good\)", told)
    assert cookie, told
    for out in (told, await run_tool(*running.dig(*ask, f"+cookie={cookie[1]}"))):
        assert "status: NOERROR" in out
        assert "flags: qr; QUERY: 0, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 1" in out
        assert cookie[1] in out
    other = await run_tool(*running.dig(*ask, f"+cookie=0123456789abcdef{'00' * 16}"))
    assert "status: BADCOOKIE" in other
    assert cookie[1][:16] in other
    assert "status: FORMERR" in await run_tool(*running.dig(*ask, "+nocookie"))


async def test_a_flood_is_answered_in_part_and_who_is_there_comes_back_over_tcp(
    table, view, loopback_address: str, run_tool
) -> None:
    """Past the limit every second answer is truncated and the others are left out; dig, told so, asks over TCP, and
    with a cookie of the server's it is answered over UDP.
    """
    limiter = RateLimiter(Rates(per_second=1, burst=1, slip=2))
    responder = Responder(view, table, secret=SECRET, limiter=limiter, steady=lambda: 0.0)
    udp, tcp = bind([loopback_address], PORT)
    server = NameServer(responder)
    async with server.serving(udp[0], tcp):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((loopback_address, PORT))
            for number in range(1, 10):
                client.send(dns.message.make_query("mail.example.test", "A", id=number).to_wire())
            loop, found = asyncio.get_running_loop(), []
            while not found or found[-1].id != 9:
                async with asyncio.timeout(5):
                    found.append(dns.message.from_wire(await loop.sock_recv(client, 4096)))
        seen = [(each.id, bool(each.flags & dns.flags.TC), len(each.answer)) for each in found]
        assert seen == [(1, False, 1), *((number, True, 0) for number in (3, 5, 7, 9))]
        dig = ("dig", f"@{loopback_address}", "-p", str(PORT), "+tries=2", "+time=1", "mail.example.test")
        out = await run_tool(*dig)
        assert "Truncated, retrying in TCP mode" in out
        assert "192.0.2.25" in out
        cookie = re.search(r"COOKIE: ([0-9a-f]{48}) \(good\)", out)
        assert cookie, out
        for _ in range(3):
            out = await run_tool(*dig, f"+cookie={cookie[1]}")
            assert "Truncated" not in out
            assert "192.0.2.25" in out
    for each in (*udp[0], *tcp):
        each.close()


async def test_a_truncated_answer_is_asked_again_over_tcp(running: Running, run_tool) -> None:
    """As every resolver does."""
    out = await run_tool(*running.dig("large.example.test", "TXT"))
    assert "Truncated, retrying in TCP mode" in out
    assert out.count("x" * 250) == 8


async def test_a_new_view_loses_no_question(running: Running, responder: Responder, view) -> None:
    """Questions in a row while views are swapped a hundred times: each is answered."""

    async def ask_on() -> int:
        for _ in range(300):
            message = dns.message.make_query("www.example.test", "A")
            answer = await dns.asyncquery.udp(message, running.address, port=PORT, timeout=5)
            assert answer.rcode() == dns.rcode.NOERROR
        return 300

    async def swap() -> None:
        for _ in range(100):
            responder.replace(view=view)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask_on())
        group.create_task(swap())
    assert asked.result() == 300


async def test_what_raises_is_answered_with_servfail_and_told_now_and_then(
    table: SteeringTable, view: View, loopback_address: str, run_tool, caplog: pytest.LogCaptureFixture
) -> None:
    """A table whose memory has become unsound after it was read: steered names fail over UDP and TCP, with the question
    and EDNS, again and again; all others are answered; the log has the error once, with a count, not once for each.
    """
    memory = bytearray(table.to_bytes())
    broken = SteeringTable.from_bytes(memory)
    for name in ("decisions_4", "decisions_6"):
        cells = broken.cells[name]
        for number in range(len(cells)):
            cells[number] = 0xFFFFFF
    now = 100.0
    responder = Responder(view, broken, secret=SECRET, steady=lambda: now)
    udp, tcp = bind([loopback_address], PORT)
    async with NameServer(responder).serving(udp[0], tcp):
        for asking in (dns.asyncquery.udp, dns.asyncquery.tcp):
            for edns in (False, 0):
                for name, code in (("www.example.test", "SERVFAIL"), ("mail.example.test", "NOERROR")):
                    message = dns.message.make_query(name, "A", use_edns=edns)
                    answer = await asking(message, loopback_address, port=PORT, timeout=5)
                    assert (dns.rcode.to_text(answer.rcode()), answer.question) == (code, message.question)
                    assert answer.edns == (-1 if edns is False else 0)
        at = (f"@{loopback_address}", "-p", str(PORT), "+tries=1", "+time=5", "www.example.test")
        assert "status: SERVFAIL" in await run_tool("dig", *at, "+subnet=139.130.4.0/24")
        assert caplog.text.count("could not be answered") == 1
        now += 11.0
        assert "status: SERVFAIL" in await run_tool("dig", *at)
    assert [record.args[0] for record in caplog.records if "could not be" in record.message] == [
        1,
        responder.faults.count - 1,
    ]
    assert responder.faults.count >= 6
    assert "IndexError" in caplog.text
    assert responder.counts[dns.rcode.SERVFAIL] == responder.faults.count
    for each in (*udp[0], *tcp):
        each.close()


def test_an_address_that_is_taken_is_a_clear_error(loopback_address: str) -> None:
    """Which address, which port, why, and what to look for; nothing stays open."""
    with socket.socket() as other:
        other.bind((loopback_address, PORT))
        other.listen()
        with pytest.raises(ServeError, match=rf"cannot listen on {re.escape(loopback_address)} port {PORT}.*in use"):
            bind([loopback_address], PORT)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:fe::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:100::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_connections_are_counted_by_client(one: str, other: str, *, same: bool) -> None:
    """An IPv6 client has a /56 of addresses to connect from, and as many connections as an IPv4 one all the same."""
    assert (client_of(packed(one)) == client_of(packed(other))) is same


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", b"\xc0\0\2\1"),
        ("::ffff:192.0.2.1", b"\xc0\0\2\1"),
        ("fe80::1%lo", b"\xfe\x80" + b"\0" * 13 + b"\1"),
    ],
)
def test_addresses_as_bytes(address: str, expected: bytes) -> None:
    """IPv4 is IPv4 however the socket writes it."""
    assert packed(address) == expected
