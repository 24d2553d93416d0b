"""`edgeward fleets`: the fleets that this person knows."""

from pathlib import Path
from typing import Annotated

import typer

from edgeward.cli import fleets_file, tables, views
from edgeward.cli.options import JsonOption
from edgeward.cli.session import chosen_fleet
from edgeward.cli.shape import Command, Group, examples
from edgeward.errors import EdgewardError

group = typer.Typer(
    cls=Group,
    name="fleets",
    help="The fleets that you know: where each one's state store is. Alone, it lists them.",
    epilog=examples(
        ("edgeward fleets", "list them"),
        ("edgeward fleets add home 203.0.113.5 --token-file ~/home.token", "know one more"),
        ("EDGEWARD_STORE=nats://127.0.10.1:4222 edgeward status", "a store with no name, once"),
    ),
)


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the group to the program."""
    app.add_typer(group, rich_help_panel=panel)


@group.callback(invoke_without_command=True)
def list_fleets(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the fleets."""
    if context.invoked_subcommand is not None:
        return
    path = fleets_file.fleets_path()
    known = fleets_file.read_fleets(path)
    if as_json:
        views.show_json({"file": path, "fleets": known})
        return
    try:
        choice = chosen_fleet(None)
    except EdgewardError:
        choice = None
    if known or choice:
        views.show(tables.fleets(known, choice))
    else:
        views.talk(f"no fleet is known in {path}")
        views.talk("hint: edgeward fleets add NAME STORE_URL, or try: edgeward demo")


@group.command(
    cls=Command,
    epilog=examples(
        ("edgeward fleets add home 203.0.113.5 --token-file ~/home.token", ""),
        ("edgeward fleets add test nats://127.0.10.1:4222", "no token"),
    ),
)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call it: letters, digits and dashes.")],
    store: Annotated[str, typer.Argument(metavar="STORE", help="Its state store: a host, host:port or nats:// URL.")],
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File that holds the store's token.", show_default=False),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the fleet of that name.")] = False,
) -> None:
    """Know one more fleet. The token stays in its file; only the file's name is kept."""
    path = fleets_file.fleets_path()
    whole = token_file.expanduser().absolute() if token_file is not None else None
    fleet = fleets_file.make_fleet(name, store, whole)
    fleets_file.read_token(fleet)
    fleets_file.add_fleet(path, fleet, replace=replace)
    views.talk(f"fleet {fleet.name} at {fleet.store} is in {path}")
    views.talk(f"next: edgeward status --fleet {fleet.name}")


@group.command(cls=Command, epilog=examples(("edgeward fleets rm home", "")))
def rm(name: Annotated[str, typer.Argument(metavar="NAME", help="Which one.")]) -> None:
    """Forget a fleet. The fleet itself does not notice."""
    path = fleets_file.fleets_path()
    fleet = fleets_file.remove_fleet(path, name)
    views.talk(f"fleet {fleet.name} at {fleet.store} is no longer in {path}")
