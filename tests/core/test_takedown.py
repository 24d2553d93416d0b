"""What a takedown takes out, and where rollbacks lead afterwards."""

from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import Move, Pointer
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import SiteSettings
from edgeward.core.takedown import renamed, shared_blobs, take_down, undo_target

SETTINGS = SiteSettings("blog", ("example.test",))


def d(name: str) -> Digest:
    return digest_of(name.encode())


def release(**contents: str) -> Manifest:
    """A release: path (without slash) -> content; a content in capitals has a br variant."""
    entries = []
    for name, content in sorted(contents.items()):
        variants = [Variant("identity", d(content), 1000)]
        if content.isupper():
            variants.append(Variant("br", d(f"br of {content}"), 100))
        entries.append(Entry(f"/{name}", "text/plain", 1, tuple(variants)))
    return Manifest(SETTINGS, tuple(entries))


def test_the_path_goes_from_every_release_that_holds_it() -> None:
    """With all variants it ever had; releases without it are not rewritten."""
    one, two, three = release(a="old", b="b"), release(a="NEW", b="b"), release(b="b")
    found = take_down(["/a"], {m.release: m for m in (one, two, three)})
    assert (found.paths, found.taken_out) == (("/a",), ("/a",))
    assert set(found.digests) == {d("old"), d("NEW"), d("br of NEW")}
    assert {old: list(new.by_path) for old, new in found.rewritten.items()} == {
        one.release: ["/b"],
        two.release: ["/b"],
    }


def test_the_same_bytes_go_under_any_name() -> None:
    """Also where they are a variant of something else, and what shares bytes with that."""
    manifest = release(leak="SECRET", copy="SECRET", packed="br of SECRET", other="x")
    found = take_down(["/leak"], {manifest.release: manifest})
    assert found.taken_out == ("/copy", "/leak", "/packed")
    assert list(found.rewritten[manifest.release].by_path) == ["/other"]


def test_a_path_that_nobody_holds_takes_nothing() -> None:
    """It is not among the paths that were found."""
    manifest = release(a="a")
    found = take_down(["/b"], {manifest.release: manifest})
    assert (found.paths, found.taken_out, found.digests, found.rewritten) == ((), (), (), {})


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["x", "y", "Z", "br of Z"])), max_size=4),
    st.sets(st.sampled_from(["/a", "/b", "/c"])),
)
def test_nothing_that_is_left_shares_a_blob_with_what_went(folders: list[dict[str, str]], paths: set[str]) -> None:
    """For any releases: the rewritten ones and those left alone hold no digest of the order."""
    releases = {manifest.release: manifest for manifest in (release(**folder) for folder in folders)}
    found = take_down(sorted(paths), releases)
    for old, manifest in releases.items():
        left = found.rewritten.get(old, manifest)
        assert not {variant.digest for variant in left.blobs()} & set(found.digests)
        assert not paths & left.by_path.keys()
        assert left.by_path.keys() | set(found.taken_out) >= manifest.by_path.keys()


def test_what_other_sites_hold_is_named() -> None:
    """With the first site, by name, that holds it."""
    assert shared_blobs([d("x"), d("y")], {"shop": [release(a="x")], "docs": [release(b="x")]}) == {d("x"): "docs"}


def moves(*steps: tuple[Move, str | None, str | None]) -> list[Pointer]:
    return [
        Pointer("blog", d(new) if new else None, d(old) if old else None, at, "ann", move)
        for at, (move, new, old) in enumerate(steps)
    ]


def test_a_rollback_undoes_what_a_person_did_last() -> None:
    """Pushes stack up, a rollback takes off, a push after it goes on from there, a removal changes nothing."""
    a, b, c = d("a"), d("b"), d("c")
    pushes = moves(("push", "a", None), ("push", "b", "a"), ("push", "c", "b"))
    assert undo_target(pushes[:1], {}) is None
    assert undo_target(pushes, {}) == b
    assert undo_target([*pushes, *moves(("rollback", "b", "c"))], {}) == a
    assert undo_target([*pushes, *moves(("rollback", "b", "c"), ("rollback", "a", "b"))], {}) is None
    again = [*pushes, *moves(("rollback", "a", "c"), ("push", "d", "a"))]
    assert undo_target(again, {}) == a
    assert undo_target([*pushes, *moves(("rollback", "a", "c"), ("rollback", "c", "a"))], {}) == a
    assert undo_target([*pushes, *moves(("remove", None, "c"), ("rollback", "c", None))], {}) == b
    assert undo_target(pushes[2:], {}) == b  # the history is limited: what is left says what was before
    assert undo_target([], {}) is None
    assert c


def test_a_purge_is_no_step_back() -> None:
    """Releases that it rewrote go by their new names, however often."""
    steps = [*moves(("push", "a", None), ("push", "b", "a"), ("push", "c", "b"), ("purge", "c1", "b1"))]
    names = {d("b"): d("b1"), d("c"): d("c1")}
    assert undo_target(steps, names) == d("b1")
    assert renamed(d("b"), {d("b"): d("b1"), d("b1"): d("b2")}) == d("b2")
    assert renamed(d("b"), {d("b"): d("b1"), d("b1"): d("b")}) is not None
    assert renamed(None, names) is None
