"""What depends on who asks and on what is true just now: steering, proofs, EDNS options."""

from dataclasses import replace

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from dns_world import (
    AUSTRALIAN,
    CLIENTS,
    FRANKFURT,
    GERMAN,
    PLACES,
    RECORDS,
    SECRET,
    SYDNEY,
    VIRGINIA,
    ask,
    edges,
    exchange,
    is_denial,
    query,
    subnet,
    texts,
    zones,
)
from edgeward.core.steering import build
from edgeward.dns.responder import Responder
from edgeward.dns.view import Proofs

# ------------------------------------------------------------------------------------------------------------ steering


def test_readers_are_sent_to_their_nearest_edge(responder) -> None:
    """By the address of who asks, or by the client subnet that it tells, which is the same; the TTL is 30 s."""
    for name in ("www.example.test", "example.test"):
        for edge, address in (("fra", FRANKFURT), ("iad", VIRGINIA), ("syd", SYDNEY)):
            own = ask(responder, query(name), source=CLIENTS[edge])
            told = ask(responder, query(name, options=[subnet(f"{CLIENTS[edge]}/24")]))
            assert texts(own) == texts(told) == [address]
            assert own.answer[0].ttl == 30
    assert texts(ask(responder, query("www.example.test", "AAAA"), source=CLIENTS["syd"])) == ["2001:db8::3"]
    told = ask(responder, query("www.example.test", options=[subnet("2001:db8:a::/56")]))
    assert texts(told) == [SYDNEY]


def test_an_edge_without_an_address_of_the_family_is_passed_over(responder) -> None:
    """The nearest one that has IPv6 answers for AAAA."""
    assert texts(ask(responder, query("www.example.test", "AAAA"), source=CLIENTS["iad"])) == ["2001:db8::1"]


def test_the_scope_is_as_wide_as_the_decision_allows(responder, table) -> None:
    """RFC 7871 section 7.2.1: source and address repeated; the scope is the network that has this same order."""
    answer = ask(responder, query("www.example.test", options=[subnet("139.130.4.0/24")]))
    (option,) = answer.options
    assert (option.address, option.srclen) == ("139.130.4.0", 24)
    assert option.scopelen == table.match(bytes([139, 130, 4, 0])).prefix > 0
    static = ask(responder, query("mail.example.test", options=[subnet("139.130.4.0/24")]))
    assert static.options[0].scopelen == 0, "what is the same for all is told to be"


@pytest.mark.parametrize("name", ["www.example.test", "alias.example.test"])
def test_a_denial_is_everybodys(responder, view, name) -> None:
    """RFC 7871 section 7.4: scope 0 for no data, of a site and of an alias that leads to it, also from memory: that no
    edge has IPv6 does not depend on who asks. What A answers still does.
    """
    responder.replace(table=build([replace(edge, addresses=edge.addresses[:1]) for edge in edges()], geography=PLACES))
    assert_scope_of_a_denial(responder, name)
    responder.replace(view=replace(view, silent={edge.name: {6: "no answer"} for edge in edges()}))
    assert_scope_of_a_denial(responder, name)


def assert_scope_of_a_denial(responder: Responder, name: str) -> None:
    for _ in range(3):
        for network in (AUSTRALIAN, GERMAN, "2001:db8:a::/48"):
            answer = ask(responder, query(name, "AAAA", options=[subnet(network)]))
            assert answer.rcode() == dns.rcode.NOERROR
            assert answer.authority[0].rdtype == dns.rdatatype.SOA
            assert answer.options[0].scopelen == 0
        steered = ask(responder, query(name, "A", options=[subnet(AUSTRALIAN)]))
        assert (texts(steered)[-1], steered.options[0].scopelen) == (SYDNEY, 24)


def test_a_client_subnet_is_never_sent_unless_told(responder) -> None:
    """RFC 7871 section 7.2.1."""
    assert ask(responder, query("www.example.test")).opt is None
    assert ask(responder, query("www.example.test", use_edns=0)).options == ()


@pytest.mark.parametrize("value", [b"\0\1\0\0", b"\0\2\0\0", b"\0\0\0\0"], ids=["IPv4", "IPv6", "no family"])
def test_a_subnet_of_length_0_means_the_address_of_who_asks(responder, value) -> None:
    """RFC 7871 section 7.1.2: a client that wants nothing to be told of it; it is repeated with scope 0."""
    asked = query("www.example.test", options=[dns.edns.GenericOption(8, value)])
    raw = exchange(responder, asked.to_wire(), source=CLIENTS["syd"])
    assert raw[3] & 15 == dns.rcode.NOERROR
    assert bytes([203, 0, 113, 3]) in raw
    assert raw.endswith(b"\0\x08\0\4" + value)


