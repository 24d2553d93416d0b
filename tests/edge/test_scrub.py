"""The scrub: what rots is found, takes the edge out, and is mended from the store."""

import asyncio
import shutil

import pytest

from edge_parts import MODIFIED, Parts, make_release
from edgeward.edge.conditions import Conditions
from edgeward.edge.journal import Journal
from edgeward.edge.scrub import Scrub
from edgeward.serve.tree import place
from edgeward.store.connection import StoreAddress, open_store
from waiting import eventually

PAGES = {"/index.html": "<p>hello</p>" * 100, "/small.txt": "x", "/assets/app.3f9a1c7e.js": "1;" * 200}


def flip(file) -> None:
    data = bytearray(file.read_bytes())
    data[0] ^= 0xFF
    with file.open("r+b") as opened:
        opened.write(data)


class Scrubbing:
    def __init__(self, parts: Parts, store) -> None:
        self.conditions = Conditions()
        self.refreshed = 0
        journal = Journal(store, edge="fra", clock=parts.clock)
        self.scrub = Scrub(
            parts.holdings,
            parts.stager,
            self.conditions,
            rate=1 << 40,
            reachable=lambda: store.connected,
            refresh=self._refresh,
            journal=journal,
            clock=parts.clock,
        )

    async def _refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
async def made(store, parts: Parts):
    release = await make_release(PAGES).put(store)
    await parts.stage(release)
    await parts.serve(release)
    return release


async def test_a_sound_disk_is_left_alone(store, parts: Parts, made) -> None:
    """A round over sound blobs finds nothing and counts them all."""
    scrubbing = Scrubbing(parts, store)
    assert await scrubbing.scrub.once()
    progress = scrubbing.scrub.progress
    assert (progress.done, progress.total, progress.rounds, progress.found) == (5, 5, 1, 0)
    assert scrubbing.refreshed == 0


async def test_the_first_blobs_of_an_edge_are_counted_soon(store, parts: Parts) -> None:
    """An edge that was empty does not wait for a whole round to say what it holds."""
    scrub = Scrubbing(parts, store).scrub
    running = asyncio.create_task(scrub.run())
    await eventually(lambda: scrub.progress.rounds == 1)
    await parts.stage(await make_release(PAGES).put(store))
    await eventually(lambda: scrub.progress.total == 5, within=15.0)
    running.cancel()


@pytest.mark.parametrize("path", ["/index.html", "/assets/app.3f9a1c7e.js"])
async def test_what_rots_is_mended_everywhere(store, parts: Parts, made, path: str) -> None:
    """A rotten inode is found, reported as an event, fetched again; tree and kept folder get the new one with the old
    time, and the HTTP engine is made to open it anew.
    """
    target = parts.disk.tree(made.key) / f"identity{path}"
    flip(target)
    scrubbing = Scrubbing(parts, store)
    await scrubbing.scrub.once()
    assert target.read_text() == PAGES[path]
    assert target.stat().st_mtime == MODIFIED
    kept = parts.disk.kept("blog").path / f"identity{path}"
    assert not kept.exists() or kept.read_text() == PAGES[path]
    assert scrubbing.refreshed >= 1
    assert scrubbing.scrub.rotten == {}
    assert scrubbing.conditions.sentences == ()
    assert any("blob" in event.text for event in await store.events.recent())
    await scrubbing.scrub.once()
    assert scrubbing.scrub.progress.mended == scrubbing.scrub.progress.found


async def test_without_the_store_the_edge_stays_out(store, server, parts_at, loopback_address: str) -> None:
    """Rot that cannot be mended keeps the edge out, with a sentence, until it can."""
    parts = parts_at(store)
    made = await make_release(PAGES).put(store)
    await parts.stage(made)
    flip(parts.disk.tree(made.key) / "identity/index.html")
    await store.blobs.delete([made.digest("/index.html")])
    scrubbing = Scrubbing(parts, store)
    await scrubbing.scrub.once()
    assert set(scrubbing.scrub.rotten) == {made.digest("/index.html")}
    (sentence,) = scrubbing.conditions.sentences
    assert "rotted" in sentence
    assert "cannot be fetched again" in sentence
    await made.put(store)
    await scrubbing.scrub.once()
    assert scrubbing.scrub.rotten == {}
    assert scrubbing.conditions.sentences == ()
    assert parts.read(made, "/index.html") == PAGES["/index.html"]


