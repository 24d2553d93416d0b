"""Where an edge stands, from what its record says: an airport's code or coordinates."""

import re
from functools import cache

from edgeward.core.geography import Place
from edgeward.errors import InputError

_CODE = re.compile(r"[A-Za-z]{3}")
_COORDINATES = re.compile(r"([+-]?\d{1,3}(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d{1,3}(?:\.\d+)?)")


def place_of(location: str) -> Place:
    """Return the place that a location names: an IATA code of an airport or a city ("FRA", "lon"), or "52.5, 13.4".

    Coordinates are latitude and longitude in degrees. Raises InputError for anything else.
    """
    text = location.strip()
    try:
        found = _coordinates(text) or _airports().get(text.upper())
    except ValueError as error:
        raise InputError(f"location {location!r}: {error}", hint=_HINT) from error
    if found is None:
        raise InputError(f"location {location!r} is no airport's code, and no coordinates either", hint=_HINT)
    return found


_HINT = 'name the nearest airport by its IATA code, or give latitude and longitude: location = "52.5, 13.4"'


def parse_location(text: str) -> str:
    """Return a location as records have it: a code in upper case, or "52.52, 13.4".

    Whether there is an airport with the code is not looked up. Raises ValueError for what can be no location.
    """
    if _CODE.fullmatch(text.strip()):
        return text.strip().upper()
    place = _coordinates(text.strip())
    if place is None:
        raise ValueError(f"must be an airport's code (FRA), or latitude and longitude (52.52, 13.4), got {text!r}")
    # Four decimals are 11 m, and are never written with an exponent.
    return f"{round(place.latitude, 4)}, {round(place.longitude, 4)}"


def _coordinates(text: str) -> Place | None:
    """Return the place, None for what are no two numbers. Raises ValueError for numbers that are no place."""
    found = _COORDINATES.fullmatch(text)
    return Place(float(found[1]), float(found[2])) if found else None


@cache
def _airports() -> dict[str, Place]:
    """Return the places of all IATA codes; that of a city with several airports is its first one's."""
    import airportsdata

    places = {code: Place(row["lat"], row["lon"]) for code, row in airportsdata.load("IATA").items()}
    cities = {code: next(iter(city["airports"])) for code, city in airportsdata.load_iata_macs().items()}
    return {**{code: places[airport] for code, airport in cities.items()}, **places}
