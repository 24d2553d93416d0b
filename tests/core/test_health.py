"""Opinions, reports and verdicts: when an edge is down, and when it is not."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.health import (
    MOST_LACKING,
    Observation,
    Report,
    Result,
    Rules,
    Seen,
    Trend,
    Verdict,
    counting,
    judge,
    report,
)
from edgeward.errors import SchemaError

RULES = Rules()
GOOD, BAD, OWN = Result(), Result(failure="no answer"), Result(failure="no route", own=True)
R1, R2 = "1" * 64, "2" * 64


def after(results, trend: Trend | None = None, rules: Rules = RULES) -> Trend:
    for result in results:
        trend = (trend or Trend()).after(result, rules)
    return trend


def says(observer: str, *, connected: bool = True, **up: bool) -> Report:
    rows = tuple(Observation(target, answer, "" if answer else "no answer") for target, answer in up.items())
    return Report(observer, connected, rows)


def verdicts(*reports: Report, own: str = "fra", before=None, now: float = 0.0, edges=("fra", "iad", "syd")):
    return judge(edges, reports, own=own, before=before or {}, now=now, rules=RULES)


def test_three_failures_in_a_row_are_down_and_three_successes_up() -> None:
    """`fall` and `rise` count results in a row; two of either kind change nothing."""
    assert after([GOOD, BAD, BAD]).up
    assert after([GOOD, BAD, BAD, GOOD, BAD, BAD]).up
    down = after([GOOD, BAD, BAD, BAD])
    assert (down.up, down.because) == (False, "no answer")
    assert after([GOOD, GOOD, BAD, GOOD, GOOD], down).up is False
    assert after([GOOD, GOOD, GOOD], down).up
    assert after([GOOD, BAD], None, Rules(fall=1)).up is False
    assert after([GOOD], down, Rules(rise=1)).up


def test_an_observer_has_no_opinion_before_it_has_seen_enough() -> None:
    """One success makes the first opinion, failures need to be three; so a restart speaks for no dead edge."""
    assert after([BAD, BAD]).up is None
    assert after([BAD, BAD, BAD]).up is False
    assert after([GOOD]).up is True


def test_an_observers_own_fault_takes_its_opinion_away() -> None:
    """A machine without a route says nothing of the edges behind it, neither good nor bad."""
    assert after([GOOD, OWN, OWN]).up is True
    assert after([GOOD, OWN, OWN, OWN]).up is None
    assert after([BAD, BAD, BAD, OWN, OWN, OWN]).up is None


def test_an_edge_is_up_if_it_answers_over_a_family() -> None:
    """A family counts as answering if each of its addresses does; the reasons name what fails."""
    well, dead = after([GOOD]), after([BAD] * 3)
    rows = [Seen("syd", 4, well, 12.0), Seen("syd", 6, dead), Seen("iad", 4, well, 80.0), Seen("iad", 4, dead)]
    more = [Seen("gru", 4, dead), Seen("gru", 6, dead), Seen("nrt", 6, well)]
    made = report("fra", [*rows, *more], references={}, at=5)
    assert made.observations == (
        Observation("gru", False, "no answer; no answer", families={4: "no answer", 6: "no answer"}),
        Observation("iad", False, "no answer", 80.0, families={4: "no answer"}),
        Observation("nrt", True, "", families={6: ""}),
        Observation("syd", True, "", 12.0, families={4: "", 6: "no answer"}),
    )
    assert made.connected
    assert Report.from_bytes(made.to_bytes()) == made
    other = report("fra", [Seen("syd", 4, well), Seen("syd", 6, well)], references={}, at=5)
    assert other.essence != report("fra", rows[:2], references={}, at=5).essence


@pytest.mark.parametrize(
    ("references", "connected"), [({}, True), ({4: True}, True), ({6: False}, True), ({4: False}, False)]
)
def test_an_observer_distrusts_itself_only_if_its_references_fail_as_well(references, connected: bool) -> None:
    """All down alone is no reason: in a fleet of two the other one may be dead."""
    made = report("fra", [Seen("syd", 4, after([BAD] * 3))], references=references, at=5)
    assert made.connected is connected
    assert [each.up for each in made.observations] == ([False] if connected else [])


def test_a_family_that_fails_altogether_is_not_held_against_the_edges() -> None:
    """With no IPv6 of its own, and references that say so, an observer judges by IPv4."""
    rows = [Seen("syd", 4, after([GOOD])), Seen("syd", 6, after([BAD] * 3))]
    made = report("fra", rows, references={6: False}, at=5)
    assert made.connected
    assert [each.families for each in made.observations] == [{4: ""}]
    rows.append(Seen("iad", 6, after([GOOD])))
    assert report("fra", rows, references={6: False}, at=5).observations[1].families == {4: "", 6: "no answer"}


def test_an_observer_without_a_family_of_its_own_says_nothing_of_it() -> None:
    """Where no reference can tell: all of several edges silent over IPv6 while one answers over IPv4 are not believed;
    a single one is, and where a reference answers all are.
    """
    rows = [
        Seen(edge, family, after([GOOD] if family == 4 else [BAD] * 3)) for edge in ("syd", "iad") for family in (4, 6)
    ]
    assert [each.families for each in report("fra", rows, references={}, at=5).observations] == [{4: ""}] * 2
    silent = {4: "", 6: "no answer"}
    assert [each.families for each in report("fra", rows, references={6: True}, at=5).observations] == [silent] * 2
    assert [each.families for each in report("fra", rows[:2], references={}, at=5).observations] == [silent]


def test_an_edge_is_down_if_it_is_over_each_family() -> None:
    """Those who have no IPv6 have no say over IPv6: their number does not take an edge out that answers there. Nor is
    an edge up that answers nobody's majority over either.
    """
    four = [Report(name, True, (Observation("syd", False, "x", families={4: "x"}),)) for name in ("a", "b", "c")]
    both = Report("d", True, (Observation("syd", True, families={4: "x", 6: ""}),))
    assert verdicts(*four, both)["syd"].up
    assert not verdicts(*four)["syd"].up
    mixed = [
        Report("a", True, (Observation("syd", True, families={4: "x", 6: ""}),)),
        Report("b", True, (Observation("syd", True, families={4: "", 6: "y"}),)),
        Report("c", True, (Observation("syd", False, "x; y", families={4: "x", 6: "y"}),)),
    ]
    down = verdicts(*mixed)["syd"]
    assert (down.up, down.because) == (False, ("a: x", "b: y", "c: x; y"))


def test_more_than_half_of_the_observers_make_an_edge_down() -> None:
    """One of two is not more than half; observers that are not connected do not count."""
    assert verdicts(says("fra", syd=False), says("iad", syd=True))["syd"].up
    assert not verdicts(says("fra", syd=False), says("iad", syd=False))["syd"].up
    assert not verdicts(says("fra", syd=False), says("iad", syd=True, connected=False))["syd"].up
    assert verdicts(says("fra", syd=False, connected=False), says("iad", syd=True))["syd"].up
    down = verdicts(says("fra", syd=False), says("iad", syd=False), now=7.0)["syd"]
    assert down == Verdict("syd", False, ("fra: no answer", "iad: no answer"), 7.0)


def test_one_observer_cut_off_changes_nothing() -> None:
    """Whose probes all fail is outvoted about every other edge, also with its references unset, and in its own eyes."""
    reports = [says("fra", iad=True, syd=True), says("iad", fra=True, syd=True), says("syd", fra=False, iad=False)]
    for own in ("fra", "iad", "syd"):
        assert all(verdict.up for verdict in verdicts(*reports, own=own).values())


@pytest.mark.parametrize("dead", ["fra", "iad"])
def test_a_fleet_of_two_fails_over(dead: str) -> None:
    """The one that is left sees everything down, and believes it."""
    left = "iad" if dead == "fra" else "fra"
    found = verdicts(says(left, **{dead: False}), own=left, edges=("fra", "iad"))
    assert {edge: verdict.up for edge, verdict in found.items()} == {left: True, dead: False}


def test_an_edge_that_nobody_sees_stays_as_it_was() -> None:
    """Observers that go away make nobody up or down; only oneself is up when nobody says otherwise."""
    down = verdicts(says("iad", fra=False, syd=False), says("syd", fra=False), now=1.0)
    assert [down[edge].up for edge in ("fra", "iad", "syd")] == [False, True, False]
    later = verdicts(before=down, now=2.0)
    assert [later[edge].up for edge in ("fra", "iad", "syd")] == [True, True, False]


def test_reports_count_while_they_are_fresh_and_the_store_is_there() -> None:
    """Old ones do not, nor any but one's own without a store; age is by the clock of who receives."""
    own, iad, syd = says("fra", syd=False), says("iad", syd=True), says("syd", iad=True)
    received = {"fra": (own, 0.0), "iad": (iad, 7.5), "syd": (syd, 6.0)}
    assert counting(received, own, alone=False, now=10.0, rules=RULES) == [own, iad]
    assert counting(received, own, alone=True, now=10.0, rules=RULES) == [own]


