"""Whether edges hold the live releases: what one observer sees, and what several agree on."""

import random
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.health import MOST_LACKING, Observation, Report, Result, Rules, Seen, Trend, report
from edgeward.core.lacking import Expected, Live, lacking, missing

RULES = Rules()
R1, R2 = "1" * 64, "2" * 64
SITES = {"www": Expected(R2, 0.0), "blog": Expected(R1, 0.0)}


def miss(*results: Result, start: float = 100.0, current: bool = True, expected=SITES) -> dict[str, str]:
    since: dict[str, float] = {}
    found: dict[str, str] = {}
    live = Live(expected, current)
    for number, result in enumerate(results):
        since, found = missing(live, result, since, now=start + number, rules=RULES)
    return found


def test_a_wrong_release_is_out_after_three_looks() -> None:
    """And back at the first look that shows the right one."""
    wrong, right = Result(sites={"www": R1, "blog": R1}), Result(sites={"www": R2, "blog": R1})
    assert miss(wrong, wrong) == {}
    assert miss(wrong, wrong, wrong) == {"www": R1}
    assert miss(wrong, wrong, wrong, right) == {}
    none = Result(sites={"blog": R1})
    assert miss(none, none, none) == {"www": ""}


def test_an_edge_has_ten_seconds_from_when_the_pointer_moved() -> None:
    """The grace period is that of the pointer as this observer saw it move."""
    moved = {"www": Expected(R2, 100.0)}
    late = Result(sites={"www": R1})
    assert miss(*[late] * 10, expected=moved) == {}
    assert miss(*[late] * 11, expected=moved) == {"www": R1}


def test_an_edge_that_starts_has_the_grace_period_too() -> None:
    """What an agent that has just started says of its sites is not known to be true yet."""
    empty = Result(sites={}, starting=True)
    assert miss(*[empty] * 10) == {}
    assert miss(*[empty] * 11) == {"www": "", "blog": ""}


def test_pointers_that_are_not_followed_accuse_nobody_of_another_release() -> None:
    """Cut off from the store, an observer may be the one that is behind; a site that is not served at all is a fact."""
    other = Result(sites={"www": R1})
    assert miss(other, other, other, current=False) == {"blog": ""}


def test_more_than_half_of_the_observers_say_that_a_release_is_lacking() -> None:
    """The majority of the connected ones again, and the reason names the release that is served."""
    seen = Observation("syd", True, lacking={"www": R1, "blog": ""})
    one, other = Report("fra", True, (seen,)), Report("iad", True, (Observation("syd", True),))
    assert lacking([one, other], before={}) == {}
    blind = Report("gru", False, (Observation("syd", True),))
    assert lacking([one, blind], before={}) == {
        "www": {"syd": f"it serves release {R1[:12]}, which is not the live one"},
        "blog": {"syd": "it does not serve the site"},
    }


def said(observer: str, *sites: str, unsure: Collection[str] | None = (), connected: bool = True) -> Report:
    """What an observer says that sees syd serve none of these sites, and cannot tell yet of others."""
    sees = Observation(
        "syd", True, lacking=dict.fromkeys(sites, ""), unsure=None if unsure is None else frozenset(unsure)
    )
    return Report(observer, connected, (sees,))


NONE = {"www": {"syd": "it does not serve the site"}}


def test_who_is_not_sure_has_no_vote() -> None:
    """One that has just started brings back no edge that another knows to be lacking; one that is sure does."""
    assert lacking([said("fra", "www"), said("iad", unsure=["www"])], before={}) == NONE
    assert lacking([said("fra", "www"), said("iad", unsure=None)], before={}) == NONE
    assert lacking([said("fra", "www"), said("iad", unsure=["blog"])], before={}) == {}
    assert lacking([said("fra", "www"), said("gru", "www"), said("iad")], before={}) == NONE
    assert lacking([said("fra", "www"), said("gru"), said("iad", unsure=["www"])], before={}) == {}


@pytest.mark.parametrize("unsure", [None, ["www"]])
def test_what_nobody_is_sure_of_is_as_it_was(unsure: list[str] | None) -> None:
    """After a restart of all observers, and before the first of them has looked."""
    before = {"www": {"syd": "known"}}
    assert lacking([], before=before) == before
    assert lacking([said("fra", unsure=unsure), said("iad", unsure=unsure)], before=before) == before
    assert lacking([said("fra", unsure=unsure)], before={}) == {}
    assert lacking([said("fra", unsure=unsure), said("iad")], before=before) == {}
    assert lacking([said("fra", connected=False)], before=before) == before


def seen(unsure: Collection[str] | None, family: int = 4, up: bool = True) -> Seen:
    return Seen("syd", family, Trend(up), unsure=None if unsure is None else frozenset(unsure))


def test_an_observer_is_unsure_of_an_edge_as_far_as_none_of_its_addresses_tells() -> None:
    """An address that never answered says nothing; more sites than a report may have are all."""
    many = [f"s{number}" for number in range(MOST_LACKING + 1)]
    for rows, unsure in (
        ([seen(None)], None),
        ([seen(None), seen(["www"], 6)], {"www"}),
        ([seen(["www"]), seen(["blog"], 6)], {"www", "blog"}),
        ([seen([]), seen(None, 6, up=False)], set()),
        ([seen(many)], None),
        ([seen(many[1:])], set(many[1:])),
    ):
        assert report("fra", rows, references={}, at=5).observations[0].unsure == unsure
    both = [Seen("syd", 4, Trend(up=True), 1.0, {"www": ""}), seen(["www", "blog"], 6)]
    assert report("fra", both, references={}, at=5).observations[0].unsure == {"blog"}


FEW = st.sampled_from(("a", "b", "c"))
SITES_LACKED = st.dictionaries(FEW, st.sampled_from(["", R1]), max_size=2)
ROW = st.builds(
    Observation, FEW, st.just(True), lacking=SITES_LACKED, unsure=st.none() | st.frozensets(FEW, max_size=2)
)
REPORT = st.builds(
    Report,
    observer=FEW,
    connected=st.booleans(),
    observations=st.lists(ROW, max_size=3, unique_by=lambda each: each.target).map(tuple),
)
BEFORE = st.dictionaries(FEW, st.dictionaries(FEW, st.just("known"), min_size=1, max_size=2), max_size=2)


@given(st.lists(REPORT, max_size=4), BEFORE, st.randoms(use_true_random=False))
def test_what_is_lacking_does_not_depend_on_the_order_of_reports(
    reports: list[Report], before: dict[str, dict[str, str]], source: random.Random
) -> None:
    """All edges agree, whoever was heard first; and what is lacking stays so by itself when all are silent."""
    shuffled = list(reports)
    source.shuffle(shuffled)
    found = lacking(reports, before=before)
    assert found == lacking(shuffled, before=before)
    assert lacking([], before=found) == found
