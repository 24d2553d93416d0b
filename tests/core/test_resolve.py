"""Properties of the reference answer, whatever the release and whatever the request."""

import re
import string
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.generate import make_sites
from conformance.sites import Built, Site, build, named, view_of
from edgeward.core.digest import digest_of
from edgeward.core.exchange import BlobBody, Request, Response, host_of, parse_host
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.resolve import LiveSite, make_view, refuse, reserved, resolve
from edgeward.core.rules import PAGE_STATUSES, RULE_STATUSES, Condition, HeaderBlock, HeaderLine, RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.core.view import View

BYTES = st.text(st.characters(max_codepoint=0xFF), max_size=60)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "accept-encoding",
                "Accept-Language",
                "cookie",
                "range",
                "If-Range",
                "if-none-match",
                "If-Modified-Since",
                "if-match",
            ]
        ),
        BYTES,
    ),
    max_size=4,
)
REQUESTS = st.builds(
    Request,
    method=st.one_of(st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "TRACE"]), BYTES),
    host=st.one_of(st.none(), st.sampled_from(["s.test", "www.s.test", "other.test", ""]), BYTES),
    target=st.one_of(BYTES, BYTES.map("/".__add__)),
    headers=FIELDS.map(tuple),
    scheme=st.sampled_from(["http", "https"]),
    port=st.one_of(st.none(), st.integers(0, 99999)),
)
SEGMENT = st.sampled_from(
    ["a", "b", "index.html", "é", "x y", "404.html", "a.html", "p.js", "%", "\\", "app.3f2a9c1b.js"]
)
PATHS = st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
PATTERNS = st.lists(st.sampled_from(["a", "b", ":x", ":y", "é", "%25"]), max_size=2, unique=True).flatmap(
    lambda parts: st.sampled_from(["", "/*"]).map(lambda end: ("/" + "/".join(parts)).rstrip("/") + end or "/")
)
RULES = st.builds(
    RedirectRule,
    line=st.just(1),
    source=PATTERNS,
    target=st.sampled_from(
        ["/a", "/:x", "/:splat/b", "/:nobody", "//x", "https://o.test/:splat", "", "/%ff", "/..", "/a?b#c", "/:id"]
    ),
    status=st.sampled_from(sorted(RULE_STATUSES)),
    force=st.booleans(),
    host=st.sampled_from([None, "s.test"]),
    params=st.sampled_from([(), (("id", ":id"),), (("k", "v"),)]),
    conditions=st.sampled_from([(), (Condition("Language", ("de",)),), (Condition("Cookie", ("c",)),)]),
)
BLOCKS = st.builds(
    HeaderBlock,
    line=st.just(1),
    pattern=PATTERNS,
    lines=st.lists(
        st.builds(
            HeaderLine,
            st.sampled_from(["X-A", "Cache-Control", "Set-Cookie"]),
            st.sampled_from([None, "v", ":x:splat"]),
        ),
        max_size=3,
    ).map(tuple),
)
SETTINGS = st.builds(
    SiteSettings,
    name=st.just("s"),
    hostnames=st.just(("s.test", "www.s.test")),
    clean_urls=st.booleans(),
    trailing_slash=st.sampled_from(["auto", "always", "never"]),
    spa=st.booleans(),
    alias_mode=st.sampled_from(["redirect", "serve"]),
    hsts=st.sampled_from([None, "max-age=1"]),
)


def entry(path: str) -> Entry:
    """An entry whose digest says which path it is of."""
    return Entry(
        path,
        "text/plain",
        1_700_000_000,
        (Variant("identity", digest_of(path.encode()), 10), Variant("br", digest_of(b"br" + path.encode()), 5)),
    )


def without_files_below_files(paths: set[str]) -> set[str]:
    """The paths that can be in one manifest: none is below another."""
    return {path for path in paths if not any(path.startswith(other + "/") for other in paths)}


VIEWS = st.builds(
    lambda settings, paths, rules, blocks, kept, https: make_view(
        "fra",
        [
            LiveSite(
                Manifest(settings, tuple(map(entry, sorted(paths))), tuple(rules), tuple(blocks)),
                {path: entry(path) for path in kept},
                https,
            )
        ],
    ),
    SETTINGS,
    st.sets(PATHS, max_size=6).map(without_files_below_files),
    st.lists(RULES, max_size=5),
    st.lists(BLOCKS, max_size=3),
    st.sets(PATHS, max_size=2),
    st.booleans(),
)


