"""What `edgeward dns explain` says of a real fleet is what its name servers answer."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from deploying import ONE, Deployer
from edgeward.errors import NotFoundError
from edgeward.publish.explain import Explanation, RankedEdge, explain
from edgeward.publish.name_service import apply_settings
from edgeward.store.connection import Store
from fleet import prepare_fleet, started
from name_servers import DNS, NEAR, SETTINGS
from verdicts import settled
from waiting import eventually

LATE = 'name = "syd"\nactivate_delay = 9\n'
CLIENT = NEAR["syd"]


async def told(store: Store) -> tuple[Explanation, RankedEdge]:
    """An explanation that all name servers have answered to alike, and the place of syd in it."""
    found = await explain(store, "www.example.test", CLIENT)
    assert [(each.edge, each.wrong, each.differs) for each in found.served] == [(name, "", False) for name in NEAR]
    return found, next(each for each in found.ranked if each.edge == "syd")


async def test_an_edge_without_the_live_release_has_its_grace_and_is_out_then(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """While it has, it is named, and the explanation says until when; then it is not, and the reason is that of the
    name servers. When it holds the release nothing is said of it.
    """
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        text = edge.config.read_text().replace('name = "syd"\n', LATE)
        edge.config.write_text(f"{text}{DNS}[health]\ngrace = 6\n")
    async with started(fleet), fleet.store() as store:
        await settled(fleet)
        await apply_settings(store, SETTINGS)
        for edge in fleet:
            await eventually(lambda edge=edge: "built the steering table of 3 edges" in edge.log, within=30)
        pushing = asyncio.create_task(deployer.push(store, ONE, wait=2, quorum="any"))

        async def in_grace() -> bool:
            found, syd = await told(store)
            assert syd.note.startswith("it does not hold the live release ")
            assert "still within its grace period until " in syd.note
            return (found.addresses, syd.state) == ((fleet["syd"].address,), "")

        await eventually(in_grace, within=15, ignoring=(NotFoundError,))

        async def out() -> bool:
            found, syd = await told(store)
            return fleet["syd"].address not in found.addresses and syd.state == "it does not serve the site"

        await eventually(out, within=10)

        async def back() -> bool:
            found, syd = await told(store)
            return (found.addresses, syd.state, syd.note) == ((fleet["syd"].address,), "", "")

        await eventually(back, within=20)
        await pushing
