"""Whole fleets of real processes: what happens to readers when edges, agents or the store die and come back."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

from deploying import FOUR, ONE, THREE, TWO, Deployer, holding, page, reporting, said, shows
from edgeward.core.fleet import EdgeRecord, ReleaseRecord
from edgeward.publish.catalog import remove_site, rollback
from edgeward.publish.purge import purge
from edgeward.publish.push import push
from edgeward.publish.values import Waiting
from edgeward.store.connection import Store
from fleet import EdgeProcess, Fleet, prepare_fleet, running_fleet, started
from publishing import options, write_site
from waiting import eventually


async def test_a_push_is_live_everywhere_and_nothing_is_left_at_the_end(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """One push, three edges with the same answers; figures and health say so; a clean stop leaves no process."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses) as fleet:
        async with fleet.store() as store:
            result = await deployer.push(store, ONE)
            assert result.moved is not None
            assert {times.edge for times in result.moved.edges} == {"fra", "iad", "syd"}
            answers = [await edge.get("/") for edge in fleet]
            assert {answer.body.decode() for answer in answers} == {page(ONE)}
            assert len({answer.headers["etag"] for answer in answers}) == 1
            health = await fleet["iad"].health()
            assert (health["edge"], health["ready"], health["store"]["connected"]) == ("iad", True, True)
            assert health["sites"]["blog"]["live"] == result.release
            assert "edgeward_ready 1" in await fleet["iad"].metrics()
            statuses = await fleet.statuses(store)
            assert all(status.sites["blog"].live == result.release for status in statuses.values())
            for name in ("fra", "syd"):
                assert await eventually(lambda name=name: location_of(store, name)) == name.upper()
            assert all(list(edge.engine_processes()) for edge in fleet)
            assert await fleet["syd"].stop() == 0
            assert list(fleet["syd"].engine_processes()) == []
            assert "syd" not in await fleet.statuses(store)
        await fleet.stop()
        assert [pid for edge in fleet for pid in edge.engine_processes()] == []


async def location_of(store: Store, edge: str) -> str | None:
    found = await store.edges.get(edge)
    return None if found is None else EdgeRecord.from_bytes(found.value).location


