"""An operator takes an edge out and in again."""

import json

from publishing import write_site
from waiting import eventually


async def test_a_drained_edge_serves_on_and_no_push_waits_for_it(fleet, ask, tmp_path):
    """Drain, push, undrain: the drained edge is named as not waited for, and follows all the same."""
    site = write_site(
        tmp_path / "site",
        {"edgeward.toml": '[site]\nname = "www"\nhostnames = ["www.example.test"]\n', "index.html": "<!doctype html>1"},
    )
    drained = await ask("edge", "drain", "iad", "--for", "2h", "--because", "new disk")
    assert drained.code == 0
    assert "edge iad is drained until 20" in drained.err

    async def nowhere_named() -> bool:
        found = [await edge.metrics() for edge in fleet]
        return all('edgeward_edge_out{edge="iad"} 1' in text for text in found)

    await eventually(nowhere_named, what="the drain to be seen by every edge")
    assert 'edgeward_edge_up{edge="iad"} 1' in await fleet["fra"].metrics()
    assert "iad: drained: new disk" in (await ask("status")).out
    pushed = json.loads((await ask("push", site, "--json")).out)
    assert [(edge["edge"], edge["because"]) for edge in pushed["moved"]["bystanders"]] == [("iad", "drained")]
    assert "drained" in (await ask("edge", "list")).out
    assert (await ask("edge", "undrain", "iad")).code == 0
    (site / "index.html").write_text("<!doctype html>2")
    pushed = json.loads((await ask("push", site, "--json")).out)
    assert {edge["edge"] for edge in pushed["moved"]["edges"]} == {edge.name for edge in fleet}
    unknown = await ask("edge", "drain", "iada")
    assert unknown.code == 6
    assert "did you mean 'iad'" in unknown.err
    assert (await ask("edge", "rm", "iad")).code == 3
    await fleet["iad"].stop()

    async def forgotten() -> bool:
        return (await ask("edge", "rm", "iad")).code == 0

    await eventually(forgotten, within=20, every=0.5, what="the last report of iad to expire")
    assert "iad" not in (await ask("edge", "list")).out
    shown = json.loads((await ask("events", "--json")).out)
    assert [event["text"] for event in shown if event["kind"] in {"drain", "undrain", "forget"}] == [
        "edge iad is drained: new disk",
        "edge iad is no longer drained",
        "edge iad is forgotten",
    ]
    of_the_site = (await ask("events", "--site", "www", "--since", "1h")).out.splitlines()
    assert [line.split()[2] for line in of_the_site] == ["push", "push"]
