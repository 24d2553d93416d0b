"""Fleets of name servers to check, on loopback addresses, each with a view of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, bind
from edgeward.dns.view import View
from edgeward.publish.name_check import CheckReport, ask_everything
from edgeward.publish.name_service import Situation

PORT = 5300


def situation_of(addresses: tuple[str, ...], *records: Record) -> Situation:
    """A fleet of one edge, which answers DNS, without sites."""
    return Situation(
        settings=DnsSettings(zone="fleet.test", records=records),
        edges={"fra": EdgeRecord("fra", "FRA", addresses, roles=("dns",), dns_port=PORT)},
        hostnames={},
        out={},
        drained=frozenset(),
    )


@asynccontextmanager
async def answering(address: str, responder: Responder) -> AsyncIterator[None]:
    """A name server on an address, over UDP and TCP."""
    udp, tcp = bind([address], PORT)
    try:
        async with NameServer(responder).serving(udp[0], tcp):
            yield
    finally:
        for each in (*udp[0], *tcp):
            each.close()


def fleet_of(addresses: tuple[str, str], settings: DnsSettings, sites: tuple[str, ...] = ()) -> Situation:
    """A fleet of two edges, which answer DNS."""
    edges = {
        name: EdgeRecord(name, name.upper(), (address,), roles=("dns",), dns_port=PORT)
        for name, address in zip(("fra", "syd"), addresses, strict=True)
    }
    return replace(situation_of(()), settings=settings, edges=edges, hostnames=dict.fromkeys(sites, ()))


async def checked(addresses: tuple[str, str], situation: Situation, *views: View) -> CheckReport:
    """What is found of two real name servers that answer from these views."""
    first, second = (Responder(view, None, secret=b"") for view in views)
    async with answering(addresses[0], first), answering(addresses[1], second):
        return await ask_everything(situation, within=60)
