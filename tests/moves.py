"""What a move of a live pointer comes to on each edge: seconds as the store shows them, reloads as edges log them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edgeward.core.fleet import EdgeStatus, Pointer
from edgeward.store.connection import Store
from fleet import EdgeProcess, Fleet

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Switch:
    """A line of an edge's log: the first digits of what is live, in which generation of nginx, by what move."""

    release: str
    generation: int
    move: str


def switches(edge: EdgeProcess, site: str) -> list[Switch]:
    """Every switch of a site since the edge started, oldest first."""
    pattern = rf"site {re.escape(site)}: (\w+) is live, generation (\d+) \((\w+)"
    return [Switch(found[1], int(found[2]), found[3]) for found in re.finditer(pattern, edge.log)]


async def generations(fleet: Fleet) -> dict[str, int]:
    """The generation of nginx on each edge."""
    return {edge.name: int((await edge.health())["generation"]) for edge in fleet}


@dataclass
class Move:
    """began: monotonic time at which the pointer was seen to move. live: seconds from then to each edge's report."""

    began: float = 0.0
    live: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{edge} {seconds:.2f} s" for edge, seconds in sorted(self.live.items()))


@asynccontextmanager
async def watched_move(
    store: Store, fleet: Fleet, site: str, at_live: Callable[[EdgeProcess], Awaitable[object]] | None = None
) -> AsyncIterator[Move]:
    """Watch the next move of a site's pointer, made within the context, until every edge has followed.

    at_live: called with an edge at once when it reports that it has.
    """
    move = Move()
    async with store.live.watch() as live, store.status.watch() as status:
        await live.caught_up(_PATIENCE)
        await status.caught_up(_PATIENCE)
        watching = asyncio.create_task(_watch(move, live, status, fleet, site, at_live))
        try:
            yield move
            await asyncio.wait_for(watching, _PATIENCE)
        finally:
            watching.cancel()


async def _watch(move: Move, live, status, fleet: Fleet, site: str, at_live) -> None:
    before = live.state[site].revision
    while live.state[site].revision == before:
        await live.changed()
    move.began = time.monotonic()
    release = Pointer.from_bytes(live.state[site].value).release
    waiting = {edge.name: edge for edge in fleet}
    while waiting:
        for edge in list(waiting.values()):
            stored = status.state.get(edge.name)
            held = EdgeStatus.from_bytes(stored.value).sites.get(site) if stored else None
            if held is not None and held.live == release:
                move.live[edge.name] = time.monotonic() - move.began
                del waiting[edge.name]
                if at_live is not None:
                    await at_live(edge)
        if waiting:
            await status.changed()
