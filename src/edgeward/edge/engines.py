"""Which HTTP engine an edge runs, made from its settings, and what it needs beside its switches."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path

from edgeward.edge.disk import EdgeDisk
from edgeward.edge.settings import EdgeSettings
from edgeward.errors import EdgewardError
from edgeward.serve.engine import Engine
from edgeward.serve.nginx.process import NginxEngine
from edgeward.serve.nginx.settings import ACCESS_LOG, NginxSettings

_LOG = logging.getLogger("edgeward.edge")
_CHORES_EVERY = 10.0


def make_engine(settings: EdgeSettings, disk: EdgeDisk) -> Engine:
    """Return the engine of the settings, not started. Raises EngineMissing if nginx is wanted and not installed."""
    http = settings.http
    if http.engine == "preview":
        from edgeward.serve.preview.engine import PreviewEngine

        return PreviewEngine(http.listen, http.port, health=disk.health, brief=disk.brief)
    return NginxEngine(
        NginxSettings(
            folder=disk.engine,
            listen=tuple(
                f"[{address}]:{http.port}" if ":" in address else f"{address}:{http.port}" for address in http.listen
            ),
            health=disk.health,
            brief=disk.brief,
            user=http.worker_user,
            workers=http.workers,
            shutdown_seconds=http.old_workers_end,
            access_log=http.access_log,
            log_bytes=http.access_log_size,
        )
    )


def access_log(settings: EdgeSettings, disk: EdgeDisk) -> Path | None:
    """Return where requests are logged, None if they are not."""
    return disk.engine / ACCESS_LOG if settings.http.engine == "nginx" and settings.http.access_log else None


def chores(engine: Engine) -> Callable[[], Coroutine[None, None, None]] | None:
    """Return what an engine wants to have done now and then (rotating logs), as a loop; None if it wants nothing."""
    if not isinstance(engine, NginxEngine):
        return None

    async def run() -> None:
        while True:
            await asyncio.sleep(_CHORES_EVERY)
            try:
                await engine.tend()
            except EdgewardError as error:
                _LOG.warning("nginx's logs could not be tended: %s", error.message)

    return run
