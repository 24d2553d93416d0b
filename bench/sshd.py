"""An OpenSSH server of our own on a loopback port, with keys made for the occasion: the other end of rsync."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeward.errors import EngineMissing, ServeError

_READY_SECONDS = 10.0
_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True, slots=True)
class SshServer:
    """A running server. command: what `rsync -e` is given. user: whom it lets in."""

    command: str
    user: str


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run a server with its keys below `folder` while the context lasts. Raises EngineMissing, ServeError."""
    have("sshd", "openssh-server")
    have("ssh-keygen", "openssh-client")
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=30)
    shutil.copyfile(folder / "user.pub", folder / "authorized_keys")
    port = _free_port()
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "MaxStartups": "50",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks its unprivileged half in
    with (folder / "log").open("wb") as log:
        line = [str(shutil.which("sshd", path=_PATH)), "-D", "-e", "-f", str(folder / "config")]
        server = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _until_it_listens(server, port, folder / "log")
        options = [
            "-o StrictHostKeyChecking=no",
            "-o UserKnownHostsFile=/dev/null",
            "-o LogLevel=ERROR",
            "-o BatchMode=yes",
        ]
        command_line = " ".join(["ssh", f"-p {port}", f"-i {folder / 'user'}", *options])
        yield SshServer(command_line, _user())
    finally:
        server.terminate()
        server.wait(10)


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def have(program: str, package: str) -> None:
    """Install a Debian package if its program is absent, without letting it start a server. Raises EngineMissing."""
    if shutil.which(program, path=_PATH):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        mine = not _POLICY.exists()
        if mine:
            _POLICY.write_text("#!/bin/sh\nexit 101\n")
            _POLICY.chmod(0o755)
        try:
            line = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
            subprocess.run(line, check=False, capture_output=True, timeout=600)
        finally:
            if mine:
                _POLICY.unlink()
    if not shutil.which(program, path=_PATH):
        raise EngineMissing(f"{program} is not installed", hint=f"apt-get install {package}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user() -> str:
    import getpass

    return getpass.getuser()


def _until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ServeError(f"sshd does not listen: {log.read_text(errors='replace')[-300:]}")
