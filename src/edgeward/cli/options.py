"""Options and arguments that several commands share, and what the shell completes them with."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgeward.cli.fleets_file import fleets_path, read_fleets
from edgeward.errors import EdgewardError

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)\Z")


def _fleet_names(incomplete: str) -> list[str]:
    try:
        return [fleet.name for fleet in read_fleets(fleets_path()) if fleet.name.startswith(incomplete)]
    except EdgewardError:
        return []


def complete_site(incomplete: str) -> list[str]:
    """Return the fleet's sites that begin so, for the shell."""
    from edgeward.cli.session import site_names

    return [name for name in site_names() if name.startswith(incomplete)]


FleetOption = Annotated[
    str | None,
    typer.Option(
        "--fleet", "-f", metavar="NAME", help="Which fleet; see `edgeward fleets`.", autocompletion=_fleet_names
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the value as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and the result.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SiteArgument = Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.", autocompletion=complete_site)]
FolderArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help="The folder; default: `build` of edgeward.toml, else the folder of edgeward.toml.",
        show_default=False,
    ),
]


def duration(text: str | float) -> float:
    """Return seconds from "60", "60s", "1.5m", "1h" or "7d"; a float (the default) stays. Raises BadParameter."""
    if isinstance(text, float):
        return text
    match = _DURATION.match(text)
    if not match:
        raise typer.BadParameter(f"{text!r} is not a duration such as 60s, 5m, 1h or 7d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


WaitOption = Annotated[
    float,
    typer.Option(
        "--wait",
        parser=duration,
        metavar="TIME",
        help="How long to wait for edges that are late, such as 60s or 5m.",
        show_default="60s",
    ),
]
QuorumOption = Annotated[
    Literal["all", "majority", "any"],
    typer.Option("--quorum", help="How many edges must be ready when the wait is over; else nothing is switched."),
]
