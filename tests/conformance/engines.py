"""The engines that the conformance tests run on, each behind the same few calls.

To add an engine: a function in ENGINES that takes a folder of its own and (address, port) and returns a
`serve.engine.Engine`. Everything else is the same for all.
"""

import asyncio
import os
import random
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeward.serve.engine import Engine, ServedView
from edgeward.serve.nginx.process import NginxEngine
from edgeward.serve.nginx.settings import NginxSettings
from edgeward.serve.preview import PreviewEngine

EDGE = "fra"
HEALTH = b'{"edge":"fra","note":"as the agent wrote it"}'


def _preview(folder: Path, address: str, port: int) -> Engine:
    return PreviewEngine([address], port, health=folder / "health.json", challenges=folder / "challenges")


def _nginx(folder: Path, address: str, port: int) -> Engine:
    listen = (f"[{address}]:{port}" if ":" in address else f"{address}:{port}",)
    paths = {"health": folder / "health.json", "challenges": folder / "challenges"}
    return NginxEngine(NginxSettings(folder=folder / "nginx", listen=listen, workers=1, **paths))


ENGINES: dict[str, Callable[[Path, str, int], Engine]] = {"nginx": _nginx, "preview": _preview}


class Running:
    """An engine at work in an event loop of its own. address: where it answers. folder: open to its workers."""

    def __init__(self, name: str, folder: Path, address: tuple[str, int]) -> None:
        self.name = name
        self.folder = folder
        self.address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"{name} engine")
        self._thread.start()
        (folder / "health.json").write_bytes(HEALTH)
        self.engine = ENGINES[name](folder, *address)

    def run(self, work: Coroutine[Any, Any, Any], *, within: float = 60.0) -> Any:
        """Run a coroutine where the engine lives and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within)

    def activate(self, view: ServedView) -> int:
        """Serve a view: from nothing the first time, by a switch later."""
        if self.engine.generation == 0:
            return self.run(self.engine.start(view))
        return self.run(self.engine.activate(view))

    def close(self) -> None:
        """End engine, loop and thread."""
        try:
            self.run(self.engine.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()


@contextmanager
def claimed_address() -> Iterator[str]:
    """A loopback address that no other test run has, for longer than one test: see CLAIM_PORT in the root conftest."""
    source = random.Random()
    while True:
        address = f"127.{source.randint(64, 250)}.{source.randint(0, 255)}.{source.randint(1, 254)}"
        with socket.socket() as claim:
            try:
                claim.bind((address, 61999))
            except OSError:
                continue
            yield address
            return


@contextmanager
def running(name: str) -> Iterator[Running]:
    """An engine, ended at the end, with a folder that workers of another user can read."""
    folder = Path(tempfile.mkdtemp(prefix=f"edgeward-{name}-", dir=os.environ.get("TMPDIR")))
    folder.chmod(0o755)
    try:
        with claimed_address() as address:
            engine = Running(name, folder, (address, 8080))
            try:
                yield engine
            finally:
                engine.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
