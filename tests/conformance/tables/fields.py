"""SITE-FORMAT sections 4 and 5: `_headers`, defaults, caching, immutable and kept assets."""

import re

from conformance.case import Case, case
from conformance.sites import Site, named

REVALIDATE = "public, max-age=0, must-revalidate"
IMMUTABLE = "public, max-age=31536000, immutable"

HEADERS = Site(
    "headers",
    named(
        "/index.html",
        "/about.html",
        "/docs/index.html",
        "/docs/a.html",
        "/404.html",
        "/x.js",
        "/assets/app.3f2a9c1b.js",
        "/signs.txt",
        "/set.txt",
        "/cookies.txt",
        "/once.txt",
        "/cache.txt",
        "/type.txt",
        "/notype.txt",
        "/u/file.txt",
        "/strip.txt",
        "/sp ace/é.txt",
        "/gone.html",
        "/all/of/it.txt",
        "/cors/font.woff2",
        "/twice/x.txt",
        "/glob/a.min.js",
    ),
    redirects="/old /about\n/went /gone.html 410\n/law 451\n/rw /about 200\n/forced-out https://other.test/ 302!\n",
    headers="""\
# a comment
/*
  X-All: everywhere
  X-Frame-Options: DENY

/about
  X-About: yes
  X-All: again
/docs/*
  X-Docs: :splat
  ! X-Frame-Options
/docs/a
  X-Frame-Options: SAMEORIGIN
/signs.txt
  X-Dollar: $uri $1 ${host} $$
  X-Quotes: "double" 'single' `back`
  X-Braces: {a; b} } {
  X-Backslash: \\a\\n\\" \\\\
  X-Hash: a # not a comment
  X-Percent: %20 %zz %
  X-Word: a :word and :splat stay; 12:30:45
  X-Long: """
    + "x" * 1500
    + """
  X-Utf8: grüße €
  x-lower: kept as written
  Content-Security-Policy: default-src 'self'; script-src 'self' 'sha256-abc='; report-uri https://r.test/?a=b&c=d
/set.txt
  X-Set: one
/set.txt
  X-Set: two
  X-Set: three
/cookies.txt
  Set-Cookie: a=1; Path=/
  Set-Cookie: b=2; Secure
  Expires: Thu, 01 Dec 2044 16:00:00 GMT
/cache.txt
  Cache-Control: public, max-age=60
/old
  Cache-Control: max-age=3600
  X-Old: never on redirects
/about.html
  Cache-Control: max-age=1
/type.txt
  Content-Type: text/x-mine; charset=latin-1
/notype.txt
  ! Content-Type
/u/:name
  X-Name: [:name] :nam :name2 :name
/sp%20ace/:name
  X-Name: :name
/strip.txt
  ! X-All
  ! X-Frame-Options
  ! Referrer-Policy
  ! X-Content-Type-Options
  ! Cache-Control
  ! X-Edgeward
/nothing
  Cache-Control: max-age=5
  Set-Cookie: no=1
  Expires: 0
  X-Nothing: yes
/went
  X-Gone: yes
  Cache-Control: max-age=5
/assets/*
  X-Asset: :splat
/all/*
  X-First: 1
  ! X-All
/all/of/*
  X-All: back
  X-First: 2
/all/of/it.txt
  ! X-First
/cors/*
  Access-Control-Allow-Origin: *
/twice/*
  X-Twice: a
/twice/x.txt
  X-Twice: b
/twice/:it
  x-TWICE: c
/glob/*.js
  X-Glob: :splat
/rw
  X-Rw: yes
""",
)
DEFAULTS = Site(
    "defaults",
    {
        **named(
            "/index.html",
            "/app.css",
            "/assets/app.3f2a9c1b.js",
            "/assets/app.3f2a9c1b.js.map",
            "/assets/Page.B3xK9dQz.css",
            "/assets/f-0a1b2c3d4e5f.woff2",
            "/assets/img.3f2a9c1b.png",
            "/assets/page.3f2a9c1b.html",
            "/assets/vendor-12345678.js",
            "/assets/v.deadbeef.js",
            "/lib/jquery-3.7.1.min.js",
            "/lib/Bootstrap5.js",
            "/3f2a9c1b.js",
            "/assets/m_3f2a9c1b_x.wasm",
            "/assets/short.3f2a9c1.js",
            "/logo.svg",
            "/data.json",
            "/p.png",
            "/f.woff2",
            "/un.known",
            "/feed.xml",
            "/site.webmanifest",
            "/doc.pdf",
            "/clip.mp4",
            "/notes.md",
            "/noext",
        ),
        "/tiny.css": b"a{}",
        "/empty.txt": b"",
        "/same.txt": b"x" * 255,
        "/enough.txt": b"x" * 256,
        "/dump.sql": b"select 1;\n" * 100,
        "/dump.sql.gz": b"a user's own gz, which is no variant of ours" * 9,
        "/dump.sql.br": b"a user's own br" * 30,
    },
    kept={"/assets/app.0a1b2c3d.js": b"old()" * 99, "/only/kept.0a1b2c3d.css": b"k{}" * 99},
)
PATTERNS = Site(
    "patterns",
    named(
        "/index.html",
        "/static/a.txt",
        "/static/page.html",
        "/static/in/b.png",
        "/other.3f2a9c1b.js",
        "/v/1/x",
        "/v/1/y/x",
    ),
    settings={"immutable": ("/static/*", "/v/:n/x")},
)
NO_IMMUTABLE = Site("mutable", named("/index.html", "/a.3f2a9c1b.js"), settings={"immutable": ()})


