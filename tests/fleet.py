"""A whole fleet on this machine: real `edgeward edge run` processes, each on a loopback address of its own.

    async with running_fleet(tmp_path, loopback_addresses, edges=3) as fleet:
        async with fleet.store() as store:
            await push(options, store)
        answer = await fleet["iad"].get("/", host="www.example.test")

The first edge carries the state server. Everything that was started is stopped when the context ends.
"""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeward.core.fleet import EdgeStatus
from edgeward.store.connection import Store, StoreAddress, open_store
from waiting import eventually

NAMES = ("fra", "iad", "syd", "sin", "gru", "nrt", "lhr", "jnb")
STORE_PORT = 4222
HTTP_PORT = 8080
METRICS_PORT = 9145
_START = 30.0
_STOP = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an edge answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class EdgeProcess:
    """One edge: its agent as a process of its own, and whatever that starts."""

    name: str
    address: str
    folder: Path
    wrapper: tuple[str, ...] = ()
    process: asyncio.subprocess.Process | None = None

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text(errors="replace")

    async def start(self) -> None:
        """Start the agent; returns at once."""
        with (self.folder / "agent.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.wrapper,
                sys.executable, "-W", "error", "-m", "edgeward", "edge", "run", "--config", str(self.config),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to the agent and return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(_STOP):
            return await self.process.wait()

    async def kill(self) -> None:
        """Kill the agent and its HTTP engine, as a power cut would (but for the disk's caches)."""
        list(self.engine_processes())  # remembers the session: workers without a master are known by it
        await self.stop(signal.SIGKILL)
        await eventually(lambda: not self._kill_engine(), what=f"the engine of {self.name} to be gone")

    def _kill_engine(self) -> bool:
        """Kill what there is of the engine; says whether there was anything."""
        found = list(self.engine_processes())
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)

    def engine_processes(self) -> Iterator[int]:
        """Yield nginx's master and workers: those whose master was started with a file in this edge's folder."""
        masters: set[int] = set()
        rows: list[tuple[int, int, str]] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                if "nginx" in line and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    rows.append((int(entry.name), session, line))
                    if str(self.data) in line:
                        masters.add(int(entry.name))
        recorded = self._recorded_sessions(masters)
        yield from (pid for pid, session, _ in rows if pid in masters or session in recorded)

    def _recorded_sessions(self, masters: set[int]) -> set[int]:
        """The engine's master leads its session; once it is dead its workers still belong to it."""
        file = self.folder / "engine.sessions"
        known = set(map(int, file.read_text().split())) if file.exists() else set()
        if masters - known:
            known |= masters
            file.write_text(" ".join(map(str, sorted(known))))
        return known

    async def get(
        self, path: str = "/", *, host: str = "www.example.test", method: str = "GET", headers: Mapping[str, str] = {}
    ) -> Answer:
        """Ask this edge over a fresh connection."""
        return await asyncio.to_thread(self._get, path, host, method, headers)

    def _get(self, path: str, host: str, method: str, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self.address, HTTP_PORT, timeout=10)
        try:
            connection.request(method, path, headers={"Host": host, **headers})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    async def health(self) -> dict[str, Any]:
        """What /.well-known/edgeward/health says."""
        answer = await self.get("/.well-known/edgeward/health", host="whoever.test")
        assert answer.status == 200, answer
        return dict(json.loads(answer.body))

    async def metrics(self) -> str:
        """The text of /metrics."""

        def ask() -> str:
            connection = http.client.HTTPConnection(self.address, METRICS_PORT, timeout=10)
            try:
                connection.request("GET", "/metrics")
                return connection.getresponse().read().decode()
            finally:
                connection.close()

        return await asyncio.to_thread(ask)


