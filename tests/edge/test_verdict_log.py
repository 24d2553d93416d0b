"""Verdicts as they are written down in a real store: each change is one event, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from edge_parts import Clock
from edgeward.core.fleet import VerdictRecord
from edgeward.core.health import Verdict
from edgeward.edge.conditions import Conditions
from edgeward.edge.verdict_log import VerdictLog
from edgeward.store.connection import Store
from edgeward.store.layout import EVENTS, events_config
from waiting import eventually

DOWN = ("fra: no answer within 0.8 s", "iad: no answer within 0.8 s")
SPEAKING = {"fra", "iad"}


@dataclass
class Writer:
    """The log of one edge, and what that edge thinks."""

    store: Store
    edge: str
    clock: Clock = field(default_factory=Clock)
    conditions: Conditions = field(default_factory=Conditions)
    silent: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = VerdictLog(self.store, self.conditions, edge=self.edge, epoch=self.clock)

    def think(self, *, up: bool, fra: bool = True) -> None:
        """Have this edge see syd up or down, and fra, the first to write, too."""
        verdicts = {
            "fra": Verdict("fra", fra, () if fra else DOWN),
            "iad": Verdict("iad", True),
            "syd": Verdict("syd", up, () if up else DOWN),
        }
        self.log.note(verdicts, silent=self.silent, alone=False, speaking=SPEAKING if fra else {"iad"})

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.log.run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def record(self, edge: str = "syd") -> VerdictRecord | None:
        stored = await self.store.verdicts.get(edge)
        return None if stored is None else VerdictRecord.from_bytes(stored.value)

    async def wrote(self, *, up: bool, edge: str = "syd") -> bool:
        found = await self.record(edge)
        return found is not None and found.up == up

    async def events(self) -> list[tuple[str, str]]:
        """Writer and text of each, oldest first."""
        return [(each.by, each.text) for each in await self.store.events.recent() if each.kind == "verdict"]

    async def told(self, count: int) -> bool:
        return len(await self.events()) == count


async def lose_events(store: Store) -> None:
    """From now on no event can be stored; everything else can."""
    await store.jetstream.call(f"STREAM.DELETE.{EVENTS}", what="delete the stream of events")


async def have_events(store: Store) -> None:
    await store.jetstream.ensure_stream(events_config(), replicas=None)


async def test_an_event_that_cannot_be_stored_is_tried_again(store: Store) -> None:
    """Its record is there; the next change of the same edge waits for it, so that both are events, in order."""
    fra = Writer(store, "fra")
    await lose_events(store)
    async with fra.writing():
        fra.think(up=False)
        await eventually(lambda: fra.wrote(up=False))
        fra.clock.now += 7
        fra.think(up=True)
        await asyncio.sleep(2.5)  # more than a try of the event takes
        assert await fra.wrote(up=False)
        await have_events(store)
        await eventually(lambda: fra.told(2), within=20)
    down = "edge syd is down: fra: no answer within 0.8 s; iad: no answer within 0.8 s"
    assert await fra.events() == [("fra", down), ("fra", "edge syd is up again, after 7 s")]
    found = await fra.record()
    assert found is not None
    assert (found.up, found.after, found.at) == (True, 7, fra.clock.now)


async def test_the_event_of_a_writer_that_died_is_stored_by_the_next(store: Store) -> None:
    """Once, in the name of who wrote the verdict down; what was stored already is not stored again."""
    fra, iad = Writer(store, "fra"), Writer(store, "iad")
    await lose_events(store)
    async with fra.writing():
        fra.think(up=False)
        await eventually(lambda: fra.wrote(up=False))
    await have_events(store)
    async with iad.writing():
        iad.think(up=False, fra=False)
        await eventually(lambda: iad.told(2), within=20)
        assert [by for by, _ in await iad.events()] == ["fra", "iad"]
    again = Writer(store, "iad")
    async with again.writing():
        # It has just started and knows nothing of the events: it sends those of both records again before its own.
        again.think(up=True, fra=False)
        await eventually(lambda: again.wrote(up=True))
        await eventually(lambda: again.told(3))
    assert [by for by, _ in await iad.events()] == ["fra", "iad", "iad"]


async def test_the_event_of_a_change_long_ago_is_given_up(store: Store) -> None:
    """After a minute; the next change is written down, and told."""
    fra = Writer(store, "fra")
    await lose_events(store)
    async with fra.writing():
        fra.think(up=False)
        await eventually(lambda: fra.wrote(up=False))
        fra.clock.now += 61
        fra.think(up=True)
        await eventually(lambda: fra.wrote(up=True), within=20)
        await have_events(store)
        await eventually(lambda: fra.told(1), within=20)
    assert await fra.events() == [("fra", "edge syd is up again, after 61 s")]


async def test_a_family_that_is_silent_is_told_when_it_has_been_so_for_a_while(store: Store) -> None:
    """Five seconds: an edge that dies falls silent over one family before the other. It is an event and a condition."""
    fra = Writer(store, "fra")
    fra.silent = {"syd": {6: "fra: no answer; iad: no answer"}}
    async with fra.writing():
        fra.think(up=True)
        fra.clock.now += 4
        fra.think(up=False)
        await eventually(lambda: fra.told(1))
        fra.silent = {}
        fra.think(up=True)
        await eventually(lambda: fra.told(2))
        fra.silent = {"syd": {6: "fra: no answer; iad: no answer"}}
        fra.think(up=True)
        fra.clock.now += 5
        fra.think(up=True)
        await eventually(lambda: fra.told(3))
        found = await fra.record()
        assert found is not None
        assert (found.up, found.silent) == (True, (6,))
        silent = "edge syd does not answer over IPv6: fra: no answer; iad: no answer"
        await eventually(lambda: fra.conditions.sentences == (silent,))
        fra.clock.now += 60
        fra.silent = {}
        fra.think(up=True)
        await eventually(lambda: fra.told(4))
        await eventually(lambda: fra.conditions.sentences == ())
    texts = [text.partition(":")[0] for _, text in await fra.events()]
    assert texts == [
        "edge syd is down",
        "edge syd is up again, after 0 s",
        "edge syd does not answer over IPv6",
        "edge syd is up again, after 60 s",
    ]


async def test_a_record_whose_acknowledgement_was_lost_has_its_event(store: Store) -> None:
    """The writer does not know that its record is there; it follows the records, and each has its event."""
    fra = Writer(store, "fra")
    await store.verdicts.create("syd", VerdictRecord("syd", False, DOWN, fra.clock(), "fra").to_bytes())
    async with fra.writing():
        fra.think(up=False)
        await eventually(lambda: fra.told(1))
        fra.think(up=True)
        await eventually(lambda: fra.told(2))
