"""Watches: the state of a bucket, always current, under writers, expiry and restarts."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from edgeward.errors import StoreUnavailable
from edgeward.store.buckets import Bucket, Watch
from edgeward.store.connection import Store, open_store
from edgeward.store.layout import BucketLayout
from edgeward.store.link import StoreAddress
from edgeward.store.server import StateServer
from waiting import eventually

SHORT = BucketLayout("short", "for tests: expires fast", ttl=2)


def values(watch: Watch) -> dict[str, bytes]:
    return {key: item.value for key, item in watch.state.items()}


async def test_a_watch_of_an_empty_bucket_is_caught_up_at_once(store: Store):
    """Nothing there is an answer too."""
    async with store.live.watch() as watch:
        await watch.caught_up(2.0)
        assert watch.state == {}
        assert watch.current


async def test_a_watch_starts_from_what_is_there_and_follows(store: Store):
    """All keys are there when it is caught up; changes and deletions come in, coalesced by key."""
    await store.live.put("a", b"1")
    await store.live.put("b", b"1")
    async with store.live.watch() as watch:
        await watch.caught_up(2.0)
        assert values(watch) == {"a": b"1", "b": b"1"}
        assert await watch.changed() == {"a", "b"}
        await store.live.put("a", b"2")
        await store.live.delete("b")
        await eventually(lambda: values(watch) == {"a": b"2"})
        assert await watch.changed() == {"a", "b"}
        async with asyncio.timeout(2):
            waiting = asyncio.create_task(watch.changed())
            await store.live.put("c", b"3")
            assert await waiting == {"c"}


async def test_expiry_is_seen_by_a_watch_and_by_get(store: Store):
    """A key that is not written again goes when its time is over; one that is refreshed stays."""
    await store.jetstream.ensure_stream(SHORT.stream_config(), replicas=1)
    bucket = Bucket(store.jetstream, SHORT)
    loop = asyncio.get_running_loop()
    async with bucket.watch() as watch:
        await watch.caught_up(2.0)
        began = loop.time()
        await bucket.put("dies", b"1")
        await bucket.put("lives", b"1")
        while loop.time() - began < 6 and "dies" in (*watch.state, "dies" if loop.time() - began < 0.5 else ""):
            await bucket.put("lives", b"2")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await watch.changed()
        assert 1.5 < loop.time() - began < 5
        assert set(watch.state) == {"lives"}
        assert await bucket.get("dies") is None
        assert await bucket.keys() == ("lives",)
        await bucket.create("dies", b"again")


async def test_the_status_bucket_forgets_an_edge_that_stops_reporting(store: Store):
    """Status has a TTL of 10 s, and its marks of expiry outlive the keys."""
    layout = store.status.layout
    config = (await store.jetstream.info(layout.stream, what="test"))["config"]
    assert config["max_age"] == 10_000_000_000
    assert config["subject_delete_marker_ttl"] >= 20_000_000_000


async def test_caught_up_is_never_early_under_a_storm_of_writers(store: Store, server: StateServer):
    """Whatever writers do meanwhile, a caught-up watch holds every key that was written before it was opened."""
    bucket = store.status
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(open_store(server.address, name=f"writer {n}")) for n in range(4)]
        written: dict[str, int] = {}
        going = True

        async def storm(writer: Store, number: int) -> None:
            turn = 0
            while going:
                key = f"w{number}.k{turn % 97}"
                revision = await writer.status.put(key, str(turn).encode())
                written[key] = revision
                turn += 1

        async with asyncio.TaskGroup() as group:
            for number, writer in enumerate(others):
                group.create_task(storm(writer, number))
            await eventually(lambda: len(written) > 200, within=30)
            for _ in range(25):
                before = dict(written)
                async with bucket.watch() as watch:
                    await watch.caught_up(10.0)
                    missing = [
                        key
                        for key, revision in before.items()
                        if key not in watch.state or watch.state[key].revision < revision
                    ]
                    assert missing == []
            going = False
        async with bucket.watch() as watch:
            await watch.caught_up(10.0)
            await eventually(
                lambda: {key: item.revision for key, item in watch.state.items()} == written,
                what="the watch to hold exactly what was written",
            )


async def test_a_watch_lives_through_a_killed_server(store: Store, kill):
    """After a crash of the server the watch goes on by itself and reports exactly what changed."""
    await store.live.put("a", b"1")
    await store.live.put("b", b"1")
    async with store.live.watch() as watch:
        await watch.caught_up(2.0)
        await watch.changed()
        await kill()
        await eventually(lambda: watch.current, within=15)
        assert values(watch) == {"a": b"1", "b": b"1"}
        await store.live.put("b", b"2", deadline=10)
        async with asyncio.timeout(5):
            assert await watch.changed() == {"b"}


async def test_what_happened_while_a_watch_was_cut_off_comes_out_as_changes(store: Store, server: StateServer):
    """Levels, not events: keys written and deleted by others during the outage are changes after it."""
    for key in ("stays", "goes", "changes"):
        await store.live.put(key, b"1")
    async with open_store(server.address, name="cut off") as victim, victim.live.watch() as watch:
        await watch.caught_up(2.0)
        await watch.changed()
        link = victim.jetstream.link
        session = await link.session()
        genuine = link._connect
        gate = asyncio.Event()

        async def held_up():
            await gate.wait()
            return await genuine()

        link._connect = held_up  # type: ignore[method-assign]
        session.client._transport.close()
        await eventually(lambda: not watch.current)
        assert not victim.connected
        await store.live.delete("goes")
        await store.live.put("changes", b"2")
        await store.live.put("comes", b"1")
        assert set(watch.state) == {"stays", "goes", "changes"}, "what was last known stays visible"
        with pytest.raises(StoreUnavailable):
            await watch.caught_up(0.1)
        gate.set()
        await watch.caught_up(10)
        async with asyncio.timeout(2):
            assert await watch.changed() == {"goes", "changes", "comes"}
        assert values(watch) == {"stays": b"1", "changes": b"2", "comes": b"1"}


async def test_a_watch_whose_consumer_the_server_has_forgotten_begins_again(store: Store):
    """Messages that stop coming without any error are noticed by the missing sign of life."""
    async with store.live.watch() as watch:
        await watch.caught_up(2.0)
        stream = store.live.layout.stream
        names = (await store.jetstream.call(f"CONSUMER.NAMES.{stream}", what="test"))["consumers"]
        assert len(names) == 1
        await store.jetstream.call(f"CONSUMER.DELETE.{stream}.{names[0]}", what="test")
        await store.live.put("a", b"1")
        async with asyncio.timeout(15):
            assert await watch.changed() == {"a"}


async def test_a_watch_may_be_opened_while_there_is_no_store(free_port, loopback_address: str):
    """Entering a watch does not wait; caught_up gives up in its time and says why."""
    address = StoreAddress(f"nats://{loopback_address}:{free_port()}")
    async with open_store(address, name="test", wait=False) as store, store.live.watch() as watch:
        with pytest.raises(StoreUnavailable, match="cannot watch bucket live"):
            await watch.caught_up(0.3)


async def test_a_closed_watch_leaves_nothing_at_the_server(store: Store):
    """The consumer of a watch goes with it."""
    stream = store.live.layout.stream
    for _ in range(3):
        async with store.live.watch() as watch:
            await watch.caught_up(2.0)

    async def none_left() -> bool:
        return (await store.jetstream.call(f"CONSUMER.NAMES.{stream}", what="test"))["total"] == 0

    await eventually(none_left)


async def test_ages_are_measured_here(store: Store):
    """Age is the time since the value came in, by this machine's clock."""
    async with store.live.watch() as watch:
        await watch.caught_up(2.0)
        assert watch.age("a") is None
        await store.live.put("a", b"1")
        await watch.changed()
        age = watch.age("a")
        assert age is not None
        assert 0 <= age < 5
