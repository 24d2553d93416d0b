"""Trees whose making or taking away ends at any system call: what has its name is whole, and the next try mends."""

import shutil
from pathlib import Path

import pytest

from conformance.sites import Site, build, named
from cuts import Cut, cut_after
from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.serve.blobs import BlobFolder
from edgeward.serve.tree import SHARED, mend, stage, sweep, unstage


def entry_of(path: str, data: bytes, modified: int = 5) -> Entry:
    return Entry(path, "text/plain", modified, (Variant("identity", digest_of(data), len(data)),))


def release(*entries: Entry) -> Manifest:
    ordered = tuple(sorted(entries, key=lambda entry: entry.path))
    return Manifest(build(Site("one", named("/index.html"))).manifest.settings, ordered)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobFolder:
    """With the blobs of the releases below."""
    made = BlobFolder(tmp_path / "blobs")
    for data in (b"same", b"other"):
        temp = tmp_path / "temp"
        temp.write_bytes(data)
        made.adopt(digest_of(data), temp)
    (tmp_path / "site").mkdir()
    return made


LARGE = release(
    *(entry_of(f"/docs/p{number}", b"same") for number in range(3)),
    *(entry_of(path, b"same") for path in ("/a/b/c/x", "/a/b/y", "/a/z", "/index.html")),
)
OTHER = release(entry_of("/index.html", b"other"), entry_of("/docs/p0", b"other"))
NEIGHBOUR = release(
    *(entry for entry in LARGE.entries if entry.path != "/index.html"), entry_of("/index.html", b"other")
)


def assert_whole(manifest: Manifest, root: Path) -> None:
    for entry in manifest.entries:
        assert Path(f"{root}/identity{entry.path}").is_file(), entry.path


@pytest.mark.parametrize("tidied", [False, True], ids=["at once", "after a start"])
@pytest.mark.parametrize("after", range(60))
def test_a_cut_anywhere_leaves_nothing_half_with_a_name(tmp_path: Path, blobs, after: int, tidied: bool) -> None:
    """Staging and taking away end at any system call; then the same release, and one that shares most of its folders,
    are staged whole.
    """
    site = tmp_path / "site"
    stage(OTHER, blobs, site / "other")
    ended = 0
    for work in (lambda: stage(LARGE, blobs, site / "large"), lambda: unstage(site / "large")):
        with cut_after(after, below=site):
            try:
                work()
            except Cut:
                ended += 1
        if tidied:
            sweep(site)
        for name, manifest in (("large", LARGE), ("neighbour", NEIGHBOUR)):
            stage(manifest, blobs, site / name)
            assert_whole(manifest, site / name)
        unstage(site / "neighbour")
        assert_whole(OTHER, site / "other")
        assert_whole(LARGE, site / "large")
    unstage(site / "large")
    unstage(site / "other")
    assert list((site / SHARED).iterdir()) == []
    assert ended or after > 20, "the first calls are cut"


def test_what_was_deleted_from_a_shared_folder_is_there_in_the_next_release(tmp_path: Path, blobs) -> None:
    """A file, a folder, and a folder of which a mend has put one file back."""
    site = tmp_path / "site"
    stage(LARGE, blobs, site / "large")
    root = site / "large/identity"
    (root / "docs/p1").unlink()
    shutil.rmtree((root / "a/b").resolve())
    mend(release(entry_of("/a/b/y", b"same")), blobs, site / "large", frozenset([digest_of(b"same")]))
    assert not (root / "a/b/c/x").exists()
    stage(NEIGHBOUR, blobs, site / "neighbour")
    assert_whole(NEIGHBOUR, site / "neighbour")
    assert_whole(LARGE, site / "large")


def test_strangers_in_a_sites_folder_are_left_alone(tmp_path: Path, blobs) -> None:
    """A file that somebody put there keeps nothing from being taken away."""
    site = tmp_path / "site"
    stage(LARGE, blobs, site / "large")
    (site / "stray").write_text("x")
    unstage(site / "large")
    assert sorted(path.name for path in site.iterdir()) == [SHARED, "stray"]
    assert list((site / SHARED).iterdir()) == []
