"""Which edges an answer names."""

from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.answer import choose
from edgeward.core.orders import Order, Ranked, SteeredEdge

NAMES = ("fra", "lhr", "iad", "syd", "nrt", "gru")


def edges(*names: str, six: str = "") -> dict[str, SteeredEdge]:
    """Edges with an IPv4 address each; those in `six` with an IPv6 address too."""
    return {
        name: SteeredEdge(name, None, (f"192.0.2.{number}", *([f"2001:db8::{number}"] if name in six.split() else [])))
        for number, name in enumerate(names, start=1)
    }


def order(**milliseconds: float | None) -> Order:
    """An order in which the edges stand as they are given."""
    ranked = tuple(Ranked(name, value, f"{value} ms") for name, value in milliseconds.items())
    return Order(ranked, "geography", "where it is")


def named(its_order: Order, **more: object) -> tuple[str, ...]:
    """Names in the answer, of edges with IPv4."""
    settings = {"out": {}, "family": 4, **more}
    return choose(its_order, edges(*NAMES), **settings).edges


def test_one_address_and_a_second_only_if_it_is_near_the_first() -> None:
    """The order inside an RRset means nothing to resolvers, so a far second address would undo the steering."""
    assert named(order(fra=10, lhr=26)) == ("fra",)
    assert named(order(fra=10, lhr=25)) == ("fra", "lhr")
    assert named(order(fra=10, lhr=12, iad=13)) == ("fra", "lhr")
    assert named(order(fra=10, lhr=12, iad=13), most=3) == ("fra", "lhr", "iad")
    assert named(order(fra=10, lhr=12), most=1) == ("fra",)
    assert named(order(fra=10, lhr=90), margin=100.0) == ("fra", "lhr")


def test_a_place_without_a_round_trip_is_near_to_nothing() -> None:
    """What the operator orders, or nothing is known of, is named alone."""
    assert named(order(fra=None, lhr=None)) == ("fra",)
    assert named(order(fra=None, lhr=5, iad=6)) == ("fra",)
    assert named(order(fra=5, lhr=None, iad=6)) == ("fra", "iad")


def test_an_edge_that_is_out_gives_way_to_the_next() -> None:
    """Down, drained or without the release; and the answer says so of each that would have come first."""
    answer = choose(
        order(fra=5, lhr=50, iad=90),
        edges(*NAMES),
        out={"fra": "down: 3 of 3 observers cannot reach it"},
        lacking={"lhr": "it does not hold the live release"},
        family=4,
    )
    assert (answer.edges, answer.addresses, answer.failed_open) == (("iad",), ("192.0.2.3",), False)
    assert answer.because == (
        "iad: 90 ms",
        "fra is not named: down: 3 of 3 observers cannot reach it",
        "lhr is not named: it does not hold the live release",
    )


def test_each_family_has_its_own_addresses() -> None:
    """An edge without an IPv6 address is passed over for AAAA; nobody has one: an empty answer, not a failed one."""
    known = edges("fra", "lhr", six="lhr")
    answer = choose(order(fra=5, lhr=50), known, out={}, family=6)
    assert (answer.addresses, answer.because[1]) == (("2001:db8::2",), "fra is not named: it has no IPv6 address")
    nothing = choose(order(fra=5), edges("fra"), out={}, family=6)
    assert (nothing.addresses, nothing.edges, nothing.because, nothing.failed_open) == ((), (), (), False)


def test_all_out_is_answered_as_if_none_were() -> None:
    """Fail open: if every edge looks down, it is likelier that we cannot see than that all are gone."""
    down = dict.fromkeys(("fra", "lhr", "iad"), "down")
    answer = choose(order(fra=5, lhr=9, iad=90), edges(*NAMES), out=down, family=4)
    assert (answer.edges, answer.failed_open) == (("fra", "lhr"), True)


def test_a_family_whose_edges_are_out_is_empty_while_another_edge_is_up() -> None:
    """Readers with both families follow the other one to an edge that is well, in place of a dead one."""
    known = edges("fra", "lhr", six="fra")
    its_order = order(fra=5, lhr=50)
    for state in ({"out": {"fra": "down"}}, {"out": {}, "lacking": {"fra": "down"}}):
        empty = choose(its_order, known, family=6, **state)
        assert (empty.addresses, empty.edges, empty.failed_open) == ((), (), False)
        assert empty.because == ("fra is not named: down",)
        assert choose(its_order, known, family=4, **state).edges == ("lhr",)
    both = choose(its_order, known, out={"fra": "down", "lhr": "down"}, family=6)
    assert (both.edges, both.failed_open) == (("fra",), True)


