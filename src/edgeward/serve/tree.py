"""Trees of a release: the folders that nginx serves it from, made of hard links to blobs.

A tree has four folders with the files' own names: `identity/` holds every entry as it is, `vary/` those of them that
have other variants (so that the folder a file was found in says whether the answer varies), `br/` and `gzip/` the
variants. A root for each coding, rather than sibling files, so that a user's own `dump.sql.gz` is never taken for a
variant and no variant has a URL.

The folders are shared: each lies once in `folders/` beside the trees of its site, named by the digest of what is in it,
and a tree is made of symbolic links to them. So a release that changes ten files of ten thousand makes ten folders, not
forty thousand links.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.core.release import Entry, Manifest, Variant, folders_above
from edgeward.serve.blobs import BlobFolder, disk_error

FOLDERS = ("identity", "vary", "br", "gzip")
SHARED = "folders"
"""The folder, beside the trees of a site, that holds what they share."""

_LINK = ".link"
"""Beside each shared folder lies a symbolic link to it with this ending, which the folders above hard-link: on ext4 a
new inode costs ten times what a name for one does."""

_DEEPEST = 24
"""Folders further down are part of the one above: the kernel follows at most 40 symbolic links in one path."""


@dataclass(slots=True)
class _Folder:
    """One folder of a tree. files: name -> (blob, modified). digest: of everything in it, set by `_name`; of one that
    is taken over as it is from another tree nothing else is known.
    """

    files: dict[str, tuple[Digest, int]] = field(default_factory=dict)
    folders: "dict[str, _Folder]" = field(default_factory=dict)
    digest: str = ""
    taken_over: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree that is there: where, and what it was made of."""

    root: Path
    manifest: Manifest


def placements(entry: Entry) -> Iterator[tuple[str, Variant]]:
    """Yield (folder, variant) for each place of an entry in a tree."""
    for variant in entry.variants:
        yield variant.coding, variant
    if len(entry.variants) > 1:
        yield "vary", entry.identity


def stage(manifest: Manifest, blobs: BlobFolder, root: Path, like: Tree | None = None) -> None:
    """Make the tree of a release at `root` out of blobs that are all here; durable when this returns.

    A tree that exists is complete and left alone, because it is built beside and gets its name last; so does every
    folder that it shares, once it is on the disk. like: a tree of the same site; folders in which nothing differs from
    it are taken over without a look at what is in them. Raises CorruptionError for a missing blob, DiskError. One
    writer for all trees of a site.
    """
    if root.exists():
        return
    building = root.with_name(root.name + ".new")
    shared = root.parent / SHARED
    try:
        _remove(building)
        building.mkdir(parents=True)
        shared.mkdir(exist_ok=True)
        made: dict[str, bool] = {}
        deep = manifest.depth > _DEEPEST
        for name, folder in _layout(manifest, like).items():
            _name(folder, 0 if deep else None)
            _make(folder, blobs, str(shared), made)
            (building / name).symlink_to(f"../{SHARED}/{folder.digest}")
        blobs.sync()
        # Each after those that it leads to: what has its name is whole, wherever this ends.
        for target in (name for name, is_new in made.items() if is_new):
            os.rename(f"{target}.new", target)  # noqa: PTH104 (text)
        building.rename(root)
        blobs.sync()
    except OSError as error:
        raise disk_error("stage a release at", root, error) from error


def is_there(root: Path) -> bool:
    """Whether the tree is there, with its first shared folders: files below may be missing all the same."""
    return all((root / name).is_dir() for name in FOLDERS)


def _layout(manifest: Manifest, like: Tree | None) -> dict[str, _Folder]:
    """Return the four folders of a tree with all that is to be in them.

    like: the tree whose folders are taken over where nothing differs, the topmost of them.
    """
    tops = {name: _Folder() for name in FOLDERS}
    known = {(name, ""): top for name, top in tops.items()}

    def folder(name: str, path: str) -> _Folder:
        found = known.get((name, path))
        if found is None:
            found = known[name, path] = _Folder()
            above, _, last = path.rpartition("/")
            folder(name, above).folders[last] = found
        return found

    untouched = _untouched(manifest, like)
    noted: set[tuple[str, ...]] = set()
    for entry in manifest.entries:
        above, _, last = entry.path.rpartition("/")
        taken = untouched.topmost(above) if untouched else None
        if taken is None:
            for name, variant in placements(entry):
                folder(name, above).files[last] = (variant.digest, entry.modified)
        elif (kind := (taken, *[variant.coding for variant in entry.variants])) not in noted:
            # Most entries are in folders that are taken over, and have the variants of one before them.
            noted.add(kind)
            for name, _ in placements(entry):
                folder(name, taken).taken_over = True
    if like is None or untouched is None:
        return tops
    try:
        for (name, path), found in known.items():
            if found.taken_over:
                found.digest = _digest_in(like.root, name + path)
    except OSError:
        # The tree is not whole any more: then nothing of it is taken over.
        return _layout(manifest, None)
    return tops


