"""Generated releases and requests: every engine answers what `core.resolve` says, in status, fields and body."""

import random
from collections.abc import Iterator

import pytest

from conformance.engines import EDGE, ENGINES, Running, running
from conformance.generate import make_sites
from conformance.sites import Built, Shelf, view_of
from conformance.test_conformance import flat
from conformance.wire import Ask, Got, Wire
from edgeward.core.resolve import resolve

SITES = 20
REQUESTS = 20
"""Sites for one activation, and requests to each: 400 pairs."""


@pytest.fixture(params=list(ENGINES))
def engine(request) -> Iterator[Running]:
    with running(request.param) as found:
        yield found


def compare(engine: Running, seed: int, sites: int, requests: int) -> tuple[int, list[str]]:
    """Serve generated sites, ask each of them; return how many were asked and what differed."""
    maker, built = make_sites(seed, sites, rude=engine.name != "preview")
    view = view_of(EDGE, built)
    engine.activate(Shelf(engine.folder).serve(EDGE, built))
    differences: list[str] = []
    asked = 0
    with Wire(engine.address) as wire:
        for site in built:
            for _ in range(requests):
                ask = maker.ask(site, view)
                wanted = flat(resolve(view, ask.to_request()), site)
                asked += 1
                try:
                    got = wire.ask(ask)
                except (OSError, EOFError, AssertionError, ValueError) as error:
                    wire.close()
                    differences.append(f"{error!r}\n{described(seed, site, ask)}")
                    continue
                if got.comparable() != wanted:
                    differences.append(f"{difference(wanted, got)}\n{described(seed, site, ask)}")
    return asked, differences


def difference(wanted: tuple[int, list[tuple[str, str]], bytes], got: Got) -> str:
    """What differs, in a few lines."""
    status, fields, body = got.comparable()
    lines = [f"status: wanted {wanted[0]}, got {status}"] if status != wanted[0] else [f"status: {status}"]
    lines += [f"  missing  {name}: {value}" for name, value in wanted[1] if (name, value) not in fields]
    lines += [f"  surplus  {name}: {value}" for name, value in fields if (name, value) not in wanted[1]]
    if sorted(fields) != sorted(wanted[1]) and len(lines) == 1:
        lines.append("  the same fields another number of times")
    if body != wanted[2]:
        lines.append(f"  body: wanted {wanted[2][:80]!r}, got {body[:80]!r}")
    return "\n".join(lines)


def described(seed: int, built: Built, ask: Ask) -> str:
    """All that is needed to see a difference again."""
    site = built.site
    return (
        f"seed {seed}, site {site.name}: {dict(site.settings)}\n"
        f"files: {sorted(site.files)}\nkept: {sorted(site.kept)}\n"
        f"_redirects:\n{site.redirects}_headers:\n{site.headers!s}"
        f"request: {ask.to_bytes()!r}\n"
    )


def check(engine: Running, seed: int, sites: int, requests: int) -> int:
    """Compare and fail with the first few differences."""
    asked, differences = compare(engine, seed, sites, requests)
    if differences:
        shown = "\n".join(differences[:3])
        pytest.fail(f"{len(differences)} of {asked} answers differ; the first:\n{shown}", pytrace=False)
    return asked


def test_generated_sites_are_answered_as_resolve_says(engine: Running):
    """400 generated (release, request) pairs: the same status, fields and body."""
    assert check(engine, 1, SITES, REQUESTS) >= 200


@pytest.mark.long
def test_many_generated_sites_are_answered_as_resolve_says(engine: Running):
    """2,000 pairs from fixed seeds and 2,000 from seeds that are new each time (named when one fails)."""
    fresh = random.SystemRandom().randrange(1_000_000)
    asked = sum(check(engine, seed, 25, 40) for seed in (2, 3, fresh, fresh + 1))
    assert asked == 4000
