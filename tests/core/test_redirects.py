"""Parser of `_redirects`: every line of SITE-FORMAT section 3 that is decided when the file is read."""

import pytest

from edgeward.core.redirects import parse_redirects
from edgeward.core.rules import RULE_STATUSES, Condition, RedirectRule
from edgeward.errors import InputError

BOTH = (Condition("Cookie", ("a",)), Condition("Cookie", ("b",)))
HOSTS = ("example.com", "www.example.com")


def parse(text):
    """The rules of a text; warnings are of no interest."""
    return parse_redirects(text if isinstance(text, bytes) else text.encode(), hostnames=HOSTS)[0]


def problems(text, hostnames=HOSTS):
    """(line, message) of each problem of a text that is refused."""
    with pytest.raises(InputError) as caught:
        parse_redirects(text if isinstance(text, bytes) else text.encode(), hostnames=hostnames)
    assert all(problem.file == "_redirects" for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def warnings(text):
    """(line, message) of each warning."""
    return [(item.line, item.message) for item in parse_redirects(text.encode(), hostnames=HOSTS)[1]]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("/a /b", RedirectRule(1, "/a", "/b")),
        ("/a/ /b/", RedirectRule(1, "/a", "/b/")),
        ("\t/a \t /b\t302 ", RedirectRule(1, "/a", "/b", 302)),
        ("/a /b 301!", RedirectRule(1, "/a", "/b", 301, force=True)),
        ("/a https://other.example/x?y=1#z 308", RedirectRule(1, "/a", "https://other.example/x?y=1#z", 308)),
        ("/a HTTPS://Other.Example:8443/", RedirectRule(1, "/a", "https://other.example:8443/")),
        ("/a http://192.0.2.1/ 307", RedirectRule(1, "/a", "http://192.0.2.1/", 307)),
        ("/a http://[2001:DB8::1]:80/x", RedirectRule(1, "/a", "http://[2001:db8::1]:80/x")),
        ("/a https://bücher.example", RedirectRule(1, "/a", "https://xn--bcher-kva.example")),
        ("/é/%C3%A9%20b /ü?q=é|", RedirectRule(1, "/é/é b", "/%C3%BC?q=%C3%A9%7C")),
        ("/a/:b/* /c/:splat/:b", RedirectRule(1, "/a/:b/*", "/c/:splat/:b")),
        ("/%3Ab/%2A/%25 /c", RedirectRule(1, "/%3Ab/%2A/%25", "/c")),
        ("/app/* /app.html 200", RedirectRule(1, "/app/*", "/app.html", 200)),
        ("/app/* https://www.example.com/app.html 200", RedirectRule(1, "/app/*", "/app.html", 200)),
        ("/gone 410", RedirectRule(1, "/gone", None, 410)),
        ("/gone /why.html 410!", RedirectRule(1, "/gone", "/why.html", 410, force=True)),
        ("/law 451", RedirectRule(1, "/law", None, 451)),
        ("/no 404", RedirectRule(1, "/no", None, 404)),
        ("/no Language=de 404", RedirectRule(1, "/no", None, 404, params=(("Language", "de"),))),
        ("/no 404 Language=de", RedirectRule(1, "/no", None, 404, conditions=(Condition("Language", ("de",)),))),
        ("https://WWW.example.com/x /y", RedirectRule(1, "/x", "/y", host="www.example.com")),
        ("http://www.example.com /y", RedirectRule(1, "/", "/y", host="www.example.com")),
        ("/s id=:id /i/:id", RedirectRule(1, "/s", "/i/:id", params=(("id", ":id"),))),
        ("/s id=5 q= /i", RedirectRule(1, "/s", "/i", params=(("id", "5"), ("q", "")))),
        ("/s q=a=b/c /i", RedirectRule(1, "/s", "/i", params=(("q", "a=b/c"),))),
        ("/s id=:id 410", RedirectRule(1, "/s", None, 410, params=(("id", ":id"),))),
        (
            "/a /b 302 Language=DE,fr,de Cookie=beta,x",
            RedirectRule(
                1, "/a", "/b", 302, conditions=(Condition("Language", ("de", "fr")), Condition("Cookie", ("beta", "x")))
            ),
        ),
        ("/a /b Cookie=a Cookie=b", RedirectRule(1, "/a", "/b", conditions=BOTH)),
        ("/a /b # a comment", RedirectRule(1, "/a", "/b")),
        ("/a /b\t#not a fragment", RedirectRule(1, "/a", "/b")),
        ("/a /b#part", RedirectRule(1, "/a", "/b#part")),
        ("\ufeff/a /b\r", RedirectRule(1, "/a", "/b")),
        ("/a\ufeff/b", RedirectRule(1, "/a", "/b")),
        ("/a /b/%c3%a9", RedirectRule(1, "/a", "/b/%c3%a9")),
        ("/a /\\evil.example", RedirectRule(1, "/a", "/%5Cevil.example")),
    ],
)
def test_rule(line, rule):
    """A line means this rule."""
    assert parse(line) == (rule,)


