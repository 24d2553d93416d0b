"""An edge outlives what happens to it: a dead agent, a dead engine, lost state, a deleted data folder."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from deploying import ONE, TWO, Deployer, reporting, said, shows
from fleet import EdgeProcess, running_fleet
from waiting import eventually


async def test_nginx_outlives_its_agent(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """An agent that is killed leaves nginx serving; the next agent adopts it, with the same master, and switches it."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        iad = fleet["iad"]
        before = set(iad.engine_processes())
        assert before
        await iad.stop(signal.SIGKILL)
        assert await shows(iad, ONE)
        await iad.start()
        await eventually(lambda: reporting(store, 2), within=15)
        await deployer.push(store, TWO)
        assert await shows(iad, TWO)
        assert min(set(iad.engine_processes())) in before, "the master is another one"


async def test_a_lost_state_takes_nothing_off_the_air(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """An agent that finds no edge.json and no store leaves the nginx that it finds alone, and says so; the store's word
    ends that. With the copy of edge.json left, it knows as before.
    """
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet:
        async with fleet.store() as store:
            await deployer.push(store, ONE)
        iad = fleet["iad"]
        await fleet["fra"].stop(signal.SIGHUP)
        await iad.stop(signal.SIGKILL)
        (iad.data / "edge.json").unlink()
        (iad.data / "edge.json.copy").unlink()
        await iad.start()
        await eventually(lambda: said(iad, "does not know what it served"), within=15)
        assert await shows(iad, ONE)
        await fleet["fra"].start()
        await fleet.until_ready()
        assert await shows(iad, ONE)
        await eventually(lambda: healthy(iad), within=15)
        async with fleet.store() as store:
            await deployer.push(store, TWO)
        assert await shows(iad, TWO)


async def healthy(edge: EdgeProcess) -> bool:
    return (await edge.health())["problems"] == []


async def test_an_edge_outlives_its_data_folder(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Somebody deletes everything under a running edge: it says so, fetches everything again and serves it, by itself;
    until then no answer is a 404. A record that was lost comes back.
    """
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        iad = fleet["iad"]
        assert iad.process is not None
        agent = iad.process.pid
        shutil.rmtree(iad.data, ignore_errors=True)
        statuses: set[int] = set()

        async def serves_again() -> bool:
            answer = await iad.get("/")
            statuses.add(answer.status)
            return answer.status == 200 and (iad.data / "edge.json").exists() and bool(trees(iad))

        await eventually(serves_again, within=40, ignoring=(OSError, EOFError))
        await fleet.until_ready()
        assert await shows(iad, ONE)
        await deployer.push(store, TWO)
        assert await shows(iad, TWO)
        assert 404 not in statuses
        assert (iad.process.pid, iad.process.returncode) == (agent, None), iad.log
        assert "is gone from this edge's disk" in iad.log
        await store.edges.delete("iad")
        await eventually(lambda: store.edges.get("iad"), within=15)


def trees(edge: EdgeProcess) -> list[Path]:
    return [path for path in (edge.data / "sites").glob("*/*/identity") if path.parent.name != "kept"]


async def test_an_edge_outlives_its_trees(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """What trees share is deleted: the edge makes it anew out of its blobs, and answers no 404 meanwhile."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=1) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        edge = fleet.first
        shutil.rmtree(next((edge.data / "sites").glob("*/folders")))
        statuses: list[int] = []

        async def serves_again() -> bool:
            statuses.append((await edge.get("/")).status)
            return "is gone from this edge's disk" in edge.log and statuses[-1] == 200

        await eventually(serves_again, within=30, ignoring=(OSError, EOFError))
        assert 404 not in statuses


async def test_a_problem_with_the_health_file_ends_with_it(
    tmp_path: Path, loopback_addresses: Callable[[], str]
) -> None:
    """While the file cannot be written the status says so, and no longer than that."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=1) as fleet, fleet.store() as store:

        async def problems() -> tuple[str, ...]:
            return (await fleet.statuses(store))["fra"].problems

        async def told() -> bool:
            return any("health.json" in problem for problem in await problems())

        async def over() -> bool:
            return await problems() == ()

        obstacle = fleet.first.data / ".health.json.new"
        await eventually(lambda: obstacle.mkdir() or True, ignoring=(FileExistsError,))
        await eventually(told)
        obstacle.rmdir()
        await eventually(over)


async def test_a_dead_engine_is_started_again(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Nginx killed under a living agent: the edge says so, starts it again and serves what it served."""
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=1) as fleet, fleet.store() as store:
        await deployer.push(store, ONE)
        for pid in list(fleet.first.engine_processes()):
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: shows(fleet.first, ONE), within=20, ignoring=(OSError,))
        await fleet.until_ready()
        assert "does not answer" in fleet.first.log
