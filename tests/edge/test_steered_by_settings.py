"""What an operator writes of an edge in its edge.toml, and of the order in dns.toml, is what readers are steered by."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deploying import ONE, Deployer, shows
from edgeward.core.fleet import EdgeRecord
from edgeward.publish.explain import explain
from edgeward.publish.name_service import apply_settings, overview
from edgeward.publish.purge import purge
from edgeward.publish.values import Bystander, Waiting
from edgeward.store.connection import Store
from fleet import EdgeProcess, Fleet, prepare_fleet, started
from name_servers import DNS, NEAR, SETTINGS, named, sends
from verdicts import known, probed, settled
from waiting import eventually

NOWHERE = "10.1.2.0"
"""A network of which nothing is known."""
IN_SYDNEY = '"-33.95, 151.18"'


def written(edge: EdgeProcess, *changes: tuple[str, str]) -> None:
    """Change an edge's settings."""
    text = edge.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    edge.config.write_text(text)


async def all_send(fleet: Fleet, client: str, edge: str) -> bool:
    return all([await sends(server, client, fleet[edge].address) for server in fleet])


async def record(store: Store, edge: str) -> EdgeRecord:
    found = await store.edges.get(edge)
    assert found is not None
    return EdgeRecord.from_bytes(found.value)


async def test_readers_are_steered_by_weight_coordinates_roles_and_default_order(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The edge in Frankfurt is for DNS and state alone: it is named for no reader, though nearest, probed by nobody,
    and no push waits for it. Of two in one place, one by its airport and one by its coordinates, the heavier is named,
    and with another weight in its file after a restart the other. A default order in dns.toml goes before weights.
    """
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        edge.config.write_text(edge.config.read_text() + DNS)
    written(fleet["fra"], ('location = "FRA"\n', 'location = "FRA"\nroles = ["dns", "state"]\n'))
    written(fleet["iad"], ('"IAD"', IN_SYDNEY), ("[http]\n", "weight = 50\n[http]\n"))
    async with started(fleet), fleet.store() as store:
        pushed = await deployer.push(store, ONE)
        assert pushed.moved is not None
        assert [times.edge for times in pushed.moved.edges] == ["iad", "syd"]
        assert pushed.moved.bystanders == (Bystander("fra", "not for readers"),)
        alone = replace(SETTINGS, most=1)
        await apply_settings(store, alone)
        for client in (*NEAR.values(), NOWHERE):
            await eventually(
                lambda client=client: all_send(fleet, client, "syd"), within=60, ignoring=(OSError,), what=client
            )
        assert {edge.name: probed(await edge.metrics()) for edge in fleet} == {
            "fra": {"iad", "syd"},
            "iad": {"syd"},
            "syd": {"iad"},
        }
        assert [await known(edge) for edge in fleet] == [{"iad", "syd"}] * 3
        assert (await overview(store)).edges == {"fra": "not for readers", "iad": "up", "syd": "up"}
        told = await explain(store, "www.example.test", NEAR["fra"])
        assert [each.edge for each in told.ranked] == ["syd", "iad"]
        assert told.ranked[1].because.endswith("(weight 50)")
        assert not any(each.wrong or each.differs for each in told.served)

        await apply_settings(store, replace(alone, default=("iad", "nobody")))
        await eventually(lambda: all_send(fleet, NOWHERE, "iad"), within=30)
        assert await all_send(fleet, NEAR["fra"], "syd")
        assert (await explain(store, "www.example.test", NOWHERE)).ranked[0].edge == "iad"

        assert (await record(store, "iad")).weight == 50
        await fleet["iad"].stop()
        written(fleet["iad"], ("weight = 50", "weight = 200"))
        await fleet["iad"].start()
        await eventually(lambda: all_send(fleet, NEAR["fra"], "iad"), within=60, ignoring=(OSError,))
        assert (await record(store, "iad")).weight == 200

        # It serves nobody, but has it: a purge waits for all that could still show what is to be gone.
        assert await shows(fleet["fra"], ONE)
        gone = await purge(store, "blog", ("/index.html",), waiting=Waiting(20), places=deployer.places)
        assert {times.edge for times in gone.moved.edges} == {"fra", "iad", "syd"}


async def test_an_edge_that_was_down_and_comes_back_without_readers_is_judged_no_more(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The verdict on it is taken back, not kept for ever: nobody will ever see it answer."""
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        edge.config.write_text(edge.config.read_text() + DNS)
    async with started(fleet), fleet.store() as store:
        await settled(fleet)
        await deployer.push(store, ONE)
        await apply_settings(store, SETTINGS)
        await eventually(lambda: all_send(fleet, NEAR["iad"], "iad"), within=60, ignoring=(OSError,))
        await fleet["iad"].stop()
        await eventually(lambda: store.verdicts.get("iad"), within=15, what="a verdict on iad")
        written(fleet["iad"], ("[http]\n", 'roles = ["dns"]\n[http]\n'))
        await fleet["iad"].start()

        async def forgotten() -> bool:
            return await store.verdicts.get("iad") is None and (await overview(store)).edges["iad"] == "not for readers"

        await eventually(forgotten, within=30)

        async def all_have_forgotten() -> bool:
            return [await known(edge) for edge in fleet] == [{"fra", "syd"}] * 3

        await eventually(all_have_forgotten, within=15)
        for server in (fleet["fra"], fleet["syd"]):
            assert fleet["iad"].address not in await named(server, NEAR["iad"])
            assert await named(server, NEAR["syd"]) == {fleet["syd"].address}
        # Its own server began with what its disk had.
        await eventually(lambda: sends(fleet["iad"], NEAR["iad"], fleet["fra"].address), within=10)
