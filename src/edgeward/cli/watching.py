"""The fleet's status on the screen, as long as somebody looks."""

import asyncio
import time
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live

from edgeward.cli import tables, views
from edgeward.cli.figures import short
from edgeward.cli.views import visible
from edgeward.errors import StoreError
from edgeward.publish.status import fleet_status
from edgeward.publish.values import FleetStatus

if TYPE_CHECKING:
    from edgeward.store.connection import Store

REFRESH_SECONDS = 1.0
"""Between two looks at the fleet."""


def status_view(value: FleetStatus, *, now: int) -> RenderableType:
    """Return the whole picture: edges, what each serves, what they have to say."""
    parts: list[RenderableType] = [tables.edges(value.edges, now=now)]
    if value.sites:
        parts += ["", tables.live_releases(value, now=now)]
    problems = tables.edge_problems(value.edges)
    if problems:
        parts += ["", *problems]
    return Group(*parts)


def status_lines(value: FleetStatus) -> tuple[str, ...]:
    """The same as plain lines, without ages, so that a line changes only when something did."""
    lines = []
    for line in value.edges:
        name = visible(line.edge)
        state, _ = tables.edge_state(line)
        lines.append(f"edge {name}: {state}")
        if line.status is not None:
            lines += [f"edge {name}: {visible(problem)}" for problem in line.status.problems]
            for site, held in sorted(line.status.sites.items()):
                lines.append(f"edge {name}: {visible(site)} {short(held.live)} is live")
    return tuple(lines)


async def watch(store: "Store") -> None:
    """Show the fleet's status until cancelled: a live table on a terminal, else a line whenever something changes.

    A store that does not answer is said, and asked again.
    """
    if views.out.is_terminal:
        await _watch_table(store)
    else:
        await _watch_lines(store)


async def _watch_table(store: "Store") -> None:
    with Live(console=views.out, auto_refresh=False) as live:
        while True:
            try:
                shown = status_view(await fleet_status(store), now=int(time.time()))
            except StoreError as error:
                shown = visible(error.message)
            live.update(Group("", shown), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)


async def _watch_lines(store: "Store") -> None:
    last: tuple[str, ...] = ()
    trouble = ""
    while True:
        try:
            lines = status_lines(await fleet_status(store))
        except StoreError as error:
            if not trouble:
                views.show(visible(error.message))
            trouble = error.message
        else:
            if trouble:
                views.show("the state store answers again")
            trouble = ""
            for line in lines:
                if line not in last:
                    views.show(line)
            last = lines
        await asyncio.sleep(REFRESH_SECONDS)
