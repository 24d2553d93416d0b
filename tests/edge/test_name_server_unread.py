"""Name servers of a real fleet whose store has values that they cannot read, over restarts."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import dns.exception
import dns.rcode
import pytest

from deploying import Deployer
from edgeward.store.buckets import Bucket
from fleet import EdgeProcess
from name_servers import NEAR, ask, sends, steering
from waiting import eventually


async def spoil(bucket: Bucket, key: str) -> bytes:
    """Put a value of a later major version there, as a newer program may; returns what was there."""
    found = await bucket.get(key)
    assert found is not None
    value = {**json.loads(found.value), "schema": [99, 0]}
    await bucket.put(key, json.dumps(value, separators=(",", ":"), sort_keys=True).encode())
    return found.value


async def restart(edge: EdgeProcess, *unread: str) -> None:
    """Restart an edge; returns when it has read the store and said that it cannot read these keys."""
    await edge.stop()
    await edge.start()

    async def said() -> bool:
        problems = (await edge.health())["problems"]
        return all(any(f"{key} in the store cannot be used" in each for each in problems) for key in unread)

    await eventually(said, within=30, ignoring=(OSError, AssertionError))


async def name_servers(server: EdgeProcess) -> set[str]:
    """The NS records of the zone, as a server has them."""
    return {str(rdata) for rrset in (await ask(server, "example.test", "NS")).answer for rdata in rrset}


async def rcode(server: EdgeProcess, name: str, kind: str = "A") -> dns.rcode.Rcode:
    return (await ask(server, name, kind, client=NEAR["fra"])).rcode()


async def watched(server: EdgeProcess, near: EdgeProcess) -> None:
    """Ask for two seconds (eight looks of the agent) for all that was there before, which still is."""
    for _ in range(20):
        for name in ("www.example.test", "blog.fleet.test"):
            answer = await ask(server, name, client=NEAR[near.name])
            assert [str(rdata) for rrset in answer.answer for rdata in rrset] == [near.address], name
        assert await name_servers(server) == {"ns-fra.fleet.test.", "ns-iad.fleet.test."}
        assert await rcode(server, "nothing.example.test") == dns.rcode.NXDOMAIN
        await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_what_cannot_be_read_is_answered_as_before_a_restart(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A hostname's claim, a site's live pointer, an edge's record, the settings: each keeps names and edges as they
    were, over one restart and the next. Without a view on the disk such names are SERVFAIL, never NXDOMAIN.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:
        fra, iad = fleet["fra"], fleet["iad"]
        spoilt: list[str] = []
        good: dict[str, bytes] = {}
        for bucket, key in ((store.hosts, "www.example.test"), (store.edges, "fra"), (store.live, "blog")):
            good[key] = await spoil(bucket, key)
            spoilt.append(f"{bucket.name}/{key}")
            await restart(iad, *spoilt)
            await watched(iad, fra)
        await restart(iad, *spoilt)
        await watched(iad, fra)
        settings = await spoil(store.fleet, "dns")
        await restart(iad, *spoilt, "fleet/dns")
        await watched(iad, fra)
        await store.fleet.put("dns", settings)

        await iad.stop()
        (iad.data / "dns" / "view.json").unlink()
        (iad.data / "edges.json").unlink()
        await iad.start()
        for name in ("www.example.test", "blog.fleet.test", "ns-fra.fleet.test"):
            await eventually(
                lambda name=name: is_unsure(iad, name), within=30, ignoring=(OSError, dns.exception.Timeout)
            )
        assert await rcode(iad, "www.example.test", "MX") == dns.rcode.SERVFAIL
        assert await rcode(iad, "example.test", "SOA") == dns.rcode.NOERROR
        assert await rcode(iad, "nothing.example.test") == dns.rcode.NXDOMAIN
        for bucket, key in ((store.hosts, "www.example.test"), (store.edges, "fra"), (store.live, "blog")):
            await bucket.put(key, good[key])
        await eventually(lambda: sends(iad, NEAR["fra"], fra.address), within=30)
        assert await rcode(iad, "ns-fra.fleet.test") == dns.rcode.NOERROR


async def is_unsure(server: EdgeProcess, name: str) -> bool:
    """Whether a name is SERVFAIL; it never is one that does not exist."""
    found = await rcode(server, name)
    assert found != dns.rcode.NXDOMAIN
    return found == dns.rcode.SERVFAIL
