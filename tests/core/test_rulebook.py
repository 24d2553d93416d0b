"""Redirect rules at work, beyond what tests/conformance asks: bindings, queries, targets, Vary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.redirects import parse_redirects
from edgeward.core.rulebook import Asked, Hit, compile_rules

HOSTS = ("a.test", "b.test")


def ask(rules: str, path: str, query: str = "", **more: str) -> tuple[Hit | None, frozenset[str]]:
    """What the first class that has rules says."""
    book = compile_rules(parse_redirects(rules.encode(), hostnames=HOSTS)[0])
    asked = Asked(more.get("host", "a.test"), path, query, more.get("language", ""), more.get("cookie", ""))
    return next(found for rules in (book.forced, book.moved, book.soft) if rules.rules for found in [rules.ask(asked)])


def location(rules: str, path: str, query: str = "") -> str | None:
    """The Location of the rule that answers, or None."""
    hit, _ = ask(rules, path, query)
    return None if hit is None else hit.location()


@pytest.mark.parametrize(
    ("rules", "path", "query", "expected"),
    [
        ("/a /b", "/a", "", "/b"),
        ("/a /b", "/a/", "x&&y=", "/b?x&&y="),
        ("/ /b", "/", "", "/b"),
        ("/:x/* /:splat/:x", "/1/2/3", "", "/2/3/1"),
        ("/:x/* /:splat/:x", "/1", "", "/1"),
        ("/* https://o.test/:splat", "/", "", "https://o.test/"),
        ("/a id=:i /x/:i", "/a", "id=1", "/x/1"),
        ("/a id=:i /x/:i", "/a", "&id=1&", "/x/1?&"),
        ("/a id=:i /x/:i", "/a", "id=1&id=2&z", "/x/1?id=2&z"),
        ("/a id=:i /x/:i", "/a", "id=%zz", "/x/%zz"),
        ("/a id=:i k=v /x?i=:i#f", "/a", "k=v&id=1&z", "/x?i=1&z#f"),
        ("/a k=v /x", "/a", "k=V", None),
        ("/a k=v /x", "/a", "k=v2", None),
        ("/a k=v /x", "/a", "k=w&k=v", None),
        ("/a id=:i /x/:i", "/a", "id=a=b", None),
        ("/a id=:i /x/:i", "/a", "id=a%", "/x/a%"),
        ("/a/* /b?from=:splat", "/a/é x", "", "/b?from=%C3%A9%20x"),
    ],
)
def test_what_is_bound_goes_where_it_is_named(rules, path, query, expected):
    """Path values encoded, query values as sent, the rest of the query behind the target's own."""
    assert location(rules, path, query) == expected


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=30))
def test_no_query_value_leads_to_another_host(value):
    """Whatever a parameter holds: the target stays a path of this site, one segment, one query."""
    found = location("/a id=:i /:i/x?q=:i", "/a", f"id={value}")
    if found is not None:
        assert found.startswith("/")
        assert not found.startswith("//")
        assert found.count("/") == 2
        assert found.split("&")[0].count("?") == 1
        assert "#" not in found.split("&")[0]


@pytest.mark.parametrize(
    ("rules", "path", "query", "expected"),
    [
        ("/a /b 200", "/a", "", "/b"),
        ("/a/* /:splat 200", "/a/é x", "", "/é x"),
        ("/a/* /x/:splat/y 200", "/a", "", "/x/y"),
        ("/a/* /%41%3A/:splat 200", "/a/b", "", "/A:/b"),
        ("/a f=:f /x/:f 200", "/a", "f=..", None),
        ("/a f=:f /x/:f 200", "/a", "f=.", None),
        ("/a f=:f /x/:f 200", "/a", "f=%2e%2e", "/x/%2e%2e"),
        ("/a f=:f /x/p:f 200", "/a", "f=..", "/x/p.."),
        ("/a 410", "/a", "", None),
    ],
)
def test_a_page_is_named_by_a_decoded_path(rules, path, query, expected):
    """Slashes run together, dot segments name nothing, query values are not decoded."""
    hit, _ = ask(rules, path, query)
    assert hit is not None
    assert hit.page_path() == expected


def test_vary_is_a_matter_of_the_path_alone():
    """Every conditional rule whose host and path match counts, also behind the rule that answers."""
    rules = "/a /x 302 Language=de\n/a /y 302\n/* /z 302 Cookie=c\n/b /z 302 Language=de\n"
    for language in ("de", "fr"):
        hit, vary = ask(rules, "/a", language=language)
        assert hit is not None
        assert hit.location() == ("/x" if language == "de" else "/y")
        assert vary == {"Accept-Language", "Cookie"}
    assert ask(rules, "/c")[1] == {"Cookie"}
    assert ask("https://b.test/a /x 302 Language=de\n", "/a")[1] == frozenset()
    assert ask("https://b.test/a /x 302 Language=de\n", "/a", host="b.test")[1] == {"Accept-Language"}
