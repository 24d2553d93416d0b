"""An observer that is cut off from the edges that it probes: nothing changes in the others' answers.

One edge runs in a network namespace of its own, whose routing lets its probes out or not.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edgeward.core.health import Report
from edgeward.errors import SchemaError
from fleet import HTTP_PORT, STORE_PORT, Fleet, prepare_fleet, started
from islands import Island, needs_root
from verdicts import out, settled
from waiting import eventually

REFERENCE = 9


@asynccontextmanager
async def fleet_on(island: Island, folder: Path, *, references: str) -> AsyncIterator[Fleet]:
    """Two edges here, the third on the island."""
    numbers = iter("123")
    more = {"syd": f"[health]\nreferences = [{references}]\n"} if references else {}
    fleet = prepare_fleet(folder, lambda: f"{island.net}.{next(numbers)}", more=more)
    fleet["syd"].wrapper = ("ip", "netns", "exec", island.name)
    async with started(fleet):
        await settled(fleet)
        yield fleet


@needs_root
@pytest.mark.parametrize("references", ["none", "failing"])
async def test_one_observer_cut_off_changes_nothing(island: Island, tmp_path: Path, references: str) -> None:
    """Its probes of every other edge fail: the others go on naming all, and so does it itself, since it is outvoted.

    With outside references that fail too it says of itself that it is not connected. When it loses the store as well,
    it has only its own observations to go by: without references it believes them, with references it does not.
    """
    given = f'"{island.net}.1:{REFERENCE}"' if references == "failing" else ""
    async with fleet_on(island, tmp_path, references=given) as fleet, fleet.store() as store:
        heard: list[Report] = []

        def hear(observer: str, data: bytes) -> None:
            with suppress(SchemaError):
                if observer == "syd":
                    heard.append(Report.from_bytes(data))

        listening = asyncio.create_task(store.observations.follow(hear))
        island.cut(HTTP_PORT, REFERENCE)
        end = time.monotonic() + 8
        while time.monotonic() < end:
            for edge in fleet:
                assert await out(edge) == set()
            await asyncio.sleep(0.05)
        listening.cancel()
        last = heard[-1]
        if references == "none":
            assert last.connected
            assert {(each.target, each.up) for each in last.observations} == {("fra", False), ("iad", False)}
        else:
            assert (last.connected, last.observations) == (False, ())
        island.cut(STORE_PORT)
        believed = {"fra", "iad"} if references == "none" else set()
        if believed:
            await eventually(lambda: _has_out(fleet, believed), within=15)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert await out(fleet["syd"]) == believed
            assert await out(fleet["fra"]) == set()
            assert await out(fleet["iad"]) == set()
            await asyncio.sleep(0.05)


async def _has_out(fleet: Fleet, names: set[str]) -> bool:
    return await out(fleet["syd"]) == names
