"""Remembered answers are those that would be put together anew, byte for byte; and they are remembered."""

import ipaddress
import itertools
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import dns.edns
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dns_world import (
    AUSTRALIAN,
    CLIENTS,
    FRANKFURT,
    NOW,
    RECORDS,
    SECRET,
    SYDNEY,
    edges,
    exchange,
    query,
    subnet,
    texts,
    zones,
)
from edgeward.core.steering import build
from edgeward.dns import bodies, memory
from edgeward.dns.bodies import Bodies
from edgeward.dns.cookies import FUTURE, OLDEST, RENEWED, server_cookie
from edgeward.dns.responder import Responder
from edgeward.dns.view import View
from edgeward.dns.wire import CNAME, name_to_wire
from edgeward.dns.zone import RRset

SOURCES = [ipaddress.ip_address(each).packed for each in (*CLIENTS.values(), "192.0.2.1", "2001:db8:a::7", "::1")]
NAMES = [
    "www.example.test", "WWW.example.TEST", "example.test", "alias.example.test", "chain.example.test",
    "away.example.test", "x.wild.example.test", "large.example.test", "a.child.example.test", "nothing.example.test",
    "empty.example.test", "_acme-challenge.www.example.test", "fleet.test", "elsewhere.test", "id.server", ".",
]  # fmt: skip
KINDS = ["A", "AAAA", "NS", "SOA", "TXT", "ANY", "DS", "AXFR", "TYPE65", "TYPE97"]
"""The last two differ as `A` and `a` do."""
SUBNETS = [
    (AUSTRALIAN.partition("/")[0], 24), ("139.130.4.0", 22), ("139.130.4.128", 25), ("8.8.8.0", 24), ("0.0.0.0", 0),
    ("194.0.0.0", 7), ("198.51.100.7", 32), ("2001:db8:a::", 48), ("2001:db8:a::", 56), ("::", 0), ("2600::", 64),
]  # fmt: skip
CLIENT = b"12345678"


class Counting(Responder):
    """A responder that counts the answers that are put together anew."""

    composed = 0

    def compose(self, data: bytes, source: bytes, *, tcp: bool = False) -> tuple[bytes, int, bool] | None:
        self.composed += 1
        return super().compose(data, source, tcp=tcp)


@pytest.fixture
def counting(view, table) -> Counting:
    return Counting(view, table, secret=SECRET, clock=lambda: NOW)


def cookie(source: bytes, age: int = 0, client: bytes = CLIENT) -> bytes:
    return server_cookie(client, source, secret=SECRET, now=NOW - age)