@pytest.mark.parametrize(
    "value",
    [b"", b"\0\1\x18", b"\0\1\x18\0\x8b\x82", b"\0\1\x18\0\x8b\x82\4\1", b"\0\1\x21\0\1\2\3\4\5", b"\0\1\x18\x18\1\2\3",
     b"\0\1\x17\0\1\2\3", b"\0\2\x81\0" + b"\1" * 17, b"\0\3\x08\0\1", b"\0\0\x08\0\1"],
)  # fmt: skip
def test_a_malformed_client_subnet_is_a_format_error(responder, value) -> None:
    """RFC 7871 section 6: lengths that do not fit, bits behind the prefix, a scope in a question, unknown families."""
    asked = query("www.example.test", options=[dns.edns.GenericOption(8, value)])
    raw = exchange(responder, asked.to_wire())
    assert raw[3] & 15 == dns.rcode.FORMERR
    assert dns.message.from_wire(raw).opt is not None


def test_what_is_out_is_not_named(responder, view) -> None:
    """Verdicts and drains at once, for all sites; what an edge lacks, for that site alone; all out: as if none were."""
    responder.replace(view=replace(view, out={"syd": "it does not answer"}))
    assert SYDNEY not in texts(ask(responder, query("www.example.test"), source=CLIENTS["syd"]))
    responder.replace(view=replace(view, lacking={"www": {"syd": "it does not hold the live release"}}))
    assert SYDNEY not in texts(ask(responder, query("www.example.test"), source=CLIENTS["syd"]))
    responder.replace(view=replace(view, silent={"syd": {6: "no answer"}}))
    for kind, expected in (("A", [SYDNEY]), ("AAAA", ["2001:db8::1"])):
        assert texts(ask(responder, query("www.example.test", kind), source=CLIENTS["syd"])) == expected
    responder.replace(view=replace(view, lacking={"other": {"syd": "it does not hold the live release"}}))
    assert texts(ask(responder, query("www.example.test"), source=CLIENTS["syd"])) == [SYDNEY]
    responder.replace(view=replace(view, out=dict.fromkeys(("fra", "iad", "syd"), "it does not answer")))
    assert texts(ask(responder, query("www.example.test"), source=CLIENTS["syd"])) == [SYDNEY]


def test_ipv6_gives_way_to_ipv4_when_its_edges_are_out(responder, view) -> None:
    """No data for AAAA, also where an answer is remembered, while A goes on to an edge that is well; with all edges
    out both are answered as if none were.
    """
    both = {"fra": "it does not answer", "syd": "it does not answer"}

    def found(kind: str) -> list[dns.message.Message]:
        return [ask(responder, query("www.example.test", kind), source=CLIENTS["syd"]) for _ in range(3)]

    assert [texts(answer) for answer in found("AAAA")] == [["2001:db8::3"]] * 3
    responder.replace(view=replace(view, out=both))
    assert all(is_denial(answer) for answer in found("AAAA"))
    assert [texts(answer) for answer in found("A")] == [[VIRGINIA]] * 3
    responder.replace(view=replace(view, out={**both, "iad": "it does not answer"}))
    assert [texts(answer) for answer in found("AAAA")] == [["2001:db8::3"]] * 3


def test_without_a_table_steered_names_fail_and_the_others_do_not(view) -> None:
    """SERVFAIL, so that resolvers ask another server: a fault of ours is no answer."""
    bare = Responder(view, None, secret=SECRET)
    assert ask(bare, query("www.example.test")).rcode() == dns.rcode.SERVFAIL
    assert ask(bare, query("alias.example.test")).rcode() == dns.rcode.SERVFAIL
    assert texts(ask(bare, query("mail.example.test"))) == ["192.0.2.25"]
    assert is_denial(ask(bare, query("www.example.test", "MX")))


# -------------------------------------------------------------------------------------------------------------- proofs


def test_a_name_of_which_nothing_is_known_is_a_failure_and_not_a_no(responder, view) -> None:
    """SERVFAIL for each type that a name may have, a wildcard's name and the end of a chain included; what is there for
    certain is answered. All is well again when more is known.
    """
    unsure = (
        "new.example.test",
        "x.wild.example.test",
        "empty.example.test",
        "nothing.example.test",
        "mail.example.test",
    )
    responder.replace(view=replace(view, unsure=frozenset(unsure)))
    for name in unsure:
        assert ask(responder, query(name)).rcode() == dns.rcode.SERVFAIL
        assert ask(responder, query(name, "AAAA")).rcode() == dns.rcode.SERVFAIL
    for name, kind in (("new.example.test", "MX"), ("new.example.test", "ANY"), ("x.wild.example.test", "TXT")):
        assert ask(responder, query(name, kind)).rcode() == dns.rcode.SERVFAIL
    assert ask(responder, query("dead.example.test")).rcode() == dns.rcode.SERVFAIL
    answer = ask(responder, query("empty.example.test", "MX"))
    assert (is_denial(answer), answer.rcode()) == (True, dns.rcode.NOERROR)
    answer = ask(responder, query("other.example.test"))
    assert (is_denial(answer), answer.rcode()) == (True, dns.rcode.NXDOMAIN)
    assert texts(ask(responder, query("y.wild.example.test"))) == ["192.0.2.99"]
    responder.replace(view=view)
    answer = ask(responder, query("new.example.test"))
    assert (is_denial(answer), answer.rcode()) == (True, dns.rcode.NXDOMAIN)
    assert texts(ask(responder, query("mail.example.test"))) == ["192.0.2.25"]


