"""A fleet of real edges on this machine to measure, started by the same parts as `edgeward demo`."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgeward.cli.demo_fleet import DemoFleet, demo_fleet
from edgeward.cli.demo_plan import DemoPlan, DemoWishes, plan_demo
from edgeward.errors import ServeError
from edgeward.store.connection import StoreAddress, open_store

HTTP_PORT = 18_080
STORE_PORT = 14_222
METRICS_PORT = 19_145
DNS_PORT = 15_300
_READY_SECONDS = 60.0


@asynccontextmanager
async def measured_fleet(folder: Path, *, edges: int) -> AsyncIterator[tuple[DemoPlan, DemoFleet]]:
    """Run a fleet with its files below `folder`; entered when every edge reports that it is ready."""
    wishes = DemoWishes(
        site=None,
        edges=edges,
        http_port=HTTP_PORT,
        store_port=STORE_PORT,
        metrics_port=METRICS_PORT,
        engine="nginx",
        dns_port=DNS_PORT,
    )
    plan = plan_demo(wishes, folder)
    async with demo_fleet(plan, say=lambda sentence: print(sentence, file=sys.stderr)) as fleet:
        await _until_ready(plan)
        yield plan, fleet


async def _until_ready(plan: DemoPlan) -> None:
    from edgeward.core.fleet import EdgeStatus

    address = StoreAddress(plan.store_url, plan.token_file.read_text().strip())
    deadline = time.monotonic() + _READY_SECONDS
    async with open_store(address, name="bench", deadline=_READY_SECONDS) as store, store.status.watch() as watch:
        await watch.caught_up(_READY_SECONDS)
        while True:
            ready = [EdgeStatus.from_bytes(stored.value).ready for stored in watch.state.values()]
            if sum(ready) == len(plan.edges):
                return
            if time.monotonic() > deadline:
                raise ServeError(f"only {sum(ready)} of {len(plan.edges)} edges are ready")
            await watch.changed()


def edgeward(plan: DemoPlan, *arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the `edgeward` program against the fleet, as a user does. Raises CalledProcessError with what it said.

    cache: folder for the stat cache and variants, so that measurements do not touch the user's own.
    """
    environment = {
        # Without its bytecode, which every installation has, the program would compile itself at each start.
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "EDGEWARD_STORE": plan.store_url,
        "EDGEWARD_TOKEN_FILE": str(plan.token_file),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(cache / "config"),
    }
    return subprocess.run(
        [sys.executable, "-m", "edgeward", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=900,
    )
