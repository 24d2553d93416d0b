"""Files of an edge's disk that are not what they should be, put right from its blobs. Slow: for threads."""

from collections.abc import Iterable
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.plan import ReleaseKey
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
                    tree.place(disk.blobs, variant, asset.entry.modified, target)
                    count += 1
    return count


def restore(disk: EdgeDisk, key: ReleaseKey) -> tuple[int, dict[Digest, int]]:
    """Put back files of a tree that are missing or were written to, as far as their inodes are sound.

    Returns how many, and the blobs (with sizes) that the rest is made of. Raises DiskError, CorruptionError.
    """
    count, unsound, root = 0, dict[Digest, int](), disk.tree(key)
    for entry in disk.manifest(key[1]).entries:
        for folder, variant in tree.placements(entry):
            target = Path(f"{root}/{folder}{entry.path}")
            if is_untouched(target, entry.modified, variant.size):
                continue
            if disk.blobs.untouched(variant.digest, entry.modified, variant.size):
                tree.place(disk.blobs, variant, entry.modified, target)
                count += 1
            else:
                unsound[variant.digest] = variant.size
    return count, unsound