def test_proofs_are_answered_as_they_are_known(responder, view) -> None:
    """TXT records of `_acme-challenge` names appear and go with the view; several stand beside each other."""
    name = "_acme-challenge.www.example.test"
    assert ask(responder, query(name, "TXT")).rcode() == dns.rcode.NXDOMAIN
    responder.replace(view=replace(view, proofs=Proofs(txt={name: ("one", "two")})))
    assert texts(ask(responder, query(name, "TXT"))) == ['"one"', '"two"']
    other = ask(responder, query(name, "A"))
    assert (other.rcode(), other.answer, len(other.authority)) == (dns.rcode.NOERROR, [], 1)
    responder.replace(view=view)
    assert ask(responder, query(name, "TXT")).rcode() == dns.rcode.NXDOMAIN


def test_proofs_that_are_not_known_are_a_failure_and_not_a_no(responder, view) -> None:
    """Without the store: SERVFAIL for every name that could hold one, and only for those."""
    responder.replace(view=replace(view, proofs=Proofs(known=False)))
    for name in ("_acme-challenge.example.test", "_acme-challenge.www.example.test", "_ACME-challenge.x.fleet.test"):
        assert ask(responder, query(name, "TXT")).rcode() == dns.rcode.SERVFAIL
    assert texts(ask(responder, query("mail.example.test"))) == ["192.0.2.25"]


@pytest.mark.parametrize("known", [True, False], ids=["known", "not known"])
def test_a_proof_below_a_delegation_is_a_referral(responder, view, known) -> None:
    """Whatever is known of proofs: its servers are asked, over an alias of ours as well (RFC 1034 section 4.3.2)."""
    below = ("_acme-challenge.child.example.test", "_acme-challenge.www.child.example.test")
    aliased = "p.example.test"
    ours = zones(f"{RECORDS.strip()}\n{aliased} 300 CNAME {below[1]}.\n")
    proofs = Proofs(known, dict.fromkeys((*below, "_acme-challenge.www.example.test"), ("one",)))
    responder.replace(view=replace(view, zones=ours, proofs=proofs))
    for kind in ("TXT", "A", "ANY"):
        for name in below:
            answer = ask(responder, query(name, kind))
            assert (answer.rcode(), answer.answer, answer.flags & dns.flags.AA) == (dns.rcode.NOERROR, [], 0)
            assert {str(rdata) for rdata in answer.authority[0]} == {"ns1.child.example.test.", "ns.elsewhere.test."}
            assert [str(rrset[0]) for rrset in answer.additional] == ["192.0.2.53"]
    answer = ask(responder, query(aliased, "TXT"))
    assert (answer.rcode(), texts(answer)) == (dns.rcode.NOERROR, [f"{below[1]}."])
    assert answer.authority[0].rdtype == dns.rdatatype.NS
    beside = ask(responder, query("_acme-challenge.www.example.test", "TXT"))
    assert (beside.rcode(), texts(beside)) == ((dns.rcode.NOERROR, ['"one"']) if known else (dns.rcode.SERVFAIL, []))


# ---------------------------------------------------------------------------------------------------------------- EDNS


def test_edns_is_answered_with_edns(responder) -> None:
    """RFC 6891: version 0, our size, DO repeated; options that nobody knows are passed over."""
    asked = query("mail.example.test", use_edns=0, want_dnssec=True, options=[dns.edns.GenericOption(65001, b"x")])
    answer = ask(responder, asked)
    assert (answer.edns, answer.payload, answer.ednsflags & dns.flags.DO) == (0, 1232, dns.flags.DO)
    assert answer.options == ()
    assert ask(responder, query("mail.example.test", use_edns=False)).edns == -1


def test_another_version_is_bad(responder) -> None:
    """BADVERS, with version 0 in the answer and no records (RFC 6891 section 6.1.3)."""
    answer = ask(responder, query("mail.example.test", use_edns=1))
    assert (answer.rcode(), answer.edns, answer.answer) == (dns.rcode.BADVERS, 0, [])


OPT = bytes.fromhex("0000290200000080000000")


