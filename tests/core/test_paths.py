"""Request targets and paths: SITE-FORMAT section 2, second half."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.paths import (
    UTF8_PATH_REGEX,
    Invalid,
    Target,
    decode_path,
    encode_path,
    extension,
    is_normal,
    parse_target,
)


@pytest.mark.parametrize(
    ("target", "path", "query", "altered"),
    [
        ("/", "/", "", False),
        ("/a/b", "/a/b", "", False),
        ("/a/b/?x=%2F&y#f", "/a/b/", "x=%2F&y", False),
        ("/a#f?x", "/a", "", False),
        ("/a%2Fb", "/a/b", "", False),
        ("/a%20b%3Fc%23d%25", "/a b?c#d%", "", False),
        ("/%C3%A9", "/é", "", False),
        ("/é".encode().decode("latin-1"), "/é", "", False),
        ("//", "/", "", True),
        ("/a//b///", "/a/b/", "", True),
        ("/a/%2f/b", "/a/b", "", True),
        ("/./a/.", "/a/", "", True),
        ("/a/../b", "/b", "", True),
        ("/a/%2e%2E/b?q", "/b", "q", True),
        ("/a/..", "/", "", True),
        ("/a/b/..", "/a/", "", True),
        ("/a//../b", "/b", "", True),
        ("/.../..a/.b", "/.../..a/.b", "", False),
    ],
)
def test_a_target_is_decoded_and_normalised_once(target, path, query, altered):
    """Escapes become bytes, %2F a slash, %2E a dot; empty and dot segments go; the query stays as it was sent."""
    assert parse_target(target) == Target(path, query, altered)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("", Invalid.MALFORMED),
        ("*", Invalid.MALFORMED),
        ("a/b", Invalid.MALFORMED),
        ("host:80", Invalid.MALFORMED),
        ("/%", Invalid.MALFORMED),
        ("/%4", Invalid.MALFORMED),
        ("/%zz", Invalid.MALFORMED),
        ("/%00", Invalid.MALFORMED),
        ("/a b", Invalid.MALFORMED),
        ("/a\tb", Invalid.MALFORMED),
        ("/a\x7f", Invalid.MALFORMED),
        ("/..", Invalid.MALFORMED),
        ("/a/../..", Invalid.MALFORMED),
        ("/a//../../b", Invalid.MALFORMED),
        ("/%2e%2e/etc/passwd", Invalid.MALFORMED),
        ("/%0a", Invalid.ILLEGAL),
        ("/%7F", Invalid.ILLEGAL),
        ("/%ff", Invalid.ILLEGAL),
        ("/%C0%AF", Invalid.ILLEGAL),
        ("/%ED%A0%80", Invalid.ILLEGAL),
        ("/\xff", Invalid.ILLEGAL),
        ("http://a@b/", Invalid.MALFORMED),
        ("http:///x", Invalid.MALFORMED),
    ],
)
def test_a_target_that_means_nothing_says_why(target, why):
    """What cannot be parsed is told from what parses to bytes that no path has."""
    assert parse_target(target) is why


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://Example.com/a?b", Target("/a", "b", host="Example.com")),
        ("https://example.com:8443", Target("/", host="example.com")),
        ("http://example.com?x", Target("/", "x", host="example.com")),
        ("http://[::1]/a", Target("/a", host="[::1]")),
    ],
)
def test_absolute_form_names_the_host(target, expected):
    """RFC 9112 section 3.2.2: an absolute-form target carries its own host."""
    assert parse_target(target) == expected


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_parsing_never_raises_and_gives_normal_paths(text):
    """Whatever comes from a socket is a normal path or an Invalid, and its canonical form parses to itself."""
    parsed = parse_target("/" + text)
    if isinstance(parsed, Target):
        assert is_normal(parsed.path)
        assert parse_target(encode_path(parsed.path)) == Target(parsed.path)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_encoding_round_trips(text):
    """A path encoded canonically is ASCII without blanks and decodes to itself."""
    path = "/" + text
    encoded = encode_path(path)
    assert encoded.isascii()
    assert " " not in encoded
    if re.search(r"[\x00-\x1f\x7f]", path):
        assert decode_path(encoded) is None
    else:
        assert decode_path(encoded) == path


@given(st.binary())
def test_the_bytewise_regex_is_utf8_without_controls(data):
    """The regex given to nginx accepts just what Python decodes and finds no control character in."""
    try:
        legal = re.search(r"[\x00-\x1f\x7f]", data.decode()) is None
    except UnicodeDecodeError:
        legal = False
    assert (re.fullmatch(UTF8_PATH_REGEX.encode(), data) is not None) == legal


def test_every_code_point_at_the_edges_of_utf8_is_told_right():
    """First and last code points of each length pass the byte-wise regex; surrogates and overlong forms do not."""
    pattern = re.compile(UTF8_PATH_REGEX.encode())
    for point in (0x20, 0x7E, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x10FFFF):
        assert pattern.fullmatch(chr(point).encode())
    for bad in (
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf0\x80\x80\x80",
    ):
        assert not pattern.fullmatch(bad)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a.TXT", "txt"), ("/a.tar.gz", "gz"), ("/a", ""), ("/a.b/c", ""), ("/a.", ""), ("/.js", "js"), ("/a.js/", "")],
)
def test_the_extension_is_what_follows_the_last_dot_of_the_last_segment(path, expected):
    """Lower case, without the dot."""
    assert extension(path) == expected
