"""`dns.toml` with the zone files that it names, as one set of DNS settings."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from edgeward.core.dns_settings import DnsSettings, Record, outside, parse_dns_settings
from edgeward.dns.records import absolute, read_zone_file, too_large
from edgeward.errors import InputError, Problem


def read_dns_settings(content: str, *, file: Path) -> tuple[DnsSettings, tuple[str, ...]]:
    """Return the settings, and sentences about what of the zone files was left out.

    A zone file is named `<zone>.zone`, or after its zone in any other way that begins so.

    Raises InputError with every problem, DiskError.
    """
    settings, names = parse_dns_settings(content, file=str(file))
    problems: list[Problem] = []
    left_out: list[str] = []
    records: list[Record] = []
    for each in settings.records:
        zone = settings.zone_of(each.name)
        try:
            records.append(absolute(each, zone) if zone else each)
        except ValueError as error:
            problems.append(Problem(str(file), 0, f"records: {each.name} {each.type} {each.value}: {error}"))
    for name in names:
        path = file.parent / name
        zone = max((each for each in settings.all_zones if path.name.startswith(f"{each}.")), key=len, default=None)
        if zone is None:
            zones = ", ".join(settings.all_zones)
            problems.append(Problem(str(path), 0, f"its name begins with that of none of the zones {zones}"))
            continue
        try:
            found = read_zone_file(path, zone)
            records += found.records
            left_out += found.left_out
        except InputError as error:
            problems.extend(error.problems)
    settings = replace(settings, records=tuple(records))
    wrong = (*outside(settings), *_two_ttls(records), *too_large(records))
    problems += [Problem(str(file), 0, sentence) for sentence in wrong]
    if problems:
        many = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise InputError(f"{file} and its zone files cannot be used: {many}", problems)
    return settings, tuple(left_out)


def _two_ttls(records: Iterable[Record]) -> Iterator[str]:
    """Yield a sentence for each name and type whose records have several TTLs (RFC 2181 section 5.2)."""
    found: dict[tuple[str, str], set[int]] = {}
    for each in records:
        found.setdefault((each.name, each.type), set()).add(each.ttl)
    for (name, kind), ttls in found.items():
        if len(ttls) > 1:
            yield f"the records {name} {kind} have the TTLs {', '.join(map(str, sorted(ttls)))}; give all the same"
