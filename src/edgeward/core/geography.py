"""Places on the globe, and how many milliseconds a round trip between two of them takes.

PLACEHOLDER
"""

import math
from dataclasses import dataclass

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the globe: latitude -90 to 90 and longitude -180 to 180, in degrees. Raises ValueError."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            msg = f"latitude {self.latitude}, longitude {self.longitude} is no place on the globe"
            raise ValueError(msg)


def great_circle_km(a: Place, b: Place) -> float:
    """Return the shortest distance over the Earth's surface in kilometres (haversine formula)."""
    north_a, north_b = math.radians(a.latitude), math.radians(b.latitude)
    chord = (
        math.sin((north_b - north_a) / 2) ** 2
        + math.cos(north_a) * math.cos(north_b) * math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


def milliseconds(km: float) -> float:
    """Round trip for a distance: fitted constants follow."""
    return 5 + km * 0.015
