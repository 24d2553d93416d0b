"""`edgeward preview`: see a site as an edge would serve it, on this machine, with no fleet."""

from pathlib import Path
from typing import Annotated

import typer

from edgeward.cli import exits
from edgeward.cli.options import FolderArgument
from edgeward.cli.project import Project, load_project, preview_project
from edgeward.cli.shape import Command, examples
from edgeward.errors import InputError


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="preview",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward preview", "the site of this folder"),
            ("edgeward preview public -p 9000", "a folder, on another port"),
            ("edgeward preview --check", "only find what is wrong"),
        ),
    )(preview)


def preview(
    folder: FolderArgument = None,
    *,
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, metavar="PORT", help="0: any free one.")
    ] = 8000,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong with the folder, and end.")] = False,
) -> int:
    """Serve a folder as an edge would, and again whenever a file in it changes. Ctrl-C ends it.

    Clean URLs, redirects, headers and error pages are those of the fleet; bodies are not compressed. Everything that
    a push would refuse is told at once.
    """
    from edgeward.cli.preview_run import run_preview

    run_preview(lambda: _project(folder), port=port, strict=strict, check=check)
    return exits.OK


def _project(folder: Path | None) -> Project:
    """Return the site; a folder that no edgeward.toml is above of is one too."""
    try:
        return load_project(folder)
    except InputError as error:
        if error.problems or folder is None or not folder.is_dir():
            raise
        return preview_project(folder)
