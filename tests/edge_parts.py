"""Parts of an edge, and releases made by hand, for tests of single parts."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import ReleaseRecord
from edgeward.core.media_types import media_type
from edgeward.core.release import Entry, Manifest, Variant, pack_manifest
from edgeward.core.site import SiteSettings
from edgeward.edge.disk import EdgeDisk
from edgeward.edge.holdings import Holdings
from edgeward.edge.stager import Stager
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store

MODIFIED = 1_700_000_000


@dataclass(frozen=True)
class Made:
    """A release made by hand: its manifest, its record, and every blob."""

    manifest: Manifest
    record: ReleaseRecord
    blobs: Mapping[Digest, bytes]

    @property
    def key(self) -> tuple[str, Digest]:
        return self.record.site, self.record.release

    def digest(self, path: str) -> Digest:
        return self.manifest.by_path[path].identity.digest

    async def put(self, store: Store, *, but: frozenset[Digest] = frozenset()) -> "Made":
        """Store its blobs (`but` these), manifest and record."""
        sources = [BlobSource(digest, len(data), data) for digest, data in self.blobs.items() if digest not in but]
        await store.blobs.put(sources)
        await store.releases.put(f"{self.record.site}.{self.record.release}", self.record.to_bytes())
        return self


def make_release(
    files: Mapping[str, str], *, site: str = "blog", hostnames: tuple[str, ...] = (), created: int = 100, **more: object
) -> Made:
    """A release of some text files; each gets a gzip variant if that is smaller."""
    entries, blobs = [], dict[Digest, bytes]()
    for path, text in sorted(files.items()):
        data = text.encode()
        packed = gzip.compress(data, mtime=0)
        variants = [Variant("identity", digest_of(data), len(data))]
        blobs[digest_of(data)] = data
        if len(packed) < len(data):
            variants.append(Variant("gzip", digest_of(packed), len(packed)))
            blobs[digest_of(packed)] = packed
        entries.append(Entry(path, media_type(path), MODIFIED, tuple(variants)))
    settings = SiteSettings(site, hostnames or (f"{site}.test",), **more)
    manifest = Manifest(settings, tuple(entries))
    packed = pack_manifest(manifest)
    blobs[digest_of(packed)] = packed
    record = ReleaseRecord(site, manifest.release, digest_of(packed), len(packed), created, "", "ann", len(entries), 1)
    return Made(manifest, record, blobs)


@dataclass
class Clock:
    """Seconds since the epoch, as a test wants them."""

    now: int = 1_800_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class Parts:
    """The parts of an edge that tests of single parts need."""

    holdings: Holdings
    stager: Stager
    clock: Clock = field(default_factory=Clock)

    @property
    def disk(self) -> EdgeDisk:
        return self.holdings.disk

    async def stage(self, made: Made) -> None:
        await self.stager.stage(made.record, forbidden=frozenset())

    async def serve(self, *releases: Made) -> None:
        """Note that these releases, all staged, are served now, and nothing else."""
        before = dict(self.holdings.live)
        view = await self.holdings.view({made.key[0]: made.key[1] for made in releases})
        left = {site: release for site, release in before.items() if view_release(view, site) != release}
        self.holdings.note_served(view, left)
        for made in releases:
            await self.holdings.keep(made.key[0])

    def read(self, made: Made, path: str, folder: str = "identity") -> str:
        return Path(f"{self.disk.tree(made.key)}/{folder}{path}").read_text()


def view_release(view, site: str) -> Digest | None:
    return next((each.manifest.release for each in view.sites if each.manifest.settings.name == site), None)
