"""What an edge answers: the reference implementation of SITE-FORMAT sections 2 to 7, as one pure function.

`resolve` takes the steps of section 2 in their order. It never raises: whatever comes from a socket has an answer. The
nginx configuration made from the same releases must give the same answers.
"""

import re
from dataclasses import dataclass
from typing import Final

from edgeward.core import pages
from edgeward.core.conditional import Conditions, Span, Unsatisfiable, http_date, parse_range, range_applies
from edgeward.core.exchange import DEFAULT_PORTS, BlobBody, Request, Response, parse_host
from edgeward.core.fields import IMMUTABLE, NO_STORE, REVALIDATE, Fields, Sort
from edgeward.core.media_types import names_other_than_page
from edgeward.core.negotiate import choose
from edgeward.core.paths import Invalid, Target, encode_path, parse_target
from edgeward.core.release import Entry, etag_of
from edgeward.core.rulebook import Asked, Hit, RuleSet, is_redirect
from edgeward.core.urls import INDEX, Redirect, find, find_entry, nearest_error_pages
from edgeward.core.view import LiveSite, View, make_view

__all__ = [
    "BlobBody",
    "LiveSite",
    "Request",
    "Response",
    "View",
    "is_reserved",
    "make_view",
    "refuse",
    "reserved",
    "resolve",
]

ALLOW: Final = "GET, HEAD, OPTIONS"
RESERVED: Final = ("/.well-known/acme-challenge/", "/.well-known/edgeward/")
"""Answered by the edge itself, for any Host, over plain HTTP."""

NO_RELEASE: Final = "-"
"""What X-Edgeward shows instead of a release where no site answers."""

_METHOD: Final = re.compile(r"[A-Z_-]+")
"""What a method is made of; anything else is no request line (nginx reads it so; all registered methods fit)."""

_VARY_ORDER: Final = ("Accept-Language", "Cookie")


def resolve(view: View, request: Request) -> Response:
    """Return the answer of an edge to a request. Never raises."""
    target = parse_target(request.target)
    if target is Invalid.MALFORMED or not _METHOD.fullmatch(request.method):
        return refuse(view, request, 400)
    host = request.host
    if host is None:
        return refuse(view, request, 400)
    if isinstance(target, Target) and target.host is not None:
        named = parse_host(target.host)
        if named is None:
            return refuse(view, request, 400)
        host = named.name
    if request.scheme == "http" and isinstance(target, Target) and is_reserved(target):
        return refuse(view, request, 404 if request.method in {"GET", "HEAD"} else 405)
    site = view.sites.get(host)
    if site is None:
        return refuse(view, request, 421)
    if request.method == "OPTIONS":
        return _options(view, site, request)
    if request.method not in {"GET", "HEAD"}:
        return refuse(view, request, 405, site)
    if not isinstance(target, Target):
        return refuse(view, request, 400, site)
    return _Answer(view, site, request, host, target).give()


def is_reserved(target: Target) -> bool:
    """Whether a target is answered by the edge itself over plain HTTP, whatever the Host."""
    return not target.altered and target.path.startswith(RESERVED)


def refuse(view: View, request: Request, status: int, site: LiveSite | None = None) -> Response:
    """Return the built-in page of an error status with the default fields alone. site: whose answer it is, if known."""
    extra: Fields = [("Allow", ALLOW)] if status == 405 else []
    fields = [*_page_fields(status), *_defaults(view, site, request, NO_STORE), *extra]
    return Response(status, tuple(fields), b"" if request.method == "HEAD" else pages.page(status))


def reserved(view: View, request: Request, media_type: str, body: bytes) -> Response:
    """Return the answer with something of the edge's own at a reserved path (its health, a proof for a CA)."""
    if request.method not in {"GET", "HEAD"}:
        return refuse(view, request, 405)
    fields = [("Content-Type", media_type), ("Content-Length", str(len(body)))]
    fields.extend(_defaults(view, None, request, NO_STORE))
    return Response(200, tuple(fields), b"" if request.method == "HEAD" else body)


