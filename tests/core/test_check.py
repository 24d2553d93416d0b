"""Checks of a whole release: what files and rules show together (SITE-FORMAT sections 1 to 3)."""

import pytest

from edgeward.core.check import check_path, check_paths, check_release
from edgeward.core.digest import digest_of
from edgeward.core.paths import is_entry_path
from edgeward.core.redirects import parse_redirects
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import SiteSettings


def release(paths, rules="", **settings):
    """A release with empty files at these paths and these rules."""
    site = SiteSettings("blog", settings.pop("hostnames", ("example.com", "www.example.com")), **settings)
    variants = (Variant("identity", digest_of(b""), 0),)
    entries = tuple(Entry(path, "text/html; charset=utf-8", 1, variants) for path in sorted(paths))
    redirects, _ = parse_redirects(rules.encode(), hostnames=site.hostnames)
    return Manifest(site, entries, redirects)


def errors(*args, **settings):
    """(file, line, message) of each error."""
    return [(item.file, item.line, item.message) for item in check_release(release(*args, **settings)).errors]


def warnings(*args, **settings):
    """(line, message) of each warning."""
    return [(item.line, item.message) for item in check_release(release(*args, **settings)).warnings]


def test_a_sound_site():
    """A site with pages, folders, assets and rules has nothing to complain of."""
    paths = ["/index.html", "/about.html", "/docs/index.html", "/docs/a.html", "/a.js", "/404.html", "/dump.sql.gz"]
    report = check_release(release(paths, "/old /about\n/app/* /index.html 200\n/no 404\n/docs/* /:splat 302\n"))
    assert (report.errors, report.warnings) == ((), ())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/" + "a/" * 511 + "a", None),  # 1,024 bytes
        ("/" + "a/" * 511 + "ab", "the path has 1,025 bytes; at most 1,024 are allowed"),
        ("/" + "é/" * 341 + "ab", "the path has 1,026 bytes; at most 1,024 are allowed"),
        ("/" + "a" * 240, None),
        ("/" + "é" * 120 + "/x", None),
        ("/" + "a" * 241, "a name in the path has 241 bytes; at most 240 are allowed"),
        ("/x/" + "é" * 121, "a name in the path has 242 bytes; at most 240 are allowed"),
        ("/a\nb", "the path holds a control character (U+000A)"),
        ("/a\x00", "the path holds a control character (U+0000)"),
        ("/a\x7f", "the path holds a control character (U+007F)"),
        ("/a//b", "the path has an empty segment (`//`, or a slash at the end)"),
        ("/a/", "the path has an empty segment (`//`, or a slash at the end)"),
        ("/", "the path has an empty segment (`//`, or a slash at the end)"),
        ("/./a", "the path has a dot segment"),
        ("/a/..", "the path has a dot segment"),
        ("/a/...", None),
        ("a", "the path does not begin with a slash"),
        ("/a\udce9", "the path is not UTF-8"),
        ("/A b?#%'\"\\ü", None),
    ],
)
def test_paths(path, message):
    """Paths keep to the limits and are in the form in which a request asks for them."""
    assert check_path(path) == message
    assert is_entry_path(path) is (message is None)


def test_problems_of_paths_can_be_printed():
    """A path with a control character is named without it."""
    (problem,) = check_paths(["/index.html", "/a\x1b[31m"])
    assert (problem.file, problem.message) == ("a\\x1b[31m", "the path holds a control character (U+001B)")


def test_case_matters():
    """Paths that differ in case alone are different."""
    assert errors(["/index.html", "/A.html", "/a.html"]) == []


