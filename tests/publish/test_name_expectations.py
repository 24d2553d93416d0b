"""What a check expects of name servers that answer from other zones than the settings make: each difference is told."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from checking import checked, fleet_of, situation_of
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.dns.view import Proofs, View
from edgeward.dns.wire import NXDOMAIN
from edgeward.publish.name_check import Reply, _questions, _wrong

CHILD = Record("child.fleet.test", "NS", "ns.child.fleet.test.")
GLUE = Record("ns.child.fleet.test", "A", "192.0.2.53")
REFERRAL = "expected a referral of child.fleet.test to ns.child.fleet.test., glue ns.child.fleet.test 192.0.2.53; got "
WILD = Record("*.wild.fleet.test", "TXT", '"w"')
DENIED = "with the SOA record of fleet.test, serial 1"


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


def test_authority_where_it_is_not_expected_is_told() -> None:
    """A server that takes a delegated name for its own, and one that does not know that it has the zone."""
    situation = situation_of(("192.0.2.1",), CHILD, GLUE)
    by_name = {str(each): each for each in _questions(situation)}
    referral, soa = by_name["child.fleet.test NS"], by_name["fleet.test SOA"]
    for question, text in ((referral, "with AA"), (soa, "without AA")):
        assert question.expected
        other = replace(question.expected, authoritative=not question.expected.authoritative)
        (problem,) = _wrong([("fra", question, Reply(other))])
        expected, got = problem.partition(": expected ")[2].split("; got ")
        assert got == f"{expected}, {text}"


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
