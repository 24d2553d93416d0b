"""Where in the world networks are: by country from the files in `data/`, or by city from a file of the operator's.

`data/country_ranges.zlib` has the country of every network, as `iptocc` derives it from the files of the regional
internet registries; `data/countries.csv` has the population-weighted centre of each country. `make data` makes both
anew. They are shipped rather than asked for at every start, since `iptocc` does not list its ranges: finding them takes
minutes.
"""

import csv
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgeward.core.codec import parse_object
from edgeward.core.geography import Place
from edgeward.core.orders import Family
from edgeward.core.spans import BITS, Span
from edgeward.errors import CityDatabaseError, InputError

Located = tuple[Span, Place, str]
"""A network, where it is, and what that place is called."""

# Bits of an address that the shipped ranges count in: /24 and /48.
_UNITS: Mapping[Family, int] = {4: 24, 6: 48}


def networks(city_file: Path | None = None) -> Iterator[Located]:
    """Yield all networks of which a place is known; none overlaps another.

    city_file: a city database in MaxMind's format, None for countries alone. Raises InputError if it cannot be read;
    what was read of it before then is not the whole.
    """
    return _merged(country_networks() if city_file is None else city_networks(city_file))


def file_version(path: Path) -> tuple[int, ...] | None:
    """Return what is another as soon as the file is another one, None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@cache
def countries() -> Mapping[str, tuple[Place, str]]:
    """Return the centre and the name of every country, by its ISO 3166-1 code of two letters."""
    text = (files("edgeward.dns") / "data/countries.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#"))
    return {row["code"]: (Place(float(row["latitude"]), float(row["longitude"])), row["name"]) for row in rows}


def ranges_source() -> str:
    """Return where the shipped ranges are from: a package with its version, and its sources."""
    return str(_ranges()[0]["source"])


def _ranges() -> tuple[Mapping[str, Any], bytes]:
    """Return the head and the body of the shipped ranges."""
    data = zlib.decompress((files("edgeward.dns") / "data/country_ranges.zlib").read_bytes())
    line, _, body = data.partition(b"\n")
    return parse_object(line, kind="list of country ranges", major=1), body


def country_networks() -> Iterator[Located]:
    """Yield the ranges of every country, ascending; those of a code without a place ("EU", "AP") are left out."""
    head, body = _ranges()
    at = 0
    families: tuple[Family, ...] = (4, 6)
    for family in families:
        shift = BITS[family] - _UNITS[family]
        start, code = 0, ""
        for _ in range(head["runs"][str(family)]):
            # The step is in groups of seven bits, the lowest first, all but the last with the eighth bit set.
            step = place = 0
            while body[at] & 0x80:
                step |= (body[at] & 0x7F) << place
                at, place = at + 1, place + 7
            step |= body[at] << place
            known = countries().get(code)
            if known is not None and step:
                yield Span(family, start << shift, (start + step << shift) - 1), *known
            start, code = start + step, head["codes"][body[at + 1]]
            at += 2


def city_networks(path: Path) -> Iterator[Located]:
    """Yield the networks of a city database (MaxMind DB 2.0) whose records have a location, or at least a country.

    Coordinates are rounded to a tenth of a degree, some 10 km or 0.2 ms. IPv6 networks longer than /64 are left out.
    Raises InputError if the file cannot be read; CityDatabaseError if it is no such database, or has no such record.
    """
    import maxminddb

    found: dict[tuple[float, float, str], tuple[Place, str]] = {}
    try:
        # A private copy, since who overwrites a mapped file kills the process that has it mapped.
        with tempfile.NamedTemporaryFile(prefix="edgeward-city-") as copy:
            with path.open("rb") as original:
                shutil.copyfileobj(original, copy)
            copy.flush()
            with maxminddb.open_database(copy.name) as reader:
                for network, record in reader:
                    where = _where(record)
                    if where is not None and (network.version == 4 or network.prefixlen <= 64):
                        place = found.setdefault(where, (Place(*where[:2]), where[2]))
                        yield Span.of(network), *place
    except OSError as error:
        raise InputError(f"the city database {path} cannot be read: {error}", hint=_HINT) from error
    except (maxminddb.InvalidDatabaseError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise CityDatabaseError(f"the city database {path} cannot be read: {error}", hint=_HINT) from error
    if not found:
        raise CityDatabaseError(f"the city database {path} has no location in it, nor a country", hint=_HINT)


_HINT = "name a city database in MaxMind's format (GeoLite2 City, DB-IP City Lite), or none at all to go by country"


def _where(record: Any) -> tuple[float, float, str] | None:
    """Return latitude, longitude and a name from a record of such a database."""
    code = (record.get("country") or record.get("registered_country") or {}).get("iso_code")
    location = record.get("location") or {}
    if "latitude" in location and "longitude" in location:
        city = (record.get("city") or {}).get("names", {}).get("en")
        name = ", ".join(part for part in (city, code) if part) or "an unnamed place"
        return round(location["latitude"], 1), round(location["longitude"], 1), name
    known = countries().get(code or "")
    return None if known is None else (known[0].latitude, known[0].longitude, known[1])


def _merged(networks: Iterable[Located]) -> Iterator[Located]:
    """Join neighbours that are in the same place: databases cut one place into many networks."""
    last: Located | None = None
    for span, place, name in networks:
        if (
            last is not None
            and (last[0].family, last[0].last + 1) == (span.family, span.first)
            and last[1:] == (place, name)
        ):
            last = Span(span.family, last[0].first, span.last), place, name
            continue
        if last is not None:
            yield last
        last = span, place, name
    if last is not None:
        yield last
