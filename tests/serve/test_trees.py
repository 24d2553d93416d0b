"""Blobs, trees of releases and kept folders on an edge's disk."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.sites import Built, Site, build, named
from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.errors import CorruptionError, DiskError, SchemaError
from edgeward.serve import blobs as blobs_module
from edgeward.serve.blobs import BlobFolder
from edgeward.serve.kept import KeptAsset, KeptFolder
from edgeward.serve.tree import FOLDERS, SHARED, Tree, mend, stage, unstage

FILES = {
    **named("/index.html", "/docs/a b/ünï.html"),
    "/pixel.png": b"\x89PNG" * 100,
    "/dump.sql.gz": b"\x1f\x8b" * 300,
}


@pytest.fixture
def blobs(tmp_path: Path) -> BlobFolder:
    return BlobFolder(tmp_path / "blobs")


def adopt(blobs: BlobFolder, built: Built) -> Built:
    for digest, data in built.blobs.items():
        temp = blobs.path.parent / "temp"
        temp.write_bytes(data)
        blobs.adopt(digest, temp)
    return built


def contents(root: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in files(root)}


def files(root: Path) -> list[Path]:
    """Every file of a tree, through the links to its shared folders."""
    return [Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names]


def entry_of(path: str, data: bytes, modified: int = 5) -> Entry:
    return Entry(path, "text/plain", modified, (Variant("identity", digest_of(data), len(data)),))


def put(blobs: BlobFolder, data: bytes) -> None:
    temp = blobs.path.parent / "temp"
    temp.write_bytes(data)
    blobs.adopt(digest_of(data), temp)


def test_a_tree_has_every_entry_and_every_variant_in_its_place(blobs, tmp_path):
    """identity/ holds all files, vary/ those with variants, br/ and gzip/ the variants; names are the files' own."""
    built = adopt(blobs, build(Site("one", FILES)))
    root = tmp_path / "tree"
    stage(built.manifest, blobs, root)
    expected = {}
    for entry in built.manifest.entries:
        for variant in entry.variants:
            expected[variant.coding + entry.path] = built.blobs[variant.digest]
        if len(entry.variants) > 1:
            expected["vary" + entry.path] = built.blobs[entry.identity.digest]
    assert contents(root) == expected
    assert "vary/pixel.png" not in expected
    assert "br/index.html" in expected


def test_files_of_a_tree_have_the_modified_time_of_their_entry(blobs, tmp_path):
    """ETag and Last-Modified are made of it: the same bytes with two times are two inodes, with one time one."""
    put(blobs, b"same")
    manifest = Manifest(
        build(Site("one", FILES)).manifest.settings,
        (entry_of("/a", b"same", 1_000), entry_of("/b", b"same", 2_000), entry_of("/c", b"same", 1_000)),
    )
    stage(manifest, blobs, tmp_path / "tree")
    a, b, c = ((tmp_path / "tree/identity" / name).stat() for name in "abc")
    assert (a.st_mtime_ns, b.st_mtime_ns) == (1_000 * 10**9, 2_000 * 10**9)
    assert a.st_ino == c.st_ino != b.st_ino
    assert blobs.file(digest_of(b"same")).stat().st_ino == a.st_ino, "the first one is the blob itself"
    assert oct(a.st_mode & 0o777) == "0o644"


def test_staging_twice_changes_nothing_and_a_half_built_tree_is_built_anew(blobs, tmp_path):
    """A tree has its name only when it is complete."""
    built = adopt(blobs, build(Site("one", FILES)))
    root = tmp_path / "tree"
    (tmp_path / "tree.new/identity").mkdir(parents=True)
    (tmp_path / "tree.new/identity/left-over").write_text("x")
    stage(built.manifest, blobs, root)
    before = {path: path.stat().st_ino for path in files(root)}
    stage(built.manifest, blobs, root)
    assert {path: path.stat().st_ino for path in files(root)} == before
    assert not (root / "identity/left-over").exists()


def test_a_shared_folder_that_lost_its_link_is_led_to_all_the_same(blobs, tmp_path):
    """The link beside it saves inodes, and nothing else: a tree is whole without it."""
    put(blobs, b"same")
    put(blobs, b"new")
    settings = build(Site("one", FILES)).manifest.settings
    below = entry_of("/below/a", b"same", 1_000)
    stage(Manifest(settings, (below,)), blobs, tmp_path / "one")
    for link in (tmp_path / "folders").glob("*.link"):
        link.unlink()
    stage(Manifest(settings, (below, entry_of("/new", b"new", 1_000))), blobs, tmp_path / "two")
    assert contents(tmp_path / "two") == {"identity/below/a": b"same", "identity/new": b"new"}
    assert (tmp_path / "one/identity/below").samefile(tmp_path / "two/identity/below")


