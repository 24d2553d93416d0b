"""Purge and sweep on one edge's disk: what must go goes, what somebody needs stays."""

from dataclasses import replace

from edge_parts import Clock, Parts, make_release
from edgeward.core.fleet import Pointer, PurgeOrder
from edgeward.core.plan import Desired
from edgeward.edge.agent import forbidden_digests
from edgeward.edge.conditions import Conditions
from edgeward.edge.gather import StoreView
from edgeward.edge.sweep import Sweep
from edgeward.edge.takedown import take_down

LEAK = "the secret " * 50
PAGES = {"/index.html": "<p>hello</p>" * 100}


def order(made, *paths: str, at: int = 1000) -> PurgeOrder:
    digests = tuple(v.digest for path in paths for v in made.manifest.by_path[path].variants)
    return PurgeOrder("k1", made.key[0], paths, digests, at, "ann")


def bytes_on_disk(parts: Parts, text: str) -> list[str]:
    """Every file below the edge's folder that holds the text."""
    needle = text.encode()
    return [str(path) for path in parts.disk.path.rglob("*") if path.is_file() and needle in path.read_bytes()]


async def test_a_purge_leaves_no_copy(store, parts: Parts) -> None:
    """Older trees, kept links, inodes, blobs, manifests: nothing on the disk holds the bytes any more."""
    asset = "/assets/leak.3f9a1c7e.js"
    leaky = await make_release({**PAGES, "/leak.txt": LEAK, asset: LEAK + ";"}).put(store)
    clean = await make_release(PAGES, created=2000).put(store)
    for made in (leaky, clean):
        await parts.stage(made)
        await parts.serve(made)
    assert len(bytes_on_disk(parts, LEAK)) >= 6
    forbidden = order(leaky, "/leak.txt", asset)
    tainted = await parts.holdings.tainted(forbidden, {leaky.key: 100, clean.key: 2000})
    assert tainted == {leaky.key}
    await take_down(forbidden, parts.holdings, tainted=tainted, created={clean.key: 2000})
    assert bytes_on_disk(parts, LEAK) == []
    assert set(parts.holdings.staged) == {clean.key}
    assert not parts.disk.has_manifest(leaky.key[1])
    assert parts.read(clean, "/index.html") == PAGES["/index.html"]
    await parts.holdings.keep("blog")
    assert bytes_on_disk(parts, LEAK) == []
    await take_down(forbidden, parts.holdings, tainted=frozenset(), created={})  # again: nothing to do, no error


async def test_a_release_that_an_order_names_is_tainted_whatever_the_clocks_say(store, parts: Parts) -> None:
    """The pusher's clock was ahead of the purger's: the bytes go all the same, and are not fetched again."""
    leaky = await make_release({**PAGES, "/leak.txt": LEAK}, created=9000).put(store)
    clean = await make_release(PAGES, created=9001).put(store)
    for made in (leaky, clean):
        await parts.stage(made)
    await parts.serve(clean)
    named = replace(order(leaky, "/leak.txt", at=1000), releases=(leaky.key[1],))
    created = {leaky.key: 9000, clean.key: 9001}
    assert await parts.holdings.tainted(named, created) == {leaky.key}
    desired = Desired(releases={leaky.key: leaky.record}, orders={"k1": named})
    assert forbidden_digests(leaky.record, desired) == frozenset(named.digests)
    await take_down(named, parts.holdings, tainted=frozenset({leaky.key}), created=created)
    assert bytes_on_disk(parts, LEAK) == []
    assert not parts.disk.has_manifest(leaky.key[1])


async def test_another_site_keeps_its_bytes(store, parts: Parts) -> None:
    """Bytes that another site publishes stay for that site and go from the one that was purged."""
    leaky = await make_release({**PAGES, "/leak.txt": LEAK}).put(store)
    other = await make_release({"/index.html": "shop", "/ours.txt": LEAK}, site="shop").put(store)
    clean = await make_release(PAGES, created=2000).put(store)
    for made in (leaky, other, clean):
        await parts.stage(made)
    await parts.serve(clean, other)
    await take_down(order(leaky, "/leak.txt"), parts.holdings, tainted=frozenset({leaky.key}), created={})
    assert parts.read(other, "/ours.txt") == LEAK
    parts.disk.blobs.check(leaky.digest("/leak.txt"))
    assert not parts.disk.tree(leaky.key).exists()


