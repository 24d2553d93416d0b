"""What must vanish vanishes: out of every release, tree and blob store of the fleet."""

import asyncio
import gzip
import json
import os
import stat
from pathlib import Path

import pytest

from publishing import write_site
from waiting import eventually

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


def _holding(folder: Path, needle: bytes) -> list[str]:
    """Return every file below `folder` that holds the bytes, plain or compressed with gzip."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                if not stat.S_ISREG(path.lstat().st_mode):
                    continue
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            if needle in data or (data[:2] == b"\x1f\x8b" and needle in _inflated(data)):
                found.append(str(path))
    return found


def _inflated(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError):
        return b""


async def test_a_leaked_file_is_gone_from_the_whole_fleet(fleet, ask, site):
    """404 everywhere when the command ends, its bytes in no file of the fleet, and no rollback brings them back."""
    folder = fleet.first.folder.parent
    for number in range(3):
        (site / "index.html").write_text(f"<!doctype html>front {number}")
        assert (await ask("push", site)).code == 0
    assert _holding(folder, SECRET.encode())
    purged = await ask("purge", "www", "/private/keys.html", "/note.txt", "--yes", "--json")
    assert purged.code == 0, purged.err
    result = json.loads(purged.out)
    assert sorted(result["edges"]) == sorted(edge.name for edge in fleet)
    assert result["late"] == []
    assert set(result["taken_out"]) == {"/private/keys.html", "/copy-of-keys.html", "/note.txt"}
    for edge in fleet:
        for path in ("/private/keys", "/private/keys.html", "/copy-of-keys", "/note.txt"):
            assert (await edge.get(path)).status == 404, (edge.name, path)
        assert (await edge.get("/")).body == b"<!doctype html>front 2"
    await eventually(lambda: _holding(folder, SECRET.encode()) == [], what="the bytes to be in no file", within=15)
    back = await ask("rollback", "www")
    assert back.code == 0, back.err
    answers = await asyncio.gather(*(edge.get("/private/keys") for edge in fleet))
    assert {answer.status for answer in answers} == {404}
    assert {(await edge.get("/")).body for edge in fleet} == {b"<!doctype html>front 1"}
    assert _holding(folder, SECRET.encode()) == []


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