def _untouched(manifest: Manifest, like: Tree | None) -> "_Untouched | None":
    """Return the folders that may be taken over; None in deep trees, whose folders depend on where they are."""
    if like is None or max(manifest.depth, like.manifest.depth) > _DEEPEST:
        return None
    return _Untouched(manifest, like.manifest)


class _Untouched:
    """The folders in which a manifest differs in nothing from another."""

    def __init__(self, manifest: Manifest, other: Manifest) -> None:
        before, now = other.by_path, manifest.by_path
        # Entries of an unchanged file are one object in both: see `parse_manifest`.
        differ = [path for path, entry in now.items() if before.get(path) is not entry and before.get(path) != entry]
        self._touched = folders_above([*differ, *(before.keys() - now.keys())]) | {""}
        self._topmost: dict[str, str | None] = {}

    def topmost(self, path: str) -> str | None:
        """Return the topmost of a folder and those above it in which nothing differs, None if in all something does."""
        if path in self._touched:
            return None
        if path not in self._topmost:
            self._topmost[path] = self.topmost(path.rpartition("/")[0]) or path
        return self._topmost[path]


def _digest_in(root: Path, path: str) -> str:
    """Return the digest of a shared folder that a tree, or a folder in it, leads to. Raises OSError."""
    os.stat(f"{root}/{path}/")  # noqa: PTH116 (text)
    return os.path.basename(os.readlink(f"{root}/{path}"))  # noqa: PTH115, PTH119 (text)


def _name(folder: _Folder, depth: int | None) -> None:
    """Set the digests of a folder and of all below it. depth: of the folder, where it is to have a part in that.

    In a deep tree it has: a folder that was made near the root leads on by links all the way down, and could not be
    reached through as many again.
    """
    if folder.taken_over:
        return
    below = None if depth is None else depth + 1
    lines = [f"{digest} {modified:x} {name}" for name, (digest, modified) in sorted(folder.files.items())]
    for name, child in sorted(folder.folders.items()):
        _name(child, below)
        lines.append(f"{child.digest} / {name}")
    if depth is not None:
        lines.append(f"{depth}")
    # 160 bits: a symbolic link of under 60 bytes lies in its inode on ext4, a longer one takes a block as well.
    folder.digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=20).hexdigest()


def _make(folder: _Folder, blobs: BlobFolder, shared: str, made: dict[str, bool], depth: int = 0) -> None:
    """Have a folder, and so everything below it, in `shared`; what is new has `.new` at its end.

    made: every folder that was looked at, in the order in which it was, and whether it is new. One that is there
    already is made whole: a file of it may have been deleted since.
    """
    target = f"{shared}/{folder.digest}"
    if folder.taken_over or target in made:
        return
    for child in folder.folders.values() if depth < _DEEPEST else ():
        _make(child, blobs, shared, made, depth + 1)
    there = _names_in(target)
    is_new = there is None
    if is_new:
        _remove(Path(f"{target}.new"))
    _fill(folder, blobs, f"{target}.new" if is_new else target, depth, there)
    if is_new:
        _symlink(f"../{folder.digest}", f"{target}{_LINK}")
    made[target] = is_new


