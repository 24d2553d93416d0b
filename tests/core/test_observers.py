"""Who observes whom."""

from edgeward.core.observers import observed_by, observers_of

PLACES = {f"e{number}": ("FRA", "IAD", "SYD", "SIN", "GRU", "NRT", "JNB")[number % 7] for number in range(50)}


def test_everybody_observes_in_a_small_fleet() -> None:
    """Up to six edges each is seen by all others; never by itself."""
    small = dict(list(PLACES.items())[:6])
    for edge in small:
        assert observers_of(edge, small) == tuple(sorted(small.keys() - {edge}))
    assert observers_of("e0", {"e0": "FRA"}) == ()


def test_whom_an_edge_observes_is_found_once_for_a_set_of_edges() -> None:
    """The other way round from `observers_of`; the same object until an edge comes, goes or moves."""
    found = {observer: observed_by(observer, frozenset(PLACES.items())) for observer in PLACES}
    for observer, targets in found.items():
        assert targets == {edge for edge in PLACES if observer in observers_of(edge, PLACES)}
    first = observed_by("e0", frozenset(PLACES.items()))
    assert observed_by("e0", frozenset(reversed(PLACES.items()))) is first
    less = {edge: place for edge, place in PLACES.items() if edge != min(first)}
    assert observed_by("e0", frozenset(less.items())) == {e for e in less if "e0" in observers_of(e, less)} != first


def test_observers_of_a_large_fleet_are_few_and_far_apart() -> None:
    """Five for each edge, each from another place, and no edge has to observe very many."""
    chosen = {edge: observers_of(edge, PLACES) for edge in PLACES}
    load = dict.fromkeys(PLACES, 0)
    for edge, observers in chosen.items():
        assert len(observers) == 5
        assert edge not in observers
        assert len({PLACES[each] for each in observers}) == 5
        for each in observers:
            load[each] += 1
    assert max(load.values()) <= 15


def test_an_edge_that_goes_changes_few_observers() -> None:
    """Only its own place among the observers is filled anew, but for what another place then means."""
    without = {edge: place for edge, place in PLACES.items() if edge != "e7"}
    same = 0
    for edge in without:
        before, now = observers_of(edge, PLACES), observers_of(edge, without)
        if "e7" not in before:
            assert now == before
            same += 1
        else:
            assert len(set(before) - set(now)) <= 2
    assert same > 35
