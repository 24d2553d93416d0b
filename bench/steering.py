"""How good the steering is, and what it costs to build its table.

Quality: clients in 21 places of the world, random sets of 3 to 9 of these places as edges, and measured round trips
between all of them (bench/round_trips.py). The table is the real one and the answer is the real one; what is measured
for a prefix goes from edge to client, and judged is what goes from client to edge, so the two never agree exactly.
"""

import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from rich.console import Console
from rich.table import Table

from bench.round_trips import AIRPORTS, REGIONS, places, round_trips, straight_km
from edgeward.core.answer import choose
from edgeward.core.geography import Place
from edgeward.core.steering import SteeredEdge, SteeringTable, build
from edgeward.dns.geo import countries, networks

SUBSETS = 1_000
PREFIXES = 1_000_000
PLACES = 50_000
SEED = 20_26
LOOKUPS = 200_000

EDGES = 50


def main() -> None:
    """Print all tables."""
    Console().print(_quality())
    table = Table(title=f"Building the table for {EDGES} edges (Python, one core)", title_justify="left")
    for column in ("networks", "ranges read", "orders", "seconds", "peak memory MB", "file MB", "look-up us"):
        table.add_column(column, justify="left" if column == "networks" else "right")
    for name in SCENES:
        # A process for each, since a peak of memory does not go down again.
        command = [sys.executable, "-m", "bench.steering", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800)
        table.add_row(*done.stdout.strip().split("|"))
    Console().print(table)


@dataclass(slots=True)
class Excess:
    """Milliseconds beyond the nearest edge's, of every client; and of those without an edge in their own place."""

    all: list[float] = field(default_factory=list)
    away: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    def row(self) -> list[str]:
        """Return the cells of the table."""
        wrong, away = (f"{sum(map(bool, each)) / len(each):.1%}" for each in (self.all, self.away))
        mean = sum(self.all) / len(self.all)
        tail = sorted(self.all)[int(len(self.all) * 0.95)]
        both = f"{sum(self.second) / len(self.second):.1f}" if self.second else "-"
        return [wrong, away, f"{mean:.1f}", f"{tail:.1f}", both]


def _quality() -> Table:
    chance = random.Random(SEED)
    found = {name: Excess() for name in METHODS}
    for _ in range(SUBSETS):
        chosen = chance.sample(AIRPORTS, chance.randint(3, 9))
        for name, method in METHODS.items():
            _judge(method(chosen), chosen, found[name])
    title = f"Clients that are not sent to the nearest edge: {SUBSETS:,} sets of 3 to 9 edges, 21 client networks"
    table = Table(title=title, title_justify="left")
    headings = (
        "method",
        "not nearest",
        "with no edge in their place",
        "mean excess ms",
        "p95",
        "mean with 2nd address",
    )
    for column in headings:
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, excess in found.items():
        table.add_row(name, *excess.row())
    return table


def _judge(answers: Mapping[str, Sequence[str]], edges: Sequence[str], excess: Excess) -> None:
    trips = round_trips()
    for client, named in answers.items():
        best = min(trips[client, edge] for edge in edges)
        beyond = [trips[client, edge] - best for edge in named]
        excess.all.append(beyond[0])
        # A resolver's order means nothing, so with two addresses a reader takes either.
        excess.second.append(sum(beyond) / len(beyond))
        if client not in edges:
            excess.away.append(beyond[0])


def _straight(edges: Sequence[str]) -> dict[str, list[str]]:
    return {client: [min(edges, key=lambda edge: straight_km((client, edge)))] for client in AIRPORTS}


