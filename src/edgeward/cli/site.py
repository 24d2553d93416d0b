"""`edgeward site`: the sites of a fleet."""

import time

import typer

from edgeward.cli import tables, views
from edgeward.cli.options import FleetOption, JsonOption, SiteArgument, YesOption
from edgeward.cli.progress import progress_view
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, Group, examples
from edgeward.errors import InputError

group = typer.Typer(cls=Group, name="site", help="The sites of a fleet.", no_args_is_help=True)


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the group to the program."""
    app.add_typer(group, rich_help_panel=panel)


@group.command(cls=Command, name="list", epilog=examples(("edgeward site list", ""), ("edgeward site list --json", "")))
def list_all(*, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """List the sites of the fleet."""
    from edgeward.publish.catalog import list_sites

    lines = with_store(list_sites, fleet=fleet)
    if as_json:
        views.show_json(lines)
    elif lines:
        views.show(tables.sites(lines, now=int(time.time())))
    else:
        views.talk("the fleet has no site yet; next: edgeward push")


@group.command(
    cls=Command, epilog=examples(("edgeward site rm blog", "asks first"), ("edgeward site rm blog --yes", ""))
)
def rm(site: SiteArgument, *, yes: YesOption = False, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Remove a site from every edge and give its hostnames free.

    Its releases stay for the time of retention: a push of the same site brings it back.
    """
    from edgeward.publish.catalog import remove_site

    if not yes and not views.agreed(f"Remove site {views.visible(site)} from every edge?"):
        raise InputError(f"site {site} was not removed: nobody agreed", hint=f"edgeward site rm {site} --yes")
    with progress_view(quiet=as_json) as progress:
        result = with_store(lambda store: remove_site(store, site, progress=progress), fleet=fleet)
    if as_json:
        views.show_json(result)
    else:
        views.show(*tables.move_result(result))
