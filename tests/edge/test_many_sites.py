"""A thousand small sites on one edge."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_parts import make_release
from edgeward.core.fleet import Pointer
from fleet import running_fleet
from waiting import eventually

SITES = 1000


@pytest.mark.long
async def test_a_thousand_sites_on_one_edge(tmp_path: Path, loopback_addresses: Callable[[], str]) -> None:
    """All of them are fetched by an edge that knows none, served, reported, and served again after a restart; then one
    of them changes. What that took is printed.
    """
    async with running_fleet(tmp_path / "fleet", loopback_addresses, edges=1) as fleet:
        edge = fleet.first
        async with fleet.store() as store:
            for number in range(SITES):
                name = f"site{number}"
                made = await make_release({"/index.html": f"page of {name}"}, site=name).put(store)
                await store.live.put(name, Pointer(name, made.key[1], None, 1, "ann", "push").to_bytes())
            began = time.monotonic()
            await fleet.until_ready(within=300)

            async def all_live() -> bool:
                return len([1 for site in (await edge.health())["sites"].values() if site["live"]]) == SITES

            await eventually(all_live, within=300, every=0.5, ignoring=(TimeoutError,))
            print(f"\n{SITES} sites were live after {time.monotonic() - began:.1f} s; {memory(edge)}")
            for number in (0, 500, SITES - 1):
                answer = await edge.get("/", host=f"site{number}.test")
                assert answer.body == f"page of site{number}".encode()
            status = (await fleet.statuses(store))["fra"]
            assert len(status.sites) == SITES
        await edge.kill()
        began = time.monotonic()
        await edge.start()
        await eventually(lambda: served(edge), within=120, ignoring=(OSError,))
        print(f"serving again {time.monotonic() - began:.1f} s after a kill; {memory(edge)}")
        await fleet.until_ready(within=120)
        async with fleet.store() as store:
            made = await make_release({"/index.html": "changed"}, site="site7").put(store)
            began = time.monotonic()
            await store.live.put("site7", Pointer("site7", made.key[1], None, 1, "ann", "push").to_bytes())
            await eventually(lambda: changed(edge), within=60)
            print(f"one site of {SITES} switched in {time.monotonic() - began:.1f} s")


async def served(edge) -> bool:
    return (await edge.get("/", host="site999.test")).status == 200


async def changed(edge) -> bool:
    return (await edge.get("/", host="site7.test")).body == b"changed"


def memory(edge) -> str:
    """Resident memory of the agent and of nginx, in MiB (shared pages are counted in each)."""

    def rss(pid: int) -> float:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    engine = sum(rss(pid) for pid in edge.engine_processes())
    return f"agent {rss(edge.process.pid):.0f} MiB, nginx {engine:.0f} MiB"
