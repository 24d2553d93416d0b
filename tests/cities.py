"""City databases in MaxMind's format, for tests."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def city_database(path: Path, networks: dict[str, dict], *, version: int = 6) -> Path:
    """Write a database in MaxMind's format, as a whole, the way that update programs do."""
    writer = MMDBWriter(version, "Test-City", ["en"], "for a test", ipv4_compatible=version == 6)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    fresh = path.with_suffix(".new")
    writer.to_db_file(str(fresh))
    fresh.replace(path)
    return path


def city(name: str, code: str, latitude: float, longitude: float) -> dict:
    """A record of such a database."""
    return {
        "city": {"names": {"en": name}},
        "country": {"iso_code": code},
        "location": {"latitude": latitude, "longitude": longitude},
    }
