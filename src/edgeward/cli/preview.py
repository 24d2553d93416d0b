"""`edgeward preview`: see a site as an edge would serve it, on this machine, with no fleet."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeward.cli import exits, views
from edgeward.cli.figures import count, short, size
from edgeward.cli.options import FolderArgument
from edgeward.cli.preview_folder import Preview, Signature, build_preview, signature
from edgeward.cli.project import Project, load_project, preview_project
from edgeward.cli.running import Stopped, run
from edgeward.cli.shape import Command, examples
from edgeward.errors import EdgewardError, InputError

if TYPE_CHECKING:
    from edgeward.serve.preview import Show

POLL_SECONDS = 0.5
"""How often the folder is looked at."""

SETTLE_SECONDS = 0.15
SETTLE_LOOKS = 40
"""A change is built when two looks in a row see the same, or after so many looks."""

ADDRESS = "127.0.0.1"


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
    project = _project(folder)
    first = build_preview(project, strict=strict)
    _tell(first)
    if check:
        views.talk(f"{project.folder} can be pushed")
        return exits.OK
    try:
        run(_serve(lambda: _project(folder), first, port=port, strict=strict))
    except Stopped:
        views.talk("stopped")
    return exits.OK


def _project(folder: Path | None) -> Project:
    """Return the site; a folder that no edgeward.toml is above of is one too."""
    try:
        return load_project(folder)
    except InputError as error:
        if error.problems or folder is None or not folder.is_dir():
            raise
        return preview_project(folder)


async def _serve(load: Callable[[], Project], first: Preview, *, port: int, strict: bool) -> None:
    from edgeward.serve.preview import PreviewEngine

    engine = PreviewEngine((ADDRESS,), port)
    await engine.start_show(first.show)
    try:
        views.show(f"http://localhost:{engine.addresses[0][1]}/")
        await _follow(engine.switch, load, first, strict=strict)
    finally:
        await engine.stop()


async def _follow(
    switch: Callable[["Show"], int], load: Callable[[], Project], first: Preview, *, strict: bool
) -> None:
    """Build again whenever the folder changes, until cancelled. What cannot be published leaves the last good one."""
    folder, seen, last = first.project, first.signature, first
    while True:
        await asyncio.sleep(POLL_SECONDS)
        now = await asyncio.to_thread(signature, folder)
        if now == seen:
            continue
        seen = await _settled(folder, now)
        try:
            folder = load()
            last = await asyncio.to_thread(build_preview, folder, strict=strict, before=last)
        except EdgewardError as error:
            views.show_error(error)
            views.talk("the last good version is still served")
            continue
        seen = last.signature
        switch(last.show)
        _tell(last)


async def _settled(folder: Project, now: Signature) -> Signature:
    """Return the signature once it stands still for a moment: a site generator writes for a while."""
    for _ in range(SETTLE_LOOKS):
        await asyncio.sleep(SETTLE_SECONDS)
        before, now = now, await asyncio.to_thread(signature, folder)
        if now == before:
            break
    return now


def _tell(built: Preview) -> None:
    for problem in built.warnings:
        views.warn(str(problem))
    views.talk(f"{built.site} {short(built.release)}: {count(built.files, 'file')}, {size(built.size)}")
