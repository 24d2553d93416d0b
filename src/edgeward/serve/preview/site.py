"""What the preview engine shows at one time: a view for `core.resolve`, and where the bytes of each blob are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.release import Entry
from edgeward.core.view import LiveSite, View, make_view
from edgeward.errors import EdgewardError
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.kept import KeptFolder

Source = str | bytes
"""Where the bytes of a blob are: a file's path, or the bytes themselves."""


class KeptAssets(Mapping[str, Entry]):
    """The kept and staged assets of a site as they are on disk now: its folder changes while it is served."""

    def __init__(self, path: Path) -> None:
        self._folder = KeptFolder(path)
        self._stamp: tuple[int, int, int] | None = None
        self._entries: Mapping[str, Entry] = {}
        self._sources: Mapping[Digest, str] = {}

    def __getitem__(self, path: str) -> Entry:
        return self._current()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current())

    def __len__(self) -> int:
        return len(self._current())

    def source(self, digest: Digest) -> str | None:
        """Return the file that holds the bytes of a kept asset's variant."""
        return self._sources.get(digest)

    def _current(self) -> Mapping[str, Entry]:
        try:
            status = self._folder.index.stat()
        except OSError:
            stamp = None
        else:
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            try:
                found = self._folder.assets()
            except EdgewardError:
                # Last known good: an index that cannot be read takes nothing away.
                return self._entries
            self._entries = {path: asset.entry for path, asset in found.items()}
            self._sources = {
                variant.digest: f"{self._folder.path}/{variant.coding}{path}"
                for path, entry in self._entries.items()
                for variant in entry.variants
            }
            self._stamp = stamp
        return self._entries


@dataclass(frozen=True)
class Show:
    """A view with the sources of its blobs. kept: of all its sites."""

    view: View
    sources: Mapping[Digest, Source]
    kept: tuple[KeptAssets, ...] = field(default=())

    def source(self, digest: Digest) -> Source | None:
        """Return where the bytes of a blob are, None if this show has no such blob."""
        found = self.sources.get(digest)
        if found is not None:
            return found
        return next((source for kept in self.kept if (source := kept.source(digest)) is not None), None)


def show_of(served: ServedView) -> Show:
    """Return what to show for a view of an edge: sites from their trees, kept assets from their folders."""
    sources: dict[Digest, Source] = {}
    sites: list[LiveSite] = []
    kept: list[KeptAssets] = []
    for site in served.sites:
        assets = KeptAssets(site.kept)
        kept.append(assets)
        live = LiveSite(site.manifest, assets, site.https)
        prepare(live)
        sites.append(live)
        sources.update(_tree_sources(site))
    return Show(make_view(served.edge, sites), sources, tuple(kept))


def prepare(site: LiveSite) -> None:
    """Work out now what would else be worked out during the first request."""
    _ = (site.rules, site.headers, site.label, site.manifest.by_path)


def _tree_sources(site: ServedSite) -> Iterator[tuple[Digest, Source]]:
    for entry in site.manifest.entries:
        for variant in entry.variants:
            yield variant.digest, f"{site.tree}/{variant.coding}{entry.path}"