@pytest.mark.parametrize(
    ("mend", "rcode"),
    [
        pytest.param(lambda data: data[:2] + b"\x28" + data[3:], dns.rcode.NOTIMP, id="UPDATE"),
        pytest.param(
            lambda data: data[:2] + b"\x20" + data[3:7] + b"\1" + data[8:-11] + b"\xc0\x0c\0\6\0\1\0\0\0\0\0\0" + OPT,
            dns.rcode.NOTIMP,
            id="NOTIFY with a record",
        ),
        pytest.param(lambda data: data[:4] + b"\0\0" + data[6:12] + OPT, dns.rcode.FORMERR, id="no question"),
        pytest.param(
            lambda data: data[:4] + b"\0\2" + data[6:-11] + data[12:-11] + OPT, dns.rcode.FORMERR, id="two questions"
        ),
        pytest.param(lambda data: data + b"\0", dns.rcode.FORMERR, id="a byte too many"),
        pytest.param(lambda data: data[:10] + b"\0\2" + data[12:] + OPT, dns.rcode.FORMERR, id="two OPT records"),
        pytest.param(lambda data: data[:10] + b"\0\2" + data[12:], dns.rcode.FORMERR, id="a record that is not there"),
    ],
)
def test_whoever_sends_edns_gets_it_with_an_error_as_well(responder, mend, rcode) -> None:
    """RFC 6891 section 6.1.1: wherever the OPT record can be read; DO is repeated. Without one there is none."""
    plain = query("mail.example.test", use_edns=0, want_dnssec=True, payload=512).to_wire()
    assert plain.endswith(OPT)
    answer = dns.message.from_wire(exchange(responder, mend(plain)))
    assert (answer.rcode(), answer.edns, answer.ednsflags, answer.payload) == (rcode, 0, dns.flags.DO, 1232)


def test_an_error_without_edns_has_none(responder) -> None:
    """Also where what might be an OPT record is cut off."""
    plain = query("mail.example.test", use_edns=0).to_wire()
    for data in (plain[:2] + b"\x28" + plain[3:-1], plain[:-5], plain[:10] + b"\0\0" + plain[12:]):
        assert dns.message.from_wire(exchange(responder, data)).edns == -1


def test_nsid_names_the_server(responder) -> None:
    """RFC 5001: only to who asks for it."""
    answer = ask(responder, query("mail.example.test", options=[dns.edns.GenericOption(3, b"")]))
    assert [(int(option.otype), option.to_wire()) for option in answer.options] == [(3, b"fra")]


def test_long_answers_are_truncated_for_udp_alone(responder) -> None:
    """512 bytes without EDNS, what the client takes up to 1,232 with it, everything over TCP (RFC 2181 section 9)."""
    for options, limit in (({}, 512), ({"use_edns": 0, "payload": 4096}, 1232), ({"use_edns": 0, "payload": 100}, 512)):
        asked = query("large.example.test", "TXT", **options)
        raw = exchange(responder, asked.to_wire())
        answer = dns.message.from_wire(raw)
        assert len(raw) <= limit
        assert answer.flags & dns.flags.TC
        assert not answer.answer
        assert (answer.opt is not None) == bool(options)
    whole = ask(responder, query("large.example.test", "TXT"), tcp=True)
    assert not whole.flags & dns.flags.TC
    assert len(texts(whole)[0]) > 2000


def test_a_referral_whose_glue_does_not_fit_is_truncated_and_another_answer_is_not(responder, view) -> None:
    """RFC 9471 section 3.1, also behind an alias; addresses beside an answer are left out without a word."""
    servers = [f"ns{number}.many.example.test" for number in range(12)]
    more = [
        *(f"many.example.test 300 NS {server}." for server in servers),
        *(f"{server} 300 A 192.0.2.{number}" for number, server in enumerate(servers, start=1)),
        "led.example.test 300 CNAME www.many.example.test.",
        *(f"fleet.test 86400 NS ns-{number}.fleet.test." for number in range(6)),
        *(f"ns-{number}.fleet.test 86400 A 203.0.113.{number}" for number in range(6)),
    ]
    responder.replace(view=replace(view, zones=zones(RECORDS + "\n".join(more))))
    for name in ("www.many.example.test", "led.example.test"):
        for _ in range(2):
            short = ask(responder, query(name))
            assert short.flags & dns.flags.TC
            assert not [*short.answer, *short.authority, *short.additional]
        for whole in (ask(responder, query(name), tcp=True), ask(responder, query(name, use_edns=0, payload=1232))):
            assert (whole.flags & dns.flags.TC, len(whole.authority[0]), len(whole.additional)) == (0, 12, 12)
    apex = ask(responder, query("fleet.test", "NS"))
    assert (apex.flags & dns.flags.TC, len(apex.answer[0]), apex.additional) == (0, 8, [])
    assert len(ask(responder, query("fleet.test", "NS"), tcp=True).additional) == 9
