"""The processes of `edgeward demo`: real `edgeward edge run` programs, started, watched, and ended without a trace."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.cli.demo_plan import DemoEdge, DemoPlan, edge_toml
from edgeward.errors import DiskError, ServeError

STOP_SECONDS = 20.0
"""How long an edge may take to end after SIGTERM, until it is killed."""

RESTART_SECONDS = 5.0
"""How long an edge that ended by itself stays away, so that people can see what that looks like."""

QUICK_ENDS = 3
"""An edge that ends this often within a minute is not started again."""


@dataclass
class DemoFleet:
    """The running demo. say: called with a sentence when something happens that nobody asked for."""

    plan: DemoPlan
    say: Callable[[str], None]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def pid(self, edge: DemoEdge) -> int | None:
        """Return the process id of an edge's agent, None while it does not run."""
        process = self.processes.get(edge.name)
        return process.pid if process is not None and process.returncode is None else None

    def check_started(self) -> None:
        """Raise ServeError if a part of the fleet has ended while it was starting."""
        for edge in self.plan.edges:
            process = self.processes.get(edge.name)
            if process is not None and process.returncode is not None:
                raise _ended(edge, process.returncode)

    async def keep(self) -> None:
        """Start edges again that end, until cancelled. Raises ServeError when one does not stay up."""
        async with asyncio.TaskGroup() as group:
            for edge in self.plan.edges:
                group.create_task(self._keep(edge))

    async def _keep(self, edge: DemoEdge) -> None:
        ends: list[float] = []
        while True:
            code = await self.processes[edge.name].wait()
            ends = [*[end for end in ends if end > time.monotonic() - 60], time.monotonic()]
            if len(ends) >= QUICK_ENDS:
                raise _ended(edge, code)
            self.say(f"edge {edge.name} ended ({_how(code)}); it starts again in {RESTART_SECONDS:.0f} s")
            await asyncio.sleep(RESTART_SECONDS)
            self.processes[edge.name] = await _start(edge)
            self.say(f"edge {edge.name} starts again: it serves what it has and catches up")


@asynccontextmanager
async def demo_fleet(plan: DemoPlan, *, say: Callable[[str], None]) -> AsyncIterator[DemoFleet]:
    """Run the fleet of the plan for the time of the context; when it is left, nothing of it runs any more."""
    fleet = DemoFleet(plan, say)
    try:
        for edge in plan.edges:
            _write_config(plan, edge)
            fleet.processes[edge.name] = await _start(edge)
        yield fleet
    finally:
        # The state server goes last: the other edges end in peace.
        first, *others = plan.edges
        await asyncio.gather(*(_stop(fleet.processes.get(edge.name)) for edge in others))
        await _stop(fleet.processes.get(first.name))
        await _end_left_over(plan)


def _write_config(plan: DemoPlan, edge: DemoEdge) -> None:
    from edgeward.edge.daemon import make_token

    # The token is there before the first edge asks for it.
    make_token(plan.token_file)
    try:
        edge.folder.mkdir(parents=True, exist_ok=True)
        edge.config.write_text(edge_toml(plan, edge), "utf-8")
    except OSError as error:
        raise DiskError(f"the demo cannot write to {edge.folder}: {error.strerror}", path=str(edge.folder)) from error


async def _start(edge: DemoEdge) -> asyncio.subprocess.Process:
    """Start an edge in a session of its own: Ctrl-C on the terminal is for the demo, which ends its edges in order."""
    with edge.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "edgeward", "edge", "run", "--config", str(edge.config), "--end-with", str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


async def _stop(process: asyncio.subprocess.Process | None) -> None:
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _end_left_over(plan: DemoPlan) -> None:
    """End what still runs of this demo: nginx outlives its agent by design, and an agent may have been killed."""
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        pids = left_over(plan)
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while pids and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            pids = left_over(plan)
        if not pids:
            return


def left_over(plan: DemoPlan) -> tuple[int, ...]:
    """Return the ids of running processes whose command line names a folder of this demo (Linux; else none)."""
    folders = [os.fsencode(str(edge.folder) + "/") for edge in plan.edges]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid == os.getpid():
            continue
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if any(folder in line for folder in folders):
                found.append(pid)
    return tuple(found)


def _ended(edge: DemoEdge, code: int) -> ServeError:
    """Return what to say of an edge that did not stay up: its own last words."""
    said = last_words(edge.log)
    return ServeError(f"edge {edge.name} ended ({_how(code)}): {said}", hint=f"all it said is in {edge.log}")


def last_words(log: Path) -> str:
    """Return the last error of an agent's log, else its last line."""
    try:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else lines[-1].strip() if lines else "it said nothing"


def complaints(edge: DemoEdge) -> str:
    """Return what an edge has warned of, each thing once, in one sentence; "" for nothing."""
    try:
        lines = edge.log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = dict.fromkeys(line.partition(": ")[2] for line in lines if " WARNING " in line or " ERROR " in line)
    return f"; edge {edge.name} says: {'; '.join(found)}" if found else ""


def _how(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
