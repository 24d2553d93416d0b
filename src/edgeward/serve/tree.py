"""Trees of a release: the folders that nginx serves it from, made of hard links to blobs.

A tree has four folders, each with the files' own names: `identity/` holds every entry as it is, `vary/` those of them
that have other variants (so that the folder a file was found in says whether the answer varies), `br/` and `gzip/` the
variants. A root for each coding, rather than sibling files, so that a user's own `dump.sql.gz` is never taken for a
variant and no variant has a URL.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.serve.blobs import BlobFolder, disk_error

FOLDERS = ("identity", "vary", "br", "gzip")


def placements(entry: Entry) -> Iterator[tuple[str, Variant]]:
    """Yield (folder, variant) for each place of an entry in a tree."""
    for variant in entry.variants:
        yield variant.coding, variant
    if len(entry.variants) > 1:
        yield "vary", entry.identity


def stage(manifest: Manifest, blobs: BlobFolder, root: Path) -> None:
    """Make the tree of a release at `root` out of blobs that are all here; durable when this returns.

    A tree that exists is complete and left alone, because it is built beside and gets its name last. Raises
    CorruptionError for a missing blob, DiskError.
    """
    if root.exists():
        return
    building = root.with_name(root.name + ".new")
    try:
        _remove(building)
        made: set[str] = set()
        for folder in FOLDERS:
            (building / folder).mkdir(parents=True)
        for entry in manifest.entries:
            for folder, variant in placements(entry):
                target = f"{building}/{folder}{entry.path}"
                parent = target.rpartition("/")[0]
                if parent not in made:
                    Path(parent).mkdir(parents=True, exist_ok=True)
                    made.add(parent)
                blobs.link(variant.digest, entry.modified, target)
        blobs.sync()
        building.rename(root)
        blobs.sync()
    except OSError as error:
        raise disk_error("stage a release at", root, error) from error


def mend(manifest: Manifest, blobs: BlobFolder, root: Path, digests: frozenset[Digest]) -> int:
    """Link anew every file of the tree that is made of one of these blobs, which were corrupt and fetched again.

    Each file is replaced as a whole while it is being served. Returns how many. Raises CorruptionError, DiskError.
    """
    count = 0
    for entry in manifest.entries:
        for folder, variant in placements(entry):
            if variant.digest in digests:
                place(blobs, variant, entry.modified, Path(f"{root}/{folder}{entry.path}"))
                count += 1
    return count


def place(blobs: BlobFolder, variant: Variant, modified: int, target: Path) -> None:
    """Put one variant at `target`, over whatever is there, atomically."""
    temp = target.with_name(".edgeward-new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temp.unlink(missing_ok=True)
        blobs.link(variant.digest, modified, temp)
        temp.replace(target)
        # rename(2) of two links to one inode does nothing and leaves both names.
        temp.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error("place", target, error) from error


def unstage(root: Path) -> None:
    """Take the tree away. A tree that is being built or taken away has another name, so none is ever half there."""
    going = root.with_name(root.name + ".old")
    try:
        _remove(going)
        if root.exists():
            root.rename(going)
        _remove(going)
        _remove(root.with_name(root.name + ".new"))
    except OSError as error:
        raise disk_error("take away", root, error) from error


def _remove(folder: Path) -> None:
    if folder.exists():
        _remove_all(str(folder))


def _remove_all(folder: str) -> None:
    """Remove a folder of our own: four times as fast as `shutil.rmtree`, which guards against other users' links."""
    with os.scandir(folder) as children:
        for child in list(children):
            if child.is_dir(follow_symlinks=False):
                _remove_all(child.path)
            else:
                os.unlink(child.path)  # noqa: PTH108 (text)
    os.rmdir(folder)  # noqa: PTH106 (text)
