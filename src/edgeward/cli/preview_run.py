"""Serve a folder with the preview engine, and again whenever it changes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgeward.cli import views
from edgeward.cli.figures import count, short, size
from edgeward.cli.preview_folder import Preview, Signature, build_preview, signature
from edgeward.cli.project import Project
from edgeward.cli.running import Stopped, run
from edgeward.errors import EdgewardError

if TYPE_CHECKING:
    from edgeward.serve.preview import Show

POLL_SECONDS = 0.5
"""How often the folder is looked at."""

SETTLE_SECONDS = 0.15
SETTLE_LOOKS = 40
"""A change is built when two looks in a row see the same, or after so many looks."""

ADDRESS = "127.0.0.1"


def run_preview(load: Callable[[], Project], *, port: int, strict: bool, check: bool) -> None:
    """Serve what `load` returns until a signal ends it. check: only look, do not serve.

    Raises InputError with every problem of the folder as it is now, ServeError if the port cannot be had.
    """
    project = load()
    first = build_preview(project, strict=strict)
    _tell(first)
    if check:
        views.talk(f"{project.folder} can be pushed")
        return
    try:
        run(_serve(load, first, port=port, strict=strict))
    except Stopped:
        views.talk("stopped")


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
