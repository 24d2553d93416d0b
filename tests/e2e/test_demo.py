"""`edgeward demo`, which is what `make demo` runs: it starts, serves, and ends with nothing left."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo_ports import ADDRESSES, free_port
from edgeward.serve.nginx.installed import find_nginx
from waiting import eventually_sync

START_SECONDS = 60
STOP_SECONDS = 40
DEAD_SECONDS = 7
"""In which an edge that was killed cannot be back: the demo starts it after five, and it must answer three times."""


@dataclass
class Demo:
    """A running demo. folder: where its edges keep things."""

    process: subprocess.Popen
    out: Path
    err: Path
    folder: Path
    http_port: int
    store_port: int
    metrics_port: int
    dns_port: int

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def get(self, address: str, path: str = "/", host: str = "www.example.test") -> tuple[int, str, bytes]:
        """Return status, X-Edgeward and body."""
        connection = http.client.HTTPConnection(address, self.http_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.getheader("X-Edgeward", ""), response.read()

    def environment(self) -> dict[str, str]:
        """Return the variables that the demo tells people to export."""
        found = re.search(r"export (EDGEWARD_STORE)=(\S+) (EDGEWARD_TOKEN_FILE)=(\S+)", self.said)
        assert found is not None
        return {found[1]: found[2], found[3]: found[4]}

    def running(self) -> list[str]:
        """Return the command lines of all processes that have to do with this demo."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = str((entry / "cwd").readlink()) if not line else ""
                if str(self.folder) in line + where:
                    found.append(f"{entry.name}: {line}")
        return found

    def processes_of(self, edge: str) -> list[int]:
        """Return the processes of an edge: its agent, its HTTP engine, and what those have started."""
        found = [int(line.partition(":")[0]) for line in self.running() if f"{self.folder}/{edge}/" in line]
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += [int(child) for child in children if int(child) not in found]
        return found

    def listening(self) -> list[tuple[str, int]]:
        """Return where something still accepts connections."""
        found = []
        for address in ADDRESSES:
            for port in (self.http_port, self.store_port, self.metrics_port, self.dns_port):
                with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                    found.append((address, port))
        return found

    def end(self, number: int) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def demo(edgeward, tmp_path) -> Iterator[Callable[..., Demo]]:
    """A function that starts a demo with more arguments and returns when it is ready for people."""
    started: list[Demo] = []

    def start(*arguments: str | Path, data: Path | None = None) -> Demo:
        ports = free_port(), free_port(), free_port(), free_port()
        names = ("--http-port", "--store-port", "--metrics-port", "--dns-port")
        folder = data or tmp_path / f"demo{len(started)}"
        out, err = tmp_path / f"out{len(started)}", tmp_path / f"err{len(started)}"
        options = ["--data", folder, *(each for pair in zip(names, ports, strict=True) for each in pair)]
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgeward", "demo", *map(str, [*arguments, *options])],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=edgeward.environment(),
            )
        running = Demo(process, out, err, folder, *ports)
        started.append(running)

        def is_ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"the demo ended:\n{running.said}")
            return "Ctrl-C ends the demo" in running.said

        try:
            eventually_sync(is_ready, within=START_SECONDS, what="the demo to be ready")
        except AssertionError as error:
            for log in sorted(folder.glob("*/agent.log")):
                error.add_note(f"{log}:\n{log.read_text()[-2000:]}")
            error.add_note(f"the demo said:\n{running.said}")
            raise
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def _assert_gone(demo: Demo) -> None:
    assert demo.running() == []
    assert demo.listening() == []
    assert "Traceback" not in demo.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_demo_serves_its_site_on_three_edges_and_ends_without_a_trace(demo, number):
    """The site that comes with edgeward is live on 127.0.10.1-3 as fra, iad, syd; a signal ends everything, code 0."""
    running = demo()
    pages = [running.get(address) for address in ADDRESSES]
    assert [page[0] for page in pages] == [200, 200, 200]
    assert [page[1].split()[0] for page in pages] == ["fra", "iad", "syd"]
    assert len({page[2] for page in pages}) == 1
    assert running.get(ADDRESSES[1], host="example.test")[0] == 308
    assert running.get(ADDRESSES[2], host=ADDRESSES[2])[0] == 421
    assert len(running.running()) > 3
    assert running.end(number) == 0
    _assert_gone(running)


def test_where_it_says_so_the_lines_to_paste_work(demo, edgeward):
    """The exported variables and the curl line that the demo prints do what they promise."""
    running = demo()
    shown = edgeward("status", "--json", **running.environment())
    assert shown.code == 0, shown.err
    assert shown.out.count('"current": true') == 3
    line = next(line.strip() for line in running.said.splitlines() if line.strip().startswith("curl --resolve"))
    page = subprocess.run([*line.split(), "--silent"], capture_output=True, timeout=20, check=True).stdout
    assert page == running.get(ADDRESSES[0])[2]


def test_a_folder_without_a_project_is_pushed_for_the_example_names(demo, tmp_path):
    """`make demo SITE=/some/folder`: any folder, with no edgeward.toml and no setup; preview is said in one line."""
    site = tmp_path / "My Folder"
    site.mkdir()
    (site / "page.html").write_text("<!doctype html>my own page")
    running = demo(site, "--engine", "preview", "--edges", "2")
    assert running.get(ADDRESSES[0], "/page")[2] == b"<!doctype html>my own page"
    assert running.get(ADDRESSES[1], "/page")[1].startswith("iad ")
    assert running.said.count("preview engine") == 1
    assert running.end(signal.SIGINT) == 0
    _assert_gone(running)


