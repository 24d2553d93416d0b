"""What is below a single well-formed request: connections, pipelines, and requests that cannot be parsed."""

import contextlib
from collections.abc import Iterator

import pytest

from conformance.engines import EDGE, ENGINES, Running, running
from conformance.sites import Shelf, Site, build, named
from conformance.wire import Ask, Wire

SITE = Site("wire", {**named("/index.html", "/a.txt", "/b.txt", "/404.html"), "/big.bin": bytes(range(256)) * 40_000})
HOST = SITE.hostnames[0]


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request) -> Iterator[Running]:
    with running(request.param) as found:
        found.activate(Shelf(found.folder).serve(EDGE, [build(SITE)]))
        yield found


@pytest.fixture
def wire(engine: Running) -> Iterator[Wire]:
    with Wire(engine.address) as found:
        yield found


def test_requests_sent_in_one_go_are_answered_in_order(wire: Wire):
    """Pipelining (RFC 9112 section 9.3.2), over every kind of answer."""
    targets = ("/a.txt", "/nothing", "/index.html", "//b.txt", "/b.txt", "/%C3%A9", "/a.txt")
    wire.send(b"".join(Ask(target, HOST).to_bytes() for target in targets))
    got = [wire.read() for _ in targets]
    assert [answer.status for answer in got] == [200, 404, 308, 308, 200, 404, 200]
    assert b"/a.txt" in got[0].body
    assert b"/b.txt" in got[4].body
    assert got[6].body == got[0].body


def test_a_connection_is_kept_for_many_requests(wire: Wire):
    """Hundreds of requests of every kind on one connection."""
    for number in range(100):
        for target, status in (("/a.txt", 200), ("/nothing", 404), ("/index.html", 308), ("//", 308), ("/%FF", 400)):
            got = wire.ask(Ask(target, HOST, "HEAD" if number % 3 == 0 else "GET"))
            assert got.status == status
            assert not got.closed, target


def test_http_1_0_closes_unless_it_is_asked_to_stay(engine: Running):
    """RFC 9112 appendix C.2.2."""
    with Wire(engine.address) as wire:
        assert wire.ask(Ask("/a.txt", HOST, version="1.0")).closed
        assert not wire.ask(Ask("/a.txt", HOST, headers=(("Connection", "keep-alive"),), version="1.0")).closed
        assert wire.ask(Ask("/a.txt", HOST, headers=(("Connection", "close"),))).closed


def test_a_large_file_arrives_whole(wire: Wire):
    """10 MB, as a whole, in brotli, and in ranges that put together are the file."""
    whole = SITE.files["/big.bin"]
    assert wire.ask(Ask("/big.bin", HOST)).body == whole
    size, parts = len(whole), []
    for start in range(0, size, 3_000_000):
        got = wire.ask(Ask("/big.bin", HOST, headers=(("Range", f"bytes={start}-{min(start + 2_999_999, size - 1)}"),)))
        assert got.status == 206
        parts.append(got.body)
    assert b"".join(parts) == whole


def test_a_body_with_a_get_is_read_over(wire: Wire):
    """A body that means nothing does not become the next request."""
    wire.send(
        f"GET /a.txt HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 27\r\n\r\nGET /b.txt HTTP/1.1\r\nX: y\r\n".encode()
    )
    first = wire.read()
    assert first.status == 200
    assert b"/a.txt" in first.body
    if not first.closed:
        assert b"/b.txt" in wire.ask(Ask("/b.txt", HOST)).body


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /a\x01b HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET /a\tb HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET wire.test/a HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: wire.test\r\nHost: wire.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: wire.test\r\nHost: other.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: wire.test\r\n\r\n",
    ],
)
def test_what_cannot_be_parsed_is_400(engine: Running, raw: bytes):
    """Whatever the host says; and the engine goes on."""
    with Wire(engine.address) as wire:
        wire.send(raw)
        assert wire.read().status == 400
    with Wire(engine.address) as wire:
        assert wire.ask(Ask("/a.txt", HOST)).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: wire.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: wire.test\r\nNo colon\r\n\r\n",
        b"GET /\xff\xfe<>^` HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"CONNECT wire.test:80 HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: wire.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: wire.test\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"\r\n\r\n\0\0\0\r\n\r\n",
    ],
)
def test_worse_is_refused_or_cut_off_and_never_served(engine: Running, raw: bytes):
    """No status below 400, and the engine goes on."""
    with Wire(engine.address) as wire, contextlib.suppress(EOFError, ConnectionError):
        wire.send(raw)
        got = wire.read()
        assert got.status >= 400
        assert b"the file" not in got.body or got.status == 404
    with Wire(engine.address) as wire:
        assert wire.ask(Ask("/a.txt", HOST)).status == 200


@pytest.mark.parametrize(
    ("authority", "status"), [("wire.test", 200), ("other.test", 421), ("a..b", 400), ("user@wire.test", 400)]
)
def test_absolute_form_names_the_host(engine: Running, authority: str, status: int):
    """RFC 9112 section 3.2.2: it wins over the Host field. Granian hands on the Host field alone, and so preview."""
    with Wire(engine.address) as wire:
        got = wire.ask(Ask(f"http://{authority}/a.txt", HOST))
        assert got.status == (200 if engine.name == "preview" else status)


@pytest.mark.parametrize(
    "target",
    [
        "/%0d%0aX-Injected:%20yes",
        "/a.txt/%0d%0aX-Injected:%20yes",
        "/x%0d%0a%0d%0a<script>",
        "/index.html?%0d%0aX-Injected:%20yes",
    ],
)
def test_nothing_that_is_sent_becomes_a_header(wire: Wire, target: str):
    """CR LF in path and query, on pages, redirects and errors."""
    for prefix in ("", "//"):
        got = wire.ask(Ask(prefix + target, HOST))
        assert got.values("x-injected") == []
        assert b"<script>" not in got.body
