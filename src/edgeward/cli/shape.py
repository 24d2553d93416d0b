"""The form of every command's help: flags without a type, examples at the foot."""

from typing import Any

from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

_WIDTH = 76
"""Columns that a line of examples may have, so that help fits a small terminal."""


class Command(TyperCommand):
    """A command whose flags are shown without "<bool>"."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, --help too."""
        return _bare_flags(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands in the same form."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, --help too."""
        return _bare_flags(super().get_params(ctx))


def _bare_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


def examples(*pairs: tuple[str, str]) -> str:
    """Return the examples at the foot of a command's help: (command line, what it does).

    What a line does stands beside it if all of that fits, else above each.
    """
    width = max(len(line) for line, _ in pairs)
    beside = all(width + 4 + len(what) <= _WIDTH for _, what in pairs)
    lines = ["[bold]Examples[/bold]"]
    for line, what in pairs:
        if what and not beside:
            lines.append(f"  [dim]# {escape(what)}[/dim]")
        padded = f"{line:<{width}}" if what and beside else line
        comment = f"  [dim]# {escape(what)}[/dim]" if what and beside else ""
        lines.append(f"  [cyan]{escape(padded)}[/cyan]{comment}")
    return "\n".join(lines)