def test_a_missing_blob_stages_nothing(blobs, tmp_path):
    """CorruptionError names the blob, and no tree has the release's name."""
    built = adopt(blobs, build(Site("one", FILES)))
    digest = built.manifest.by_path["/pixel.png"].identity.digest
    blobs.remove(digest)
    with pytest.raises(CorruptionError, match=digest[:12]):
        stage(built.manifest, blobs, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_unstage_takes_the_tree_away_and_may_be_repeated(blobs, tmp_path):
    """Nothing of it is left, also of one that was half built; the blobs stay."""
    built = adopt(blobs, build(Site("one", FILES)))
    stage(built.manifest, blobs, tmp_path / "tree")
    (tmp_path / "tree.new").mkdir()
    unstage(tmp_path / "tree")
    unstage(tmp_path / "tree")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", SHARED]
    assert list((tmp_path / SHARED).iterdir()) == []
    assert set(blobs.digests()) == set(built.blobs)


def pages(**times: int) -> Manifest:
    """A site of pages whose folders are the words before their last "_"."""
    entries = sorted((entry_of("/" + name.replace("_", "/"), b"same", at) for name, at in times.items()), key=path_of)
    return Manifest(build(Site("one", FILES)).manifest.settings, tuple(entries))


def path_of(entry: Entry) -> str:
    return entry.path


def test_a_tree_shares_the_folders_that_did_not_change(blobs, tmp_path):
    """A release that changes one page makes the folders above it anew; all others are those of the release before."""
    put(blobs, b"same")
    stage(pages(a_b_x=1, a_c_y=1, d_z=1), blobs, tmp_path / "one")
    before = set((tmp_path / SHARED).iterdir())
    stage(pages(a_b_x=1, a_c_y=2, d_z=1), blobs, tmp_path / "two")
    one, two = tmp_path / "one/identity", tmp_path / "two/identity"
    for same in ("a/b", "d"):
        assert (one / same).resolve() == (two / same).resolve()
    for other in ("", "a", "a/c"):
        assert (one / other).resolve() != (two / other).resolve()
    assert ((one / "a/c/y").stat().st_mtime, (two / "a/c/y").stat().st_mtime) == (1, 2)
    made = set((tmp_path / SHARED).iterdir()) - before
    assert len([folder for folder in made if not folder.is_symlink()]) == 3
    unstage(tmp_path / "one")
    assert (two / "a/b/x").read_bytes() == b"same"
    left = [folder for folder in (tmp_path / SHARED).iterdir() if not folder.is_symlink()]
    assert len(left) == 6, "the root, a, a/b, a/c and d, and the empty one of br, gzip and vary"


places = st.sampled_from(["/a", "/x", "/f/a", "/f/g/a", "/f/g/b", "/h/g/a", "/h/i/j/a", "/h/i/k"])
versions = st.dictionaries(places, st.sampled_from(["small", "large"] * 2 + ["late"]), max_size=8)


def version(files: Mapping[str, str]) -> Manifest:
    """A manifest of files that are small, large (so that they have variants), or large and of another time."""
    entries = []
    for path in sorted(files):
        variants = [Variant("identity", digest_of(b"i"), 1)]
        if files[path] != "small":
            variants += [Variant("br", digest_of(b"bb"), 2), Variant("gzip", digest_of(b"ggg"), 3)]
        entries.append(Entry(path, "text/plain", 9 if files[path] == "late" else 5, tuple(variants)))
    return Manifest(build(Site("one", FILES)).manifest.settings, tuple(entries))


@given(versions, versions)
@settings(max_examples=150)
def test_a_tree_made_like_another_is_the_same_as_one_made_alone(one, two):
    """Taking folders over from another tree changes nothing: the same files, the same shared folders."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        blobs = BlobFolder(root / "blobs")
        for data in (b"i", b"bb", b"ggg"):
            put(blobs, data)
        (root / "alone").mkdir()
        (root / "like").mkdir()
        first, second = version(one), version(two)
        stage(second, blobs, root / "alone/two")
        stage(first, blobs, root / "like/one")
        stage(second, blobs, root / "like/two", Tree(root / "like/one", first))
        assert contents(root / "like/two") == contents(root / "alone/two")
        for name in FOLDERS:
            assert (root / "like/two" / name).readlink() == (root / "alone/two" / name).readlink()


def test_folders_in_which_nothing_differs_are_not_looked_into(blobs, tmp_path):
    """What was deleted from one stays away until the tree is checked; where the folder itself is gone it is made."""
    put(blobs, b"same")
    before = pages(a_b_x=1, a_c_y=1)
    stage(before, blobs, tmp_path / "one")
    (tmp_path / "one/identity/a/b/x").unlink()
    like = Tree(tmp_path / "one", before)
    stage(pages(a_b_x=1, a_c_y=2), blobs, tmp_path / "two", like)
    assert contents(tmp_path / "two") == {"identity/a/c/y": b"same"}
    shutil.rmtree((tmp_path / "one/identity/a/b").resolve())
    stage(pages(a_b_x=1, a_c_y=3), blobs, tmp_path / "three", like)
    assert contents(tmp_path / "three") == {"identity/a/b/x": b"same", "identity/a/c/y": b"same"}


def test_a_shared_folder_that_went_away_is_made_anew_by_mending(blobs, tmp_path):
    """The links that lead to it stay, and what is put below them is found through them again."""
    put(blobs, b"same")
    manifest = pages(a_b_x=1, a_c_y=1)
    stage(manifest, blobs, tmp_path / "one")
    shutil.rmtree((tmp_path / "one/identity/a").resolve())
    assert not (tmp_path / "one/identity/a/b/x").exists()
    assert mend(manifest, blobs, tmp_path / "one", frozenset([digest_of(b"same")])) == 2
    assert contents(tmp_path / "one") == {"identity/a/b/x": b"same", "identity/a/c/y": b"same"}
    unstage(tmp_path / "one")
    assert list((tmp_path / SHARED).iterdir()) == []


def test_paths_deeper_than_the_kernel_follows_links_can_be_read(blobs, tmp_path):
    """A path of 500 folders, as long as a path may be, is served, and shared only as far down as links are followed."""
    put(blobs, b"deep")
    path = "/d" * 500 + "/page"
    again = "/e" * 20 + "/d" * 30 + "/page"
    settings = build(Site("one", FILES)).manifest.settings
    for name, entries in (("one", [path]), ("two", ["/d" * 30 + "/page", again])):
        stage(Manifest(settings, tuple(entry_of(each, b"deep") for each in entries)), blobs, tmp_path / name)
        for each in entries:
            assert Path(f"{tmp_path}/{name}/identity{each}").read_bytes() == b"deep"
    unstage(tmp_path / "two")
    unstage(tmp_path / "one")
    assert list((tmp_path / SHARED).iterdir()) == []


def test_mending_replaces_every_file_made_of_a_blob(blobs, tmp_path):
    """After a rotten blob was fetched again, trees that link the rotten inode get the good one."""
    put(blobs, b"good")
    manifest = Manifest(
        build(Site("one", FILES)).manifest.settings, (entry_of("/a", b"good", 1), entry_of("/b", b"good", 2))
    )
    root = tmp_path / "tree"
    stage(manifest, blobs, root)
    for name in "ab":
        with (root / "identity" / name).open("r+b") as file:
            file.write(b"rot!")
    digest = digest_of(b"good")
    with pytest.raises(CorruptionError):
        blobs.check(digest)
    blobs.remove(digest)
    put(blobs, b"good")
    assert mend(manifest, blobs, root, frozenset({digest})) == 2
    assert contents(root) == {"identity/a": b"good", "identity/b": b"good"}
    assert (root / "identity/b").stat().st_mtime == 2
    blobs.check(digest)
    assert mend(manifest, blobs, root, frozenset({digest})) == 2, "again, over what is right already"
    assert contents(root) == {"identity/a": b"good", "identity/b": b"good"}
    assert not list(root.rglob(".edgeward*"))


def test_a_blob_is_checked_with_every_inode_made_of_it(blobs, tmp_path):
    """Rot in a copy that only a tree serves is found as well."""
    put(blobs, b"data")
    blobs.link(digest_of(b"data"), 1, tmp_path / "first")
    blobs.link(digest_of(b"data"), 2, tmp_path / "copy")
    blobs.check(digest_of(b"data"))
    with (tmp_path / "copy").open("r+b") as file:
        file.write(b"dat4")
    with pytest.raises(CorruptionError, match="corrupt on disk"):
        blobs.check(digest_of(b"data"))
    with pytest.raises(CorruptionError, match="cannot be read"):
        blobs.check(digest_of(b"absent"))


def test_more_links_than_one_inode_can_have(blobs, tmp_path, monkeypatch):
    """At the file system's limit (65,000 on ext4) one more copy is made, and all links hold the bytes and the time."""
    put(blobs, b"popular")
    real = os.link

    def limited(source, target, **rest):
        if Path(source).stat().st_nlink >= 5:
            raise OSError(31, "Too many links")
        real(source, target, **rest)

    monkeypatch.setattr(blobs_module.os, "link", limited)
    for number in range(20):
        blobs.link(digest_of(b"popular"), 7, tmp_path / f"link{number}")
    found = [tmp_path / f"link{number}" for number in range(20)]
    assert {path.read_bytes() for path in found} == {b"popular"}
    assert {path.stat().st_mtime for path in found} == {7}
    assert len({path.stat().st_ino for path in found}) > 3
    blobs.check(digest_of(b"popular"))


def test_tidy_takes_away_inodes_that_no_tree_links(blobs, tmp_path):
    """What a tree still serves stays, and so does the blob."""
    put(blobs, b"data")
    for number in range(3):
        blobs.link(digest_of(b"data"), number, tmp_path / f"link{number}")
    (tmp_path / "link0").unlink()
    (tmp_path / "link2").unlink()
    assert blobs.tidy() == 2
    assert (tmp_path / "link1").read_bytes() == b"data"
    assert blobs.has(digest_of(b"data"))
    blobs.link(digest_of(b"data"), 0, tmp_path / "link0")
    assert blobs.tidy() == 0


def test_a_disk_that_refuses_is_a_clear_error(blobs, tmp_path):
    """DiskError names the path and the reason."""
    put(blobs, b"data")
    with pytest.raises(DiskError, match="no-such-folder"):
        blobs.link(digest_of(b"data"), 1, tmp_path / "no-such-folder/x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match="make the blob folder"):
        BlobFolder(tmp_path / "file/blobs")


def kept_of(*entries: Entry, until: int | None = None) -> dict[str, KeptAsset]:
    return {entry.path: KeptAsset(entry, until) for entry in entries}


def test_a_kept_folder_holds_exactly_what_it_is_told(blobs, tmp_path):
    """Assets come and go; folders that become empty go with them; the index says what is there."""
    built = adopt(blobs, build(Site("one", named("/a/app.3f2a9c1b.js", "/a/b/style.3f2a9c1b.css", "/x.3f2a9c1b.js"))))
    first, second, third = built.manifest.entries
    folder = KeptFolder(tmp_path / "kept")
    assert folder.assets() == {}
    folder.write(kept_of(first, second, until=9), blobs)
    assert KeptFolder(tmp_path / "kept").assets() == kept_of(first, second, until=9)
    stays = (tmp_path / "kept/br/a/b/style.3f2a9c1b.css").stat().st_ino
    folder.write(kept_of(second, third), blobs)
    assert (tmp_path / "kept/br/a/b/style.3f2a9c1b.css").stat().st_ino == stays
    files = {path for path in contents(tmp_path / "kept") if path != "kept.json"}
    assert files == {f"{name}{entry.path}" for name in FOLDERS for entry in (second, third)}
    folder.write({}, blobs)
    assert set(contents(tmp_path / "kept")) == {"kept.json"}
    assert not (tmp_path / "kept/br/a").exists()


def test_another_version_of_a_kept_path_replaces_the_first_in_all_its_codings(blobs, tmp_path):
    """No coding of the older version is left to be served."""
    old = adopt(blobs, build(Site("one", {"/app.3f2a9c1b.js": b"old " * 200}))).manifest.entries[0]
    put(blobs, b"new")
    new = entry_of("/app.3f2a9c1b.js", b"new")
    folder = KeptFolder(tmp_path / "kept")
    folder.write(kept_of(old), blobs)
    folder.write(kept_of(new), blobs)
    assert {path: data for path, data in contents(tmp_path / "kept").items() if path != "kept.json"} == {
        "identity/app.3f2a9c1b.js": b"new"
    }


def test_a_kept_path_that_runs_through_another_is_left_out(blobs, tmp_path):
    """`/a` of one release and `/a/b` of another cannot both be files: the one that is there stays."""
    for data in (b"a", b"b"):
        put(blobs, data)
    folder = KeptFolder(tmp_path / "kept")
    folder.write(kept_of(entry_of("/a", b"a")), blobs)
    folder.write(kept_of(entry_of("/a", b"a"), entry_of("/a/b", b"b")), blobs)
    assert set(folder.assets()) == {"/a"}


def test_a_kept_index_that_is_not_one_is_refused(tmp_path):
    """SchemaError, as for all stored values."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/kept.json").write_text('{"schema":[1,0],"assets":{"/a":{}}}')
    with pytest.raises(SchemaError):
        KeptFolder(tmp_path / "kept").assets()
