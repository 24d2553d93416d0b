"""What this edge holds: staged releases, the one that is served for each site, kept assets. All changes go through it.

Slow work runs in threads; one lock keeps writers of the blob folder apart. Pins keep the sweep away from blobs that a
staging under way counts on.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from edgeward.core.assets import Assets, assets_of
from edgeward.core.digest import Digest
from edgeward.core.fleet import PurgeOrder, SiteStatus
from edgeward.core.plan import ReleaseKey
from edgeward.core.release import Entry, Manifest, pack_manifest
from edgeward.edge import repair
from edgeward.edge.clock import LivedTime, elapsed
from edgeward.edge.disk import EdgeDisk, EdgeState, ServedRelease
from edgeward.edge.pins import Digests, Pins
from edgeward.edge.threads import to_the_end
from edgeward.errors import EdgewardError, SchemaError
from edgeward.serve import tree
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.kept import KeptAsset

_LOG = logging.getLogger("edgeward.edge")
_DAY = 86_400
_MINUTE = 60


class Holdings:
    """The state of one edge's disk, in memory and on it. Methods raise DiskError."""

    def __init__(
        self,
        disk: EdgeDisk,
        *,
        edge: str,
        clock: Callable[[], int] = lambda: int(time.time()),
        timer: Callable[[], float] = elapsed,
    ) -> None:
        self.disk = disk
        self.writing = asyncio.Lock()
        """Held by whoever changes the blob folder or a kept folder."""
        self.staged: dict[ReleaseKey, tuple[str, ...]] = {}
        """Releases whose trees are whole, with their hostnames."""
        self.state = EdgeState()
        self.lost = False
        """Whether `load` found releases, and nothing that says which of them were served."""
        self.pins = Pins()
        self._edge = edge
        self._clock, self._timer = clock, timer
        self.lived = LivedTime(0, clock=clock, timer=timer)
        self._manifests: dict[str, Manifest] = {}
        self._fresh: dict[ReleaseKey, Manifest] = {}
        """Manifests of releases that were staged and not served yet: the next view needs them."""
        self._assets: dict[ReleaseKey, Assets] = {}
        """What `keep` needs of staged releases: to find it in a large manifest takes a while."""
        self._prepared: set[str] = set()

    def load(self) -> Mapping[str, str]:
        """Read what the disk holds; return sentences, by site, about what should be served and cannot be read.

        Raises SchemaError if the state was written by a later version: then nothing may be changed. One that is damaged
        is set aside; its copy, or without one the store, then says what is to be served of what is staged.
        """
        problems = self._load_state()
        self.disk.tidy()
        self.lived = LivedTime(self.state.lived, clock=self._clock, timer=self._timer)
        for key in list(self.disk.staged()):
            site, release = key
            try:
                manifest = self.disk.manifest(release)
            except EdgewardError as error:
                self._drop_broken(key)
                if self.live.get(site) == release:
                    problems[site] = f"site {site} cannot be served from this edge's own disk: {error.message}"
                continue
            self.staged[key] = manifest.settings.hostnames
            if self.live.get(site) == release:
                self._manifests[site] = manifest
        for site, release in self.live.items():
            if (site, release) not in self.staged:
                problems.setdefault(site, f"release {release[:12]} of site {site} is no longer on this edge's own disk")
                self._forget(site)
        return problems

    def _load_state(self) -> dict[str, str]:
        """Read the state, or its copy if it is damaged or gone; returns the problem with it, if any."""
        why = f"{self.disk.path / 'edge.json'} is gone"
        try:
            found = self.disk.load()
        except SchemaError as error:
            if "found" in error.facts:
                raise
            self.disk.set_state_aside()
            found, why = None, error.message
        if found is not None:
            self.state = found
            return {}
        try:
            found = self.disk.load(copy=True)
        except SchemaError as error:
            why += f"; of its copy: {error.message}"
        if found is not None:
            self.state = found
            return {"state": f"what this edge served is known from a copy only: {why}"}
        self.lost = any(True for _ in self.disk.staged())
        return {"state": f"this edge does not know what it served: {why}"} if self.lost else {}

    def note_time(self) -> None:
        """Write the time down that was lived through, if a minute of it could be lost."""
        if self.lived() - self.state.lived >= _MINUTE:
            self._save(self.state)

    @property
    def live(self) -> Mapping[str, Digest]:
        """The release that is served, by site."""
        return {site: served.release for site, served in self.state.sites.items()}

    @property
    def incomplete(self) -> frozenset[ReleaseKey]:
        """Releases that are served, and whose trees are gone from the disk."""
        return frozenset(self.live.items()) - self.staged.keys()

    def manifest_of(self, site: str) -> Manifest | None:
        """Return the manifest of the release that is served for a site, None if none is."""
        return self._manifests.get(site)

    def tree_of(self, site: str) -> tree.Tree | None:
        """Return the tree that a site is served from, None if none is or if it is gone."""
        manifest = self._manifests.get(site)
        if manifest is None or (key := (site, manifest.release)) not in self.staged:
            return None
        return tree.Tree(self.disk.tree(key), manifest)

    async def view(self, serve: Mapping[str, Digest]) -> ServedView:
        """Return what an engine serves when these releases, all staged, are served."""
        sites: list[ServedSite] = []
        for site, release in sorted(serve.items()):
            manifest = self._manifests.get(site)
            if manifest is None or manifest.release != release:
                manifest = self._fresh.get((site, release))
            if manifest is None:
                manifest = await asyncio.to_thread(self.disk.manifest, release)
            if site not in self._prepared:
                self.disk.prepare_site(site)
                self._prepared.add(site)
            folder = self.disk.tree((site, release))
            if (site, release) not in self.staged:
                # Nothing is at that path, so that nginx answers 500, and what it remembers not to have found there is
                # of no harm when the tree is back.
                folder = folder.with_name(f"{release}.lost")
            sites.append(ServedSite(manifest, folder, self.disk.kept(site).path))
        return ServedView(self._edge, tuple(sites))

    def note_served(self, view: ServedView, because_left: Mapping[str, Digest]) -> None:
        """Write down that `view` is served now; because_left: the release that each switched site was served from."""
        now = self._clock()
        sites: dict[str, ServedRelease] = {}
        for served in view.sites:
            name, release = served.manifest.settings.name, served.manifest.release
            known = self.state.sites.get(name)
            if known is None or known.release != release:
                left = known.left if known else ()
                if name in because_left:
                    left = (*left, (because_left[name], self.lived()))
                known = ServedRelease(release, now, left)
            sites[name] = known
        self._manifests = {served.manifest.settings.name: served.manifest for served in view.sites}
        for served in view.sites:
            self._fresh.pop((served.manifest.settings.name, served.manifest.release), None)
        self._save(replace(self.state, sites=sites))

    def has_noted(self, site: str, release: Digest) -> bool:
        """Whether every asset of a release is in the kept folder for some time. Raises what reading it raises."""
        if not self.disk.has_manifest(release):
            return False
        kept = self.disk.kept(site).assets()
        assets = assets_of(self.disk.manifest(release))
        return all(entry.path in kept and kept[entry.path].until is not None for entry in assets)

    def note_left(self, site: str, release: Digest, ago: int) -> None:
        """Write down that a release, whose assets are here, left so many seconds ago; `keep` does the rest."""
        if (served := self.state.sites.get(site)) is not None:
            served = replace(served, left=(*served.left, (release, self.lived() - ago)))
            self._save(replace(self.state, sites={**self.state.sites, site: served}))

    def note_purged(self, keys: Iterable[str]) -> None:
        """Write down which purge orders, of those that stand, are carried out here."""
        if frozenset(keys) != self.state.purged:
            self._save(replace(self.state, purged=frozenset(keys)))

    async def link(self, key: ReleaseKey, manifest: Manifest, packed: bytes) -> None:
        """Stage a release whose blobs are all here: manifest, tree, assets; durable when this returns.

        Raises CorruptionError if a blob is missing, DiskError.
        """
        async with self.writing:
            await to_the_end(self.disk.save_manifest, manifest.release, packed)
            self.disk.prepare_site(key[0])
            try:
                await to_the_end(tree.stage, manifest, self.disk.blobs, self.disk.tree(key), self.tree_of(key[0]))
                self._assets[key] = await asyncio.to_thread(Assets.of, manifest)
            finally:
                # Also when this was cancelled in the last moment: a tree that is there is known.
                if self.disk.tree(key).exists():
                    self.staged[key] = manifest.settings.hostnames
                    self._fresh[key] = manifest
        await self.keep(key[0])

    async def drop_lost(self) -> tuple[ReleaseKey, ...]:
        """Make the folders again that somebody deleted; return the releases that are no longer staged because of it."""
        if self.disk.make_whole():
            self._prepared.clear()
            self._save(self.state)
        lost = tuple(key for key in self.staged if not tree.is_there(self.disk.tree(key)))
        for key in lost:
            del self.staged[key]
            async with self.writing:
                await to_the_end(tree.unstage, self.disk.tree(key))
        return lost

    async def unstage(self, key: ReleaseKey) -> None:
        """Take the trees of a release away. Its manifest and blobs stay for `sweep` to judge."""
        for known in (self.staged, self._fresh, self._assets):
            known.pop(key, None)
        async with self.writing:
            await to_the_end(tree.unstage, self.disk.tree(key))
        await self.keep(key[0])

    async def keep(self, site: str, *, without: frozenset[Digest] = frozenset()) -> bool:
        """Bring the kept folder of a site up to date; returns whether it changed.

        It holds the immutable assets of every staged release, and those of releases that were served until
        `keep_assets_days` after they left. without: digests that must not be in it.
        """
        async with self.writing:
            served = self.state.sites.get(site)
            staged = [release for name, release in sorted(self.staged) if name == site]
            if not staged and served is None:
                self._prepared.discard(site)
                await to_the_end(self.disk.forget_site, site)
                return True
            changed = await to_the_end(self._keep, site, staged, served, without)
        if served is not None and served.left:
            noted = replace(served, left=tuple(item for item in self.state.sites[site].left if item not in served.left))
            self._save(replace(self.state, sites={**self.state.sites, site: noted}))
        return changed

    def _keep(self, site: str, staged: list[Digest], served: ServedRelease | None, without: frozenset[Digest]) -> bool:
        now = self.lived()
        folder = self.disk.kept(site)
        try:
            before = folder.assets()
        except SchemaError as error:
            _LOG.warning("%s; the kept folder of site %s is made anew", error.message, site)
            self.disk.clear_kept(site)
            before = {}
        wanted = {path: asset for path, asset in before.items() if asset.until is not None and asset.until > now}
        live = None if served is None else served.release
        for release in sorted(staged, key=lambda release: release == live):
            for entry in self._assets_in((site, release)).entries:
                known = wanted.get(entry.path)
                wanted[entry.path] = KeptAsset(entry, known.until if known else None)
        for release, at in () if served is None else served.left:
            if self.disk.has_manifest(release):
                assets = self._assets_in((site, release))
                until = at + assets.keep_days * _DAY
                for entry in assets.entries:
                    known = wanted.get(entry.path)
                    wanted[entry.path] = KeptAsset(known.entry if known else entry, until)
        wanted = {path: asset for path, asset in wanted.items() if not _digests([asset.entry]) & without}
        if wanted != before:
            folder.write(wanted, self.disk.blobs)
        return wanted != before

    def _assets_in(self, key: ReleaseKey) -> Assets:
        """Return the immutable assets of a release whose manifest is here."""
        found = self._assets.get(key)
        if found is None:
            found = Assets.of(self.disk.manifest(key[1], self._manifests.get(key[0])))
            if key in self.staged:
                self._assets[key] = found
        return found

    async def mend(self, digests: frozenset[Digest]) -> int:
        """Link anew every file that is made of one of these blobs, which were unsound and are here again.

        Returns how many. Raises CorruptionError, DiskError.
        """
        if not digests:
            return 0
        async with self.writing:
            return await to_the_end(repair.mend, self.disk, list(self.staged), digests)

    async def restore(self, key: ReleaseKey, seen: set[int]) -> tuple[int, Mapping[Digest, int]]:
        """Put back files of a staged tree that are missing or were written to.

        seen: as `repair.restore` has it. Returns how many, and the blobs (with sizes) to be fetched again for the rest.
        """
        async with self.writing:
            if key not in self.staged:
                return 0, {}
            return await to_the_end(repair.restore, self.disk, key, seen, self._manifests.get(key[0]))

    async def rescue_manifest(self, key: ReleaseKey) -> None:
        """Put back the manifest of a staged release that cannot be read any more, if it is in memory.

        Else the release counts as not staged, so that it is staged anew. Raises DiskError.
        """
        manifest = self._manifests.get(key[0])
        if manifest is None or manifest.release != key[1]:
            manifest = self._fresh.get(key)
        if manifest is not None:
            await to_the_end(self.disk.save_manifest, key[1], pack_manifest(manifest))
            return
        async with self.writing:
            self.staged.pop(key, None)
            await to_the_end(self._drop_broken, key)

    async def tainted(self, order: PurgeOrder, created: Mapping[ReleaseKey, int]) -> frozenset[ReleaseKey]:
        """Return the staged releases that an order forbids: covered by it, and holding one of its digests.

        created: when each release was pushed, as far as the store knows; one without a record counts as old.
        """
        forbidden = frozenset(order.digests)
        return frozenset(
            [
                key
                for key in list(self.staged)
                if order.covers(*key, created.get(key, 0)) and await asyncio.to_thread(self._holds, key[1], forbidden)
            ]
        )

    def _holds(self, release: Digest, digests: frozenset[Digest]) -> bool:
        return any(variant.digest in digests for variant in self.disk.manifest(release).blobs())

    def needed(self) -> frozenset[Digest]:
        """Return every blob that a manifest or a kept folder on this disk names. Slow: call it in a thread.

        Raises CorruptionError, SchemaError for what cannot be read: then nobody knows what is needed.
        """
        found: set[Digest] = set()
        for release in list(self.disk.manifests()):
            found.update(variant.digest for variant in self.disk.manifest(release).blobs())
        for site in self.disk.sites():
            found |= _digests(asset.entry for asset in self.disk.kept(site).assets().values())
        return frozenset(found)

    @asynccontextmanager
    async def pinned(self, digests: Digests) -> AsyncIterator[None]:
        """Keep the blobs that `digests` returns from being swept while the context lasts."""
        async with self.writing:  # a sweep that is removing blobs now ends first
            self.pins.add(digests)
        try:
            yield
        finally:
            self.pins.remove(digests)

    def site_status(self) -> Mapping[str, SiteStatus]:
        """Return what the edge reports of each site that it holds something of."""
        return self.state.site_status(self.staged)

    def _save(self, state: EdgeState) -> None:
        state = replace(state, lived=self.lived())
        self.disk.save(state)
        self.state = state

    def _forget(self, site: str) -> None:
        sites = {name: served for name, served in self.state.sites.items() if name != site}
        self.state = replace(self.state, sites=sites)

    def _drop_broken(self, key: ReleaseKey) -> None:
        """Take away a release whose manifest cannot be read, so that it is staged anew."""
        self.disk.remove_manifest(key[1])
        tree.unstage(self.disk.tree(key))


def _digests(entries: Iterable[Entry]) -> frozenset[Digest]:
    return frozenset(variant.digest for entry in entries for variant in entry.variants)
