"""`edgeward releases` and `edgeward rollback`: what a site was, and going back to it."""

import time
from typing import Annotated

import typer

from edgeward.cli import tables, views
from edgeward.cli.options import FleetOption, JsonOption, QuietOption, QuorumOption, SiteArgument, WaitOption
from edgeward.cli.progress import progress_view
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the commands to the program."""
    app.command(
        cls=Command,
        name="releases",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward releases blog", ""),
            ("edgeward releases blog --moves", "who moved the live pointer when"),
            ("edgeward releases blog --json | jq -r '.releases[].release'", ""),
        ),
    )(releases)
    app.command(
        cls=Command,
        name="rollback",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward rollback blog", "to the release before"),
            ("edgeward rollback blog --to 3f2a9c", "to the one that begins so; see `edgeward releases blog`"),
        ),
    )(rollback)


def releases(
    site: SiteArgument,
    *,
    moves: Annotated[bool, typer.Option("--moves", help="Show who moved the live pointer when.")] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the releases of a site that are kept, newest first."""
    from edgeward.publish.catalog import list_releases

    value = with_store(lambda store: list_releases(store, site), fleet=fleet)
    if as_json:
        views.show_json(value)
        return
    now = int(time.time())
    views.show(tables.moves(value, now=now) if moves else tables.releases(value, now=now))


def rollback(
    site: SiteArgument,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="RELEASE", help="First digits of a release.", show_default="the one before"),
    ] = None,
    wait: WaitOption = 60.0,
    quorum: QuorumOption = "all",
    fleet: FleetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier release of a site. Nothing is uploaded: it is one switch on every edge."""
    from edgeward.publish.catalog import rollback as move_back
    from edgeward.publish.values import Waiting

    waiting = Waiting(seconds=wait, quorum=quorum)
    with progress_view(quiet=quiet) as progress:
        result = with_store(
            lambda store: move_back(store, site, to=to, waiting=waiting, progress=progress), fleet=fleet
        )
    if as_json:
        views.show_json(result)
    else:
        views.show(*tables.move_result(result))
