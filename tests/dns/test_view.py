"""The file that a name server answers from, when it is another than was written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dns_world import SECRET, zones
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.responder import Responder
from edgeward.dns.view import Proofs, View
from edgeward.dns.worker import Files
from edgeward.errors import SchemaError

PROOF = "_acme-challenge.example.test"
GOOD = View(
    zones(),
    out={"syd": "dead"},
    lacking={"www": {"fra": "old"}},
    silent={"fra": {6: "no answer"}},
    proofs=Proofs(txt={PROOF: ("a",)}),
    server="fra",
    unsure=frozenset({"new.example.test"}),
)


def apex(value: dict[str, Any]) -> dict[str, Any]:
    """The records of the first zone's apex, by type."""
    zone = value["zones"][0]
    found: dict[str, Any] = zone["rrsets"][zone["origin"]]
    return found


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "an RRset without a TTL": lambda value: apex(value).update({"6": []}),
    "an RRset that is a number": lambda value: apex(value).update({"6": 5}),
    "an RRset that is an object": lambda value: apex(value).update({"6": {"ttl": 5}}),
    "a TTL that is text": lambda value: apex(value)["6"].__setitem__(0, "5"),
    "a TTL below zero": lambda value: apex(value)["6"].__setitem__(0, -1),
    "a TTL too large": lambda value: apex(value)["6"].__setitem__(0, 1 << 31),
    "data that is no hex": lambda value: apex(value)["6"].__setitem__(1, "xyz"),
    "data that is a number": lambda value: apex(value)["6"].__setitem__(1, 5),
    "a type that is no number": lambda value: apex(value).update({"SOA": [5, "00"]}),
    "no SOA": lambda value: apex(value).pop("6"),
    "types in a list": lambda value: value["zones"][0].update(rrsets={"fleet.test": []}),
    "records in a list": lambda value: value["zones"][0].update(rrsets=[]),
    "a name that cannot be": lambda value: value["zones"][0]["rrsets"].update({"a..example.test": {}}),
    "steered names in a list": lambda value: value["zones"][0].update(steered=["www"]),
    "a site that is a number": lambda value: value["zones"][0]["steered"].update({value["zones"][0]["origin"]: 5}),
    "an origin that is none": lambda value: value["zones"][0].update(origin=None),
    "zones that are a number": lambda value: value.update(zones=5),
    "a zone that is a list": lambda value: value.update(zones=[[]]),
    "a zone that is empty": lambda value: value.update(zones=[{}]),
    "no zones": lambda value: value.pop("zones"),
    "edges that are out in a list": lambda value: value.update(out=["syd"]),
    "drained edges in lists": lambda value: value.update(drained=[["syd"]]),
    "a site that lacks text": lambda value: value.update(lacking={"www": "fra"}),
    "a family that is none": lambda value: value.update(silent={"fra": {"six": "x"}}),
    "proofs in a list": lambda value: value.update(proofs=[]),
    "a proof under no name": lambda value: value["proofs"]["txt"].update({"a..test": ["x"]}),
    "a proof that is a number": lambda value: value["proofs"]["txt"].update({PROOF: [5]}),
    "a server without a name": lambda value: value.update(server=None),
    "a version that is a number": lambda value: value.update(version=1),
    "a margin that is none": lambda value: value.update(margin="far"),
    "most that is text": lambda value: value.update(most="2"),
    "an unsure name that cannot be": lambda value: value.update(unsure=["a..test"]),
    "an unsure name that is a number": lambda value: value.update(unsure=[5]),
    "a TTL of steered names that is none": lambda value: value.update(steered_ttl=None),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD.keys())
def test_an_odd_view_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """With the one sort of error that agent and worker expect; a worker goes on with what it has."""
    value = json.loads(GOOD.to_bytes())
    change(value)
    odd = json.dumps(value).encode()
    with pytest.raises(SchemaError):
        View.from_bytes(odd)
    (tmp_path / "view.json").write_bytes(odd)
    assert Files(tmp_path / "view.json", tmp_path / "table").load() == (None, None, None)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff", b"[" * 100_000, b"[]", b'{"schema":[9,0]}', b'{"schema":[1,0]}'])
def test_what_is_no_view_is_refused(data: bytes) -> None:
    """Empty after a power cut, of a later version, of anything else."""
    with pytest.raises(SchemaError):
        View.from_bytes(data)


def test_a_good_view_is_read(table: SteeringTable) -> None:
    """All of it, and answered from."""
    assert View.from_bytes(GOOD.to_bytes()) == GOOD
    assert Responder(View.from_bytes(GOOD.to_bytes()), table, secret=SECRET).view == GOOD
