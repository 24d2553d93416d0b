"""Parser of `_redirects` on files that nobody wrote by hand: round trips, any bytes, thousands of rules."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.redirects import parse_redirects
from edgeward.core.rules import REDIRECT_STATUSES, RULE_STATUSES
from edgeward.errors import InputError

HOSTS = ("example.com", "www.example.com")


def parse(text):
    """The rules of a text."""
    return parse_redirects(text.encode(), hostnames=HOSTS)[0]


def warnings(text):
    """(line, message) of each warning."""
    return [(item.line, item.message) for item in parse_redirects(text.encode(), hostnames=HOSTS)[1]]


NAMES = st.sampled_from(["a", "b", "id", "x_1"])
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\x7f"), min_size=1, max_size=5)
LITERAL = TEXT.filter(lambda text: text not in {".", ".."})


@st.composite
def rules(draw):
    """Lists of rules as the parser makes them."""
    found = []
    for line in range(1, draw(st.integers(1, 6)) + 1):
        names = draw(st.lists(NAMES, unique=True, max_size=2))
        parts = [quote(text, safe="") for text in draw(st.lists(LITERAL, max_size=2))]
        parts += [f":{name}" for name in names]
        if draw(st.booleans()):
            parts.append("*")
            names = [*names, "splat"]
        params = [(name, draw(st.sampled_from(["5", "", ":p"]))) for name in draw(st.sampled_from([[], ["q"]]))]
        names = [*names, *(wanted[1:] for _, wanted in params if wanted.startswith(":"))]
        status = draw(st.sampled_from(sorted(RULE_STATUSES)))
        target = "/" + "/".join([quote(draw(LITERAL), safe=""), *(f":{name}" for name in names)])
        if status in REDIRECT_STATUSES and draw(st.booleans()):
            target = draw(st.sampled_from(["https://other.example", "http://h.example:8080"])) + target + "?q=1#f"
        languages = draw(st.lists(st.sampled_from(["de", "fr"]), unique=True, max_size=2))
        conditions = [f"Language={','.join(languages)}"] if languages else []
        conditions += draw(st.sampled_from([[], ["Cookie=a"], ["Cookie=a,b"]]))
        host = draw(st.sampled_from(["", *(f"https://{host}" for host in HOSTS)]))
        words = [host + "/" + "/".join(parts), *(f"{name}={wanted}" for name, wanted in params), target, f"{status}"]
        if draw(st.booleans()):
            words[-1] += "!"
        found.append((line, " ".join(words + conditions)))
    return "\n".join(text for _, text in found)


def render(found):
    """Rules as lines of a `_redirects` file, one line each."""
    lines = []
    for rule in found:
        source = quote(rule.source, safe="/:*%!$&'()+,;=@[]~")
        words = [f"https://{rule.host}{source}" if rule.host else source]
        words += [f"{name}={wanted}" for name, wanted in rule.params]
        words += [rule.target] if rule.target is not None else []
        words.append(f"{rule.status}{'!' if rule.force else ''}")
        words += [f"{condition.name}={','.join(condition.values)}" for condition in rule.conditions]
        lines.append(" ".join(words))
    return "\n".join(lines)


@given(rules())
def test_round_trip(text):
    """Rules written out and read again are the same rules."""
    try:
        found = parse(text)
    except InputError as error:
        assert all("a loop" in problem.message for problem in error.problems)  # noqa: PT017 (the only other outcome)
    else:
        assert parse(render(found)) == found


WORDS = st.sampled_from(
    [
        "/a",
        "/b/*",
        "/:x",
        ":x",
        "/c/:splat",
        "https://example.com",
        "//",
        "301",
        "200!",
        "404",
        "x=:y",
        "Language=de",
        "#",
    ]
)
LINES = st.lists(st.one_of(WORDS.map(str.encode), st.binary(max_size=8)), max_size=6).map(b" ".join)
FILES = st.lists(LINES, max_size=8).map(b"\n".join)


def refuse_or_parse(data):
    """Rules or InputError, nothing else; lines are within the file."""
    count = data.count(b"\n") + 1
    try:
        found, warned = parse_redirects(data, hostnames=HOSTS)
        lines = [*(rule.line for rule in found), *(problem.line for problem in warned)]
    except InputError as error:
        lines = [problem.line for problem in error.problems] or [-1]
    assert all(0 <= line <= count for line in lines)


@given(st.one_of(st.binary(max_size=200), FILES))
def test_any_bytes(data):
    """Whatever the bytes, the result is rules or InputError, never another exception."""
    refuse_or_parse(data)


@given(FILES)
def test_lines_are_judged_by_themselves(data):
    """A comment line before the file moves every problem down by one line and changes nothing else."""

    def judged(text):
        try:
            return [rule.line for rule in parse_redirects(text, hostnames=HOSTS)[0]], []
        except InputError as error:
            return [], [(problem.line, problem.message) for problem in error.problems if "line " not in problem.message]

    good, bad = judged(data)
    moved_good, moved_bad = judged(b"# comment\n" + data)
    assert moved_good == [line + 1 for line in good]
    assert moved_bad == [(line + 1, message) for line, message in bad]


@pytest.mark.long
@settings(max_examples=20_000)
@given(st.one_of(st.binary(max_size=400), FILES))
def test_any_bytes_at_length(data):
    """The same for many more files."""
    refuse_or_parse(data)


@pytest.mark.parametrize(
    "line",
    [
        "/blog/{n} /new/{n}",
        "/c{n} /c{m} 301!",
        "/x id={n} /y",
        "/:a/p{n} /:a/q{n} 301!",
        "/p{n}/* /p{m}/:splat 301!",
        "/x /y{n} Cookie=c{n}",
    ],
)
def test_ten_thousand_rules_are_compared_by_index(line):
    """10,000 rules alike are read without giving up on the comparison of each with all others."""
    text = "\n".join(line.format(n=number, m=number + 1) for number in range(10_000))
    found, warned = parse_redirects(text.encode(), hostnames=HOSTS)
    assert (len(found), warned) == (10_000, ())


def test_rules_too_much_alike_to_compare():
    """Where comparing would take too long, the search for rules that never match ends, and says so."""
    text = "\n".join(f"/x a=1 b={number} /y" for number in range(10_000))
    ((_, message),) = warnings(text)
    assert message == "so many rules are alike that the search for those that never match ended"
