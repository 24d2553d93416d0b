"""`edgeward edge`: run an edge on this machine, and see or drain those of a fleet."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from edgeward.cli import tables, views
from edgeward.cli.figures import moment
from edgeward.cli.options import FleetOption, JsonOption, duration
from edgeward.cli.progress import progress_view
from edgeward.cli.running import end_with
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, Group, examples

group = typer.Typer(cls=Group, name="edge", help="The serving machines of a fleet.", no_args_is_help=True)

EdgeArgument = Annotated[str, typer.Argument(metavar="EDGE", help="Name of the edge.")]


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the group to the program."""
    app.add_typer(group, rich_help_panel=panel)


@group.command(
    cls=Command,
    epilog=examples(
        ("edgeward edge run", "as /etc/edgeward/edge.toml says"),
        ("edgeward edge run --config fra.toml", ""),
    ),
)
def run(
    config: Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The edge's settings.")] = Path(
        "/etc/edgeward/edge.toml"
    ),
    parent: Annotated[int | None, typer.Option("--end-with", metavar="PID", hidden=True)] = None,
) -> None:
    """Be an edge: fetch what is live, serve it, report. Runs until SIGTERM or Ctrl-C.

    SIGHUP ends the agent alone: nginx goes on serving, and the next agent takes it over.
    """
    from edgeward.edge.daemon import run_edge
    from edgeward.edge.settings import read_settings

    settings = read_settings(config)
    views.log_to_stderr()
    # It listens to signals itself: SIGHUP ends the agent alone, and HTTP goes on.
    asyncio.run(run_edge(settings) if parent is None else end_with(parent, run_edge(settings)))


@group.command(cls=Command, name="list", epilog=examples(("edgeward edge list", ""), ("edgeward edge list --json", "")))
def list_all(*, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """List the edges that are known or report."""
    from edgeward.publish.status import fleet_status

    lines = with_store(fleet_status, fleet=fleet).edges
    if as_json:
        views.show_json(lines)
    elif lines:
        views.show(tables.edges(lines, now=int(time.time())))
    else:
        views.talk("the fleet has no edge yet; next, on a server: edgeward edge run --config edge.toml")


@group.command(
    cls=Command,
    epilog=examples(
        ("edgeward edge drain fra", "before work on that machine"),
        ('edgeward edge drain fra --for 2h --because "new disk"', "it comes back by itself"),
    ),
)
def drain(
    edge: EdgeArgument,
    *,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for", parser=duration, metavar="TIME", help="End it by itself after so long, such as 30m or 2h."
        ),
    ] = None,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for whoever asks.")] = "",
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an edge out: it goes on serving and following, but no push waits for it and no DNS answer names it."""
    from edgeward.publish.edges import set_drained

    until = None if seconds is None else int(time.time() + seconds)
    with progress_view(quiet=True) as progress:
        record = with_store(
            lambda store: set_drained(store, edge, drained=True, until=until, because=because, progress=progress),
            fleet=fleet,
        )
    if as_json:
        views.show_json(record)
    else:
        ends = "" if until is None else f" until {moment(until)}"
        views.talk(f"edge {record.name} is drained{ends}; undo: edgeward edge undrain {record.name}")


@group.command(cls=Command, epilog=examples(("edgeward edge undrain fra", "it counts again")))
def undrain(edge: EdgeArgument, *, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Take a drained edge in again."""
    from edgeward.publish.edges import set_drained

    with progress_view(quiet=True) as progress:
        record = with_store(lambda store: set_drained(store, edge, drained=False, progress=progress), fleet=fleet)
    if as_json:
        views.show_json(record)
    else:
        views.talk(f"edge {record.name} is no longer drained")


@group.command(cls=Command, epilog=examples(("edgeward edge rm fra", "a machine that is gone")))
def rm(edge: EdgeArgument, *, fleet: FleetOption = None) -> None:
    """Forget an edge that is gone for good. One that reports is not forgotten."""
    from edgeward.publish.edges import forget_edge

    with progress_view(quiet=True) as progress:
        record = with_store(lambda store: forget_edge(store, edge, progress=progress), fleet=fleet)
    views.talk(f"edge {record.name} ({record.location}) is forgotten")