def test_an_edge_is_not_named_over_a_family_in_which_it_is_silent() -> None:
    """Over the other one it is; a family in which nobody else answers is empty, since readers have the other."""
    known = edges("fra", "lhr", six="fra lhr")
    its_order, silent = order(fra=5, lhr=50), {"fra": {6: "iad: no answer"}}
    answer = choose(its_order, known, out={}, silent=silent, family=6)
    assert answer.edges == ("lhr",)
    assert answer.because == ("lhr: 50 ms", "fra is not named: iad: no answer")
    assert choose(its_order, known, out={}, silent=silent, family=4).edges == ("fra",)
    for state in ({"out": {"lhr": "down"}}, {"out": {}, "lacking": {"lhr": "lacks"}}):
        empty = choose(its_order, known, silent=silent, family=6, **state)
        assert (empty.edges, empty.failed_open) == ((), False)
        assert choose(its_order, known, silent=silent, family=4, **state).edges == ("fra",)
    every = {name: {4: "no answer", 6: "no answer"} for name in known}
    for family in (4, 6):
        opened = choose(its_order, known, out={}, silent=every, family=family)
        assert (opened.edges, opened.failed_open) == (("fra",), True)
    alone = edges("fra", "lhr", six="fra")
    only = choose(its_order, alone, out={"fra": "down"}, silent={"lhr": {4: "no answer"}}, family=6)
    assert (only.edges, only.failed_open) == (("fra",), True), "lhr has no other family"


def test_failing_open_takes_drained_edges_last_and_those_without_the_release_before_them() -> None:
    """A drained edge was taken out on purpose, and one without the release would give an error for certain."""
    down = dict.fromkeys(("fra", "lhr", "iad"), "out")
    known = edges("fra", "lhr", "iad")
    ranked = order(fra=5, lhr=6, iad=7)
    for drained, lacking, expected in [
        (("fra",), {}, ("lhr", "iad")),
        (("fra", "lhr"), {}, ("iad",)),
        (("fra",), {"lhr": "lacks"}, ("iad",)),
        (("fra", "lhr", "iad"), {}, ("fra", "lhr")),
        (("fra",), {"lhr": "lacks", "iad": "lacks"}, ("lhr", "iad")),
    ]:
        answer = choose(ranked, known, out=down, drained=drained, lacking=lacking, family=4)
        assert (answer.edges, answer.failed_open) == (expected, True)


def test_edges_that_the_table_knows_and_the_fleet_does_not_are_passed_over() -> None:
    """A table may be a moment older than the fleet."""
    assert choose(order(fra=5, syd=300), edges("syd"), out={}, family=4).edges == ("syd",)


ORDERS = st.permutations(NAMES).flatmap(
    lambda names: st.lists(st.one_of(st.none(), st.floats(0, 60)), min_size=len(names), max_size=len(names)).map(
        lambda values: order(**dict(zip(names, values, strict=True)))
    )
)


@given(ORDERS, st.sets(st.sampled_from(NAMES)), st.sampled_from(NAMES), st.sampled_from((4, 6)), st.integers(1, 3))
def test_taking_out_an_edge_never_changes_an_answer_that_did_not_name_it(its_order, out, gone, family, most) -> None:
    """Failover moves those readers alone whose edge failed, so that one failure does not stir the caches of all; but
    with the last edge of all, every family fails open.
    """
    known = edges(*NAMES, six="fra iad syd nrt")
    before = choose(its_order, known, out=dict.fromkeys(out, "down"), family=family, most=most)
    after = choose(its_order, known, out=dict.fromkeys(out | {gone}, "down"), family=family, most=most)
    if gone not in before.edges and set(NAMES) - out != {gone}:
        assert (after.addresses, after.edges, after.failed_open) == (
            before.addresses,
            before.edges,
            before.failed_open,
        )


@given(
    ORDERS,
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
    st.sampled_from((4, 6)),
    st.integers(1, 4),
)
def test_an_answer_names_nobody_who_is_out_unless_all_are(its_order, out, lacking, family, most) -> None:
    """And never more than it may; nobody only for a family whose edges are all out while another edge is not."""
    six = {"fra", "iad", "syd", "nrt"}
    known = edges(*NAMES, six=" ".join(six))
    answer = choose(
        its_order,
        known,
        out=dict.fromkeys(out, "down"),
        lacking=dict.fromkeys(lacking, "lacks"),
        family=family,
        most=most,
    )
    able = set(NAMES) if family == 4 else six
    assert len(answer.edges) <= most
    assert bool(answer.edges) == (bool(able - out - lacking) or answer.failed_open)
    assert answer.failed_open == (out | lacking == set(NAMES))
    assert answer.failed_open or not (out | lacking) & set(answer.edges)
