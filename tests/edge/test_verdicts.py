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

from deploying import ONE, Deployer
from edgeward.core.fleet import EdgeRecord, VerdictRecord
from edgeward.store.connection import Store
from fleet import EdgeProcess, Fleet, running_fleet
from waiting import eventually

WITHIN = 5.0
"""Seconds from a fault to the last answer that may name the edge."""

_OUT = re.compile(r'edgeward_edge_out\{edge="([^"]+)"\} 1')
_UP = re.compile(r'edgeward_edge_up\{edge="([^"]+)"\} 1')
_KNOWN = re.compile(r'edgeward_edge_up\{edge="([^"]+)"\}')
_LACKS = re.compile(r'edgeward_edge_lacks_live\{site="([^"]+)",edge="([^"]+)"\}')


async def out(edge: EdgeProcess) -> set[str]:
    """Edges that no answer of this one would name."""
    return set(_OUT.findall(await edge.metrics()))


async def settled(fleet: Fleet, *names: str) -> None:
    """Wait until each edge knows all others and has none out."""
    wanted = {edge.name for edge in fleet}

    async def all_up() -> bool:
        found = [await edge.metrics() for edge in fleet if not names or edge.name in names]
        probed = [set(re.findall(r'edgeward_probe_seconds\{edge="([^"]+)"\}', text)) for text in found]
        assert all(set(_UP.findall(text)) == wanted and not _OUT.findall(text) for text in found)
        asking = [edge for edge in fleet if not names or edge.name in names]
        return all(seen == wanted - {edge.name} for edge, seen in zip(asking, probed, strict=True))

    await eventually(all_up, within=20, ignoring=(OSError,), what="every edge to see every other")


async def seconds_until(condition: Callable[[], object], *, within: float = 30.0) -> float:
    """Ask 20 times a second until `condition` holds; return how long that took."""
    began = time.monotonic()
    await eventually(condition, within=within, every=0.05)
    return time.monotonic() - began


async def everywhere_out(edges: list[EdgeProcess], name: str) -> bool:
    found = await asyncio.gather(*(out(edge) for edge in edges))
    return all(each == {name} for each in found)


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


@pytest.mark.parametrize(("edges", "victim"), [(2, "fra"), (2, "iad"), (3, "fra"), (3, "syd")])
@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP"])
async def test_an_edge_that_is_killed_or_frozen_is_out_within_five_seconds(
    tmp_path: Path, loopback_addresses: Callable[[], str], edges: int, victim: str, fault: str
) -> None:
    """Asked 20 times a second, every other edge has it out: in a fleet of two whichever it is, the one with the state
    server included. The figure is printed.
    """
    async with running_fleet(tmp_path, loopback_addresses, edges=edges) as fleet:
        await settled(fleet)
        others = [edge for edge in fleet if edge.name != victim]
        async with contextlib.AsyncExitStack() as stack:
            if fault == "SIGKILL":
                await kill(fleet[victim])
            else:
                await stack.enter_async_context(frozen(fleet[victim]))
            took = await seconds_until(lambda: everywhere_out(others, victim))
        print(f"\n{fault} of {victim} in a fleet of {edges}: out everywhere after {took:.2f} s")
        assert took <= WITHIN