TAKEN = "claims the URL {}, which `{}` has already"
CLASHES = [
    (["/about", "/about.html"], "auto", [("about.html", TAKEN.format("/about", "about"))]),
    (["/about", "/about.html"], "always", [("about.html", TAKEN.format("/about", "about"))]),
    (["/about", "/about.html"], "never", [("about.html", TAKEN.format("/about", "about"))]),
    (["/about.html", "/about/index.html"], "auto", []),
    (["/about.html", "/about/index.html"], "always", [("about/index.html", TAKEN.format("/about/", "about.html"))]),
    (["/about.html", "/about/index.html"], "never", [("about/index.html", TAKEN.format("/about", "about.html"))]),
    (["/index.html", "/index"], "auto", [("index.html", TAKEN.format("/index", "index"))]),
    (["/a.html", "/a.html.html"], "auto", [("a.html.html", TAKEN.format("/a", "a.html"))]),
    (["/index.html", "/index/index.html"], "auto", []),
    (["/index.html", "/docs/index.html", "/docs.js"], "never", []),
]


@pytest.mark.parametrize(("paths", "mode", "expected"), CLASHES)
def test_clashes(paths, mode, expected):
    """Two files that would claim one URL are refused, in the modes in which they do."""
    assert errors(paths, trailing_slash=mode) == [(file, 0, message) for file, message in expected]


def test_no_clashes_without_clean_urls():
    """Without clean URLs every file has its own name."""
    paths = ["/index.html", "/index", "/about", "/about.html", "/a.html", "/a.html.html", "/x.html", "/x/index.html"]
    assert errors(paths, clean_urls=False) == []


SHADOWED = "shadowed by the file `{}`, so it never applies; end its status in `!` to ask it first"


@pytest.mark.parametrize(
    ("paths", "rule", "shadow"),
    [
        (["/a.txt"], "/a.txt /b", "a.txt"),
        (["/about.html"], "/about /b", "about.html"),
        (["/about.html"], "/about/ /b", "about.html"),
        (["/about.html"], "/about.html /b 302", "about.html"),
        (["/docs/index.html"], "/docs /b", "docs/index.html"),
        (["/docs/index.html"], "/docs/index /docs/", "docs/index.html"),
        (["/index.html"], "/ /b", "index.html"),
        (["/a b.txt"], "/a%20b.txt /b", "a b.txt"),
        (["/a.txt"], "/a.txt id=1 /b Language=de", "a.txt"),
        (["/a.txt"], "/a.txt 410", "a.txt"),
        (["/a.txt"], "/a.txt /a.txt 200", "a.txt"),
        (["/a.txt"], "/a.txt /b 301!", None),
        (["/a.txt"], "/* /b.txt", None),
        (["/a.txt"], "/:x /b", None),
        (["/a.txt"], "/A.txt /b", None),
    ],
)
def test_shadowed(paths, rule, shadow):
    """A rule whose path a file answers, also through a clean URL, is warned of; one with `!` is not shadowed."""
    assert warnings(paths, f"# first\n{rule}\n") == ([] if shadow is None else [(2, SHADOWED.format(shadow))])


def test_shadowed_without_clean_urls():
    """Without clean URLs a page shadows its own name alone."""
    assert warnings(["/about.html"], "/about /b\n/about.html /b\n", clean_urls=False) == [
        (2, SHADOWED.format("about.html"))
    ]


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("/x /a.html 200", False),
        ("/x /a 200", False),
        ("/x /a/ 200", False),
        ("/x /docs 200", False),
        ("/x /docs/ 404", False),
        ("/x 404", False),
        ("/x 410", False),
        ("/x /nope 301", False),
        ("/x /nope 200", True),
        ("/x /nope 404", True),
        ("/x /nope 410", True),
        ("/x /nope 451", True),
        ("/x /A 200", True),
        ("/x https://example.com/nope 200", True),
    ],
)
def test_missing_targets(rule, missing):
    """A rule that would serve a page that is not there is warned of."""
    target = rule.split()[1].removeprefix("https://example.com") if missing else ""
    expected = [(1, f"its target `{target}` does not exist, so it answers 404")] if missing else []
    assert warnings(["/a.html", "/docs/index.html"], rule) == expected