def _page_fields(status: int) -> Fields:
    size = len(pages.page(status))
    return [
        ("Content-Type", pages.MEDIA_TYPE),
        ("Content-Length", str(size)),
        ("Last-Modified", http_date(pages.MODIFIED)),
        ("ETag", f'"{pages.MODIFIED:x}-{size:x}"'),
    ]


def _defaults(view: View, site: LiveSite | None, request: Request, cache_control: str) -> Fields:
    fields = [
        ("Cache-Control", cache_control),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ("X-Edgeward", f"{view.edge} {site.label if site else NO_RELEASE}"),
    ]
    if site is not None and request.scheme == "https" and site.settings.hsts:
        fields.append(("Strict-Transport-Security", site.settings.hsts))
    return fields


def _options(view: View, site: LiveSite, request: Request) -> Response:
    return Response(204, (("Allow", ALLOW), *_defaults(view, site, request, REVALIDATE)))


@dataclass(slots=True)
class _Answer:
    """The work on one request of a known site with a valid path; `vary` grows as classes of rules are reached."""

    view: View
    site: LiveSite
    request: Request
    host: str
    target: Target
    vary: frozenset[str] = frozenset()

    def give(self) -> Response:
        """Take the steps in their order."""
        path = self.target.path
        elsewhere = self._elsewhere()
        if elsewhere is not None:
            return self._redirect(308, elsewhere, "hop")
        if self.target.altered:
            return self._redirect(308, self._own(path), "hop")
        hit = self._ask(self.site.rules.forced)
        if hit is not None:
            return self._by_rule(hit)
        found = find(self.site.settings, self.site.manifest.by_path, path)
        if isinstance(found, Redirect):
            return self._redirect(308, self._own(found.path), "hop")
        if found is not None:
            return self._content(found, immutable=self.site.immutable(found))
        hit = self._ask(self.site.rules.moved)
        if hit is not None:
            return self._by_rule(hit)
        kept = self.site.kept.get(path)
        if kept is not None:
            return self._content(kept, immutable=True)
        hit = self._ask(self.site.rules.soft)
        if hit is not None:
            return self._by_rule(hit)
        index = self.site.manifest.by_path.get(f"/{INDEX}")
        if self.site.settings.spa and index is not None and not names_other_than_page(path):
            return self._content(index, immutable=False)
        return self._missing()

    def _ask(self, rules: RuleSet) -> Hit | None:
        asked = Asked(
            self.host,
            self.target.path,
            self.target.query,
            self.request.field("accept-language") or "",
            self.request.cookies(),
        )
        hit, vary = rules.ask(asked)
        self.vary |= vary
        return hit

    def _elsewhere(self) -> str | None:
        """Where section 7 sends the request: to HTTPS on the same host, or to the canonical hostname."""
        settings, request = self.site.settings, self.request
        if self.site.https and request.scheme == "http":
            scheme, host = "https", self.host
        elif settings.alias_mode == "redirect" and self.host != settings.hostnames[0]:
            scheme, host = request.scheme, settings.hostnames[0]
        else:
            return None
        port = "" if request.port in {None, DEFAULT_PORTS[request.scheme]} else f":{request.port}"
        return f"{scheme}://{host}{port}{self._own(self.target.path)}"

    def _own(self, path: str) -> str:
        """Return a Location on the same site: the path encoded, with the query as it was sent."""
        return encode_path(path) + (f"?{self.target.query}" if self.target.query else "")

    def _by_rule(self, hit: Hit) -> Response:
        status = hit.rule.status
        if is_redirect(hit.rule):
            return self._redirect(status, hit.location(), "rule")
        if hit.rule.target is None:
            return self._missing() if status == 404 else self._builtin(status)
        path = hit.page_path()
        entry = None if path is None else find_entry(self.site.settings, self.site.manifest.by_path, path)
        if entry is None:
            return self._missing()
        return self._content(entry, immutable=False) if status == 200 else self._page(status, entry)

    def _missing(self) -> Response:
        by_path = self.site.manifest.by_path
        nearest = next((path for path in nearest_error_pages(self.target.path) if path in by_path), None)
        return self._builtin(404) if nearest is None else self._page(404, by_path[nearest])

    def _builtin(self, status: int) -> Response:
        fields = [*_page_fields(status), *self._vary()]
        return self._send(status, "page", fields, NO_STORE, pages.page(status))

    def _page(self, status: int, entry: Entry) -> Response:
        fields, body = self._representation(entry)
        return self._send(status, "page", fields, NO_STORE, body)

    def _redirect(self, status: int, location: str, sort: Sort) -> Response:
        fields = [
            ("Location", location),
            ("Content-Type", pages.MEDIA_TYPE),
            ("Content-Length", str(len(pages.REDIRECT_PAGE))),
            *self._vary(),
        ]
        return self._send(status, sort, fields, REVALIDATE, pages.REDIRECT_PAGE)

    def _content(self, entry: Entry, *, immutable: bool) -> Response:
        """Answer 200, 206, 304, 412 or 416 with an entry."""
        cache_control = IMMUTABLE if immutable else REVALIDATE
        fields, body = self._representation(entry)
        etag = next(value for name, value in fields if name == "ETag")
        field = self.request.field
        conditions = Conditions(
            field("if-match"), field("if-unmodified-since"), field("if-none-match"), field("if-modified-since")
        )
        if conditions.failed(etag, entry.modified):
            return refuse(self.view, self.request, 412, self.site)
        if conditions.unchanged(etag, entry.modified):
            kept = [(name, value) for name, value in fields if name in {"ETag", "Last-Modified", "Vary"}]
            return self._send(304, "content", kept, cache_control, b"")
        wanted = field("range") if self.request.method == "GET" else None
        span = None
        if wanted is not None and range_applies(field("if-range"), etag, entry.modified):
            span = parse_range(wanted, len(body))
        if isinstance(span, Unsatisfiable):
            refused = refuse(self.view, self.request, 416, self.site)
            extra = ("Content-Range", f"bytes */{len(body)}")
            return Response(416, (*refused.headers, extra), refused.body)
        if span is None:
            return self._send(200, "content", [*fields, ("Accept-Ranges", "bytes")], cache_control, body)
        return self._part(fields, body, span, cache_control)

    def _part(self, fields: Fields, body: BlobBody, span: Span, cache_control: str) -> Response:
        made = [(name, value) for name, value in fields if name != "Content-Length"]
        made.append(("Content-Length", str(span.end - span.start)))
        made.append(("Content-Range", f"bytes {span.start}-{span.end - 1}/{len(body)}"))
        return self._send(206, "content", made, cache_control, BlobBody(body.digest, span.start, span.end))

    def _representation(self, entry: Entry) -> tuple[Fields, BlobBody]:
        """Return the fields and the bytes of the variant that answers."""
        variant = choose(entry, self.request.field("accept-encoding") or "")
        fields: Fields = [
            ("Content-Type", entry.media_type),
            ("Content-Length", str(variant.size)),
            ("Last-Modified", http_date(entry.modified)),
            ("ETag", etag_of(entry, variant)),
        ]
        if variant.coding != "identity":
            fields.append(("Content-Encoding", variant.coding))
        fields.extend(self._vary("Accept-Encoding" if len(entry.variants) > 1 else ""))
        return fields, BlobBody(variant.digest, 0, variant.size)

    def _vary(self, *first: str) -> Fields:
        names = [name for name in (*first, *(name for name in _VARY_ORDER if name in self.vary)) if name]
        return [("Vary", ", ".join(names))] if names else []

    def _send(self, status: int, sort: Sort, fields: Fields, cache_control: str, body: bytes | BlobBody) -> Response:
        """Return the response with its defaults, and with what `_headers` says of the request path."""
        defaults = [*fields, *_defaults(self.view, self.site, self.request, cache_control)]
        dressed = self.site.headers.dress(defaults, self.target.path, sort, self.request.scheme)
        if status == 304:
            dressed = [(name, value) for name, value in dressed if name.lower() != "content-type"]
        return Response(status, tuple(dressed), b"" if self.request.method == "HEAD" else body)
