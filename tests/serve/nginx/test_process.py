"""nginx as a process: started, adopted, killed, refused, ended."""

import asyncio
import json
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.sites import Built, Site, build
from conformance.wire import Ask, Got, Wire
from edgeward.core.release import Manifest
from edgeward.core.rules import RedirectRule
from edgeward.errors import ConfigRejected, DiskError, EngineMissing, ServeError
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.kept import KeptAsset, KeptFolder
from edgeward.serve.nginx.settings import ACCESS_LOG, CONFIG
from edgeward.serve.tree import unstage
from waiting import eventually

HOST = "one.test"


def release(text: str, **more: bytes) -> Built:
    """A site of one page."""
    return build(Site("one", {"/index.html": text.encode() * 100, **more}))


def view(bench, text: str, **more: bytes) -> ServedView:
    return bench.shelf.serve("fra", [release(text, **more)])


def get(bench, target: str = "/", host: str = HOST) -> Got:
    with Wire(bench.address) as wire:
        return wire.ask(Ask(target, host))


async def test_an_agent_that_starts_again_adopts_the_nginx_that_runs(bench):
    """The master stays the same process, the generation goes on, and the new view is served."""
    first = bench.engine()
    generation = await first.start(view(bench, "before"))
    master = bench.master()
    await first.release()
    second = bench.engine()
    assert await second.start(view(bench, "after")) > generation
    assert bench.master() == master
    assert get(bench).body == b"after" * 100
    await second.stop()


