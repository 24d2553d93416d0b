"""`edgeward init`: write the `edgeward.toml` of a site."""

from pathlib import Path
from typing import Annotated

import typer

from edgeward.cli import views
from edgeward.cli.project import PROJECT_FILE, project_text, slug
from edgeward.cli.shape import Command, examples
from edgeward.core.site_file import parse_project_file
from edgeward.errors import ConflictError, DiskError, InputError

BUILD_FOLDERS = ("public", "dist", "_site", "build", "out", "site", "output")
"""Where site generators write to, in the order in which they are looked for."""


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="init",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward init --hostname example.com", "the site in this folder"),
            ("edgeward init blog -n blog -H example.com -H www.example.com -b public", "nothing is asked"),
        ),
    )(init)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write edgeward.toml.", show_default="this folder")
    ] = Path(),
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="NAME", help="The site's name in the fleet: letters, digits, dashes."),
    ] = None,
    hostname: Annotated[
        list[str] | None,
        typer.Option("--hostname", "-H", metavar="HOST", help="A hostname of the site; the first one is canonical."),
    ] = None,
    build: Annotated[
        str | None,
        typer.Option("--build", "-b", metavar="FOLDER", help="The folder that is pushed, relative to edgeward.toml."),
    ] = None,
    fleet: Annotated[
        str | None, typer.Option("--fleet", "-f", metavar="NAME", help="The fleet that the site belongs to.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an edgeward.toml that is there.")] = False,
) -> None:
    """Write the edgeward.toml of a site. What is not given is asked on a terminal, with a proposal."""
    path = folder / PROJECT_FILE
    if path.exists() and not force:
        raise ConflictError(f"there is a {path} already", hint="edit it, or replace it with --force")
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", hint=f"mkdir {folder}")
    proposal = slug(folder.resolve().name)
    asking = views.on_terminal()
    if name is None:
        name = views.ask("Name of the site", default=proposal) if asking else proposal
    hosts = [host.lower().rstrip(".") for host in hostname or []]
    if not hosts:
        if not asking:
            raise InputError("a site needs a hostname", hint="edgeward init --hostname example.com")
        hosts = views.ask("Hostnames, the canonical one first").lower().replace(",", " ").split()
    if build is None:
        build = _build_folder(folder)
    text = project_text(name=name, hostnames=tuple(hosts), build=build, fleet=fleet)
    parse_project_file(text, file=str(path))
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise DiskError(f"{path} cannot be written: {error.strerror}", path=str(path)) from error
    views.talk(f"wrote {path}: site {name} at {', '.join(hosts)}, pushed from {build or 'its own folder'}")
    where = "" if folder == Path() else f" {folder}"
    views.talk(f"next: edgeward preview{where}, then: edgeward push{where}")


def _build_folder(folder: Path) -> str | None:
    """Return the folder that a site generator seems to have written, None if the folder is the site itself."""
    if (folder / "index.html").exists():
        return None
    return next((name for name in BUILD_FOLDERS if (folder / name / "index.html").is_file()), None)
