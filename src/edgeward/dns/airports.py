"""Where an edge stands, from what its record says: an airport's code or coordinates."""

import re
from functools import cache

from edgeward.core.geography import Place
from edgeward.errors import InputError

_COORDINATES = re.compile(r"([+-]?\d{1,3}(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d{1,3}(?:\.\d+)?)")


def place_of(location: str) -> Place:
    """Return the place that a location names: an IATA code of an airport or a city ("FRA", "lon"), or "52.5, 13.4".

    Coordinates are latitude and longitude in degrees. Raises InputError for anything else.
    """
    text = location.strip()
    coordinates = _COORDINATES.fullmatch(text)
    if coordinates:
        try:
            return Place(float(coordinates[1]), float(coordinates[2]))
        except ValueError as error:
            raise InputError(f"location {location!r}: {error}", hint=_HINT) from error
    found = _airports().get(text.upper())
    if found is None:
        raise InputError(f"location {location!r} is no airport's code, and no coordinates either", hint=_HINT)
    return found


_HINT = 'name the nearest airport by its IATA code, or give latitude and longitude: location = "52.5, 13.4"'


@cache
def _airports() -> dict[str, Place]:
    """Return the places of all IATA codes; that of a city with several airports is its first one's."""
    import airportsdata

    places = {code: Place(row["lat"], row["lon"]) for code, row in airportsdata.load("IATA").items()}
    cities = {code: next(iter(city["airports"])) for code, city in airportsdata.load_iata_macs().items()}
    return {**{code: places[airport] for code, airport in cities.items()}, **places}
