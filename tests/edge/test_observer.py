"""What an edge sees of others, and what it makes of it when it sees nothing at all."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from edgeward.core.health import Rules
from edgeward.core.lacking import Expected, Live
from edgeward.edge.loop_clock import LoopClock
from edgeward.edge.observer import Observer, Reference
from edgeward.edge.probe import BRIEF, Endpoint, brief_bytes
from waiting import eventually

QUICK = Rules(interval=0.1, latency=0.3)
SAID = {"schema": [1, 0], "edge": "syd", "generation": 1, "rotten": 0, "sites": {}}


async def well(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    said: Mapping[str, object] = SAID,
    gate: asyncio.Event | None = None,
) -> None:
    """Answer as an edge in good health, while the gate, if there is one, is open."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if gate:
                await gate.wait()
            body = brief_bytes(said) if BRIEF.encode() in head else json.dumps(said).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def observing(
    *references: Reference, live: Callable[[], Live | None] = lambda: Live({})
) -> AsyncIterator[Observer]:
    clock = LoopClock()
    observer = Observer("fra", QUICK, references=references, clock=clock, live=live, epoch=lambda: 1_800_000_000)
    tasks = [asyncio.create_task(clock.run()), asyncio.create_task(observer.run())]
    try:
        yield observer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def at(address: str, port: int, edge: str = "syd") -> Endpoint:
    return Endpoint(edge, address, port, address)


def opinions(observer: Observer) -> dict[str, bool]:
    return {each.target: each.up for each in observer.report().observations}


async def test_targets_come_and_go_while_it_runs(loopback_address: str, free_port) -> None:
    """Each has its own opinion from its own probes; one that is no target any more is forgotten."""
    server = await asyncio.start_server(well, loopback_address, 0)
    port = server.sockets[0].getsockname()[1]
    async with observing() as observer:
        assert observer.report().observations == ()
        observer.watch([at(loopback_address, port)])
        await eventually(lambda: opinions(observer) == {"syd": True})
        observer.watch([at(loopback_address, port), at(loopback_address, free_port(), "gru")])
        await eventually(lambda: opinions(observer) == {"syd": True, "gru": False})
        observer.watch([at(loopback_address, port)])
        await eventually(lambda: opinions(observer) == {"syd": True})
        server.close()
    await server.wait_closed()


async def test_an_edge_that_is_down_over_one_of_its_families_is_up(loopback_address: str, free_port) -> None:
    """And the report says over which one readers do not reach it."""
    server = await asyncio.start_server(well, loopback_address, 0)
    port = server.sockets[0].getsockname()[1]
    dead = free_port()
    async with observing() as observer:
        observer.watch([at(loopback_address, port), at("::1", dead)])
        why = f"[::1]:{dead} cannot be asked: Connection refused"
        await eventually(lambda: [each.families for each in observer.report().observations] == [{4: "", 6: why}])
        assert opinions(observer) == {"syd": True}
    server.close()
    await server.wait_closed()


async def test_an_observer_is_not_sure_of_what_it_cannot_compare(loopback_address: str) -> None:
    """Of no site before it knows the live pointers; later of those that cannot be read, and of those that differ."""
    server = await asyncio.start_server(well, loopback_address, 0)
    known: list[Live] = []
    async with observing(live=lambda: known[-1] if known else None) as observer:
        observer.watch([at(loopback_address, server.sockets[0].getsockname()[1])])

        def unsure() -> list[frozenset[str] | None]:
            return [each.unsure for each in observer.report().observations]

        await eventually(lambda: opinions(observer) == {"syd": True})
        assert unsure() == [None]
        known.append(Live({"www": Expected("1" * 64, observer._clock.now())}, unread=frozenset({"blog"})))
        await eventually(lambda: unsure() == [{"www", "blog"}])
        known.append(Live({}))
        await eventually(lambda: unsure() == [frozenset()])
    server.close()
    await server.wait_closed()


async def test_references_are_asked_only_while_nothing_answers(loopback_address: str, free_port) -> None:
    """While all is well they are left alone; when everything is down they say whether the observer is to be believed,
    and a refusal is an answer too.
    """
    asked: list[object] = []

    async def reference(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer.get_extra_info("peername"))
        writer.close()

    outside = await asyncio.start_server(reference, loopback_address, 0)
    edge = await asyncio.start_server(well, loopback_address, 0)
    good = at(loopback_address, edge.sockets[0].getsockname()[1])
    async with observing((loopback_address, outside.sockets[0].getsockname()[1])) as observer:
        observer.watch([good])
        await eventually(lambda: opinions(observer) == {"syd": True})
        assert asked == []
        observer.watch([at(loopback_address, free_port())])
        await eventually(lambda: opinions(observer) == {"syd": False})
        await eventually(lambda: asked)
        assert observer.report().connected
        observer.watch([good])
        await eventually(lambda: opinions(observer) == {"syd": True})
    async with observing((loopback_address, free_port())) as observer:
        observer.watch([at(loopback_address, free_port())])
        await eventually(lambda: opinions(observer) == {"syd": False})
        assert observer.report().connected
    # A network that no test has a way to: connect(2) fails at once.
    async with observing(("255.255.255.255", 9)) as observer:
        observer.watch([at(loopback_address, free_port())])
        await eventually(lambda: not observer.report().connected)
        assert observer.report().observations == ()
    for server in (outside, edge):
        server.close()
        await server.wait_closed()


async def test_an_observer_that_was_cut_off_accuses_nobody_when_it_is_back(loopback_addresses) -> None:
    """What it saw meanwhile was its own network: from the moment at which its reference answers again it says of each
    edge what it sees then, and nothing before it has.
    """
    is_open = asyncio.Event()
    is_open.set()

    def edge_of(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        return lambda reader, writer: well(reader, writer, said={**SAID, "edge": name}, gate=is_open)

    edges = {name: await asyncio.start_server(edge_of(name), loopback_addresses(), 0) for name in ("syd", "iad")}
    outside = socket.create_server((loopback_addresses(), 0), backlog=0)
    where = outside.getsockname()
    # A queue that is full lets no connection in and refuses none: as if nobody were there.
    crowd = [socket.create_connection(where)]
    async with observing(where) as observer:
        observer.watch(at(*edge.sockets[0].getsockname(), name) for name, edge in edges.items())
        await eventually(lambda: opinions(observer) == {"syd": True, "iad": True})
        is_open.clear()
        await eventually(lambda: not observer.report().connected)
        said = []
        is_open.set()
        crowd.append(outside.accept()[0])

        def is_back() -> bool:
            said.append((observer.report().connected, opinions(observer)))
            return said[-1] == (True, {"syd": True, "iad": True})

        await eventually(is_back, every=0.003)
        assert [each for each in said if each[0] and not all(each[1].values())] == []
    for each in (*crowd, outside):
        each.close()
    for edge in edges.values():
        edge.close()
        await edge.wait_closed()
