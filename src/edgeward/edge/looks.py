"""A push says that it is under way before it reads its folder: in that time an edge looks over the files of the release
that it serves, so that the staging which follows has only to look at what is new.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from edgeward.core.codec import parse_object
from edgeward.core.digest import Digest
from edgeward.core.release import Entry, Manifest
from edgeward.edge.holdings import Holdings
from edgeward.errors import SchemaError, StoreError
from edgeward.serve.blobs import BlobFolder
from edgeward.store.buckets import Watch
from edgeward.store.connection import Store

_FRESH = 60.0
"""Seconds for which a look counts, from its begin; a push that takes longer is staged with a look of its own."""
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at what is served. began: monotonic time."""

    release: Digest
    began: float
    sound: asyncio.Task[Mapping[str, Entry]]


class Looks:
    """The last look at each site that a push has announced itself for."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._last: dict[str, _Look] = {}

    async def follow(self, store: Store) -> None:
        """Look at the site of every push that begins, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                with contextlib.suppress(StoreError):
                    async with store.pushes.watch() as intents:
                        await self._follow(intents, group)
                await asyncio.sleep(_PAUSE)

    async def _follow(self, intents: Watch, group: asyncio.TaskGroup) -> None:
        known = frozenset[str]()
        while True:
            for key in intents.state.keys() - known:
                with contextlib.suppress(SchemaError):
                    site = parse_object(intents.state[key].value, kind="intent", major=1).get("site")
                    self.begin(str(site), group)
            known = frozenset(intents.state)
            await intents.changed()

    def begin(self, site: str, group: asyncio.TaskGroup) -> None:
        """Look at the release of a site that is served, if one is."""
        if (served := self._holdings.tree_of(site)) is not None:
            blobs, manifest = self._holdings.disk.blobs, served.manifest
            task = group.create_task(asyncio.to_thread(_untouched, manifest, blobs), name=f"look at {site}")
            self._last[site] = _Look(manifest.release, time.monotonic(), task)

    async def sound(self, site: str) -> Mapping[str, Entry]:
        """Return the entries, by path, of the release that is served whose files nobody has written to: as of the last
        look, none if that is long ago.
        """
        look = self._last.pop(site, None)
        if look is None or look.release != self._holdings.live.get(site) or time.monotonic() - look.began > _FRESH:
            return {}
        return await look.sound


def _untouched(manifest: Manifest, blobs: BlobFolder) -> Mapping[str, Entry]:
    return {
        entry.path: entry
        for entry in manifest.entries
        if all(blobs.untouched(variant.digest, entry.modified, variant.size) for variant in entry.variants)
    }
