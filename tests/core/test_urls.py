"""Clean URLs as properties; the table of section 2 itself is in tests/conformance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import TRAILING_SLASHES, SiteSettings
from edgeward.core.urls import Redirect, find_entry, lookup, nearest_error_pages, url_path

SEGMENTS = st.sampled_from(["a", "b", "index", "index.html", "a.html", "a.html.html", "x.txt", "404.html", "é"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
SETTINGS = st.builds(
    lambda clean, slash: SiteSettings("s", ("s.test",), clean_urls=clean, trailing_slash=slash),
    st.booleans(),
    st.sampled_from(TRAILING_SLASHES),
)


def manifest(settings: SiteSettings, paths: set[str]) -> Manifest:
    """A release with these entries, without those that another's name runs through or that would claim one URL."""
    kept: dict[str, str] = {}
    for path in sorted(paths):
        inside = any(path.startswith(other + "/") or other.startswith(path + "/") for other in kept.values())
        if not inside:
            kept.setdefault(url_path(settings, path), path)
    variant = Variant("identity", digest_of(b"x"), 1)
    return Manifest(settings, tuple(Entry(path, "x/y", 1, (variant,)) for path in sorted(kept.values())))


@given(SETTINGS, st.sets(PATHS, max_size=8))
def test_every_entry_is_answered_at_its_url(settings, paths):
    """The URL of each entry leads to that entry and no other, and its file name leads there in at most one step."""
    release = manifest(settings, paths)
    for entry in release.entries:
        url = url_path(settings, entry.path)
        assert lookup(release, url) is entry
        assert find_entry(settings, release.by_path, url) is entry


@given(SETTINGS, st.sets(PATHS, max_size=8), PATHS, st.sampled_from(["", "/"]))
def test_every_redirect_leads_straight_to_an_entry(settings, paths, path, slash):
    """No chain, no loop, and never to the path itself."""
    release = manifest(settings, paths)
    found = lookup(release, path + slash)
    if isinstance(found, Redirect):
        assert found.path != path + slash
        assert isinstance(lookup(release, found.path), Entry)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b/c", ["/a/b/404.html", "/a/404.html", "/404.html"]),
        ("/a/b/", ["/a/b/404.html", "/a/404.html", "/404.html"]),
        ("/", ["/404.html"]),
        ("/a", ["/404.html"]),
    ],
)
def test_error_pages_are_looked_for_upwards(path, expected):
    """The folder's own first, the root's last."""
    assert list(nearest_error_pages(path)) == expected
