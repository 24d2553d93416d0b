"""Name servers of a real fleet whose agent alone is frozen: their workers and nginx go on."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.rcode

from deploying import Deployer
from fleet import EdgeProcess
from name_servers import NEAR, WITHIN, ask, named, seconds_until_gone, sends_home, steering
from waiting import eventually


@contextmanager
def frozen(edge: EdgeProcess) -> Iterator[None]:
    """Stop an edge's agent, and nothing else."""
    assert edge.process is not None
    os.kill(edge.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(edge.process.pid, signal.SIGCONT)


async def code(server: EdgeProcess, name: str, *, client: str = NEAR["fra"], kind: str = "A") -> dns.rcode.Rcode:
    return (await ask(server, name, kind, client=client)).rcode()


async def test_a_server_whose_agent_is_frozen_steers_nobody(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Five seconds later every steered name is SERVFAIL there, whatever it has just answered, and static records are
    answered; the other servers go on, and its edge is named, since its nginx serves. It steers again within a second of
    its agent's being let go.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        fra, iad = fleet["fra"], fleet["iad"]
        assert await sends_home(fleet, iad)
        with frozen(iad):
            seconds = max(
                await asyncio.gather(*(seconds_until_gone([iad], NEAR[each.name], each.address) for each in fleet))
            )
            print(f"\nagent frozen: last steered {seconds:.2f} s later")
            assert 2.0 < seconds <= WITHIN
            for client in NEAR.values():
                for kind in ("A", "AAAA"):
                    assert await code(iad, "www.example.test", client=client, kind=kind) == dns.rcode.SERVFAIL
            assert await code(iad, "_acme-challenge.www.fleet.test", kind="TXT") == dns.rcode.SERVFAIL
            assert await code(iad, "example.test", kind="SOA") == dns.rcode.NOERROR
            assert await sends_home(fleet, fra)
        await eventually(lambda: sends_home(fleet, iad), within=1)


async def test_a_server_whose_agent_is_frozen_does_not_name_an_edge_that_dies_meanwhile(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Nor does any other: five seconds after the agent was frozen and another edge killed, nobody is sent there."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, syd = fleet["iad"], fleet["syd"]
        with frozen(iad):
            began = time.monotonic()
            await syd.kill()
            taken = time.monotonic() - began
            seconds = taken + await seconds_until_gone([fleet["fra"], iad], NEAR["syd"], syd.address)
            print(f"\nagent frozen, another edge killed: last named {seconds:.2f} s later")
            assert seconds <= WITHIN
        await eventually(lambda: code_is_good(iad), within=1)
        assert await seconds_until_gone([iad], NEAR["syd"], syd.address) <= WITHIN


async def code_is_good(server: EdgeProcess) -> bool:
    return await code(server, "www.example.test", client=NEAR["syd"]) == dns.rcode.NOERROR


async def test_an_agent_that_goes_on_names_no_edge_that_died_while_it_stood_still(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """In a fleet of two nobody else tells it: it looks before it says anything of the other."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet:
        fra, iad = fleet["fra"], fleet["iad"]
        with frozen(iad):
            await fra.kill()
            await eventually(lambda: code_is(iad, dns.rcode.SERVFAIL), within=8)
        answers: list[set[str]] = []

        async def steered_again() -> bool:
            answers.append(await named(iad, NEAR["fra"]))
            return bool(answers[-1])

        await eventually(steered_again, within=10)
        for _ in range(100):
            answers.append(await named(iad, NEAR["fra"]))
        assert {address for each in answers for address in each} == {iad.address}


async def code_is(server: EdgeProcess, wanted: int) -> bool:
    return await code(server, "www.example.test", client=NEAR["fra"]) == wanted
