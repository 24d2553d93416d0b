"""SITE-FORMAT section 6: methods, conditions, ranges, codings."""

import re

from conformance.case import Case, case
from conformance.sites import MODIFIED, Site, build, named
from edgeward.core.conditional import http_date
from edgeward.core.release import etag_of

FILES = Site(
    "files",
    {
        **named("/index.html", "/app.js", "/p.png", "/404.html", "/only.css", "/docs/index.html"),
        "/ten.bin": b"0123456789",
        "/empty.bin": b"",
    },
    redirects="/moved /index.html\n/gone 410\n",
)
_BUILT = build(FILES).manifest.by_path
_TEN = _BUILT["/ten.bin"]
_TAG = etag_of(_TEN, _TEN.identity)
_DATE = http_date(_TEN.modified)
_APP = _BUILT["/app.js"]
_APP_TAGS = {variant.coding: etag_of(_APP, variant) for variant in _APP.variants}


def _dates(seconds: int) -> tuple[str, str, str]:
    """The three forms of RFC 9110 section 5.6.7 of one time."""
    imf = http_date(seconds)
    day, month, year, clock = imf[5:7], imf[8:11], imf[12:16], imf[17:25]
    return imf, f"Sunday, {day}-{month}-{year[2:]} {clock} GMT", f"Sun {month} {int(day):2} {clock} {year}"


def _range(name: str, value: str, start: int, end: int) -> Case:
    return case(
        f"range {value}: {name}", FILES, "/ten.bin", 206, send={"Range": value},
        content_range=f"bytes {start}-{end - 1}/10", content_length=str(end - start), accept_ranges=None, etag=_TAG,
    )  # fmt: skip


def _whole(name: str, value: str, **send: str) -> Case:
    return case(
        f"range {value} {' '.join(send.values())}: {name}", FILES, "/ten.bin", serves="/ten.bin",
        send={"Range": value, **{key.replace("_", "-"): text for key, text in send.items()}}, content_range=None, accept_ranges="bytes",
    )  # fmt: skip


def _none(name: str, value: str) -> Case:
    return case(
        f"range {value}: {name}", FILES, "/ten.bin", 416, send={"Range": value}, builtin=True,
        content_range="bytes */10", cache_control="no-store", content_type="text/html; charset=utf-8",
    )  # fmt: skip


def _coding(accept: str, coding: str | None, path: str = "/app.js", **options: str) -> Case:
    return case(
        f"Accept-Encoding {accept!r} {options.get('version', '')}", FILES, path, serves=path,
        send={"Accept-Encoding": accept}, content_encoding=coding, vary="Accept-Encoding", etag=_APP_TAGS[coding or "identity"],
        **options,
    )  # fmt: skip


