"""Memory of one edge: agent, nginx and the embedded state server, with big sites and with a thousand small ones.

The figure is PSS (proportional set size, proc(5) smaps_rollup): pages that processes share are counted once. The aim is
250 MB.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.fleet import edgeward, measured_fleet
from bench.material import LINUX, PYTHON, documentation
from edgeward.cli.demo_plan import DemoPlan
from edgeward.core.site import SiteSettings
from edgeward.publish.push import push
from edgeward.publish.values import PushOptions
from edgeward.store.connection import StoreAddress, open_store

SMALL_SITES = 1_000
AIM = 250_000_000


def main() -> None:
    """Print the table."""
    table = Table(title="Memory of one edge (PSS, MB)", title_justify="left")
    for column in ("live", "agent", "nginx", "nats-server", "together", "aim"):
        table.add_column(column, justify="left" if column == "live" else "right")
    asyncio.run(_measure("python3.11-doc and linux-doc-6.1", _two_real_sites, table))
    asyncio.run(_measure(f"{SMALL_SITES:,} small sites", _small_sites, table))
    Console().print(table)


async def _measure(what: str, fill: Callable[[DemoPlan, Path], Awaitable[None]], table: Table) -> None:
    with open_folder() as folder:
        async with measured_fleet(folder / "fleet", edges=1) as (plan, _):
            await fill(plan, folder)
            used = memory_of(folder)
    together = sum(used.values())
    row = [f"{used[part] / 1e6:.0f}" for part in ("agent", "nginx", "nats-server")]
    table.add_row(what, *row, f"{together / 1e6:.0f}", "met" if together < AIM else "missed")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a temporary folder that nginx's workers, which are another user, can walk through."""
    with tempfile.TemporaryDirectory(prefix="edgeward-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def _two_real_sites(plan: DemoPlan, folder: Path) -> None:
    for package in (PYTHON, LINUX):
        site = documentation(package, folder / package[0])
        (site / "edgeward.toml").write_text(
            f'[site]\nname = "{package[0].replace(".", "-")}"\nhostnames = ["{package[0]}.example.test"]\n'
            "clean_urls = false\n"
        )
        await asyncio.to_thread(edgeward, plan, "push", str(site), cache=folder / "cache")


async def _small_sites(plan: DemoPlan, folder: Path) -> None:
    address = StoreAddress(plan.store_url, plan.token_file.read_text().strip())
    async with open_store(address, name="bench", deadline=15.0) as store:
        gate = asyncio.Semaphore(16)

        async def one(number: int) -> None:
            async with gate:
                site = folder / "sites" / str(number)
                site.mkdir(parents=True)
                (site / "index.html").write_text(f"<!doctype html><title>{number}</title>" + "<p>small</p>" * 40)
                (site / "about.html").write_text(f"<!doctype html><title>about {number}</title>")
                settings = SiteSettings(f"small-{number}", (f"small-{number}.example.test",))
                await push(PushOptions(site, settings, message="", deployer="bench"), store)

        async with asyncio.TaskGroup() as group:
            for number in range(SMALL_SITES):
                group.create_task(one(number))


def memory_of(folder: Path) -> dict[str, int]:
    """Return the PSS in bytes of the processes that were started with a file below `folder`, and of their children."""
    used = {"agent": 0, "nginx": 0, "nats-server": 0}
    kinds: dict[int, str] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if str(folder) in line:
            kind = "nginx" if "nginx" in line else "nats-server" if "nats-server" in line else "agent"
            kinds[int(entry.name)] = kind
    for pid, parent in parents.items():
        of = kinds.get(pid) or kinds.get(parent)
        if of is not None:
            used[of] += _pss(pid)
    return used


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
