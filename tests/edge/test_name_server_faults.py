"""Name servers of a real fleet when their own machine is in trouble."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import dns.exception

from deploying import Deployer
from name_servers import NEAR, WITHIN, ask, seconds_until_gone, sends, steering
from waiting import eventually


async def test_a_full_disk_holds_no_failover_up(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """What cannot be written is told to the workers all the same, and said to be wrong until it can be written."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, syd = fleet["iad"], fleet["syd"]
        (iad.data / "dns" / ".view.json.new").mkdir()
        await syd.kill()
        seconds = await seconds_until_gone([iad], NEAR["syd"], syd.address)
        print(f"\nkilled, with a disk that cannot be written to: last named {seconds:.2f} s later")
        assert seconds <= WITHIN


async def test_a_restarted_server_names_no_edge_that_was_down_before(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Its first answer, from the disk and without a store, is as its last one was."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        fra, iad, syd = fleet["fra"], fleet["iad"], fleet["syd"]
        await fra.kill()
        await syd.kill()
        await eventually(lambda: sends(iad, NEAR["syd"], iad.address), within=20)
        await iad.stop()
        await iad.start()
        deadline = time.monotonic() + 10
        seen: list[set[str]] = []
        while time.monotonic() < deadline and len(seen) < 100:
            with contextlib.suppress(dns.exception.Timeout, OSError):
                answer = await ask(iad, "www.example.test", client=NEAR["syd"])
                seen.append({str(rdata) for rrset in answer.answer for rdata in rrset})
            await asyncio.sleep(0.05)
        assert seen
        assert all(found == {iad.address} for found in seen), seen[:5]