CASES: list[Case] = [
    # Methods
    case("HEAD has no body and the length of GET", FILES, "/ten.bin", method="HEAD", content_length="10", etag=_TAG, accept_ranges="bytes"),
    case("HEAD of a missing page", FILES, "/nothing", 404, method="HEAD", content_length=re.compile("^[0-9]+$")),
    case("HEAD in brotli", FILES, "/app.js", method="HEAD", send={"Accept-Encoding": "br"}, content_encoding="br"),
    case("HEAD of a built-in page", FILES, "/gone", 410, method="HEAD", builtin=True),
    case("HEAD with a range is answered whole", FILES, "/ten.bin", method="HEAD", send={"Range": "bytes=0-1"}, content_length="10", content_range=None),
    case("HEAD with a matching ETag", FILES, "/ten.bin", 304, method="HEAD", send={"If-None-Match": _TAG}),
    case("OPTIONS", FILES, "/ten.bin", 204, method="OPTIONS", allow="GET, HEAD, OPTIONS", content_type=None, content_length=None, etag=None),
    case("OPTIONS of a missing path", FILES, "/nothing", 204, method="OPTIONS", allow="GET, HEAD, OPTIONS"),
    case("OPTIONS of a path with a redirect", FILES, "/moved", 204, method="OPTIONS", allow="GET, HEAD, OPTIONS"),
    case("OPTIONS of a page by its file name", FILES, "/index.html", 204, method="OPTIONS", allow="GET, HEAD, OPTIONS"),
    *(
        case(f"{method} is not allowed", FILES, "/ten.bin", 405, method=method, builtin=True, allow="GET, HEAD, OPTIONS", cache_control="no-store", send={"Content-Length": "0"})
        for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "MKCOL", "LINK", "PURGE")
    ),
    case("a method in small letters is no method", FILES, "/ten.bin", 400, method="get", builtin=True, send={"Content-Length": "0"}),
    case("TRACE is not allowed", FILES, "/ten.bin", 405, method="TRACE", builtin=True, allow="GET, HEAD, OPTIONS"),
    case("POST of a missing path", FILES, "/nothing", 405, method="POST", builtin=True, send={"Content-Length": "0"}),
    case("POST of a path with a redirect", FILES, "/moved", 405, method="POST", builtin=True, send={"Content-Length": "0"}),
    case("POST of a path that is not valid", FILES, "/%FF", 405, method="POST", builtin=True, send={"Content-Length": "0"}),
    # Conditions
    case("If-None-Match: the ETag", FILES, "/ten.bin", 304, send={"If-None-Match": _TAG}, etag=_TAG, last_modified=_DATE, content_type=None, content_length=None, cache_control="public, max-age=0, must-revalidate", accept_ranges=None),
    case("If-None-Match: a star", FILES, "/ten.bin", 304, send={"If-None-Match": "*"}),
    case("If-None-Match: weak", FILES, "/ten.bin", 304, send={"If-None-Match": f"W/{_TAG}"}, etag=_TAG),
    case("If-None-Match: in a list", FILES, "/ten.bin", 304, send={"If-None-Match": f'"a", W/"b" ,{_TAG}'}),
    case("If-None-Match: another", FILES, "/ten.bin", serves="/ten.bin", send={"If-None-Match": '"other"'}),
    case("If-None-Match: without quotes", FILES, "/ten.bin", serves="/ten.bin", send={"If-None-Match": _TAG.strip('"')}),
    case("If-None-Match: longer", FILES, "/ten.bin", serves="/ten.bin", send={"If-None-Match": _TAG[:-1] + 'x"'}),
    case("If-None-Match: the ETag of that coding", FILES, "/app.js", 304, send={"If-None-Match": _APP_TAGS["br"], "Accept-Encoding": "br"}, content_encoding=None, vary="Accept-Encoding", etag=_APP_TAGS["br"]),
    case("If-None-Match: the ETag of another coding", FILES, "/app.js", serves="/app.js", send={"If-None-Match": _APP_TAGS["gzip"], "Accept-Encoding": "br"}, content_encoding="br"),
    case("If-None-Match matches, If-Modified-Since does not: 304", FILES, "/ten.bin", 304, send={"If-None-Match": _TAG, "If-Modified-Since": http_date(MODIFIED - 9)}),
    case("If-None-Match does not match, If-Modified-Since does: 200", FILES, "/ten.bin", serves="/ten.bin", send={"If-None-Match": '"x"', "If-Modified-Since": _DATE}),
    *(
        case(f"If-Modified-Since, date form {number}", FILES, "/ten.bin", 304, send={"If-Modified-Since": text}, etag=_TAG)
        for number, text in enumerate(_dates(_TEN.modified), 1)
    ),
    case("If-Modified-Since: earlier", FILES, "/ten.bin", serves="/ten.bin", send={"If-Modified-Since": http_date(_TEN.modified - 1)}),
    case("If-Modified-Since: later is not the same (a rollback)", FILES, "/ten.bin", serves="/ten.bin", send={"If-Modified-Since": http_date(_TEN.modified + 1)}),
    case("If-Modified-Since: no date", FILES, "/ten.bin", serves="/ten.bin", send={"If-Modified-Since": "yesterday"}),
    case("If-Modified-Since: no date of the calendar", FILES, "/ten.bin", serves="/ten.bin", send={"If-Modified-Since": "Sun, 31 Feb 2024 00:00:00 GMT"}),
    case("If-Match: the ETag", FILES, "/ten.bin", serves="/ten.bin", send={"If-Match": _TAG}),
    case("If-Match: a star", FILES, "/ten.bin", serves="/ten.bin", send={"If-Match": "*"}),
    case("If-Match: another", FILES, "/ten.bin", 412, send={"If-Match": '"other"'}, builtin=True, cache_control="no-store"),
    case("If-Match: weak is not strong", FILES, "/ten.bin", 412, send={"If-Match": f"W/{_TAG}"}, builtin=True),
    case("If-Unmodified-Since: the same", FILES, "/ten.bin", serves="/ten.bin", send={"If-Unmodified-Since": _DATE}),
    case("If-Unmodified-Since: later", FILES, "/ten.bin", serves="/ten.bin", send={"If-Unmodified-Since": http_date(_TEN.modified + 1)}),
    case("If-Unmodified-Since: earlier", FILES, "/ten.bin", 412, send={"If-Unmodified-Since": http_date(_TEN.modified - 1)}, builtin=True),
    case("conditions mean nothing for a missing page", FILES, "/nothing", 404, serves="/404.html", send={"If-None-Match": "*"}),
    case("conditions mean nothing for a redirect", FILES, "/moved", 301, to="/index.html", send={"If-None-Match": "*", "If-Match": '"x"'}),
    # Ranges
    _range("the first bytes", "bytes=0-3", 0, 4),
    _range("one byte", "bytes=9-9", 9, 10),
    _range("to the end", "bytes=4-", 4, 10),
    _range("everything", "bytes=0-", 0, 10),
    _range("beyond the end", "bytes=8-99", 8, 10),
    _range("the last bytes", "bytes=-3", 7, 10),
    _range("more last bytes than there are", "bytes=-99", 0, 10),
    _range("capitals", "BYTES=0-1", 0, 2),
    _range("spaces", "bytes= 0 - 1 ", 0, 2),
    _range("one of two that can be had", "bytes=0-1,99-", 0, 2),
    _range("leading zeros", "bytes=0000000000000000000000001-2", 1, 3),
    _none("behind the end", "bytes=10-"),
    _none("far behind the end", "bytes=99-100"),
    _none("no last bytes", "bytes=-0"),
    _none("backwards", "bytes=5-2"),
    _none("no numbers", "bytes=a-b"),
    _none("nothing on either side", "bytes=-"),
    _none("no dash", "bytes=5"),
    _none("two that cannot be had", "bytes=10-,20-"),
    _none("a number beyond all offsets", "bytes=99999999999999999999999-"),
    _whole("another unit", "lines=0-1"),
    _whole("no unit", "0-1"),
    _whole("nothing behind the unit", "bytes="),
    _whole("several ranges", "bytes=0-1,3-4"),
    _whole("several ranges that overlap", "bytes=0-5,3-4,-1"),
    _whole("If-Range with another ETag", "bytes=0-1", If_Range='"other"'),
    _whole("If-Range with a weak ETag", "bytes=0-1", If_Range=f"W/{_TAG}"),
    _whole("If-Range with another date", "bytes=0-1", If_Range=http_date(_TEN.modified + 1)),
    _whole("If-Range with no date", "bytes=0-1", If_Range="yesterday"),
    _whole("an unsatisfiable range behind If-Range with another ETag", "bytes=99-", If_Range='"other"'),
    case("If-Range with the ETag", FILES, "/ten.bin", 206, send={"Range": "bytes=0-1", "If-Range": _TAG}, content_range="bytes 0-1/10"),
    case("If-Range with the date", FILES, "/ten.bin", 206, send={"Range": "bytes=0-1", "If-Range": _DATE}, content_range="bytes 0-1/10"),
    case("a range of a coding is of its bytes", FILES, "/app.js", 206, send={"Range": "bytes=0-3", "Accept-Encoding": "br"}, content_encoding="br", content_range=re.compile("^bytes 0-3/"), vary="Accept-Encoding"),
    case("a range of an empty file", FILES, "/empty.bin", serves="/empty.bin", send={"Range": "bytes=0-"}),
    case("last bytes of an empty file", FILES, "/empty.bin", serves="/empty.bin", send={"Range": "bytes=-5"}),
    case("a range behind the end of an empty file", FILES, "/empty.bin", 416, send={"Range": "bytes=5-"}, builtin=True, content_range="bytes */0"),
    case("304 goes before a range", FILES, "/ten.bin", 304, send={"Range": "bytes=0-1", "If-None-Match": _TAG}),
    case("304 goes before an unsatisfiable range", FILES, "/ten.bin", 304, send={"Range": "bytes=99-", "If-None-Match": _TAG}),
    case("412 goes before a range", FILES, "/ten.bin", 412, send={"Range": "bytes=0-1", "If-Match": '"x"'}, builtin=True),
    case("no ranges of a missing page", FILES, "/nothing", 404, serves="/404.html", send={"Range": "bytes=0-1"}),
    case("no unsatisfiable ranges of a missing page", FILES, "/nothing", 404, serves="/404.html", send={"Range": "bytes=999999-"}),
    case("no ranges of a redirect", FILES, "/moved", 301, to="/index.html", send={"Range": "bytes=0-1"}),
    # Codings
    _coding("br", "br"),
    _coding("gzip", "gzip"),
    _coding("gzip, br", "br"),
    _coding("gzip, deflate, br, zstd", "br"),
    _coding("gzip;q=1.0, br;q=0.5", "br"),
    _coding("br;q=0", None),
    _coding("br;q=0.000, gzip", "gzip"),
    _coding("br;q=0.001", "br"),
    _coding("br ; q=0.5", "br"),
    _coding("br;Q=0.5", "br"),
    _coding("BR", "br"),
    _coding("GZip", "gzip"),
    _coding("*", "br"),
    _coding("*;q=0", None),
    _coding("*;q=0.1", "br"),
    _coding("br;q=0, *", "gzip"),
    _coding("br;q=0, gzip;q=0, *", None),
    _coding("*;q=0, gzip", "gzip"),
    _coding("gzip, *;q=0", "gzip"),
    _coding("identity", None),
    _coding("identity;q=0", None),
    _coding("identity, *", "br"),
    _coding("", None),
    _coding("deflate", None),
    _coding("x-br", None),
    _coding("brotli", None),
    _coding("br2", None),
    _coding("gzip2", None),
    _coding(" , ,br,", "br"),
    _coding("deflate,gzip", "gzip"),
    _coding("br;level=5", None),
    _coding("br;q=2", None),
    _coding("br", "br", version="1.0"),
    _coding("gzip", "gzip", version="1.0"),
    case("no Accept-Encoding", FILES, "/app.js", serves="/app.js", content_encoding=None, vary="Accept-Encoding"),
    case("through a proxy", FILES, "/app.js", serves="/app.js", send={"Accept-Encoding": "br", "Via": "1.1 squid"}, content_encoding="br"),
    case("through a proxy, HTTP/1.0", FILES, "/app.js", serves="/app.js", send={"Accept-Encoding": "gzip", "Via": "1.0 old"}, content_encoding="gzip", version="1.0"),
    case("a 404 page in brotli", FILES, "/nothing", 404, serves="/404.html", send={"Accept-Encoding": "br"}, content_encoding="br", vary="Accept-Encoding"),
    case("a folder index in gzip", FILES, "/docs/", serves="/docs/index.html", send={"Accept-Encoding": "gzip"}, content_encoding="gzip"),
    case("an image has no coding", FILES, "/p.png", serves="/p.png", send={"Accept-Encoding": "br, gzip, *"}, content_encoding=None, vary=None),
    case("HTTP/1.0", FILES, "/ten.bin", serves="/ten.bin", version="1.0"),
    case("an answer to HTTP/1.0 has its length", FILES, "/ten.bin", serves="/ten.bin", version="1.0", content_length="10"),
]  # fmt: skip
