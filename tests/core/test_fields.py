"""Header fields: how blocks of `_headers` change the defaults, for each sort of answer."""

import pytest

from edgeward.core.fields import HeaderBook
from edgeward.core.headers import parse_headers

DEFAULTS = (("Content-Type", "text/html"), ("Cache-Control", "default"), ("X-Default", "d"))


def dress(text: str, path: str, sort: str = "content", scheme: str = "http") -> list[tuple[str, str]]:
    """The fields of an answer at `path`."""
    return HeaderBook(parse_headers(text.encode())).dress(DEFAULTS, path, sort, scheme)


def test_lines_apply_in_file_order():
    """Set replaces a default, set again joins, taken away is gone until it is set again."""
    text = "/*\n  X-Default: a\n  x-default: b\n/x\n  ! X-DEFAULT\n/x/*\n  X-Default: c\n/y\n  ! X-Default\n"
    assert dict(dress(text, "/z"))["X-Default"] == "a, b"
    assert dict(dress(text, "/x"))["X-Default"] == "c"
    assert "X-Default" not in dict(dress(text, "/y"))


def test_cookies_are_fields_of_their_own():
    """Commas in Set-Cookie mean something else (RFC 6265 section 3)."""
    fields = dress("/*\n  Set-Cookie: a=1\n  set-cookie: b=2\n", "/")
    assert [value for name, value in fields if name.lower() == "set-cookie"] == ["a=1", "b=2"]


def test_an_empty_value_is_not_sent():
    """A splat may come to nothing."""
    text = "/x/*\n  X-A: :splat\n  X-B: :splat\n  X-B: b\n"
    assert "X-A" not in dict(dress(text, "/x"))
    assert dict(dress(text, "/x"))["X-B"] == "b"
    assert dict(dress(text, "/x/é"))["X-A"] == "%C3%A9"


@pytest.mark.parametrize(
    ("sort", "scheme", "expected"),
    [
        ("content", "http", {"X-A": "a", "Cache-Control": "c", "Expires": "e"}),
        ("content", "https", {"X-A": "a", "Cache-Control": "c", "Expires": "e", "Strict-Transport-Security": "s"}),
        ("page", "https", {"X-A": "a", "Cache-Control": "default", "Strict-Transport-Security": "s"}),
        ("rule", "https", {"Cache-Control": "c", "Strict-Transport-Security": "s"}),
        ("rule", "http", {"Cache-Control": "c"}),
        ("hop", "https", {"Cache-Control": "default", "Strict-Transport-Security": "s"}),
        ("plain", "https", {"Cache-Control": "default"}),
    ],
)
def test_each_sort_of_answer_takes_what_counts_for_it(sort, scheme, expected):
    """The table of SITE-FORMAT section 4."""
    text = "/*\n  X-A: a\n  Cache-Control: c\n  Expires: e\n  Strict-Transport-Security: s\n"
    found = dict(dress(text, "/", sort, scheme))
    assert {name: found.get(name) for name in expected} == expected
    assert set(found) == {*expected, "Content-Type", "X-Default"}


@pytest.mark.parametrize(
    ("sort", "gone"), [("content", True), ("page", False), ("rule", True), ("hop", False), ("plain", False)]
)
def test_taking_away_counts_where_setting_does(sort, gone):
    """`! Cache-Control` does not uncover an error page."""
    assert ("Cache-Control" not in dict(dress("/*\n  ! Cache-Control\n", "/", sort))) == gone


def test_values_are_images_of_their_bytes():
    """Text above ASCII goes to the wire as UTF-8."""
    assert dict(dress("/*\n  X-A: ü\n", "/"))["X-A"].encode("latin-1") == "ü".encode()
