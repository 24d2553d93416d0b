"""`edgeward dns`: what the fleet's name servers answer, and why."""

from pathlib import Path
from typing import Annotated

import typer

from edgeward.cli import exits, tables_dns, views
from edgeward.cli.options import FleetOption, JsonOption, duration
from edgeward.cli.session import with_store
from edgeward.cli.shape import Command, Group, examples
from edgeward.errors import DiskError

group = typer.Typer(cls=Group, name="dns", help="The fleet's own name servers.", no_args_is_help=True)


def register(app: typer.Typer, *, panel: str) -> None:
    """Add the group to the program."""
    app.add_typer(group, rich_help_panel=panel)


@group.command(cls=Command, epilog=examples(("edgeward dns apply dns.toml", "zones, records and networks of your own")))
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file with a table `dns`.")],
    *,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the fleet's name servers which zones they serve. They follow at once; nothing is restarted."""
    from edgeward.publish.name_service import apply_settings
    from edgeward.publish.zone_files import read_dns_settings

    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DiskError(f"{file} cannot be read: {error}", path=str(file)) from error
    settings, left_out = read_dns_settings(content, file=file)
    made = with_store(lambda store: apply_settings(store, settings), fleet=fleet)
    for sentence in (*left_out, *made.warnings):
        views.warn(sentence)
    zones = {zone.origin: len(zone.rrsets.keys() | zone.steered.keys()) for zone in made.zones}
    if as_json:
        views.show_json({"zones": zones})
    else:
        views.show(*tables_dns.applied(settings.all_zones, zones))


@group.command(cls=Command, epilog=examples(("edgeward dns show", ""), ("edgeward dns show --json", "")))
def show(*, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Show the records of each zone, the name servers, and which edges answers may name.

    Of a large zone the first 50; `--json` has them all.
    """
    from edgeward.publish.name_service import overview

    found = with_store(overview, fleet=fleet)
    if as_json:
        views.show_json(found)
    else:
        views.show(*tables_dns.overview(found))


@group.command(
    cls=Command,
    epilog=examples(
        ("edgeward dns explain www.example.com 139.130.4.5", "where a reader in Australia is sent, and why"),
        (
            "edgeward dns explain www.example.com 139.130.4.5 --city-database GeoLite2-City.mmdb",
            "by the city database that the edges have",
        ),
    ),
)
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that is asked for.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address of who asks, IPv4 or IPv6.")],
    *,
    city_database: Annotated[
        Path | None,
        typer.Option(
            "--city-database",
            metavar="FILE",
            help="A copy of the city database that edges go by (`city_file` in edge.toml); default: by country.",
        ),
    ] = None,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what a client is answered, in which order it prefers the edges, and the reason for each place.

    It is computed as name servers do, and compared with what each of them answers. Aliases within the zones are
    followed; of a name that is not steered its records are shown, which are the same for everybody.
    """
    from edgeward.publish.explain import explain as why

    found = with_store(lambda store: why(store, name, address, city_database=city_database), fleet=fleet)
    if as_json:
        views.show_json(found)
    else:
        views.show(*tables_dns.explanation(found))
    return exits.DIFFERENCE if any(each.differs for each in found.served) else exits.OK


@group.command(
    cls=Command,
    epilog=examples(
        ("edgeward dns check", "before a zone is delegated, and whenever in doubt"),
        ("edgeward dns check --delegation --cname", "whether the rest of the world is led here"),
    ),
)
def check(
    *,
    delegation: Annotated[
        bool, typer.Option("--delegation", help="Compare NS records and glue at the parent of each zone as well.")
    ] = False,
    cname: Annotated[
        bool, typer.Option("--cname", help="Look at the CNAMEs of hostnames whose zone is elsewhere as well.")
    ] = False,
    resolver: Annotated[
        str | None,
        typer.Option("--resolver", metavar="ADDRESS", help="Which resolver to ask for these; default: this machine's."),
    ] = None,
    within: Annotated[
        float,
        typer.Option(
            "--within",
            parser=duration,
            metavar="TIME",
            help="How long all of it may take, such as 60s or 10m; what was not asked by then is told.",
            show_default="5m",
        ),
    ] = 300.0,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Ask every name server of the fleet for every name, over UDP and TCP, and compare the answers.

    It asks for records, steered names, delegations, ACME proofs, and names and types that are not there. A server that
    leaves three questions in a row without an answer is asked nothing more over that transport.
    """
    from edgeward.publish.delegation import check_fleet

    found = with_store(
        lambda store: check_fleet(store, delegation=delegation, cname=cname, resolver=resolver, within=within),
        fleet=fleet,
    )
    if as_json:
        views.show_json(found)
    else:
        views.show(*tables_dns.checked(found))
    return exits.DIFFERENCE if found.problems else exits.OK
