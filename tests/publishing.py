"""Folders to push, and edges that report themselves as a test wants them to: for tests of pushes."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.fleet import EdgeStatus, Pointer, SiteStatus
from edgeward.core.site import SiteSettings
from edgeward.errors import StoreError
from edgeward.publish.values import PushOptions, Waiting
from edgeward.store.connection import Store


def write_site(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def options(folder: Path, **changes: object) -> PushOptions:
    settings = changes.pop("settings", None) or SiteSettings(
        str(changes.pop("site", "blog")), tuple(changes.pop("hostnames", ("example.test",)))
    )
    values: dict[str, object] = {"message": "", "waiting": Waiting(10), "deployer": "tester", **changes}
    return PushOptions(folder=folder, settings=settings, **values)


@dataclass
class ReportingEdge:
    """An edge as a push sees it: a status in the store. It follows candidates and pointers and says what a test lets
    it.

    stages, switches: cleared events hold it back. bad: problems that it reports.
    """

    store: Store
    name: str
    stages: asyncio.Event = field(default_factory=asyncio.Event)
    switches: asyncio.Event = field(default_factory=asyncio.Event)
    problems: tuple[str, ...] = ()
    staged: dict[str, set[Digest]] = field(default_factory=dict)
    live: dict[str, Digest | None] = field(default_factory=dict)
    purged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stages.set()
        self.switches.set()

    async def report(self) -> None:
        now = int(time.time())
        sites = {
            site: SiteStatus(self.live.get(site), now, tuple(sorted(held)))
            for site, held in self.staged.items()
            if held or self.live.get(site)
        }
        status = EdgeStatus(
            edge=self.name, version="test", engine="preview", ready=True, generation=1, started=now, at=now,
            sites=sites, problems=self.problems, purged=tuple(sorted(self.purged)),
        )  # fmt: skip
        # The store may be away: the next refresh says it again.
        with suppress(StoreError):
            await self.store.status.put(self.name, status.to_bytes())

    async def run(self) -> None:
        async with (
            self.store.candidates.watch() as candidates,
            self.store.live.watch() as live,
            self.store.purges.watch() as purges,
            asyncio.TaskGroup() as group,
        ):
            await self.report()
            group.create_task(self._stage(candidates))
            group.create_task(self._switch(live))
            group.create_task(self._purge(purges))
            group.create_task(self._refresh())

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(2)
            await self.report()

    async def _stage(self, candidates) -> None:
        while True:
            await candidates.changed()
            await self.stages.wait()
            for stored in candidates.state.values():
                pointer = Pointer.from_bytes(stored.value)
                assert pointer.release
                self.staged.setdefault(pointer.site, set()).add(pointer.release)
            await self.report()

    async def _switch(self, live) -> None:
        while True:
            await live.changed()
            await self.switches.wait()
            for site, stored in live.state.items():
                pointer = Pointer.from_bytes(stored.value)
                self.live[site] = pointer.release
                self.staged[site] = {each for each in (pointer.release, pointer.previous) if each}
            await self.report()

    async def _purge(self, purges) -> None:
        while True:
            await purges.changed()
            await self.switches.wait()
            self.purged = set(purges.state)
            await self.report()
