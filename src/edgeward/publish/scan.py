"""Read a folder: every file that is to be an entry, with its digest, and everything that cannot be published (SITE-
FORMAT 1).

All problems are found before anything is said, and the folder is only read. Symbolic links are followed inside the
folder. Dot files and folders are left out, but for `.well-known` in the root.
"""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.errors import InputError, Problem
from edgeward.publish.stat_cache import Known, Stamp, StatCache
from edgeward.publish.values import Limits

RULE_FILES = ("_headers", "_redirects", "edgeward.toml")
"""Files of the root that are read and not published."""

CHUNK = 1024 * 1024
_RULE_FILE_SIZE = 64 * 1024 * 1024
_CHANGED = "changed while it was read; stop what writes to the folder and push again"
_KINDS = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """One file that becomes an entry. path: of the entry ("/a/b.html"). location, source: where its bytes
    are. stamp: as it was
    read.
    """

    path: str
    location: str
    stamp: Stamp
    digest: Digest

    @property
    def source(self) -> Path:
        """The file."""
        return Path(self.location)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp.size


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds. files: sorted by path. rules: bytes of each of RULE_FILES that is there. left_out: dot
    names, folders with a "/" at their end. problems: what cannot be published; those files are not in `files`. reread:
    files whose bytes were read.
    """

    folder: Path
    files: tuple[ScannedFile, ...]
    rules: dict[str, bytes]
    left_out: tuple[str, ...]
    problems: tuple[Problem, ...]
    reread: int


@dataclass
class _Walk:
    """What the walk over the folder has found so far."""

    root: Path
    limits: Limits
    found: list[tuple[str, str, Stamp]] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    total: int = 0

    def problem(self, name: str, message: str) -> None:
        self.problems.append(Problem(_shown(name), 0, message))


def scan(
    folder: Path,
    *,
    cache: Path | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
    on_read: Callable[[int], None] | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Scan:
    """Read `folder`. cache: the cache folder, None = read every file. on_read: called with the number of files done.

    Raises InputError if the folder itself cannot be read; problems of single files are in the result.
    """
    root = _root(folder)
    limits = limits or Limits()
    walk = _Walk(root, limits)
    _walk(walk, "", str(root), (_identity(root.stat()),))
    if walk.total > limits.site_size:
        walk.problem("", f"the files are {walk.total} bytes altogether; a site may have {limits.site_size}")
    known = StatCache.load(cache, root) if cache else None
    rules = {
        name: data for name, path in sorted(walk.rules.items()) if (data := _rule_file(walk, name, path)) is not None
    }
    files, fresh, reread = _digests(walk, known, jobs or os.cpu_count() or 1, on_read, clock_ns)
    if known is not None:
        known.save(fresh)
    files.sort(key=lambda file: file.path)
    return Scan(root, tuple(files), rules, tuple(sorted(walk.left_out)), tuple(sorted(walk.problems)), reread)


def _root(folder: Path) -> Path:
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            raise InputError(f"{folder} is not a folder")
        os.scandir(root).close()
    except FileNotFoundError:
        raise InputError(f"the folder {folder} does not exist") from None
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}") from error
    return root


def _walk(walk: _Walk, prefix: str, folder: str, above: tuple[tuple[int, int], ...]) -> None:
    """Add what is in `folder`. prefix: its path below the root with a "/" at the end, or "". above: it and the folders
    it is in.
    """
    try:
        with os.scandir(folder) as listing:
            children = sorted(listing, key=lambda child: child.name)
    except OSError as error:
        walk.problem(prefix, f"cannot be read: {error.strerror}")
        return
    for child in children:
        if len(walk.found) > walk.limits.entries:
            return
        name = prefix + child.name
        if child.name.startswith(".") and name != ".well-known":
            walk.left_out.append(_shown(name) + ("/" if child.is_dir(follow_symlinks=False) else ""))
        elif _is_utf8(walk, name):
            _child(walk, name, child, above)


def _child(walk: _Walk, name: str, child: os.DirEntry[str], above: tuple[tuple[int, int], ...]) -> None:
    path = child.path
    try:
        if child.is_symlink() and not _stays_inside(walk, name, path):
            return
        status = child.stat()
    except OSError as error:
        walk.problem(name, _gone(error))
        return
    if stat.S_ISDIR(status.st_mode):
        if _identity(status) in above:
            walk.problem(name, f"is a symbolic link to {_target(path)}, a folder that it is in itself")
        else:
            _walk(walk, name + "/", path, (*above, _identity(status)))
    elif not stat.S_ISREG(status.st_mode):
        kind = next((words for test, words in _KINDS if test(status.st_mode)), "no regular file")
        walk.problem(name, f"is {kind}; only files, folders and links to them can be published")
    elif name in RULE_FILES:
        walk.rules[name] = path
    else:
        _file(walk, name, path, Stamp.of(status))


def _file(walk: _Walk, name: str, path: str, stamp: Stamp) -> None:
    walk.total += stamp.size
    if stamp.size > walk.limits.file_size:
        walk.problem(name, f"is {stamp.size} bytes; a file may have {walk.limits.file_size}")
        return
    walk.found.append(("/" + name, path, stamp))
    if len(walk.found) == walk.limits.entries + 1:
        most = walk.limits.entries
        walk.problem("", f"the folder holds more than {most} files; a site may have {most}")


def _stays_inside(walk: _Walk, name: str, path: str) -> bool:
    """Whether a symbolic link leads to something in the folder; if not, say so."""
    try:
        target = Path(path).resolve(strict=True)
    except FileNotFoundError:
        walk.problem(name, f"is a broken symbolic link (to {_target(path)})")
        return False
    except (OSError, RuntimeError) as error:
        # Python 3.11 and 3.12 raise RuntimeError for a circle of links, 3.13 OSError with ELOOP.
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        walk.problem(name, f"is a symbolic link that leads round in a circle (to {_target(path)})")
        return False
    if not target.is_relative_to(walk.root):
        walk.problem(name, f"is a symbolic link to {_target(path)}, which is outside of the folder")
        return False
    return True


def _is_utf8(walk: _Walk, name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        walk.problem(name, "has a name that is not UTF-8")
        return False
    return True


def _rule_file(walk: _Walk, name: str, path: str) -> bytes | None:
    try:
        with Path(path).open("rb") as source:
            data = source.read(_RULE_FILE_SIZE + 1)
    except OSError as error:
        walk.problem(name, _gone(error))
        return None
    if len(data) > _RULE_FILE_SIZE:
        walk.problem(name, f"is larger than {_RULE_FILE_SIZE} bytes")
        return None
    return data


def _digests(
    walk: _Walk,
    known: StatCache | None,
    jobs: int,
    on_read: Callable[[int], None] | None,
    clock_ns: Callable[[], int],
) -> tuple[list[ScannedFile], dict[str, Known], int]:
    """Give each found file its digest: from the cache, or by reading it. Returns files, what to remember, and files
    read.
    """
    files: list[ScannedFile] = []
    remember: dict[str, Known] = {}
    to_read: list[tuple[str, str, Stamp]] = []
    for path, source, stamp in walk.found[: walk.limits.entries]:
        digest = known.digest(path, stamp) if known else None
        if digest is None:
            to_read.append((path, source, stamp))
        else:
            files.append(ScannedFile(path, source, stamp, digest))
            remember[path] = (stamp, digest)
    now_ns = clock_ns()
    for done, (path, source, stamp, result) in enumerate(_read_all(to_read, jobs), start=1):
        if isinstance(result, str):
            walk.problem(path.removeprefix("/"), result)
        else:
            files.append(ScannedFile(path, source, stamp, result[1]))
            if stamp.settled(now_ns):
                remember[path] = result
        if on_read:
            on_read(done)
    return files, remember, len(to_read)


def _read_all(wanted: list[tuple[str, str, Stamp]], jobs: int) -> Iterator[tuple[str, str, Stamp, Known | str]]:
    if len(wanted) < 2 or jobs == 1:
        for path, source, stamp in wanted:
            yield path, source, stamp, read_digest(source, stamp)
        return
    with ThreadPoolExecutor(jobs, thread_name_prefix="scan") as pool:
        results = pool.map(lambda item: read_digest(item[1], item[2]), wanted)
        for (path, source, stamp), result in zip(wanted, results, strict=True):
            yield path, source, stamp, result


def read_digest(source: Path | str, stamp: Stamp) -> Known | str:
    """Return stamp and digest of a file, or the sentence that says why not: it cannot be read, or is not what `stamp`
    says.
    """
    try:
        # Not blocking: the file may have become a named pipe since it was listed.
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if Stamp.of(os.fstat(descriptor)) != stamp:
                return _CHANGED
            hasher = hashlib.sha256()
            size = 0
            while chunk := os.read(descriptor, CHUNK):
                hasher.update(chunk)
                size += len(chunk)
            if size != stamp.size or Stamp.of(os.fstat(descriptor)) != stamp:
                return _CHANGED
        finally:
            os.close(descriptor)
    except OSError as error:
        return _gone(error)
    return stamp, Digest(hasher.hexdigest())


def _gone(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "went away while the folder was read; stop what writes to the folder and push again"
    return f"cannot be read: {error.strerror}"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _target(path: str) -> str:
    try:
        return repr(_shown(os.readlink(path)))  # noqa: PTH115 (the text of the link, as written)
    except OSError:
        return "somewhere"


def _shown(name: str) -> str:
    """The name as people can read it on any terminal: bytes that are not UTF-8 and control characters escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
