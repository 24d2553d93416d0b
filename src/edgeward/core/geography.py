"""Places on the globe, and how many milliseconds a round trip between two of them takes.

Between continents packets do not follow the great circle. They follow the submarine cables: Europe reaches India by way
of Suez, South America reaches Europe by way of the United States. So the way between two places is the shortest that
goes straight within a region and from region to region only along known cables, and the round trip is a straight line
over its length::

    milliseconds = FIXED + PER_KM * kilometres of the way

Regions: a place belongs to that of its nearest hub. The hubs and cables were drawn up by hand from the main systems of
the world, and judged by the round trips of `bench/data/round_trips.csv`; the two constants are the least-squares fit to
these (`python -m bench.round_trips` makes it again, and a test holds them to it). `docs/concepts.md` has the errors.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import add
from typing import Final

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

FIXED = 8.6
"""Milliseconds that a round trip takes besides the way: last miles, and the answering machine."""
PER_KM = 0.01363
"""Milliseconds of round trip for each kilometre of the way. Light in glass along it would take 0.0098."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the globe: latitude -90 to 90 and longitude -180 to 180, in degrees. Raises ValueError."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            msg = f"latitude {self.latitude}, longitude {self.longitude} is no place on the globe"
            raise ValueError(msg)


_HUBS: Final = {
    "North America": {
        "New York": Place(40.7, -74.0),
        "Miami": Place(25.8, -80.2),
        "Dallas": Place(32.8, -96.8),
        "Mexico City": Place(19.4, -99.1),
        "Panama City": Place(9.0, -79.5),
        "Los Angeles": Place(34.1, -118.2),
        "Seattle": Place(47.6, -122.3),
    },
    "South America": {
        "Barranquilla": Place(11.0, -74.8),
        "Lima": Place(-12.0, -77.0),
        "Valparaiso": Place(-33.0, -71.6),
        "Sao Paulo": Place(-23.5, -46.6),
        "Fortaleza": Place(-3.7, -38.5),
    },
    "Europe": {
        "Lisbon": Place(38.7, -9.1),
        "London": Place(51.5, -0.1),
        "Marseille": Place(43.3, 5.4),
        "Frankfurt": Place(50.1, 8.7),
        "Stockholm": Place(59.3, 18.1),
        "Istanbul": Place(41.0, 29.0),
        "Moscow": Place(55.8, 37.6),
        "Almaty": Place(43.2, 76.9),
        "Novosibirsk": Place(55.0, 82.9),
        "Casablanca": Place(33.6, -7.6),
        "Algiers": Place(36.8, 3.1),
    },
    "Middle East": {"Suez": Place(30.0, 32.5), "Djibouti": Place(11.6, 43.1), "Fujairah": Place(25.1, 56.3)},
    "West Africa": {"Dakar": Place(14.7, -17.4), "Lagos": Place(6.5, 3.4)},
    "Southern Africa": {
        "Mombasa": Place(-4.0, 39.7),
        "Johannesburg": Place(-26.2, 28.0),
        "Cape Town": Place(-33.9, 18.4),
    },
    "South Asia": {"Mumbai": Place(19.1, 72.9), "Chennai": Place(13.1, 80.3)},
    "East Asia": {
        "Singapore": Place(1.3, 103.8),
        "Jakarta": Place(-6.2, 106.8),
        "Manila": Place(14.6, 121.0),
        "Hong Kong": Place(22.3, 114.2),
        "Beijing": Place(39.9, 116.4),
        "Seoul": Place(37.6, 127.0),
        "Tokyo": Place(35.7, 139.7),
        "Khabarovsk": Place(48.5, 135.1),
    },
    "Oceania": {"Perth": Place(-31.9, 115.9), "Sydney": Place(-33.9, 151.2), "Auckland": Place(-36.8, 174.8)},
}

_CABLES: Final = (
    ("New York", "London"),
    ("New York", "Lisbon"),
    ("Seattle", "Tokyo"),
    ("Los Angeles", "Tokyo"),
    ("Los Angeles", "Sydney"),
    ("Los Angeles", "Auckland"),
    ("Los Angeles", "Valparaiso"),
    ("Miami", "Fortaleza"),
    ("Miami", "Barranquilla"),
    ("Panama City", "Barranquilla"),
    ("Panama City", "Lima"),
    ("Lisbon", "Dakar"),
    ("Marseille", "Suez"),
    ("Lagos", "Cape Town"),
    ("Djibouti", "Mombasa"),
    ("Djibouti", "Mumbai"),
    ("Fujairah", "Mumbai"),
    ("Mombasa", "Mumbai"),
    ("Chennai", "Singapore"),
    ("Singapore", "Perth"),
    ("Tokyo", "Sydney"),
)


def great_circle_km(a: Place, b: Place) -> float:
    """Return the shortest distance over the Earth's surface in kilometres, the Earth taken for a sphere."""
    return _arc_km(_vector(a), _vector(b))


def milliseconds(km: float) -> float:
    """Return the round trip over a way of so many kilometres."""
    return FIXED + PER_KM * km


class Ways:
    """The lengths of the ways from one place to others. Made once for each edge, since most of the work is in that."""

    __slots__ = ("_from_hubs", "_here", "_region")

    def __init__(self, here: Place) -> None:
        around = _around(here)
        self._here = _vector(here)
        self._region = around.region
        between = _between_hubs()
        near = dict(zip(_HUBS[around.region], around.km, strict=True))
        self._from_hubs = {
            region: [min(km + between[mine, hub] for mine, km in near.items()) for hub in hubs]
            for region, hubs in _HUBS.items()
        }

    def km(self, there: Place) -> float:
        """Return the kilometres of the way to a place, the same in both directions."""
        around = _around(there)
        by_hubs: float = min(map(add, around.km, self._from_hubs[around.region]))
        return min(by_hubs, _arc_km(self._here, around.vector)) if around.region == self._region else by_hubs


_Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Around:
    """Of a place: its direction from the centre of the Earth, its region, and the kilometres to each hub of that."""

    vector: _Vector
    region: str
    km: list[float]


@lru_cache(maxsize=16)
def _around(place: Place) -> _Around:
    """Look around from a place. Remembered for a moment: every edge in turn asks for the same place."""
    vector = _vector(place)
    regions = (_Around(vector, region, [_arc_km(vector, hub) for hub in hubs]) for region, hubs in _vectors().items())
    return min(regions, key=lambda each: min(each.km))


def _vector(place: Place) -> _Vector:
    north, east = math.radians(place.latitude), math.radians(place.longitude)
    return math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)


def _arc_km(a: _Vector, b: _Vector) -> float:
    """Return the arc over a chord, which is exact for near places, unlike the angle from the scalar product."""
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.dist(a, b) / 2))


@cache
def _vectors() -> dict[str, list[_Vector]]:
    return {region: [_vector(hub) for hub in hubs.values()] for region, hubs in _HUBS.items()}


@cache
def _between_hubs() -> dict[tuple[str, str], float]:
    """Return the kilometres between any two hubs (Floyd and Warshall's algorithm)."""
    places = {name: place for hubs in _HUBS.values() for name, place in hubs.items()}
    km = {(one, other): math.inf for one in places for other in places}
    within = [(one, other) for hubs in _HUBS.values() for one in hubs for other in hubs]
    for one, other in (*within, *_CABLES):
        km[one, other] = km[other, one] = great_circle_km(places[one], places[other])
    for through in places:
        for one in places:
            for other in places:
                km[one, other] = min(km[one, other], km[one, through] + km[through, other])
    return km
