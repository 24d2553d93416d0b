"""The command reference, made from the commands themselves.

`python -m edgeward.cli.reference` writes docs/reference/commands.md and exit-codes.md.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from edgeward.cli import exits

_MADE = "<!-- Made by `python -m edgeward.cli.reference`; a test holds it and the program together. -->"

_HEAD = f"""\
# Commands

{_MADE}

{{help}}

Data goes to stdout, talk to stderr. `--json` prints the value as JSON. Colours are left out where the output is no
terminal or `NO_COLOR` is set. What the exit codes mean: [exit-codes.md](exit-codes.md).

Which fleet a command speaks to: `--fleet NAME`, else the variables `EDGEWARD_STORE` and `EDGEWARD_TOKEN_FILE`, else
`fleet` of the site's `edgeward.toml`, else the only one that [`edgeward fleets`](#edgeward-fleets) lists.

Completion for your shell: `edgeward --install-completion`.
"""


def commands_page() -> str:
    """Return docs/reference/commands.md."""
    from edgeward.cli.main import program

    root: Any = typer.main.get_command(program())
    parts = [_HEAD.format(help=root.help)]
    for path, command in _leaves(("edgeward",), root):
        parts.extend(_section(path, command))
    return "\n".join(parts)


def exit_codes_page() -> str:
    """Return docs/reference/exit-codes.md."""
    lines = [
        "# Exit codes\n",
        f"{_MADE}\n",
        "| code | means | errors | for example |",
        "|---|---|---|---|",
    ]
    for code in exits.TABLE:
        names = ", ".join(f"`{kind.__name__}`" for kind in code.errors)
        lines.append(f"| {code.number} | {code.meaning} | {names} | {code.example} |")
    lines.append("\nThe errors are described in `src/edgeward/errors.py`; a subclass gives the code of its parent.\n")
    lines.append(
        'With `--json` an error is also an object on stdout, the value of `"error"`: `kind` (its class), `message`,'
    )
    lines.append("`hint`, `problems` and `facts`.\n")
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write both pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.md").write_text(commands_page(), "utf-8")
    (folder / "exit-codes.md").write_text(exit_codes_page(), "utf-8")


def _leaves(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its words, groups first."""
    children = getattr(command, "commands", None)
    if children is None or (getattr(command, "invoke_without_command", False) and len(path) > 1):
        yield path, command
    for name, child in (children or {}).items():
        yield from _leaves((*path, name), child)


def _section(path: tuple[str, ...], command: Any) -> Iterator[str]:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option" and not item.hidden]
    words = " ".join([*path, *(_argument(item) for item in arguments), *(["[OPTIONS]"] if options else [])])
    yield f"## {' '.join(path)}\n"
    yield f"```\n{words}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    rows = [(f"`{item.metavar or item.name}`", _help(item)) for item in arguments]
    rows += [(_names(item), _help(item)) for item in options if "--help" not in item.opts]
    if rows:
        yield "| | |\n|---|---|"
        yield "\n".join(f"| {name} | {text} |" for name, text in rows) + "\n"
    if command.epilog:
        lines = Text.from_markup(command.epilog).plain.splitlines()[1:]
        yield "```\n" + "\n".join(line.strip() for line in lines) + "\n```\n"


def _argument(item: Any) -> str:
    name = str(item.metavar or item.name.upper())
    return name if item.required else f"[{name}]"


def _names(item: Any) -> str:
    value = "" if item.is_flag else f" {item.metavar or _choices(item) or 'VALUE'}"
    return ", ".join(f"`{name}`" for name in [*item.opts, *item.secondary_opts])[:-1] + f"{value}`"


def _choices(item: Any) -> str:
    choices = getattr(item.type, "choices", ())
    return "\\|".join(str(choice) for choice in choices) if choices else ""


def _help(item: Any) -> str:
    text = " ".join((item.help or "").split())
    default = item.show_default if isinstance(item.show_default, str) else item.default
    if item.show_default and default not in {None, False, ()} and not callable(default):
        text += f" Default: {default}."
    return text


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/reference"))
