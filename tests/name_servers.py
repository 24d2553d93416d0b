"""A fleet with name servers, and questions to them as resolvers ask."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message

from deploying import ONE, Deployer
from edgeward.core.dns_settings import DnsSettings
from edgeward.publish.name_service import apply_settings
from fleet import EdgeProcess, Fleet, prepare_fleet, started
from waiting import eventually

PORT = 5300
WITHIN = 5.0
"""Seconds from a fault to the last answer that names the edge."""
NEAR = {"fra": "194.25.0.0", "iad": "8.8.8.0", "syd": "139.130.4.0"}
SETTINGS = DnsSettings(zone="fleet.test", zones=("example.test",))
DNS = f"\n[dns]\nport = {PORT}\nworkers = 1\n"


def workers_of(edge: EdgeProcess) -> list[int]:
    """The processes of an edge's name server."""
    assert edge.process is not None
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            line = (entry.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == edge.process.pid and b"edgeward.dns.worker" in line:
            found.append(int(entry.parent.name))
    return found


async def ask(server: EdgeProcess, name: str, kind: str = "A", *, client: str | None = None) -> dns.message.Message:
    """Ask one name server once, as a resolver that tells its client's network."""
    options = [] if client is None else [dns.edns.ECSOption(client, 24)]
    question = dns.message.make_query(name, kind, options=options, use_edns=0)
    return await dns.asyncquery.udp(question, server.address, port=PORT, timeout=1)


async def named(server: EdgeProcess, client: str, kind: str = "A") -> set[str]:
    """The addresses that a server names for a client; a server that does not answer names none."""
    try:
        answer = await ask(server, "www.example.test", kind, client=client)
    except dns.exception.Timeout:
        return set()
    return {str(rdata) for rrset in answer.answer for rdata in rrset}


@asynccontextmanager
async def steering(
    folder: Path,
    addresses: Callable[[], str],
    deployer: Deployer,
    *,
    edges: int = 3,
    change: Callable[[EdgeProcess], None] = lambda _: None,
) -> AsyncIterator[Fleet]:
    """A fleet with a site and DNS, whose servers all send each client to its nearest edge. change: is called with each
    edge before it is started.
    """
    fleet = prepare_fleet(folder, addresses, edges=edges)
    for edge in fleet:
        edge.config.write_text(edge.config.read_text() + DNS)
        change(edge)
    async with started(fleet):
        async with fleet.store() as store:
            await deployer.push(store, ONE)
            await apply_settings(store, SETTINGS)
        for server in fleet:
            await eventually(lambda server=server: sends_home(fleet, server), within=60, ignoring=(OSError,))
        yield fleet


async def sends_home(fleet: Fleet, server: EdgeProcess) -> bool:
    """Whether a server sends the clients near each edge there."""
    return all([await named(server, NEAR[edge.name]) == {edge.address} for edge in fleet])


async def seconds_until_gone(servers: list[EdgeProcess], client: str, address: str, kind: str = "A") -> float:
    """Ask every server 20 times a second for two seconds past the last answer that names an address; return how many
    seconds after the call that last one came.
    """
    began = last = time.monotonic()
    while time.monotonic() < last + 2.0:
        found = await asyncio.gather(*(named(server, client, kind) for server in servers))
        if any(address in each for each in found):
            last = time.monotonic()
        assert time.monotonic() - began < 30, f"{address} is still named"
        await asyncio.sleep(0.05)
    return last - began


async def sends(server: EdgeProcess, client: str, address: str, kind: str = "A") -> bool:
    """Whether a server sends a client to one address alone."""
    return await named(server, client, kind) == {address}
