"""The preview engine: Granian in this process, switched as a whole, ended in bounded time."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conformance.sites import Built, Shelf, Site, build, named
from conformance.wire import Ask, Got, Wire
from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import SiteSettings
from edgeward.core.view import LiveSite, make_view
from edgeward.errors import ServeError
from edgeward.serve.engine import Engine, ServedView
from edgeward.serve.kept import KeptAsset, KeptFolder
from edgeward.serve.preview import PreviewEngine, Show
from waiting import eventually

HOST = "s.test"


def generation(number: int) -> Built:
    """A release in which every file says which one it is."""
    files = {path: f"generation {number} of {path}\n".encode() * 50 for path in ("/index.html", "/a.css", "/b.js")}
    return build(Site("s", files))


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
async def engine(loopback_address) -> AsyncIterator[PreviewEngine]:
    found = PreviewEngine([loopback_address], 0)
    yield found
    await found.stop()


async def ask(engine: PreviewEngine, target: str, **options: str) -> Got:
    """One request on a connection of its own, off the loop that serves it."""
    with Wire(engine.addresses[0]) as wire:
        return await asyncio.to_thread(wire.ask, Ask(target, options.pop("host", HOST), headers=tuple(options.items())))


def one_file(source: str | bytes, size: int) -> Show:
    """A site with one file of that size."""
    entry = Entry("/file.bin", "application/octet-stream", 1_700_000_000, (Variant("identity", digest_of(b"x"), size),))
    site = LiveSite(Manifest(SiteSettings("s", (HOST,)), (entry,)))
    return Show(make_view("fra", [site]), {entry.identity.digest: source})


@contextlib.contextmanager
def counted(path: Path, size: int) -> Iterator[Path]:
    """A large file that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    yield path
    path.unlink()


def test_it_is_an_engine(loopback_address):
    """It keeps the promises that the edge's agent counts on, in their types too."""
    engine: Engine = PreviewEngine([loopback_address], 0)
    assert (engine.name, engine.generation) == ("preview", 0)


async def test_a_switch_is_whole_and_counted(engine, shelf):
    """After `activate` every answer is of the new release; the generation grows by one."""
    assert await engine.start(shelf.serve("fra", [generation(1)])) == 1
    first = await ask(engine, "/")
    assert await engine.activate(shelf.serve("fra", [generation(2)])) == 2
    second = await ask(engine, "/")
    assert first.body.startswith(b"generation 1")
    assert second.body.startswith(b"generation 2")
    assert first.values("x-edgeward") != second.values("x-edgeward")
    assert engine.generation == 2


async def test_switches_under_load_mix_nothing_and_lose_nothing(engine, shelf):
    """Over kept connections, while releases alternate, no request fails and no answer is of two releases."""
    views = [shelf.serve("fra", [generation(number)]) for number in (1, 2)]
    labels = {f"fra {generation(number).manifest.release[:12]}": number for number in (1, 2)}
    await engine.start(views[0])
    ended = asyncio.Event()

    def load() -> int:
        count = 0
        with Wire(engine.addresses[0]) as wire:
            while not ended.is_set() or count < 50:
                for target in ("/", "/a.css", "/b.js"):
                    got = wire.ask(Ask(target, HOST))
                    number = labels[got.values("x-edgeward")[0]]
                    assert got.status == 200
                    assert got.body.startswith(f"generation {number} of".encode())
                    count += 1
        return count

    loads = [asyncio.create_task(asyncio.to_thread(load)) for _ in range(4)]
    for number in range(20):
        await engine.activate(views[(number + 1) % 2])
        await ask(engine, "/")
    ended.set()
    assert sum(await asyncio.gather(*loads)) >= 200


