"""Failover of edges with IPv4 and IPv6 addresses: each family by what answers over it."""

import asyncio
import itertools
from pathlib import Path

from deploying import Deployer
from edgeward.publish.explain import explain
from edgeward.publish.name_service import overview
from edgeward.publish.status import fleet_status
from fleet import EdgeProcess, Fleet
from islands import Island, needs_root
from name_servers import NEAR, WITHIN, named, seconds_until_gone, sends, steering
from verdicts import all_in, out, silent
from waiting import eventually


def with_both(island: Island, edge: EdgeProcess) -> str:
    """Give an edge an IPv6 address beside its IPv4 one, and return it. The third edge lives on the island."""
    host = edge.address.rpartition(".")[2]
    address = f"{island.net6}:{host}"
    text = edge.config.read_text()
    edge.config.write_text(
        text.replace(f'addresses = ["{edge.address}"]', f'addresses = ["{edge.address}", "{address}"]')
    )
    if host == "3":
        edge.wrapper = ("ip", "netns", "exec", island.name)
    return address


async def answers_to(server: EdgeProcess, client: str, ended: asyncio.Event) -> list[set[str]]:
    """What a server names over IPv4 for a client, ten times a second until `ended`."""
    found = []
    while not ended.is_set():
        found.append(await named(server, client))
        await asyncio.sleep(0.1)
    return found


async def all_named(fleet: Fleet, six: dict[str, str]) -> bool:
    """Whether every server sends the clients near each edge there, over both families."""
    return all(
        [
            await sends(server, NEAR[edge.name], address, kind)
            for server in fleet
            for edge in fleet
            for kind, address in (("A", edge.address), ("AAAA", six[edge.name]))
        ]
    )


@needs_root
async def test_each_family_names_the_edges_that_answer_over_it(
    island: Island, tmp_path: Path, deployer: Deployer
) -> None:
    """An edge whose IPv6 address alone does not answer is in no AAAA answer five seconds later, and in all A answers
    the whole time: it is up, and a condition of one edge says what it lacks. It is named again when it answers. Killed,
    it is in neither. The figures are printed.
    """
    hosts, six = itertools.count(1), dict[str, str]()

    def change(edge: EdgeProcess) -> None:
        six[edge.name] = with_both(island, edge)

    async with steering(tmp_path / "fleet", lambda: f"{island.net}.{next(hosts)}", deployer, change=change) as fleet:
        syd, others, client = fleet["syd"], [fleet["fra"], fleet["iad"]], NEAR["syd"]
        await eventually(lambda: all_named(fleet, six), within=20)
        ended = asyncio.Event()
        over_four = [asyncio.create_task(answers_to(server, client, ended)) for server in others]
        island.silence_six()
        mute = await seconds_until_gone(others, client, six["syd"], "AAAA")
        for server in others:
            assert await silent(server) == {("syd", "6")}
            assert await out(server) == set()
            assert await named(server, client, "AAAA") in ({six["fra"]}, {six["iad"]})
        async with fleet.store() as store:
            why = await explain(store, "www.example.test", "139.130.4.5")
        assert why.addresses[0] == syd.address
        assert why.addresses[1] in {six["fra"], six["iad"]}
        assert [each.differs for each in why.served] == [False] * 3
        assert why.ranked[0].note.startswith("not named over IPv6: fra: ")
        ended.set()
        for found in await asyncio.gather(*over_four):
            assert len(found) > 20
            assert all(each == {syd.address} for each in found)
        await eventually(lambda: _says_so(fleet["fra"]), within=15)
        async with fleet.store() as store:
            states = (await overview(store)).edges
            lines = {line.edge: line.silent for line in (await fleet_status(store)).edges}
        assert (states["fra"], states["iad"]) == ("up", "up")
        assert states["syd"] == f"does not answer {lines['syd']}"
        assert lines["syd"].startswith(f"over IPv6: fra: [{six['syd']}]:")
        assert (lines["fra"], lines["iad"]) == ("", "")
        island.hear_six()
        await eventually(lambda: all_named(fleet, six), within=20)
        await syd.kill()
        gone = await asyncio.gather(
            seconds_until_gone(others, client, syd.address), seconds_until_gone(others, client, six["syd"], "AAAA")
        )
        print(f"\nsilent over IPv6: last named {mute:.2f} s later; killed: {gone[0]:.2f} s (A), {gone[1]:.2f} s (AAAA)")
        assert max(mute, *gone) <= WITHIN
        assert not await all_in(others)


async def _says_so(edge: EdgeProcess) -> bool:
    return b"edge syd does not answer over IPv6: " in (await edge.get("/.well-known/edgeward/health")).body
