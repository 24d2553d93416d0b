"""`edgeward preview`: a site on this machine, built again when it changes."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from waiting import eventually_sync


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen
    url: str
    said: Path

    def page(self, path: str = "/") -> tuple[int, str]:
        answer = httpx.get(self.url + path.lstrip("/"))
        return answer.status_code, answer.text

    def words(self) -> str:
        return self.said.read_text()


@pytest.fixture
def site(tmp_path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>one")
    (folder / "about.html").write_text("<!doctype html>about")
    (folder / "_redirects").write_text("/old /about\n")
    return folder


@pytest.fixture
def preview(edgeward, tmp_path):
    @contextlib.contextmanager
    def running(*arguments: str | Path) -> Iterator[Running]:
        out, said = tmp_path / "out", tmp_path / "said"
        with out.open("w") as stdout, said.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgeward", "preview", *map(str, arguments), "--port", "0"],
                stdout=stdout,
                stderr=stderr,
                env=edgeward.environment(),
                cwd=edgeward.home,
            )
        try:
            url = eventually_sync(lambda: process.poll() is None and out.read_text().strip(), within=20)
            yield Running(process, url.replace("localhost", "127.0.0.1"), said)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0
        assert "Traceback" not in said.read_text()

    return running


def test_a_folder_with_no_project_is_served_as_an_edge_would(preview, site):
    """Clean URLs, redirects and the built-in 404 page, on localhost."""
    with preview(site) as running:
        assert running.page("/about") == (200, "<!doctype html>about")
        moved = httpx.get(running.url + "old")
        assert (moved.status_code, moved.headers["location"]) == (301, "/about")
        assert running.page("/nothing")[0] == 404


def test_a_change_is_seen_and_a_broken_site_leaves_the_last_good_one(preview, site):
    """Every problem is told at once; when they are mended the new version is served."""
    with preview(site) as running:
        (site / "_redirects").write_text("/old /about 999\n/x\n")
        (site / "_headers").write_text("  Name: before any path\n")
        (site / "index.html").write_text("<!doctype html>two")
        eventually_sync(lambda: "3 problems" in running.words())
        assert running.page() == (200, "<!doctype html>one")
        (site / "_redirects").unlink()
        (site / "_headers").unlink()
        eventually_sync(lambda: running.page() == (200, "<!doctype html>two"))


def test_the_hostnames_of_the_project_are_served_too(preview, site):
    """A site with a canonical hostname is not redirected away from this machine."""
    (site / "edgeward.toml").write_text('[site]\nname = "a"\nhostnames = ["a.test", "b.test"]\n')
    with preview(site) as running:
        for host in ("a.test", "b.test", "localhost"):
            assert httpx.get(running.url, headers={"Host": host}).status_code == 200
        assert httpx.get(running.url, headers={"Host": "c.test"}).status_code == 421


def test_what_cannot_be_published_is_not_previewed(edgeward, site):
    """At the start every problem is an error, with code 2; --check ends after the look."""
    assert edgeward("preview", site, "--check").code == 0
    (site / "_redirects").write_text("/old /about 999\n/x /y 300\n")
    ran = edgeward("preview", site, "--check")
    assert ran.code == 2
    assert "_redirects:1:" in ran.err
    assert "_redirects:2:" in ran.err


def test_a_port_that_is_taken_is_named(edgeward, site, free_port):
    """The error says which port; code 7."""
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        ran = edgeward("preview", site, "--port", str(port))
    assert ran.code == 7
    assert str(port) in ran.err