def well_formed(response: Response, request: Request) -> None:
    """Assert what holds for every response: one line for each field, a true length, no surprise on the wire."""
    names = [name.lower() for name, _ in response.headers]
    for name in set(names) - {"set-cookie"}:
        assert names.count(name) == 1, name
    for name, value in response.headers:
        assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name)
        assert not re.search(r"[\r\n\0]", value)
        value.encode("latin-1")
    length = response.field("content-length")
    if response.status in {204, 304}:
        assert length is None
        assert response.body == b""
    elif request.method == "HEAD":
        assert response.body == b""
        assert length is not None
    else:
        assert length == str(len(response.body))


@given(VIEWS, REQUESTS)
def test_every_request_has_an_answer_that_is_well_formed(view: View, request: Request):
    """`resolve` never raises, and says only what can be sent."""
    response = resolve(view, request)
    well_formed(response, request)
    assert response.status in {200, 204, 206, 301, 302, 303, 304, 307, 308, 400, 404, 405, 410, 412, 416, 421, 451}


@given(VIEWS, REQUESTS)
def test_an_answer_on_the_same_site_stays_there(view: View, request: Request):
    """A Location that begins with a slash never leads a browser to another host, whatever was asked for."""
    response = resolve(view, request)
    location = response.field("location")
    if location is None:
        return
    assert location.split("?")[0].isascii()
    assert not location.startswith(("//", "/\\"))
    if location.startswith("/"):
        assert urlsplit(urljoin("http://s.test/", location)).netloc == "s.test"


@given(VIEWS, st.one_of(PATHS, PATHS.map(lambda path: path + "/"), PATHS.map(lambda path: path.removesuffix(".html"))))
def test_a_path_is_never_answered_with_another_paths_bytes(view: View, path: str):
    """Without rules and spa, a 200 carries the bytes of an entry that has this very path as its URL or its name."""
    site = view.sites["s.test"]
    plain = Manifest(
        SiteSettings("s", ("s.test",), site.settings.clean_urls, site.settings.trailing_slash), site.manifest.entries
    )
    view = make_view("fra", [LiveSite(plain, site.kept)])
    response = resolve(view, Request("GET", "s.test", _quoted(path)))
    if response.status == 200:
        assert isinstance(response.body, BlobBody)
        owners = {
            found.path
            for found in (*plain.entries, *site.kept.values())
            for variant in found.variants
            if variant.digest == response.body.digest
        }
        (owner,) = owners
        assert owner in {
            path,
            path + ".html",
            path.removesuffix("/") + ".html",
            path + "index.html",
            path + "/index.html",
        }


def _quoted(path: str) -> str:
    return "".join(chr(byte) if chr(byte) in string.ascii_letters + "/." else f"%{byte:02X}" for byte in path.encode())


@pytest.mark.parametrize("seed", range(100, 110))
def test_generated_sites_resolve_without_a_word(seed):
    """The generator of the conformance tests, without a server: thousands of answers, each well formed."""
    maker, sites = make_sites(seed, 8, rude=True)
    view = view_of("fra", sites)
    for site in sites:
        for _ in range(40):
            request = maker.ask(site, view).to_request()
            well_formed(resolve(view, request), request)


# --------------------------------------------------------------------------------------------- https, which comes later

SECURE = build(
    Site(
        "secure", named("/index.html", "/about.html", "/404.html"),
        redirects="/old /about\n",
        headers=(
            "/about\n  Strict-Transport-Security: max-age=9\n/old\n  Strict-Transport-Security: max-age=8\n"
            "/bare\n  ! Strict-Transport-Security\n"
        ),
        settings={"hostnames": ("secure.test", "www.secure.test"), "hsts": "max-age=5"}, https=True,
    )
)  # fmt: skip


def secure(
    target: str, *, host: str = "secure.test", scheme: str = "https", method: str = "GET", port: int | None = None
) -> Response:
    """An answer of a site with a certificate."""
    return resolve(view_of("fra", [SECURE]), Request(method, host, target, (), scheme, port))