@dataclass
class Fleet:
    """Edges by name, the first of which carries the state server."""

    edges: dict[str, EdgeProcess]

    def __getitem__(self, name: str) -> EdgeProcess:
        return self.edges[name]

    def __iter__(self) -> Iterator[EdgeProcess]:
        return iter(self.edges.values())

    @property
    def first(self) -> EdgeProcess:
        return next(iter(self.edges.values()))

    @property
    def token_file(self) -> Path:
        return self.first.data / "state" / "token"

    @property
    def url(self) -> str:
        return f"nats://{self.first.address}:{STORE_PORT}"

    @property
    def address(self) -> StoreAddress:
        return StoreAddress(self.url, self.token_file.read_text().strip())

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """An open store, as a deployer has it."""
        async with open_store(self.address, name="test", deadline=15.0) as store:
            yield store

    async def statuses(self, store: Store) -> dict[str, EdgeStatus]:
        """What every reporting edge says."""
        found = await store.status.values()
        return {name: EdgeStatus.from_bytes(stored.value) for name, stored in found.items()}

    async def until_ready(self, *names: str, within: float = _START) -> None:
        """Wait until these edges (all, if none is named) say over HTTP that they are ready."""
        for edge in [self.edges[name] for name in names] or list(self):

            async def ready(edge: EdgeProcess = edge) -> bool:
                if edge.process is None or edge.process.returncode is not None:
                    raise RuntimeError(f"{edge.name} ended:\n{edge.log}")
                return bool((await edge.health())["ready"])

            try:
                await eventually(ready, within=within, what=f"edge {edge.name} to be ready", ignoring=(OSError,))
            except AssertionError as error:
                error.add_note(f"log of {edge.name}:\n{edge.log[-4000:]}")
                raise

    async def stop(self) -> None:
        """Stop every edge, the first (with the store) last, and make sure that nothing is left."""
        for edge in reversed(list(self)):
            if edge.process is not None:
                try:
                    await edge.stop()
                except TimeoutError:
                    await edge.kill()
            edge._kill_engine()


def prepare_fleet(
    folder: Path,
    addresses: Callable[[], str],
    *,
    edges: int = 3,
    engine: str = os.environ.get("EDGEWARD_TEST_ENGINE", "nginx"),
    limits: str = "",
    more: Mapping[str, str] | None = None,
) -> Fleet:
    """Write the settings of a fleet; nothing is started. more: further TOML by edge, for the top of its file.

    limits: lines for [limits] of every edge.
    """
    processes: dict[str, EdgeProcess] = {}
    for name in NAMES[:edges]:
        process = EdgeProcess(name, addresses(), folder / name)
        process.folder.mkdir(parents=True)
        processes[name] = process
    fleet = Fleet(processes)
    for edge in fleet:
        first = edge is fleet.first
        edge.config.write_text(
            f'name = "{edge.name}"\nlocation = "{edge.name.upper()}"\ndata = "{edge.data}"\n'
            f'addresses = ["{edge.address}"]\n{(more or {}).get(edge.name, "")}\n'
            f'[http]\nport = {HTTP_PORT}\nengine = "{engine}"\nworkers = 1\nold_workers_end = 5\n'
            f'[store]\nurl = "{fleet.url}"\ntoken_file = "{fleet.token_file}"\n'
            f'[limits]\ndisk_reserve = "16 MiB"\npoll = 1\nstale_after = 5\n{limits}\n'
            f'[metrics]\nlisten = "{edge.address}:{METRICS_PORT}"\n'
            + (f'[state]\nlisten = "{edge.address}"\nport = {STORE_PORT}\n' if first else "")
        )
    return fleet


@asynccontextmanager
async def running_fleet(
    folder: Path,
    addresses: Callable[[], str],
    *,
    edges: int = 3,
    engine: str = os.environ.get("EDGEWARD_TEST_ENGINE", "nginx"),
    limits: str = "",
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Fleet]:
    """A fleet whose edges are all ready. addresses: the fixture `loopback_addresses`."""
    async with started(prepare_fleet(folder, addresses, edges=edges, engine=engine, limits=limits, more=more)) as fleet:
        yield fleet


@asynccontextmanager
async def started(fleet: Fleet) -> AsyncIterator[Fleet]:
    """Start a fleet that was prepared; all of it is ready when the context is entered, and gone when it is left."""
    try:
        await fleet.first.start()
        await eventually(lambda: _listens(fleet.first), within=_START, what="the state server to listen")
        for edge in list(fleet)[1:]:
            await edge.start()
        await fleet.until_ready()
        yield fleet
    finally:
        await fleet.stop()


def _listens(edge: EdgeProcess) -> bool:
    if edge.process is None or edge.process.returncode is not None:
        raise RuntimeError(f"{edge.name} ended:\n{edge.log}")
    try:
        with socket.create_connection((edge.address, STORE_PORT), timeout=1):
            return True
    except OSError:
        return False
