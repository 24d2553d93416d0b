"""Servers under measurement as child processes, each on the one core that all of them get in turn."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeward.errors import EngineMissing

SERVER_CORE, LOAD_CORE = 0, 1
OUTPUT = "output.txt"
"""What a server says, in its folder."""

_INSTALL = Path(__file__).parents[1] / "tools" / "install_packages.sh"


@contextlib.contextmanager
def pinned(
    command: Sequence[str], folder: Path, *, passed: Sequence[int] = (), told: bytes | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program on the server's core until the block ends. passed: descriptors for it. told: for its stdin, which
    then stays open.
    """
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(SERVER_CORE), *command],
            stdin=subprocess.DEVNULL if told is None else subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "GOMAXPROCS": "1"},
            pass_fds=passed,
            start_new_session=True,
        )
        try:
            if process.stdin is not None and told is not None:
                process.stdin.write(told)
                process.stdin.flush()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)
            if process.stdin is not None:
                process.stdin.close()


def install(*packages: str) -> None:
    """Install packages of the distribution without leaving their servers running. Raises EngineMissing."""
    done = subprocess.run([str(_INSTALL), *packages], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise EngineMissing(
            f"{', '.join(packages)} cannot be installed: {done.stdout.strip()}",
            hint=f"apt-get install {' '.join(packages)}",
        )
