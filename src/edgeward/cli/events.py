"""`edgeward events`: what happened in the fleet."""

import time
from typing import Annotated

import typer

from edgeward.cli import tables, views
from edgeward.cli.options import FleetOption, JsonOption, complete_site, duration
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples

SiteOption = Annotated[
    str | None,
    typer.Option("--site", metavar="SITE", help="Only what happened to this site.", autocompletion=complete_site),
]
SinceOption = Annotated[
    float,
    typer.Option(
        "--since",
        parser=duration,
        metavar="TIME",
        help="How far to look back, such as 1h or 30d (older ones are not kept).",
        show_default="7d",
    ),
]


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="events",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward events", ""),
            ("edgeward events --site blog --since 30d", "all that is kept about one site"),
            ("edgeward events --json | jq -r '.[] | select(.kind == \"purge\") | .text'", ""),
        ),
    )(events)


def events(
    *,
    site: SiteOption = None,
    since: SinceOption = 7 * 86_400.0,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what happened in the fleet and by whom, oldest first: pushes, rollbacks, purges, drained edges, repairs."""
    from edgeward.publish.journal import read_events

    begin = max(0, int(time.time() - since))
    found = with_store(lambda store: read_events(store, since=begin, site=site), fleet=fleet)
    if as_json:
        views.show_json(found)
    elif found:
        views.show(*tables.events(found))
    else:
        views.talk("nothing happened in that time; --since looks further back")
