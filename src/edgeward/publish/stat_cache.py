"""The stat cache: digests of files that have not changed since they were read, so that they are not read again.

One JSON file for each folder that is pushed, in the cache folder (docs/formats.md, "Stat cache"). A file is taken to be
unchanged if size, modification time, change time and inode are what they were. Losing the cache costs time and nothing
else, so whatever is wrong with it is no error: the files are read.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import stat_result
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.errors import DiskError
from edgeward.publish.places import write_whole

SCHEMA = [1, 0]
GRANULARITY_NS = 2_000_000_000
"""No file system that we know stamps more coarsely (FAT: 2 s). A file changed within this of being read is not
remembered: it could change once more and keep its stamps (git's "racy" index entries).
"""

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `stat` says of a file, as far as it shows a change."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, status: stat_result) -> "Stamp":
        """Take the stamp from a stat result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def settled(self, now_ns: int) -> bool:
        """Whether a change after `now_ns` would surely show: neither time is of just now, or of the future."""
        return max(self.modified_ns, self.changed_ns) + GRANULARITY_NS < now_ns


Known = tuple[Stamp, Digest]


class StatCache:
    """Digests by path and stamp, for one folder."""

    def __init__(self, file: Path, folder: Path, known: Mapping[str, Known]) -> None:
        self._file = file
        self._folder = folder
        self._known = known

    @classmethod
    def load(cls, cache: Path, folder: Path) -> "StatCache":
        """Read the cache of `folder` (resolved) below the cache folder; empty if there is none that can be read."""
        name = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        file = cache / "stat" / f"{name}.json"
        try:
            return cls(file, folder, _parse(file.read_bytes(), folder))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls(file, folder, {})

    def digest(self, path: str, stamp: Stamp) -> Digest | None:
        """Return the digest of the file at `path` if it was read when it had this very stamp."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == stamp else None

    def save(self, files: Mapping[str, Known]) -> None:
        """Replace the cache by `files` if that changes it. A folder that cannot be written to is no error."""
        if files == self._known:
            return
        self._known = dict(files)
        rows = {
            path: [stamp.size, stamp.modified_ns, stamp.changed_ns, stamp.inode, digest]
            for path, (stamp, digest) in files.items()
        }
        folder = str(self._folder).encode("utf-8", "surrogateescape").hex()
        try:
            write_whole(self._file, json.dumps({"schema": SCHEMA, "folder": folder, "files": rows}).encode())
        except DiskError:
            return


def _parse(data: bytes, folder: Path) -> Mapping[str, Known]:
    value = json.loads(data)
    wanted = str(folder).encode("utf-8", "surrogateescape").hex()
    if value["schema"][0] != SCHEMA[0] or value["folder"] != wanted:
        return {}
    known: dict[str, Known] = {}
    for path, (size, modified, changed, inode, digest) in value["files"].items():
        if not _DIGEST.match(digest):
            return {}
        known[path] = (Stamp(size, modified, changed, inode), Digest(digest))
    return known
