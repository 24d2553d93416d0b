"""What an edge knows of the others before anybody has said anything: what was so before it was restarted."""

from pathlib import Path

from edgeward.core.fleet import EdgeRecord
from edgeward.core.health import Observation, Report
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.edge.neighbours import Neighbours
from edgeward.edge.settings import EdgeSettings, HttpSettings, StoreSettings
from edgeward.edge.verdicts import Verdicts
from edgeward.store.connection import Store

EDGES = {name: EdgeRecord(name, name.upper(), ("192.0.2.1", "2001:db8::1")) for name in ("fra", "iad", "syd")}


def verdicts_of_fra(tmp_path: Path, store: Store) -> Verdicts:
    """What fra makes of the edges that its disk has."""
    conditions = Conditions()
    neighbours = Neighbours(tmp_path / "edges.json")
    neighbours.save(EDGES)
    settings = EdgeSettings(
        "fra", "FRA", tmp_path, ("192.0.2.1",), HttpSettings(("192.0.2.1",)), StoreSettings("nats://127.0.0.1:1")
    )
    view = StoreView(conditions)
    return Verdicts(settings, store, view=view, conditions=conditions, neighbours=neighbours)


async def test_who_was_out_silent_or_lacking_is_until_somebody_says_otherwise(tmp_path: Path, store: Store) -> None:
    """Of others; of itself an edge believes nothing bad that nobody says, nor of edges that the fleet does not have."""
    verdicts = verdicts_of_fra(tmp_path, store)
    silent = {name: {6: "gru: no answer"} for name in ("fra", "iad", "gone")}
    lacking = {"www": dict.fromkeys(("fra", "iad", "gone"), "old")}
    verdicts.remember({"syd": "gru: no answer"}, frozenset(), lacking=lacking, silent=silent)
    assert (verdicts.silent, verdicts.lacking) == (silent, lacking)
    for _ in range(2):
        verdicts.judge()
        assert verdicts.out == {"syd": "gru: no answer"}
        assert verdicts.silent == {"iad": {6: "gru: no answer"}}
        assert verdicts.lacking == {"www": {"iad": "old"}}


async def test_other_words_for_the_same_are_no_change(tmp_path: Path, store: Store) -> None:
    """What is out for another reason is out: nothing is written to the disk for that, and no answer is forgotten."""
    verdicts = verdicts_of_fra(tmp_path, store)
    verdicts.remember({"syd": "gru: no answer"}, frozenset(), lacking={}, silent={"iad": {6: "gru: no answer"}})
    verdicts.judge()
    before = verdicts.out, verdicts.silent
    verdicts.changed.clear()

    def hear(because: str, six: str) -> None:
        rows = (
            Observation("syd", up=False, because=because),
            Observation("iad", up=True, families={4: "", 6: six}),
        )
        report = Report("fra", connected=True, observations=rows)
        verdicts.observer.report = lambda: report  # type: ignore[method-assign]
        verdicts.judge()

    hear("it is gone", "no route")
    assert (verdicts.out, verdicts.silent) == before
    assert not verdicts.changed.is_set()
    assert verdicts.verdicts["syd"].because == ("fra: it is gone",)
    hear("it is gone", "")
    assert verdicts.silent == {}
    assert verdicts.changed.is_set()
