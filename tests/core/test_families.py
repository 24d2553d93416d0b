"""Verdicts on each family of an edge: who has a say, what is held, and what answers leave out."""

import itertools
import random

import pytest

from edgeward.core.families import families_of, judge_families, silent
from edgeward.core.fleet import EdgeRecord
from edgeward.core.health import Observation, Report, Result, Rules, Seen, Trend, Verdict, report

RULES = Rules()
GOOD, BAD = Result(), Result(failure="no answer")
BOTH = frozenset((4, 6))


def seen_over(observer: str, *, connected: bool = True, **families: str) -> Report:
    """What an observer says of syd over families, "" for nothing bad: `six="no answer"`."""
    over = {{"four": 4, "six": 6}[family]: why for family, why in families.items()}
    return Report(observer, connected, (Observation("syd", True, families=over),))


def judged(*reports: Report, before=None, now: float = 0.0) -> dict[tuple[str, int], Verdict]:
    return judge_families(reports, before=before or {}, now=now, rules=RULES)


def is_silent(*reports: Report, before=None) -> dict[int, tuple[str, ...]]:
    """The families over which syd is silent, with the reasons."""
    return {family: each.because for (_, family), each in judged(*reports, before=before).items() if not each.up}


def test_more_than_half_of_those_that_ask_there_make_a_family_silent() -> None:
    """An observer without IPv6 has no say in it, nor one that is not connected; the reasons are what each said."""
    bad = seen_over("fra", four="", six="no answer")
    assert is_silent(bad) == {6: ("fra: no answer",)}
    assert is_silent(bad, seen_over("iad", four="", six="")) == {}
    assert is_silent(bad, seen_over("iad", four="", six="", connected=False)) == {6: ("fra: no answer",)}
    most = [bad, seen_over("gru", four=""), seen_over("sin", four=""), seen_over("iad", six="refused")]
    assert is_silent(*most) == {6: ("fra: no answer", "iad: refused")}


def test_a_family_that_nobody_asks_over_stays_as_it_was() -> None:
    """As after a restart, until there is an opinion."""
    before = {(edge, family): Verdict(edge, False, ("before",)) for edge, family in (("syd", 6), ("gru", 4))}
    assert judged(before=before) == before
    assert judged(seen_over("fra", four=""), before=before)["syd", 6] == before["syd", 6]
    after = judged(seen_over("fra", four="", six=""), before=before)
    assert after["syd", 6].up
    assert after["gru", 4] == before["gru", 4]


def test_only_families_in_which_an_edge_has_addresses_are_silent() -> None:
    """An operator who takes a dead address away has mended it."""
    dead = {("syd", 6): Verdict("syd", False, ("fra: timeout",))}
    assert silent(dead, addresses={"syd": BOTH, "fra": BOTH}, out=()) == {"syd": {6: "fra: timeout"}}
    records = {"syd": EdgeRecord("syd", "SYD", ("192.0.2.3",)), "fra": EdgeRecord("fra", "FRA", ("192.0.2.1", "::1"))}
    assert families_of(records) == {"syd": frozenset((4,)), "fra": BOTH}
    assert silent(dead, addresses=families_of(records), out=()) == {}


def test_where_all_are_silent_none_is() -> None:
    """Of those that could be named at all: an answer that may not work is better than none."""
    dead = {(edge, 6): Verdict(edge, False, ("x",)) for edge in ("syd", "iad")}
    addresses = {"syd": BOTH, "iad": BOTH, "fra": BOTH}
    assert silent(dead, addresses=addresses, out=()) == {"syd": {6: "x"}, "iad": {6: "x"}}
    assert silent(dead, addresses=addresses, out={"fra": "down"}) == {}
    assert silent(dead, addresses={**addresses, "fra": frozenset((4,))}, out=()) == {}


def test_an_observer_with_a_broken_family_of_its_own_changes_nothing() -> None:
    """Alone, without a store: it says nothing of the family. In a fleet of two, where each says of the other that it is
    silent, both go on being named.
    """
    rows = [Seen(edge, family, Trend(up=family == 4)) for edge in ("iad", "syd") for family in (4, 6)]
    assert judged(report("fra", rows, references={}, at=0)).keys() == {("iad", 4), ("syd", 4)}
    each_other = [
        Report(observer, True, (Observation(target, True, families={4: "", 6: "no answer"}),))
        for observer, target in (("fra", "iad"), ("iad", "fra"))
    ]
    assert silent(judged(*each_other), addresses={"fra": BOTH, "iad": BOTH}, out=()) == {}


def test_targets_that_become_silent_one_after_the_other_are_none_of_their_fault() -> None:
    """An observer that loses its IPv6 sees the first one down before the others: their last probes have failed too. An
    edge that is seen over no other family is judged all the same.
    """
    down, failing, well = Trend(up=False, because="x"), Trend(up=True, run=2), Trend(up=True)
    rows = [Seen("iad", 4, well), Seen("iad", 6, down), Seen("syd", 4, well), Seen("syd", 6, failing)]
    assert [each.families for each in report("fra", rows, references={}, at=0).observations] == [{4: ""}] * 2
    only = report("fra", [*rows, Seen("gru", 6, down)], references={}, at=0).observations[0]
    assert (only.target, only.up) == ("gru", False)
    rows[3] = Seen("syd", 6, well)
    assert [each.families for each in report("fra", rows, references={}, at=0).observations] == [
        {4: "", 6: "x"},
        {4: "", 6: ""},
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("period", [1, 2, 3, 5, 6, 10, 15])
def test_a_family_that_comes_and_goes_is_held_out(period: int, seed: int) -> None:
    """As a whole edge is: silent at once when it fails again, and then for a minute from its last return."""
    source = random.Random(seed)
    due = [(source.random(), number) for number in range(4)]
    trends = [Trend(up=True)] * 4
    before: dict[tuple[str, int], Verdict] = {}
    returns: list[float] = []
    changes: list[float] = []
    while (first := min(due))[0] < 600:
        now, number = first
        trends[number] = trends[number].after(GOOD if int(now / period) % 2 == 0 else BAD, RULES)
        due[number] = now + source.uniform(0.8, 1.0), number
        reports = [seen_over(f"o{n}", four="", six="" if trend.up else "x") for n, trend in enumerate(trends)]
        found = judged(*reports, before=before, now=now)
        if before and found["syd", 6].up != before["syd", 6].up:
            changes.append(now)
            returns += [now] if found["syd", 6].up else []
        before = found
    assert all(later - earlier >= RULES.hold for earlier, later in itertools.pairwise(returns))
    # Out and in once before anything is held, and out again; from then on one return in a minute at most.
    assert max((sum(at <= each < at + 60 for each in changes) for at in changes), default=0) <= 3
