"""Round trips between 21 places of the world, and how well the model of `core/geography.py` says them.

`data/round_trips.csv` tells in its head where it is from. `python -m bench.round_trips` fits the model anew.
"""

import csv
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgeward.core.geography import Place, Ways, great_circle_km
from edgeward.dns.airports import place_of

FILE = Path(__file__).parent / "data/round_trips.csv"

REGIONS = {
    "af-south-1": ("CPT", "ZA"),
    "ap-east-1": ("HKG", "HK"),
    "ap-northeast-1": ("NRT", "JP"),
    "ap-northeast-2": ("ICN", "KR"),
    "ap-northeast-3": ("KIX", "JP"),
    "ap-south-1": ("BOM", "IN"),
    "ap-southeast-1": ("SIN", "SG"),
    "ap-southeast-2": ("SYD", "AU"),
    "ca-central-1": ("YUL", "CA"),
    "eu-central-1": ("FRA", "DE"),
    "eu-north-1": ("ARN", "SE"),
    "eu-south-1": ("MXP", "IT"),
    "eu-west-1": ("DUB", "IE"),
    "eu-west-2": ("LHR", "GB"),
    "eu-west-3": ("CDG", "FR"),
    "me-south-1": ("BAH", "BH"),
    "sa-east-1": ("GRU", "BR"),
    "us-east-1": ("IAD", "US"),
    "us-east-2": ("CMH", "US"),
    "us-west-1": ("SJC", "US"),
    "us-west-2": ("PDX", "US"),
}
"""For each region of the file an airport near it, and its country."""

AIRPORTS = tuple(airport for airport, _ in REGIONS.values())

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Fit:
    """A straight line: milliseconds = fixed + per_km * km. root_mean_square, median: its errors, in milliseconds.

    left_out: the root mean square error for the pairs of a region when the line is fitted without that region.
    """

    fixed: float
    per_km: float
    root_mean_square: float
    median: float
    left_out: float


@cache
def round_trips() -> dict[Pair, float]:
    """Return milliseconds from one airport to another, for all ordered pairs, a place with itself included."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {
        (REGIONS[row["from_to"]][0], REGIONS[region][0]): float(row[region])
        for row in csv.DictReader(lines)
        for region in REGIONS
    }


@cache
def places() -> dict[str, Place]:
    """Return where the 21 are."""
    return {airport: place_of(airport) for airport in AIRPORTS}


def straight_km(pair: Pair) -> float:
    """Return the great circle between two of them."""
    return great_circle_km(places()[pair[0]], places()[pair[1]])


def way_km(pair: Pair) -> float:
    """Return the way that the model takes."""
    return Ways(places()[pair[0]]).km(places()[pair[1]])


def fit(km_of: Callable[[Pair], float]) -> Fit:
    """Fit the line to all ordered pairs of different places by least squares."""
    measured = {pair: value for pair, value in round_trips().items() if pair[0] != pair[1]}
    km = {pair: km_of(pair) for pair in measured}
    fixed, per_km = _line(measured, km, measured)
    errors = [abs(fixed + per_km * km[pair] - value) for pair, value in measured.items()]
    without = []
    for airport in AIRPORTS:
        its = [pair for pair in measured if airport in pair]
        line = _line([pair for pair in measured if airport not in pair], km, measured)
        without += [line[0] + line[1] * km[pair] - measured[pair] for pair in its]
    return Fit(fixed, per_km, _root_mean_square(errors), statistics.median(errors), _root_mean_square(without))


def _line(pairs: Iterable[Pair], km: dict[Pair, float], measured: dict[Pair, float]) -> tuple[float, float]:
    taken = list(pairs)
    slope, intercept = statistics.linear_regression([km[pair] for pair in taken], [measured[pair] for pair in taken])
    return intercept, slope


def _root_mean_square(errors: Sequence[float]) -> float:
    return math.sqrt(sum(error**2 for error in errors) / len(errors))


def main() -> None:
    """Print both fits."""
    table = Table(title="Milliseconds of a round trip, fitted to 420 of them (least squares)", title_justify="left")
    for column in ("kilometres of", "fixed ms", "ms/km", "error (rms)", "error (median)", "rms, region left out"):
        table.add_column(column, justify="left" if column == "kilometres of" else "right")
    for name, km_of in (("the great circle", straight_km), ("the way along cables", way_km)):
        found = fit(km_of)
        errors = (f"{error:.1f}" for error in (found.root_mean_square, found.median, found.left_out))
        table.add_row(name, f"{found.fixed:.1f}", f"{found.per_km:.5f}", *errors)
    Console().print(table)


if __name__ == "__main__":
    main()
