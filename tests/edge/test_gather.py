"""What an edge sees of the store: whole, current, and never worse for a value that it cannot read."""

import asyncio

from edge_parts import make_release
from edgeward.core.deployers import Deployer, Deployers
from edgeward.core.fleet import EdgeRecord, HostClaim, Pointer
from edgeward.store.connection import StoreAddress, open_store
from following import following
from waiting import eventually


async def test_everything_is_seen(store) -> None:
    """Pointers, candidates, records, claims and the list of deployers, with later changes and deletions."""
    made = await make_release({"/index.html": "x"}).put(store)
    pointer = Pointer("blog", made.key[1], None, 1, "ann", "push")
    await store.live.put("blog", pointer.to_bytes())
    await store.hosts.put("blog.test", HostClaim("blog.test", "blog", 1).to_bytes())
    await store.candidates.put(f"blog.{made.key[1]}", pointer.to_bytes())
    async with following(store) as (view, conditions):
        await eventually(lambda: view.complete)
        desired = view.desired
        assert desired.live == {"blog": pointer}
        assert desired.releases == {made.key: made.record}
        assert set(desired.candidates) == {made.key}
        assert desired.owners == {"blog.test": "blog"}
        assert view.deployers is None
        people = Deployers((Deployer("ann", "00" * 32),))
        await store.fleet.put("deployers", people.to_bytes())
        await store.fleet.put("limits", b"not ours to read")
        await store.candidates.delete(f"blog.{made.key[1]}")
        await eventually(lambda: view.deployers == people and not view.desired.candidates)
        assert view.connected
        assert conditions.sentences == ()


async def test_an_unknown_schema_keeps_the_last_good_value(store) -> None:
    """A pointer of a later major version changes nothing that is served and is reported; a good one ends that."""
    release = make_release({"/index.html": "x"}).key[1]
    good = Pointer("blog", release, None, 1, "ann", "push")
    await store.live.put("blog", good.to_bytes())
    async with following(store) as (view, conditions):
        await eventually(lambda: view.complete)
        await store.live.put("blog", b'{"schema":[9,0]}')
        await store.live.put("other", b"\xff not json")
        await eventually(lambda: len(conditions.sentences) == 2)
        assert "live/blog in the store cannot be used, its last good value stays" in conditions.sentences[0]
        assert view.desired.live == {"blog": good}
        await store.live.put("blog", good.to_bytes())
        await store.live.delete("other")
        await eventually(lambda: conditions.sentences == ())


async def test_a_value_under_another_key_is_not_used(store) -> None:
    """A record, pointer or claim that names another site than its key does is a condition, and changes nothing."""
    made = await make_release({"/index.html": "x"}).put(store)
    await store.releases.put(f"shop.{made.key[1]}", made.record.to_bytes())
    await store.live.put("shop", Pointer("blog", made.key[1], None, 1, "ann", "push").to_bytes())
    await store.hosts.put("shop.test", HostClaim("blog.test", "blog", 1).to_bytes())
    async with following(store) as (view, conditions):
        await eventually(lambda: view.complete)
        assert view.desired.releases == {made.key: made.record}
        assert view.desired.live == {}
        assert view.desired.owners == {}
        assert len(conditions.sentences) == 3
        assert all("it is the value of another key" in sentence for sentence in conditions.sentences)


async def test_a_store_that_was_never_there(loopback_address: str) -> None:
    """Without a store nothing is complete, nothing is connected, and nothing raises."""
    async with (
        open_store(StoreAddress(f"nats://{loopback_address}:1"), name="test", wait=False) as store,
        following(store) as (view, _),
    ):
        await asyncio.sleep(0.3)
        assert (view.complete, view.connected) == (False, False)


async def test_a_lost_store_is_noticed_and_found_again(store, server) -> None:
    """While the server is away the last values stay; when it is back, what changed meanwhile is seen."""
    await store.live.put("blog", Pointer("blog", None, None, 1, "ann", "remove").to_bytes())
    async with following(store) as (view, _):
        await eventually(lambda: view.connected)
        await server.stop()
        await eventually(lambda: not view.connected)
        assert set(view.desired.live) == {"blog"}
        await server.start()
        await store.live.put("shop", Pointer("shop", None, None, 1, "ann", "remove").to_bytes(), deadline=20)
        await eventually(lambda: view.connected and set(view.desired.live) == {"blog", "shop"}, within=20)


async def test_a_value_that_was_never_good_is_not_known_to_be_gone(store) -> None:
    """It is told as unread until it is good or deleted; of an edge, what was known before the start stands in."""
    later = b'{"schema":[9,0]}'
    for bucket in (store.hosts, store.live, store.edges):
        await bucket.put("one.test", later)
    iad = EdgeRecord("iad", "IAD", ("192.0.2.1",))
    await store.edges.put("iad", later)
    await store.fleet.put("dns", later)
    async with following(store, edges={"iad": iad, "gone": iad}) as (view, conditions):
        await eventually(lambda: view.complete)
        unread = {bucket: view.unread(bucket) for bucket in ("hosts", "live", "edges", "fleet", "releases")}
        assert unread == {
            **{bucket: {"one.test"} for bucket in ("hosts", "live", "edges")}, "fleet": {"dns"}, "releases": set(),
        }  # fmt: skip
        assert view.edges == {"iad": iad}
        assert sum("no good one is known from before" in each for each in conditions.sentences) == 4
        await store.hosts.put("one.test", HostClaim("one.test", "blog", 1).to_bytes())
        await store.live.delete("one.test")
        await eventually(lambda: not view.unread("hosts") and not view.unread("live"))
        assert view.owners == {"one.test": "blog"}
        await store.hosts.put("one.test", later)
        kept = "hosts/one.test in the store cannot be used, its last good value stays"
        await eventually(lambda: any(kept in each for each in conditions.sentences))
        assert view.unread("hosts") == frozenset()
        await store.edges.delete("iad")
        await eventually(lambda: view.edges == {})
