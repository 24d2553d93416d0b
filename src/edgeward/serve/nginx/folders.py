"""The folder of one nginx: what is in it, who may read it, and its rotated logs."""

import grp
import os
import pwd
import resource
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from edgeward.core import pages
from edgeward.errors import DiskError, ServeError
from edgeward.serve.blobs import disk_error
from edgeward.serve.engine import ServedSite
from edgeward.serve.nginx.render import Machine, roots_folder
from edgeward.serve.nginx.settings import PAGES, NginxSettings

_USER: Final = "www-data"
_FOLDERS: Final = ("logs", "temp", "sockets", "retired", "roots", PAGES)
_MAX_FILES: Final = 65_536


def machine_of(settings: NginxSettings, served: Iterable[Path]) -> tuple[Machine, str | None]:
    """Return what the machine decides, and a sentence for the operator if that is not what it should be.

    served: folders that workers must reach. Raises ServeError if the user of the settings does not exist or cannot
    reach them.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if os.geteuid() != 0:
        return Machine(None, files), None
    wanted = settings.user or _USER
    blocked = _unreachable(wanted, [settings.folder, settings.health.parent, *served])
    if blocked is None:
        return Machine(wanted, files), None
    if settings.user is not None:
        raise ServeError(
            f"nginx's workers run as {wanted}, who cannot enter {blocked}",
            hint=f"let others enter that folder (chmod o+x {blocked}), or keep the edge's data elsewhere",
            path=str(blocked),
        )
    return Machine("root", files), f"nginx's workers run as root, because {wanted} cannot enter {blocked}"


def prepare(settings: NginxSettings, machine: Machine) -> None:
    """Make the folder and what is always in it. Raises DiskError."""
    folder = settings.folder
    try:
        for path in (folder, *(folder / name for name in _FOLDERS)):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)
        # Whoever reaches these sockets can say for whom a request is; only nginx and the agent may.
        (folder / "sockets").chmod(0o700)
        if machine.user is not None:
            os.chown(folder / "sockets", pwd.getpwnam(machine.user).pw_uid, -1)
        for name, data in (
            ("moved", pages.REDIRECT_PAGE),
            *((str(status), page) for status, page in pages.PAGES.items()),
        ):
            file = folder / PAGES / f"{name}.html"
            temp = file.with_suffix(".new")
            temp.write_bytes(data)
            temp.chmod(0o644)
            os.utime(temp, (pages.MODIFIED, pages.MODIFIED))
            temp.replace(file)
    except OSError as error:
        raise disk_error("prepare nginx's folder", folder, error) from error


def link_roots(settings: NginxSettings, generation: int, roots: Mapping[Path, ServedSite] | None) -> None:
    """Make the links of a generation; with None take those of all other generations away. Raises DiskError."""
    folder = settings.folder / "roots"
    try:
        if roots is None:
            for other in folder.iterdir():
                if other.name != str(generation):
                    shutil.rmtree(other)
            return
        made = roots_folder(settings.folder, generation)
        if made.exists():
            shutil.rmtree(made)
        made.mkdir()
        made.chmod(0o755)
        for link, site in roots.items():
            link.symlink_to(site.tree)
    except OSError as error:
        raise disk_error("link trees below", folder, error) from error


def rotate(log: Path, *, size: int, keep: int) -> bool:
    """Move a log that is larger than `size` bytes aside as `<name>.1`, keeping `keep` old ones; says whether it did."""
    try:
        if not log.exists() or log.stat().st_size <= size:
            return False
        for number in range(keep, 0, -1):
            older = log.with_name(f"{log.name}.{number}")
            newer = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
    except OSError as error:
        raise disk_error("rotate", log, error) from error
    return True


def tail(log: Path, start: int) -> str:
    """Return what was written to a log since it had `start` bytes; at most the last 4,000 bytes of it."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= end else 0, end - 4_000))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def length(log: Path) -> int:
    """Bytes of a log, 0 if there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def write_config(path: Path, text: str) -> None:
    """Write a configuration file. Raises DiskError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise disk_error("write", path, error) from error


def _unreachable(user: str, paths: Iterable[Path]) -> Path | None:
    """Return the first folder on the way to one of the paths that the user may not enter, None if there is none."""
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ServeError(f"there is no user {user} for nginx's workers", hint="set the edge's worker user") from None
    if found.pw_uid == 0:
        return None
    groups = {found.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    seen: set[Path] = set()
    for path in paths:
        for folder in (*reversed(path.absolute().parents), path.absolute()):
            if folder in seen or not folder.is_dir():
                continue
            seen.add(folder)
            if not _may_enter(folder, found.pw_uid, groups):
                return folder
    return None


def _may_enter(folder: Path, uid: int, groups: set[int]) -> bool:
    try:
        status = folder.stat()
    except OSError as error:
        raise DiskError(f"cannot look at {folder}: {error.strerror}", path=str(folder)) from error
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid in groups:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
