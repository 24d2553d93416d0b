"""What must vanish vanishes: out of every release, tree and blob store of the fleet."""

import asyncio
import gzip
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import brotli
import pytest

from edgeward.core.digest import digest_of
from moves import generations, switches, watched_move
from publishing import write_site

SECRET = "the-password-is-" + "correct-horse-battery-staple-" * 3
PAGE = "<!doctype html>" + f"<p>{SECRET}</p>" * 30


@pytest.fixture
def site(tmp_path) -> Path:
    """A site with a leak in two places, one of them large enough to be compressed."""
    return write_site(
        tmp_path / "site",
        {
            "edgeward.toml": '[site]\nname = "www"\nhostnames = ["www.example.test"]\n',
            "index.html": "<!doctype html>front",
            "private/keys.html": PAGE,
            "copy-of-keys.html": PAGE,
            "note.txt": f"short: {SECRET}",
        },
    )


def _files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below `folder` with its bytes."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path, path.read_bytes()
            except FileNotFoundError:
                continue


def _holding(folder: Path, needles: Iterable[bytes]) -> list[str]:
    """Return every file below `folder` that holds one of the bytes."""
    wanted = tuple(needles)
    return [str(path) for path, data in _files(folder) if any(needle in data for needle in wanted)]


def _named(folder: Path, digests: Iterable[str]) -> list[str]:
    """Return every file below `folder` whose name has one of the digests in it."""
    wanted = tuple(digests)
    return [str(path) for path, _ in _files(folder) if any(digest in path.name for digest in wanted)]


def _blobs(folder: Path) -> dict[str, bytes]:
    """Return every blob that is a file below `folder`, by digest."""
    return {path.name: data for path, data in _files(folder) if digest_of(data) == path.name}


async def test_a_leaked_file_is_gone_from_the_whole_fleet(fleet, ask, site):
    """404 everywhere when the command ends; by then its bytes, plain, gzip and brotli, are in no file of the fleet, and
    no rollback brings them back.
    """
    folder = fleet.first.folder.parent
    for number in range(3):
        (site / "index.html").write_text(f"<!doctype html>front {number}")
        assert (await ask("push", site)).code == 0
    blobs = _blobs(folder)
    purged = await ask("purge", "www", "/private/keys.html", "/note.txt", "--yes", "--json")
    assert purged.code == 0, purged.err
    result = json.loads(purged.out)
    assert sorted(result["edges"]) == sorted(edge.name for edge in fleet)
    assert result["late"] == []
    assert len(result["digests"]) == 4, "two contents, and gzip and brotli of the larger one"
    needles = {SECRET.encode(), *(blobs[digest] for digest in result["digests"])}
    found = await asyncio.to_thread(_holding, folder, needles)
    assert found == []
    assert _named(folder, result["digests"]) == []
    assert set(result["taken_out"]) == {"/private/keys.html", "/copy-of-keys.html", "/note.txt"}
    for edge in fleet:
        for path in ("/private/keys", "/private/keys.html", "/copy-of-keys", "/note.txt"):
            assert (await edge.get(path)).status == 404, (edge.name, path)
        assert (await edge.get("/")).body == b"<!doctype html>front 2"
    back = await ask("rollback", "www")
    assert back.code == 0, back.err
    answers = await asyncio.gather(*(edge.get("/private/keys") for edge in fleet))
    assert {answer.status for answer in answers} == {404}
    assert {(await edge.get("/")).body for edge in fleet} == {b"<!doctype html>front 1"}
    assert _holding(folder, needles) == []


async def test_the_bytes_can_be_found_before(fleet, ask, site):
    """What the test above looks for is there until the purge: each of the blobs in the store's files and on an edge."""
    assert (await ask("push", site)).code == 0
    folder = fleet.first.folder.parent
    leaked = [data for data in _blobs(folder).values() if SECRET.encode() in data or SECRET.encode() in _plain(data)]
    assert len(leaked) == 4
    for data in leaked:
        names = _holding(folder, [data])
        assert any("jetstream" in name for name in names), names
        assert any("jetstream" not in name for name in names), names


async def test_a_leaked_file_is_404_with_one_switch(fleet, ask, site):
    """From the order in the store to 404 on an edge its nginx is reloaded once, as for a push; the second reload lets
    go of the files that are gone from the disk, and is what the command waits for. The times are printed.
    """
    paths = ("/private/keys", "/private/keys.html", "/copy-of-keys", "/note.txt")

    async def gone(edge) -> None:
        assert {(await edge.get(path)).status for path in paths} == {404}, edge.name

    assert (await ask("push", site)).code == 0
    (site / "index.html").write_text("<!doctype html>another front")
    async with fleet.store() as store, store.purges.watch() as orders:
        async with watched_move(store, fleet, "www") as pushed:
            assert (await ask("push", site)).code == 0
        before = await generations(fleet)
        ordered = asyncio.create_task(_first_order(orders))
        async with watched_move(store, fleet, "www", gone) as purged:
            ran = await ask("purge", "www", "/private/keys.html", "/note.txt", "--yes", "--json")
            assert ran.code == 0, ran.err
        lag = purged.began - await ordered
    result = json.loads(ran.out)
    for edge in fleet:
        (switch,) = [each for each in switches(edge, "www") if each.move == "purge"]
        assert switch.generation == before[edge.name] + 1, edge.name
        assert switch.release == result["moved"]["release"][:12]
        await gone(edge)
    assert await generations(fleet) == {name: number + 2 for name, number in before.items()}
    print(f"one switch of a push: {pushed}")
    print(
        f"a purge, from the order to the pointer {lag:.2f} s, then to 404: {purged}; {result['seconds']:.2f} s in all"
    )


async def _first_order(orders) -> float:
    while not orders.state:
        await orders.changed()
    return time.monotonic()


def _plain(data: bytes) -> bytes:
    """Return what gzip or brotli bytes say, b"" if they are neither."""
    for decompress, error in ((gzip.decompress, (OSError, EOFError)), (brotli.decompress, brotli.error)):
        with suppress(error):
            return decompress(data)
    return b""


async def test_purged_bytes_are_not_pushed_again_by_accident(fleet, ask, site):
    """The next push of the same folder is refused and names the file; --allow-purged is the way past."""
    assert (await ask("push", site)).code == 0
    assert (await ask("purge", "www", "/nothing.txt", "--yes")).code == 6
    assert (await ask("purge", "www", "/note.txt")).code == 2, "nobody agreed"
    assert (await fleet.first.get("/note.txt")).status == 200
    assert (await ask("purge", "www", "/note.txt", "--yes")).code == 0
    again = await ask("push", site)
    assert again.code == 2
    assert "note.txt" in again.err
    assert "--allow-purged" in again.err
    meant = await ask("push", site, "--allow-purged")
    assert meant.code == 0, meant.err
    assert (await fleet.first.get("/note.txt")).status == 200
