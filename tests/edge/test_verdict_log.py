"""Verdicts as they are written down in a real store: each change is one event, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

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
    steady: Clock | None = None
    """What durations are measured by, where the clock jumps."""
    speaking: set[str] = field(default_factory=set)
    """Who is heard, if it is not all that are up."""

    def __post_init__(self) -> None:
        self.log = VerdictLog(
            self.store, self.conditions, edge=self.edge, epoch=self.clock, clock=self.steady or self.clock
        )

    def think(self, *, up: bool, fra: bool = True, iad: bool = True) -> None:
        """Have this edge see syd up or down, fra, the first to write, and iad too."""
        verdicts = {
            name: Verdict(name, is_up, () if is_up else DOWN)
            for name, is_up in (("fra", fra), ("iad", iad), ("syd", up))
        }
        self.log.note(
            verdicts, silent=self.silent, alone=False, speaking=self.speaking or (SPEAKING if fra else {"iad"})
        )

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
        fra.clock.now += 55
        fra.silent = {}
        fra.think(up=True)
        fra.clock.now += 5
        fra.think(up=True)
        await eventually(lambda: fra.told(4))
        await eventually(lambda: fra.conditions.sentences == ())
    texts = [text.partition(":")[0] for _, text in await fra.events()]
    assert texts == [
        "edge syd is down",
        "edge syd is up again, after 0 s",
        "edge syd does not answer over IPv6",
        "edge syd answers over IPv6 again, after 60 s",
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


async def test_an_edge_that_is_removed_while_another_is_written_down_ends_nothing(store: Store) -> None:
    """The fleet of the moment is written down to its end; the next look has the new one."""
    fra = Writer(store, "fra")
    real = store.verdicts

    class Meddling:
        """The bucket; while something is created in it, the operator takes syd out."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def create(self, edge: str, data: bytes, *, deadline: float) -> int:
            revision = await real.create(edge, data, deadline=deadline)
            fra.log.note(
                {"fra": Verdict("fra", True), "iad": Verdict("iad", False, DOWN)},
                silent={}, alone=False, speaking=SPEAKING,
            )  # fmt: skip
            return revision

    store.verdicts = Meddling()  # type: ignore[assignment]
    async with fra.writing():
        fra.think(up=False, iad=False)

        async def is_gone() -> bool:
            return await fra.record() is None

        await eventually(lambda: fra.told(2))
        await eventually(is_gone)


async def test_edges_do_not_wait_for_each_others_events(store: Store) -> None:
    """Where no event can be stored, what is down is written down all the same, all of it."""
    fra = Writer(store, "fra")
    await lose_events(store)
    async with fra.writing():
        fra.think(up=False)
        await eventually(lambda: fra.wrote(up=False))
        fra.think(up=False, iad=False)
        await eventually(lambda: fra.wrote(up=False, edge="iad"))
        await have_events(store)
        await eventually(lambda: fra.told(2), within=20)
    assert {text.partition(":")[0] for _, text in await fra.events()} == {"edge syd is down", "edge iad is down"}


async def silent_syd(fra: Writer) -> None:
    """Have it written down that syd does not answer over IPv6."""
    fra.silent = {"syd": {6: "fra: no answer"}}
    fra.think(up=True)
    (fra.steady or fra.clock).now += 5
    fra.think(up=True)
    await eventually(lambda: fra.told(1))


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_writer_that_has_just_started_takes_no_silence_back(store: Store, remembered: bool) -> None:
    """Whether or not it knows on its own who is silent: a silence that is written down is over when it has been so for
    five seconds.
    """
    fra = Writer(store, "fra")
    async with fra.writing():
        await silent_syd(fra)
    again = Writer(store, "fra", clock=fra.clock)
    silence = "edge syd does not answer over IPv6: fra: no answer"
    async with again.writing():
        if remembered:
            again.silent = fra.silent
        again.think(up=True)
        await eventually(lambda: again.conditions.sentences == (silence,))
        again.clock.now += 4
        again.silent = fra.silent
        again.think(up=True)
        again.clock.now += 6
        again.think(up=True, iad=False)
        await eventually(lambda: again.told(2))
        assert again.conditions.sentences[-1] == silence
    assert [text.partition(":")[0] for _, text in await fra.events()] == [
        "edge syd does not answer over IPv6",
        "edge iad is down",
    ]


async def test_a_clock_that_is_set_back_delays_no_silence(store: Store) -> None:
    """Five seconds are five seconds, though the time of day is an hour earlier after them."""
    fra = Writer(store, "fra", steady=Clock(0))
    async with fra.writing():
        fra.silent = {"syd": {6: "fra: no answer"}}
        fra.think(up=True)
        fra.clock.now -= 3600
        await silent_syd(fra)


async def test_no_time_is_negative(store: Store) -> None:
    """A record by an edge whose clock is ahead: its event is that edge's, and the time between is none."""
    fra = Writer(store, "fra")
    await store.verdicts.create("syd", VerdictRecord("syd", False, DOWN, fra.clock() + 30, "iad").to_bytes())
    async with fra.writing():
        fra.think(up=True)
        await eventually(lambda: fra.told(1))
    assert await fra.events() == [("fra", "edge syd is up again, after 0 s")]


async def test_who_follows_a_record_knows_its_age_whatever_its_clock_says(store: Store) -> None:
    """An edge whose clock is five minutes behind stores the events that another could not."""
    fra, iad = Writer(store, "fra"), Writer(store, "iad")
    iad.clock.now -= 300
    async with iad.writing():
        iad.think(up=True, fra=False)
        await eventually(lambda: iad.told(1))
        iad.think(up=True)
        await lose_events(store)
        async with fra.writing():
            fra.think(up=False)
            await eventually(lambda: fra.wrote(up=False))
            await eventually(lambda: fra.wrote(up=True, edge="fra"))
        await have_events(store)
        iad.speaking = {"iad"}
        iad.think(up=False)
        await eventually(lambda: iad.told(2), within=20)
    assert {(by, text.partition(":")[0].partition(",")[0]) for by, text in await iad.events()} == {
        ("fra", "edge fra is up again"),
        ("fra", "edge syd is down"),
    }


async def test_who_has_just_started_sends_no_event_of_the_future_again(store: Store) -> None:
    """By a clock that is behind, the change may be long ago, and its event be there."""
    iad = Writer(store, "iad", steady=Clock(0))
    await store.verdicts.create("syd", VerdictRecord("syd", False, DOWN, iad.clock() + 300, "fra").to_bytes())
    async with iad.writing():
        iad.think(up=False, fra=False)
        await eventually(lambda: iad.told(1))
        iad.clock.now += 300
        iad.speaking = {"iad"}
        iad.think(up=False)
        await eventually(lambda: iad.told(2))
    assert {text.partition(":")[0].partition(",")[0] for _, text in await iad.events()} == {
        "edge fra is down",
        "edge fra is up again",
    }
