"""What /proc says of nginx's processes (proc(5)): who is master, whose workers are there, which of them are ending."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_MASTER: Final = "nginx: master process"
_WORKER: Final = "nginx: worker process"
_ENDING: Final = "nginx: worker process is shutting down"


@dataclass(frozen=True, slots=True)
class Process:
    """One process. title: its command line, which nginx writes anew as it goes. session: pid of its leader."""

    pid: int
    session: int
    title: str

    @property
    def is_worker(self) -> bool:
        """Whether it is a worker, ending or not."""
        return self.title.startswith(_WORKER)

    @property
    def is_ending(self) -> bool:
        """Whether it is a worker that takes no more connections."""
        return self.title.startswith(_ENDING)


def read_process(pid: int) -> Process | None:
    """Return what is known of a process, None if there is none (or only its exit status is left)."""
    try:
        title = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        # The command name in the second field may hold anything; the last parenthesis ends it.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[3]), title.strip()) if title else None


def find_master(pid_file: Path, config: Path) -> Process | None:
    """Return the master that the pid file names, if that process is a master of nginx on this configuration file.

    Without a pid file (somebody deleted the folder under a running nginx) it is looked for among all processes.
    """
    try:
        pid = int(pid_file.read_text().strip())
    except (OSError, ValueError):
        return _search_master(config)
    found = read_process(pid)
    if found is None or not found.title.startswith(_MASTER) or str(config) not in found.title:
        return None
    return found


def _search_master(config: Path) -> Process | None:
    """Return a master whose command line names the configuration file, in our own pid namespace (not a container's)."""
    for entry in os.listdir(_PROC):  # noqa: PTH208 (as below)
        process = read_process(int(entry)) if entry.isdigit() else None
        if process is None or not process.title.startswith(_MASTER) or f" -c {config} " not in process.title + " ":
            continue
        with contextlib.suppress(OSError):
            if (_PROC / entry / "ns/pid").readlink() == (_PROC / "self/ns/pid").readlink():
                return process
    return None


def workers_of(session: int, folder: Path) -> list[Process]:
    """Return the workers in the session of a master, dead or alive, that work in `folder`."""
    found: list[Process] = []
    for entry in os.listdir(_PROC):  # noqa: PTH208 (names alone: a path for each process would cost more than the rest)
        if not entry.isdigit():
            continue
        process = read_process(int(entry))
        if process is None or process.session != session or not process.is_worker:
            continue
        with contextlib.suppress(OSError):
            if (_PROC / entry / "cwd").resolve(strict=True) != folder.resolve():
                continue
        found.append(process)
    return found


def children_of(master: int) -> list[Process]:
    """Return the workers of a living master."""
    try:
        pids = (_PROC / str(master) / "task" / str(master) / "children").read_text().split()
    except OSError:
        return []
    found = [process for pid in pids if (process := read_process(int(pid))) is not None]
    return [process for process in found if process.is_worker]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
