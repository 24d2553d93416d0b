"""`edgeward status`: what the fleet is doing."""

import time
from typing import Annotated

import typer

from edgeward.cli import views
from edgeward.cli.options import FleetOption, JsonOption
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples


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
    follow: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Go on until Ctrl-C: a live table, or lines where that is no terminal."),
    ] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every edge and what it serves."""
    from edgeward.cli.watching import status_view, watch
    from edgeward.publish.status import fleet_status

    if follow:
        with_store(watch, fleet=fleet)
        return
    value = with_store(fleet_status, fleet=fleet)
    if as_json:
        views.show_json(value)
    else:
        views.show(status_view(value, now=int(time.time())))
