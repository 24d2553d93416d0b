"""A real state server on a loopback address of the test's own, and a store open on it."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from edgeward.store.connection import Store, open_store
from edgeward.store.server import ServerSettings, StateServer
from waiting import eventually

SECRET = 'a "token" with $quotes, \\ and é'


@pytest.fixture
def settings(tmp_path: Path, loopback_address: str) -> ServerSettings:
    return ServerSettings(data=tmp_path / "state", listen=loopback_address, port=0, token=SECRET)


@pytest.fixture
async def server(settings: ServerSettings) -> AsyncIterator[StateServer]:
    async with StateServer(settings) as running:
        yield running


@pytest.fixture
async def store(server: StateServer) -> AsyncIterator[Store]:
    async with open_store(server.address, name="test") as opened:
        yield opened


@pytest.fixture
def kill(server: StateServer) -> Callable[[], Awaitable[None]]:
    """Kill the server as a crash would, and return when its supervisor has it running again."""

    async def kill() -> None:
        before = server.restarts
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: server.restarts > before, within=20, what="the server to be started again")

    return kill