@st.composite
def questions(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A question of any kind that is well-formed, and the address that it comes from."""
    source = draw(st.sampled_from(SOURCES))
    ages = (0, RENEWED - 1, RENEWED, OLDEST, OLDEST + 1, -FUTURE, -FUTURE - 1)
    cookies = [CLIENT, CLIENT * 3, CLIENT * 2, cookie(SOURCES[0])] + [cookie(source, age) for age in ages]
    option = st.one_of(
        st.sampled_from(SUBNETS).map(lambda each: dns.edns.ECSOption(*each)),
        st.sampled_from(cookies).map(lambda each: dns.edns.GenericOption(10, each)),
        st.sampled_from([(3, b""), (65_001, b"abc"), (12, b"\0" * 7), (8, b"\0\0\0\0"), (8, b"\0\1\x18\0\1\2\3")]).map(
            lambda each: dns.edns.GenericOption(*each)
        ),
    )
    options = draw(st.lists(option, max_size=3))
    edns = bool(options) or draw(st.booleans())
    message = dns.message.make_query(
        draw(st.sampled_from(NAMES)), draw(st.sampled_from(KINDS)), draw(st.sampled_from(["IN", "IN", "IN", "CH"])),
        use_edns=draw(st.sampled_from([0, 0, 0, 1])) if edns else False, options=options or None,
        want_dnssec=edns and draw(st.booleans()), payload=draw(st.sampled_from([0, 512, 700, 1232, 4096])),
    )  # fmt: skip
    message.flags = draw(st.sampled_from([0, 0x0100, 0x0110, 0x0020, 0x07B0]))
    data = message.to_wire() + draw(st.sampled_from([b"", b"", b"", b"\0"]))
    return (mixed(data, draw(st.integers(0, 2**16 - 1))) if draw(st.booleans()) else data), source


def mixed(data: bytes, upper: int) -> bytes:
    """The question with its name in upper case where the bits of a number are set, in lower case elsewhere."""
    end = data.index(0, 12)
    name = bytes(data[12:end]).lower()
    turned = bytes(
        each ^ 0x20 if each in range(97, 123) and upper >> at % 16 & 1 else each for at, each in enumerate(name)
    )
    return data[:12] + turned + data[end:]


@pytest.fixture(scope="module")
def long_lived(table) -> Responder:
    """One that remembers all that it was ever asked."""
    return Responder(View(zones(), server="fra"), table, secret=SECRET, clock=lambda: NOW)


@settings(max_examples=500)
@given(asked=questions())
def test_a_remembered_answer_is_the_one_that_is_put_together_anew(asked, long_lived) -> None:
    """For the first question of its kind, the second, and any that is nearly like one before."""
    data, source = asked
    first, second = (long_lived.respond(data, source) for _ in range(2))
    composed = long_lived.compose(data, source)
    assert first == second == (None if composed is None else composed[0])


USUAL = [
    [],
    [subnet(AUSTRALIAN)],
    [dns.edns.GenericOption(10, CLIENT)],
    [dns.edns.GenericOption(10, cookie(SOURCES[0]))],
    [dns.edns.GenericOption(10, cookie(SOURCES[0])), subnet(AUSTRALIAN)],
    [subnet(AUSTRALIAN), dns.edns.GenericOption(10, CLIENT)],
    [subnet("2001:db8:a::/56")],
]


@pytest.mark.parametrize("name", ["www.example.test", "mail.example.test", "nothing.example.test"])
@pytest.mark.parametrize("options", [None, *USUAL])
def test_the_second_usual_question_is_answered_from_memory(counting, name, options) -> None:
    """Without EDNS, and with every mixture of client subnet and cookie in either sequence."""
    for number in range(3):
        edns = {} if options is None else {"use_edns": 0, "options": options}
        asked = query(name, id=number, **edns)
        answer = dns.message.from_wire(counting.respond(asked.to_wire(), SOURCES[0]))
        assert answer.id == number
        assert answer.question == asked.question
    assert counting.composed == 1
    assert sum(counting.counts.values()) == 3


@pytest.mark.parametrize("options", [None, *USUAL])
@pytest.mark.parametrize("name", ["www.example.test", "chain.example.test", "nothing.example.test"])
def test_however_cases_are_mixed_an_answer_is_remembered_once(counting, name, options) -> None:
    """What one resolver asks in a mixture of cases (0x20) answers all others, over a socket, each with its own."""
    edns = {} if options is None else {"use_edns": 0, "options": options}
    for number, upper in enumerate((0x5A5A, 0, 0xFFFF, 0x1234)):
        data = mixed(query(name, id=number, **edns).to_wire(), upper)
        answer = exchange(counting, data, source=CLIENTS["fra"], tcp=False)
        end = data.index(0, 12) + 5
        assert (answer[:2], answer[12:end]) == (data[:2], data[12:end])
        assert counting.composed == 1
        told = dns.message.from_wire(answer)
        if name != "nothing.example.test":
            assert str(told.answer[0].name) == str(told.question[0].name)
        composed = counting.compose(data, ipaddress.ip_address(CLIENTS["fra"]).packed)
        assert composed is not None
        assert answer == composed[0]
        counting.composed = 1
    assert len(counting._memory._forms) == 1


def test_bytes_beside_the_name_keep_their_case(counting) -> None:
    """Types 65 and 97 are the letters `A` and `a`, in which nothing else may be taken for the same."""
    for kind in ("TYPE65", "TYPE97", "TYPE65"):
        asked = query("WWW.example.test", kind)
        answer = dns.message.from_wire(exchange(counting, asked.to_wire(), tcp=False))
        assert answer.question == asked.question
    assert counting.composed == 2


def test_networks_that_are_steered_alike_share_an_answer(counting) -> None:
    """What is remembered of one network answers the others with its order of edges, each with its own subnet."""
    for number in range(3):
        asked = query("www.example.test", use_edns=0, options=[subnet(f"139.130.4.{number * 64}/26")])
        answer = dns.message.from_wire(counting.respond(asked.to_wire(), SOURCES[0]))
        (option,) = answer.options
        assert (option.address, option.srclen, option.scopelen) == (f"139.130.4.{number * 64}", 26, 24)
        assert texts(answer) == [SYDNEY]


def test_an_address_with_the_bytes_of_a_subnet_says_nothing_of_it(counting, table) -> None:
    """Whoever forges an address that looks like an option does not move the network that this option names."""
    option = dns.edns.ECSOption("2001:db8:a::", 64)
    forged = b"\0\x08\0\x0c" + option.to_wire()
    assert len(forged) == 16
    plain = query("www.example.test")
    asked = query("www.example.test", use_edns=0, options=[option])
    for _ in range(2):
        assert texts(dns.message.from_wire(counting.respond(plain.to_wire(), forged))) == [FRANKFURT]
        assert texts(dns.message.from_wire(counting.respond(asked.to_wire(), SOURCES[3]))) == [SYDNEY]


def test_a_cookie_is_good_for_its_own_address_alone(counting) -> None:
    """A cookie that is remembered as good for one address is answered with another one at every other address."""
    for _ in range(2):
        for source in (SOURCES[0], SOURCES[1]):
            sent = cookie(SOURCES[0])
            asked = query("www.example.test", use_edns=0, options=[dns.edns.GenericOption(10, sent)])
            (option,) = dns.message.from_wire(counting.respond(asked.to_wire(), source)).options
            assert (option.to_wire() == sent) == (source == SOURCES[0])
            assert option.to_wire()[:8] == CLIENT


def test_a_remembered_cookie_is_renewed_in_time(view, table) -> None:
    """Memory does not make a cookie good for longer."""
    clock = itertools.chain([NOW, NOW], itertools.repeat(NOW + RENEWED))
    responder = Responder(view, table, secret=SECRET, clock=lambda: next(clock))
    asked = query("www.example.test", use_edns=0, options=[dns.edns.GenericOption(10, cookie(SOURCES[0]))]).to_wire()
    answers = [dns.message.from_wire(responder.respond(asked, SOURCES[0])).options[0].to_wire() for _ in range(3)]
    assert answers == [cookie(SOURCES[0]), cookie(SOURCES[0]), cookie(SOURCES[0], -RENEWED)]


def test_nothing_is_remembered_beyond_a_change(counting, view) -> None:
    """A new view counts from the next question on."""
    asked = query("www.example.test", use_edns=0, options=[subnet(AUSTRALIAN)]).to_wire()
    assert texts(dns.message.from_wire(counting.respond(asked, SOURCES[0]))) == [SYDNEY]
    counting.replace(view=replace(view, out={"syd": "down"}))
    assert SYDNEY not in texts(dns.message.from_wire(counting.respond(asked, SOURCES[0])))
    counting.replace(view=view)
    assert texts(dns.message.from_wire(counting.respond(asked, SOURCES[0]))) == [SYDNEY]


def test_a_new_table_moves_networks_that_were_remembered(counting, table) -> None:
    """Which order a network has is forgotten with the table that says so."""
    asked = query("www.example.test", use_edns=0, options=[subnet(AUSTRALIAN)]).to_wire()
    assert texts(dns.message.from_wire(counting.respond(asked, SOURCES[0]))) == [SYDNEY]
    counting.replace(table=build(edges(), default=("fra",)))
    assert texts(dns.message.from_wire(counting.respond(asked, SOURCES[0]))) == [FRANKFURT]


def test_a_full_memory_forgets_and_goes_on(counting, monkeypatch) -> None:
    """However many questions there are of however many kinds, only so many are kept, and all are answered right."""
    for each in ("MOST_NETWORKS", "MOST_COOKIES"):
        monkeypatch.setattr(memory, each, 3)
    for each in (memory, bodies):
        monkeypatch.setattr(each, "MOST_BYTES", 6000)
    source = random.Random(7)
    for _ in range(500):
        options = source.choice(USUAL)
        asked = query(source.choice(NAMES[:8]), use_edns=0, payload=source.choice((512, 1232, 4096)), options=options)
        data, client = asked.to_wire(), source.choice(SOURCES)
        answer = counting.respond(data, client)
        composed = counting.compose(data, client)
        assert composed is not None
        assert answer == composed[0]
        kept = counting._memory
        assert all(len(each) <= 3 for each in (kept._subnets, kept._sources, kept._cookies))
        sizes = [len(key) + sum(map(len, form.starts.values())) for key, form in kept._forms.items()]
        assert sum(sizes) + len(sizes) * memory._FORM_BYTES <= 6000
        assert sum(len(body.answer[1]) for body in counting._bodies._each) <= 6000


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Says how many bytes Python has allotted since it was asked first: what is remembered, and little else."""
    tracemalloc.start()
    first: list[int] = []

    def look() -> int:
        now = tracemalloc.get_traced_memory()[0]
        first.append(now)
        return now - first[0]

    try:
        yield look
    finally:
        tracemalloc.stop()


def respond_to(responder: Responder, name: str, *, tcp: bool) -> int:
    """Ask for the texts of a name; return the size of the answer."""
    data = struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 1) + name_to_wire(name) + b"\0\x10\0\1" + OPT_RECORD
    answer = responder.respond(data, SOURCES[0], tcp=tcp)
    assert answer is not None
    return len(answer)