async def test_a_younger_release_may_hold_the_bytes_again(store, parts: Parts) -> None:
    """What was published again on purpose after the order is not tainted."""
    again = await make_release({**PAGES, "/leak.txt": LEAK}, created=2000).put(store)
    await parts.stage(again)
    assert await parts.holdings.tainted(order(again, "/leak.txt", at=1000), {again.key: 2000}) == frozenset()
    await take_down(order(again, "/leak.txt"), parts.holdings, tainted=frozenset(), created={again.key: 2000})
    assert parts.read(again, "/leak.txt") == LEAK
    assert parts.disk.blobs.has(again.digest("/leak.txt"))


class View(StoreView):
    """What the store says, as a test wants it: the sweep asks for nothing else."""

    def __init__(self, clock: Clock, *releases, connected: bool = True, pointers: bool = True) -> None:
        super().__init__(Conditions(), clock=clock)
        self._values["releases"] = {made.key: made.record for made in releases}
        if pointers:
            self._values["live"] = {
                made.key[0]: Pointer(made.key[0], made.key[1], None, 1, "ann", "push") for made in releases
            }
        self._replayed = set(self._values)
        self._is_connected = connected

    @property
    def connected(self) -> bool:
        return self._is_connected


async def test_blobs_that_nothing_needs_go_after_the_grace(store, parts: Parts) -> None:
    """A release that the fleet no longer keeps: its blobs stay for the grace period, then go; retained ones stay."""
    made_of = [make_release({"/index.html": text * 50}) for text in ("old", "retained", "live")]
    old, retained, live = [await made.put(store) for made in made_of]
    for made in (old, retained, live):
        await parts.stage(made)
    await parts.serve(live)
    for made in (old, retained):
        await parts.holdings.unstage(made.key)
    sweep = Sweep(parts.holdings, View(parts.clock, retained, live), grace=100, clock=parts.clock)
    assert await sweep.once() == 0
    parts.clock.now += 99
    assert await sweep.once() == 0
    parts.clock.now += 1
    assert await sweep.once() == 2  # identity and gzip
    assert not parts.disk.blobs.has(old.digest("/index.html"))
    assert parts.disk.blobs.has(retained.digest("/index.html"))
    assert parts.read(live, "/index.html") == "live" * 50
    parts.clock.now += 1000
    assert await sweep.once() == 0


async def test_the_sweep_waits_for_what_a_staging_counts_on(store, parts: Parts) -> None:
    """Pinned blobs are not swept, however long nothing else has needed them."""
    old, live = await make_release({"/index.html": "old"}).put(store), await make_release(PAGES).put(store)
    for made in (old, live):
        await parts.stage(made)
    await parts.serve(live)
    await parts.holdings.unstage(old.key)
    sweep = Sweep(parts.holdings, View(parts.clock, live), grace=0, clock=parts.clock)
    async with parts.holdings.pinned(lambda: {old.digest("/index.html")}):
        assert await sweep.once() == 0
    assert await sweep.once() == 1


async def test_the_sweep_decides_nothing_in_the_dark(store, parts: Parts) -> None:
    """No store, or a store that has lost its pointers: nothing is deleted."""
    old, live = await make_release({"/index.html": "old"}).put(store), await make_release(PAGES).put(store)
    for made in (old, live):
        await parts.stage(made)
    await parts.serve(live)
    await parts.holdings.unstage(old.key)
    for view in (View(parts.clock, live, connected=False), View(parts.clock, pointers=False)):
        assert await Sweep(parts.holdings, view, grace=0, clock=parts.clock).once() == 0
    assert parts.disk.blobs.has(old.digest("/index.html"))
