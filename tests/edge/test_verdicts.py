"""Verdicts of real edges on each other: what dies is out within seconds, and what only looks so is not."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploying import ONE, TWO, Deployer, shows
from edgeward.core.fleet import EdgeRecord, VerdictRecord
from edgeward.store.connection import Store
from fleet import EdgeProcess, running_fleet
from verdicts import all_in, disconnected, everywhere_out, known, lacks, out, probed, settled
from waiting import eventually
from webhook import Hook

WITHIN = 5.0
"""Seconds from a fault to the last answer that may name the edge."""


async def seconds_until(condition: Callable[[], object], *, within: float = 30.0) -> float:
    """Ask 20 times a second until `condition` holds; return how long that took."""
    began = time.monotonic()
    await eventually(condition, within=within, every=0.05)
    return time.monotonic() - began


def freeze(edge: EdgeProcess, number: int) -> None:
    """Send a signal to all processes of an edge: agent, HTTP engine, state server."""
    assert edge.process is not None
    for pid in (edge.process.pid, *edge.engine_processes(), *state_server(edge)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def state_server(edge: EdgeProcess) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        yield int((edge.data / "state/server.pid").read_text())


@asynccontextmanager
async def frozen(edge: EdgeProcess) -> AsyncIterator[None]:
    freeze(edge, signal.SIGSTOP)
    try:
        yield
    finally:
        freeze(edge, signal.SIGCONT)


async def kill(edge: EdgeProcess) -> None:
    """End all of an edge at once, as a power cut would."""
    engine, state = list(edge.engine_processes()), list(state_server(edge))
    assert edge.process is not None
    for pid in (edge.process.pid, *engine, *state):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("edges", "victim"),
    [(2, "fra"), (2, "iad"), (3, "fra"), (3, "syd"), pytest.param(8, "fra", marks=pytest.mark.long)],
)
async def test_an_edge_that_is_frozen_or_killed_is_out_within_five_seconds(
    tmp_path: Path, loopback_addresses: Callable[[], str], edges: int, victim: str
) -> None:
    """Asked 20 times a second, every other edge has it out: in a fleet of two whichever it is, the one with the state
    server included. One that goes on again is in again. The figures are printed.
    """
    async with running_fleet(tmp_path, loopback_addresses, edges=edges) as fleet:
        await settled(fleet)
        others = [edge for edge in fleet if edge.name != victim]
        async with frozen(fleet[victim]):
            stopped = await seconds_until(lambda: everywhere_out(others, victim))
        back = await seconds_until(lambda: all_in(others))
        await settled(fleet)
        await kill(fleet[victim])
        killed = await seconds_until(lambda: everywhere_out(others, victim))
        print(f"\n{victim} of {edges}: out {stopped:.2f} s after SIGSTOP, {killed:.2f} s after SIGKILL", end="; ")
        print(f"in {back:.2f} s after SIGCONT")
        assert stopped <= WITHIN
        assert killed <= WITHIN


async def test_an_edge_that_was_frozen_accuses_nobody(tmp_path: Path, loopback_addresses: Callable[[], str]) -> None:
    """The seconds in which an agent did not run count for none of those that it probes, however many they were."""
    async with running_fleet(tmp_path, loopback_addresses) as fleet:
        await settled(fleet)
        agent = fleet["iad"].process
        assert agent is not None
        for _ in range(3):
            os.kill(agent.pid, signal.SIGSTOP)
            await asyncio.sleep(2.5)  # the fault itself: longer than two probes may take
            os.kill(agent.pid, signal.SIGCONT)
            end = time.monotonic() + 2.0
            while time.monotonic() < end:
                assert await out(fleet["iad"]) == set()
                await asyncio.sleep(0.05)
        lag = re.search(r"\nedgeward_loop_lag_seconds_total (\S+)", await fleet["iad"].metrics())
        assert lag is not None
        assert float(lag[1]) > 6


async def test_another_edges_name_is_out(tmp_path: Path, loopback_addresses: Callable[[], str]) -> None:
    """An address that answers 200 in the name of another edge than the one it stands for is no edge of that name."""
    async with running_fleet(tmp_path, loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await settled(fleet)
        record = EdgeRecord("gru", "GRU", (fleet["iad"].address,), port=8080)
        await store.edges.create("gru", record.to_bytes())
        await eventually(lambda: everywhere_out(list(fleet), "gru"), within=WITHIN + 2)

        async def written() -> VerdictRecord:
            found = await store.verdicts.get("gru")
            assert found is not None
            return VerdictRecord.from_bytes(found.value)

        assert "says that it is edge 'iad'" in (await eventually(written)).because[0]
        await store.edges.delete("gru")

        async def forgotten() -> bool:
            found = [await known(edge) for edge in fleet]
            return found == [{"fra", "iad"}] * 2 and await store.verdicts.get("gru") is None

        await eventually(forgotten)


async def lacks_nothing(edge: EdgeProcess) -> bool:
    return not await lacks(edge)


async def test_an_edge_with_another_than_the_live_release_is_out_for_that_site(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """It has its time of grace, then no answer for the site names it, until it serves the live one."""
    grace = "[health]\ngrace = 2\n"
    more = {"fra": grace, "iad": grace, "syd": "activate_delay = 8\n" + grace}
    async with running_fleet(tmp_path / "fleet", loopback_addresses, more=more) as fleet, fleet.store() as store:
        await settled(fleet)
        await deployer.push(store, ONE, wait=30)
        await eventually(lambda: shows(fleet["syd"], ONE), within=20)
        named = [fleet["fra"], fleet["iad"]]
        for edge in named:
            # It was late with the first release too.
            await eventually(lambda edge=edge: lacks_nothing(edge), within=20)
        began = time.monotonic()
        pushing = asyncio.create_task(deployer.push(store, TWO, wait=2, quorum="any"))
        await eventually(lambda: shows(fleet["fra"], TWO), within=20)
        for edge in named:
            await eventually(lambda edge=edge: lacks(edge), within=8, every=0.05)
            assert await lacks(edge) == {("blog", "syd")}
            assert await out(edge) == set()
        assert not await shows(fleet["syd"], TWO)
        assert time.monotonic() - began >= 2
        for edge in named:

            async def back(edge: EdgeProcess = edge) -> bool:
                if await lacks(edge):
                    return False
                assert await shows(fleet["syd"], TWO)
                return True

            await eventually(back, within=20, every=0.05)
        await pushing


async def test_failover_works_without_the_store(tmp_path: Path, loopback_addresses: Callable[[], str]) -> None:
    """With the state server gone for good, an edge that dies is out within five seconds by each one's own observations,
    and one that was started meanwhile knows from its disk whom to observe. The first edge, whose agent alone has ended,
    serves on and stays in.
    """
    async with running_fleet(tmp_path, loopback_addresses, edges=4) as fleet:
        await settled(fleet)
        await fleet["fra"].stop(signal.SIGHUP)
        for name in ("iad", "syd"):
            await eventually(lambda name=name: disconnected(fleet[name]), within=10)
        await fleet["syd"].stop(signal.SIGHUP)
        await fleet["syd"].start()
        others = [fleet["iad"], fleet["syd"]]

        async def watching() -> bool:
            return len(probed(await fleet["syd"].metrics())) == 3

        await eventually(watching, within=20, ignoring=(OSError,))
        assert [await out(edge) for edge in others] == [set(), set()]
        async with frozen(fleet["sin"]):
            took = await seconds_until(lambda: everywhere_out(others, "sin"))
        print(f"\nSIGSTOP of sin without a store: out after {took:.2f} s")
        assert took <= WITHIN
        await eventually(lambda: all_in(others), within=10)


async def verdict_events(store: Store) -> list[tuple[str, bool]]:
    return [
        (event.facts["edge"], event.facts["up"]) for event in await store.events.recent() if event.kind == "verdict"
    ]


async def test_each_change_of_a_verdict_is_one_event_and_one_alert(
    tmp_path: Path, loopback_addresses: Callable[[], str], loopback_address: str, deployer: Deployer
) -> None:
    """Down and up again are written once for the fleet, with what each observer saw, and told to the webhook of the one
    that wrote them. An edge that comes back is named for a site again when it serves the live release.
    """
    hook = Hook(200)
    server = await asyncio.start_server(hook.answer, loopback_address, 0)
    url = f"http://{loopback_address}:{server.sockets[0].getsockname()[1]}/"
    more = dict.fromkeys(("fra", "iad"), f'[alerts]\nwebhook = "{url}"\n')
    async with running_fleet(tmp_path / "fleet", loopback_addresses, more=more) as fleet, fleet.store() as store:
        await settled(fleet)
        await deployer.push(store, ONE)
        syd, others = fleet["syd"], [fleet["fra"], fleet["iad"]]
        await kill(syd)
        await eventually(lambda: everywhere_out(others, "syd"), within=WITHIN + 2)

        async def told(count: int) -> bool:
            return len(await verdict_events(store)) == count

        await eventually(lambda: told(1))
        event = (await store.events.recent())[-1]
        assert event.text.startswith("edge syd is down: fra: ")
        assert [line.partition(":")[0] for line in event.facts["evidence"]] == ["fra", "iad"]
        await deployer.push(store, TWO, quorum="any", wait=5)
        assert syd.process is not None
        await syd.process.wait()
        await syd.start()

        async def back() -> bool:
            seen = [(await out(edge), await lacks(edge)) for edge in others]
            if any(found != (set(), set()) for found in seen):
                return False
            assert await shows(syd, TWO)
            return True

        await eventually(back, within=30, every=0.05)
        await eventually(lambda: told(2))
        assert await verdict_events(store) == [("syd", False), ("syd", True)]
        ours = [body for body in hook.taken if body["condition"] == "verdict syd"]
        await eventually(
            lambda: [b["state"] for b in hook.taken if b["condition"] == "verdict syd"][-1:] == ["resolved"]
        )
        ours = [body for body in hook.taken if body["condition"] == "verdict syd"]
        assert [(body["edge"], body["state"]) for body in ours] == [("fra", "firing"), ("fra", "resolved")]
        assert ours[0]["message"].startswith("edge syd is down: fra: ")
    server.close()
    await server.wait_closed()


@pytest.mark.long
async def test_flapping_every_second_for_a_minute_is_two_changes_at_most(
    tmp_path: Path, loopback_addresses: Callable[[], str]
) -> None:
    """An edge that is frozen for a second and runs for a second, thirty times, as two others see it."""
    async with running_fleet(tmp_path, loopback_addresses) as fleet:
        await settled(fleet)
        others = [fleet["fra"], fleet["iad"]]
        changes = {edge.name: 0 for edge in others}
        before = {edge.name: await out(edge) for edge in others}
        began = time.monotonic()
        stopped = False
        while (passed := time.monotonic() - began) < 60:
            if stopped != (int(passed) % 2 == 1):
                stopped = not stopped
                freeze(fleet["syd"], signal.SIGSTOP if stopped else signal.SIGCONT)
            for edge in others:
                now = await out(edge)
                changes[edge.name] += now != before[edge.name]
                before[edge.name] = now
            await asyncio.sleep(0.05)
        freeze(fleet["syd"], signal.SIGCONT)
        print(f"\nchanges of verdict in a minute of flapping: {changes}")
        assert max(changes.values()) <= 2
