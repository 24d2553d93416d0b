"""Second push of a real site to three edges, after a change to 10 of its files, against three rsyncs over ssh at once.

Both are measured from the start of the command to its end. For rsync that is the end of the last of three
`rsync -az --delete` to folders on this machine; edgeward's program returns when every edge serves the release. The two
take turns, and each round changes other files. The goal is at most 1.0 times rsync's time.
"""

import asyncio
import os
import random
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.fleet import edgeward, measured_fleet
from bench.material import LINUX, documentation
from bench.memory import open_folder
from bench.sshd import SshServer, have, ssh_server
from edgeward.cli.demo_plan import DemoPlan

EDGES = 3
CHANGED = 10
ROUNDS = int(os.environ.get("ROUNDS", "7"))
GOAL = 1.0


def main() -> None:
    """Print the table."""
    have("rsync", "rsync")
    ours, theirs, files = asyncio.run(_measure())
    title = f"{CHANGED} of {files:,} files of {LINUX[0]} changed, to {EDGES} edges: median of {ROUNDS}, in turns"
    table = Table(title=title, title_justify="left")
    for column in ("by", "seconds", "fastest", "slowest", "ratio", "goal"):
        table.add_column(column, justify="left" if column == "by" else "right")
    ratio = f"{statistics.median(ours) / statistics.median(theirs):.2f}"
    table.add_row(f"{EDGES} x rsync -az --delete over ssh", *_figures(theirs), "1.00", "")
    table.add_row("edgeward push, until all are live", *_figures(ours), ratio, f"≤ {GOAL}")
    Console().print(table)


def _figures(seconds: Sequence[float]) -> tuple[str, str, str]:
    return f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f}", f"{max(seconds):.2f}"


async def _measure() -> tuple[list[float], list[float], int]:
    ours: list[float] = []
    theirs: list[float] = []
    with open_folder() as folder:
        site = documentation(LINUX, folder / "site")
        (folder / "edgeward.toml").write_text(
            '[site]\nname = "linux"\nhostnames = ["linux.example.test"]\nbuild = "site"\nclean_urls = false\n'
        )
        files = [path for path in sorted(site.rglob("*.html")) if path.is_file()]
        with ssh_server(folder / "ssh") as server:
            async with measured_fleet(folder / "fleet", edges=EDGES) as (plan, _):
                await asyncio.to_thread(_push, plan, folder)
                _rsync(server, site, folder)
                # The page cache and every connection-independent cache are warm for both from here on.
                for number in range(ROUNDS):
                    _change(files, number)
                    pairs = [(theirs, lambda: _rsync(server, site, folder)), (ours, lambda: _push(plan, folder))]
                    for seconds, run in pairs if number % 2 else reversed(pairs):
                        seconds.append(await asyncio.to_thread(run))
        return ours, theirs, sum(path.is_file() for path in site.rglob("*"))


def _change(files: Sequence[Path], number: int) -> None:
    for path in random.Random(number).sample(list(files), CHANGED):
        with path.open("a") as out:
            out.write(f"<!-- round {number} {time.time_ns()} -->\n")


def _push(plan: DemoPlan, folder: Path) -> float:
    began = time.monotonic()
    edgeward(plan, "push", str(folder / "site"), "-m", "bench", "--wait", "120s", cache=folder / "cache")
    return time.monotonic() - began


def _rsync(server: SshServer, site: Path, folder: Path) -> float:
    began = time.monotonic()
    running = [
        subprocess.Popen(
            [
                "rsync",
                "-az",
                "--delete",
                "-e",
                server.command,
                f"{site}/",
                f"{server.user}@127.0.0.1:{folder}/target{edge}/",
            ]
        )
        for edge in range(EDGES)
    ]
    codes = [each.wait(900) for each in running]
    seconds = time.monotonic() - began
    if any(codes):
        raise RuntimeError(f"rsync ended with {codes}")
    return seconds
