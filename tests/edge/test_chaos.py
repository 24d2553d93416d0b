"""Everything dies at random while sites are pushed and read: readers never see a wrong answer, and all comes right."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeward.errors import EdgewardError
from edgeward.publish.places import Places
from edgeward.publish.push import push
from edgeward.publish.values import Waiting
from fleet import EdgeProcess, Fleet, running_fleet
from publishing import options, write_site
from waiting import eventually

SECONDS = 90
HOST = "www.example.test"


class Chaos:
    def __init__(self, fleet: Fleet, folder: Path, seed: int) -> None:
        self.fleet = fleet
        self.folder = folder
        self.random = random.Random(seed)
        self.places = Places(folder / "cache", folder / "config")
        self.pages: set[bytes] = set()
        self.done: list[int] = []
        self.wrong: list[str] = []
        self.asked = self.refused = self.count = 0

    def version(self) -> Path:
        self.count += 1
        number = self.count
        asset = f"assets/app.{number:07d}a.js"
        page = f"<script src=/{asset}></script>" + f"<p>{number}</p>" * 50
        self.pages.add(page.encode())
        return write_site(self.folder / f"v{number}", {"index.html": page, asset: f"{number};" * 100})

    async def push(self, *, wait: float = 5, quorum: str = "any") -> None:
        given = options(self.version(), hostnames=(HOST,), waiting=Waiting(wait, quorum), force=True)
        number = self.count
        async with self.fleet.store() as store:
            await push(given, store, places=self.places)
        self.done.append(number)

    async def push_for_ever(self) -> None:
        while True:
            with contextlib.suppress(EdgewardError):
                await self.push()
            await asyncio.sleep(0)

    async def read_for_ever(self, edge: EdgeProcess) -> None:
        while True:
            try:
                answer = await edge.get("/", host=HOST)
            except OSError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            self.asked += 1
            if answer.status != 200 or answer.body not in self.pages:
                self.wrong.append(f"{edge.name}: {answer.status} {answer.body[:60]!r}")

    async def disturb(self) -> None:
        """One accident, and what an operator's systemd would do about it."""
        edge = self.random.choice(list(self.fleet))
        match self.random.choice(("agent", "restart", "machine", "store")):
            case "agent":
                await edge.stop(signal.SIGKILL)
            case "restart":
                await edge.stop(signal.SIGHUP)
            case "machine":
                await edge.kill()
            case _:
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int((self.fleet.first.data / "state/server.pid").read_text()), signal.SIGKILL)
                return
        await asyncio.sleep(self.random.random())
        await edge.start()


@pytest.mark.long
async def test_whatever_dies_readers_get_right_answers(tmp_path: Path, loopback_addresses: Callable[[], str]) -> None:
    """Agents, whole edges and the state server are killed at random under pushes and readers. No reader gets anything
    but a whole page of a pushed release (or no connection while nginx is down); every push that reported success can be
    seen to have happened: in the end all edges serve the last one and every asset of the successful ones.
    """
    seed = int(os.environ.get("EDGEWARD_SEED", time.time()))
    print(f"\nEDGEWARD_SEED={seed}")
    async with running_fleet(tmp_path / "fleet", loopback_addresses) as fleet:
        chaos = Chaos(fleet, tmp_path, seed)
        await chaos.push(wait=30, quorum="all")
        loops = [asyncio.create_task(chaos.push_for_ever())]
        loops += [asyncio.create_task(chaos.read_for_ever(edge)) for edge in fleet]
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                await chaos.disturb()
                await asyncio.sleep(chaos.random.uniform(0.2, 3))
                for loop in loops:
                    assert not loop.done() or loop.result() is None
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
        print(f"{chaos.asked} answers, {chaos.refused} connections refused")
        print(f"{len(chaos.done)} of {chaos.count} pushes done")
        assert chaos.wrong == []
        await fleet.until_ready(within=60)

        async def final() -> bool:
            with contextlib.suppress(EdgewardError):
                await chaos.push(wait=30, quorum="all")
                return True
            return False

        await eventually(final, within=90)
        for edge in fleet:
            assert (await edge.get("/", host=HOST)).body.startswith(
                f"<script src=/assets/app.{chaos.count:07d}".encode()
            )
            for number in chaos.done:

                async def there(edge: EdgeProcess = edge, number: int = number) -> bool:
                    return (await edge.get(f"/assets/app.{number:07d}a.js", host=HOST)).status == 200

                await eventually(there, within=60, what=f"asset of version {number} on {edge.name}")
