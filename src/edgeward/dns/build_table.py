"""Build a steering table in a process of its own: `python -m edgeward.dns.build_table FILE`.

It takes seconds of one core, in which an agent could do nothing else. Stdin: one JSON object, see `Wanted`. The file is
replaced as a whole. What cannot be honoured (an edge whose location is none) is a line on stdout, and no reason to
fail; a failure is a line on stderr and exit code 1, or `WRONG_CITY`.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from edgeward.core.dns_settings import DnsSettings, steered_network
from edgeward.core.fleet import EdgeRecord
from edgeward.core.orders import SteeredEdge
from edgeward.core.steering import Network, build
from edgeward.dns.airports import place_of
from edgeward.dns.geo import networks
from edgeward.errors import CityDatabaseError, EdgewardError, InputError

WRONG_CITY: Final = 3
"""Exit code for a city database with the wrong content: another try needs another file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table is to be made of. edges: name, location, addresses and weight. networks: in CIDR form, each with the
    operator's edges, best first. city_file: None for countries alone. margin: milliseconds. default: edges to begin the
    default order with.
    """

    edges: tuple[tuple[str, str, tuple[str, ...], int], ...]
    networks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    city_file: str | None = None
    margin: float = 15.0
    default: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: DnsSettings, records: Mapping[str, EdgeRecord], city_file: Path | None) -> Self | None:
        """Return what a fleet's table is made of, None while there is no edge that readers can be sent to."""
        edges = tuple(
            (name, record.location, record.addresses, record.weight)
            for name, record in sorted(records.items())
            if is_steered(record)
        )
        if not edges:
            return None
        networks = tuple((each.network, each.edges) for each in settings.networks)
        city = None if city_file is None else str(city_file)
        return cls(edges, networks, city, float(settings.margin), settings.default)

    def to_bytes(self) -> bytes:
        """Return what the program reads."""
        return json.dumps(asdict(self)).encode()


def is_steered(record: EdgeRecord) -> bool:
    """Whether readers are sent to an edge."""
    return record.is_for_readers and bool(record.addresses)


def main() -> int:
    """Read, build, write."""
    try:
        problems = write_table(Path(sys.argv[1]), json.loads(sys.stdin.buffer.read()))
    except (EdgewardError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CITY if isinstance(error, CityDatabaseError) else 1
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 0


def write_table(target: Path, wanted: dict[str, Any]) -> list[str]:
    """Write the table; returns what could not be honoured: it is left out. Raises InputError, OSError."""
    problems: list[str] = []
    edges = []
    for name, location, addresses, weight in wanted["edges"]:
        place = None
        try:
            place = place_of(location)
        except InputError as error:
            problems.append(f"edge {name}: {error.message}; it is ranked by default order alone")
        try:
            edges.append(SteeredEdge(name, place, tuple(addresses), weight))
        except InputError as error:
            problems.append(error.message)
    table = build(
        edges,
        operator=_operator(wanted["networks"], problems),
        geography=networks(Path(wanted["city_file"]) if wanted["city_file"] else None),
        default=wanted["default"],
        margin=wanted["margin"],
    )
    temp = target.with_name(f".{target.name}.new")
    with temp.open("wb") as file:
        file.write(table.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    temp.replace(target)
    return problems


def _operator(rows: list[tuple[str, list[str]]], problems: list[str]) -> list[tuple[Network, tuple[str, ...]]]:
    """Return the operator's networks, each once."""
    made: dict[Network, tuple[str, ...]] = {}
    for text, names in rows:
        try:
            network = steered_network(text)
        except ValueError as error:
            problems.append(f"the edges for the network {text} are left out: {error}")
            continue
        if network in made:
            problems.append(f"the edges for the network {text} are given twice: the first count")
        made.setdefault(network, tuple(names))
    return list(made.items())


if __name__ == "__main__":
    sys.exit(main())
