"""The folder of one edge: what it keeps on its own disk, so that it starts and serves without a store.

Layout (docs/formats.md has every byte)::

    edge.json, edge.json.copy  which release is served for each site, and which purge orders were carried out
    manifests/<release>     packed manifests (core.release.pack_manifest) of releases that are or were staged here
    blobs/                  serve.blobs.BlobFolder
    sites/<site>/<release>/ the tree of a staged release (serve.tree)
    sites/<site>/kept/      kept and staged assets (serve.kept)
    scratch/                half-fetched blobs; emptied at start
    engine/                 the HTTP engine's own files
    health.json, brief.json what /.well-known/edgeward/health and /.well-known/edgeward/brief answer
    edges.json              the edges of the fleet as they were last known
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.digest import Digest, parse_digest
from edgeward.core.fleet import SiteStatus
from edgeward.core.plan import ReleaseKey
from edgeward.core.release import Manifest, unpack_manifest
from edgeward.errors import DiskError, SchemaError
from edgeward.serve.blobs import BlobFolder
from edgeward.serve.kept import KeptFolder
from edgeward.serve.tree import FOLDERS, sweep

_SCHEMA = (1, 1)


@dataclass(frozen=True, slots=True)
class ServedRelease:
    """The release that a site is served from, and since when (seconds since the epoch).

    left: releases that stopped being served, and when (lived time), for those whose assets are not noted as kept yet.
    """

    release: Digest
    since: int
    left: tuple[tuple[Digest, int], ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeState:
    """What `edge.json` holds. sites: by name. purged: keys of the purge orders that were carried out here.

    lived: seconds as this edge counts them (`clock.LivedTime`); 0: it has not begun to.
    """

    sites: Mapping[str, ServedRelease] = field(default_factory=dict)
    purged: frozenset[str] = frozenset()
    lived: int = 0

    def site_status(self, staged: Iterable[ReleaseKey]) -> Mapping[str, SiteStatus]:
        """Return what an edge on which these releases are staged reports of each site that it holds something of."""
        found: dict[str, list[Digest]] = {site: [] for site in self.sites}
        for site, release in sorted(staged):
            found.setdefault(site, []).append(release)
        return {
            site: SiteStatus(
                live=served.release if (served := self.sites.get(site)) else None,
                since=served.since if served else 0,
                staged=tuple(releases),
            )
            for site, releases in found.items()
        }

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return canonical_bytes(
            {
                "schema": list(_SCHEMA),
                "sites": {
                    name: {"live": site.release, "since": site.since, "left": [list(item) for item in site.left]}
                    for name, site in self.sites.items()
                },
                "purged": sorted(self.purged),
                "lived": self.lived,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "EdgeState":
        """Parse canonical bytes. Raises SchemaError."""
        value = parse_object(data, kind="edge state", major=_SCHEMA[0])
        try:
            sites = {str(name): _served(item) for name, item in value["sites"].items()}
            return cls(sites, frozenset(str(key) for key in value["purged"]), int(value.get("lived", 0)))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise SchemaError(f"a stored edge state is not of the expected shape: {error!r}") from error


class EdgeDisk:
    """The folder of one edge, and the lock that keeps a second agent out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scratch = path / "scratch"
        self.engine = path / "engine"
        self.health = path / "health.json"
        self.brief = path / "brief.json"
        self.edges = path / "edges.json"
        self.dns = path / "dns"
        self._sites = path / "sites"
        self._manifests = path / "manifests"
        self._state = path / "edge.json"
        self._copy = path / "edge.json.copy"
        self._lock: int | None = None
        self.blobs = BlobFolder(path / "blobs")
        self.make_folders()

    def make_folders(self) -> None:
        """Make the folders that are not there: at the start, or because somebody deleted them. Raises DiskError."""
        try:
            for folder in (self.path, self._sites, self._manifests, self.engine, self.dns):
                folder.mkdir(parents=True, exist_ok=True)
            self.scratch.mkdir(mode=0o700, exist_ok=True)
            # nginx's workers run as another user: they need to pass through this folder, and no more.
            self.path.chmod(self.path.stat().st_mode | 0o711)
        except OSError as error:
            raise _failed("make the data folder", self.path, error) from error
        self.blobs.make_folders()
        if self._lock is not None and not (self.path / "lock").exists():
            self.unlock()
            self.lock()

    def make_whole(self) -> bool:
        """Make what is there as long as an agent runs, if somebody deleted a part; says whether. Raises DiskError."""
        always = (
            self._sites,
            self._manifests,
            self.engine,
            self.dns,
            self.scratch,
            self.blobs.path,
            self.path / "lock",
        )
        if all(path.exists() for path in always):
            return False
        self.make_folders()
        return True

    def lock(self) -> None:
        """Keep every other agent out until `unlock` or the end of this process. Raises DiskError if one is there."""
        file = self.path / "lock"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise DiskError(
                f"another agent works in {self.path}", hint="edgeward status", path=str(self.path)
            ) from error
        self._lock = descriptor

    def unlock(self) -> None:
        """Let another agent in. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def clear_scratch(self) -> None:
        """Empty the folder of half-fetched blobs. Raises DiskError."""
        try:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir(mode=0o700)
        except OSError as error:
            raise _failed("empty", self.scratch, error) from error

    def load(self, *, copy: bool = False) -> EdgeState | None:
        """Return the state, or its copy; None if it is not there. Raises SchemaError, DiskError."""
        file = self._copy if copy else self._state
        try:
            return EdgeState.from_bytes(file.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", file, error) from error

    def set_state_aside(self) -> None:
        """Give a state that cannot be read another name, so that a new one can be begun. Raises DiskError."""
        try:
            self._state.replace(self._state.with_name("edge.json.broken"))
        except OSError as error:
            raise _failed("rename", self._state, error) from error

    def save(self, state: EdgeState) -> None:
        """Write the state, durably, and a copy for the day when somebody loses it. Raises DiskError."""
        write_durably(self._state, state.to_bytes())
        write_durably(self._copy, state.to_bytes(), sync=False)

    def tree(self, key: ReleaseKey) -> Path:
        """Return where the tree of a release is, or would be."""
        return self._sites / key[0] / key[1]

    def kept(self, site: str) -> KeptFolder:
        """Return the kept folder of a site."""
        return KeptFolder(self._sites / site / "kept")

    def prepare_site(self, site: str) -> None:
        """Make the folders of a site, so that an engine can name them. Raises DiskError."""
        try:
            for folder in FOLDERS:
                (self._sites / site / "kept" / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed("make the folder of site", self._sites / site, error) from error

    def clear_kept(self, site: str) -> None:
        """Empty the kept folder of a site. Raises DiskError."""
        try:
            shutil.rmtree(self.kept(site).path)
        except OSError as error:
            raise _failed("empty", self.kept(site).path, error) from error
        self.prepare_site(site)

    def forget_site(self, site: str) -> None:
        """Take away the folder of a site that is no longer served. Raises DiskError."""
        going = self._sites / f".{site}.old"
        try:
            if going.exists():
                shutil.rmtree(going)
            if (self._sites / site).exists():
                # A tree that has its name is whole, also while it goes.
                (self._sites / site).rename(going)
                shutil.rmtree(going)
        except OSError as error:
            raise _failed("take away", self._sites / site, error) from error

    def sites(self) -> Iterator[str]:
        """Yield the sites that have a folder here. Raises DiskError."""
        yield from (folder.name for folder in _listed(self._sites) if folder.is_dir() and folder.name[0] != ".")

    def tidy(self) -> None:
        """Remove what an agent that ended in the middle left among the trees. Raises DiskError."""
        for going in self._sites.glob(".*.old"):
            shutil.rmtree(going, ignore_errors=True)
        for site in self.sites():
            self.sweep(site)

    def sweep(self, site: str) -> None:
        """Remove what no tree of a site needs; nothing of it may be staged meanwhile. Raises DiskError."""
        if (self._sites / site).is_dir():
            sweep(self._sites / site)

    def staged(self) -> Iterator[ReleaseKey]:
        """Yield every release whose tree is whole and whose manifest is here. Raises DiskError."""
        for site in self.sites():
            for tree in _listed(self._sites / site):
                with contextlib.suppress(SchemaError):
                    release = parse_digest(tree.name)
                    if self.has_manifest(release):
                        yield site, release

    def has_manifest(self, release: Digest) -> bool:
        """Whether the manifest of a release is here."""
        return (self._manifests / release).is_file()

    def packed_manifest(self, release: Digest) -> bytes:
        """Return the packed manifest. Raises DiskError if it is not here or cannot be read."""
        file = self._manifests / release
        try:
            return file.read_bytes()
        except OSError as error:
            raise _failed("read", file, error) from error

    def manifest(self, release: Digest, like: Manifest | None = None) -> Manifest:
        """Return the manifest, verified. like: as `parse_manifest` has it. Raises DiskError, SchemaError,
        CorruptionError.
        """
        return unpack_manifest(self.packed_manifest(release), release, like)

    def save_manifest(self, release: Digest, packed: bytes) -> None:
        """Write a verified manifest, durably. Raises DiskError."""
        write_durably(self._manifests / release, packed)

    def remove_manifest(self, release: Digest) -> None:
        """Take a manifest away. Raises DiskError."""
        try:
            (self._manifests / release).unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", self._manifests / release, error) from error

    def manifests(self) -> Iterator[Digest]:
        """Yield every release whose manifest is here. Raises DiskError."""
        for file in _listed(self._manifests):
            with contextlib.suppress(SchemaError):
                yield parse_digest(file.name)

    def free(self) -> int:
        """Return the bytes that are free to unprivileged writers on this disk. Raises DiskError."""
        try:
            found = os.statvfs(self.path)
        except OSError as error:
            raise _failed("measure", self.path, error) from error
        return found.f_bavail * found.f_frsize


def write_durably(file: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace `file` by `data` as a whole, readable by all; on disk when this returns if `sync`. Raises DiskError."""
    temp = file.with_name(f".{file.name}.new")
    try:
        with temp.open("wb") as opened:
            opened.write(data)
            os.fchmod(opened.fileno(), 0o644)
            if sync:
                opened.flush()
                os.fsync(opened.fileno())
        temp.replace(file)
        if sync:
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise _failed("write", file, error) from error


def _served(item: Json) -> ServedRelease:
    left = tuple((parse_digest(release), int(at)) for release, at in item["left"])
    return ServedRelease(parse_digest(item["live"]), int(item["since"]), left)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _failed("list", folder, error) from error


def _failed(verb: str, path: Path, error: OSError) -> DiskError:
    return DiskError(f"cannot {verb} {path}: {error.strerror}", path=str(path), errno=error.errno)
