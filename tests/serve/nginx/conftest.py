"""An nginx of a test's own, and what it takes to run one more on the same folder."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.sites import Shelf
from edgeward.serve.nginx.process import NginxEngine
from edgeward.serve.nginx.processes import find_master, workers_of
from edgeward.serve.nginx.settings import CONFIG, PID, NginxSettings

PORT = 8080


class Bench:
    """A folder with blobs and trees, and settings for an nginx on an address of its own."""

    def __init__(self, path: Path, address: str) -> None:
        self.path = path
        self.address = (address, PORT)
        self.shelf = Shelf(path)
        (path / "health.json").write_text("{}")
        self.settings = NginxSettings(
            folder=path / "nginx", listen=(f"{address}:{PORT}",), health=path / "health.json", workers=1
        )
        self._folders = {self.settings.folder}

    def engine(self, **changes: Any) -> NginxEngine:
        """Another engine on the folder, as an agent that starts again makes it."""
        self.settings = replace(self.settings, **changes)
        self._folders.add(self.settings.folder)
        return NginxEngine(self.settings)

    def master(self) -> int:
        """Pid of the running master."""
        found = find_master(self.settings.folder / PID, self.settings.folder / CONFIG)
        assert found is not None, "no master is running"
        return found.pid

    def workers(self, master: int) -> list[int]:
        """Pids of its workers, also when it is dead."""
        return [worker.pid for worker in workers_of(master, self.settings.folder)]

    def close(self) -> None:
        """End whatever is left."""
        for folder in self._folders:
            with contextlib.suppress(OSError, ValueError):
                master = int((folder / PID).read_text())
                pids = [worker.pid for worker in workers_of(master, folder)]
                if find_master(folder / PID, folder / CONFIG):
                    pids.insert(0, master)
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter (pytest's own is for its user alone)."""
    folder = Path(tempfile.mkdtemp(prefix="edgeward-nginx-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def bench(open_folder: Path, loopback_address: str) -> AsyncIterator[Bench]:
    """A bench whose processes are ended."""
    found = Bench(open_folder, loopback_address)
    yield found
    found.close()


@pytest.fixture
def benches(open_folder: Path, loopback_addresses: Callable[[], str]) -> Iterator[Callable[[str], Bench]]:
    """Benches below one folder, each with an address of its own."""
    made: list[Bench] = []

    def another(name: str) -> Bench:
        path = open_folder / name
        path.mkdir(parents=True)
        made.append(Bench(path, loopback_addresses()))
        return made[-1]

    yield another
    for bench in made:
        bench.close()
