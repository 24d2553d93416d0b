"""Files of an edge's disk that are not what they should be, put right from its blobs. Slow: for threads."""

import os
from collections.abc import Iterable
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.plan import ReleaseKey
from edgeward.core.release import Manifest
from edgeward.edge.disk import EdgeDisk
from edgeward.serve import tree
from edgeward.serve.blobs import is_untouched


def mend(disk: EdgeDisk, staged: Iterable[ReleaseKey], digests: frozenset[Digest]) -> int:
    """Link anew every file of staged trees and kept folders that is made of one of these blobs; returns how many.

    Raises CorruptionError, DiskError.
    """
    count = 0
    for key in staged:
        count += tree.mend(disk.manifest(key[1]), disk.blobs, disk.tree(key), digests)
    for site in disk.sites():
        folder = disk.kept(site)
        for asset in folder.assets().values():
            for name, variant in tree.placements(asset.entry):
                if variant.digest in digests:
                    target = Path(f"{folder.path}/{name}{asset.entry.path}")
                    tree.place(disk.blobs, variant, asset.entry.modified, target, kept=True)
                    count += 1
    return count


def restore(disk: EdgeDisk, key: ReleaseKey, seen: set[int], like: Manifest | None) -> tuple[int, dict[Digest, int]]:
    """Put back files of a tree that are missing or were written to, as far as their inodes are sound.

    seen: inodes of folders in which all was well, as parts of other trees that share them; those of this one are added.
    like: a manifest of the same site, which saves time. Returns how many files, and the blobs (with sizes) that the
    rest is made of. Raises DiskError, CorruptionError.
    """
    count, unsound, root = 0, dict[Digest, int](), disk.tree(key)
    if not tree.is_there(root):  # it is staged anew: while half of it was there, the rest would be a 404
        return count, unsound
    inodes: dict[str, int] = {}
    faulty: set[str] = set()
    for entry in disk.manifest(key[1], like).entries:
        above = entry.path.rpartition("/")[0]
        for name, variant in tree.placements(entry):
            folder = f"{root}/{name}{above}"
            if folder not in inodes:
                inodes[folder] = _inode(folder)
            target = f"{root}/{name}{entry.path}"
            if inodes[folder] in seen or is_untouched(target, entry.modified, variant.size):
                continue
            faulty.add(folder)
            if disk.blobs.untouched(variant.digest, entry.modified, variant.size):
                tree.place(disk.blobs, variant, entry.modified, Path(target))
                count += 1
            else:
                unsound[variant.digest] = variant.size
    seen.update(inode for folder, inode in inodes.items() if inode and folder not in faulty)
    return count, unsound


def _inode(folder: str) -> int:
    """Return the number of a folder's inode, 0 if it is not there."""
    try:
        return os.stat(folder).st_ino  # noqa: PTH116 (text)
    except OSError:
        return 0
