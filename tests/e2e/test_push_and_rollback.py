"""From a folder to three edges and back, with the program as people run it."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from edgeward.store.layout import BLOBS
from moves import generations, switches, watched_move
from publishing import write_site

SITE = {
    "edgeward.toml": '[site]\nname = "www"\nhostnames = ["www.example.test", "example.test"]\n',
    "index.html": "<!doctype html>" + "<p>the first version of the front page</p>" * 20,
    "about.html": "<!doctype html>about",
    "assets/app.0a1b2c3d4e.js": "console.log(1)" * 40,
    "404.html": "<!doctype html>nothing here",
    "_redirects": "/old/* /about 301\n/gone 410\n",
    "_headers": "/*\n  X-Made-By: edgeward\n",
}


@pytest.fixture
def site(tmp_path) -> Path:
    """A small site with one of everything."""
    return write_site(tmp_path / "site", SITE)


async def _live(fleet) -> set[str]:
    answers = await asyncio.gather(*(edge.get("/") for edge in fleet))
    assert {answer.status for answer in answers} == {200}
    return {answer.headers["x-edgeward"].split()[1] for answer in answers}


async def test_a_push_is_live_on_every_edge_when_it_ends(fleet, ask, site):
    """Push, look, verify everything: every edge serves the release that the push named, with no difference."""
    pushed = await ask("push", site, "--json", "-m", "one")
    assert pushed.code == 0, pushed.err
    result = json.loads(pushed.out)
    assert result["outcome"] == "released"
    assert {edge["edge"] for edge in result["moved"]["edges"]} == {edge.name for edge in fleet}
    assert await _live(fleet) == {result["release"][:12]}
    verified = await ask("verify", "www", "--all")
    assert verified.code == 0, verified.out + verified.err
    assert "no difference" in verified.out
    again = await ask("push", site)
    assert again.code == 0
    assert "nothing changed" in again.out
    assert len(json.loads((await ask("releases", "www", "--json")).out)["releases"]) == 1


async def test_rollback_needs_no_upload_and_takes_the_time_of_one_switch(fleet, ask, site):
    """The second push uploads what changed alone; the way back moves the pointer and nothing else: no blob is written
    to the store or to an edge, nothing is staged, and each nginx is reloaded once, as by the push. The times are
    printed.
    """
    first = json.loads((await ask("push", site, "--json")).out)
    (site / "about.html").write_text("<!doctype html>about us")
    async with fleet.store() as store:
        before = await generations(fleet)
        async with watched_move(store, fleet, "www") as pushed:
            second = json.loads((await ask("push", site, "--json")).out)
        assert (second["upload_blobs"], second["changes"]["changed"]) == (1, ["/about.html"])
        between = await generations(fleet)
        written, held = await _last_blob(store), {edge.name: _held(edge) for edge in fleet}
        async with watched_move(store, fleet, "www") as back:
            ran = await ask("rollback", "www", "--json")
            assert ran.code == 0, ran.err
        assert await _last_blob(store) == written, "the rollback has uploaded something"
    result = json.loads(ran.out)
    assert (result["release"], result["previous"]) == (first["release"], second["release"])
    assert await _live(fleet) == {first["release"][:12]}
    for edge in fleet:
        assert _held(edge) == held[edge.name], f"{edge.name} has fetched or staged something"
        assert [switch.move for switch in switches(edge, "www")] == ["push", "push", "rollback"]
    after = await generations(fleet)
    assert between == {name: number + 1 for name, number in before.items()}
    assert after == {name: number + 1 for name, number in between.items()}
    print(f"one switch of a push: {pushed}; of a rollback: {back}; the whole command {result['seconds']:.2f} s")
    forward = await ask("rollback", "www", "--to", second["release"][:8])
    assert forward.code == 0, forward.err
    assert await _live(fleet) == {second["release"][:12]}
    assert json.loads((await ask("releases", "www", "--json")).out)["moves"][0]["move"] == "rollback"


async def _last_blob(store) -> int:
    """The number of the newest message in the stream of blobs."""
    return int((await store.jetstream.info(BLOBS, what="count the blobs"))["state"]["last_seq"])


def _held(edge) -> tuple[set[tuple[str, int]], int]:
    """The blobs on an edge's disk with their inodes, and how often it has begun to stage something."""
    blobs = {(path.name, path.stat().st_ino) for path in (edge.data / "blobs").rglob("*") if path.is_file()}
    assert blobs
    return blobs, edge.log.count(": staging release ")


async def test_two_pushes_at_the_same_time_one_wins_the_other_is_told(fleet, ask, site, tmp_path):
    """Exactly one outcome for each: released, or a conflict with code 3; what is served is one of them, whole."""
    assert (await ask("push", site)).code == 0
    copies = []
    for number in range(3):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(site, copy)
        (copy / "index.html").write_text(f"<!doctype html>version {number}")
        (copy / "about.html").write_text(f"<!doctype html>about version {number}")
        copies.append(copy)
    ran = await asyncio.gather(*(ask("push", copy, "--json") for copy in copies))
    won = [json.loads(one.out)["release"] for one in ran if one.code == 0]
    lost = [one for one in ran if one.code != 0]
    assert won
    assert {one.code for one in lost} <= {3}
    for one in lost:
        assert one.err.count("error:") == 1
        assert "hint:" in one.err
    (label,) = await _live(fleet)
    assert label in {release[:12] for release in won}
    answers = {((await edge.get("/")).body[-1:], (await edge.get("/about")).body[-1:]) for edge in fleet}
    assert len(answers) == 1
    assert len(set(answers.pop())) == 1
    listed = {line["release"] for line in json.loads((await ask("releases", "www", "--json")).out)["releases"]}
    assert set(won) <= listed
    assert len(listed) == len(won) + 1, "a push that lost left a release behind"


async def test_status_and_sites_say_what_is_true(fleet, ask, site):
    """Before, between and after: the tables and their JSON."""
    assert (await ask("site", "list")).err.startswith("the fleet has no site yet")
    await ask("push", site)
    shown = (await ask("status")).out
    assert all(edge.name in shown for edge in fleet)
    assert max(map(len, shown.splitlines())) <= 100
    status = json.loads((await ask("status", "--json")).out)
    assert [edge["current"] for edge in status["edges"]] == [True] * 3
    (line,) = json.loads((await ask("site", "list", "--json")).out)
    assert (line["site"], line["edges_live"], sorted(line["hostnames"])) == (
        "www", 3, ["example.test", "www.example.test"],
    )  # fmt: skip
    refused = await ask("site", "rm", "www")
    assert refused.code == 2
    removed = await ask("site", "rm", "www", "--yes")
    assert removed.code == 0, removed.err
    assert {(await edge.get("/")).status for edge in fleet} == {421}


@pytest.mark.parametrize("fleet", ["scrub_rate = 0"], indirect=True, ids=["no scrub, which would mend it"])
async def test_verify_finds_an_edge_that_serves_something_else(fleet, ask, site):
    """One byte that differs on one edge is a difference, named with edge and path; code 1."""
    assert (await ask("push", site)).code == 0
    victim = fleet["iad"]
    for path in victim.data.rglob("about.html"):
        data = path.read_bytes().replace(b"about", b"abouT")
        with path.open("r+b") as file:
            file.write(data)
    verified = await ask("verify", "www", "--all")
    assert verified.code == 1
    assert "iad" in verified.out
    assert "/about" in verified.out
    assert "fra GET" not in verified.out
    listed = json.loads((await ask("verify", "www", "--all", "--json")).out)
    assert {item["edge"] for item in listed["differences"]} == {"iad"}
