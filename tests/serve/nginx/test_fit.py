"""What nginx could not read is refused when it is pushed; everything else it does read."""

from bisect import bisect_left
from dataclasses import replace

import pytest

from conformance.sites import Built, Site, build
from conformance.wire import Ask, Wire
from edgeward.core.site import SiteSettings
from edgeward.errors import InputError
from edgeward.publish.build import draft
from edgeward.serve.nginx.fit import misfits
from publishing import write_site

INDEX = {"/index.html": b"x" * 300}
RULES = {
    "dots": lambda size: f"/{'.' * size}x /to",
    "wide": lambda size: f"/{'日' * size}/* /to/:splat",
    "names": lambda size: f"/{'/'.join(f':{number}' for number in range(size // 5))} /to/:0",
    "parameter": lambda size: f"/a {'.' * size}=:v /to/:v",
    "parameters": lambda size: f"/a {' '.join(f'p{number}=:{number}' for number in range(size // 12))} /to",
    "cookies": lambda size: f"/a /to 302 Cookie={'.' * size}",
    "all": lambda size: f"/{'.' * (size // 2)}x/* {'.' * (size // 4)}=:v /to/:v 302 Cookie={'.' * (size // 4)}",
    "page": lambda size: f"/{'é' * size}/* /:splat 200",
}
BLOCKS = {
    "dots-block": lambda size: f"/{'.' * size}x\n  X-A: b",
    "wide-block": lambda size: f"/{'日' * size}/*\n  X-A: :splat",
    "glob-block": lambda size: f"/{'é' * size}*.js\n  X-A: :splat",
}
LONGEST = 1_900


def site_of(kind: str, size: int) -> Built:
    """A site with a rule or block of that kind and size."""
    return build(Site(kind, INDEX, RULES[kind](size) if kind in RULES else "", block_of(kind, size)))


def block_of(kind: str, size: int) -> str:
    """The block of that kind, if it is one."""
    return BLOCKS[kind](size) if kind in BLOCKS else ""


def fits(kind: str, size: int) -> bool:
    """Whether a push takes it."""
    return not list(misfits(site_of(kind, size).manifest))


async def test_the_longest_patterns_that_a_push_takes_are_read_by_nginx(bench):
    """Of each kind the longest, all on one edge; and of each kind there is one that is too long."""
    sites = []
    for kind in (*RULES, *BLOCKS):
        assert fits(kind, 10)
        assert not fits(kind, LONGEST)
        longest = bisect_left(range(LONGEST), True, key=lambda size, kind=kind: not fits(kind, size + 10)) + 9
        sites.append(site_of(kind, longest))
    engine = bench.engine()
    await engine.start(bench.shelf.serve("fra", sites))
    with Wire(bench.address) as wire:
        for site in sites:
            assert wire.ask(Ask("/", site.site.hostnames[0])).status == 200
    await engine.stop()


async def test_hundreds_of_immutable_patterns_and_a_page_full_of_dollars_work(bench):
    """Neither becomes one token that is too long."""
    page = "/" + "$" * 200 + "/" + "$" * 200 + ".html"
    files = {**INDEX, "/folder-number-299/x.txt": b"kept", "/y.txt": b"not", page: b"dollars"}
    patterns = tuple(f"/folder-number-{number}/*" for number in range(300))
    site = build(Site("fit", files, f"/to-dollars {page} 200\n"))
    manifest = replace(site.manifest, settings=replace(site.manifest.settings, immutable=patterns))
    assert not list(misfits(manifest))
    engine = bench.engine()
    await engine.start(bench.shelf.serve("fra", [replace(site, manifest=manifest)]))
    with Wire(bench.address) as wire:
        assert "immutable" in wire.ask(Ask("/folder-number-299/x.txt", "fit.test")).values("cache-control")[0]
        assert "immutable" not in wire.ask(Ask("/y.txt", "fit.test")).values("cache-control")[0]
        assert wire.ask(Ask("/to-dollars", "fit.test")).body == b"dollars"
    await engine.stop()


def test_what_does_not_fit_is_told_with_everything_else(tmp_path):
    """File and line of rule and block, in the one report of a push."""
    long = "日" * 900
    folder = write_site(
        tmp_path / "s",
        {"index.html": "x", "_redirects": f"/a /b\n/{long} /c\n/x /y 999\n", "_headers": f"/{long}\n  X-A: b\n"},
    )
    settings = SiteSettings("fit", ("fit.test",), immutable=(f"/{'.' * 2000}",))
    with pytest.raises(InputError) as caught:
        draft(folder, settings, cache=None)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("_headers", 1), ("_redirects", 2), ("_redirects", 3), ("edgeward.toml", 0),
    ]  # fmt: skip
    assert caught.value.problems[1].message == (
        "what the rule asks of a request is too long: 8,158 bytes when escaped; at most 4,000 are allowed"
    )


def test_an_error_page_below_a_thousand_backslashes_does_not_fit():
    """Each becomes four bytes of configuration; half as many do."""
    deep = "/".join(["\\" * 240] * 4 + ["\\" * 50])
    manifest = build(Site("fit", {**INDEX, f"/{deep}/404.html": b"x"})).manifest
    assert [problem.file for problem in misfits(manifest)] == [f"{deep}/404.html"]
    shallow = "/".join(["\\" * 240] * 2)
    assert not list(misfits(build(Site("fit", {**INDEX, f"/{shallow}/404.html": b"x"})).manifest))


async def test_buffers_are_as_large_as_one_answer_needs(bench):
    """2,000 pages with a policy of their own each: a request on the detour takes the memory for one of them."""
    policy = "default-src 'self' " + " ".join(f"https://{number}.example" for number in range(40))
    blocks = "".join(
        f"/page {number}\n".replace(" ", "") + f"  Content-Security-Policy: {policy}\n" for number in range(2000)
    )
    engine = bench.engine()
    await engine.start(bench.shelf.serve("fra", [build(Site("fit", INDEX, "", blocks))]))
    assert "proxy_buffer_size 16384;" in (bench.settings.folder / "nginx.conf").read_text()
    with Wire(bench.address) as wire:
        assert wire.ask(Ask("/%70age7", "fit.test")).status == 404
        assert wire.ask(Ask("/%70age7", "fit.test")).values("content-security-policy") == [policy]
    await engine.stop()
