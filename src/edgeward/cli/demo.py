"""`edgeward demo`: a fleet on this machine, with a site on it."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live

from edgeward.cli import demo_screen, exits, views
from edgeward.cli.demo_fleet import DemoFleet, demo_fleet
from edgeward.cli.demo_plan import LOCATIONS, DemoPlan, EngineChoice, plan_demo
from edgeward.cli.fleets_file import Fleet, FleetChoice
from edgeward.cli.progress import progress_view
from edgeward.cli.running import Stopped, run
from edgeward.cli.session import store_address
from edgeward.cli.shape import Command, examples
from edgeward.cli.status import status_view
from edgeward.errors import DiskError, QuorumError, StoreError

if TYPE_CHECKING:
    from edgeward.publish.values import FleetStatus
    from edgeward.store.connection import Store

START_SECONDS = 60.0
"""How long the fleet may take until every edge reports ready."""


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="demo",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward demo", "three edges and the site that comes with edgeward"),
            ("edgeward demo public --http-port 9090", "your own folder, another port"),
            ("edgeward demo --data ~/demo", "keep what it stores for the next time"),
        ),
    )(demo)


def demo(
    site: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The site to push.", show_default="the one that comes with edgeward"),
    ] = None,
    *,
    edges: Annotated[int, typer.Option("--edges", min=1, max=len(LOCATIONS), metavar="N", help="How many.")] = 3,
    http_port: Annotated[int, typer.Option("--http-port", min=1, max=65535, metavar="PORT", help="For HTTP.")] = 8080,
    store_port: Annotated[
        int, typer.Option("--store-port", min=1, max=65535, metavar="PORT", help="For the state store.")
    ] = 4222,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=1, max=65535, metavar="PORT", help="For /metrics.")
    ] = 9145,
    engine: Annotated[
        EngineChoice, typer.Option("--engine", help="What serves HTTP; auto: nginx if it is here.")
    ] = "auto",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where it stores.", show_default="a folder that goes at the end"),
    ] = None,
) -> int:
    """Start a whole fleet on this machine and push a site to it. Ctrl-C ends it and leaves nothing running."""
    with _data_folder(data) as folder:
        plan = plan_demo(
            site=site,
            data=folder,
            edges=edges,
            http_port=http_port,
            store_port=store_port,
            metrics_port=metrics_port,
            engine=engine,
        )
        views.talk(demo_screen.opening(plan, folder, kept=data is not None))
        try:
            run(_run(plan))
        except Stopped as stopped:
            views.talk(f"stopped by {signal.Signals(stopped.number).name}: every edge has ended")
    return exits.OK


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
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(plan: DemoPlan) -> None:
    async with (
        demo_fleet(plan, say=lambda text: views.talk(views.visible(text))) as fleet,
        _store(plan, fleet) as store,
    ):
        await _ready(fleet, store)
        await _push(plan, store)
        views.show(
            *demo_screen.guide(plan, {edge.name: fleet.pid(edge) for edge in plan.edges}, call=demo_screen.program())
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.keep())
            group.create_task(_watch(store))


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
                raise StoreError("the state store of the demo does not answer", hint=f"see {plan.edges[0].log}")
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
            raise QuorumError(f"edges {', '.join(late)} did not become ready", hint=f"see {edge.log}")
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


async def _watch(store: "Store") -> None:
    """Show the fleet's status until cancelled: a live table on a terminal, else a line whenever something changes."""
    from edgeward.publish.status import fleet_status

    if views.out.is_terminal:
        with Live(console=views.out, auto_refresh=False) as live:
            while True:
                try:
                    value = await fleet_status(store)
                    live.update(Group("", status_view(value, now=int(time.time()))), refresh=True)
                except StoreError as error:
                    live.update(Group("", f"the state store does not answer: {error.message}"), refresh=True)
                await asyncio.sleep(1.0)
    last: tuple[str, ...] = ()
    while True:
        try:
            lines = demo_screen.status_lines(await fleet_status(store))
        except StoreError as error:
            lines = (f"the state store does not answer: {error.message}",)
        for line in lines:
            if line not in last:
                views.show(line)
        last = lines
        await asyncio.sleep(0.5)