def changes_of(answers, *, observers: int = 4, seconds: float = 60.0, seed: int = 1) -> list[tuple[float, bool]]:
    """Drive observers with jittered probes of an edge of which `answers(t)` says whether it answers at that moment."""
    source = random.Random(seed)
    due = [(source.random(), number) for number in range(observers)]
    trends = [Trend()] * observers
    before: dict[str, Verdict] = {}
    changes: list[tuple[float, bool]] = []
    while (first := min(due))[0] < seconds:
        now, number = first
        trends[number] = trends[number].after(GOOD if answers(now) else BAD, RULES)
        due[number] = now + source.uniform(0.8, 1.0), number
        reports = [says(f"o{n}", syd=trend.up) for n, trend in enumerate(trends) if trend.up is not None]
        found = judge(["syd"], reports, own="fra", before=before, now=now, rules=RULES)
        if before and found["syd"].up != before["syd"].up:
            changes.append((now, found["syd"].up))
        before = found
    return changes


def within_a_minute(changes: list[tuple[float, bool]]) -> int:
    """The most changes in any minute."""
    return max((sum(at <= each < at + 60 for each, _ in changes) for at, _ in changes), default=0)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("observers", [1, 2, 4])
def test_flapping_every_second_for_a_minute_is_two_changes_at_most(observers: int, phase: float, seed: int) -> None:
    """Up for a second, down for a second, and so on, however the probes fall."""
    changes = changes_of(lambda now: int(now + phase) % 2 == 0, observers=observers, seed=seed)
    assert len(changes) <= 2, changes


