"""Events: what happened, for people."""

import time

from edgeward.store.connection import Store
from edgeward.store.events import Event
from edgeward.store.layout import event_subject
from edgeward.store.link import DEADLINE


async def test_the_newest_events_come_back_oldest_first(store: Store):
    """Recent gives the newest ones in the order in which they happened."""
    assert await store.events.recent() == []
    for number in range(5):
        await store.events.record(Event("push", 1000 + number, "ada", f"push {number}", {"site": "docs"}))
    found = await store.events.recent(3)
    assert [event.text for event in found] == ["push 2", "push 3", "push 4"]
    assert found[0] == Event("push", 1002, "ada", "push 2", {"site": "docs"})


async def test_events_since_a_time_are_those_stored_since_then(store: Store):
    """By the server's clock, to the second; a time after the newest gives none, at once."""
    assert await store.events.since(0) == []
    await store.events.record(Event("push", 1, "ada", "one"))
    stored = int(time.time())
    await store.events.record(Event("purge", 2, "ada", "two"))
    assert [event.text for event in await store.events.since(0)] == ["one", "two"]
    assert [event.text for event in await store.events.since(stored - 1)] == ["one", "two"]
    began = time.monotonic()
    assert await store.events.since(stored + 60) == []
    assert time.monotonic() - began < DEADLINE


async def test_an_event_of_an_unknown_schema_is_left_out(store: Store):
    """A newer program's events do not stop an older one from showing the rest."""
    await store.events.record(Event("push", 1, "ada", "one"))
    await store.jetstream.publish(event_subject("push"), b'{"schema":[9,0]}', headers={}, what="test")
    assert [event.text for event in await store.events.recent()] == ["one"]


async def test_an_event_with_an_identity_is_stored_once(store: Store, kill):
    """However often it is recorded, and over a crash of the server; others are others, whatever they say."""
    event = Event("verdict", 1, "fra", "edge syd is down")
    for number in (1, 1, 2):
        await store.events.record(event, ident=f"verdict.syd.{number}")
    await kill()
    for number in (1, 2, 3):
        await store.events.record(event, ident=f"verdict.syd.{number}")
    await store.events.record(event)
    await store.events.record(event)
    assert len(await store.events.recent()) == 5