def test_with_a_certificate_plain_http_leads_to_https_on_the_same_host():
    """First the scheme, then the canonical host; path, query and port are kept; HSTS is never sent over plain HTTP."""
    first = secure("/a%20b?c", host="www.secure.test", scheme="http")
    assert (first.status, first.field("location")) == (308, "https://www.secure.test/a%20b?c")
    assert first.field("strict-transport-security") is None
    second = secure("/a%20b?c", host="www.secure.test", port=8443)
    assert second.field("location") == "https://secure.test:8443/a%20b?c"
    assert second.field("strict-transport-security") == "max-age=5"
    assert secure("/", port=443).status == 200


@pytest.mark.parametrize(
    ("target", "status", "value"),
    [
        ("/", 200, "max-age=5"),
        ("/about", 200, "max-age=9"),
        ("/nothing", 404, "max-age=5"),
        ("/old", 301, "max-age=8"),
        ("/bare", 404, None),
        ("/%ff", 400, "max-age=5"),
    ],
)
def test_hsts_goes_with_every_answer_over_https(target, status, value):
    """The setting is a default like any other: `_headers` replaces it or takes it away."""
    response = secure(target)
    assert (response.status, response.field("strict-transport-security")) == (status, value)


def test_a_site_may_have_its_own_well_known_files_over_https():
    """Reserved paths are the edge's over plain HTTP alone."""
    response = secure("/.well-known/edgeward/health")
    assert response.status == 404
    assert response.field("x-edgeward") != "fra -"
    plain = secure("/.well-known/edgeward/health", scheme="http")
    assert plain.field("x-edgeward") == "fra -"


# ---------------------------------------------------------------------------------------------------- the smaller parts


def test_reserved_answers_have_the_defaults():
    """The edge's own answers are not stored, and are no site's."""
    view = view_of("fra", [SECURE])
    got = reserved(view, Request("GET", "x.test", "/.well-known/edgeward/health"), "application/json", b"{}")
    assert (got.status, got.body, got.field("cache-control"), got.field("x-edgeward")) == (
        200,
        b"{}",
        "no-store",
        "fra -",
    )
    assert reserved(view, Request("POST", "x.test", "/"), "application/json", b"{}").status == 405
    assert reserved(view, Request("HEAD", "x.test", "/"), "application/json", b"{}").body == b""


@pytest.mark.parametrize("status", [400, 404, 405, 410, 412, 416, 421, 451, 500, 502, 503, 504])
def test_a_refusal_is_well_formed(status):
    """Every status has a page with the defaults."""
    for method in ("GET", "HEAD"):
        request = Request(method, "x.test", "/")
        response = refuse(view_of("fra", []), request, status)
        well_formed(response, request)
        assert response.status == status
        assert response.field("cache-control") == "no-store"


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("a.test", "a.test", None),
        ("A.Test.", "a.test", None),
        ("a.test:8080", "a.test", 8080),
        ("a.test.:80", "a.test", 80),
        ("a.test:", "a.test", None),
        ("a.test:x", "a.test", None),
        ("a.test:0", "a.test", None),
        ("a.test:123456", "a.test", None),
        ("[::1]:80", "[::1]", 80),
        ("[::1]", "[::1]", None),
    ],
)
def test_a_host_is_its_name_and_its_port(text, name, port):
    """Small letters, no final dot, a port that is a number."""
    host = parse_host(text)
    assert host is not None
    assert (host.name, host.port) == (name, port)


@pytest.mark.parametrize("text", ["", ".", "a..b", "a b", "a/b", "a\tb", ":80", "a.test..", "\x7f"])
def test_what_is_no_host_is_none(text):
    """It is answered 400."""
    assert parse_host(text) is None


@given(BYTES)
@example("[")
@example("]:[")
def test_a_host_field_never_raises(text):
    """Whatever is sent."""
    parse_host(text)
    host_of([text], http_1_0=True)
    host_of([text, text])


def test_page_statuses_are_those_with_pages():
    """404, 410 and 451 have built-in pages."""
    assert frozenset({404, 410, 451}) == PAGE_STATUSES


def test_answering_is_quick_with_ten_thousand_rules():
    """Exact rules are found by their path, not one after the other."""
    rules = "".join(f"/old/{number} /new/{number}\n" for number in range(10_000))
    built: Built = build(Site("many", named("/index.html"), redirects=rules))
    view = view_of("fra", [built])
    site = view.sites["many.test"]
    assert site.rules.moved._open == ()
    for number in range(0, 10_000, 100):
        response = resolve(view, Request("GET", "many.test", f"/old/{number}"))
        assert response.field("location") == f"/new/{number}"
