"""The scrub: everything on this edge's disk is read again and again, slowly, for ever; what has rotted is mended.

While anything is rotten the edge says that it is not ready, so that readers are sent elsewhere.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from edgeward.core.digest import Digest
from edgeward.core.release import Manifest
from edgeward.edge.conditions import Conditions
from edgeward.edge.holdings import Holdings
from edgeward.edge.journal import Journal
from edgeward.edge.stager import Stager
from edgeward.edge.threads import to_the_end
from edgeward.errors import CorruptionError, EdgewardError, SchemaError

_LOG = logging.getLogger("edgeward.edge")
_IDLE = 5.0
_SLICE = 1024 * 1024
"""Bytes that are read between two pauses, at most one blob more."""
_SHARE = 0.1
"""Of a core that it takes at most: many small files cost more time than their bytes say."""
_TREES = 30.0
"""Seconds between two looks at the trees: a file that somebody took out of one is a 404 until it is put back."""


@dataclass(slots=True)
class Progress:
    """How far the scrub is. done, total: blobs of the present round. rounds: whole rounds since the start."""

    done: int = 0
    total: int = 0
    rounds: int = 0
    last_round_ended: int = 0
    found: int = 0
    mended: int = 0


class Scrub:
    """Reads at most `rate` bytes a second, and everything at most once in `round_seconds`.

    reachable: whether the store can be asked just now. refresh: makes the HTTP engine open all files anew.
    """

    def __init__(
        self,
        holdings: Holdings,
        stager: Stager,
        conditions: Conditions,
        *,
        rate: int,
        round_seconds: float = 60.0,
        reachable: Callable[[], bool],
        refresh: Callable[[], Awaitable[None]],
        journal: Journal,
        clock: Callable[[], int],
    ) -> None:
        self.progress = Progress()
        self.rotten: dict[Digest, int] = {}
        """Blobs that are not what their name says and that something here needs, with their size."""
        self.changed = asyncio.Event()
        """Set when `rotten` changes, for whoever reports; cleared by them."""
        self._holdings = holdings
        self._stager = stager
        self._conditions = conditions
        self._rate = rate
        self._round_seconds = round_seconds
        self._reachable = reachable
        self._refresh = refresh
        self._mending = asyncio.Lock()
        self._journal = journal
        self._clock = clock

    async def run(self) -> None:
        """Scrub until cancelled."""
        while self._rate:
            began = time.monotonic()
            # A small site would otherwise be read many times a second, which costs more than it finds. An edge that is
            # empty waits for its first one, and whoever looks at it wants to see how many blobs that has.
            pause = self._round_seconds if await self.once() else min(_IDLE, self._round_seconds)
            await asyncio.sleep(max(1.0, pause - (time.monotonic() - began)))

    async def watch_trees(self) -> None:
        """Put back what is missing in trees until cancelled: a whole round takes hours where there is much to read."""
        while self._rate:
            began = time.monotonic()
            await self.check_trees()
            await asyncio.sleep(max(_TREES, (time.monotonic() - began) / _SHARE))

    async def once(self) -> bool:
        """Read every blob once; returns whether there was anything."""
        digests = await asyncio.to_thread(lambda: list(self._holdings.disk.blobs.digests()))
        self.progress.done, self.progress.total = 0, len(digests)
        left = iter(digests)
        while self.progress.done < len(digests):
            began = time.monotonic()
            checked, read, suspects = await asyncio.to_thread(
                lambda: self._holdings.disk.blobs.check_some(left, enough=_SLICE)
            )
            busy = time.monotonic() - began
            for digest in suspects:
                await self._check_again(digest)
            self.progress.done += checked
            await asyncio.sleep(max(read / self._rate, busy / _SHARE) - busy)
            await self._mend()
        self.progress.rounds += 1
        self.progress.last_round_ended = self._clock()
        return bool(digests)

    async def _check_again(self, digest: Digest) -> None:
        """Judge a blob that did not look sound, unless what was made of it has only gone meanwhile."""
        blobs = self._holdings.disk.blobs
        try:
            await asyncio.to_thread(blobs.check, digest)
        except (CorruptionError, OSError) as error:
            if blobs.has(digest):  # else it was swept or purged since the round began
                await self._judge(digest, str(error))

    async def _judge(self, digest: Digest, sentence: str) -> None:
        """Have a rotten blob mended if something needs it, else take it away."""
        size = await asyncio.to_thread(self._size_where_needed, digest)
        if size is not None:
            await self._found({digest: size}, sentence)
            return
        _LOG.warning("%s; nothing needs it: it is removed", sentence)
        async with self._holdings.writing:
            await to_the_end(self._holdings.disk.blobs.remove, digest)

    async def _found(self, rotten: Mapping[Digest, int], sentence: str) -> None:
        self.progress.found += len(rotten)
        self.rotten.update(rotten)
        self._tell()
        self.changed.set()
        await self._journal.record(sentence, {"digests": sorted(rotten)[:10]})
        await self._mend()

    def _size_where_needed(self, digest: Digest) -> int | None:
        """Return the size of a blob if a manifest or a kept folder here names it."""
        for manifest in self._manifests():
            for variant in manifest.blobs():
                if variant.digest == digest:
                    return variant.size
        for site in self._holdings.disk.sites():
            for asset in self._holdings.disk.kept(site).assets().values():
                for variant in asset.entry.variants:
                    if variant.digest == digest:
                        return variant.size
        return None

    def _manifests(self) -> list[Manifest]:
        found = []
        for release in list(self._holdings.disk.manifests()):
            try:
                found.append(self._holdings.disk.manifest(release))
            except (CorruptionError, SchemaError) as error:
                _LOG.warning("the manifest of release %s cannot be read: %s", release[:12], error.message)
        return found

    async def _mend(self) -> None:
        """Fetch what is rotten again, link it anew everywhere, and have the HTTP engine open it anew."""
        if not self.rotten or self._mending.locked():
            return
        async with self._mending:
            wanted = dict(self.rotten)
            if not self._reachable():
                self._tell("the state store cannot be reached")
                return
            try:
                async with self._holdings.pinned(wanted.keys):
                    await self._stager.fetch(wanted)
                    await self._holdings.mend(frozenset(wanted))
                await self._refresh()
            except EdgewardError as error:
                self._tell(error.message)
                return
            for digest in wanted:
                del self.rotten[digest]
        self.progress.mended += len(wanted)
        self._tell()
        self.changed.set()
        _LOG.info("mended %d blobs that had rotted on disk", len(wanted))

    async def mend_for_ever(self) -> None:
        """Try again to mend what could not be mended when it was found, until cancelled."""
        while True:
            await asyncio.sleep(_IDLE)
            await self._mend()

    async def check_trees(self) -> None:
        """Put back files that somebody took out of a tree: by their names and times, nothing is read."""
        seen: set[int] = set()
        for key in list(self._holdings.staged):
            try:
                count, unsound = await self._holdings.restore(key, seen)
            except (CorruptionError, SchemaError) as error:
                self.progress.found += 1
                await self._journal.record(f"{error.message}; it is written anew", {"site": key[0], "release": key[1]})
                await self._holdings.rescue_manifest(key)
                self.progress.mended += 1
                continue
            except EdgewardError as error:
                sentence = f"the tree of release {key[1][:12]} of site {key[0]} is damaged: {error.message}"
                self._conditions.set(f"tree {key[0]}", sentence, now=self._clock())
                continue
            self._conditions.set(f"tree {key[0]}", None, now=self._clock())
            if unsound:
                sentence = f"{len(unsound)} blobs in the tree of site {key[0]} are missing or were written to"
                await self._found(unsound, sentence)
            if count:
                self.progress.found += count
                self.progress.mended += count
                sentence = f"{count} files were missing or changed in the tree of site {key[0]}; put back"
                await self._journal.record(sentence, {"site": key[0]})
                await self._refresh()

    def _tell(self, because: str | None = None) -> None:
        sentence = None
        if self.rotten:
            first = next(iter(self.rotten))
            sentence = f"{len(self.rotten)} blobs have rotted on this edge's disk ({first[:12]} is one); it is out"
            sentence += f" and they cannot be fetched again: {because}" if because else " until they are fetched again"
        self._conditions.set("rot", sentence, now=self._clock())
