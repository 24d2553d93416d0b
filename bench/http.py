# ruff: noqa: A005 (a measurement is called what it measures; it is only ever imported as bench.http)
"""Requests per second on one core: our generated nginx configuration, a hand-written one, Caddy, Traefik before nginx.

Each server has one core, the load (wrk, 32 keep-alive connections) the other. Rounds alternate between the servers, so
that whatever else the machine does meets all of them; the figures are medians, the ratios those within a round.
"""

import asyncio
import shutil
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.http_servers import Material, Running, caddy, check, hand_written, load, ours, traefik
from bench.processes import install

ADDRESS = "127.55.0.9"
ROUNDS = 7
SECONDS = 1
GOAL = 0.95
FILES = {"/": "/index.html", "/guide": "/guide.html"}
"""File behind a target, where it is not its own."""
TARGETS = {
    "/": "page of 14.7 KB, brotli",
    "/guide": "the same by a clean URL",
    "/style.css": "style",
    "/photo.jpg": "20 KB image",
}


def main() -> None:
    """Print the table."""
    install_wrk()
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as name:
        # nginx's workers are another user.
        Path(name).chmod(0o755)
        asyncio.run(_compare(Material(Path(name))))


def install_wrk() -> None:
    """Install wrk where it is absent. Raises EngineMissing if it cannot be had."""
    if shutil.which("wrk") is None:
        install("wrk")


async def _compare(material: Material) -> None:
    material.write()
    table = Table(title="Requests per second on one core", title_justify="left")
    for column in (
        "target",
        "edgeward",
        "hand-written",
        "ratio",
        f"goal {GOAL}",
        "Caddy",
        "ratio",
        "Traefik + nginx",
        "ratio",
    ):
        table.add_column(column, justify="left" if column == "target" else "right")
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(ours(material, ADDRESS))
        hand = stack.enter_context(hand_written(material, ADDRESS))
        peers = [stack.enter_context(make(material, ADDRESS)) for make in (caddy, traefik)]
        for target, what in TARGETS.items():
            for server in (mine, hand, *peers):
                await asyncio.to_thread(check, server, target, material.files[FILES.get(target, target)])
            rates = await asyncio.to_thread(_measure, [mine, hand, *peers], target)
            own = rates[mine.name]
            ratio = _ratio(own, rates[hand.name])
            cells = [_median(own), _median(rates[hand.name]), f"{ratio:.2f}", "met" if ratio >= GOAL else "missed"]
            for peer in peers:
                cells += [_median(rates[peer.name]), f"{_ratio(own, rates[peer.name]):.1f}"]
            table.add_row(f"{target} ({what})", *cells)
    Console().print(table)


def _measure(servers: list[Running], target: str) -> dict[str, list[float]]:
    """Return the rates of each server, round by round; every second round goes through them backwards."""
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(ROUNDS):
        for server in servers[:: -1 if number % 2 else 1]:
            found[server.name].append(load(server, target, seconds=SECONDS))
    return found


def _median(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f}"


def _ratio(own: list[float], other: list[float]) -> float:
    """Return the median of the ratios within each round."""
    return statistics.median(mine / theirs for mine, theirs in zip(own, other, strict=True))
