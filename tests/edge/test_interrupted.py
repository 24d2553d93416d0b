"""What an agent that ended in the middle has left on the disk, and what becomes of it."""

import contextlib
from pathlib import Path

import pytest

from cuts import Cut, cut_after
from edge_parts import Parts, make_release
from edgeward.core.fleet import PurgeOrder
from edgeward.edge.holdings import Holdings
from edgeward.edge.takedown import take_down
from edgeward.errors import DiskError
from edgeward.serve import tree


def holding(folder: Path, data: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if data in path.read_bytes()]


async def test_a_purge_finds_what_an_interrupted_one_left(store, parts: Parts) -> None:
    """The agent is killed between the tree and its shared folders: the next one takes the bytes away all the same."""
    leaky = await make_release({"/index.html": "x", "/docs/leak.txt": "SECRET-BYTES"}).put(store)
    clean = await make_release({"/index.html": "y"}).put(store)
    await parts.stage(leaky)
    await parts.stage(clean)
    await parts.serve(clean)
    digests = (leaky.digest("/docs/leak.txt"),)
    order = PurgeOrder("k1", "blog", ("/docs/leak.txt",), digests, 1000, "ann", (leaky.record.release,))
    parts.disk.tree(leaky.key).rename(parts.disk.tree(leaky.key).with_name(f"{leaky.key[1]}.old"))
    again = Holdings(parts.disk, edge="fra")
    parts.holdings.staged.pop(leaky.key)
    await take_down(order, parts.holdings, tainted=frozenset(), created={})
    assert holding(parts.disk.path, b"SECRET-BYTES") == []
    again.load()
    assert leaky.key not in again.staged


async def test_a_purge_finds_what_a_failed_staging_left(store, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full before the tree had its name: the bytes in what it had made by then go too."""
    leaky = await make_release({"/index.html": "x", "/docs/leak.txt": "SECRET-BYTES"}).put(store)
    clean = await make_release({"/index.html": "y"}).put(store)
    await parts.stage(clean)
    await parts.serve(clean)

    def full(leads_to: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree, "_symlink", full)
    with pytest.raises(DiskError, match="No space"):
        await parts.stage(leaky)
    monkeypatch.undo()
    assert holding(parts.disk.path / "sites", b"SECRET-BYTES")
    digests = (leaky.digest("/docs/leak.txt"),)
    order = PurgeOrder("k1", "blog", ("/docs/leak.txt",), digests, 1000, "ann", (leaky.record.release,))
    await take_down(order, parts.holdings, tainted=frozenset(), created={})
    assert holding(parts.disk.path, b"SECRET-BYTES") == []


@pytest.mark.parametrize("after", range(0, 24, 3))
async def test_a_site_that_is_forgotten_half_way_comes_back_whole(store, parts: Parts, after: int) -> None:
    """The agent ends while a removed site's folder goes; the site is pushed again."""
    made = await make_release({"/index.html": "x", **{f"/docs/{i}.txt": "y" for i in range(5)}}).put(store)
    await parts.stage(made)
    with cut_after(after, below=parts.disk.path / "sites"):
        with contextlib.suppress(Cut):
            parts.disk.forget_site("blog")
    again = Holdings(parts.disk, edge="fra")
    again.load()
    parts.holdings.staged.clear()
    parts.holdings.staged.update(again.staged)
    await parts.stage(made)
    for entry in made.manifest.entries:
        parts.read(made, entry.path)