async def test_nginx_serves_on_when_the_agent_is_killed(bench):
    """SIGKILL to the process that started nginx: answers go on, and the next agent adopts it."""
    view(bench, "kept on")
    script = (
        "import asyncio, os, signal, sys; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from conformance.sites import Shelf, Site, build\n"
        "from edgeward.serve.nginx.process import NginxEngine\n"
        "from edgeward.serve.nginx.settings import NginxSettings\n"
        "path = Path(sys.argv[1])\n"
        "engine = NginxEngine(NginxSettings(path / 'nginx', (sys.argv[2],), path / 'health.json', workers=1))\n"
        "site = build(Site('one', {'/index.html': b'kept on' * 100}))\n"
        "asyncio.run(engine.start(Shelf(path).serve('fra', [site])))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(bench.path), bench.settings.listen[0], *sys.path]
    done = await asyncio.to_thread(subprocess.run, command, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert get(bench).body == b"kept on" * 100
    master = bench.master()
    engine = bench.engine()
    await engine.start(view(bench, "adopted"))
    assert bench.master() == master
    assert get(bench).body == b"adopted" * 100
    await engine.stop()


async def test_an_nginx_whose_folder_was_deleted_is_found_and_replaced(bench):
    """With no pid file and no socket left, the master is found by its command line, so its address comes free."""
    first = bench.engine()
    await first.start(view(bench, "before"))
    master = bench.master()
    shutil.rmtree(bench.settings.folder)
    second = bench.engine()
    await second.start(view(bench, "after"))
    assert bench.master() != master
    assert get(bench).body == b"after" * 100
    await second.stop()


async def test_a_switch_on_a_folder_that_is_gone_is_a_disk_error(bench):
    """What the operating system says comes as an error of ours, with what was served still served."""
    engine = bench.engine()
    await engine.start(view(bench, "before"))
    served = view(bench, "after")
    (bench.settings.folder / CONFIG).unlink()
    with pytest.raises(DiskError, match="cannot replace"):
        await engine.activate(served)
    assert get(bench).body == b"before" * 100
    await engine.stop()


async def test_workers_whose_master_was_killed_are_replaced(bench):
    """SIGKILL to the master: the orphans are found and ended, and a new nginx takes the address over."""
    engine = bench.engine()
    await engine.start(view(bench, "before"))
    master = bench.master()
    orphans = bench.workers(master)
    os.kill(master, signal.SIGKILL)
    await eventually(
        lambda: not Path(f"/proc/{master}/cmdline").exists() or not Path(f"/proc/{master}/cmdline").read_bytes()
    )
    assert get(bench).body == b"before" * 100, "orphans answer"
    assert not await engine.healthy()
    again = bench.engine()
    await again.start(view(bench, "after"))
    assert get(bench).body == b"after" * 100
    assert bench.master() != master
    assert set(orphans).isdisjoint(bench.workers(bench.master()))
    assert bench.workers(master) == []
    await again.stop()


async def test_a_configuration_that_nginx_refuses_changes_nothing(bench):
    """ConfigRejected says what nginx said; the earlier view is served on, and a later good one is taken."""
    engine = bench.engine()
    generation = await engine.start(view(bench, "good"))
    good = view(bench, "good").sites[0]
    # No parser lets a pattern of this length through; nginx cannot read it either.
    rule = RedirectRule(line=1, source="/" + "x" * 5000, target="/y")
    manifest = Manifest(good.manifest.settings, good.manifest.entries, (rule,))
    with pytest.raises(ConfigRejected, match="too long parameter") as caught:
        await engine.activate(ServedView("fra", (ServedSite(manifest, good.tree, good.kept),)))
    assert caught.value.hint
    assert engine.generation == generation
    assert get(bench).body == b"good" * 100
    assert await engine.activate(view(bench, "better")) > generation
    assert get(bench).body == b"better" * 100
    await engine.stop()


async def test_a_switch_that_nginx_cannot_make_is_rolled_back(bench, loopback_addresses):
    """An address that another program holds passes `nginx -t`, and fails the switch: the old generation goes on."""
    engine = bench.engine()
    await engine.start(view(bench, "good"))
    with socket.create_server((loopback_addresses(), 0)) as taken:
        host, port = taken.getsockname()
        greedy = bench.engine(listen=(*bench.settings.listen, f"{host}:{port}"))
        with pytest.raises(ServeError, match="bind"):
            await greedy.start(view(bench, "greedy"))
        assert get(bench).body == b"good" * 100
    modest = bench.engine(listen=bench.settings.listen[:1])
    await modest.start(view(bench, "modest"))
    assert get(bench).body == b"modest" * 100
    await modest.stop()


async def test_an_address_that_is_taken_is_a_clear_error(bench):
    """Starting where another program listens raises ServeError that names the reason, and leaves nothing behind."""
    with socket.create_server(bench.address):
        engine = bench.engine()
        with pytest.raises(ServeError, match="Address already in use"):
            await engine.start(view(bench, "x"))
    await engine.start(view(bench, "now"))
    assert get(bench).body == b"now" * 100
    await engine.stop()


async def test_stop_leaves_nothing_and_may_be_called_twice(bench):
    """After `stop` no process is left, the address is free, and `start` works again."""
    engine = bench.engine()
    await engine.start(view(bench, "x"))
    master = bench.master()
    await engine.stop()
    await engine.stop()
    assert bench.workers(master) == []
    assert engine.generation == 0
    socket.create_server(bench.address).close()
    await engine.start(view(bench, "y"))
    assert get(bench).body == b"y" * 100
    await engine.stop()


async def test_a_missing_nginx_is_a_clear_error(bench):
    """EngineMissing says what to install."""
    with pytest.raises(EngineMissing, match="not installed") as caught:
        bench.engine(program="nginx-of-no-distribution")
    assert "apt-get" in str(caught.value.hint)


async def test_the_access_log_has_the_documented_form_and_is_rotated(bench):
    """One JSON object for each request, whatever it holds; a log that has grown too large moves aside."""
    engine = bench.engine(log_bytes=300, log_files=2)
    await engine.start(view(bench, "x"))
    log = bench.settings.folder / "logs/access.log"
    with Wire(bench.address) as wire:
        wire.ask(Ask('/a"b\\c?d=\xe9', HOST, headers=(("User-Agent", 'x"\\\xff'), ("Referer", "http://r/"))))
        wire.ask(Ask("/a//b", HOST))
    lines = await eventually(lambda: found if len(found := log.read_text(errors="replace").splitlines()) == 2 else None)
    first, second = (json.loads(line) for line in lines)
    assert first["host"] == HOST
    assert first["address"].startswith("127.")
    assert (first["method"], first["status"], first["referer"]) == ("GET", 404, "http://r/")
    assert (second["target"], second["status"]) == ("/a//b", 308)
    assert set(first) == {
        "time", "host", "address", "method", "target", "protocol", "status", "bytes", "seconds", "referer", "agent",
        "release",
    }  # fmt: skip
    for number in range(1, 4):
        await engine.tend()
        assert log.with_name("access.log.1").exists()
        await eventually(log.exists)
        get(bench, f"/round{number}" + "x" * 400)
        await eventually(lambda number=number: f"/round{number}" in log.read_text())
    assert sorted(path.name for path in log.parent.glob("access.log.*")) == ["access.log.1", "access.log.2"]
    await engine.stop()


async def test_the_access_log_can_be_off(bench):
    """With access_log off nothing is written."""
    engine = bench.engine(access_log=False)
    await engine.start(view(bench, "x"))
    assert get(bench).status == 200
    await engine.stop()
    assert not (bench.settings.folder / "logs/access.log").exists()


async def test_nginx_answers_on_ipv6_too(bench):
    """An address in brackets is one of version 6."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    engine = bench.engine(listen=(*bench.settings.listen, f"[::1]:{port}"))
    await engine.start(view(bench, "six"))
    with Wire(("::1", port)) as wire:
        assert wire.ask(Ask("/", HOST)).body == b"six" * 100
    await engine.stop()


async def test_a_folder_with_a_long_name_works(benches):
    """Paths of unix sockets have at most 107 bytes; ours do not depend on where the folder is."""
    bench = benches("a" * 100 + "/" + "b $x {;} '\" ü" * 5)
    engine = bench.engine()
    await engine.start(view(bench, "far away"))
    assert get(bench).body == b"far away" * 100
    assert get(bench, "/%2F").status == 308
    await engine.activate(view(bench, "further"))
    assert get(bench).body == b"further" * 100
    await engine.stop()


async def test_workers_do_not_run_as_root(bench):
    """Started by root, workers run as www-data where that user can read the folders."""
    engine = bench.engine()
    await engine.start(view(bench, "x"))
    (worker,) = bench.workers(bench.master())
    owner = Path(f"/proc/{worker}").stat().st_uid
    assert owner == (pwd.getpwnam("www-data").pw_uid if os.geteuid() == 0 else os.geteuid())
    await engine.stop()


async def test_a_folder_that_workers_cannot_enter_is_named(bench, caplog):
    """With a user named in the settings that is an error; without one, workers run as root and a warning says so."""
    if os.geteuid() != 0:
        pytest.skip("only root can run workers as another user")
    bench.path.chmod(0o700)
    with pytest.raises(ServeError, match="cannot enter") as caught:
        await bench.engine(user="www-data").start(view(bench, "x"))
    assert str(bench.path) in str(caught.value.hint)
    with pytest.raises(ServeError, match="no user nobody-knows"):
        await bench.engine(user="nobody-knows").start(view(bench, "x"))
    engine = bench.engine(user=None)
    with caplog.at_level(logging.WARNING):
        await engine.start(view(bench, "x"))
    assert "cannot enter" in caplog.text
    assert get(bench).status == 200
    await engine.stop()


async def test_kept_assets_and_health_are_seen_at_once(bench):
    """What is put into the kept folder, or into the health file, is answered from then on, without a switch."""
    engine = bench.engine()
    served = view(bench, "x")
    await engine.start(served)
    asset = release("x", **{"/app.3f2a9c1b.js": b"old code;" * 100})
    assert get(bench, "/app.3f2a9c1b.js").status == 404
    bench.shelf.serve("fra", [asset])
    entry = asset.manifest.by_path["/app.3f2a9c1b.js"]
    kept = KeptFolder(served.sites[0].kept)
    kept.write({entry.path: KeptAsset(entry, None)}, bench.shelf.blobs)
    got = get(bench, "/app.3f2a9c1b.js")
    assert got.body == b"old code;" * 100
    assert got.values("cache-control") == ["public, max-age=31536000, immutable"]
    kept.write({}, bench.shelf.blobs)
    await eventually(lambda: get(bench, "/app.3f2a9c1b.js").status == 404)
    (bench.path / "health.json").write_text('{"new":1}')
    assert get(bench, "/.well-known/edgeward/health", "any").body == b'{"new":1}'
    await engine.stop()


async def test_health_and_its_brief_are_answered_for_any_host_and_not_logged(bench):
    """Other edges ask every second: the log has the requests of readers alone. Without a file there is no brief."""
    engine = bench.engine(brief=bench.path / "brief.json")
    await engine.start(view(bench, "x"))
    assert get(bench, "/.well-known/edgeward/brief", "any").status == 404
    (bench.path / "brief.json").write_text('{"brief":1}')
    for path, body in (("brief", b'{"brief":1}'), ("health", b"{}")):
        got = get(bench, f"/.well-known/edgeward/{path}", "any")
        assert (got.status, got.body, got.values("content-type")) == (200, body, ["application/json"])
    assert get(bench, "/").status == 200
    log = bench.settings.folder / ACCESS_LOG
    await eventually(lambda: log.read_text().endswith("\n"))
    await engine.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["target"] for line in lines if line["status"] == 200] == ["/"]


async def test_a_fault_of_ours_is_no_404(bench):
    """When the tree of a live release is gone, the answer is 500 and not "not found"."""
    engine = bench.engine()
    served = view(bench, "x")
    await engine.start(served)
    unstage(served.sites[0].tree)
    for target in ("/", "/nothing", "/index.html"):
        got = await eventually(lambda target=target: found if (found := get(bench, target)).status == 500 else None)
        assert got.values("cache-control") == ["no-store"]
    await engine.stop()


async def test_the_control_socket_counts_connections(bench):
    """The engine gives nginx's own counts, for metrics."""
    engine = bench.engine()
    await engine.start(view(bench, "x"))
    assert "Active connections" in await engine.connections()
    assert await engine.healthy()
    await engine.stop()
    assert not await engine.healthy()
