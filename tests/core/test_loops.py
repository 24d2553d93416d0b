"""Certain loops and rules that never match, held against what the reference implementation really answers."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.check import _may_be_entry, check_release
from edgeward.core.coverage import never_matching
from edgeward.core.digest import digest_of
from edgeward.core.exchange import Request
from edgeward.core.loops import _follow, _search, find_loops
from edgeward.core.redirects import read_redirects
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.resolve import resolve
from edgeward.core.rulebook import Asked, compile_rules
from edgeward.core.rules import REDIRECT_STATUSES, Condition, RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.core.urls import find
from edgeward.core.view import LiveSite, View

HOSTS = ("example.com", "www.example.com")
WORDS = st.sampled_from(["a", "b", "c"])
SOURCES = st.lists(st.one_of(WORDS, WORDS, st.sampled_from([":x", ":y"])), max_size=2, unique=True)
ENTRIES = st.lists(st.sampled_from(["/a.html", "/b/index.html", "/c", "/a/b.html", "/b/c/index.html"]), unique=True)


@st.composite
def rules(draw):
    """A few rules over a small alphabet, so that they meet."""
    found = []
    for line in range(1, draw(st.integers(1, 5)) + 1):
        parts = draw(SOURCES)
        if draw(st.integers(0, 3)) == 0:
            parts = [*parts, "*"]
        names = [part for part in parts if part.startswith(":")] + ([":splat"] if "*" in parts else [])
        params = draw(st.sampled_from([(), (), (), (("q", "1"),), (("q", ":v"),)]))
        values = [wanted for _, wanted in params if wanted.startswith(":")]
        status = draw(st.sampled_from([301, 301, 302, 302, 200, 410]))
        target = "/" + "/".join(draw(st.lists(st.sampled_from([*"abc", *names, *names]), max_size=3)))
        target += draw(st.sampled_from(["", "", "/"]))
        if status in REDIRECT_STATUSES:
            target += draw(st.sampled_from(["", "", "", "?q=1", *(f"?q={value}" for value in values)]))
            target = draw(st.sampled_from(["", "", "", "https://example.com", "https://www.example.com"])) + target
        language = draw(
            st.sampled_from([(), (), (Condition("Language", ("de",)),), (Condition("Language", ("de", "fr")),)])
        )
        found.append(
            RedirectRule(
                line,
                "/" + "/".join(parts),
                target,
                status,
                force=draw(st.booleans()),
                host=draw(st.sampled_from([None, None, None, *HOSTS])),
                params=params,
                conditions=language,
            )
        )
    return tuple(found)


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(HOSTS),
        st.lists(WORDS, max_size=4).map(lambda parts: "/" + "/".join(parts)),
        st.sampled_from(["", "/"]),
        st.sampled_from(["", "q=1", "q=2", "q=1&q=3", "r=1"]),
        st.sampled_from(["", "de", "fr", "en"]),
    ),
    min_size=8,
    max_size=8,
)


def entries(paths):
    """Entries at these paths."""
    variants = (Variant("identity", digest_of(b""), 0),)
    return tuple(Entry(path, "text/html", 1, variants) for path in sorted({"/index.html", *paths}))


def first_rule(manifest, book, asked):
    """The rule that answers a request, or None if an entry or nothing does."""
    hit, _ = book.forced.ask(asked)
    if hit is None and find(manifest.settings, manifest.by_path, asked.path) is None:
        hit, _ = book.moved.ask(asked)
    return None if hit is None else hit.rule


ENDLESS = 25
"""More redirects than a browser follows, and than any way through a handful of rules has."""


def viewed(manifest):
    """The view of an edge that serves this release alone."""
    return View("test", dict.fromkeys(manifest.settings.hostnames, LiveSite(manifest)))


def hops(view, host, target, language):
    """How many redirects a client follows within the site, at most ENDLESS, as a path counts that grows for ever."""
    fields = (("Accept-Language", language),) if language else ()
    for count in range(ENDLESS):
        response = resolve(view, Request("GET", host, target, fields))
        if not 300 <= response.status < 400:
            return count
        location = urlsplit(dict(response.headers)["Location"])
        host = location.netloc or host
        if host not in HOSTS:
            return count
        if len(location.path) > 8_000:
            return ENDLESS
        target = location.path + (f"?{location.query}" if location.query else "")
    return ENDLESS


SITES = st.builds(
    SiteSettings,
    name=st.just("s"),
    hostnames=st.just(HOSTS),
    clean_urls=st.booleans(),
    trailing_slash=st.sampled_from(["auto", "always", "never"]),
    alias_mode=st.sampled_from(["redirect", "serve"]),
)


def check_loops(site, found, paths, requests):
    """Where a rule is said to lead into a loop, every request that it answers is redirected for ever."""
    manifest = Manifest(site, entries(paths), found)
    names = [entry.path for entry in manifest.entries]
    view = viewed(manifest)

    book = compile_rules(found)

    def may_be_entry(tokens, slash):
        return _may_be_entry(manifest, names, tokens, slash=slash)

    for start, rule in enumerate(found):
        if rule.status not in REDIRECT_STATUSES:
            continue
        known = _follow(_search(found, HOSTS, site.alias_mode, may_be_entry), start)
        unknown = _follow(_search(found, HOSTS, None, None), start)
        if not known and not unknown:
            continue
        for host, path, slash, query, language in requests:
            asked = Asked(host, path + slash if path != "/" else path, query, language)
            if (site.alias_mode == "serve" or host == HOSTS[0]) and first_rule(manifest, book, asked) == rule:
                target = asked.path + (f"?{query}" if query else "")
                assert hops(view, host, target, language) == ENDLESS, (rule, host, target, language)


@given(SITES, rules(), ENTRIES, REQUESTS)
def test_no_loop_is_false(site, found, paths, requests):
    """What is called a loop is one, for every request that starts it, with files, hosts, queries and languages."""
    check_loops(site, found, paths, requests)


@pytest.mark.long
@settings(max_examples=3_000)
@given(SITES, rules(), ENTRIES, REQUESTS)
def test_no_loop_is_false_at_length(site, found, paths, requests):
    """The same for many more sets of rules."""
    check_loops(site, found, paths, requests)


SIMPLE = st.lists(
    st.builds(
        lambda source, target, force: (source, target, force),
        st.sampled_from(["/a", "/b", "/c", "/d", "/a/:x", "/b/:x", "/c/*"]),
        st.sampled_from(["/a", "/b", "/c", "/d", "/e", "/a/b"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@given(SIMPLE)
def test_plain_loops_are_found(found):
    """Where rules lead to plain paths, every loop is found: if none is reported, every request ends."""
    lines = [RedirectRule(number, *words[:2], force=words[2]) for number, words in enumerate(found, start=1)]
    manifest = Manifest(SiteSettings("s", HOSTS[:1]), entries([]), tuple(lines))
    if check_release(manifest).errors:
        return
    view = viewed(manifest)
    for path in ("/a", "/b", "/c", "/d", "/a/b", "/b/a", "/c/d/e"):
        assert hops(view, HOSTS[0], path, "") < ENDLESS, (path, found)


def searched(lines):
    """What a search finds in these lines, where nothing else answers."""
    read = read_redirects("\n".join(lines).encode(), hostnames=HOSTS)
    assert not read.findings.problems
    return find_loops(read.rules, HOSTS, alias_mode="serve", may_be_entry=lambda tokens, slash: False)


MANY = 10_000
TO_AND_FRO = {
    "plain": ("/a{n} /b{n}", "/b{n} /a{n}"),
    "deep": ("/x/y/z/:v/a{n} /b{n}/y/z/:v/a", "/b{n}/y/z/:v/a /x/y/z/:v/a{n}"),
    "placeholders": ("/a{n}/:x /b{n}/:x", "/b{n}/:y /a{n}/:y 302"),
    "splats": ("/a{n}/* /b{n}/:splat", "/b{n}/* /a{n}/:splat"),
    "forced": ("/a{n}/* /b{n}/:splat 301!", "/b{n}/* /a{n}/:splat 301!"),
    "hosts": (
        "https://example.com/a{n}/* https://www.example.com/b{n}/:splat",
        "https://www.example.com/b{n}/* https://example.com/a{n}/:splat",
    ),
    "languages": ("/p{n} /de/p{n} 302 Language=de", "/de/p{n} /p{n} 302 Language=de"),
    "parameters of one page": ("/page id=a{n} /page?id=b{n}", "/page id=b{n} /page?id=a{n}"),
    "two parameters": ("/page id=a{n} lang=de /page?lang=de&id=b{n}", "/page id=b{n} lang=de /page?lang=de&id=a{n}"),
}


@pytest.mark.parametrize("name", TO_AND_FRO)
def test_thousands_of_loops_of_the_usual_forms_are_all_found(name):
    """5,000 pairs of rules: 5,000 loops, and nothing is given up."""
    found = searched([line.format(n=number) for number in range(MANY // 2) for line in TO_AND_FRO[name]])
    assert (len(found.certain), found.given_up) == (MANY // 2, ())


@pytest.mark.parametrize(
    "rule", ["/r{n} /r{m}", "/r{n}/* /r{m}/:splat", "/x/:v/r{n} /x/:v/r{m}", "/page id={n} /page?id={m}"]
)
def test_a_loop_of_ten_thousand_rules_is_found(rule):
    """It is reported once, at its first line."""
    found = searched([rule.format(n=number, m=(number + 1) % MANY) for number in range(MANY)])
    sentence = "a loop: redirects for ever from line 1 to line 2 to line 3 and on through 10,000 rules"
    assert (found.certain, found.given_up) == (((1, sentence),), ())


def test_many_rules_that_another_rule_may_lead_to_cost_no_more_than_one():
    """Thousands of rules below one folder, with thousands that lead into it by a placeholder or with a query."""
    half = MANY // 2
    folder = [f"/new/{number} /x{number}" for number in range(half)]
    for rule in ("/o{n}/:id /new/:id?from={n}", "/o{n}/* /new/:splat?from={n}", "/o{n} from=:f /new/{n}?id=:f"):
        found = searched([*(rule.format(n=number) for number in range(half)), *folder])
        assert found == searched([])


def copying(count):
    """Rules each of which copies what the next one works off: after a few, longer than anybody would wait."""
    return [*(f"/a{n}/* /a{n - 1}/a{n - 1}/:splat" for n in range(1, count + 1)), "/a0/* /:splat"]


def test_a_rule_that_leads_too_far_is_named_and_hides_no_other_loop():
    """What is not found out is said, with the line of the rule; the loops of the other rules are found."""
    found = searched([*copying(8), "/y /z", "/z /y"])
    assert [line for line, _ in found.certain] == [10]
    assert found.given_up == (
        (8, "what it leads to was not found out in 250,000 steps; a loop that it leads into is not reported"),
    )


@pytest.mark.parametrize(
    "lines", [["/* /a/:splat 301", "/ /a 301!"], ["/ /a 301!", "/* /a/:splat 301"]], ids=["first", "later"]
)
def test_what_leads_to_a_loop_that_is_known_is_found_out(lines):
    """However long its own way there is, before or after the loop was found."""
    found = searched(lines)
    assert [line for line, _ in found.certain] == [lines.index("/* /a/:splat 301") + 1]
    assert found.given_up == ()


def test_where_the_search_ends_is_said():
    """Many such rules end the whole search; the line from which on nothing was searched is named."""
    *given_up, (line, sentence) = searched([*copying(30), "/y /z", "/z /y"]).given_up
    assert [line for line, _ in given_up] == list(range(given_up[0][0], line))
    assert sentence == (
        "the search for loops ended here after 1,000,000 steps; loops on this line and below are not reported"
    )


def test_a_search_that_was_given_up_is_a_warning_of_the_release():
    """Whoever pushes reads it, and a strict push is refused for it."""
    read = read_redirects("\n".join(copying(8)).encode(), hostnames=HOSTS)
    report = check_release(Manifest(SiteSettings("s", HOSTS), entries([]), read.rules))
    assert [(problem.file, problem.line) for problem in report.warnings] == [("_redirects", 8)]
    assert report.errors == ()


@given(rules(), REQUESTS)
def test_covered_rules_never_answer(found, requests):
    """A rule that is said never to match answers no request."""
    dead = {line for line, _ in never_matching(found)}
    book = compile_rules(found)
    for host, path, slash, query, language in requests:
        asked = Asked(host, path + slash if path != "/" else path, query, language)
        for rule_set in (book.forced, book.moved, book.soft):
            hit, _ = rule_set.ask(asked)
            if hit is not None:
                assert hit.rule.line not in dead
                break


@given(rules())
def test_all_covered_rules_are_found(found):
    """A rule whose only difference from an earlier one of its class is a narrower path is always warned of."""
    last = found[-1]
    if last.source.endswith("*"):
        return
    narrow = replace(last, line=len(found) + 1, source=last.source.replace(":x", "a").replace(":y", "b"), target="/e")
    dead = {line for line, _ in never_matching([*found, narrow])}
    assert narrow.line in dead
