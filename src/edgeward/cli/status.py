"""`edgeward status`: what the fleet is doing."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from edgeward.cli import tables, views
from edgeward.cli.options import FleetOption, JsonOption
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples

if TYPE_CHECKING:
    from edgeward.publish.values import FleetStatus
    from edgeward.store.connection import Store

REFRESH = 1.0
"""Seconds between two looks of `--watch`."""


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="status",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward status", ""),
            ("edgeward status --watch", "until Ctrl-C"),
            ("edgeward status --json | jq '.edges[] | select(.current | not) | .edge'", "edges that lag behind"),
        ),
    )(status)


def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every edge and what it serves."""
    from edgeward.publish.status import fleet_status

    if watch:
        with_store(_watch, fleet=fleet)
        return
    value = with_store(fleet_status, fleet=fleet)
    if as_json:
        views.show_json(value)
    else:
        views.show(status_view(value, now=int(time.time())))


def status_view(value: "FleetStatus", *, now: int) -> RenderableType:
    """Return the whole picture: edges, what each serves, what they have to say."""
    parts: list[RenderableType] = [tables.edges(value.edges, now=now)]
    if value.sites:
        parts += ["", tables.live_releases(value, now=now)]
    problems = tables.edge_problems(value.edges)
    if problems:
        parts += ["", *problems]
    return Group(*parts)


async def _watch(store: "Store") -> None:
    from edgeward.publish.status import fleet_status

    with Live(console=views.out, auto_refresh=False) as live:
        while True:
            value = await fleet_status(store)
            live.update(status_view(value, now=int(time.time())), refresh=True)
            await asyncio.sleep(REFRESH)
