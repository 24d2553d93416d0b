"""A city database that the operator names, on a real edge."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cities import city, city_database
from deploying import ONE, Deployer
from edgeward.errors import InputError
from edgeward.publish.explain import explain
from edgeward.publish.name_service import apply_settings
from edgeward.store.connection import Store
from fleet import EdgeProcess, Fleet, prepare_fleet, started
from name_servers import DNS, NEAR, SETTINGS, sends, sends_home
from waiting import eventually


@pytest.mark.parametrize("breaks", [False, True], ids=["a good one", "one that cannot be read, in between"])
async def test_a_new_city_database_is_followed(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer, *, breaks: bool
) -> None:
    """Readers go where the database has them, and soon where the next one has them; what cannot be read changes
    nothing, and is not read again and again.
    """
    network = "194.25.0.0/24"
    path = city_database(tmp_path / "city.mmdb", {network: city("Perth", "AU", -31.95, 115.86)})
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        edge.config.write_text(f'{edge.config.read_text()}{DNS}city_file = "{path}"\n')
    async with started(fleet):
        async with fleet.store() as store:
            await deployer.push(store, ONE)
            await apply_settings(store, SETTINGS)
        for server in fleet:
            await eventually(lambda server=server: sends(server, NEAR["fra"], fleet["syd"].address), within=60)
            async with fleet.store() as store:
                await _explained(store, fleet, path)
        if breaks:
            fresh = tmp_path / "broken.mmdb"
            fresh.write_bytes(b"no database")
            fresh.replace(path)
            for server in fleet:
                await eventually(lambda server=server: complains(server), within=30)
                assert await sends(server, NEAR["fra"], fleet["syd"].address)
            end = time.monotonic() + 5.0  # longer than until the second try of a table that failed for another reason
            while time.monotonic() < end:
                assert [server.log.count("the build of the steering table has failed") for server in fleet] == [1, 1, 1]
                await asyncio.sleep(0.25)
        city_database(path, {network: city("Frankfurt", "DE", 50.1, 8.7)})
        for server in fleet:
            await eventually(lambda server=server: sends(server, NEAR["fra"], fleet["fra"].address), within=30)


async def test_a_city_database_that_was_never_good_leaves_the_countries(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A new edge with a wrong file answers by country, and says what is wrong."""
    path = tmp_path / "city.mmdb"
    path.write_bytes(b"no database")
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        edge.config.write_text(f'{edge.config.read_text()}{DNS}city_file = "{path}"\n')
    async with started(fleet):
        async with fleet.store() as store:
            await deployer.push(store, ONE)
            await apply_settings(store, SETTINGS)
        for server in fleet:
            await eventually(lambda server=server: sends_home(fleet, server), within=60)
            assert await complains(server)


async def _explained(store: Store, fleet: Fleet, path: Path) -> None:
    """By country an explanation is not what the name servers answer, and says so; by their database it is."""
    client = NEAR["fra"].removesuffix("0") + "7"
    found = await explain(store, "www.example.test", client)
    assert (found.addresses, found.geography) == ((fleet["fra"].address,), "by country")
    for each in found.served:
        assert (each.addresses, each.differs) == ((fleet["syd"].address,), True)
        assert each.note.startswith("it goes by the city database city.mmdb: --city-database FILE ")
    copy = path.with_name("copy.mmdb")
    copy.write_bytes(path.read_bytes())
    found = await explain(store, "www.example.test", client, city_database=copy)
    assert (found.addresses, found.geography) == ((fleet["syd"].address,), "by the city database copy.mmdb")
    assert [(each.edge, each.differs) for each in found.served] == [(edge.name, False) for edge in fleet]
    assert "Perth" in found.because
    with pytest.raises(InputError, match="cannot be read"):
        await explain(store, "www.example.test", client, city_database=path.with_name("nothing.mmdb"))


async def complains(server: EdgeProcess) -> bool:
    """Whether an edge says that its table cannot be built."""
    return b"steering table cannot be built" in (await server.get("/.well-known/edgeward/health")).body