def _names_in(folder: str) -> set[str] | None:
    """Return the names in a folder, None if it is not there."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208 (text: see BlobFolder)
    except FileNotFoundError:
        return None


def _fill(folder: _Folder, blobs: BlobFolder, target: str, depth: int, there: set[str] | None) -> None:
    """Have in `target` everything that belongs there; `there`, its names, stay as they are."""
    if there is None:
        os.mkdir(target)  # noqa: PTH102 (text)
        there = set()
    for name, (digest, modified) in folder.files.items():
        if name not in there:
            blobs.link(digest, modified, f"{target}/{name}")
    for name, child in folder.folders.items():
        if depth >= _DEEPEST:
            _fill(child, blobs, f"{target}/{name}", depth + 1, _names_in(f"{target}/{name}"))
        elif name not in there:
            _link_to(child, os.path.dirname(target), f"{target}/{name}")  # noqa: PTH120 (text)


def _link_to(folder: _Folder, shared: str, target: str) -> None:
    """Make `target`, in a shared folder, lead to another: a hard link to its symbolic link, which costs no inode."""
    try:
        os.link(f"{shared}/{folder.digest}{_LINK}", target, follow_symlinks=False)
    except OSError as error:
        # Gone: a folder that was there already may have lost it.
        if error.errno not in {errno.EMLINK, errno.ENOENT}:
            raise
        _symlink(f"../{folder.digest}", target)


def _symlink(leads_to: str, target: str) -> None:
    try:
        os.symlink(leads_to, target)  # noqa: PTH211 (text)
    except FileExistsError:
        if os.readlink(target) != leads_to:  # noqa: PTH115 (text)
            raise


def mend(manifest: Manifest, blobs: BlobFolder, root: Path, digests: frozenset[Digest]) -> int:
    """Link anew every file of the tree that is made of one of these blobs, which were corrupt and fetched again.

    Each file is replaced as a whole while it is being served. A tree that is not there stays so: while half of it was
    there, the rest would be a 404. Returns how many. Raises CorruptionError, DiskError.
    """
    count = 0
    if not is_there(root):
        return count
    for entry in manifest.entries:
        for folder, variant in placements(entry):
            if variant.digest in digests:
                place(blobs, variant, entry.modified, Path(f"{root}/{folder}{entry.path}"))
                count += 1
    return count


def place(blobs: BlobFolder, variant: Variant, modified: int, target: Path, *, kept: bool = False) -> None:
    """Put one variant at `target`, in a tree or (kept) in the kept folder, over whatever is there, atomically.

    Where a tree has gone as a whole nothing is made: while half of it was there, the rest would be a 404.
    """
    # Not beside it: what a crash leaves there would be served.
    temp = blobs.path / ".placing"
    try:
        # Where a shared folder has gone, the links that lead to it have not: it is made anew where they lead.
        folder = Path(os.path.realpath(target.parent))
        if kept or SHARED in folder.parts:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.exists():
            return
        temp.unlink(missing_ok=True)
        blobs.link(variant.digest, modified, temp)
        temp.replace(folder / target.name)
        # rename(2) of two links to one inode does nothing and leaves both names.
        temp.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error("place", target, error) from error


def unstage(root: Path) -> None:
    """Take the tree away, and the shared folders that no other tree of its site needs.

    A tree that is being built or taken away has another name, so none is ever half there. One writer for all trees of
    a site. Raises DiskError.
    """
    try:
        if root.exists():
            going = root.with_name(root.name + ".old")
            _remove(going)
            root.rename(going)
    except OSError as error:
        raise disk_error("take away", root, error) from error
    sweep(root.parent)


def sweep(site: Path) -> None:
    """Remove from a site's folder what ended in the middle left there, and shared folders that no tree leads to.

    Nothing may be staged or unstaged meanwhile. Raises DiskError.
    """
    try:
        for path in [*site.glob("*.old"), *site.glob("*.new")]:
            _remove(path)
        if (site / SHARED).is_dir():
            _sweep(site, str(site / SHARED))
    except OSError as error:
        raise disk_error("tidy", site, error) from error


def _sweep(site: Path, shared: str) -> None:
    needed: set[str] = set()
    waiting = [str(tree) for tree in site.iterdir() if tree.is_dir() and tree.name != SHARED]
    while waiting:
        for link in _links(waiting.pop()):
            name = os.path.basename(link)  # noqa: PTH119 (text)
            if name not in needed:
                needed.add(name)
                waiting.append(f"{shared}/{name}")
    for name in sorted(os.listdir(shared)):  # noqa: PTH208 (text)
        path = f"{shared}/{name}"
        if name.removesuffix(_LINK) in needed:
            continue
        if name.endswith(_LINK):
            os.unlink(path)  # noqa: PTH108 (text)
            continue
        if not name.endswith((".old", ".new")):
            # A folder that has its name is whole, also while it goes.
            os.rename(path, f"{path}.old")  # noqa: PTH104 (text)
            path += ".old"
        _remove_all(path)


def _links(folder: str) -> list[str]:
    """Return where the symbolic links in a folder, and in real folders below it, lead; none for one that is not
    there.
    """
    found: list[str] = []
    try:
        with os.scandir(folder) as children:
            for child in children:
                if child.is_symlink():
                    found.append(os.readlink(child.path))  # noqa: PTH115 (text)
                elif child.is_dir(follow_symlinks=False):
                    found.extend(_links(child.path))
    except FileNotFoundError:
        pass
    return found


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