OPT_RECORD = bytes.fromhex("0000291000000000000000")


def test_random_names_below_wildcards_take_no_more_than_is_stated(view, table, traced) -> None:
    """100,000 names of 200 bytes below a wildcard with 20 KB of texts, which goes over TCP, and one whose texts just
    fit over UDP: what Python has allotted stays below the two bounds together, which it comes near to.
    """
    rows = {"big": ('" "'.join(["x" * 250] * 80)), "mid": '" "'.join(["y" * 240] * 4)}
    made = zones(RECORDS + "\n".join(f'*.{name}.example.test 300 TXT "{text}"' for name, text in rows.items()))
    responder = Responder(replace(view, zones=made), table, secret=SECRET, clock=lambda: NOW)
    chance = random.Random(7)
    most = traced()
    for number in range(100_000):
        label = f"{chance.getrandbits(240):060x}"
        name, tcp = ("big", True) if number % 4 == 0 else ("mid", False)
        size = respond_to(responder, f"{label}.{label}.{label}.{name}.example.test", tcp=tcp)
        assert size > 20_000 if tcp else 1150 < size <= 1232
        if number % 500 == 0:
            most = max(most, traced())
    print(f"\nat most {most / 1e6:.0f} MB remembered")
    assert memory.MOST_BYTES * 0.8 < most < memory.MOST_BYTES + bodies.MOST_BYTES


