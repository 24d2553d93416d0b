"""The examples in the documentation of `_redirects`, `_headers` and `edgeward.toml` are what the parsers take."""

import re
from pathlib import Path

import pytest

from edgeward.core.headers import parse_headers
from edgeward.core.redirects import parse_redirects
from edgeward.core.site_file import parse_project_file

DOCS = Path(__file__).parents[2] / "docs"
FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HOSTS = ("example.com", "old.example.com", "h.example")


def blocks(page):
    """(kind, text) of each fenced block of a page, without outlines of a syntax."""
    found = [(match["kind"], match["text"]) for match in FENCED.finditer((DOCS / page).read_text("utf-8"))]
    return [(kind, text) for kind, text in found if not text.startswith(("from [", "{"))]


EXAMPLES = [
    *blocks("reference/redirects-and-headers.md"),
    *blocks("guide/redirects-and-headers.md"),
    *blocks("reference/edgeward-toml.md"),
]


def test_there_are_examples():
    """The pages hold examples of both files."""
    assert sum("\n  " in text for _, text in EXAMPLES) >= 3
    assert sum(kind == "toml" for kind, _ in EXAMPLES) >= 1


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_examples_are_taken(kind, text):
    """Each example parses without a problem; the one that shows loops is refused for its loops alone."""
    if kind == "toml":
        assert parse_project_file(text).site.name
    elif "\n  " in text:
        assert parse_headers(text.encode())
    elif "# also matches" in text:
        with pytest.raises(Exception, match="_redirects has 2 problems") as caught:
            parse_redirects(text.encode(), hostnames=("h.example",))
        assert [problem.line for problem in caught.value.problems] == [2, 3]
    else:
        rules, warnings = parse_redirects(text.encode(), hostnames=HOSTS)
        assert rules
        assert warnings == ()
