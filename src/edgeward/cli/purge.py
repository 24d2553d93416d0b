"""`edgeward purge`: take content down, everywhere."""

from typing import Annotated

import typer

from edgeward.cli import exits, tables, views
from edgeward.cli.options import FleetOption, JsonOption, SiteArgument, WaitOption, YesOption
from edgeward.cli.progress import progress_view
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples
from edgeward.errors import InputError


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="purge",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward purge blog /private/keys.txt", "asks first"),
            ("edgeward purge blog /a.pdf /b.pdf --yes", "does not"),
        ),
    )(purge)


def purge(
    site: SiteArgument,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Paths of files in the site, such as /private/keys.txt.")
    ],
    *,
    yes: YesOption = False,
    wait: WaitOption = 60.0,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take content out of every release, tree and blob store of the fleet, at once.

    Says where it is gone. It cannot be undone; a rollback does not bring it back. Exit code 5: some edge has not
    confirmed.
    """
    from edgeward.publish.catalog import purge as take_down
    from edgeward.publish.values import Waiting

    shown = ", ".join(views.visible(path) for path in paths)
    if not yes and not views.agreed(f"Take {shown} out of every release of {views.visible(site)}, for ever?"):
        raise InputError("nothing was taken out: nobody agreed", hint="--yes")
    with progress_view(quiet=as_json) as progress:
        result = with_store(
            lambda store: take_down(store, site, tuple(paths), waiting=Waiting(seconds=wait), progress=progress),
            fleet=fleet,
        )
    if as_json:
        views.show_json(result)
    else:
        views.show(*tables.purge_result(result))
    return exits.LATE if result.late else exits.OK