def _type(path: str, value: str) -> Case:
    return case(f"media type of {path}", DEFAULTS, path, serves=path, content_type=value)


def _immutable(path: str) -> Case:
    return case(f"{path} is immutable", DEFAULTS, path, serves=path, cache_control=IMMUTABLE)


def _mutable(path: str) -> Case:
    return case(f"{path} is not immutable", DEFAULTS, path, serves=path, cache_control=REVALIDATE)


NUMBERED = Site(
    "numbered",
    named("/index.html"),
    headers="/*\n  Set-Cookie: a=1\n  Set-Cookie: b=2\n  Set-Cookie-2: c\n  X-Feature: one\n  X-Feature-2: two\n",
)
"""Names that a second field of another name could be given inside of the server's configuration."""
FEATURE = Site("feature", named("/index.html"), headers="/*\n  X-Feature: three\n  X_Feature: four\n")

CASES: list[Case] = [
    case("fields that differ by a number", NUMBERED, "/", set_cookie=["a=1", "b=2"], set_cookie_2="c", x_feature="one", x_feature_2="two"),
    case("the same names on another site", FEATURE, "/", x_feature="three", x_feature_2=None),
    case("a block for everything", HEADERS, "/", serves="/index.html", x_all="everywhere", x_frame_options="DENY"),
    case("every matching block, joined", HEADERS, "/about", serves="/about.html", x_all="everywhere, again", x_about="yes"),
    case("a block for /x is for /x/ too", HEADERS, "/about/", 308, to="/about", x_about=None),
    case("a block is for no path below", HEADERS, "/about/x", 404, serves="/404.html", x_about=None, x_all="everywhere"),
    case("/x/* is for /x", HEADERS, "/docs", 308, to="/docs/", x_docs=None),
    case("/x/* with an empty splat is not sent", HEADERS, "/docs/", serves="/docs/index.html", x_docs=None, x_frame_options=None),
    case("a splat in a value", HEADERS, "/docs/b%20c%C3%A9", 404, serves="/404.html", x_docs="b%20c%C3%A9", x_frame_options=None),
    case("taken away and set again", HEADERS, "/docs/a", serves="/docs/a.html", x_docs="a", x_frame_options="SAMEORIGIN"),
    case("dollars arrive", HEADERS, "/signs.txt", x_dollar="$uri $1 ${host} $$"),
    case("quotes arrive", HEADERS, "/signs.txt", x_quotes="\"double\" 'single' `back`"),
    case("braces and semicolons arrive", HEADERS, "/signs.txt", x_braces="{a; b} } {"),
    case("backslashes arrive", HEADERS, "/signs.txt", x_backslash='\\a\\n\\" \\\\'),
    case("a hash in a value is no comment", HEADERS, "/signs.txt", x_hash="a # not a comment"),
    case("percent signs arrive", HEADERS, "/signs.txt", x_percent="%20 %zz %"),
    case("words that nothing binds stay", HEADERS, "/signs.txt", x_word="a :word and :splat stay; 12:30:45"),
    case("long values arrive", HEADERS, "/signs.txt", x_long="x" * 1500),
    case("bytes above ASCII arrive", HEADERS, "/signs.txt", x_utf8="grüße €".encode().decode("latin-1")),
    case("a policy arrives", HEADERS, "/signs.txt", content_security_policy="default-src 'self'; script-src 'self' 'sha256-abc='; report-uri https://r.test/?a=b&c=d"),
    case("set in several blocks, in order", HEADERS, "/set.txt", x_set="one, two, three"),
    case("set in several blocks, names in any case", HEADERS, "/twice/x.txt", x_twice="a, b, c"),
    case("Set-Cookie twice is two fields", HEADERS, "/cookies.txt", set_cookie=["a=1; Path=/", "b=2; Secure"], expires="Thu, 01 Dec 2044 16:00:00 GMT"),
    case("on 304 too", HEADERS, "/cookies.txt", 304, send={"If-None-Match": "*"}, set_cookie=["a=1; Path=/", "b=2; Secure"], expires="Thu, 01 Dec 2044 16:00:00 GMT", x_all="everywhere"),
    case("on 206 too", HEADERS, "/set.txt", 206, send={"Range": "bytes=0-0"}, x_set="one, two, three"),
    case("not on 416", HEADERS, "/set.txt", 416, send={"Range": "bytes=99999-"}, x_set=None, x_all=None, builtin=True),
    case("not on 412", HEADERS, "/set.txt", 412, send={"If-Match": '"other"'}, x_set=None, x_all=None, builtin=True),
    case("not on 405", HEADERS, "/set.txt", 405, method="POST", x_all=None, builtin=True),
    case("not on 400", HEADERS, "/%ff", 400, x_all=None, builtin=True),
    case("not on 204", HEADERS, "/set.txt", 204, method="OPTIONS", x_all=None),
    case("on HEAD too", HEADERS, "/set.txt", method="HEAD", x_set="one, two, three"),
    case("Cache-Control is replaced", HEADERS, "/cache.txt", cache_control="public, max-age=60"),
    case("Cache-Control on a rule's redirect", HEADERS, "/old", 301, to="/about", cache_control="max-age=3600", x_old=None, x_all=None),
    case("no Cache-Control on a clean-URL redirect", HEADERS, "/about.html", 308, to="/about", cache_control=REVALIDATE, x_all=None),
    case("Content-Type is replaced", HEADERS, "/type.txt", content_type="text/x-mine; charset=latin-1"),
    case("Content-Type is taken away", HEADERS, "/notype.txt", content_type=None),
    case("placeholders in values", HEADERS, "/u/file.txt", x_name="[file.txt] :nam :name2 file.txt"),
    case("placeholders in values are encoded", HEADERS, "/sp%20ace/%C3%A9.txt", serves="/sp ace/é.txt", x_name="%C3%A9.txt"),
    case("defaults are taken away", HEADERS, "/strip.txt", x_all=None, x_frame_options=None, referrer_policy=None, x_content_type_options=None, cache_control=None, x_edgeward=None),
    case("pages of 404 carry headers, but no caching or cookies", HEADERS, "/nothing", 404, serves="/404.html", x_nothing="yes", cache_control="no-store", set_cookie=None, expires=None, x_all="everywhere"),
    case("pages of 410 likewise", HEADERS, "/went", 410, serves="/gone.html", x_gone="yes", cache_control="no-store"),
    case("built-in pages of 451 likewise", HEADERS, "/law", 451, builtin=True, x_all="everywhere"),
    case("a rule's page has the headers of the request path", HEADERS, "/rw", serves="/about.html", x_rw="yes", x_about=None),
    case("a redirect to another host carries none", HEADERS, "/forced-out", 302, to="https://other.test/", x_all=None),
    case("removal lines work in file order", HEADERS, "/all/of/it.txt", x_all="back", x_first=None),
    case("removal lines work in file order, beside", HEADERS, "/all/of/x", 404, serves="/404.html", x_all="back", x_first="1, 2"),
    case("a star value", HEADERS, "/cors/font.woff2", access_control_allow_origin="*"),
    case("a star inside a name", HEADERS, "/glob/a.min.js", x_glob="a.min"),
    case("patterns are told with regard to case", HEADERS, "/ABOUT", 404, serves="/404.html", x_about=None),
    case("patterns match the request path, not the file", HEADERS, "/assets/app.3f2a9c1b.js", x_asset="app.3f2a9c1b.js"),
    # Defaults
    case("the defaults of a page", DEFAULTS, "/", serves="/index.html", content_type="text/html; charset=utf-8", x_content_type_options="nosniff", referrer_policy="strict-origin-when-cross-origin", cache_control=REVALIDATE, x_edgeward=re.compile(r"^fra [0-9a-f]{12}$"), etag=re.compile('^"[0-9a-f]+-[0-9a-f]+"$'), last_modified=re.compile("GMT$"), accept_ranges="bytes", vary="Accept-Encoding", strict_transport_security=None),
    case("the defaults of an error page", DEFAULTS, "/nothing", 404, builtin=True, content_type="text/html; charset=utf-8", x_content_type_options="nosniff", referrer_policy="strict-origin-when-cross-origin", cache_control="no-store", x_edgeward=re.compile(r"^fra [0-9a-f]{12}$"), etag=re.compile('^"'), last_modified="Wed, 01 Jan 2025 00:00:00 GMT", accept_ranges=None, vary=None),
    case("the defaults of a redirect", DEFAULTS, "/index.html", 308, to="/", content_type="text/html; charset=utf-8", x_content_type_options="nosniff", referrer_policy="strict-origin-when-cross-origin", cache_control=REVALIDATE, x_edgeward=re.compile("^fra "), etag=None),
    case("no Vary without variants", DEFAULTS, "/p.png", serves="/p.png", vary=None, send={"Accept-Encoding": "br, gzip"}, content_encoding=None),
    case("no variants below 256 bytes", DEFAULTS, "/same.txt", serves="/same.txt", vary=None, send={"Accept-Encoding": "br"}, content_encoding=None),
    case("variants from 256 bytes", DEFAULTS, "/enough.txt", serves="/enough.txt", vary="Accept-Encoding", send={"Accept-Encoding": "br"}, content_encoding="br"),
    case("a small file", DEFAULTS, "/tiny.css", serves="/tiny.css", content_length="3"),
    case("an empty file", DEFAULTS, "/empty.txt", serves="/empty.txt", content_length="0"),
    case("a user's own .gz is a file", DEFAULTS, "/dump.sql.gz", serves="/dump.sql.gz", content_type="application/gzip", content_encoding=None, send={"Accept-Encoding": "gzip"}),
    case("a user's own .br is a file", DEFAULTS, "/dump.sql.br", serves="/dump.sql.br", content_encoding=None, send={"Accept-Encoding": "br"}),
    case("and never our variant", DEFAULTS, "/dump.sql", serves="/dump.sql", content_encoding="gzip", send={"Accept-Encoding": "gzip"}),
    case("nor in brotli", DEFAULTS, "/dump.sql", serves="/dump.sql", content_encoding="br", send={"Accept-Encoding": "br"}),
    case("a variant has no URL", DEFAULTS, "/app.css.br", 404, builtin=True),
    case("a variant has no URL, gzip", DEFAULTS, "/index.html.gz", 404, builtin=True),
    case("the folders of codings have no URL", DEFAULTS, "/br/app.css", 404, builtin=True),
    case("the folders of codings have no URL, identity", DEFAULTS, "/identity/app.css", 404, builtin=True),
    *map(_immutable, ("/assets/app.3f2a9c1b.js", "/assets/app.3f2a9c1b.js.map", "/assets/Page.B3xK9dQz.css", "/assets/f-0a1b2c3d4e5f.woff2", "/assets/m_3f2a9c1b_x.wasm")),
    *map(_mutable, ("/app.css", "/assets/img.3f2a9c1b.png", "/assets/vendor-12345678.js", "/assets/v.deadbeef.js", "/lib/jquery-3.7.1.min.js", "/lib/Bootstrap5.js", "/3f2a9c1b.js", "/assets/short.3f2a9c1.js")),
    case("a page is never immutable", DEFAULTS, "/assets/page.3f2a9c1b", serves="/assets/page.3f2a9c1b.html", cache_control=REVALIDATE),
    case("immutable on 304 and 206", DEFAULTS, "/assets/app.3f2a9c1b.js", 304, send={"If-None-Match": "*"}, cache_control=IMMUTABLE),
    case("immutable on 206", DEFAULTS, "/assets/app.3f2a9c1b.js", 206, send={"Range": "bytes=1-2"}, cache_control=IMMUTABLE),
    case("a missing immutable asset is not stored", DEFAULTS, "/assets/app.ffffff11.js", 404, builtin=True, cache_control="no-store"),
    case("immutable by the site's patterns", PATTERNS, "/static/a.txt", serves="/static/a.txt", cache_control=IMMUTABLE),
    case("immutable by the site's patterns, deep", PATTERNS, "/static/in/b.png", serves="/static/in/b.png", cache_control=IMMUTABLE),
    case("immutable by a placeholder", PATTERNS, "/v/1/x", serves="/v/1/x", cache_control=IMMUTABLE),
    case("a placeholder is one segment", PATTERNS, "/v/1/y/x", serves="/v/1/y/x", cache_control=REVALIDATE),
    case("pages are not, whatever the patterns", PATTERNS, "/static/page", serves="/static/page.html", cache_control=REVALIDATE),
    case("patterns replace the automatic choice", PATTERNS, "/other.3f2a9c1b.js", serves="/other.3f2a9c1b.js", cache_control=REVALIDATE),
    case("no patterns, nothing immutable", NO_IMMUTABLE, "/a.3f2a9c1b.js", serves="/a.3f2a9c1b.js", cache_control=REVALIDATE),
    case("a kept asset answers", DEFAULTS, "/assets/app.0a1b2c3d.js", serves="/assets/app.0a1b2c3d.js", cache_control=IMMUTABLE, content_type="text/javascript; charset=utf-8", vary="Accept-Encoding"),
    case("a kept asset in brotli", DEFAULTS, "/assets/app.0a1b2c3d.js", serves="/assets/app.0a1b2c3d.js", send={"Accept-Encoding": "br"}, content_encoding="br"),
    case("a kept asset, conditions", DEFAULTS, "/only/kept.0a1b2c3d.css", 304, send={"If-None-Match": "*"}, cache_control=IMMUTABLE),
    case("a kept asset, ranges", DEFAULTS, "/only/kept.0a1b2c3d.css", 206, send={"Range": "bytes=0-2"}, content_length="3"),
    case("a kept asset is not a folder", DEFAULTS, "/only/", 404, builtin=True),
    case("a kept asset has no clean URL", DEFAULTS, "/only/kept.0a1b2c3d.css/", 404, builtin=True),
    _type("/app.css", "text/css; charset=utf-8"),
    _type("/logo.svg", "image/svg+xml"),
    _type("/data.json", "application/json"),
    _type("/p.png", "image/png"),
    _type("/f.woff2", "font/woff2"),
    _type("/un.known", "application/octet-stream"),
    _type("/feed.xml", "application/xml"),
    _type("/site.webmanifest", "application/manifest+json"),
    _type("/doc.pdf", "application/pdf"),
    _type("/clip.mp4", "video/mp4"),
    _type("/notes.md", "text/markdown; charset=utf-8"),
    _type("/noext", "application/octet-stream"),
]  # fmt: skip
