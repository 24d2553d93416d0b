"""The decision of an edge: what to stage, to serve, to take off the disk, and when to call itself current."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.plan import Desired, Failure, Observed, decide, wait_until, why_not_ready

SITES = ("alpha", "beta", "gamma")
RELEASES = tuple(digest_of(bytes([number])) for number in range(4))
HOSTS = ("a.test", "b.test", "c.test")


def record(site: str, release: Digest, created: int = 10) -> ReleaseRecord:
    return ReleaseRecord(site, release, digest_of(release.encode()), 100, created, "", "ann", 1, 1)


def pointer(release: Digest | None, previous: Digest | None = None) -> Pointer:
    return Pointer("alpha", release, previous, 1, "ann", "push")


def hosts_of(site: str, release: Digest) -> tuple[str, ...]:
    return tuple(
        host for number, host in enumerate(HOSTS) if int(digest_of(f"{site}{release}{number}".encode())[0], 16) < 6
    )


keys = st.tuples(st.sampled_from(SITES), st.sampled_from(RELEASES))


@st.composite
def states(draw: st.DrawFn) -> tuple[Desired, Observed]:
    staged = {key: hosts_of(*key) for key in draw(st.sets(keys))}
    live: dict[str, Digest] = {}
    taken: set[str] = set()
    for site, release in draw(st.permutations(sorted(staged))):
        if site not in live and not taken & set(staged[site, release]):
            live[site] = release
            taken |= set(staged[site, release])
    optional = st.none() | st.sampled_from(RELEASES)
    pointers = {site: pointer(draw(optional), draw(optional)) for site in draw(st.sets(st.sampled_from(SITES)))}
    records = {key: record(*key, draw(st.integers(1, 20))) for key in draw(st.sets(keys))}
    candidates = {key: pointer(key[1]) for key in draw(st.sets(keys)) if key in records}
    owners = draw(st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(SITES)))
    orders = {
        name: PurgeOrder(name, site, ("/x",), (), 15, "ann")
        for name, site in draw(st.dictionaries(st.sampled_from("pq"), st.sampled_from(SITES))).items()
    }
    tainted = {
        name: frozenset(key for key in staged if key[0] == order.site and draw(st.booleans()))
        for name, order in orders.items()
    }
    desired = Desired(pointers, candidates, records, orders, owners)
    return desired, Observed(live, staged, frozenset(), {}, frozenset(), tainted)


def apply(desired: Desired, observed: Observed) -> Observed:
    """What an edge that obeys looks like afterwards."""
    plan = decide(desired, observed, now=100)
    staged = dict(observed.staged)
    done = set(observed.carried_out)
    for order in plan.purge:
        for key in observed.tainted[order.key]:
            staged.pop(key, None)
        done.add(order.key)
    for action in plan.stage:
        staged[action.key] = hosts_of(*action.key)
    for action in plan.unstage:
        staged.pop((action.site, action.release), None)
    tainted = {name: frozenset(key for key in held if key in staged) for name, held in observed.tainted.items()}
    return replace(observed, live=dict(plan.serve), staged=staged, carried_out=frozenset(done), tainted=tainted)


@given(states())
def test_nothing_unstaged_is_served_and_no_hostname_twice(case: tuple[Desired, Observed]) -> None:
    """Whatever the states: only what is staged is served, each hostname by one site, and nothing in use is removed."""
    desired, observed = case
    plan = decide(desired, observed, now=100)
    hostnames = [host for key in plan.serve.items() for host in observed.staged[key]]
    assert len(hostnames) == len(set(hostnames))
    gone = {(action.site, action.release) for action in plan.unstage}
    assert not gone & (set(plan.serve.items()) | set(observed.live.items()))


@given(states())
def test_a_site_goes_off_the_air_only_when_it_was_removed(case: tuple[Desired, Observed]) -> None:
    """A site that is served stays served, unless its pointer says that it was removed, or another site answers for one
    of its hostnames, as only one can.
    """
    desired, observed = case
    plan = decide(desired, observed, now=100)
    answered = {host: site for site, release in plan.serve.items() for host in observed.staged[site, release]}
    for site, release in observed.live.items():
        removed = site in desired.live and desired.live[site].release is None
        replaced = not answered.keys().isdisjoint(observed.staged.get((site, release), ()))
        assert removed or replaced or site in plan.serve


@given(states())
def test_obeying_ends_in_an_empty_plan(case: tuple[Desired, Observed]) -> None:
    """Applying plans settles within a few rounds; what then differs from the pointers is explained in words."""
    desired, observed = case
    for _ in range(8):
        observed = apply(desired, observed)
    plan = decide(desired, observed, now=100)
    assert not plan.switches
    assert not plan.stage or all(
        action.key in {k for held in observed.tainted.values() for k in held} for action in plan.stage
    )
    assert not plan.unstage
    for site, wanted in desired.live.items():
        if observed.live.get(site) != wanted.release:
            assert site in plan.behind
            assert plan.problems


@given(states())
def test_purge_waits_until_the_bytes_are_not_served(case: tuple[Desired, Observed]) -> None:
    """A purge order is carried out only once the site's served release holds none of the bytes."""
    desired, observed = case
    for order in decide(desired, observed, now=100).purge:
        live = observed.live.get(order.site)
        assert live is None or (order.site, live) not in observed.tainted[order.key]


