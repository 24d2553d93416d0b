"""Build a steering table in a process of its own: `python -m edgeward.dns.build_table FILE`.

It takes seconds of one core, in which an agent could do nothing else. Stdin: one JSON object, see `Wanted`. The file is
replaced as a whole. What cannot be honoured (an edge whose location is none) is a line on stdout, and no reason to
fail; a failure is a line on stderr and exit code 1.
"""

import ipaddress
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeward.core.orders import SteeredEdge
from edgeward.core.steering import build
from edgeward.dns.airports import place_of
from edgeward.dns.geo import Geography
from edgeward.errors import EdgewardError, InputError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table is to be made of. edges: name, location, addresses and weight. networks: in CIDR form, each with the
    operator's edges, best first. city_file: None for countries alone. margin: milliseconds.
    """

    edges: tuple[tuple[str, str, tuple[str, ...], int], ...]
    networks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    city_file: str | None = None
    margin: float = 15.0

    def to_bytes(self) -> bytes:
        """Return what the program reads."""
        return json.dumps(asdict(self)).encode()


def main() -> int:
    """Read, build, write."""
    try:
        problems = write_table(Path(sys.argv[1]), json.loads(sys.stdin.buffer.read()))
    except (EdgewardError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 0


def write_table(target: Path, wanted: dict[str, Any]) -> list[str]:
    """Write the table; returns what could not be honoured. Raises InputError, OSError."""
    problems: list[str] = []
    edges = []
    for name, location, addresses, weight in wanted["edges"]:
        place = None
        try:
            place = place_of(location)
        except InputError as error:
            problems.append(f"edge {name}: {error.message}; it is ranked by default order alone")
        edges.append(SteeredEdge(name, place, tuple(addresses), weight))
    table = build(
        edges,
        operator=[(ipaddress.ip_network(network), tuple(names)) for network, names in wanted["networks"]],
        geography=Geography(Path(wanted["city_file"]) if wanted["city_file"] else None).networks(),
        margin=wanted["margin"],
    )
    temp = target.with_name(f".{target.name}.new")
    with temp.open("wb") as file:
        file.write(table.to_bytes())
        file.flush()
        os.fsync(file.fileno())
    temp.replace(target)
    return problems


if __name__ == "__main__":
    sys.exit(main())
