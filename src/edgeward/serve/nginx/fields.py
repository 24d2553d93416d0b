"""The fields of answers (SITE-FORMAT sections 4 and 5) as `add_header` lines, which all locations with content share.

nginx evaluates them when the status and the file are known, each variable once for a request. A field whose value is
empty is not sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeward.core.fields import HSTS, IMMUTABLE, NO_STORE, NOT_ON_ERRORS, REVALIDATE
from edgeward.core.media_types import BY_EXTENSION, UNKNOWN
from edgeward.serve.engine import ServedSite
from edgeward.serve.nginx.book import Book, Case, matching, when
from edgeward.serve.nginx.headers import field_names, field_values
from edgeward.serve.nginx.quote import Value, literal, token, value, variable
from edgeward.serve.nginx.sites import SiteMaps, by_host

CONTENT_TYPE: Final = "content-type"
NOSNIFF: Final = literal("nosniff")
REFERRER: Final = literal("strict-origin-when-cross-origin")
_STATUS: Final = variable("status")
_REDIRECTS: Final = ("301", "302", "303", "307", "308")
_PAGES: Final = ("404", "410", "451")


@dataclass(frozen=True, slots=True)
class Dress:
    """What locations need of the fields.

    lines: the `add_header` lines of answers that `_headers` applies to. types: the lines that make nginx leave the
    media type to those, or nothing.
    """

    lines: tuple[str, ...]
    types: tuple[str, ...]


def add_header(name: str, content: Value) -> str:
    """Return one line."""
    plain = name.replace("-", "").isalnum() and name.isascii()
    return f"add_header {name if plain else token(name)} {value(content)} always;"


def plain_lines(edge: str, release: Value, cache_control: str = NO_STORE) -> list[str]:
    """Return the lines of answers that carry the defaults alone."""
    return [
        add_header("Cache-Control", literal(cache_control)),
        add_header("X-Content-Type-Options", NOSNIFF),
        add_header("Referrer-Policy", REFERRER),
        add_header("X-Edgeward", Value(literal(f"{edge} ") + release)),
    ]


def dress(book: Book, edge: str, sites: Sequence[ServedSite], maps: SiteMaps, varies: Mapping[str, Value]) -> Dress:
    """Return the lines of answers that `_headers` applies to. varies: `$ew_varies...` by condition, if any."""
    own_names: dict[str, str] = {}
    for site in sites:
        for lower, name in field_names(site.manifest).items():
            own_names.setdefault(lower, name)
    typed = CONTENT_TYPE in own_names or bool(maps.odd_type)
    defaults: dict[str, tuple[str, Value]] = {
        "cache-control": ("Cache-Control", _cache_control(book, maps)),
        "x-content-type-options": ("X-Content-Type-Options", NOSNIFF),
        "referrer-policy": ("Referrer-Policy", REFERRER),
        "x-edgeward": ("X-Edgeward", Value(literal(f"{edge} ") + variable("ew_release"))),
    }
    if typed:
        defaults[CONTENT_TYPE] = ("Content-Type", _content_type(book, maps))
    lines: list[str] = []
    for lower, name in {**{key: name for key, (name, _) in defaults.items()}, **own_names}.items():
        if lower == HSTS:
            continue  # never over plain HTTP
        default = defaults.get(lower, (name, Value("")))[1]
        for number, content in enumerate(_contents(book, sites, lower, default)):
            stem = f"ew_field_{''.join(char if char.isalnum() else '_' for char in lower)}"
            cases, rest = content
            where = _where(book, lower)
            lines.append(add_header(name, book.map(stem, where, cases, rest, why=f"{name}, line {number + 1}")))
    coding, vary = _coding_and_vary(book, varies)
    lines += [add_header("Content-Encoding", coding), add_header("Vary", vary)]
    return Dress(tuple(lines), ("types { }", 'default_type "";') if typed else ())


def type_lines() -> list[str]:
    """Return the table of media types as nginx's."""
    by_type: dict[str, list[str]] = {}
    for extension, name in BY_EXTENSION.items():
        by_type.setdefault(name, []).append(extension)
    lines = [f"    {token(name)} {' '.join(extensions)};" for name, extensions in by_type.items()]
    return [
        "types {", *lines, "}", f"default_type {UNKNOWN};", "types_hash_max_size 4096;", "types_hash_bucket_size 128;",
    ]  # fmt: skip


