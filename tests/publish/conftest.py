"""A real store for each test, a folder to push, and edges that report themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from edgeward.core.fleet import EdgeRecord
from edgeward.publish.places import Places
from edgeward.store.connection import Store, open_store
from edgeward.store.server import ServerSettings, StateServer
from publishing import ReportingEdge, write_site


@pytest.fixture
async def server(tmp_path: Path, loopback_address: str) -> AsyncIterator[StateServer]:
    async with StateServer(ServerSettings(data=tmp_path / "server", listen=loopback_address, port=0)) as running:
        yield running


@pytest.fixture
async def store(server: StateServer) -> AsyncIterator[Store]:
    async with open_store(server.address, name="test") as opened:
        yield opened


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "cache", tmp_path / "config")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small site: a page that compresses, one that does not, a hashed asset."""
    return write_site(
        tmp_path / "site",
        {
            "index.html": "<h1>Hello</h1>" + "<p>again and again</p>" * 40,
            "about.html": "<p>short</p>",
            "assets/app.3f9a1c7e.js": "console.log('x');" * 50,
            "logo.png": bytes(range(256)) * 4,
        },
    )


@pytest.fixture
async def edge(store: Store) -> AsyncIterator[Callable[..., ReportingEdge]]:
    """A function that starts an edge which reports itself; `stop(edge)` ends its reports for good."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def running(each: ReportingEdge) -> AsyncIterator[None]:
            task = asyncio.create_task(each.run())
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        async def start(name: str = "FRA", *, drained: bool = False, **values: object) -> ReportingEdge:
            each = ReportingEdge(store, name, **values)
            record = EdgeRecord(name, name, ("127.0.0.1",), drained=drained)
            await store.edges.put(name, record.to_bytes())
            await stack.enter_async_context(running(each))
            return each

        yield start
