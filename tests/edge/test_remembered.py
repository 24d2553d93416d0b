"""What an edge knows of the others before anybody has said anything: what was so before it was restarted."""

from pathlib import Path

from edgeward.core.fleet import EdgeRecord
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.edge.neighbours import Neighbours
from edgeward.edge.settings import EdgeSettings, HttpSettings, StoreSettings
from edgeward.edge.verdicts import Verdicts
from edgeward.store.connection import Store

EDGES = {name: EdgeRecord(name, name.upper(), ("192.0.2.1", "2001:db8::1")) for name in ("fra", "iad", "syd")}


async def test_who_was_out_silent_or_lacking_is_until_somebody_says_otherwise(tmp_path: Path, store: Store) -> None:
    """Of others; of itself an edge believes nothing bad that nobody says, nor of edges that the fleet does not have."""
    conditions = Conditions()
    neighbours = Neighbours(tmp_path / "edges.json")
    neighbours.save(EDGES)
    settings = EdgeSettings(
        "fra", "FRA", tmp_path, ("192.0.2.1",), HttpSettings(("192.0.2.1",)), StoreSettings("nats://127.0.0.1:1")
    )
    view = StoreView(conditions)
    verdicts = Verdicts(settings, store, view=view, conditions=conditions, neighbours=neighbours)
    silent = {name: {6: "gru: no answer"} for name in ("fra", "iad", "gone")}
    lacking = {"www": dict.fromkeys(("fra", "iad", "gone"), "old")}
    verdicts.remember({"syd": "gru: no answer"}, frozenset(), lacking=lacking, silent=silent)
    assert (verdicts.silent, verdicts.lacking) == (silent, lacking)
    for _ in range(2):
        verdicts.judge()
        assert verdicts.out == {"syd": "gru: no answer"}
        assert verdicts.silent == {"iad": {6: "gru: no answer"}}
        assert verdicts.lacking == {"www": {"iad": "old"}}
