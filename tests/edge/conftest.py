"""A real store for each test, and the parts of an edge over it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from deploying import Deployer
from edge_parts import Clock, Parts
from edgeward.edge.disk import EdgeDisk
from edgeward.edge.holdings import Holdings
from edgeward.edge.stager import Stager
from edgeward.store.connection import Store, open_store
from edgeward.store.server import ServerSettings, StateServer
from fleet import running_fleet
from islands import Island, made_island


@pytest.fixture
async def server(tmp_path: Path, loopback_address: str) -> AsyncIterator[StateServer]:
    async with StateServer(ServerSettings(data=tmp_path / "server", listen=loopback_address, port=0)) as running:
        yield running


@pytest.fixture
async def store(server: StateServer) -> AsyncIterator[Store]:
    async with open_store(server.address, name="test") as opened:
        yield opened


@pytest.fixture
def parts_at(tmp_path: Path) -> Callable[..., Parts]:
    """A function that makes the parts of an edge over a store, in a folder of that name."""

    def make(store: Store, name: str = "edge", *, reserve: int = 0) -> Parts:
        clock = Clock()
        disk = EdgeDisk(tmp_path / name)
        disk.clear_scratch()
        holdings = Holdings(disk, edge="fra", clock=clock, timer=clock)
        holdings.load()
        return Parts(holdings, Stager(holdings, store.blobs, reserve=reserve), clock)

    return make


@pytest.fixture
def parts(store: Store, parts_at: Callable[..., Parts]) -> Parts:
    return parts_at(store)


@pytest.fixture
def deployer(tmp_path: Path) -> Deployer:
    return Deployer(tmp_path)


@pytest.fixture
async def fleet_of_one(tmp_path: Path, loopback_addresses: Callable[[], str]):
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=1) as fleet:
        yield fleet


@pytest.fixture
def island() -> Iterator[Island]:
    with made_island() as made:
        yield made
