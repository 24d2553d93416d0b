"""What deployers and operators did is in the fleet's events, against a real store."""

import time

import pytest

from edgeward.errors import QuorumError
from edgeward.publish.catalog import purge, remove_site, rollback
from edgeward.publish.edges import forget_edge, set_drained
from edgeward.publish.journal import read_events
from edgeward.publish.progress import Event as Shown
from edgeward.publish.progress import Noticed
from edgeward.publish.push import push
from edgeward.publish.roll_call import call_roll
from edgeward.publish.status import fleet_status
from edgeward.publish.values import Waiting
from edgeward.store.layout import EVENTS
from publishing import options, write_site


async def test_every_move_of_a_pointer_is_an_event(store, edge, folder, places) -> None:
    """Push, rollback, purge and removal say what happened to which site and release, and who did it."""
    await edge("FRA")
    first = await push(options(folder, message="first"), store, places=places)
    write_site(folder, {"leak.txt": "swordfish"})
    second = await push(options(folder, deployer="bob"), store, places=places)
    await rollback(store, "blog", by="cy")
    taken = await purge(store, "blog", ("/leak.txt",), by="dan", places=places)
    await remove_site(store, "blog", by="eve")
    one, two = first.release[:12], second.release[:12]
    found = await read_events(store)
    assert [(event.kind, event.by, event.text) for event in found] == [
        ("push", "tester", f"site blog: release {one} is live: first"),
        ("push", "bob", f"site blog: release {two} is live, was {one}"),
        ("rollback", "cy", f"site blog: release {one} is live, was {two}"),
        ("purge", "dan", "site blog: /leak.txt taken out of 1 release"),
        ("remove", "eve", f"site blog: it is removed, was {one}"),
    ]
    assert {event.facts["site"] for event in found} == {"blog"}
    assert found[1].facts == {"site": "blog", "release": second.release, "previous": first.release}
    assert found[3].facts["order"] == taken.key
    assert await read_events(store, site="shop") == ()
    assert await read_events(store, site="blog", since=found[-1].at + 60) == ()


async def test_a_push_that_changes_nothing_is_no_event(store, edge, folder, places) -> None:
    """Neither an unchanged folder, nor one that too few edges staged."""
    late = await edge("FRA")
    await push(options(folder), store, places=places)
    await push(options(folder), store, places=places)
    late.stages.clear()
    write_site(folder, {"new.html": "new"})
    with pytest.raises(QuorumError):
        await push(options(folder, waiting=Waiting(0.5)), store, places=places)
    assert len(await read_events(store)) == 1


async def test_a_release_that_edges_are_late_to_serve_is_an_event(store, edge, folder, places) -> None:
    """The pointer has moved, so it has happened, though the command fails."""
    late = await edge("FRA")
    late.switches.clear()
    with pytest.raises(QuorumError, match="is live, and those edges follow"):
        await push(options(folder, waiting=Waiting(1)), store, places=places)
    assert [event.kind for event in await read_events(store)] == ["push"]


async def test_what_operators_do_to_edges_is_an_event(store, edge) -> None:
    """Drain, undrain and rm name the edge and the operator."""
    await edge("FRA")
    await set_drained(store, "FRA", drained=True, by="ann")
    await set_drained(store, "FRA", drained=False, by="ann")
    await store.edges.put("SYD", (await store.edges.get("FRA")).value)
    await forget_edge(store, "SYD", by="ann")
    assert [(event.kind, event.by, event.text, event.facts) for event in await read_events(store)] == [
        ("drain", "ann", "edge FRA is drained", {"edge": "FRA"}),
        ("undrain", "ann", "edge FRA is no longer drained", {"edge": "FRA"}),
        ("forget", "ann", "edge SYD is forgotten", {"edge": "SYD"}),
    ]


async def test_a_drain_has_an_end_and_a_reason_and_undrain_takes_both_away(store, edge) -> None:
    """They are on record and in the event; a drain that is over is none for pushes."""
    await edge("FRA")
    record = await set_drained(store, "FRA", drained=True, until=1_900_000_000, because="new disk", by="ann")
    assert (record.drained_until, record.drained_because) == (1_900_000_000, "new disk")
    event = (await read_events(store))[-1]
    assert (event.text, event.facts) == ("edge FRA is drained: new disk", {"edge": "FRA", "until": 1_900_000_000})
    async with call_roll(store) as roll:
        assert roll.edges["FRA"].drained
    await set_drained(store, "FRA", drained=True, until=int(time.time()) - 1, by="ann")
    async with call_roll(store) as roll:
        assert not roll.edges["FRA"].drained
    assert not (await fleet_status(store)).edges[0].drained
    record = await set_drained(store, "FRA", drained=False, by="ann")
    assert (record.drained, record.drained_until, record.drained_because) == (False, None, "")


async def test_an_event_that_cannot_be_written_fails_nothing(store, edge, folder, places) -> None:
    """The release is live on every edge all the same; a notice says that the events do not show it."""
    await edge("FRA")
    shown: list[Shown] = []
    await store.jetstream.call(f"STREAM.DELETE.{EVENTS}", what="delete the stream of events")
    result = await push(options(folder), store, shown.append, places=places)
    assert result.outcome == "released"
    assert [times.live is not None for times in result.moved.edges] == [True]
    notices = [each.text for each in shown if isinstance(each, Noticed)]
    assert len(notices) == 1
    assert notices[0].startswith("the fleet's events do not show this push: ")