def _contents(book: Book, sites: Sequence[ServedSite], name: str, default: Value) -> list[tuple[list[Case], Value]]:
    """Return for each field of that name the cases by hostname, and what it holds for all other sites."""
    per_site: list[tuple[ServedSite, list[Value]]] = []
    for site in sites:
        if name in field_names(site.manifest):
            per_site.append((site, field_values(book, site.manifest, name, default)))
    count = max((len(values) for _, values in per_site), default=1)
    made: list[tuple[list[Case], Value]] = []
    for number in range(count):
        chosen = [(site, values[number] if number < len(values) else Value("")) for site, values in per_site]
        made.append((list(by_host(chosen)), default))
    return made


def _where(book: Book, name: str) -> Value:
    """Return the variable that is the hostname where lines for this field count for the answer's sort, else empty."""
    host = variable("host")
    content = [when("200", host), when("206", host), when("304", host)]
    pages = [when(status, host) for status in _PAGES]
    by_rule = [when(f"{status}rule", host) for status in _REDIRECTS]
    if name == "cache-control":
        source = Value(_STATUS + variable("ew_redirect"))
        return book.map("ew_host_cached", source, [*content, *by_rule], Value(""), why="content and rules' redirects")
    if name in NOT_ON_ERRORS:
        return book.map("ew_host_content", _STATUS, content, Value(""), why="content alone")
    if name == CONTENT_TYPE:
        return book.map("ew_host_typed", _STATUS, [*content[:2], *pages], Value(""), why="content that has a type")
    return book.map("ew_host_dressed", _STATUS, [*content, *pages], Value(""), why="content and pages")


def _cache_control(book: Book, maps: SiteMaps) -> Value:
    held = book.map("ew_held_for", maps.immutable, [when("1", literal(IMMUTABLE))], literal(REVALIDATE))
    cases = [when(status, held) for status in ("200", "206", "304")]
    cases += [when(status, literal(REVALIDATE)) for status in ("204", *_REDIRECTS)]
    return book.map("ew_cache_control", _STATUS, cases, literal(NO_STORE), why="the default Cache-Control")


def _content_type(book: Book, maps: SiteMaps) -> Value:
    """Media types by a map instead of nginx's own table, because a site replaces some."""
    regex = r"\.(?<ew_suffix>[^./]+)$"
    extension = book.map("ew_extension", variable("uri"), [matching(regex, variable("ew_suffix"))], Value(""))
    table = book.map(
        "ew_type_of", extension, [when(suffix, literal(name)) for suffix, name in BY_EXTENSION.items()],
        literal(UNKNOWN),
    )  # fmt: skip
    found = book.map("ew_type", maps.odd_type, [when("", table)], maps.odd_type) if maps.odd_type else table
    return book.map("ew_content_type", _STATUS, [when("304", Value("")), when("204", Value(""))], found)


def _coding_and_vary(book: Book, varies: Mapping[str, Value]) -> tuple[Value, Value]:
    tree = book.map(
        "ew_tree", variable("uri"), [matching("^/(?<ew_folder>br|gzip|vary)/", variable("ew_folder"))], Value(""),
        why="the folder that the file was found in: a variant's, or that of files that have variants",
    )  # fmt: skip
    coded = [when(f"{status}{coding}", literal(coding)) for status in ("200", *_PAGES) for coding in ("br", "gzip")]
    coding = book.map("ew_coding", Value(_STATUS + tree), coded, Value(""))
    if not varies:
        vary = book.map("ew_vary", tree, [when("", Value(""))], literal("Accept-Encoding"))
        return coding, vary
    language, cookie = varies.get("Language", Value("")), varies.get("Cookie", Value(""))
    cases = []
    for names in range(1, 8):
        first, second, third = bool(names & 1), bool(names & 2), bool(names & 4)
        listed = [
            name
            for name, there in (("Accept-Encoding", first), ("Accept-Language", second), ("Cookie", third))
            if there
        ]
        regex = rf"^{'[a-z]+' if first else ''}\|{'1' if second else ''}\|{'1' if third else ''}$"
        cases.append(matching(regex, literal(", ".join(listed))))
    source = Value(tree + "|" + language + "|" + cookie)
    return coding, book.map("ew_vary", source, cases, Value(""))
