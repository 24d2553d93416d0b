"""Whether delegations and aliases that others keep lead to the fleet, asked of Knot as others' name server."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dns_resolvers import PORT, Resolver, running
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord
from edgeward.errors import InputError
from edgeward.publish.delegation import Asking, check_cnames, check_delegation
from edgeward.publish.name_service import Situation

FRA, SYD = ("203.0.113.1", "2001:db8::1"), ("203.0.113.3",)
SITUATION = Situation(
    settings=DnsSettings(zone="fleet.test", zones=("example.test",)),
    edges={
        "fra": EdgeRecord("fra", "FRA", FRA, roles=("dns", "http")),
        "syd": EdgeRecord("syd", "SYD", SYD, roles=("dns", "http")),
    },
    hostnames={"blog": ("www.customer.test", "www.example.test")},
    out={},
    drained=frozenset(),
)
HEAD = "@ 300 SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ 300 NS ns.test.\n"
RIGHT = """
fleet 300 NS ns-fra.fleet
fleet 300 NS ns-syd.fleet
ns-fra.fleet 300 A 203.0.113.1
ns-fra.fleet 300 AAAA 2001:db8::1
ns-syd.fleet 300 A 203.0.113.3
example 300 NS ns-fra.fleet
example 300 NS NS-SYD.fleet
www.customer 300 CNAME blog.fleet
_acme-challenge.www.customer 300 CNAME _acme-challenge.blog.fleet
"""


@contextlib.asynccontextmanager
async def parent(folder: Path, address: str, records: str) -> AsyncIterator[Asking]:
    """Run Knot with the zone `test`; it is its own resolver."""
    zone = f"$ORIGIN test.\n{HEAD}ns 300 A {address}\n{records}"
    (folder / "zone").write_text(zone)
    (folder / "knot.conf").write_text(
        f'server:\n  listen: "{address}@{PORT}"\n  rundir: "{folder}"\n  udp-workers: 1\n  tcp-workers: 1\n'
        f'database:\n  storage: "{folder}"\n'
        f'zone:\n  - domain: test\n    file: "{folder}/zone"\n    zonefile-sync: -1\n    journal-content: none\n'
    )

    command = ["knotd", "-c", str(folder / "knot.conf")]
    async with running(command, Resolver("Knot", address, PORT), folder, known="ns.test"):
        yield Asking(address)


async def both(folder: Path, address: str, records: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The problems of delegations, and of aliases."""
    async with parent(folder, address, records) as asking:
        return (await check_delegation(SITUATION, asking)).problems, (await check_cnames(SITUATION, asking)).problems


async def test_what_leads_to_the_fleet_is_right(tmp_path: Path, loopback_address: str) -> None:
    """No problem where there is none; every question is counted."""
    async with parent(tmp_path, loopback_address, RIGHT) as asking:
        report = await check_delegation(SITUATION, asking)
        assert (report.servers, report.problems) == (("ns.test",), ())
        assert report.questions == 2 * 4, "for each zone: who is above, its two addresses, and the zone itself"
        aliases = await check_cnames(SITUATION, asking)
        assert (aliases.servers, aliases.problems, aliases.questions) == (("the resolver",), (), 2)


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ("fleet 300 NS ns-syd.fleet", "", "fleet.test: ns.test (HERE) does not name ns-syd.fleet.test"),
        (
            "example 300 NS ns-fra.fleet",
            "example 300 NS ns-old.fleet",
            "example.test: ns.test (HERE) does not name ns-fra.fleet.test",
        ),
        (
            "example 300 NS ns-fra.fleet",
            "example 300 NS ns-old.fleet",
            "example.test: ns.test (HERE) names ns-old.fleet.test, which is no name server of the fleet",
        ),
        (
            "ns-syd.fleet 300 A 203.0.113.3",
            "ns-syd.fleet 300 A 203.0.113.9",
            "fleet.test: ns.test (HERE) gives 203.0.113.9 for ns-syd.fleet.test, whose edge has 203.0.113.3",
        ),
        (
            "ns-fra.fleet 300 AAAA 2001:db8::1",
            "",
            "fleet.test: ns.test (HERE) gives 203.0.113.1 for ns-fra.fleet.test, whose edge has "
            + ", ".join(sorted(FRA)),
        ),
        (
            "example 300 NS ns-fra.fleet\nexample 300 NS NS-SYD.fleet",
            "",
            "example.test: ns.test (HERE) does not delegate it",
        ),
    ],
)
async def test_a_wrong_delegation_is_told(tmp_path, loopback_address, line: str, instead: str, problem: str) -> None:
    """A server too few or too many, another address, none, no delegation at all: each is one sentence."""
    assert line in RIGHT
    problems, aliases = await both(tmp_path, loopback_address, RIGHT.replace(line, instead))
    assert problem.replace("HERE", loopback_address) in problems
    assert aliases == ()


@pytest.mark.parametrize(
    ("line", "instead", "problems"),
    [
        (
            "www.customer 300 CNAME blog.fleet",
            "www.customer 300 CNAME shop.fleet",
            ["www.customer.test is an alias of shop.fleet.test, not of blog.fleet.test"],
        ),
        ("www.customer 300 CNAME blog.fleet", "www.customer 300 CNAME a\na 300 CNAME blog.fleet", []),
        (
            "www.customer 300 CNAME blog.fleet",
            "www.customer 300 CNAME www.customer",
            ["www.customer.test is an alias of www.customer.test, not of blog.fleet.test"],
        ),
        ("www.customer 300 CNAME blog.fleet", "www.customer 300 A 203.0.113.3", []),
        (
            "www.customer 300 CNAME blog.fleet",
            "www.customer 300 A 192.0.2.1",
            ["www.customer.test has no CNAME to blog.fleet.test; its addresses are 192.0.2.1"],
        ),
        (
            "www.customer 300 CNAME blog.fleet",
            "",
            ["www.customer.test has no CNAME to blog.fleet.test; its addresses are none"],
        ),
        (
            "_acme-challenge.www.customer 300 CNAME _acme-challenge.blog.fleet",
            "",
            ["_acme-challenge.www.customer.test has no CNAME to _acme-challenge.blog.fleet.test"],
        ),
    ],
)
async def test_a_wrong_alias_is_told(tmp_path, loopback_address, line: str, instead: str, problems: list[str]) -> None:
    """Another site's name, a stranger's address, none: told. An alias of an alias, an edge's own address: right."""
    assert line in RIGHT
    delegations, found = await both(tmp_path, loopback_address, RIGHT.replace(f"\n{line}\n", f"\n{instead}\n"))
    assert list(found) == problems
    assert delegations == ()


async def test_nobody_to_ask_is_a_problem_and_no_crash(loopback_address: str) -> None:
    """A resolver that does not answer is told for each zone and hostname."""
    asking = Asking(loopback_address, seconds=0.1)
    found = (await check_delegation(SITUATION, asking)).problems + (await check_cnames(SITUATION, asking)).problems
    assert [problem.partition(":")[0] for problem in found] == ["fleet.test", "example.test", "www.customer.test"]
    assert all("the resolver has no answer for" in problem for problem in found)
    with pytest.raises(InputError, match="no IP address of a resolver"):
        Asking("resolver.example")
