import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgeward.cli import views
from edgeward.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    paths: tuple[Path, ...]
    seen: frozenset[str]
    secret: str = field(default="x", repr=False)


def test_json_of_a_value(capsys):
    """Dataclasses are objects, tuples and sets arrays; what a repr leaves out stays out."""
    views.show_json([_Value("a", (Path("/b"),), frozenset({"d", "c"}))])
    assert json.loads(capsys.readouterr().out) == [{"name": "a", "paths": ["/b"], "seen": ["c", "d"]}]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\rb", "a\\rb"), ("\u202egnp.exe", "\\u202egnp.exe"), ("n\udcffme", "n\\xffme"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"), ("ä ✓ 漢", "ä ✓ 漢"),
    ],
)  # fmt: skip
def test_what_comes_from_outside_cannot_steer_the_terminal(text, shown):
    """Control characters, direction marks and broken UTF-8 are made visible; everything else stays."""
    assert views.visible(text) == shown


def test_an_error_shows_all_its_problems_and_the_hint(capsys):
    """The sentence first, then each problem with its place, then what to do."""
    problems = [Problem("_headers", 3, "bad"), Problem("_redirects", 0, "worse \x07")]
    views.show_error(InputError("site cannot be published", problems, hint="mend it"))
    assert capsys.readouterr().err.splitlines() == [
        "error: site cannot be published",
        "  _headers:3: bad",
        "  _redirects: worse \\x07",
        "hint: mend it",
    ]
