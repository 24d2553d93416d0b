"""Time on a core for each answer of a name server: ours, PowerDNS geoip, gdnsd and Knot mod-geoip, at one rate.

Each server has one core, dnsperf the other, which asks 60,000 questions a second: half of them with a client subnet,
half with a cookie, so that every mixture of both is a quarter. Rounds alternate between the servers, so that whatever
else the machine does meets all of them; the figures are medians, the ratios those within a round.
"""

import random
import re
import statistics
import struct
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dns.edns
import dns.rdatatype
from rich.console import Console
from rich.table import Table

from bench.dns_servers import ADDRESS, EDGES, NAMES, NETWORKS, PEERS, SEED, ZONE, Data, Running, install_peers, ours
from bench.processes import LOAD_CORE
from edgeward.dns.wire import name_to_wire

RATE = 60_000
ROUNDS = 5
SECONDS = 3
WARM_SECONDS = 2
QUESTIONS = 200_000
CLIENTS = 64
GOAL = 1.3
_COMPLETED = re.compile(r"Queries completed:\s+([0-9]+) \(([0-9.]+)%\)")
_CODES = re.compile(r"Response codes:\s+(.*)")
_LATENCY = re.compile(r"Average Latency \(s\):\s+([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Round:
    """microseconds: on a core, for each answer. answered: share of the questions. latency: mean, in milliseconds."""

    microseconds: float
    answered: float
    latency: float


def main() -> None:
    """Print the table."""
    install_peers()
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as name, ExitStack() as stack:
        # Peers may run as other users.
        Path(name).chmod(0o755)
        data = Data(Path(name))
        data.write_database()
        servers = [stack.enter_context(make(data)) for make in (ours, *PEERS)]
        asked = {server: write_questions(server, data) for server in servers}
        for server in servers:
            check(server, data)
            load(server, asked[server], seconds=WARM_SECONDS)
        rounds = _measure(asked)
    Console().print(_table(rounds))


def write_questions(server: Running, data: Data) -> Path:
    """Write the questions in the form that dnsperf -B reads: each with its length before it.

    Cookies are whole, with the server's part, as resolvers send them from their second question on: some servers make
    whoever has none ask again.
    """
    chance = random.Random(SEED)
    cookies = [server.cookie(chance.randbytes(8)) for _ in range(CLIENTS)]
    names = [name_to_wire(f"{name}.{ZONE}") for name in NAMES]
    networks = chance.choices(list(data.networks), k=QUESTIONS)
    path = data.folder / f"questions-{server.port}"
    with path.open("wb") as file:
        for number, network in enumerate(networks):
            options = b""
            if number % 2:
                options += _option(dns.edns.OptionType.ECS, b"\0\1\x18\0" + network.network_address.packed[:3])
            if number // 2 % 2:
                options += _option(dns.edns.OptionType.COOKIE, chance.choice(cookies))
            raw = struct.pack("!HHHHHH", 0, 0, 1, 0, 0, 1) + chance.choice(names) + struct.pack("!HH", 1, 1)
            raw += b"\0" + struct.pack("!HHIH", dns.rdatatype.OPT, 1232, 0, len(options)) + options
            file.write(struct.pack("!H", len(raw)) + raw)
    return path


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def check(server: Running, data: Data) -> None:
    """Raise unless the server sends networks to the edges that they are to be sent to."""
    networks = random.Random(SEED + 1).sample(list(data.networks), 50)
    for network in networks:
        got, wanted = server.address_of(NAMES[1], network), EDGES[data.networks[network]]
        if got != wanted:
            raise RuntimeError(f"{server.name} sends {network} to {got}, not to {wanted}")


def load(server: Running, asked: Path, *, seconds: int) -> Round:
    """Ask at the rate and return what it cost. Raises if an answer is no NOERROR."""
    before = server.cpu_seconds()
    command = ["taskset", "--cpu-list", str(LOAD_CORE), "dnsperf", "-s", ADDRESS, "-p", str(server.port), "-B"]
    command += ["-d", str(asked), "-Q", str(RATE), "-l", str(seconds), "-q", "2000", "-t", "1", "-c", "4"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    spent = server.cpu_seconds() - before
    completed, codes, latency = _COMPLETED.search(said), _CODES.search(said), _LATENCY.search(said)
    if completed is None or codes is None or latency is None or not codes[1].startswith("NOERROR") or "," in codes[1]:
        raise RuntimeError(f"{server.name}: dnsperf said {said[-800:]}")
    return Round(spent / int(completed[1]) * 1e6, float(completed[2]) / 100, float(latency[1]) * 1000)


def _measure(asked: dict[Running, Path]) -> dict[str, list[Round]]:
    """Return the rounds of each server; every second one goes through them backwards."""
    found: dict[str, list[Round]] = {server.name: [] for server in asked}
    servers = list(asked)
    for number in range(ROUNDS):
        for server in servers[:: -1 if number % 2 else 1]:
            found[server.name].append(load(server, asked[server], seconds=SECONDS))
    return found


def _table(rounds: dict[str, list[Round]]) -> Table:
    title = f"Time on a core for each answer at {RATE:,} questions a second, {NETWORKS:,} networks"
    table = Table(title=title, title_justify="left")
    for column in ("server", "us for an answer", "edgeward / it", f"goal {GOAL}", "answered", "mean latency ms"):
        table.add_column(column, justify="left" if column == "server" else "right")
    own, *_ = rounds.values()
    for number, (name, its) in enumerate(rounds.items()):
        ratio = statistics.median(mine.microseconds / other.microseconds for mine, other in zip(own, its, strict=True))
        goal = ("met" if ratio <= GOAL else "missed") if number == 1 else ""
        table.add_row(
            name,
            f"{statistics.median(each.microseconds for each in its):.1f}",
            f"{ratio:.2f}" if number else "",
            goal,
            f"{statistics.median(each.answered for each in its):.1%}",
            f"{statistics.median(each.latency for each in its):.2f}",
        )
    return table
