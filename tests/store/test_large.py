"""Blobs that are larger than memory should be."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgeward.store.server import ServerSettings, StateServer

GIB = 1024**3

CLIENT = """
    import asyncio, hashlib, json, resource, sys
    from pathlib import Path
    from edgeward.core.digest import Digest
    from edgeward.store.blobs import BlobSource
    from edgeward.store.connection import StoreAddress, open_store

    async def main(url, file, scratch):
        with file.open("rb") as opened:
            digest = Digest(hashlib.file_digest(opened, "sha256").hexdigest())
        size = file.stat().st_size
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with open_store(StoreAddress(url), name="large") as store:
            await store.blobs.put([BlobSource(digest, size, file)])
            present = await store.blobs.present({digest: size})
            found = [(name, path.stat().st_size) async for name, path in store.blobs.fetch({digest: size}, scratch)]
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = {"present": list(present) == [digest], "found": found == [(digest, size)], "grew": after - before}
        print(json.dumps(answer))

    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
"""


async def grown(settings: ServerSettings, tmp_path: Path, size: int) -> dict:
    file, scratch = tmp_path / "large.bin", tmp_path / "scratch"
    scratch.mkdir()
    with file.open("wb") as opened:
        for start in range(0, size, 64 * 1024 * 1024):
            opened.seek(start)
            opened.write(os.urandom(65_536))
        opened.truncate(size)
    bare = ServerSettings(settings.data, settings.listen, 0)
    async with StateServer(bare) as server:
        command = [sys.executable, "-c", textwrap.dedent(CLIENT), server.address.url, str(file), str(scratch)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        status = Path(f"/proc/{server.pid}/status").read_text()
    result = json.loads(done.stdout)
    result["server"] = int(status.split("VmHWM:")[1].split()[0])
    return result


async def test_a_large_blob_does_not_sit_in_memory(settings: ServerSettings, tmp_path: Path):
    """96 MiB go in and out, and the client grows by a fraction of that (KiB)."""
    result = await grown(settings, tmp_path, 96 * 1024 * 1024)
    assert result["present"]
    assert result["found"]
    assert result["grew"] < 48 * 1024


@pytest.mark.long
async def test_the_largest_file_that_a_site_may_have_does_not_sit_in_memory(settings: ServerSettings, tmp_path: Path):
    """2 GiB go in and out; neither the client nor the server grows with it (KiB)."""
    result = await grown(settings, tmp_path, 2 * GIB)
    assert result["present"]
    assert result["found"]
    assert result["grew"] < 60 * 1024
    assert result["server"] < 400 * 1024
