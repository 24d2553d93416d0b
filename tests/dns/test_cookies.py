"""Cookies, and the limits that whoever has one of ours is free of."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from dns_sockets import SOCKETS
from dns_world import (
    AUSTRALIAN,
    NOWHERE,
    SECRET,
    ask,
    exchange,
    query,
    subnet,
)
from edgeward.dns.cookies import is_ours, server_cookie, week_key
from edgeward.dns.limits import RateLimiter, Rates
from edgeward.dns.responder import Responder

COOKIE = dns.edns.GenericOption(10, b"c" * 8)


def is_truncated(raw: bytes) -> bool:
    return bool(raw[2] & 2)


def cookie_of(answer: dns.message.Message) -> bytes:
    (option,) = [option for option in answer.options if int(option.otype) == 10]
    return option.to_wire()


def test_cookies_are_given_and_known_again(table, view) -> None:
    """RFC 7873: client cookie first, ours behind it; one of ours is good for an hour, at its own address alone."""
    now = 1_800_000_000.0
    responder = Responder(view, table, secret=SECRET, clock=lambda: now)
    first = cookie_of(ask(responder, query("mail.example.test", options=[COOKIE])))
    assert (len(first), first[:8]) == (24, b"c" * 8)

    def again(source: str = NOWHERE, cookie: bytes = first) -> bytes:
        asked = query("mail.example.test", options=[dns.edns.GenericOption(10, cookie)])
        return cookie_of(ask(responder, asked, source=source))

    assert again() == first
    assert again("127.0.0.2")[8:] != first[8:], "it is another client's"
    now += 1_900
    renewed = again()
    assert renewed != first, "it is renewed before it is too old"
    assert again(cookie=renewed) == renewed


def only_options(*options: dns.edns.Option) -> dns.message.Message:
    """A message that asks for nothing: its question section is empty."""
    asked = dns.message.Message()
    asked.use_edns(0, options=options)
    return asked


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_who_wants_no_more_than_a_cookie_gets_one(responder, tcp) -> None:
    """RFC 7873 section 5.4: an empty question with a cookie option gets a server cookie and nothing else; one of ours
    is confirmed, and any other is BADCOOKIE and comes with a good one. Without the option it is a format error.
    """

    def told(cookie: bytes) -> dns.message.Message:
        asked = only_options(dns.edns.GenericOption(10, cookie), dns.edns.ECSOption("139.130.4.0", 24))
        answer = ask(responder, asked, tcp=tcp)
        assert not any(answer.sections)
        assert answer.flags & ~0xF == dns.flags.QR
        return answer

    first = told(b"c" * 8)
    cookie = cookie_of(first)
    assert (first.rcode(), len(cookie), cookie[:8]) == (dns.rcode.NOERROR, 24, b"c" * 8)
    again = told(cookie)
    assert (again.rcode(), cookie_of(again)) == (dns.rcode.NOERROR, cookie)
    other = told(b"c" * 24)
    assert (other.rcode(), cookie_of(other)) == (dns.rcode.BADCOOKIE, cookie)
    assert told(b"c" * 16).rcode() == dns.rcode.BADCOOKIE
    for options in ((), (dns.edns.GenericOption(3, b""),)):
        assert ask(responder, only_options(*options), tcp=tcp).rcode() == dns.rcode.FORMERR
    assert {each: responder.counts[each] for each in (0, 1, 23)} == {0: 2, 1: 2, 23: 2}


def test_cookies_are_made_with_another_key_each_week() -> None:
    """RFC 7873 section 7.1; one that was made at the end of a week is good into the next."""
    week = 7 * 86_400
    end, client = 2000 * week, b"192."
    made = server_cookie(b"c" * 8, client, secret=SECRET, now=end - 1)
    assert is_ours(made, client, secret=SECRET, now=end + 100)
    assert not is_ours(made, client, secret=b"another", now=end + 100)
    assert len({SECRET, *(week_key(SECRET, number) for number in range(50))}) == 51


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15, 41])
def test_cookies_of_no_allowed_length_are_a_format_error(responder, length) -> None:
    """RFC 7873 section 5.2.2: 8 bytes, or 16 to 40."""
    asked = query("mail.example.test", options=[dns.edns.GenericOption(10, b"c" * length)])
    assert exchange(responder, asked.to_wire())[3] & 15 == dns.rcode.FORMERR


def test_floods_are_limited_and_whoever_is_there_gets_through(table, view) -> None:
    """Past its budget a prefix gets every second answer truncated and no other; TCP, cookies of ours, other prefixes
    and time that has passed are answered.
    """
    now = 1000.0
    limiter = RateLimiter(Rates(per_second=10, burst=2, slip=2))
    responder = Responder(view, table, secret=SECRET, limiter=limiter, steady=lambda: now, clock=lambda: 1.8e9)
    asked = query("mail.example.test").to_wire()
    flood = [exchange(responder, asked, source=f"127.9.9.{number}", tcp=False) for number in range(1, 21)]
    assert not any(is_truncated(raw) for raw in flood)
    client = "127.9.9.21"
    more = [query("mail.example.test", id=number).to_wire() for number in range(20)]
    rest = SOCKETS.over_udp(responder, *more, source=client, answers=10)
    assert [(int.from_bytes(raw[:2], "big"), is_truncated(raw)) for raw in rest] == [(n, True) for n in range(1, 20, 2)]
    slipped = dns.message.from_wire(rest[0])
    assert (slipped.question[0].name.to_text(), slipped.answer) == ("mail.example.test.", [])
    assert not is_truncated(exchange(responder, asked, source=client, tcp=True))
    cookie = cookie_of(ask(responder, query("mail.example.test", options=[COOKIE]), source=client, tcp=True))
    known = query("mail.example.test", options=[dns.edns.GenericOption(10, cookie)]).to_wire()
    assert not any(is_truncated(exchange(responder, known, source=client)) for _ in range(5))
    assert not is_truncated(exchange(responder, asked, source="127.9.10.1"))
    now += 1
    assert not is_truncated(exchange(responder, asked, source=client))


@pytest.mark.parametrize(
    ("edns", "code"),
    [
        pytest.param({}, 0, id="no EDNS"),
        pytest.param({"use_edns": 0}, 0, id="no options"),
        pytest.param({"options": [COOKIE]}, 0, id="cookie"),
        pytest.param({"options": [COOKIE, subnet(AUSTRALIAN)]}, 0, id="and subnet"),
        pytest.param({"use_edns": 1, "want_dnssec": True}, 16, id="another version"),
    ],
)
@pytest.mark.parametrize("name", ["www.example.test", "alias.example.test", "a.child.example.test", "fleet.test"])
def test_who_is_limited_has_the_options_all_the_same(table, view, name, edns, code) -> None:
    """RFC 6891 section 6.1.1, RFC 7873 section 5.3: a slip has OPT, cookie and all of the code where the question asks
    for them, and is what is sent where an answer does not fit. It has no records.
    """
    limiter = RateLimiter(Rates(per_second=1, burst=1))
    responder = Responder(view, table, secret=SECRET, limiter=limiter, steady=lambda: 0.0, clock=lambda: 1.8e9)
    data = query(name, "NS" if name == "fleet.test" else "A", **edns).to_wire()
    whole, raw = SOCKETS.over_udp(responder, data, data, data, source=NOWHERE, answers=2)
    sent, slipped = dns.message.from_wire(whole), dns.message.from_wire(raw)
    assert slipped.rcode() == sent.rcode() == code
    assert slipped.flags == sent.flags | dns.flags.TC
    assert (slipped.question, slipped.answer, slipped.authority, slipped.additional) == (sent.question, [], [], [])
    assert (slipped.edns, slipped.ednsflags, slipped.payload) == (sent.edns, sent.ednsflags, sent.payload)
    assert slipped.options == sent.options
    assert len(slipped.options) == len(edns.get("options", ()))
    assert len(raw) <= len(data) + 16, "a server cookie is all that it may be longer by"


def test_a_cookie_that_is_not_good_is_said_to_be_so_in_a_slip_as_well(table, view) -> None:
    """BADCOOKIE is a code whose upper bits stand in the OPT record; there is no question to repeat."""
    limiter = RateLimiter(Rates(per_second=1, burst=1))
    responder = Responder(view, table, secret=SECRET, limiter=limiter, steady=lambda: 0.0, clock=lambda: 1.8e9)
    data = only_options(dns.edns.GenericOption(10, b"c" * 24)).to_wire()
    _, raw = SOCKETS.over_udp(responder, data, data, data, source=NOWHERE, answers=2)
    slipped = dns.message.from_wire(raw)
    assert (slipped.rcode(), slipped.question, bool(slipped.flags & dns.flags.TC)) == (dns.rcode.BADCOOKIE, [], True)
    known = only_options(dns.edns.GenericOption(10, cookie_of(slipped))).to_wire()
    assert dns.message.from_wire(exchange(responder, known, tcp=False)).rcode() == dns.rcode.NOERROR