def test_a_folder_with_a_project_is_pushed_as_it_says(demo, tmp_path):
    """Its own name, hostnames and build folder."""
    site = tmp_path / "shop"
    (site / "public").mkdir(parents=True)
    (site / "public" / "index.html").write_text("<!doctype html>shop")
    (site / "edgeward.toml").write_text(
        'fleet = "elsewhere"\n[site]\nname = "shop"\nhostnames = ["shop.test"]\nbuild = "public"\n'
    )
    running = demo(site, "--engine", "preview", "--edges", "1")
    assert running.get(ADDRESSES[0], host="shop.test")[2] == b"<!doctype html>shop"


def test_a_port_that_is_taken_is_named_with_its_option(edgeward):
    """Nothing starts; the error names address, port and option; code 7."""
    with socket.socket() as holder:
        holder.bind((ADDRESSES[1], 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        taken = edgeward("demo", "--http-port", str(port))
    assert taken.code == 7
    assert f"{ADDRESSES[1]} port {port}" in taken.err
    assert "--http-port" in taken.err


def test_an_edge_that_is_killed_comes_back_even_the_one_with_the_store(demo, edgeward):
    """The demo says so, starts it again, and the fleet is whole: the store answers and the edge is current."""
    running = demo("--engine", "preview", "--edges", "2")
    agent = int(re.search(r"FRA .* pid (\d+)", running.said)[1])
    os.kill(agent, signal.SIGKILL)
    eventually_sync(lambda: "edge fra ended (killed by SIGKILL)" in running.said)
    assert running.get(ADDRESSES[1])[0] == 200
    eventually_sync(lambda: "edge fra starts again" in running.said, within=15)
    eventually_sync(lambda: running.get(ADDRESSES[0])[0] == 200, within=30, ignoring=(OSError,))

    def whole() -> bool:
        shown = edgeward("status", "--json", **running.environment())
        return shown.code == 0 and shown.out.count('"current": true') == 2

    eventually_sync(whole, within=40, every=0.5)
    assert running.end(signal.SIGTERM) == 0
    _assert_gone(running)


def test_the_lines_about_dns_to_paste_work(demo, edgeward):
    """An Australian is sent to Sydney, a German to Frankfurt; five seconds after Sydney is killed nobody is sent there,
    and when the demo has started it again everybody is as before.
    """
    running = demo()
    lines = [line.partition("#")[0].split() for line in running.said.splitlines() if line.strip().startswith("dig @")]

    def sent() -> list[list[str]]:
        return [
            subprocess.run(line, capture_output=True, text=True, timeout=20, check=False).stdout.split()
            for line in lines
        ]

    eventually_sync(lambda: sent() == [[ADDRESSES[2]], [ADDRESSES[0]]], within=60, every=0.2)
    said = running.said.splitlines()
    pasted = [
        next(line for line in said if word in line).partition("#")[0] for word in ("export EDGEWARD", "dns explain")
    ]
    assert said.index(next(line for line in said if "export EDGEWARD" in line)) < said.index(
        next(line for line in said if "dns explain" in line)
    )
    explained = subprocess.run(
        ["sh", "-c", "\n".join([*pasted[:1], pasted[1] + " --json"])], capture_output=True, timeout=60, check=True
    )
    assert json.loads(explained.stdout)["addresses"] == [ADDRESSES[2]]
    for pid in running.processes_of("syd"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    killed = last = time.monotonic()
    while time.monotonic() < killed + DEAD_SECONDS:
        if ADDRESSES[2] in sent()[0]:
            last = time.monotonic()
        time.sleep(0.05)
    print(f"\nkilled in the demo: last named {last - killed:.2f} s later")
    assert last - killed <= 5
    eventually_sync(lambda: sent() == [[ADDRESSES[2]], [ADDRESSES[0]]], within=60, every=0.2)


def test_kept_data_is_served_by_the_next_demo(demo, tmp_path):
    """With --data a second demo finds its site: the push is of nothing new."""
    data = tmp_path / "kept"
    first = demo("--engine", "preview", "--edges", "1", data=data)
    release = first.get(ADDRESSES[0])[1]
    assert first.end(signal.SIGINT) == 0
    second = demo("--engine", "preview", "--edges", "1", data=data)
    assert second.get(ADDRESSES[0])[1] == release
    assert "is live already" in second.said


def test_the_demo_runs_on_nginx_where_there_is_one(demo):
    """On Linux with nginx the preview engine is not used, nor mentioned."""
    if find_nginx() is None:
        pytest.skip("there is no nginx on this machine (hint: make setup as root)")
    running = demo("--edges", "1")
    assert "preview" not in running.said
    assert any("nginx" in line for line in running.running())
    assert running.end(signal.SIGINT) == 0
    _assert_gone(running)


def test_a_demo_that_is_killed_takes_its_edges_along(demo):
    """SIGKILL gives it no time to clean up; its edges, the state server and nginx end all the same."""
    running = demo("--edges", "2")
    assert len(running.running()) > 2
    running.end(signal.SIGKILL)
    eventually_sync(lambda: running.running() == [] and running.listening() == [], within=STOP_SECONDS)
