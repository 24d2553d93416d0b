"""The edges that an edge last knew, on its own disk."""

from pathlib import Path

import pytest

from edgeward.core.fleet import EdgeRecord
from edgeward.edge.neighbours import Neighbours

EDGES = {
    "fra": EdgeRecord("fra", "FRA", ("127.0.0.1", "::1"), port=8080),
    "iad": EdgeRecord("iad", "IAD", ("127.0.0.2",), drained=True, drained_until=7, drained_because="disk"),
}


def test_they_are_known_again_after_a_start(tmp_path: Path) -> None:
    """With all that their records say; written only when something has changed."""
    file = tmp_path / "edges.json"
    known = Neighbours(file)
    assert known.load() == {}
    known.save(EDGES)
    assert Neighbours(file).load() == EDGES
    file.unlink()
    known.save(dict(EDGES))
    assert not file.exists()
    known.save({"fra": EDGES["fra"]})
    assert Neighbours(file).load() == {"fra": EDGES["fra"]}


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"schema":[2,0],"edges":[]}', b'{"schema":[1,0]}', b'{"schema":[1,0],"edges":[1]}']
)
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, data: bytes) -> None:
    """The store tells it again; a folder that cannot be written to ends nothing."""
    file = tmp_path / "edges.json"
    file.write_bytes(data)
    assert Neighbours(file).load() == {}
    Neighbours(tmp_path / "gone" / "edges.json").save(EDGES)
