"""What a name server answers, rule by rule, with questions and answers made and read by dnspython."""

from dataclasses import replace

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from dns_world import (
    CLIENTS,
    RECORDS,
    SECRET,
    SYDNEY,
    ask,
    exchange,
    is_denial,
    is_unanswered,
    query,
    texts,
    zones,
)
from edgeward.dns.responder import Responder
from edgeward.dns.view import Proofs
from edgeward.dns.wire import NS, SOA
from edgeward.dns.zone import Zone

# ------------------------------------------------------------------------------------------------------------- headers


def test_an_answer_repeats_id_question_and_rd_and_is_authoritative(responder) -> None:
    """RFC 1035 section 4.1.1; recursion is never offered."""
    for flags in (0, dns.flags.RD, dns.flags.RD | dns.flags.CD):
        asked = query("mail.example.test")
        asked.flags = flags
        answer = ask(responder, asked)
        assert answer.question == asked.question
        assert answer.flags == flags | dns.flags.QR | dns.flags.AA


def test_the_case_of_the_question_is_kept(responder) -> None:
    """Resolvers that mix cases (0x20) find their own spelling in the question and, through it, in the answer."""
    asked = query("MaIl.eXamPle.TEST")
    raw = exchange(responder, asked.to_wire())
    assert b"\x04MaIl\x07eXamPle\x04TEST" in raw
    assert texts(dns.message.from_wire(raw)) == ["192.0.2.25"]


def test_other_opcodes_are_not_implemented(responder) -> None:
    """NOTIFY, UPDATE and STATUS: NOTIMP, with the opcode repeated."""
    for opcode in (dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 15):
        data = bytearray(query("example.test").to_wire())
        data[2] = opcode << 3
        answer = exchange(responder, bytes(data))
        assert (answer[2] >> 3 & 15, answer[3] & 15) == (opcode, dns.rcode.NOTIMP)


def test_answers_and_rests_of_messages_are_not_answered(responder) -> None:
    """An answer to an answer could go round for ever; without a header there is nobody to answer."""
    data = bytearray(query("example.test").to_wire())
    assert is_unanswered(responder, bytes(data[:11]))
    data[2] |= 0x80
    assert is_unanswered(responder, bytes(data))


