"""`dns.toml` with the zone files that it names, as one set of DNS settings."""

from dataclasses import replace
from pathlib import Path

from edgeward.core.dns_settings import DnsSettings, outside, parse_dns_settings
from edgeward.dns.records import read_zone_file
from edgeward.errors import InputError, Problem


def read_dns_settings(content: str, *, file: Path) -> DnsSettings:
    """Return the settings. A zone file is named `<zone>.zone`, or after its zone in any other way that begins so.

    Raises InputError with every problem, DiskError.
    """
    settings, names = parse_dns_settings(content, file=str(file))
    problems: list[Problem] = []
    records = list(settings.records)
    for name in names:
        path = file.parent / name
        zone = max((each for each in settings.all_zones if path.name.startswith(f"{each}.")), key=len, default=None)
        if zone is None:
            zones = ", ".join(settings.all_zones)
            problems.append(Problem(str(path), 0, f"its name begins with that of none of the zones {zones}"))
            continue
        try:
            records += read_zone_file(path, zone)
        except InputError as error:
            problems.extend(error.problems)
    settings = replace(settings, records=tuple(records))
    problems += [Problem(str(file), 0, sentence) for sentence in outside(settings)]
    if problems:
        raise InputError(f"{file} and its zone files cannot be used: {len(problems)} problems", problems)
    return settings
