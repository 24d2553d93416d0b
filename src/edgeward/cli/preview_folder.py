"""From a folder to what the preview engine shows: the manifest that a push would make, without compression."""

import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeward.cli.project import Project
from edgeward.core.digest import Digest, check_digest
from edgeward.core.media_types import media_type
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.view import LiveSite, View
from edgeward.errors import CorruptionError, InputError, Problem
from edgeward.publish.build import Draft, draft
from edgeward.publish.places import Places
from edgeward.publish.scan import ScannedFile

if TYPE_CHECKING:
    from edgeward.serve.preview import Show
    from edgeward.serve.preview.site import Source

Signature = frozenset[tuple[str, int, int]]
"""What a folder looked like: (path, bytes, nanoseconds of its last change) of every file."""

IN_MEMORY = 1024 * 1024
"""Files of up to so many bytes are held in memory."""

OWN_NAMES = ("localhost", "127.0.0.1")
"""Hosts that a preview answers for, beside the site's own."""


@dataclass(frozen=True)
class Preview:
    """A folder as it can be shown. signature: of the folder as it was before it was read."""

    project: Project
    signature: Signature
    show: "Show"
    site: str
    release: Digest
    files: int
    size: int
    warnings: tuple[Problem, ...]


def build_preview(project: Project, *, strict: bool, before: Preview | None = None) -> Preview:
    """Read the folder. before: what was built last, whose bytes are taken over where they are the same.

    Raises InputError with every problem that a push would refuse it for, DiskError.
    """
    from edgeward.serve.preview import Show
    from edgeward.serve.preview.site import prepare

    seen = signature(project)
    found = draft(project.folder, project.settings, cache=Places.of_user().cache, strict=strict, allow_no_index=True)
    manifest = _manifest(found)
    live = LiveSite(manifest)
    prepare(live)
    names = (*project.settings.hostnames, *OWN_NAMES)
    view = View("preview", dict.fromkeys(names, live))
    show = Show(view, _sources(found, before.show.sources if before else {}))
    return Preview(
        project=project,
        signature=seen,
        show=show,
        site=project.settings.name,
        release=manifest.release,
        files=len(found.scan.files),
        size=sum(file.size for file in found.scan.files),
        warnings=found.warnings,
    )


def _sources(found: Draft, before: "Mapping[Digest, Source]") -> "dict[Digest, Source]":
    """Return where the bytes of each blob are: in memory, so that a file may change while its last good version is
    served; large files stay where they are.
    """
    sources: dict[Digest, Source] = {}
    for file in found.scan.files:
        if file.digest in sources:
            continue
        if file.size > IN_MEMORY:
            sources[file.digest] = str(file.source)
        elif isinstance(held := before.get(file.digest), bytes):
            sources[file.digest] = held
        else:
            sources[file.digest] = _read(file)
    return sources


def _read(file: ScannedFile) -> bytes:
    try:
        data = file.source.read_bytes()
        check_digest(data, file.digest)
    except (OSError, CorruptionError) as error:
        changed = Problem(file.path.lstrip("/"), 0, "changed while it was read")
        raise InputError(f"{file.source} changed while it was read", [changed]) from error
    return data


def signature(project: Project) -> Signature:
    """Return what the folder and its `edgeward.toml` look like now. Reads no file; what vanishes
    meanwhile is left out. Links are not followed: what they may point to is in the folder too.
    """
    seen: set[tuple[str, int, int]] = set()
    for folder, _, names in os.walk(project.folder):
        for name in names:
            _look(f"{folder}/{name}", seen)
    if project.file is not None:
        _look(str(project.file), seen)
    return frozenset(seen)


def _look(path: str, seen: set[tuple[str, int, int]]) -> None:
    with suppress(OSError):
        status = Path(path).stat()
        if stat.S_ISREG(status.st_mode):
            seen.add((path, status.st_size, status.st_mtime_ns))


def _manifest(found: Draft) -> Manifest:
    now = int(time.time())
    entries = tuple(
        Entry(file.path, media_type(file.path), now, (Variant("identity", file.digest, file.size),))
        for file in found.scan.files
    )
    # Every name is served: a hop to the canonical one would lead away from this machine.
    return Manifest(replace(found.settings, alias_mode="serve"), entries, found.redirects, found.headers)
