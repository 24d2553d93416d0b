"""Sites for the conformance tests: from a few lines of text to a manifest, its blobs, and a tree to serve."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import brotli

from edgeward.core.digest import Digest, digest_of
from edgeward.core.headers import parse_headers
from edgeward.core.media_types import is_compressible, media_type
from edgeward.core.redirects import parse_redirects
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import SiteSettings
from edgeward.core.view import LiveSite, View, make_view
from edgeward.serve.blobs import BlobFolder
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.kept import KeptAsset, KeptFolder
from edgeward.serve.tree import stage

MODIFIED = 1_700_000_000


@dataclass(frozen=True)
class Site:
    """A site to be served. files: bytes by path, or just paths, each of which then holds text that names it.

    kept: paths (and bytes) of kept assets. plain: no variants at all.
    """

    name: str
    files: Mapping[str, bytes]
    redirects: str = ""
    headers: str | bytes = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, bytes] = field(default_factory=dict)
    plain: bool = False
    https: bool = False

    @property
    def hostnames(self) -> tuple[str, ...]:
        """Its hostnames: `<name>.test` unless the settings say otherwise."""
        return tuple(self.settings.get("hostnames", (f"{self.name}.test",)))


@dataclass(frozen=True)
class Built:
    """A site made ready. blobs: bytes of every variant by digest."""

    site: Site
    manifest: Manifest
    kept: Mapping[str, Entry]
    blobs: Mapping[Digest, bytes]

    def live(self) -> LiveSite:
        """As `core.resolve` takes it."""
        return LiveSite(self.manifest, self.kept, self.site.https)


def named(*paths: str) -> dict[str, bytes]:
    """Files whose bytes name their path, long enough to have variants where the type is compressible."""
    return {path: text_of(path) for path in paths}


def text_of(path: str) -> bytes:
    """What a file made by `named` holds."""
    return f"<p>the file {path}</p>\n".encode() * 20


def build(site: Site) -> Built:
    """Make manifest and blobs, with modified times that differ from file to file."""
    blobs: dict[Digest, bytes] = {}
    hosts = site.hostnames
    entries = [_entry(path, data, blobs, plain=site.plain) for path, data in sorted(site.files.items())]
    kept = {path: _entry(path, data, blobs, plain=site.plain) for path, data in site.kept.items()}
    rules = parse_redirects(site.redirects.encode(), hostnames=hosts)[0]
    text = site.headers if isinstance(site.headers, bytes) else site.headers.encode()
    settings = SiteSettings(**{"name": site.name, "hostnames": hosts, **site.settings})
    return Built(site, Manifest(settings, tuple(entries), rules, parse_headers(text)), kept, blobs)


def _entry(path: str, data: bytes, blobs: dict[Digest, bytes], *, plain: bool) -> Entry:
    kind = media_type(path)
    found = {"identity": data}
    if len(data) >= 256 and is_compressible(kind) and not plain:
        found["br"] = brotli.compress(data, quality=4)
        found["gzip"] = gzip.compress(data, 6, mtime=0)
    variants: list[Variant] = []
    for coding in ("identity", "br", "gzip"):
        if coding in found and len(found[coding]) not in {variant.size for variant in variants}:
            digest = digest_of(found[coding])
            blobs[digest] = found[coding]
            variants.append(Variant(coding, digest, len(found[coding])))
    return Entry(path, kind, MODIFIED + int(hashlib.md5(path.encode()).hexdigest()[:5], 16), tuple(variants))


class Shelf:
    """A folder in which sites are staged for engines: blobs, trees and kept folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = BlobFolder(path / "blobs")
        (path / "sites").mkdir(exist_ok=True)

    def serve(self, edge: str, sites: list[Built]) -> ServedView:
        """Stage the sites and return the view of an edge that serves them."""
        return ServedView(edge, tuple(self._stage(built) for built in sites))

    def _stage(self, built: Built) -> ServedSite:
        temp = self.path / "adopted"
        for digest, data in built.blobs.items():
            if not self.blobs.has(digest):
                temp.write_bytes(data)
                self.blobs.adopt(digest, temp)
        folder = self.path / "sites" / built.manifest.settings.name
        folder.mkdir(exist_ok=True)
        tree = folder / built.manifest.release
        stage(built.manifest, self.blobs, tree)
        kept = KeptFolder(folder / "kept")
        (folder / "kept").mkdir(exist_ok=True)
        kept.write({path: KeptAsset(entry, None) for path, entry in built.kept.items()}, self.blobs)
        return ServedSite(built.manifest, tree, folder / "kept", built.site.https)


def view_of(edge: str, sites: list[Built]) -> View:
    """The same view as `core.resolve` takes it."""
    return make_view(edge, [built.live() for built in sites])


def variation(site: Site, **changes: Any) -> Site:
    """A site like another, with changes."""
    return replace(site, **changes)