def test_an_edge_that_is_as_it_should_be_does_nothing() -> None:
    """Desired equals observed: no action, not behind, no problem."""
    release = RELEASES[0]
    desired = Desired({"alpha": pointer(release)}, releases={("alpha", release): record("alpha", release)})
    observed = Observed({"alpha": release}, {("alpha", release): ("a.test",)})
    plan = decide(desired, observed, now=1)
    assert (plan.stage, plan.switches, plan.unstage, plan.behind, plan.problems) == ((), (), (), {}, {})
    assert plan.serve == {"alpha": release}


def test_live_is_staged_before_candidates_and_previous() -> None:
    """Urgency: the live release first, then candidates, then what a rollback would need."""
    live, candidate, previous, _ = RELEASES
    records = {("alpha", release): record("alpha", release) for release in RELEASES}
    desired = Desired({"alpha": pointer(live, previous)}, {("alpha", candidate): pointer(candidate)}, records)
    plan = decide(desired, Observed(), now=1)
    assert [action.record.release for action in plan.stage] == [live, candidate, previous]
    assert plan.stage[0].because == "it is the live release"


def test_a_release_that_failed_is_tried_again_when_its_time_comes() -> None:
    """A failure is reported as a problem and the release is not tried before `retry_at`."""
    key = ("alpha", RELEASES[0])
    desired = Desired({"alpha": pointer(RELEASES[0])}, releases={key: record(*key)})
    observed = Observed(failed={key: Failure("the disk is full", 50)})
    early = decide(desired, observed, now=49)
    assert early.stage == ()
    assert list(early.problems) == [f"alpha {RELEASES[0][:12]}"]
    assert "the disk is full" in next(iter(early.problems.values()))
    assert wait_until(observed, now=49) == 50
    assert [action.key for action in decide(desired, observed, now=50).stage] == [key]


def test_a_withdrawn_candidate_is_cancelled_and_unstaged() -> None:
    """What nobody wants any more: its staging ends, its trees go."""
    key, other = ("alpha", RELEASES[1]), ("alpha", RELEASES[2])
    plan = decide(Desired(), Observed(staging=frozenset({key}), staged={other: ()}), now=1)
    assert plan.cancel == (key,)
    assert [(action.site, action.release) for action in plan.unstage] == [other]
    plan = decide(Desired(), Observed({"alpha": RELEASES[0]}, {("alpha", RELEASES[0]): (), other: ()}), now=1)
    assert plan.unstage == ()  # a site that is served and has no pointer keeps all: the store may have lost it
    plan = decide(Desired({"alpha": pointer(None)}), Observed(staged={other: ()}), now=1)
    assert [(action.site, action.release) for action in plan.unstage] == [other]


def test_a_store_that_lost_its_pointers_takes_nothing_off_the_air() -> None:
    """An empty store is a problem to report, not an order to stop serving."""
    key = ("alpha", RELEASES[0])
    plan = decide(Desired(), Observed({"alpha": key[1]}, {key: ("a.test",)}), now=1)
    assert plan.serve == {"alpha": key[1]}
    assert "no live pointer" in plan.problems["alpha"]


def test_a_hostname_moves_between_sites_without_a_gap() -> None:
    """The new owner of a hostname waits until the old one has let go, so that neither site goes off the air."""
    old, new, other = ("alpha", RELEASES[0]), ("alpha", RELEASES[1]), ("beta", RELEASES[2])
    records = {key: record(*key) for key in (old, new, other)}
    desired = Desired({"alpha": pointer(new[1]), "beta": pointer(other[1])}, {}, records, {}, {"h.test": "beta"})
    observed = Observed({"alpha": old[1]}, {old: ("h.test", "a.test"), other: ("h.test",)})
    plan = decide(desired, observed, now=1)
    assert plan.serve == {"alpha": old[1]}
    assert plan.problems == {"beta": "site beta cannot answer for h.test: site alpha does"}
    plan = decide(desired, replace(observed, staged={**observed.staged, new: ("a.test",)}), now=1)
    assert plan.serve == {"alpha": new[1], "beta": other[1]}


def test_ready_means_compared_and_caught_up() -> None:
    """Not ready before the store was seen; not while catching up; a settled edge may be behind for a moment."""
    facts = {"compared": True, "settled": False, "behind": {}, "behind_since": None, "now": 100, "stale_after": 30}
    assert why_not_ready(**{**facts, "compared": False})
    assert not why_not_ready(**facts)
    late = {"alpha": "release is not served"}
    assert why_not_ready(**{**facts, "behind": late, "behind_since": 99}) == ("release is not served",)
    assert not why_not_ready(**{**facts, "settled": True, "behind": late, "behind_since": 99})
    assert why_not_ready(**{**facts, "settled": True, "behind": late, "behind_since": 70})
