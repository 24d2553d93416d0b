"""What `edgeward dns explain` says of a real fleet is what its name servers answer."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from deploying import ONE, Deployer
from edgeward.cli.tables_dns import explanation
from edgeward.core.fleet import EdgeRecord
from edgeward.errors import NotFoundError
from edgeward.publish.explain import Explanation, RankedEdge, explain
from edgeward.publish.name_service import apply_settings
from edgeward.store.connection import Store
from fleet import prepare_fleet, started
from name_servers import DNS, NEAR, SETTINGS, steering
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


async def test_an_edge_that_is_named_because_all_are_out_is_said_to_be_named(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """With the reason why it is out; the other one is out for the same reason, and not named."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:

        async def found() -> Explanation:
            return await explain(store, "www.example.test", NEAR["fra"])

        assert (await found()).failed_open == ()
        for edge in ("fra", "iad"):
            stored = await store.edges.get(edge)
            assert stored is not None
            record = replace(EdgeRecord.from_bytes(stored.value), drained=True, drained_because="disk")
            await store.edges.update(edge, record.to_bytes(), stored.revision)
        why = await found()
        assert (why.addresses, why.failed_open) == ((fleet["fra"].address,), ("fra",))
        console = Console(width=100, file=StringIO())
        console.print(*explanation(why))
        assert isinstance(console.file, StringIO)
        shown = console.file.getvalue()
        assert re.search(r"fra .* all are out: named all the same: drained: disk", shown)
        assert re.search(r"iad .* not named: drained: disk", shown)