@pytest.mark.parametrize("period", [2, 3, 4, 5, 7, 10, 15, 20])
def test_an_edge_that_comes_and_goes_for_longer_is_held_out(period: int) -> None:
    """It is out and in again once; when it fails again it is out at once, and stays so for a minute from its return."""
    changes = changes_of(lambda now: int(now / period) % 2 == 0, seconds=600)
    assert within_a_minute(changes) <= 3, changes
    returns = [at for at, up in changes if up]
    assert all(later - earlier >= RULES.hold for earlier, later in itertools.pairwise(returns))


def test_failover_is_never_held_back() -> None:
    """An edge that dies right after its return is out within a few seconds all the same."""
    changes = changes_of(lambda now: now < 10 or 20 <= now < 25)
    assert [up for _, up in changes] == [False, True, False]
    assert changes[2][0] - 25 < 4


def test_an_edge_that_lacks_very_much_is_down() -> None:
    """So a report stays small however many sites there are."""
    rows = [Seen("syd", 4, after([GOOD]), 1.0, {f"s{number}": "" for number in range(MOST_LACKING + 1)})]
    made = report("fra", rows, references={}, at=5).observations[0]
    assert (made.up, made.lacking) == (False, {})
    assert made.because == "it does not hold the live releases of 4,001 sites"


