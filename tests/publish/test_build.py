"""From folder to manifest: modified times, changes, the safety stop, and that equal input gives equal releases."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.release import Manifest
from edgeward.core.site import SiteSettings
from edgeward.errors import InputError
from edgeward.publish.build import build, changes, check_loss, clock, draft
from edgeward.publish.variant_cache import VariantCache
from publishing import write_site

SETTINGS = SiteSettings("blog", ("example.test",))


def manifest_of(folder: Path, previous: Manifest | None = None, *, now: int, cache: Path | None = None) -> Manifest:
    where = cache or folder.parent / "cache"
    found = draft(folder, SETTINGS, cache=where, allow_no_index=True)
    return build(found, previous, now=now, cache=VariantCache.below(where)).manifest


def times(manifest: Manifest) -> dict[str, int]:
    return {entry.path: entry.modified for entry in manifest.entries}


def test_times_follow_content_not_files(tmp_path: Path) -> None:
    """New: now. Same content: as before, though the file was touched. Changed: now, or a second later than before."""
    folder = write_site(tmp_path / "s", {"index.html": "1", "same.html": "s", "b.html": "1"})
    first = manifest_of(folder, now=1000)
    assert set(times(first).values()) == {1000}
    write_site(folder, {"index.html": "2", "same.html": "s", "new.html": "n"})
    second = manifest_of(folder, first, now=2000)
    assert times(second) == {"/b.html": 1000, "/index.html": 2000, "/new.html": 2000, "/same.html": 1000}
    write_site(folder, {"index.html": "3"})
    assert times(manifest_of(folder, second, now=500))["/index.html"] == 2001


def test_a_moved_file_is_new_at_its_path(tmp_path: Path) -> None:
    """Time belongs to the path; variants belong to the content."""
    folder = write_site(tmp_path / "s", {"a.html": "<p>again</p>" * 100})
    first = manifest_of(folder, now=1000)
    (folder / "a.html").rename(folder / "b.html")
    second = manifest_of(folder, first, now=2000)
    assert times(second) == {"/b.html": 2000}
    assert second.entries[0].variants == first.entries[0].variants


def test_changes_are_told_by_path(tmp_path: Path) -> None:
    """Added, changed, removed; rules and settings apart; a re-dated entry is no change."""
    folder = write_site(tmp_path / "s", {"a.html": "a", "b.html": "b", "c.html": "c"})
    first = manifest_of(folder, now=1000)
    (folder / "a.html").unlink()
    write_site(folder, {"b.html": "B", "d.html": "d", "_headers": "/*\n  X-A: 1\n"})
    second = manifest_of(folder, first, now=2000)
    found = changes(first, second)
    assert (found.added, found.changed, found.removed) == (("/d.html",), ("/b.html",), ("/a.html",))
    assert (found.headers, found.redirects, found.settings) == (True, False, False)
    assert changes(first, first).nothing
    assert changes(first, replace(first, settings=replace(SETTINGS, spa=True))).settings


@pytest.mark.parametrize(
    ("before", "after", "stopped"), [(20, 0, False), (21, 10, True), (22, 11, False), (22, 10, True)]
)
def test_the_safety_stop_is_exact(tmp_path: Path, *, before: int, after: int, stopped: bool) -> None:
    """More than half of the paths of a site with over 20."""
    folder = write_site(tmp_path / "s", {f"{n}.txt": str(n) for n in range(before)})
    previous = manifest_of(folder, now=1)
    left = frozenset(entry.path for entry in previous.entries[:after])
    if stopped:
        with pytest.raises(InputError, match=f"would take {before - after} of the {before} paths"):
            check_loss("blog", previous, left)
    else:
        check_loss("blog", previous, left)
    check_loss("blog", None, frozenset())


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """Of files, of both rule files and of the folder, sorted by file and line."""
    folder = write_site(
        tmp_path / "s", {"a.html": "a", "a": "a", "_redirects": "/x /y 999\n/z /w 998\n", "_headers": "  X: y\n"}
    )
    (folder / "broken").symlink_to("nowhere")
    with pytest.raises(InputError) as caught:
        draft(folder, SETTINGS, cache=None)
    files = [(problem.file, problem.line) for problem in caught.value.problems]
    assert files == sorted(files)
    assert {"", "_headers", "_redirects", "broken"} <= {file for file, _ in files}
    assert [line for file, line in files if file == "_redirects"] == [1, 2]
    assert caught.value.message == f"{folder} cannot be published: {len(files)} problems"


def test_warnings_are_errors_when_strict(tmp_path: Path) -> None:
    """A shadowed rule is a warning, and a problem under --strict."""
    folder = write_site(tmp_path / "s", {"index.html": "a", "b.html": "b", "_redirects": "/b / 301\n"})
    assert [problem.file for problem in draft(folder, SETTINGS, cache=None).warnings] == ["_redirects"]
    with pytest.raises(InputError):
        draft(folder, SETTINGS, cache=None, strict=True)


def test_the_clock_comes_from_the_environment_if_it_says(tmp_path: Path) -> None:
    """An argument wins over SOURCE_DATE_EPOCH; nothing means the clock."""
    assert clock(5, {"SOURCE_DATE_EPOCH": "7"}) == 5
    assert clock(None, {"SOURCE_DATE_EPOCH": "7"}) == 7
    assert clock(None, {}) is None
    assert clock(None, {"SOURCE_DATE_EPOCH": ""}) is None
    for bad in ("-1", "1.5", "٣", "x", "9" * 20):
        with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
            clock(None, {"SOURCE_DATE_EPOCH": bad})


NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3).map("/".join).map(lambda name: name + ".html")
FOLDERS = st.dictionaries(NAMES, st.text(max_size=400), max_size=6)


@given(FOLDERS, FOLDERS, st.integers(1, 2**31), st.integers(1, 2**31))
def test_equal_folders_give_equal_releases(tmp_path_factory, before: dict, after: dict, then: int, now: int) -> None:
    """On the same previous release with the same clock, whatever caches there are, however the files came about."""
    root = tmp_path_factory.mktemp("equal")
    if not before or not after:
        return
    previous = manifest_of(write_site(root / "before", before), now=then, cache=root / "c1")
    one = manifest_of(write_site(root / "one", after), previous, now=now, cache=root / "c1")
    again = manifest_of(root / "one", previous, now=now, cache=root / "c1")
    other = manifest_of(write_site(root / "two", dict(reversed(after.items()))), previous, now=now, cache=root / "c2")
    assert one.release == again.release == other.release
    for path, entry in one.by_path.items():
        was = previous.by_path.get(path)
        if was is not None and was.identity == entry.identity:
            assert entry.modified == was.modified
        elif was is not None:
            assert entry.modified > was.modified
        assert entry.modified >= now or was is not None


def test_every_kind_of_problem_is_in_one_report(tmp_path: Path) -> None:
    """Lines that cannot be read hide no loop among the others; files, paths and headers are in the same report."""
    files = {
        "_redirects": "/a /b 301\n/b /a\n/x /y 999\n",
        "_headers": "/a\n  Date: now\n",
        "about": "a",
        "about.html": "b",
        "f" * 250: "c",
    }
    folder = write_site(tmp_path / "s", files)
    (folder / "broken").symlink_to("nowhere")
    with pytest.raises(InputError) as caught:
        draft(folder, SETTINGS, cache=None)
    assert [(problem.file[:12], problem.line) for problem in caught.value.problems] == [
        ("", 0), ("_headers", 2), ("_redirects", 1), ("_redirects", 3), ("about.html", 0), ("broken", 0), ("f" * 12, 0),
    ]  # fmt: skip
