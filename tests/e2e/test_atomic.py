"""Switches of a whole fleet under load, through agents, pointers and reports, as a push makes them."""

import asyncio
import itertools
import time
from contextlib import ExitStack
from pathlib import Path

from edgeward.core.release import Manifest
from edgeward.publish.catalog import rollback
from edgeward.publish.push import push
from edgeward.publish.releases import read_manifest, read_record
from edgeward.store.connection import Store
from fleet import HTTP_PORT, Fleet
from load import Bodies, Load, bodies_of
from publishing import options, write_site

HOST = "example.test"
PATHS = ("/", *(f"/page{number}" for number in range(6)), "/data.bin")
SWITCHES = 20


def _site(folder: Path, letter: str) -> Path:
    pages = {f"page{number}.html": f"<p>page {number} of {letter}</p>\n" * 40 for number in range(6)}
    return write_site(folder, {"index.html": f"<h1>{letter}</h1>" * 60, "data.bin": letter * 200_000, **pages})


async def _contents(store: Store, release: str) -> tuple[Manifest, dict]:
    manifest = await read_manifest(store, await read_record(store, "blog", release))
    return manifest, {
        variant.digest: await store.blobs.read(variant.digest, variant.size) for variant in manifest.blobs()
    }


async def _two_releases(fleet: Fleet, store: Store, folder: Path) -> tuple[list[str], Bodies]:
    """Push two releases that differ in every file; the second one is live."""
    names = []
    for letter in "AB":
        result = await push(options(_site(folder, letter)), store)
        assert result.moved is not None
        assert len(result.moved.edges) == len(list(fleet))
        names.append(result.release)
    return names, bodies_of([await _contents(store, name) for name in names])


async def test_twenty_switches_of_a_fleet_under_load_mix_nothing_and_lose_nothing(fleet, tmp_path):
    """Twenty moves of the pointer while every edge is asked without a pause over kept connections: no request fails (a
    reused connection that closes before the first byte is asked again once, and counted), no ETag comes with another
    release's body, and no request begun after an edge reported a release live gets the one before it from that edge.
    """
    async with fleet.store() as store:
        names, bodies = await _two_releases(fleet, store, tmp_path / "site")
        moves: list[tuple[float, dict[str, float], str]] = []
        with ExitStack() as stack:
            tallies = {
                edge.name: stack.enter_context(Load((edge.address, HTTP_PORT), HOST, PATHS, bodies, clients=2))
                for edge in fleet
            }
            for number in range(SWITCHES):
                begun = time.monotonic()
                moved = await rollback(store, "blog", to=names[number % 2])
                live = {edge.edge: begun + edge.live for edge in moved.edges if edge.live is not None}
                moves.append((begun, live, names[number % 2][:12]))
                for tally in tallies.values():
                    await asyncio.to_thread(tally.wait_for_more, 10)
            moves.append((time.monotonic(), {}, ""))
    asked = sum(tally.asked for tally in tallies.values())
    closed = sum(tally.closed for tally in tallies.values())
    print(f"{asked} requests to {len(tallies)} edges, {closed} closes of reused connections, {SWITCHES} switches")
    for edge, tally in tallies.items():
        assert tally.faults == []
        for (_, live, label), (following, _, _) in itertools.pairwise(moves):
            late = {got for begun, got in tally.answers if live[edge] <= begun < following}
            assert late == {label}, f"{edge}: {late} after {label} was reported live"
