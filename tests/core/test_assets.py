"""Which assets are immutable: SITE-FORMAT section 5."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeward.core.assets import AUTO_EXTENSIONS, immutable_regex, is_immutable
from edgeward.core.site import SiteSettings

AUTO = SiteSettings("s", ("s.test",))


def by(*patterns: str) -> SiteSettings:
    """Settings with patterns of their own."""
    return SiteSettings("s", ("s.test",), immutable=patterns)


@pytest.mark.parametrize(
    "path",
    [
        "/app.3f2a9c1b.js",
        "/a/b/app-3F2A9C1B.css",
        "/app_0123456789abcdef0123456789abcdef.js",
        "/app.3f2a9c1b.js.map",
        "/app.3f2a9c1b.min.css",
        "/chunk-B3xK9dQz.mjs",
        "/f.a1b2c3d4.woff2",
        "/m.a1b2c3d4.wasm",
        "/x.y.z-a1b2c3d4.cjs",
        "/index-DiwrgTd4.js",
    ],
)
def test_fingerprinted_names_are_immutable(path):
    """Hex of eight or more with a digit and a letter; letters of both cases with a digit."""
    assert is_immutable(AUTO, path)


@pytest.mark.parametrize(
    "path",
    [
        "/app.js",
        "/app.3f2a9c1.js",  # seven
        "/app.12345678.js",  # a date or a version
        "/app.20240131.js",
        "/app.deadbeef.js",  # a word
        "/app.facade.js",
        "/3f2a9c1b.js",  # between nothing and a dot
        "/app3f2a9c1b.js",
        "/app.3f2a9c1b.png",  # images: not by themselves
        "/app.3f2a9c1b.json",
        "/app.3f2a9c1b",
        "/app.3f2a9c1b.html",
        "/app.3f2a9c1b/app.js",  # the name, not the folder
        "/app.3f2a9c1g.js",  # no hex, no capital
        "/app.ABCDEFG1.js",  # no small letter
        "/app.abcdefg1.js",  # no capital
        "/app.AbCdEfGh.js",  # no digit
        "/lib.jQuery3.js",
        "/jquery-3.7.1.min.js",
        "/js",
        "/a.3f2a9c1b.JS",
    ],
)
def test_whatever_is_in_doubt_is_not(path):
    """Versions, dates, words, short parts and other types stay revalidated."""
    assert not is_immutable(AUTO, path)


@given(
    st.text(st.sampled_from("abcdefABCDEF0123456789.-_/GHgz"), min_size=1, max_size=40),
    st.sampled_from(AUTO_EXTENSIONS),
)
def test_the_automatic_choice_is_what_its_words_say(stem, suffix):
    """The regex agrees with the sentence of the contract, written as Python."""
    path = f"/{stem}.{suffix}"
    name = path.rpartition("/")[2]
    parts = re.split(r"[._\-]", name)[1:-1]
    hexes = [
        p for p in parts if re.fullmatch(r"[0-9a-fA-F]{8,}", p) and re.search(r"\d", p) and re.search("[a-fA-F]", p)
    ]
    mixed = [
        p
        for p in parts
        if re.fullmatch(r"[A-Za-z0-9]{8,}", p)
        and re.search("[A-Z]", p)
        and re.search("[a-z]", p)
        and re.search(r"\d", p)
    ]
    assert is_immutable(AUTO, path) == bool(hexes or mixed)


@given(st.text(max_size=60))
def test_only_listed_types_are_ever_chosen(text):
    """Whatever the name, another type than scripts, styles, maps, WASM and fonts is not immutable by itself."""
    path = "/" + text
    assume(not path.endswith(tuple(f".{suffix}" for suffix in AUTO_EXTENSIONS)))
    assert not is_immutable(AUTO, path)


def test_patterns_replace_the_automatic_choice():
    """With patterns nothing else is immutable; pages never are; an empty list switches it off."""
    settings = by("/assets/*", "/v/:n/lib", "/*.css")
    for path in ("/assets/x.png", "/assets/a/b", "/v/1/lib", "/deep/x.css"):
        assert is_immutable(settings, path)
    for path in (
        "/x.png",
        "/v/1/2/lib",
        "/assets/page.html",
        "/assets/page.HTM",
        "/app.3f2a9c1b.js",
        "/assets/x.xhtml",
    ):
        assert not is_immutable(settings, path)
    assert not is_immutable(by(), "/app.3f2a9c1b.js")
    assert is_immutable(by("/*"), "/anything")


@pytest.mark.parametrize("settings", [AUTO, by(), by("/a b/*", "/100%25", "/(x)/:y")])
def test_the_regex_is_anchored(settings):
    """It says of the whole path whether it is immutable, so that nginx can use it as it is."""
    regex = immutable_regex(settings)
    assert regex.startswith("^")
    re.compile(regex)