def test_a_report_is_bounded_over_all_its_targets() -> None:
    """By the edges that lack most, those that are unsure of most sites too; the store takes what is left, whatever the
    names.
    """
    sites = [f"{number:063}" for number in range(1000)]
    rows = [
        Seen(f"e{number:02}", 4, after([GOOD]), 1.0, dict.fromkeys(sites[: 1000 - number], R1), frozenset(sites))
        for number in range(14)
    ]
    rows.append(Seen("few", 4, after([GOOD]), 1.0, {"www": R1}, frozenset({"blog"})))
    made = report("fra", rows, references={}, at=5)
    kept = {each.target: len(each.lacking) for each in made.observations if each.up}
    assert kept == {"e10": 990, "e11": 989, "e12": 988, "e13": 987, "few": 1}
    assert made.observations[0].because == "it does not hold the live releases of 1,000 sites"
    unsure = [Seen(f"e{number:02}", 4, after([GOOD]), 1.0, {}, frozenset(sites)) for number in range(15)]
    doubting = {each.target: each.unsure for each in report("fra", unsure, references={}, at=5).observations}
    assert [edge for edge, doubts in doubting.items() if doubts is not None] == ["e00", "e01", "e02", "e03"]
    both = zip(made.observations, doubting.values(), strict=True)
    largest = replace(made, observations=tuple(replace(each, unsure=doubts) for each, doubts in both))
    assert 700_000 < len(largest.to_bytes()) < 1024 * 1024


NAMES = st.text("abcdefgh0123", min_size=1, max_size=8)
OBSERVATIONS = st.builds(
    Observation,
    target=NAMES,
    up=st.booleans(),
    because=st.text(max_size=20),
    milliseconds=st.none() | st.integers(0, 10**6).map(lambda us: us / 1000),
    lacking=st.dictionaries(NAMES, st.sampled_from(["", R1]), max_size=3),
    families=st.dictionaries(st.sampled_from([4, 6]), st.text(max_size=20)),
    unsure=st.none() | st.frozensets(NAMES, max_size=3),
)
REPORTS = st.builds(
    Report,
    observer=NAMES,
    connected=st.booleans(),
    observations=st.lists(OBSERVATIONS, max_size=6, unique_by=lambda each: each.target).map(tuple),
    at=st.integers(0, 2**32),
)


@given(REPORTS)
def test_reports_survive_the_wire(made: Report) -> None:
    """What is sent is what is heard."""
    assert Report.from_bytes(made.to_bytes()) == made


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b'{"schema":[2,0]}', b'{"schema":[1,0]}',
        b'{"schema":[1,0],"observer":1,"connected":true,"at":1,"observations":[]}',
        b'{"schema":[1,0],"observer":"a","connected":1,"at":1,"observations":[]}',
        b'{"schema":[1,0],"observer":"a","connected":true,"at":1,"observations":[{}]}',
        b'{"schema":[1,0],"observer":"a","connected":true,"at":1,"observations":["a"]}',
        (b'{"schema":[1,0],"observer":"a","connected":true,"at":1,"observations":[{"target":"b","up":true,"because":"",'
        b'"us":null,"lacking":{},"families":{},"unsure":[1]}]}'),
    ],
)  # fmt: skip
def test_a_report_of_another_shape_is_refused(data: bytes) -> None:
    """Each with one sort of error."""
    with pytest.raises(SchemaError):
        Report.from_bytes(data)


FEW = st.sampled_from(("a", "b", "c"))
SMALL = st.builds(
    Report,
    observer=FEW,
    connected=st.booleans(),
    observations=st.lists(
        st.builds(Observation, FEW, st.booleans(), lacking=st.dictionaries(FEW, st.sampled_from(["", R1]), max_size=2)),
        max_size=3,
        unique_by=lambda each: each.target,
    ).map(tuple),
)


@given(st.lists(SMALL, max_size=4), st.randoms(use_true_random=False))
def test_a_verdict_does_not_depend_on_the_order_of_reports(reports: list[Report], source: random.Random) -> None:
    """Nor on that of the edges."""
    edges = sorted({each.target for made in reports for each in made.observations})
    shuffled, others = list(reports), list(edges)
    source.shuffle(shuffled)
    source.shuffle(others)
    one = judge(edges, reports, own="fra", before={}, now=0.0, rules=RULES)
    other = judge(others, shuffled, own="fra", before={}, now=0.0, rules=RULES)
    assert {edge: each.up for edge, each in one.items()} == {edge: each.up for edge, each in other.items()}