async def test_a_file_that_somebody_deleted_is_put_back(store, parts: Parts, made) -> None:
    """A missing blob is never a 404 for long: the tree is compared with the manifest twice a minute."""
    (parts.disk.tree(made.key) / "identity/index.html").unlink()
    (parts.disk.tree(made.key) / "gzip/index.html").unlink()
    scrubbing = Scrubbing(parts, store)
    await scrubbing.scrub.check_trees()
    assert parts.read(made, "/index.html") == PAGES["/index.html"]
    assert (parts.disk.tree(made.key) / "gzip/index.html").exists()
    assert scrubbing.scrub.progress.mended == 2


@pytest.mark.parametrize("gone", ["all of it", "its files"])
async def test_nothing_is_put_back_into_a_tree_that_is_gone(store, parts: Parts, made, gone: str) -> None:
    """It is staged anew as a whole: where half of a tree is, the rest of it would be a 404."""
    root = parts.disk.tree(made.key)
    if gone == "all of it":
        shutil.rmtree(root.parent)
    else:
        for name in ("identity", "vary", "br", "gzip"):
            shutil.rmtree((root / name).resolve())
    scrubbing = Scrubbing(parts, store)
    await scrubbing.scrub.check_trees()
    await parts.holdings.mend(frozenset({made.digest("/index.html")}))
    place(parts.disk.blobs, made.manifest.by_path["/index.html"].identity, MODIFIED, root.with_name("x") / "identity/a")
    assert not (root / "identity/index.html").exists()
    assert not root.with_name("x").exists()
    assert await parts.holdings.drop_lost() == (made.key,)
    await parts.stage(made)
    assert parts.read(made, "/index.html") == PAGES["/index.html"]


async def test_a_file_and_its_blob_gone_are_fetched(store, parts: Parts, made) -> None:
    """Tree, inode and blob all deleted: everything comes back from the store."""
    parts.disk.blobs.remove(made.digest("/small.txt"))
    (parts.disk.tree(made.key) / "identity/small.txt").unlink()
    await Scrubbing(parts, store).scrub.check_trees()
    assert parts.read(made, "/small.txt") == "x"
    assert parts.disk.blobs.has(made.digest("/small.txt"))


async def test_a_folder_of_inodes_that_cannot_be_listed_ends_no_scrub(store, parts: Parts, made) -> None:
    """The round goes on: what is there of the blobs is looked at one by one."""
    digest = made.digest("/index.html")
    folder = parts.disk.blobs.path / "inodes" / digest[:2]
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    scrubbing = Scrubbing(parts, store)
    assert await scrubbing.scrub.once()
    assert scrubbing.scrub.progress.rounds == 1


async def test_rot_that_nothing_needs_is_thrown_away(store, parts: Parts, made) -> None:
    """A rotten blob of no release is removed, and nobody is told that the edge is out."""
    stray = make_release({"/index.html": "another"})
    temp = parts.disk.scratch / "stray"
    temp.write_text("another")
    parts.disk.blobs.adopt(stray.digest("/index.html"), temp)
    flip(parts.disk.blobs.file(stray.digest("/index.html")))
    scrubbing = Scrubbing(parts, store)
    await scrubbing.scrub.once()
    assert not parts.disk.blobs.has(stray.digest("/index.html"))
    assert scrubbing.scrub.rotten == {}


async def test_the_scrub_does_not_ask_a_store_that_is_away_for_ever(parts_at, store, loopback_address: str) -> None:
    """With no store at all the scrub still ends its round."""
    made = await make_release(PAGES).put(store)
    async with open_store(StoreAddress(f"nats://{loopback_address}:1"), name="nobody", wait=False) as nobody:
        staged = parts_at(store)
        await staged.stage(made)
        flip(staged.disk.tree(made.key) / "identity/index.html")
        staged.stager._source = nobody.blobs
        scrubbing = Scrubbing(staged, nobody)
        await scrubbing.scrub.once()
        assert scrubbing.scrub.rotten


async def test_a_manifest_that_rots_is_put_back(store, parts: Parts, made) -> None:
    """The manifest of a served release is written again from memory; that of another is staged anew."""
    other = await make_release({"/index.html": "other"}).put(store)
    await parts.stage(other)
    await parts.serve(other)
    await parts.serve(made)
    for each in (made, other):
        flip(parts.disk.path / "manifests" / each.key[1])
    await Scrubbing(parts, store).scrub.check_trees()
    assert parts.disk.manifest(made.key[1]) == made.manifest
    assert set(parts.holdings.staged) == {made.key}
    await parts.stage(other)
    assert parts.disk.manifest(other.key[1]) == other.manifest
