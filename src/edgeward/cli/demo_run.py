"""Run the demo: start the fleet, push the site, show what there is to see, end it all."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeward.cli import demo_screen, views
from edgeward.cli.demo_fleet import DemoFleet, complaints, demo_fleet
from edgeward.cli.demo_plan import ZONES, DemoPlan, DemoWishes, plan_demo
from edgeward.cli.fleets_file import Fleet, FleetChoice
from edgeward.cli.progress import progress_view
from edgeward.cli.running import Stopped, run
from edgeward.cli.session import store_address
from edgeward.cli.watching import watch
from edgeward.errors import DiskError, QuorumError, StoreError

if TYPE_CHECKING:
    from edgeward.publish.values import FleetStatus
    from edgeward.store.connection import Store

START_SECONDS = 45.0
"""How long the fleet may take until every edge reports ready."""


def run_demo(wishes: DemoWishes, *, data: Path | None) -> None:
    """Run the demo until a signal ends it. data: folder for all that it stores, None: one that goes at the end.

    Raises InputError, ServeError, EngineMissing, DiskError for what cannot be had, and what a part died of.
    """
    with _data_folder(data) as folder:
        plan = plan_demo(wishes, folder)
        views.talk(demo_screen.opening(plan, folder, kept=data is not None))
        try:
            run(_run(plan))
        except Stopped as stopped:
            views.talk(f"stopped by {signal.Signals(stopped.number).name}: every edge has ended")


@contextmanager
def _data_folder(wanted: Path | None) -> Iterator[Path]:
    try:
        if wanted is not None:
            wanted.mkdir(parents=True, exist_ok=True)
            yield wanted.resolve()
            return
        folder = Path(tempfile.mkdtemp(prefix="edgeward-demo-"))
        # nginx's workers run as another user when we are root.
        folder.chmod(0o755)
    except OSError as error:
        raise DiskError(f"no folder for the demo's data: {error}", hint="--data DIR") from error
    try:
        yield folder
    except Exception:
        # What the edges said of their end is in there.
        if not any(folder.glob("*/agent.log")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: DemoPlan) -> None:
    async with (
        demo_fleet(plan, say=lambda text: views.talk(views.visible(text))) as fleet,
        _store(plan, fleet) as store,
    ):
        await _ready(fleet, store)
        await _push(plan, store)
        if plan.dns_port is not None:
            await _name_service(store)
        views.show(
            *demo_screen.guide(plan, {edge.name: fleet.pid(edge) for edge in plan.edges}, call=demo_screen.program())
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.keep())
            group.create_task(watch(store))


@asynccontextmanager
async def _store(plan: DemoPlan, fleet: DemoFleet) -> AsyncIterator["Store"]:
    """Open the fleet's store as soon as it answers. Raises what the fleet died of, or StoreUnavailable."""
    from edgeward.store.connection import open_store

    deadline = time.monotonic() + START_SECONDS
    choice = FleetChoice(Fleet("demo", plan.store_url, plan.token_file), "demo")
    async with open_store(store_address(choice), name="edgeward-demo", wait=False) as store:
        while not store.connected:
            fleet.check_started()
            if time.monotonic() > deadline:
                said = complaints(plan.edges[0])
                raise StoreError(f"the demo's state store does not answer{said}", hint=f"see {plan.edges[0].log}")
            await asyncio.sleep(0.05)
        yield store


async def _ready(fleet: DemoFleet, store: "Store") -> None:
    """Wait until every edge reports ready. Raises ServeError if one ended, QuorumError if one is late."""
    from edgeward.publish.status import fleet_status

    deadline = time.monotonic() + START_SECONDS
    while True:
        fleet.check_started()
        try:
            value = await fleet_status(store)
        except StoreError:
            value = None  # the layout is being made
        late = _late(fleet.plan, value)
        if not late:
            return
        if time.monotonic() > deadline:
            edge = next(edge for edge in fleet.plan.edges if edge.name in late)
            raise QuorumError(f"edges {', '.join(late)} did not become ready{complaints(edge)}", hint=f"see {edge.log}")
        await asyncio.sleep(0.1)


def _late(plan: DemoPlan, value: "FleetStatus | None") -> list[str]:
    ready = {line.edge for line in value.edges if line.status is not None and line.status.ready} if value else set()
    return [edge.name for edge in plan.edges if edge.name not in ready]


async def _push(plan: DemoPlan, store: "Store") -> None:
    from edgeward.publish.push import push
    from edgeward.publish.values import PushOptions

    options = PushOptions(folder=plan.project.folder, settings=plan.project.settings, allow_no_index=True, force=True)
    with progress_view() as progress:
        result = await push(options, store, progress)
    for problem in result.warnings:
        views.warn(str(problem))
    views.talk(demo_screen.pushed(result))


async def _name_service(store: "Store") -> None:
    """Tell the edges which zones to serve."""
    from edgeward.core.dns_settings import DnsSettings
    from edgeward.publish.name_service import apply_settings

    await apply_settings(store, DnsSettings(zone=ZONES[0], zones=ZONES[1:]))
