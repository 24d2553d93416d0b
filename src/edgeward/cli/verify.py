"""`edgeward verify`: ask every edge whether it serves what was pushed."""

from typing import Annotated

import typer

from edgeward.cli import exits, tables, views
from edgeward.cli.options import FleetOption, JsonOption, SiteArgument
from edgeward.cli.progress import progress_view
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, examples


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="verify",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward verify blog", "a sample of paths, an example for every rule"),
            ("edgeward verify blog --all", "every path, in every coding, on every edge"),
        ),
    )(verify)


def verify(
    site: SiteArgument,
    *,
    all_paths: Annotated[bool, typer.Option("--all", "-a", help="Ask for every path, not for a sample.")] = False,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Ask every edge over HTTP whether it serves the live release: digest and headers, against the manifest.

    Exit code 1: something differs, or an edge cannot be asked.
    """
    from edgeward.publish.verify import verify as compare

    with progress_view(quiet=as_json) as progress:
        report = with_store(lambda store: compare(store, site, all_paths=all_paths, progress=progress), fleet=fleet)
    if as_json:
        views.show_json(report)
    else:
        views.show(*tables.verify_report(report))
    return exits.OK if report.good else exits.DIFFERENCE
