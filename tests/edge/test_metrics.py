"""/metrics: the exposition format, and a server that no client can hurt."""

import asyncio

import httpx
import pytest

from edgeward.edge.metrics import Metric, counter, gauge, metrics_server, render
from edgeward.errors import ServeError


async def ask(endpoint: tuple[str, int], data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*endpoint)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_text_format() -> None:
    """Names are prefixed, label values are escaped, whole numbers have no fraction (exposition format 0.0.4)."""
    labelled = Metric("x_total", "counter", "Back\\slash\nand line.", (({"a": 'q"\\\n', "b": "é"}, 2.0), ({}, 0.5)))
    assert render([gauge("up", "Whether.", 1), labelled]).decode() == (
        "# HELP edgeward_up Whether.\n# TYPE edgeward_up gauge\nedgeward_up 1\n"
        "# HELP edgeward_x_total Back\\\\slash\\nand line.\n# TYPE edgeward_x_total counter\n"
        'edgeward_x_total{a="q\\"\\\\\\n",b="é"} 2\nedgeward_x_total 0.5\n'
    )


async def test_it_is_answered_over_http(loopback_address: str) -> None:
    """GET and HEAD of /metrics are answered with the figures of that moment; all else is refused."""
    count = 0

    def collect() -> list[Metric]:
        nonlocal count
        count += 1
        return [counter("scrapes_total", "How often.", count)]

    async with metrics_server((loopback_address, 0), collect) as endpoint, httpx.AsyncClient() as client:
        base = f"http://{endpoint[0]}:{endpoint[1]}"
        first = await client.get(f"{base}/metrics")
        assert first.status_code == 200
        assert first.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert first.text.endswith("edgeward_scrapes_total 1\n")
        assert (await client.get(f"{base}/metrics?x=1")).text.endswith(" 2\n")
        head = await client.head(f"{base}/metrics")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.get(base)).status_code == 404
        assert (await client.post(f"{base}/metrics")).status_code == 405


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/2.0\r\n\r\n", b"\xff\xfe x\r\n\r\n"])
async def test_what_is_not_http_is_400(loopback_address: str, data: bytes) -> None:
    """Garbage gets a 400 and the server goes on."""
    async with metrics_server((loopback_address, 0), list) as endpoint:
        assert (await ask(endpoint, data)).startswith(b"HTTP/1.1 400 ")
        assert (await ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_an_endless_head_is_cut_off(loopback_address: str) -> None:
    """A request head that is too long ends the connection and nothing else."""
    async with metrics_server((loopback_address, 0), list) as endpoint:
        assert await ask(endpoint, b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 10_000) == b""
        assert (await ask(endpoint, b"GET /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_taken_port_is_a_clear_error(loopback_address: str) -> None:
    """A port that is in use is named, with the setting."""
    async with metrics_server((loopback_address, 0), list) as endpoint:
        with pytest.raises(ServeError, match=f"/metrics cannot listen on {endpoint[0]}:{endpoint[1]}") as caught:
            async with metrics_server(endpoint, list):
                pass
        assert caught.value.hint == "[metrics] listen"