@pytest.mark.parametrize("status", sorted(RULE_STATUSES))
def test_statuses(status):
    """Every status of the contract can be given, forced or not."""
    plain, forced = parse(f"/a /b {status}\n/c /d {status}!\n")
    assert (plain.status, plain.force, forced.status, forced.force) == (status, False, status, True)


def test_lines_and_comments():
    """Blank lines, comments, CRLF and a byte-order mark count as lines and mean nothing; numbers start at 1."""
    rules = parse(b"\xef\xbb\xbf# head\r\n\r\n  # indented\r\n/a /b\r\n\t\n/c /d")
    assert [(rule.line, rule.source) for rule in rules] == [(4, "/a"), (6, "/c")]


def test_no_rules():
    """An empty file has no rules and no problems."""
    assert parse(b"") == ()


COLON = "(a literal colon is written %3A)"
STATUSES = "200, 301, 302, 303, 307, 308, 404, 410, 451, each with an optional `!`"
REFUSED = [
    ("/a /b 299", f"unknown status `299`; there are {STATUSES}"),
    ("/a /b 0301", f"unknown status `0301`; there are {STATUSES}"),
    ("/a /b 301 302", "`302` is a second status"),
    ("/a /b Contry=de", "unknown condition `Contry`; there are Language and Cookie"),
    ("/a /b language=de", "unknown condition `language`; did you mean `Language`?"),
    ("/a /b Country=de", "`Country=` is refused for now: edges do not look up the country of a reader"),
    ("/a /b Role=admin", "`Role=` is refused for now: edges do not know who is signed in"),
    ("/a?x=1 /b", "'/a?x=1': the path ends at `?`: match a query with name=value after it"),
    ("/a//b /c", "'/a//b' has an empty segment (`//`), which the normalised path of a request never has"),
    ("/a //evil.example/", "`//evil.example/` begins with `//`, which means another host; write https:// before it"),
    ("/a* /b", "`/a*`: `*` stands only at the end, as a whole segment (a literal one is %2A)"),
    ("/*/b /c", "`/*/b`: `*` stands only at the end, as a whole segment (a literal one is %2A)"),
    ("/a /b/:c", f"`:c` in `/b/:c` is bound by nothing {COLON}"),
    ("/a /b/:splat", f"`:splat` in `/b/:splat` is bound by nothing {COLON}"),
    ("/a/:b id=:b /c", "`:b` is bound twice"),
    ("/a id=:x-y /c", f"`id=:x-y`: `:x-y` is not a placeholder {COLON}"),
    ("/a id=:splat /c", "`id=:splat`: `:splat` is the name of what `*` matches; choose another"),
    ("/a id=1 id=2 /c", "the parameter `id` is given twice"),
    ("/a id=%zz /c", "`id=%zz` has a `%` that is not followed by two hex digits"),
    ("/a id=a&b=c /c", "`id=a&b=c` is not a query parameter (name=value or name=:placeholder)"),
    ("/a =5 /c", "`=5` is not a query parameter (name=value or name=:placeholder)"),
    ("/a", "the rule has no target and no status"),
    ("/a 301", "status 301 needs a target"),
    ("/a 200", "status 200 needs a target"),
    ("/a /b /c", "`/c` is a second target; the first is `/b`"),
    ("/a 302 /b", "the target `/b` stands after the status; it comes before it"),
    ("/a b.html", "`b.html` is no path, no http(s) URL, no status and no name=value"),
    ("/a ftp://x.example/", "`ftp://x.example/`: a target is a path or an http(s) URL"),
    ("/a https://u@x.example/", "`https://u@x.example/`: a target holds no user name or password"),
    ("/a https://x.example:99999/", "`https://x.example:99999/`: 99999 is not a port"),
    (
        "/a/* https://:splat.example/",
        "`https://:splat.example/`: placeholders stand for parts of path and query, never of the host",
    ),
    (
        "/a https://x_.example/",
        "`https://x_.example/`: 'x_.example' is not a hostname: 'x_' is not 1 to 63 letters, digits and inner hyphens",
    ),
    ("/a /b%", "`/b%` has a `%` that is not followed by two hex digits"),
    ("/a /b%ff", "`/b%ff` decodes to something that is not UTF-8, or to a control character"),
    ("/a /b/../c", "`/b/../c` has a dot segment; write the path that it leads to"),
    (
        "/a https://o.example/ 200",
        "`https://o.example/`: a 200 to another host is a proxy rule, which is refused for now",
    ),
    ("/a https://o.example/ 410", "`https://o.example/`: status 410 serves a page of this site, not of another host"),
    ("/a /b?x 200", "`/b?x`: a page that is served with 200 has no query and no fragment"),
    ("https://other.example/a /b", "'other.example' is not one of the site's hostnames (example.com, www.example.com)"),
    ("https://example.com:8080/a /b", "'example.com:8080' has a port; a site is served on the ports of its edges"),
    ("a /b", "a rule begins with a path or https://host/path, not with `a`"),
    ("/a /b Language=de-AT", "`Language=de-AT`: a language is the primary subtag alone, as in `Language=de,fr`"),
    ("/a /b Language=", "`Language=`: a language is the primary subtag alone, as in `Language=de,fr`"),
    ("/a /b Language=de Language=fr", "`Language` is given twice; alternatives are separated by commas"),
    ("/a /b Cookie=a=b", "`Cookie=a=b`: that is not a cookie name; only presence is looked at, as in `Cookie=beta`"),
    ("/a\x01 /b", "control character U+0001 at column 3"),
    ("/a /b\x7f", "control character U+007F at column 6"),
    ("/a\r/b", "control character U+000D at column 3"),
    (b"/a /\0", "control character U+0000 at column 5"),
    (b"/a /caf\xe9", "not UTF-8: byte 0xe9 at byte 8 of the line"),
    ("/a /" + "b" * 1997, "the line has 2,001 characters; at most 2,000 are allowed"),
    ("# " + "b" * 1999, "the line has 2,001 characters; at most 2,000 are allowed"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_refused(line, message):
    """What a push cannot honour is refused, with the line and exactly this reason."""
    text = line if isinstance(line, bytes) else line.encode()
    assert problems(b"# first\n" + text + b"\n/fine /also-fine\n") == [(2, message)]


def test_all_problems_at_once():
    """Every problem of the file is reported, several of one line too, each with its line."""
    lines = [line if isinstance(line, bytes) else line.encode() for line, _ in REFUSED]
    expected = [(number, message) for number, (_, message) in enumerate(REFUSED, start=1)]
    assert problems(b"\n".join(lines)) == sorted(expected)
    assert problems("/a?b //c 299 Country=de\n") == [
        (1, "'/a?b': the path ends at `?`: match a query with name=value after it"),
        (1, "`//c` begins with `//`, which means another host; write https:// before it"),
        (1, "`Country=` is refused for now: edges do not look up the country of a reader"),
        (1, f"unknown status `299`; there are {STATUSES}"),
    ]


def test_number_of_rules():
    """10,000 rules are allowed; the 10,001st is refused, comments do not count."""
    text = "# comment\n" + "".join(f"/a{number} /b\n" for number in range(10_000))
    assert len(parse(text)) == 10_000
    assert problems(text + "/one/more /x\n/and/more /y\n") == [(10_002, "more than 10,000 rules")]


def test_length_of_a_line():
    """2,000 characters are allowed, whatever their bytes."""
    assert parse("/a /" + "é" * 1996)[0].target == "/" + "%C3%A9" * 1996


def test_a_file_that_is_something_else():
    """A file with thousands of bad lines is refused with the first thousand and a word about the rest."""
    found = problems(b"\xff\n" * 5000)
    assert len(found) == 1001
    assert (0, "more than 1,000 problems; the rest of the file was not read") in found


ITSELF = "a loop: redirects to itself for ever"
TO_AND_FRO = "a loop: redirects for ever from line 1 to line 2 to line 1"
FORCED_LOOPS = [
    ("/a /a 301!", ITSELF, 1),
    ("/a /a/ 301!", ITSELF, 1),
    ("/a/* /a/:splat", ITSELF, 1),
    ("/* /:splat 302", ITSELF, 1),
    ("/* /maintenance 302!", ITSELF, 1),
    ("/a/* /a/new/:splat 301!", ITSELF, 1),
    ("/a /a?x=1 301!", ITSELF, 1),
    ("/a id=:id /a?id=:id 301!", ITSELF, 1),
    ("/a id=5 /a?id=5 301!", ITSELF, 1),
    ("/a /b 301!\n/b /a 301!", TO_AND_FRO, 1),
    ("\n/a /b 301!\n/b /c 302!\n/c /a 307!", "a loop: redirects for ever from line 2 to line 3 to line 4 to line 2", 2),
    ("/a/* /b/:splat 301!\n/b/:x /a/:x 301!", TO_AND_FRO, 1),  # all that the second rule answers
    ("/a/* /b/:splat 301!\n/b/* /a/:splat 301!", TO_AND_FRO, 1),
    ("/:x/a /:x/b 301!\n/q/b /q/a 301!", TO_AND_FRO, 1),
    ("/a https://example.com/b 301!\n/b http://example.com/a 301!", TO_AND_FRO, 1),
    (
        "http://example.com/* https://example.com/:splat 301!",
        "a loop: redirects to itself for ever (the scheme is not compared; HTTPS needs no rule)",
        1,
    ),
    ("/ /de 302! Language=de\n/de / 302! Language=de,fr", TO_AND_FRO, 1),
]


@pytest.mark.parametrize(("text", "message", "line"), FORCED_LOOPS)
def test_certain_loops(text, message, line):
    """A loop that no file can break is refused when the rules are read, also over several of them."""
    assert problems(text) == [(line, message)]


@pytest.mark.parametrize(
    "text",
    [
        "/a /b 301!\n/b /c 301!",  # ends
        "/a /a/",  # the file a/index.html may shadow it
        "/a /b\n/b /a",  # either may be a file
        "/a id=:id /a 301!",  # the parameter is consumed
        "/a id=5 /a?id=6 301!",
        "/a id=:id /a?page=:id 301!",
        "/a /b 301! Language=de\n/b /a 301! Language=fr",
        "/a /b 301! Cookie=x\n/b /a 301! Cookie=x",  # a cookie may be bound to a path
        "/a/* /b/:splat 301!\n/b/:x/y /a/:x 301!\n/b/:x 404!",
        "/a/:x /b/:x 301!\n/b/1 /a/2 301!\n/b/2 410!",
        "https://example.com/* https://www.example.com/:splat 301!",  # depends on alias_mode
        "https://www.example.com/* https://example.com/:splat 301!",
        "/a https://other.example/a 301!",
        "/a https://example.com:8443/a 301!",  # another server
        "/x id=:id /:id 301!\n/* /x?id=1 301!",  # what is bound may be anything
        "/a /b 301!\n/b /page.html 200!\n/page.html /a",
    ],
)
def test_no_false_loops(text):
    """What some request escapes from is not called a loop."""
    assert len(parse(text)) == len(text.splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a /b\n/a /b", [(2, "an exact duplicate of line 1")]),
        ("/a /b\n/a/ /b 301 # again", [(2, "an exact duplicate of line 1")]),
        ("/a /b\n/a /c", [(2, "never matches, because line 1 always does first")]),
        ("/* /b 302\n/a/:x /c", [(2, "never matches, because line 1 always does first")]),
        ("/a/* /b\n/a /c\n/ab /c", [(2, "never matches, because line 1 always does first")]),
        ("/a/:x /b\n/a/c /c\n/a/c/d /c", [(2, "never matches, because line 1 always does first")]),
        ("/a /b 200\n/a /c", [(1, "never matches, because line 2 always does first")]),
        ("/a /b\n/a /c 302!", [(1, "never matches, because line 2 always does first")]),
        ("/a /b\n/a id=1 /c", [(2, "never matches, because line 1 always does first")]),
        ("/a id=:x /b\n/a id=1 q=2 /c", [(2, "never matches, because line 1 always does first")]),
        ("/a /b Language=de,fr\n/a /c Language=fr", [(2, "never matches, because line 1 always does first")]),
        ("/a /b Cookie=x,y\n/a /c Cookie=y Language=de", [(2, "never matches, because line 1 always does first")]),
        ("/a /b\nhttps://example.com/a /c", [(2, "never matches, because line 1 always does first")]),
        ("/a id=1 /b\n/a /c", []),
        ("/a id=1 /b\n/a id=2 /c", []),
        ("/a id=:x /b\n/a id=a/b /c", []),  # what a placeholder cannot bind
        ("/a /b Language=fr\n/a /c Language=de,fr", []),
        ("/a /b Cookie=x\n/a /c", []),
        ("https://example.com/a /b\n/a /c", []),
        ("https://example.com/a /b\nhttps://www.example.com/a /c", []),
        ("/a/:x /b\n/a/* /c", []),
        ("/A /b\n/a /c", []),
    ],
)
def test_warnings(text, expected):
    """A rule that can never match, because an earlier one always does, and an exact duplicate are warned of."""
    assert warnings(text) == expected