def _modelled(edges: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return _by_table(edges, places())


def _by_country(edges: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return _by_table(edges, {airport: countries()[code][0] for airport, code in REGIONS.values()})


def _measured(edges: Sequence[str]) -> dict[str, tuple[str, ...]]:
    trips = round_trips()
    return _by_table(edges, places(), {client: {edge: trips[edge, client] for edge in edges} for client in AIRPORTS})


def _measured_where_sent(edges: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Round trips of those edges alone that readers were sent to by geography: an edge sees its own readers."""
    trips = round_trips()
    sent = _modelled(edges)
    return _by_table(
        edges, places(), {client: {edge: trips[edge, client] for edge in sent[client]} for client in AIRPORTS}
    )


METHODS: Mapping[str, Callable[[Sequence[str]], Mapping[str, Sequence[str]]]] = {
    "nearest by great circle": _straight,
    "model, by country (as shipped)": _by_country,
    "model, by city": _modelled,
    "model, measured where sent": _measured_where_sent,
    "measured from every edge": _measured,
}


def _by_table(
    edges: Sequence[str],
    where: Mapping[str, Place],
    measured: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the edges that the answer to each client names, by a table in which each has a network of its own."""
    networks = {client: IPv4Network((198 << 24 | number << 8, 24)) for number, client in enumerate(AIRPORTS)}
    table = build(
        [SteeredEdge(edge, places()[edge], ("192.0.2.1",)) for edge in edges],
        geography=[(networks[client], place, client) for client, place in where.items()],
        measured=[(networks[client], trips) for client, trips in (measured or {}).items()],
    )
    by_name = {edge.name: edge for edge in table.edges}
    found = {}
    for client, network in networks.items():
        order = table.orders[table.match(network.network_address.packed).order]
        found[client] = choose(order, by_name, out={}, family=4).edges
    return found


def _networks(chance: random.Random) -> list[IPv4Network | IPv6Network]:
    """Return distinct networks in random order, four of five IPv4 /24s, the others IPv6 /48s."""
    four = chance.sample(range(1 << 16, 224 << 16), PREFIXES * 4 // 5)
    six = chance.sample(range(0x2400_0000_0000, 0x2C00_0000_0000), PREFIXES - len(four))
    found = [*(ip_network((each << 8, 24)) for each in four), *(ip_network((each << 80, 48)) for each in six)]
    chance.shuffle(found)
    return found


def _somewhere(chance: random.Random) -> Place:
    return Place(round(chance.uniform(-50, 65), 1), round(chance.uniform(-180, 180), 1))


def _cities(chance: random.Random) -> Iterator[tuple[IPv4Network | IPv6Network, Place, str]]:
    spots = [_somewhere(chance) for _ in range(PLACES)]
    for network in _networks(chance):
        number = chance.randrange(PLACES)
        yield network, spots[number], f"city {number}"


def _from_three(chance: random.Random) -> Iterator[tuple[IPv4Network | IPv6Network, dict[str, float]]]:
    for network in _networks(chance):
        yield network, {f"edge-{edge}": chance.uniform(5, 300) for edge in chance.sample(range(EDGES), 3)}


SCENES = {
    "countries": "countries, as shipped",
    "cities": f"{PREFIXES:,} in {PLACES:,} cities",
    "measured": f"{PREFIXES:,} measured from 3 edges each, and countries",
}


def _scene(name: str) -> None:
    """Build one table and print a row."""
    chance = random.Random(SEED)
    edges = [SteeredEdge(f"edge-{number}", _somewhere(chance), ("192.0.2.1",)) for number in range(EDGES)]
    measured = list(_from_three(chance)) if name == "measured" else []
    geography = list(_cities(chance)) if name == "cities" else list(networks())
    before = _peak()
    began = time.perf_counter()
    table = build(edges, measured=measured, geography=geography)
    seconds = time.perf_counter() - began
    data = table.to_bytes()
    added = _peak() - before
    ready = SteeringTable.from_bytes(data)
    ranges = len(ready.cells["decision_starts_4"]) + len(ready.cells["decision_starts_6"])
    row = (
        SCENES[name],
        f"{ranges:,}",
        f"{len(ready.orders):,}",
        f"{seconds:.1f}",
        f"{added:.0f} + {before:.0f} input",
        f"{len(data) / 1e6:.1f}",
        f"{_look_up(ready, chance):.1f}",
    )
    print("|".join(row))


def _look_up(table: SteeringTable, chance: random.Random) -> float:
    addresses = [chance.randbytes(4) for _ in range(LOOKUPS)]
    began = time.perf_counter()
    for address in addresses:
        table.match(address)
    return (time.perf_counter() - began) / LOOKUPS * 1e6


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    _scene(sys.argv[1]) if sys.argv[1:] else main()