async def test_kept_assets_are_seen_at_once(engine, shelf):
    """What is put into the kept folder, or taken out, counts from the next request on, without a switch."""
    built = generation(1)
    view = shelf.serve("fra", [built])
    await engine.start(view)
    kept = build(Site("k", {"/assets/app.0a1b2c3d.js": b"kept()" * 99})).manifest.entries[0]
    for variant in kept.variants:
        data = build(Site("k", {"/assets/app.0a1b2c3d.js": b"kept()" * 99})).blobs[variant.digest]
        temp = shelf.path / "temp"
        temp.write_bytes(data)
        shelf.blobs.adopt(variant.digest, temp)
    assert (await ask(engine, kept.path)).status == 404
    folder = KeptFolder(view.sites[0].kept)
    folder.write({kept.path: KeptAsset(kept, None)}, shelf.blobs)
    got = await ask(engine, kept.path)
    assert (got.status, got.body) == (200, b"kept()" * 99)
    folder.write({}, shelf.blobs)
    assert (await ask(engine, kept.path)).status == 404


async def test_a_missing_blob_is_a_fault_and_never_a_404(engine, tmp_path, caplog):
    """A file that the manifest has and the disk does not is a 500 with the built-in page, and is logged."""
    await engine.start_show(one_file(str(tmp_path / "gone"), 5))
    got = await ask(engine, "/file.bin")
    assert got.status == 500
    assert got.values("cache-control") == ["no-store"]
    assert b"not your fault" in got.body
    assert "cannot be read" in caplog.text


async def test_a_file_that_is_too_short_closes_the_connection(engine, tmp_path):
    """A body is never filled up or passed off as whole."""
    file = tmp_path / "short"
    file.write_bytes(b"x" * 100)
    await engine.start_show(one_file(str(file), 10_000_000))
    with pytest.raises((EOFError, ConnectionError)):
        await ask(engine, "/file.bin")


async def test_large_files_are_streamed_with_ranges(engine, tmp_path):
    """A range far inside a file of 3 GiB is answered without reading the rest."""
    with counted(tmp_path / "big", 3 << 30) as big:
        with big.open("r+b") as file:
            file.seek(2 << 30)
            file.write(b"here it is")
        await engine.start_show(one_file(str(big), 3 << 30))
        start = 2 << 30
        got = await ask(engine, "/file.bin", Range=f"bytes={start}-{start + 9}")
        assert (got.status, got.body) == (206, b"here it is")
        got = await ask(engine, "/file.bin", Range=f"bytes={start - 1_000_000}-{start + 999_999}")
        assert len(got.body) == 2_000_000
        assert got.body[1_000_000:1_000_010] == b"here it is"


async def test_a_slow_reader_costs_no_memory_and_no_time(engine, tmp_path):
    """While one client takes nothing of a large file, others are answered at once; stopping takes a few seconds."""
    with counted(tmp_path / "big", 1 << 30) as big:
        await engine.start_show(one_file(str(big), 1 << 30))
        with Wire(engine.addresses[0]) as slow:
            slow.send(Ask("/file.bin", HOST).to_bytes())
            for _ in range(20):
                got = await asyncio.wait_for(ask(engine, "/file.bin", Range="bytes=0-9"), 5)
                assert got.body == b"\0" * 10
            begun = time.monotonic()
            await engine.stop()
            assert time.monotonic() - begun < 6


async def test_stopping_closes_idle_connections_at_once(engine, shelf):
    """A client that keeps its connection open does not hold up the end."""
    await engine.start(shelf.serve("fra", [generation(1)]))
    with Wire(engine.addresses[0]) as wire:
        await asyncio.to_thread(wire.ask, Ask("/", HOST))
        begun = time.monotonic()
        await engine.stop()
        assert time.monotonic() - begun < 1
    assert not await engine.healthy()
    await engine.stop()


async def test_a_request_under_way_is_finished_before_the_end(engine, tmp_path):
    """Stopping waits for a body that a client is taking."""
    with counted(tmp_path / "big", 1 << 24) as big:
        await engine.start_show(one_file(str(big), 1 << 24))
        asked = asyncio.create_task(ask(engine, "/file.bin"))
        await eventually(lambda: engine._application._sending, every=0.0)
        await engine.stop()
        assert len((await asked).body) == 1 << 24


async def test_it_starts_again_on_the_same_port(engine, shelf):
    """Stop and start give the same address, and the generation goes on."""
    view = shelf.serve("fra", [generation(1)])
    await engine.start(view)
    before = engine.addresses
    await engine.stop()
    assert await engine.start(view) == 2
    assert engine.addresses == before
    assert (await ask(engine, "/")).status == 200


