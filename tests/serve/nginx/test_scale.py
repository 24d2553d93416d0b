"""Many sites and many rules on one nginx: they work, and what they cost is printed."""

import asyncio
import time
from pathlib import Path

import pytest

from conformance.sites import Shelf, Site, build
from conformance.wire import Ask, Wire
from edgeward.core.redirects import MAX_RULES
from edgeward.serve.engine import ServedView


def memory(pids: list[int]) -> float:
    """Proportional share of memory of processes, in MB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def site_number(number: int) -> Site:
    """A small site; every third has rules, headers and a page of its own for what is missing."""
    files = {"/index.html": f"site {number} ".encode() * 40, "/about.html": f"about {number} ".encode() * 40}
    if number % 3:
        return Site(f"s{number}", files)
    return Site(
        f"s{number}",
        {**files, "/404.html": b"nothing here " * 30, "/docs/404.html": b"no docs " * 40},
        f"/old/* /new{number}/:splat 301\n/go https://other.test/{number} 302\n/app/* /index.html 200\n",
        f"/*\n  X-Frame-Options: DENY\n/about\n  X-Number: {number}\n  Cache-Control: max-age={number}\n",
    )


def serve_many(shelf: Shelf, count: int) -> ServedView:
    """Stage that many sites."""
    return shelf.serve("fra", [build(site_number(number)) for number in range(count)])


async def check_many(bench, count: int) -> None:
    """Serve `count` sites, ask all of them, switch once, and print the costs."""
    view = serve_many(bench.shelf, count)
    engine = bench.engine(access_log=False)
    start = time.monotonic()
    await engine.start(view)
    started = time.monotonic() - start
    with Wire(bench.address) as wire:
        for number in range(count):
            assert wire.ask(Ask("/", f"s{number}.test")).body == f"site {number} ".encode() * 40
            if number % 3:
                continue
            host = f"s{number}.test"
            assert wire.ask(Ask("/old/a/b?c", host)).values("location") == [f"/new{number}/a/b?c"]
            assert wire.ask(Ask("/about", host)).values("x-number") == [str(number)]
            assert wire.ask(Ask("/app/x", host)).status == 200
            assert wire.ask(Ask("/docs/x", host)).body == b"no docs " * 40
    start = time.monotonic()
    await engine.activate(view)
    switched = time.monotonic() - start
    size = (bench.settings.folder / "nginx.conf").stat().st_size
    pids = [bench.master(), *bench.workers(bench.master())]
    print(
        f"{count} sites: configuration {size / 1e6:.1f} MB, start {started:.2f} s, switch {switched:.2f} s, "
        f"nginx {memory(pids):.0f} MB"
    )
    await engine.stop()


async def test_a_hundred_sites_on_one_edge(bench):
    """Each answers with its own pages, rules and headers."""
    await check_many(bench, 100)


@pytest.mark.long
async def test_a_thousand_sites_on_one_edge(bench):
    """Each answers with its own pages, rules and headers; memory and time of a switch are printed."""
    await check_many(bench, 1000)


async def test_as_many_rules_as_a_site_may_have(bench):
    """10,000 rules, most of them for one path each: the right one answers, also where paths differ by case alone."""
    exact = [f"/Old/Page{number} /new/{number}?from=list" for number in range(MAX_RULES - 10)]
    others = [
        "/old/page5 /lower 302",
        "/first/* /open/:splat",
        "/first/page /never",
        "/q id=:id /query/:id 302",
        "/q /no-query 302",
        "/long/:a/:b/* /short/:b/:a/:splat 307",
        "/f/* /forced 301!",
        "/gone 410",
        "/served /index.html 200",
        "/last /end#here 308",
    ]
    site = build(Site("rules", {"/index.html": b"x" * 300}, "\n".join([*others[:3], *exact, *others[3:]])))
    engine = bench.engine()
    await asyncio.to_thread(bench.shelf.serve, "fra", [site])
    start = time.monotonic()
    await engine.start(bench.shelf.serve("fra", [site]))
    print(f"{MAX_RULES} rules: start {time.monotonic() - start:.2f} s, {memory(bench.workers(bench.master())):.0f} MB")
    asked = {
        "/Old/Page0": "/new/0?from=list",
        "/Old/Page9989/?a=b": "/new/9989?from=list&a=b",
        "/Old/Page5": "/new/5?from=list",
        "/old/page5": "/lower",
        "/first/page": "/open/page",
        "/q?id=7&x": "/query/7?x",
        "/q?x": "/no-query?x",
        "/long/1/2/3/4": "/short/2/1/3/4",
        "/f/x": "/forced",
        "/last?q": "/end?q#here",
    }
    with Wire(bench.address) as wire:
        for target, location in asked.items():
            assert wire.ask(Ask(target, "rules.test")).values("location") == [location], target
        assert wire.ask(Ask("/OLD/PAGE0", "rules.test")).status == 404
        assert wire.ask(Ask("/gone", "rules.test")).status == 410
        assert wire.ask(Ask("/served", "rules.test")).body == b"x" * 300
    await engine.stop()
