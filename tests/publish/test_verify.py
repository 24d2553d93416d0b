"""Verify against real edges: it finds nothing wrong where all is right, and everything that was made wrong."""

from pathlib import Path

import pytest

from edgeward.core.fleet import EdgeRecord
from edgeward.core.site import SiteSettings
from edgeward.errors import NotFoundError
from edgeward.publish.places import Places
from edgeward.publish.progress import Advanced, Event, Finished, Started
from edgeward.publish.push import push
from edgeward.publish.verify import verify
from fleet import running_fleet
from publishing import options, write_site
from waiting import eventually

RULES = """\
/old/* /about.html 301
/blog/:year/:slug /about?y=:year 302
/search q=:q /about?found=:q 303
/forced /about 301!
/here /index.html 200
/gone 410
/missing /about.html 404
/welkom /about 302 Language=nl
/beta /about 302 Cookie=beta
https://www.example.test/only /about 307
"""
HEADERS = """\
/*
  X-Frame-Options: DENY
/assets/*
  Access-Control-Allow-Origin: *
/about
  X-Which: "$uri" {about} ' \\ ;
/old/:name
  Strict-Transport-Security: max-age=1
"""


@pytest.fixture
def rich_site(folder: Path) -> Path:
    """Pages, an error page, a hashed asset, odd names, rules and headers."""
    return write_site(
        folder,
        {
            "404.html": "<p>not here</p>" * 40,
            "docs/index.html": "<p>docs</p>" * 40,
            "docs/404.html": "<p>not in docs</p>",
            "über uns & co/50% #1?.html": "<p>odd</p>",
            "empty.txt": b"",
            "data.json": "[" + "1, " * 300 + "1]",
            "_redirects": RULES,
            "_headers": HEADERS,
        },
    )


async def _known(store, number: int) -> bool:
    """Edges write their records as soon as they have the store."""
    return len(await store.edges.keys()) == number


@pytest.mark.parametrize("engine", ["preview", "nginx"])
async def test_edges_serve_what_was_pushed(tmp_path, loopback_addresses, rich_site, engine) -> None:
    """Every path in every coding, an example of every rule and every hostname, on two edges: no difference."""
    places = Places(tmp_path / "cache", tmp_path / "config")
    async with (
        running_fleet(tmp_path / "fleet", loopback_addresses, edges=2, engine=engine) as fleet,
        fleet.store() as store,
    ):
        await eventually(lambda: _known(store, 2))
        settings = SiteSettings("www", ("www.example.test", "example.test"))
        result = await push(options(rich_site, settings=settings), store, places=places)
        events: list[Event] = []
        report = await verify(store, "www", all_paths=True, progress=events.append)
        assert report.differences == ()
        assert report.good
        assert report.edges == ("fra", "iad")
        assert (report.release, report.paths) == (result.release, result.files)
        assert report.requests > 2 * (result.files + 15)
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        assert all(isinstance(event, Advanced) for event in events[1:-1])
        sampled = await verify(store, "www")
        assert sampled.good
        with pytest.raises(NotFoundError, match="the fleet serves no site 'shop'"):
            await verify(store, "shop")


async def test_a_difference_and_a_silent_edge_are_found(tmp_path, loopback_addresses, rich_site) -> None:
    """An edge whose file was changed on disk is named with path, expected and found; one that is down
    is unreachable.
    """
    places = Places(tmp_path / "cache", tmp_path / "config")
    async with (
        running_fleet(tmp_path / "fleet", loopback_addresses, edges=2, engine="preview") as fleet,
        fleet.store() as store,
    ):
        await eventually(lambda: _known(store, 2))
        settings = SiteSettings("www", ("www.example.test",))
        await push(options(rich_site, settings=settings), store, places=places)
        wrong = b"<p>Short</p>"
        changed = 0
        for file in fleet["iad"].data.rglob("*"):
            if file.is_file() and file.stat().st_size == len(wrong) and file.read_bytes() == b"<p>short</p>":
                file.write_bytes(wrong)
                changed += 1
        assert changed
        await store.edges.put("syd", EdgeRecord("syd", "SYD", (loopback_addresses(),), port=8080).to_bytes())
        report = await verify(store, "www")
        assert not report.good
        assert {(each.edge, each.what) for each in report.differences} == {("iad", "body")}
        assert any("/about.html" in each.request for each in report.differences)
        assert [each.edge for each in report.unreachable] == ["syd"]
