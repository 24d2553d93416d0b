"""Where a name leads within the zones, and what is said where it leads to nothing."""

import dns.message
import pytest

from dns_world import SECRET, zones
from edgeward.dns.responder import Responder
from edgeward.dns.view import View
from edgeward.dns.wire import CNAME, A, name_to_wire
from edgeward.dns.zone import RRset
from edgeward.errors import InputError, NotFoundError
from edgeward.publish.name_path import MOST_ALIASES, follow


def test_aliases_are_followed_to_what_is_steered() -> None:
    """Over several, with each on the way in order; the case of the letters and a final dot say nothing."""
    path = follow(zones(), "Chain.Example.test.")
    assert [(each.name, each.type, each.values) for each in path.aliases] == [
        ("chain.example.test", "CNAME", ("alias.example.test.",)),
        ("alias.example.test", "CNAME", ("www.example.test.",)),
    ]
    assert path.name == "www.example.test"
    assert path.site is not None


@pytest.mark.parametrize("name", ["mail.example.test", "a.b.wild.example.test"])
def test_fixed_records_are_found(name: str) -> None:
    """By name and by wildcard, whose records have the name that was asked for."""
    path = follow(zones(), name)
    assert (path.name, path.site, path.aliases) == (name, None, ())
    assert ("A", name) in [(each.type, each.name) for each in path.records]


def test_a_name_between_names_is_there_and_holds_nothing() -> None:
    """An empty non-terminal (RFC 4592 section 2.2.2)."""
    assert follow(zones(), "_tcp.example.test").records == ()


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("none.example.test", "there is no name none.example.test in the zone example.test", "edgeward dns show"),
        ("www.other.test", "www.other.test is in none of the fleet's zones", "dig www.other.test"),
        ("away.example.test", "away.example.test is an alias of www.elsewhere.test; www.elsewhere.test is in none of",
         "dig www.elsewhere.test"),
        ("dead.example.test", "dead.example.test is an alias of nothing.example.test; there is no name nothing.exam",
         "edgeward dns show"),
        ("loop.example.test", "loop.example.test leads in a circle: loop.example.test, pool.example.test, loop.exa",
         "edgeward dns apply dns.toml"),
        ("child.example.test", "child.example.test is delegated to other name servers", "dig child.example.test"),
        ("a.child.example.test", "a.child.example.test is delegated with child.example.test to other name servers",
         "dig a.child.example.test"),
    ],
)  # fmt: skip
def test_what_leads_to_nothing_is_said_with_the_way_there(name: str, message: str, hint: str) -> None:
    """Each with what to do next."""
    with pytest.raises(NotFoundError) as caught:
        follow(zones(), name)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint


def test_as_many_aliases_are_followed_as_name_servers_follow() -> None:
    """One more is an error that names them all, and there a server answers with aliases alone."""
    *others, zone = zones()
    chain = {
        f"a{number}.{zone.origin}": {CNAME: RRset(60, (name_to_wire(f"a{number + 1}.{zone.origin}"),))}
        for number in range(MOST_ALIASES + 1)
    }
    last = {f"a{MOST_ALIASES + 1}.{zone.origin}": {A: RRset(60, (bytes(4),))}}
    made = [*others, type(zone)(zone.origin, {**zone.rrsets, **chain, **last}, zone.steered)]
    assert len(follow(made, f"a1.{zone.origin}").aliases) == MOST_ALIASES
    with pytest.raises(NotFoundError, match="leads over more than the 7 aliases that"):
        follow(made, f"a0.{zone.origin}")
    responder = Responder(View(tuple(made)), None, secret=SECRET)
    types = []
    for first in ("a1", "a0"):
        answer = responder.respond(dns.message.make_query(f"{first}.{zone.origin}", "A").to_wire(), bytes(4), tcp=True)
        assert answer is not None
        types.append([int(each.rdtype) for each in dns.message.from_wire(answer).answer])
    assert types == [[CNAME] * MOST_ALIASES + [A], [CNAME] * (MOST_ALIASES + 1)]


def test_what_is_no_name_is_bad_input() -> None:
    """And a fleet that answers no DNS has no names at all."""
    with pytest.raises(InputError, match="is no name of a record"):
        follow(zones(), "a..example.test")
    with pytest.raises(NotFoundError, match="no edge answers DNS yet"):
        follow((), "www.example.test")
