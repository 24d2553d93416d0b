"""The steering table as the program builds it of what the store says."""

import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.build_table import WRONG_CITY, Wanted, write_table
from edgeward.errors import InputError

FRA = ("fra", "FRA", ("203.0.113.1",), 100)
SYD = ("syd", "SYD", ("203.0.113.3",), 100)


def test_what_the_store_should_not_have_is_left_out_of_the_table(tmp_path: Path) -> None:
    """An edge with a weight or address that is none, networks that no table can have: told, and the rest counts."""
    wanted = Wanted(
        edges=(FRA, ("iad", "IAD", ("203.0.113.2",), 0), ("gru", "GRU", ("203.0.113.4", "nowhere"), 100), SYD),
        networks=(
            ("192.0.2.0/24", ("syd",)),
            ("192.0.2.0/24", ("fra",)),
            ("2001:db8::/65", ("syd",)),
            ("192.0.2.1/24", ("syd",)),
            ("198.51.100.0/24", ("iad", "fra")),
        ),
    )
    file = tmp_path / "table"
    narrow = "2001:db8::/65 is narrower than /64, and the steering table knows IPv6 addresses by their first 64 bits"
    assert write_table(file, json.loads(wanted.to_bytes())) == [
        "edge iad cannot be steered to: its weight is 0; a weight is 1 to 10000",
        "edge gru cannot be steered to: 'nowhere' is no IP address",
        "the edges for the network 192.0.2.0/24 are given twice: the first count",
        f"the edges for the network 2001:db8::/65 are left out: {narrow}; name the /64 that it lies in",
        "the edges for the network 192.0.2.1/24 are left out: 192.0.2.1/24 has host bits set",
    ]
    table = SteeringTable.from_bytes(file.read_bytes())
    for client, first in (("192.0.2.7", "syd"), ("198.51.100.7", "fra")):
        order = table.explain(ipaddress.ip_address(client).packed)
        assert {each.edge for each in order.ranked} == {"fra", "syd"}
        assert (order.ranked[0].edge, order.source) == (first, "operator")


def test_records_and_settings_say_who_is_in_the_table_and_where(tmp_path: Path) -> None:
    """Edges by airport or coordinates, those with the role http alone; the operator's default order, then weights."""
    records = {
        "ber": EdgeRecord("ber", "52.52, 13.4", ("203.0.113.1",), weight=50),
        "cdg": EdgeRecord("cdg", "CDG", ("203.0.113.2",), weight=200),
        "fra": EdgeRecord("fra", "FRA", ("203.0.113.3",), roles=("dns", "state")),
        "syd": EdgeRecord("syd", "SYD", ("203.0.113.4",)),
    }
    wanted = Wanted.of(DnsSettings(zone="fleet.test", default=("syd", "fra", "nobody")), records, None)
    assert wanted is not None
    file = tmp_path / "table"
    assert write_table(file, json.loads(wanted.to_bytes())) == []
    table = SteeringTable.from_bytes(file.read_bytes())
    unknown, german = (table.explain(ipaddress.ip_address(client).packed) for client in ("10.0.0.1", "194.25.0.1"))
    assert [each.edge for each in unknown.ranked] == ["syd", "cdg", "ber"]
    assert [each.edge for each in german.ranked] == ["cdg", "ber", "syd"]
    trips = {each.edge: each.milliseconds for each in german.ranked}
    assert trips["ber"] < trips["cdg"] < 20 < trips["syd"]
    assert Wanted.of(DnsSettings(zone="fleet.test"), {"fra": records["fra"]}, None) is None


def test_a_table_without_edges_cannot_be(tmp_path: Path) -> None:
    """Nothing is written: the last one stays."""
    with pytest.raises(InputError, match="a steering table needs edges"):
        write_table(tmp_path / "table", json.loads(Wanted((("iad", "IAD", ("203.0.113.2",), 0),)).to_bytes()))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("file", "code"), [("wrong.mmdb", WRONG_CITY), ("nothing.mmdb", 1), (None, 0)])
def test_a_city_database_that_will_never_do_is_told_from_one_that_may(
    tmp_path: Path, file: str | None, code: int
) -> None:
    """The program's exit code says which: one with another content has to come, or one that can be read."""
    (tmp_path / "wrong.mmdb").write_bytes(b"no database")
    wanted = Wanted((FRA, SYD), city_file=None if file is None else str(tmp_path / file))
    command = [sys.executable, "-m", "edgeward.dns.build_table", str(tmp_path / "table")]
    ended = subprocess.run(command, input=wanted.to_bytes(), capture_output=True, check=False, timeout=60)
    assert ended.returncode == code
    assert (tmp_path / "table").exists() == (code == 0)
    assert (b"cannot be read" in ended.stderr) == (code != 0)
