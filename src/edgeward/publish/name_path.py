"""Where a name leads within the fleet's zones: over its aliases to what is steered, or to fixed records. Pure.

It goes the way of name servers (RFC 1034 section 4.3.2), with the reason where that ends without records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgeward.core.hostnames import record_name
from edgeward.dns.wire import CNAME, A, name_to_wire
from edgeward.dns.zone import Catalogue, Kind, Zone
from edgeward.errors import InputError, NotFoundError
from edgeward.publish.name_service import Entry, entries_at

MOST_ALIASES: Final = 7
"""Aliases behind which one answer of a name server has the records: one with 8 aliases has nothing else."""


@dataclass(frozen=True, slots=True)
class NamePath:
    """Where a name leads. name: the last one. aliases: CNAME records on the way there, in their order.

    site: whose edges are named at the last one, None where its records are fixed. records: those, none at a name that
    is there and holds nothing.
    """

    name: str
    aliases: tuple[Entry, ...]
    site: str | None
    records: tuple[Entry, ...]


def follow(zones: Sequence[Zone], name: str) -> NamePath:
    """Return where a name leads. Raises InputError (no name of a record), NotFoundError (it leads to nothing here)."""
    try:
        name = record_name(name)
    except ValueError as error:
        raise InputError(str(error), hint="edgeward dns explain NAME ADDRESS") from None
    if not zones:
        raise NotFoundError("no edge answers DNS yet", hint="[dns] in edge.toml; then edgeward dns show")
    catalogue, aliases, seen = Catalogue(zones), list[Entry](), {name}
    while True:
        wire = name_to_wire(name)
        way = "".join(f"{each.name} is an alias of {_target(each)}; " for each in aliases)
        zone = catalogue.zone_of(wire, A)
        if zone is None:
            here = ", ".join(each.origin for each in zones)
            raise NotFoundError(f"{way}{name} is in none of the fleet's zones ({here})", hint=f"dig {name}")
        found = zone.look_up(wire, A)
        if found.kind is Kind.REFERRAL:
            cut = next(each for each in zone.zone.rrsets if name_to_wire(each) == found.node.owner)
            at = "" if cut == name else f" with {cut}"
            raise NotFoundError(f"{way}{name} is delegated{at} to other name servers", hint=f"dig {name}")
        if found.kind is Kind.NOTHING:
            raise NotFoundError(
                f"{way}there is no name {name} in the zone {zone.zone.origin}", hint="edgeward dns show"
            )
        records = tuple(entries_at(name, found.node.rrsets))
        if CNAME not in found.node.rrsets:
            return NamePath(name, tuple(aliases), found.node.site, records)
        aliases += records  # a CNAME stands alone
        name = _target(aliases[-1])
        if name in seen or len(aliases) > MOST_ALIASES:
            what = (
                "in a circle"
                if name in seen
                else f"over more than the {MOST_ALIASES} aliases that one answer follows to an end"
            )
            chain = ", ".join([*(each.name for each in aliases), name])
            raise NotFoundError(f"{aliases[0].name} leads {what}: {chain}", hint="edgeward dns apply dns.toml")
        seen.add(name)


def _target(alias: Entry) -> str:
    return alias.values[0].lower().removesuffix(".")
