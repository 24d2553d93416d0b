"""An edge's own blobs: a folder in which every file is named by the digest of its bytes, and the inodes made of them.

Layout below the folder: `<2 hex>/<digest>` is a blob; `inodes/<2 hex>/<digest>-<modified hex>[.<n>]` is the same bytes
in an inode whose modification time is `modified`. An inode has one time and nginx makes ETag and Last-Modified from it,
so every (digest, modified) needs its own; the first one is the blob itself, linked, the others are copies. `.<n>` is
one more copy for each time that the file system's limit of links to one inode was reached (65,000 on ext4).
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeward.core.digest import Digest, parse_digest
from edgeward.errors import CorruptionError, DiskError, SchemaError

_CHUNK = 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)


class BlobFolder:
    """The blobs that this edge holds. Not safe for two writers at once; readers may be many."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inodes = path / "inodes"
        # Staging asks for every variant of a release: paths as text cost a tenth of what Path objects do.
        self._blob_root = str(path)
        self._inode_root = str(self._inodes)
        self.make_folders()

    def make_folders(self) -> None:
        """Make the folders that are not there. Raises DiskError."""
        try:
            self._inodes.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error("make the blob folder", self.path, error) from error

    def file(self, digest: Digest) -> Path:
        """Return where the blob is, or would be."""
        return self.path / digest[:2] / digest

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here (its bytes are not read)."""
        return os.path.isfile(f"{self._blob_root}/{digest[:2]}/{digest}")  # noqa: PTH113 (see __init__)

    def adopt(self, digest: Digest, temp: Path) -> None:
        """Take in one verified file by moving it, durably. See `adopt_all` for many."""
        self.adopt_all([(digest, temp)])

    def adopt_all(self, blobs: Iterable[tuple[Digest, Path]]) -> None:
        """Take in verified files by moving them from the same file system; durable when this returns.

        One sync for them all, before the first gets its name: a name never stands for bytes that a power cut can lose.
        Raises DiskError.
        """
        found = list(blobs)
        if not found:
            return
        try:
            for _, temp in found:
                temp.chmod(0o644)
            self.sync()
            for digest, temp in found:
                target = self.file(digest)
                target.parent.mkdir(exist_ok=True)
                temp.replace(target)
            self.sync()
        except OSError as error:
            raise disk_error("take blobs into", self.path, error) from error

    def check(self, digest: Digest) -> None:
        """Read the blob and every inode made of it. Raises CorruptionError if one is missing or not what its name says.

        Inodes that are links of the blob itself are read once.
        """
        self._check(digest, [str(path) for path in self._made_of(digest)])

    def check_some(self, digests: Iterator[Digest], *, enough: int) -> tuple[int, int, list[Digest]]:
        """Check blobs, which come in order of digest, until so many bytes are read or none is left.

        Returns how many, their bytes, and those that did not look sound: `check` says why, if they still do not.
        """
        count, read = 0, 0
        suspects: list[Digest] = []
        prefix, made_of = "", dict[str, list[str]]()
        for digest in digests:
            try:
                if digest[:2] != prefix:
                    made_of = self._made_in(digest[:2])
                    prefix = digest[:2]
                read += self._check(digest, made_of.get(digest, []))
            except (CorruptionError, OSError):  # the second from a folder that cannot be listed
                suspects.append(digest)
            count += 1
            if read >= enough:
                break
        return count, read, suspects

    def _check(self, digest: Digest, made_of: list[str]) -> int:
        """Do what `check` says; returns the bytes read."""
        seen: set[tuple[int, int]] = set()
        read = 0
        for path in (f"{self._blob_root}/{digest[:2]}/{digest}", *made_of):
            try:
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (text: see __init__)
                    status = os.fstat(file.fileno())
                    if (status.st_dev, status.st_ino) in seen:
                        continue
                    seen.add((status.st_dev, status.st_ino))
                    actual = hashlib.file_digest(file, "sha256").hexdigest()
                    read += status.st_size
            except OSError as error:
                raise CorruptionError(
                    f"blob {digest[:12]} cannot be read: {error.strerror}", expected=digest, path=path
                ) from error
            if actual != digest:
                raise CorruptionError(
                    f"blob {digest[:12]} is corrupt on disk: {Path(path).name} has the digest {actual[:12]}",
                    expected=digest,
                    actual=actual,
                    path=path,
                )
        return read

    def remove(self, digest: Digest) -> None:
        """Take the blob and the inodes made of it away. Trees that link them keep the bytes: unstage those first."""
        try:
            for path in (self.file(digest), *self._made_of(digest)):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error("remove blob " + digest[:12] + " from", self.path, error) from error

    def digests(self) -> Iterator[Digest]:
        """Yield every blob here, in order of digest. Raises DiskError."""
        for folder in _listed(self.path):
            if len(folder.name) != 2:
                continue
            for name in (file.name for file in _listed(folder)):
                with contextlib.suppress(SchemaError):
                    yield parse_digest(name)

    def link(self, digest: Digest, modified: int, target: Path | str) -> None:
        """Make `target` a hard link to an inode with the blob's bytes and the modification time `modified`.

        `target` must not exist, its folder must. Raises DiskError; CorruptionError if the blob is not here.
        """
        number = 0
        try:
            while True:
                inode = self._inode(digest, modified, number)
                try:
                    # First try, then look: a tree of a large site makes tens of thousands of these, nearly all at once.
                    os.link(inode, target)
                except FileNotFoundError:
                    if os.path.exists(inode):  # noqa: PTH110 (a string: see _inode)
                        raise
                    self._make_inode(digest, modified, Path(inode))
                except OSError as error:
                    if error.errno != errno.EMLINK:
                        raise
                    number += 1
                else:
                    return
        except FileNotFoundError as error:
            if self.has(digest):
                raise disk_error("link", Path(target), error) from error
            raise CorruptionError(f"blob {digest[:12]} is not on this edge", expected=digest) from error
        except OSError as error:
            raise disk_error("link", Path(target), error) from error

    def untouched(self, digest: Digest, modified: int, size: int) -> bool:
        """Whether the inode of (digest, modified) is here with that size and time.

        Then nobody has written to it since it was made of verified bytes; what rots below the file system is for the
        scrub to find.
        """
        return is_untouched(self._inode(digest, modified, 0), modified, size)

    def tidy(self) -> int:
        """Take away inodes that no tree links any more; returns how many."""
        removed = 0
        for folder in _listed(self._inodes):
            for path in _listed(folder):
                blob = self.path / folder.name / path.name[:64]
                status = path.stat()
                own = 2 if blob.exists() and blob.stat().st_ino == status.st_ino else 1
                if status.st_nlink <= own:
                    path.unlink()
                    removed += 1
        return removed

    def sync(self) -> None:
        """Wait until all that was written to this file system is on disk: one call instead of one for each file."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            if not hasattr(_LIBC, "syncfs"):
                os.sync()
            elif _LIBC.syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)

    def _inode(self, digest: Digest, modified: int, number: int) -> str:
        suffix = f".{number}" if number else ""
        return f"{self._inode_root}/{digest[:2]}/{digest}-{modified:x}{suffix}"

    def _made_of(self, digest: Digest) -> list[Path]:
        return sorted((self._inodes / digest[:2]).glob(f"{digest}-*"))

    def _made_in(self, prefix: str) -> dict[str, list[str]]:
        """Return the inodes of all blobs whose digests begin so, by digest."""
        found: dict[str, list[str]] = {}
        folder = f"{self._inode_root}/{prefix}"
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 (text: see __init__)
                found.setdefault(name.partition("-")[0], []).append(f"{folder}/{name}")
        return found

    def _make_inode(self, digest: Digest, modified: int, inode: Path) -> None:
        blob = self.file(digest)
        inode.parent.mkdir(exist_ok=True)
        if blob.stat().st_nlink == 1:
            os.utime(blob, (modified, modified))
            os.link(blob, inode)
            return
        temp = inode.with_name(inode.name + ".new")
        with blob.open("rb") as source, temp.open("wb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
        temp.chmod(0o644)
        os.utime(temp, (modified, modified))
        temp.replace(inode)


def is_untouched(file: Path | str, modified: int, size: int) -> bool:
    """Whether the file is there with that size and modification time (seconds since the epoch)."""
    try:
        status = os.stat(file)  # noqa: PTH116 (text too)
    except OSError:
        return False
    return status.st_size == size and status.st_mtime_ns == modified * 1_000_000_000


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise disk_error("list", folder, error) from error


def disk_error(verb: str, path: Path, error: OSError) -> DiskError:
    """Translate an OSError of this adapter: what was being done, to which path."""
    hint = "free some space or move the edge's folder" if error.errno in {errno.ENOSPC, errno.EDQUOT} else None
    return DiskError(f"cannot {verb} {path}: {error.strerror}", hint=hint, path=str(path))
