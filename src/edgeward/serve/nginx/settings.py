"""What the operator of an edge decides about nginx."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG: Final = "nginx.conf"
BACK: Final = "sockets/back.sock"
FRONT: Final = "sockets/front.sock"
CONTROL: Final = "sockets/control.sock"
PID: Final = "nginx.pid"
ERROR_LOG: Final = "logs/error.log"
ACCESS_LOG: Final = "logs/access.log"
PAGES: Final = "pages"
"""Names below the folder of an nginx."""


@dataclass(frozen=True, slots=True)
class NginxSettings:
    """Settings of one nginx.

    folder: everything nginx writes is below it; made when missing. listen: "address:port" or "[IPv6]:port" for plain
    HTTP. health, brief: files that answer /.well-known/edgeward/health and /.well-known/edgeward/brief. challenges:
    folder with one file for each ACME token, None: there are none. program: the nginx to run. user: whom workers run as
    when the agent is root; None: www-data if it can read the served folders, else root. workers: number of worker
    processes, 0: one for each core. connections: of each worker. shutdown_seconds: how long requests under way may keep
    an old worker after a switch. access_log: whether requests are logged. log_bytes, log_files: a log that is larger is
    rotated, so many old ones are kept.
    """

    folder: Path
    listen: tuple[str, ...]
    health: Path
    brief: Path | None = None
    challenges: Path | None = None
    program: str = "nginx"
    user: str | None = None
    workers: int = 0
    connections: int = 4096
    shutdown_seconds: int = 60
    access_log: bool = True
    log_bytes: int = 64 * 1024 * 1024
    log_files: int = 4