def test_missing_targets_with_placeholders():
    """A target with placeholders is warned of only if nothing at all can be meant."""
    paths = ["/blog/one.html", "/index.html"]
    assert warnings(paths, "/b/:x /blog/:x 200\n/c/* /:splat.html 200\n/d/* /blogs/:splat 200\n") == [
        (3, "nothing exists that its target `/blogs/:splat` can be, so it answers 404"),
    ]


def test_rules_of_alias_hosts():
    """A rule for an alias that redirects is never asked, and warned of; an alias that serves is asked."""
    rule = "https://www.example.com/a /b\n"
    message = (
        "never applies, because www.example.com redirects to example.com before any rule is asked; "
        'alias_mode = "serve" changes that'
    )
    assert warnings(["/index.html"], rule) == [(1, message)]
    assert warnings(["/index.html"], rule, alias_mode="serve") == []


ALIAS = " (the alias www.example.com redirects to example.com)"
ITSELF = "a loop: redirects to itself for ever"
TO_AND_FRO = "a loop: redirects for ever from line 1 to line 2 to line 1"
LOOPS = [
    ("/a /a", [(1, ITSELF)]),
    ("/a /a/", [(1, ITSELF)]),
    ("/a/ /a", [(1, ITSELF)]),
    ("/a /b\n/b /a", [(1, TO_AND_FRO)]),
    ("/a /b/\n/b/* /a", [(1, TO_AND_FRO)]),
    ("/a/* /b/:splat\n/b/* /a/:splat", [(1, TO_AND_FRO)]),
    ("/a/* /a/new/:splat", [(1, ITSELF)]),
    ("/* /nope", [(1, ITSELF)]),
    ("/a/:x /b/:x\n/b/:x /a/:x", [(1, TO_AND_FRO)]),
    ("/a /b 302!\n/b /a", [(1, TO_AND_FRO)]),
    ("/a https://www.example.com/a", [(1, ITSELF + ALIAS)]),
    ("/a https://www.example.com/b\n/b https://example.com/a", [(1, TO_AND_FRO)]),
    ("/* /.well-known/edgeward/:splat", []),  # answered by the edge itself
    ("/a /page.html", []),
    ("/a /page\n/page /a", []),  # the page shadows the second rule
    ("/docs/* /docs/index.html", []),
    ("/page /page/", []),
    ("/docs/* /docs/new/:splat", []),  # docs/new/x.html exists: some requests end there
    ("/x/* /docs/:splat\n/docs/* /x/:splat", []),
    ("/a /b 410\n/b /a", []),
    ("/a /b\n/b /a 200", []),
    ("/a /b\n/b 410\n/b /a", []),
    ("/a /b Language=de\n/b /a Language=fr", []),
    ("/a /b Cookie=x\n/b /a", []),
]


@pytest.mark.parametrize(("text", "expected"), LOOPS)
def test_loops(text, expected):
    """A loop that no file of this site breaks is refused; one that some request escapes from is not."""
    paths = ["/index.html", "/page.html", "/docs/new/x.html", "/docs/index.html"]
    assert errors(paths, text) == [("_redirects", line, message) for line, message in expected]


def test_loops_over_aliases():
    """Where aliases serve, a rule between two hostnames is no loop; where they redirect, it is one."""
    rule = "https://example.com/* https://www.example.com/:splat 301!\n"
    assert errors(["/index.html"], rule) == [("_redirects", 1, ITSELF + ALIAS)]
    assert errors(["/index.html"], rule, alias_mode="serve") == []
    back = "https://www.example.com/* https://example.com/:splat 301!\n"
    assert errors(["/index.html"], rule + back, alias_mode="serve") == [("_redirects", 1, TO_AND_FRO)]
    assert errors(["/index.html"], back) == []


def test_all_at_once():
    """Errors of URLs and of rules come together, sorted by file and line."""
    found = errors(["/about", "/about.html", "/index.html"], "/x /x\n/y /z\n/z /y\n")
    assert found == [
        ("_redirects", 1, ITSELF),
        ("_redirects", 2, "a loop: redirects for ever from line 2 to line 3 to line 2"),
        ("about.html", 0, "claims the URL /about, which `about` has already"),
    ]
