"""Switches under load: nothing fails, nothing is mixed, nothing that begins later gets the old release."""

import contextlib
import math
import time

import pytest

from conformance.engines import EDGE, Running, running
from conformance.sites import Built, Shelf, Site, build, variation
from conformance.wire import Ask, Wire
from load import Load, bodies_of

HOST = "atomic.test"
PATHS = ("/", *(f"/page{number}" for number in range(10)), *(f"/data/file{number}.bin" for number in range(5)))
BETWEEN = 40
"""Answers to wait for after a switch, so that there are requests that began after it and before the next."""


def release(letter: str) -> Built:
    """A release all of whose files differ from those of any other letter."""
    pages = {f"/page{number}.html": f"<p>page {number} of {letter}</p>\n".encode() * 40 for number in range(10)}
    data = {f"/data/file{number}.bin": f"{letter}{number}".encode() * 50_000 for number in range(5)}
    index = {"/index.html": f"<h1>{letter}</h1>".encode() * (30 + ord(letter))}
    return build(variation(Site("atomic", {}), files={**pages, **data, **index}))


@pytest.fixture
def engine():
    with running("nginx") as found:
        yield found


def test_twenty_switches_under_load_mix_nothing_and_lose_nothing(engine: Running):
    """No failed request (a reused connection that closes before the first byte is asked again once, and counted), no
    ETag with another release's body, and no request begun after a switch gets the release before it.
    """
    releases = [release("A"), release("B")]
    shelf = Shelf(engine.folder)
    views = [shelf.serve(EDGE, [built]) for built in releases]
    engine.activate(views[0])
    switches: list[tuple[float, float, str]] = []
    known = bodies_of((built.manifest, built.blobs) for built in releases)
    with Load(engine.address, HOST, PATHS, known) as tally:
        for number in range(1, 21):
            begun = time.monotonic()
            engine.activate(views[number % 2])
            done = time.monotonic()
            switches.append((begun, done, releases[number % 2].manifest.release[:12]))
            tally.wait_for_more(BETWEEN)
    took = [done - begun for begun, done, _ in switches]
    print(
        f"{tally.asked} requests, {tally.closed} closes of reused connections, 20 switches of "
        f"{min(took) * 1000:.0f} to {max(took) * 1000:.0f} ms"
    )
    assert tally.faults == []
    for (_, done, label), (following, _, _) in zip(switches, [*switches[1:], (math.inf, 0.0, "")], strict=True):
        late = {got for begun, got in tally.answers if done <= begun < following}
        assert late == {label}


def test_a_connection_that_was_silent_during_a_switch_gets_the_new_release(engine: Running):
    """Connections opened before a switch, with nothing sent on them until after it, are answered from the new one."""
    old, new = release("A"), release("B")
    shelf = Shelf(engine.folder)
    before, after = shelf.serve(EDGE, [old]), shelf.serve(EDGE, [new])
    engine.activate(before)
    silent = [Wire(engine.address) for _ in range(12)]
    for wire in silent:
        wire.open()
    # Asked for on another connection: nginx has accepted the silent ones by then.
    with Wire(engine.address) as wire:
        assert wire.ask(Ask("/", HOST)).status == 200
    engine.activate(after)
    asks = [
        Ask("/", HOST),
        Ask("/page1", HOST, headers=(("Accept-Encoding", "br"),)),
        Ask("/page1.html?a=b", HOST),
        Ask("/data/file1.bin", HOST, headers=(("Range", "bytes=5-9"),)),
        Ask("/nothing", HOST),
        Ask("//page1", HOST),
        Ask("/p%61ge1", HOST),
        Ask("/%zz", HOST),
        Ask("/", "nobody.test"),
        Ask("/", HOST, "POST", headers=(("Content-Length", "3"),)),
        Ask("/", HOST, "OPTIONS"),
        Ask("http://atomic.test:8080/page1/", "else.test"),
    ]
    with contextlib.ExitStack() as opened:
        fresh, *_ = [opened.enter_context(wire) for wire in (Wire(engine.address), *silent)]
        for wire, ask in zip(silent, asks, strict=True):
            body = b"abc" if ask.method == "POST" else b""
            wire.send(ask.to_bytes() + body)
            fresh.send(ask.to_bytes() + body)
            assert wire.read().comparable() == fresh.read().comparable()
            fresh.close()


def test_a_request_half_sent_before_a_switch_is_answered_wholly(engine: Running):
    """A request that began before a switch may be answered from either release, and from one alone."""
    releases = [release("A"), release("B")]
    shelf = Shelf(engine.folder)
    views = [shelf.serve(EDGE, [built]) for built in releases]
    engine.activate(views[0])
    with Wire(engine.address) as wire:
        data = Ask("/page3", HOST).to_bytes()
        wire.send(data[:10])
        engine.activate(views[1])
        wire.send(data[10:])
        got = wire.read()
        assert got.status == 200
        assert got.body in {built.site.files["/page3.html"] for built in releases}


def test_a_download_that_spans_a_switch_ends_as_it_began(engine: Running):
    """A body that is being sent when the switch comes is sent to its end, from the release it began with."""
    big = {letter: letter.encode() * 30_000_000 for letter in "AB"}
    views = []
    shelf = Shelf(engine.folder)
    for letter, data in big.items():
        views.append(shelf.serve(EDGE, [build(Site("atomic", {"/index.html": letter.encode(), "/big.bin": data}))]))
    engine.activate(views[0])
    with Wire(engine.address, timeout=30) as wire:
        wire.send(Ask("/big.bin", HOST).to_bytes())
        first = wire.first()
        engine.activate(views[1])
        assert first == b"H"
        assert wire.read().body == big["A"]
    with Wire(engine.address) as wire:
        assert wire.ask(Ask("/big.bin", HOST)).body == big["B"]