async def test_a_port_in_use_is_a_clear_error(engine, shelf, loopback_address):
    """Two engines never share a port without a word."""
    view = shelf.serve("fra", [generation(1)])
    await engine.start(view)
    _, port = engine.addresses[0]
    second = PreviewEngine([loopback_address], port)
    with pytest.raises(ServeError, match=rf"cannot listen on {loopback_address} port {port}: Address already in use"):
        await second.start(view)
    assert (await ask(engine, "/")).status == 200


async def test_an_address_of_another_machine_is_a_clear_error(shelf):
    """An address that cannot be bound is named."""
    with pytest.raises(ServeError, match=r"cannot listen on 192\.0\.2\.1 port"):
        await PreviewEngine(["192.0.2.1"], 8080).start(ServedView("fra"))


async def test_it_listens_on_every_address(loopback_addresses, free_port, shelf):
    """Each address of an edge answers, with the same site."""
    addresses = [loopback_addresses(), loopback_addresses()]
    engine = PreviewEngine(addresses, free_port())
    await engine.start(shelf.serve("fra", [generation(1)]))
    try:
        assert await engine.healthy()
        for address in engine.addresses:
            with Wire(address) as wire:
                assert (await asyncio.to_thread(wire.ask, Ask("/", HOST))).status == 200
    finally:
        await engine.release()


async def test_health_and_proofs_are_answered_for_any_host(loopback_address, tmp_path):
    """/.well-known/edgeward/health is the agent's file as it is now; a proof is its token's file, and no other file."""
    health = tmp_path / "health.json"
    challenges = tmp_path / "challenges"
    challenges.mkdir()
    (challenges / "token-1_a").write_text("token-1_a.thumbprint")
    (tmp_path / "secret").write_text("secret")
    engine = PreviewEngine([loopback_address], 0, health=health, challenges=challenges)
    await engine.start(ServedView("fra"))
    try:
        assert (await ask(engine, "/.well-known/edgeward/health")).status == 404
        for number in (1, 2):
            health.write_text(json.dumps({"number": number}))
            got = await ask(engine, "/.well-known/edgeward/health", host="203.0.113.9")
            assert json.loads(got.body) == {"number": number}
            assert got.values("content-type") == ["application/json"]
        got = await ask(engine, "/.well-known/acme-challenge/token-1_a", host="any.test")
        assert got.body == b"token-1_a.thumbprint"
        for token in ("..%2fsecret", "%2e%2e/secret", "other", "token-1_a/", "%E2%82%AC"):
            got = await ask(engine, f"/.well-known/acme-challenge/{token}", host="any.test")
            assert got.status != 200
            assert b"secret" not in got.body
    finally:
        await engine.stop()


async def test_requests_sent_in_one_go_are_answered_in_order(engine, shelf):
    """Pipelining (RFC 9112 section 9.3.2)."""
    await engine.start(shelf.serve("fra", [build(Site("s", named("/index.html", "/a.txt", "/b.txt")))]))
    with Wire(engine.addresses[0]) as wire:
        wire.send(b"".join(Ask(target, HOST).to_bytes() for target in ("/a.txt", "/nothing", "/b.txt")))
        got = await asyncio.to_thread(lambda: [wire.read() for _ in range(3)])
    assert [answer.status for answer in got] == [200, 404, 200]
    assert b"/a.txt" in got[0].body
    assert b"/b.txt" in got[2].body


async def test_what_cannot_be_parsed_is_400_and_the_engine_goes_on(engine, shelf):
    """Garbage, a request line with a control character, HTTP/9.9, a Host sent twice: 400, or closed."""
    await engine.start(shelf.serve("fra", [generation(1)]))
    for garbage in (
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
        b"GET /a\x01b HTTP/1.1\r\nHost: s.test\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: s.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: s.test\r\nHost: t.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: s.test\r\nBad Header\r\n\r\n",
        b"\r\n\r\n\r\n\0\0\0\r\n\r\n",
    ):
        with Wire(engine.addresses[0]) as wire:
            wire.send(garbage)
            with contextlib.suppress(EOFError, ConnectionError):
                assert (await asyncio.to_thread(wire.read)).status == 400
    assert (await ask(engine, "/")).status == 200