def test_aliases_of_a_large_name_take_no_more_than_is_stated(view, table, traced) -> None:
    """Each of 5,000 leads there by an alias of its own, and so has an answer of its own of 20 KB, 100 MB together; all
    are answered in full, also the first one again.
    """
    made = zones(RECORDS + 'texts.example.test 300 TXT "{}"'.format('" "'.join(["x" * 250] * 80)))
    last = {CNAME: RRset(300, (name_to_wire("texts.example.test"),))}
    aliases = {f"a{number}.example.test": last for number in range(5000)}
    first = {f"f{alias}": {CNAME: RRset(300, (name_to_wire(alias),))} for alias in aliases}
    more = {**made[1].rrsets, **aliases, **first}
    made = (made[0], replace(made[1], rrsets=more))
    responder = Responder(replace(view, zones=made), table, secret=SECRET, clock=lambda: NOW)
    most = traced()
    for name in (*first, "fa0.example.test"):
        assert respond_to(responder, name, tcp=True) > 20_000
        most = max(most, traced())
    print(f"\nat most {most / 1e6:.0f} MB remembered")
    assert bodies.MOST_BYTES * 0.8 < most < bodies.MOST_BYTES


@pytest.mark.parametrize("ending", ["nothing.example.test", "wild.example.test", "aliases.example.test"])
def test_names_without_end_take_one_body(view, table, ending) -> None:
    """Names that are not there, wildcards' and those that wildcards lead to a site: however many are asked for, their
    records are kept once. A flood of them then costs what their names take.
    """
    made = zones(RECORDS + "*.aliases.example.test 300 CNAME www.example.test.")
    made_of = Bodies(replace(view, zones=made), table)
    found = [made_of.find(name_to_wire(f"n{number}.{ending}"), 1, 0)[0] for number in range(3)]
    assert found[0] is found[1] is found[2]
