"""Distances, ways along cables, and the constants of the model."""

import pytest
from bench.round_trips import fit, places, round_trips, straight_km, way_km
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.geography import FIXED, PER_KM, Place, Ways, great_circle_km, milliseconds

PLACES = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180))

PARIS = Place(48.8566, 2.3522)
SYDNEY = Place(-33.8688, 151.2093)
NEW_YORK = Place(40.7128, -74.0060)


@pytest.mark.parametrize(("a", "b", "km"), [(PARIS, NEW_YORK, 5837), (PARIS, SYDNEY, 16960), (PARIS, PARIS, 0)])
def test_distances_are_those_of_the_globe(a, b, km) -> None:
    """Within half a percent of what the textbooks give: the Earth is taken for a sphere."""
    assert great_circle_km(a, b) == pytest.approx(km, rel=0.005)


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (0, 181), (float("nan"), 0), (0, float("inf"))])
def test_what_is_no_place_is_refused(latitude, longitude) -> None:
    """A place that exists is on the globe."""
    with pytest.raises(ValueError, match="no place on the globe"):
        Place(latitude, longitude)


@given(PLACES, PLACES)
def test_a_way_is_the_same_both_ways_and_never_shorter_than_the_great_circle(a, b) -> None:
    """A way is made of great circles, so it can be no shorter; and there is one between any two places."""
    there, back = Ways(a).km(b), Ways(b).km(a)
    assert there == pytest.approx(back, abs=1e-3)
    assert great_circle_km(a, b) - 1e-3 <= there < 45_000


def test_between_continents_the_way_follows_the_cables() -> None:
    """Brazil to South Africa goes by way of the north, as packets do, and not straight over the South Atlantic."""
    brazil, cape = places()["GRU"], places()["CPT"]
    assert Ways(brazil).km(cape) > 2 * great_circle_km(brazil, cape)


def test_the_constants_are_the_least_squares_fit() -> None:
    """Whoever changes hubs, cables or data fits anew: the shipped constants are what the fit finds."""
    found = fit(way_km)
    assert (round(found.fixed, 1), round(found.per_km, 5)) == (FIXED, PER_KM)


def test_the_model_beats_a_straight_line_over_the_great_circle() -> None:
    """On the pairs of a region that the line was fitted without as well: the errors that the documentation states."""
    ways, straight = fit(way_km), fit(straight_km)
    assert (round(ways.root_mean_square), round(ways.median)) == (25, 8)
    assert (round(straight.root_mean_square), round(straight.median)) == (44, 24)
    assert ways.left_out < 0.6 * straight.left_out


def test_the_round_trips_are_complete() -> None:
    """All 21 by 21, and none quicker than light in glass along the great circle allows (1 ms for about 102 km)."""
    trips = round_trips()
    assert len(trips) == 21 * 21
    assert all(trips[pair] * 102.2 > straight_km(pair) for pair in trips)


def test_milliseconds_grow_with_the_way() -> None:
    """From the fixed part up."""
    assert milliseconds(0) == FIXED
    assert milliseconds(10_000) == pytest.approx(144.9)
