"""The program `edgeward`: all commands, and the one place where an error becomes an exit code."""

import contextlib
import gc
import logging
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from edgeward import __version__
from edgeward.cli import exits, views
from edgeward.cli.running import Stopped
from edgeward.cli.shape import Group
from edgeward.errors import EdgewardError

_WRITING = "Your site"
_WATCHING = "The fleet"
_RUNNING = "Machines"
_MODULES = {
    "init": _WRITING,
    "preview": _WRITING,
    "push": _WRITING,
    "releases": _WRITING,
    "purge": _WRITING,
    "verify": _WRITING,
    "site": _WRITING,
    "status": _WATCHING,
    "events": _WATCHING,
    "fleets": _WATCHING,
    "edge": _RUNNING,
    "dns": _RUNNING,
    "demo": _RUNNING,
}
"""Modules of commands, each with the panel of the help that shows it."""

_ELSEWHERE = {"rollback": "releases"}
"""Commands that are in a module of another name."""


def program(command: str = "") -> typer.Typer:
    """Return the program: with all of its commands, or, to start in less time, with the one that was asked for."""
    app = typer.Typer(
        cls=Group,
        name="edgeward",
        help="A push CDN on a handful of servers that you own: push a folder, every edge serves it.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        epilog="Start with [cyan]edgeward demo[/cyan]: a fleet on this machine, with nothing to set up.",
    )
    app.callback()(_root)
    only = _ELSEWHERE.get(command, command)
    for name, panel in _MODULES.items():
        if name == only or only not in _MODULES:
            import_module(f"edgeward.cli.{name}").register(app, panel=panel)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        views.show(f"edgeward {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def run_command(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are shown on stderr, and with --json on stdout as well."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        app = program(arguments[0] if arguments else "")
        result: Any = app(args=arguments, prog_name="edgeward", standalone_mode=False)
    except EdgewardError as error:
        return _show(error, as_json=as_json)
    except ExceptionGroup as group:
        return _show_group(group, as_json=as_json)
    except TyperException as error:
        return _show_usage(error)
    except (typer.Abort, KeyboardInterrupt):
        views.talk("stopped")
        return exits.INTERRUPTED
    except Stopped as stopped:
        views.talk("stopped")
        return 128 + stopped.number
    except BrokenPipeError:
        # Whoever read our output has seen enough (`edgeward releases blog | head -3`).
        # Python flushes stdout once more at its end, and must not complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 (the last wall: a fault of ours gets a code of its own)
        views.show_fault(error)
        return exits.FAULT
    return result if isinstance(result, int) else exits.OK


def _show(error: EdgewardError, *, as_json: bool) -> int:
    views.show_error(error)
    if as_json:
        views.show_json_error(error)
    return exits.exit_code_of(error)


def _show_group(group: ExceptionGroup, *, as_json: bool) -> int:
    """Show what a TaskGroup raised: our errors as errors, anything else as a fault."""
    ours, other = group.split(EdgewardError)
    if other is not None:
        views.show_fault(other)
        return exits.FAULT
    errors = list(_leaves(ours)) if ours is not None else []
    for error in errors[1:]:
        views.show_error(error)
    return _show(errors[0], as_json=as_json) if errors else exits.FAULT


def _leaves(group: ExceptionGroup[EdgewardError]) -> list[EdgewardError]:
    found: list[EdgewardError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, ExceptionGroup) else [error])
    return found


def _show_usage(error: TyperException) -> int:
    message = error.format_message().strip()
    if not message:  # no arguments: the help has been shown already
        return exits.USAGE
    context = getattr(error, "ctx", None)
    views.show_usage_error(message, command=context.command_path if context else "edgeward")
    return exits.USAGE


def main() -> None:
    """Entry point of the program."""
    # A manifest is some ten thousand objects without a cycle: looking for cycles after every 700 new ones, as Python
    # does by itself, takes a third of the time that it takes to make them.
    gc.set_threshold(50_000, 20, 50)
    _leave(run_command())


def _leave(code: int) -> NoReturn:
    """End the process.

    Where the preview engine has run, without taking the interpreter down: a thread of Granian that is still on its way
    out would come back into it and abort the process ("panic in a function that cannot unwind").
    """
    if "granian" in sys.modules:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