async def test_a_killed_edge_catches_up(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """SIGKILL to agent and nginx; three pushes succeed without the edge; it comes back with the last release that it
    knew, at once, says that it is not ready, catches up, and only then reports itself current.
    """
    slow = {"syd": "activate_delay = 2"}
    async with running_fleet(tmp_path / "fleet", loopback_addresses, more=slow) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        await fleet["syd"].kill()
        await eventually(lambda: absent(store, "syd"), within=15)
        await deployer.push(store, TWO)
        await deployer.push(store, THREE)
        newest = await deployer.push(store, FOUR)
        await fleet["syd"].start()
        await eventually(lambda: shows(fleet["syd"], ONE), ignoring=(OSError,))
        health = await fleet["syd"].health()
        assert health["ready"] is False
        assert health["because"]
        await fleet.until_ready("syd")
        assert await shows(fleet["syd"], FOUR)
        status = (await fleet.statuses(store))["syd"]
        assert (status.ready, status.sites["blog"].live) == (True, newest.release)
        for asset in (ONE, TWO, THREE, FOUR):  # what other edges' pages name is here too, of missed releases as well
            await eventually(lambda asset=asset: ok(fleet["syd"], asset), what=asset)


async def ok(edge: EdgeProcess, path: str) -> bool:
    return (await edge.get(path)).status == 200


async def absent(store: Store, edge: str) -> bool:
    return await store.status.get(edge) is None


async def test_the_store_goes_away_and_comes_back(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Without the state server every edge goes on serving, one that restarts meanwhile serves from its disk; when it
    is back a push works with no manual step.
    """
    async with running_fleet(tmp_path / "fleet", loopback_addresses) as fleet:
        async with fleet.store() as store:
            await deployer.push(store, ONE)
        await fleet["fra"].stop(signal.SIGHUP)  # the agent and the state server end, nginx goes on
        for edge in fleet:
            assert await shows(edge, ONE)
        await fleet["iad"].kill()
        await fleet["iad"].start()
        await eventually(lambda: shows(fleet["iad"], ONE), ignoring=(OSError,))
        health = await fleet["iad"].health()
        assert (health["ready"], health["store"]["connected"]) == (False, False)
        await eventually(lambda: said(fleet["syd"], "the state store cannot be reached"))
        await fleet["fra"].start()
        await fleet.until_ready()
        async with fleet.store() as store:
            await eventually(lambda: reporting(store, 3), within=15)
            await deployer.push(store, TWO)
        for edge in fleet:
            assert await shows(edge, TWO)
            assert (await edge.health())["problems"] == []


async def test_no_version_skew_while_one_edge_is_slow(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """While one edge still shows the old page and the other the new one, every asset that either page names is 200 on
    both.
    """
    slow = {"iad": "activate_delay = 3"}
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2, more=slow) as fleet:
        async with fleet.store() as store:
            await deployer.push(store, ONE)
            await deployer.push(store, TWO, quorum="any", wait=1.5)
        assert await shows(fleet["fra"], TWO)
        assert await shows(fleet["iad"], ONE)
        for edge in fleet:
            for asset in (ONE, TWO):
                assert (await edge.get(asset)).body == f"code of {asset};".encode() * 20, (edge.name, asset)
        await eventually(lambda: shows(fleet["iad"], TWO))


async def test_a_rollback_needs_nothing_from_the_store(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The previous release is still staged everywhere: all but its manifest may even be gone from the store."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet, fleet.store() as store:
        first = await deployer.push(store, ONE)
        await deployer.push(store, TWO)
        records = [ReleaseRecord.from_bytes(each.value) for each in (await store.releases.values()).values()]
        manifests = {record.manifest for record in records}
        await store.blobs.delete([each for each in await store.blobs.digests() if each not in manifests])
        moved = await rollback(store, "blog", waiting=Waiting(20))
        assert moved.release == first.release
        for edge in fleet:
            assert await shows(edge, ONE)
            assert (await edge.get(TWO)).status == 200


async def test_a_purge_leaves_nothing_anywhere(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A leaked file is 404 on every edge when the purge is over, and its bytes are in no file of any edge or of the
    store; a rollback past the purge does not bring it back.
    """
    secret = "the quick brown secret " * 30
    async with running_fleet(tmp_path / "fleet", loopback_addresses) as fleet, fleet.store() as store:
        await deployer.push(store, ONE, **{"leak.txt": secret})
        await deployer.push(store, TWO, **{"leak.txt": secret})
        for edge in fleet:
            assert (await edge.get("/leak.txt")).status == 200
        result = await purge(store, "blog", ("/leak.txt",), waiting=Waiting(20), places=deployer.places)
        assert result.edges == ("fra", "iad", "syd")
        for edge in fleet:
            assert (await edge.get("/leak.txt")).status == 404
            assert await shows(edge, TWO)
        assert holding(tmp_path / "fleet", secret) == []
        await rollback(store, "blog", waiting=Waiting(20))
        for edge in fleet:
            assert await shows(edge, ONE)
            assert (await edge.get("/leak.txt")).status == 404


async def test_a_removed_site_is_answered_421(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """`site rm` takes a site off every edge, and its folder off the disk after a while."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        await remove_site(store, "blog", waiting=Waiting(20))
        for edge in fleet:
            assert (await edge.get("/")).status == 421


async def test_rot_takes_an_edge_out_until_it_is_mended(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A blob that rots under a served page: with the store away the edge says that it is out; when the store is back
    it mends itself, serves the right bytes and is ready again.
    """
    limits = 'scrub_rate = "1 GiB"\nscrub_round = 1'
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2, limits=limits) as fleet:
        async with fleet.store() as store:
            result = await deployer.push(store, ONE)
        iad = fleet["iad"]
        await fleet["fra"].stop(signal.SIGHUP)
        file = iad.data / "sites/blog" / result.release / "identity/index.html"
        with file.open("r+b") as opened:
            opened.write(b"ROT")
        await eventually(lambda: said(iad, "rotted"), within=15)
        assert (await iad.health())["ready"] is False
        await fleet["fra"].start()
        await fleet.until_ready()
        await eventually(lambda: shows(iad, ONE))
        assert file.read_bytes() == page(ONE).encode()


async def test_a_full_disk_stages_nothing_and_serves_on(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Below the disk reserve an edge refuses what is new with a clear sentence, which the push repeats."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        iad = fleet["iad"]
        await iad.stop(signal.SIGHUP)
        iad.config.write_text(iad.config.read_text().replace('"16 MiB"', '"900 TiB"'))
        await iad.start()
        await eventually(lambda: reporting(store, 2), within=15)
        await deployer.push(store, TWO, quorum="any", wait=2)
        assert await shows(iad, ONE)
        await eventually(lambda: said(iad, "stay in reserve"))
        assert any("nothing new is staged" in problem for problem in (await iad.health())["problems"])


async def test_the_operator_is_told(tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer) -> None:
    """A webhook hears when an edge loses the store, and when that is over; a value of an unknown schema in the store is
    told as well, and changes nothing that is served.
    """
    told: list[tuple[str, str]] = []

    async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = json.loads(await reader.readexactly(length))
        told.append((body["condition"], body["state"]))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hook, loopback_addresses(), 0)
    async with server:
        address, port = server.sockets[0].getsockname()
        fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses, edges=2)
        config = fleet["iad"].config
        config.write_text(config.read_text() + f'[alerts]\nwebhook = "http://{address}:{port}/"\n')
        async with started(fleet):
            async with fleet.store() as store:
                await deployer.push(store, ONE)
                await store.live.put("blog", b'{"schema":[7,0]}')
                await eventually(lambda: ("value live/blog", "firing") in told, within=20)
            await fleet["fra"].stop(signal.SIGHUP)
            await eventually(lambda: ("store", "firing") in told, within=20)
            await fleet["fra"].start()
            await eventually(lambda: ("store", "resolved") in told, within=20)
            for edge in fleet:
                assert await shows(edge, ONE)
            assert len(told) == len(set(told))


async def test_two_sites_switch_apart(fleet_of_one: Fleet, deployer: Deployer, tmp_path: Path) -> None:
    """Sites do not disturb each other: a second site comes and the first is answered as before."""
    async with fleet_of_one.store() as store:
        await deployer.push(store, ONE)
        shop = write_site(tmp_path / "shop", {"index.html": "shop"})
        await push(options(shop, site="shop", hostnames=("shop.test",)), store, places=deployer.places)
    assert await shows(fleet_of_one.first, ONE)
    assert (await fleet_of_one.first.get("/", host="shop.test")).body == b"shop"
    assert (await fleet_of_one.first.get("/", host="nobody.test")).status == 421