@pytest.mark.parametrize(
    "mend",
    [
        pytest.param(lambda data: data[:4] + b"\0\0" + data[6:12], id="no question"),
        pytest.param(lambda data: data[:4] + b"\0\2" + data[6:] + data[12:], id="two questions"),
        pytest.param(lambda data: data + b"\0", id="a byte too many"),
        pytest.param(lambda data: data[:-1], id="a byte too few"),
        pytest.param(lambda data: data[:12] + b"\xc0\x0c\0\1\0\1", id="a name that is a pointer to itself"),
        pytest.param(lambda data: data[:12] + b"\x40a\0\0\1\0\1", id="a label of a reserved form"),
        pytest.param(lambda data: data[:12] + b"\x3fabc\0\0\1\0\1", id="a name cut off"),
        pytest.param(lambda data: data[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", id="a name of 257 bytes"),
        pytest.param(lambda data: data[:6] + b"\0\1" + data[8:], id="an answer that is not there"),
        pytest.param(lambda data: data[:10] + b"\0\1" + data[12:], id="an additional record that is not there"),
        pytest.param(lambda data: data[:10] + b"\0\1" + data[12:] + b"\0\0\x29\4\xd0\0\0\0\0\0\5\0", id="OPT cut off"),
        pytest.param(
            lambda data: data[:10] + b"\0\2" + data[12:] + b"\0\0\x29\4\xd0\0\0\0\0\0\0" * 2, id="two OPT records"
        ),
        pytest.param(
            lambda data: data[:10] + b"\0\1" + data[12:] + b"\1a\0\0\x29\4\xd0\0\0\0\0\0\0", id="OPT not at the root"
        ),
    ],
)
def test_garbage_is_a_format_error(responder, mend) -> None:
    """FORMERR for whatever has a header and is not one question, and never an exception."""
    answer = exchange(responder, mend(query("mail.example.test").to_wire()))
    assert answer[3] & 15 == dns.rcode.FORMERR
    dns.message.from_wire(answer)


def test_names_outside_of_the_zones_are_refused(responder) -> None:
    """REFUSED, without authority: also for zone transfers, classes that we do not have and the root."""
    for asked in (
        query("elsewhere.test"),
        query("test"),
        query("."),
        query("example.test", "AXFR"),
        query("example.test", "IXFR"),
        query("mail.example.test", rdclass=dns.rdataclass.HS),
        query("other.bind", "TXT", rdclass=dns.rdataclass.CH),
    ):
        answer = ask(responder, asked)
        assert (answer.rcode(), answer.flags & dns.flags.AA) == (dns.rcode.REFUSED, 0)


SOA_ROW = dns.rrset.from_text("example.test.", 0, "IN", "SOA", "ns.example.test. hostmaster.example.test. 6 1 1 1 1")


@pytest.mark.parametrize(
    ("kind", "rows", "edns", "code"),
    [
        ("IXFR", 1, False, dns.rcode.REFUSED),
        ("IXFR", 1, 0, dns.rcode.REFUSED),
        ("IXFR", 2, 0, dns.rcode.FORMERR),
        ("AXFR", 1, 0, dns.rcode.FORMERR),
        ("A", 1, 0, dns.rcode.FORMERR),
    ],
)
def test_ixfr_is_refused_as_it_is_sent(responder, kind: str, rows: int, edns: int | bool, code: int) -> None:
    """RFC 1995 section 3: with the SOA of the version that the client has, once. No other question has one; an OPT
    record behind it is read all the same.
    """
    asked = query("example.test", kind, use_edns=edns)
    asked.authority = [SOA_ROW] * rows
    answer = ask(responder, asked)
    assert (answer.rcode(), answer.edns) == (code, asked.edns)
    if code == dns.rcode.REFUSED:
        assert (answer.question, answer.answer, answer.authority) == (asked.question, [], [])


@pytest.mark.parametrize(
    "mend",
    [
        pytest.param(lambda data: data[:-1], id="a SOA cut off"),
        pytest.param(lambda data: data + b"\0", id="a byte behind it"),
        pytest.param(lambda data: data[:4] + b"\0\0" + data[6:], id="no question"),
    ],
)
def test_ixfr_with_a_broken_soa_is_a_format_error(responder, mend) -> None:
    """Like any other message that does not end where its records do."""
    asked = query("example.test", "IXFR", use_edns=False)
    asked.authority = [SOA_ROW]
    assert exchange(responder, mend(asked.to_wire()))[3] & 15 == dns.rcode.FORMERR


# --------------------------------------------------------------------------------------------------------------- names


def test_static_records_are_answered_with_their_own_times_to_live(responder) -> None:
    """Each type as it is in the zone."""
    for name, kind, expected in (
        ("mail.example.test", "A", ["192.0.2.25"]),
        ("example.test", "MX", ["10 mail.example.test."]),
        ("example.test", "TXT", ['"v=spf1 -all" "second string"']),
        ("example.test", "CAA", ['0 issue "ca.example"']),
        ("_sip._tcp.example.test", "SRV", ["1 2 5060 mail.example.test."]),
        ("example.test", "NS", ["ns-fra.fleet.test.", "ns-syd.fleet.test."]),
    ):
        answer = ask(responder, query(name, kind))
        assert texts(answer) == expected
        assert answer.answer[0].ttl == (86_400 if kind == "NS" else 300)
        assert not answer.authority


def test_servers_come_with_their_addresses(responder) -> None:
    """NS records of a zone that holds its servers' addresses bring them along."""
    answer = ask(responder, query("fleet.test", "NS"))
    assert {f"{rrset.name} {rdata}" for rrset in answer.additional for rdata in rrset} == {
        "ns-fra.fleet.test. 203.0.113.1",
        "ns-fra.fleet.test. 2001:db8::1",
        "ns-syd.fleet.test. 203.0.113.3",
    }


def test_a_name_without_the_type_is_no_data(responder) -> None:
    """NOERROR and the SOA with the TTL of denials (RFC 2308): names with records, and those between names."""
    for name, kind in (
        ("mail.example.test", "AAAA"),
        ("empty.example.test", "A"),
        ("_tcp.example.test", "SRV"),
        ("sub.wild.example.test", "TXT"),
        ("*.wild.example.test", "MX"),
        ("example.test", "SRV"),
    ):
        answer = ask(responder, query(name, kind))
        assert answer.rcode() == dns.rcode.NOERROR
        assert is_denial(answer), name
        assert answer.flags & dns.flags.AA


def test_a_name_that_is_not_there_does_not_exist(responder) -> None:
    """NXDOMAIN and the same SOA, however deep below a name that exists."""
    for name in (
        "nothing.example.test",
        "a.b.c.nothing.example.test",
        "x.mail.example.test",
        "x.sub.wild.example.test",
    ):
        answer = ask(responder, query(name))
        assert answer.rcode() == dns.rcode.NXDOMAIN
        assert is_denial(answer)


def test_wildcards_answer_for_names_that_are_not_there(responder) -> None:
    """RFC 4592: under the name asked for, any number of labels deep, but not past a name that exists."""
    for name in ("a.wild.example.test", "a.b.wild.example.test", "*.wild.example.test"):
        answer = ask(responder, query(name))
        assert [str(rrset.name) for rrset in answer.answer] == [f"{name}."]
        assert texts(answer) == ["192.0.2.99"]
    assert is_denial(ask(responder, query("a.wild.example.test", "AAAA")))
    assert is_denial(ask(responder, query("wild.example.test")))


def test_aliases_within_the_zones_are_followed(responder) -> None:
    """The whole chain comes with its end; one that leads away, or round in a circle, stops where that shows."""
    answer = ask(responder, query("chain.example.test"), source=CLIENTS["syd"])
    assert [(str(rrset.name), str(rrset[0])) for rrset in answer.answer] == [
        ("chain.example.test.", "alias.example.test."),
        ("alias.example.test.", "www.example.test."),
        ("www.example.test.", SYDNEY),
    ]
    assert texts(ask(responder, query("chain.example.test", "CNAME"))) == ["alias.example.test."]
    away = ask(responder, query("away.example.test"))
    assert (away.rcode(), texts(away)) == (dns.rcode.NOERROR, ["www.elsewhere.test."])
    assert texts(ask(responder, query("loop.example.test"))) == ["pool.example.test.", "loop.example.test."]
    dead = ask(responder, query("dead.example.test"))
    assert dead.rcode() == dns.rcode.NXDOMAIN
    assert texts(dead) == ["nothing.example.test."]
    assert dead.authority[0].rdtype == dns.rdatatype.SOA


def test_a_delegated_name_is_a_referral(responder) -> None:
    """NS records of the cut in the authority section, with glue, and no authority; DS is the parent's."""
    for name in ("child.example.test", "www.child.example.test", "ns1.child.example.test"):
        answer = ask(responder, query(name))
        assert not answer.answer
        assert not answer.flags & dns.flags.AA
        assert {str(rdata) for rdata in answer.authority[0]} == {"ns1.child.example.test.", "ns.elsewhere.test."}
        assert [str(rrset[0]) for rrset in answer.additional] == ["192.0.2.53"]
    ds = ask(responder, query("child.example.test", "DS"))
    assert ds.flags & dns.flags.AA
    assert ds.answer[0].rdtype == dns.rdatatype.DS


@pytest.mark.parametrize("child", ["child.example.test", "www.example.test"], ids=["with a DS", "without one"])
def test_ds_of_a_zone_that_is_ours_too_comes_from_its_parent(view, table, child) -> None:
    """RFC 4035 section 3.1.4.1; everything else at that name is the child's."""
    (example,) = (zone for zone in view.zones if zone.origin == "example.test")
    apex = {kind: rrset for kind, rrset in example.rrsets["example.test"].items() if kind in {NS, SOA}}
    responder = Responder(replace(view, zones=(*view.zones, Zone(child, {child: apex}))), table, secret=SECRET)
    answer = ask(responder, query(child, "DS"))
    assert (answer.rcode(), bool(answer.flags & dns.flags.AA)) == (dns.rcode.NOERROR, True)
    if child == "child.example.test":
        assert answer.answer[0].rdtype == dns.rdatatype.DS
    else:
        assert (answer.answer, str(answer.authority[0].name)) == ([], "example.test.")
    assert str(ask(responder, query(child, "TXT")).authority[0].name) == f"{child}."


def test_ds_below_a_delegation_elsewhere_is_that_delegations(view, table) -> None:
    """Our zone below a cut is not our own parent's to speak of: who asks there is sent on, as for any name below."""
    name = "ours.child.example.test"
    (example,) = (zone for zone in view.zones if zone.origin == "example.test")
    apex = {kind: rrset for kind, rrset in example.rrsets["example.test"].items() if kind in {NS, SOA}}
    responder = Responder(replace(view, zones=(*view.zones, Zone(name, {name: apex}))), table, secret=SECRET)
    answer = ask(responder, query(name, "DS"))
    assert (answer.answer, bool(answer.flags & dns.flags.AA)) == ([], False)
    assert str(answer.authority[0].name) == "child.example.test."
    assert answer.authority[0].rdtype == dns.rdatatype.NS


def test_any_is_answered_with_as_little_as_may_be(responder, view) -> None:
    """RFC 8482 section 4.2: HINFO for names with records, steered ones, wildcards and proofs among them."""
    proof = "_acme-challenge.www.example.test"
    responder.replace(view=replace(view, proofs=Proofs(txt={proof: ("one",)})))
    for name in ("example.test", "www.example.test", "mail.example.test", "a.wild.example.test", proof):
        answer = ask(responder, query(name, "ANY"))
        assert (texts(answer), answer.authority) == (['"RFC8482" ""'], [])
        assert str(answer.answer[0].name) == f"{name}."


def test_any_at_an_alias_is_the_alias(responder, view) -> None:
    """RFC 8482 section 4.2 makes up HINFO only where there is no CNAME; it is not followed. Wildcards as well."""
    more = "*.aliases.example.test 300 CNAME www.example.test."
    responder.replace(view=replace(view, zones=zones(RECORDS + more)))
    for name, target in (
        ("alias.example.test", "www.example.test."),
        ("chain.example.test", "alias.example.test."),
        ("away.example.test", "www.elsewhere.test."),
        ("a.b.aliases.example.test", "www.example.test."),
    ):
        answer = ask(responder, query(name, "ANY"))
        assert [(str(each.name), each.rdtype, each.ttl) for each in answer.answer] == [
            (f"{name}.", dns.rdatatype.CNAME, 300)
        ]
        assert texts(answer) == [target]


def test_any_where_there_is_nothing_is_a_denial(responder) -> None:
    """A name between names has no data, whatever the type (RFC 8020); one that is not there does not exist."""
    for name, code in (
        ("empty.example.test", dns.rcode.NOERROR),
        ("_tcp.example.test", dns.rcode.NOERROR),
        ("wild.example.test", dns.rcode.NOERROR),
        ("nothing.example.test", dns.rcode.NXDOMAIN),
    ):
        answer = ask(responder, query(name, "ANY"))
        assert answer.rcode() == code
        assert is_denial(answer)


def test_operators_may_ask_who_answers(responder) -> None:
    """RFC 4892: CHAOS names for the server and its version."""
    for name, expected in (
        ("id.server", '"fra"'),
        ("hostname.bind", '"fra"'),
        ("version.bind", '"edgeward 1.2.3"'),
        ("version.server", '"edgeward 1.2.3"'),
    ):
        answer = ask(responder, query(name, "TXT", rdclass=dns.rdataclass.CH))
        assert texts(answer) == [expected]
