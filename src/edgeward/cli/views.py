"""The only module that prints: data to stdout, talk to stderr.

Colour has meaning (green good, yellow look here, red bad) but is never needed: it is left out when the stream is no
terminal or NO_COLOR is set. Whatever comes from outside is shown with its control characters made visible.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from edgeward.errors import EdgewardError, InputError

WIDTH = 100
"""Columns that every table fits into."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class _Console(Console):
    """A console that lets the program's own wall see that nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, where rich would end the program with code 1."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def visible(text: str) -> str:
    r"""Return `text` with control and direction characters written as escapes, and lone surrogates as `\\xNN`."""
    plain = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), plain)


def show(*parts: RenderableType) -> None:
    """Print data to stdout: tables as they are, text without wrapping."""
    for part in parts:
        out.print(part, soft_wrap=isinstance(part, str | Text))


def show_json(value: object) -> None:
    """Print a value as JSON to stdout: dataclasses become objects, tuples and sets arrays."""
    sys.stdout.write(json.dumps(plain(value), indent=2) + "\n")
    sys.stdout.flush()


def talk(text: RenderableType, *, style: str = "") -> None:
    """Tell the person something on stderr."""
    err.print(text, style=style, soft_wrap=isinstance(text, str | Text))


def warn(message: str, *, hint: str | None = None) -> None:
    """Tell the person on stderr of something that is not as it should be, though the command goes on."""
    err.print(Text.assemble(("warning: ", "bold yellow"), visible(message)), soft_wrap=True)
    if hint:
        err.print(Text.assemble(("hint: ", "cyan"), visible(hint)), soft_wrap=True)


def show_error(error: EdgewardError) -> None:
    """Print an error to stderr: the sentence, every problem, the hint."""
    err.print(Text.assemble(("error: ", "bold red"), visible(error.message)), soft_wrap=True)
    if isinstance(error, InputError):
        for problem in error.problems:
            where = f"{problem.file}:{problem.line}" if problem.line else problem.file
            parts = ("  ", (visible(where), "bold"), ": " if where else "", visible(problem.message))
            err.print(Text.assemble(*parts), soft_wrap=True)
    if error.hint:
        err.print(Text.assemble(("hint: ", "cyan"), visible(error.hint)), soft_wrap=True)


def show_json_error(error: EdgewardError) -> None:
    """Print an error to stdout for programs, as the value of "error"; people have read it on stderr."""
    problems = error.problems if isinstance(error, InputError) else ()
    show_json(
        {
            "error": {
                "kind": type(error).__name__,
                "message": error.message,
                "hint": error.hint,
                "problems": problems,
                "facts": {name: value if isinstance(value, int) else str(value) for name, value in error.facts.items()},
            }
        }
    )


def show_usage_error(message: str, *, command: str) -> None:
    """Print that a command line was not understood, and where its help is."""
    err.print(Text.assemble(("error: ", "bold red"), visible(message)), soft_wrap=True)
    err.print(Text.assemble(("hint: ", "cyan"), f"{command} --help"), soft_wrap=True)


def show_fault(error: BaseException) -> None:
    """Print a fault of our own with its traceback."""
    err.print("".join(traceback.format_exception(error)), soft_wrap=True, end="")
    text = f"edgeward has a fault: {type(error).__name__}: {visible(str(error))}"
    err.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)
    err.print(Text.assemble(("hint: ", "cyan"), "please report it with the lines above"), soft_wrap=True)


def log_to_stderr() -> None:
    """Send what long-running parts log to stderr, a line each, with the time."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def plain(value: object) -> Any:
    """Return `value` as what JSON can hold. Objects with a `to_json` method say themselves."""
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float):
        return round(value, 3)
    return value


def ask(question: str, *, default: str | None = None) -> str:
    """Ask the person on the terminal, and return the answer."""
    return str(typer.prompt(question, default=default, err=True))


def agreed(question: str) -> bool:
    """Ask the person on the terminal to agree; where there is no terminal nobody does."""
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def on_terminal() -> bool:
    """Return whether there is a person who can be asked: stdin and stderr are a terminal."""
    return sys.stdin.isatty() and err.is_terminal
