"""What the edges of a fleet think of each other, as their metrics say."""

import asyncio
import re

from fleet import EdgeProcess, Fleet
from waiting import eventually

_OUT = re.compile(r'edgeward_edge_out\{edge="([^"]+)"\} 1')
_UP = re.compile(r'edgeward_edge_up\{edge="([^"]+)"\} 1')
_KNOWN = re.compile(r'edgeward_edge_up\{edge="([^"]+)"\}')
_SILENT = re.compile(r'edgeward_edge_silent\{edge="([^"]+)",family="([^"]+)"\}')
_PROBED = re.compile(r'edgeward_probe_seconds\{edge="([^"]+)"\}')
_LACKS = re.compile(r'edgeward_edge_lacks_live\{site="([^"]+)",edge="([^"]+)"\}')


async def out(edge: EdgeProcess) -> set[str]:
    """Edges that no answer of this one would name."""
    return set(_OUT.findall(await edge.metrics()))


async def settled(fleet: Fleet) -> None:
    """Wait until each edge knows all others, has none out, and probes those that it observes: in a fleet of up to six
    all, in a larger one the first, which has the state server.
    """
    wanted = {edge.name for edge in fleet}
    observed = wanted if len(wanted) <= 6 else {fleet.first.name}

    async def all_up() -> bool:
        found = [await edge.metrics() for edge in fleet]
        seen = [probed(text) for text in found]
        assert all(set(_UP.findall(text)) == wanted and not _OUT.findall(text) for text in found)
        return all(those >= observed - {edge.name} for edge, those in zip(fleet, seen, strict=True))

    await eventually(all_up, within=10 + 4 * len(wanted), ignoring=(OSError,), what="every edge to see every other")


async def known(edge: EdgeProcess) -> set[str]:
    """Edges that this one judges."""
    return set(_KNOWN.findall(await edge.metrics()))


def probed(metrics: str) -> set[str]:
    """Edges that a probe of this one has reached."""
    return set(_PROBED.findall(metrics))


async def everywhere_out(edges: list[EdgeProcess], name: str) -> bool:
    found = await asyncio.gather(*(out(edge) for edge in edges))
    return all(each == {name} for each in found)


async def lacks(edge: EdgeProcess) -> set[tuple[str, str]]:
    return set(_LACKS.findall(await edge.metrics()))


async def silent(edge: EdgeProcess) -> set[tuple[str, str]]:
    return set(_SILENT.findall(await edge.metrics()))


async def disconnected(edge: EdgeProcess) -> bool:
    return "edgeward_store_connected 0" in await edge.metrics()


async def all_in(edges: list[EdgeProcess]) -> bool:
    return all([not await out(edge) for edge in edges])
