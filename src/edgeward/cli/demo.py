"""`edgeward demo`: a fleet on this machine, with a site on it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgeward.cli import exits
from edgeward.cli.shape import Command, examples

MOST_EDGES = 9


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the command to the program."""
    app.command(
        cls=Command,
        name="demo",
        rich_help_panel=panel,
        epilog=examples(
            ("edgeward demo", "three edges and the site that comes with edgeward"),
            ("edgeward demo public --http-port 9090", "your own folder, another port"),
            ("edgeward demo --data ~/demo", "keep what it stores for the next time"),
        ),
    )(demo)


def demo(
    site: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The site to push.", show_default="the one that comes with edgeward"),
    ] = None,
    *,
    edges: Annotated[int, typer.Option("--edges", min=1, max=MOST_EDGES, metavar="N", help="How many.")] = 3,
    http_port: Annotated[int, typer.Option("--http-port", min=1, max=65535, metavar="PORT", help="For HTTP.")] = 8080,
    store_port: Annotated[
        int, typer.Option("--store-port", min=1, max=65535, metavar="PORT", help="For the state store.")
    ] = 4222,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", min=1, max=65535, metavar="PORT", help="For /metrics.")
    ] = 9145,
    dns_port: Annotated[int, typer.Option("--dns-port", min=1, max=65535, metavar="PORT", help="For DNS.")] = 5300,
    engine: Annotated[
        Literal["auto", "nginx", "preview"],
        typer.Option("--engine", help="What serves HTTP; auto: nginx if it is here."),
    ] = "auto",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where it stores.", show_default="a folder that goes at the end"),
    ] = None,
) -> int:
    """Start a whole fleet on this machine and push a site to it. Ctrl-C ends it and leaves nothing running."""
    from edgeward.cli.demo_plan import DemoWishes
    from edgeward.cli.demo_run import run_demo

    wishes = DemoWishes(site, edges, http_port, store_port, metrics_port, engine, dns_port)
    run_demo(wishes, data=data)
    return exits.OK
