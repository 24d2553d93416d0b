"""The short way: plain requests for files of one site, answered with as little of nginx's script as possible.

An edge's largest sites get a server of their own, whose first locations know the site: a GET or HEAD with a plain path,
no query, no Range and no condition is looked up in the folder of the best coding, with fields that are mostly constant.
Whatever is not there, or not that plain, goes to `@look`, where the work is done in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgeward.core.assets import AUTO_EXTENSIONS
from edgeward.core.fields import HSTS, IMMUTABLE, REVALIDATE
from edgeward.core.media_types import media_type
from edgeward.core.release import Manifest
from edgeward.core.rulebook import class_of
from edgeward.serve.nginx.book import Book, block, matching
from edgeward.serve.nginx.fields import CONTENT_TYPE, NOSNIFF, REFERRER, add_header
from edgeward.serve.nginx.headers import field_names, field_values
from edgeward.serve.nginx.quote import Value, literal, value, variable
from edgeward.serve.nginx.settings import ERROR_LOG
from edgeward.serve.nginx.sites import immutable_regexes

ELSEWHERE: Final = "589"
"""Our status for what `@look` does."""

_CODED: Final = ("css", "js", "mjs", "json", "svg", "txt", "xml", "map", "wasm", "webmanifest")
_SINGLE: Final = ("png", "jpg", "jpeg", "gif", "webp", "avif", "woff", "woff2", "mp4", "webm", "pdf", "zip")
"""Common extensions of files with variants and of files without; the others go the long way."""
_TREE: Final = variable("ew_hot_tree")
_URI: Final = variable("uri")


@dataclass(frozen=True, slots=True)
class Hot:
    """What the short way of a site is made of.

    root: its tree, by a short name that ends with the generation. mode: letter of its clean URLs (`candidates`).
    page_lines: `add_header` lines of what is never immutable. file_lines: of files whose name decides that. by_path: a
    line depends on the request path. single: extensions that only files without variants have. judged: extensions of
    files that may be immutable.
    """

    root: Value
    mode: str
    page_lines: Sequence[str]
    file_lines: Sequence[str]
    by_path: bool
    single: Sequence[str]
    judged: frozenset[str]


def hot_of(book: Book, manifest: Manifest, *, root: Value, mode: str, edge: str) -> Hot | None:
    """Return the short way of a site; None if every request needs the full work."""
    names = field_names(manifest)
    if CONTENT_TYPE in names or any(class_of(rule) == "forced" for rule in manifest.redirects):
        return None
    if any(entry.media_type != media_type(entry.path) for entry in manifest.entries):
        return None
    regexes = immutable_regexes(manifest.settings)
    # A fingerprint has a digit: most names are told apart from one by that alone.
    ahead = "(?=.*[0-9])" if manifest.settings.immutable is None else ""
    cases = [matching(f"^/[a-z]+{ahead}{regex}", literal(IMMUTABLE)) for regex in regexes]
    held = book.map("ew_hot_cache_control", _URI, cases, literal(REVALIDATE), why="of files that are no pages")
    pages = _lines(book, manifest, edge, literal(REVALIDATE))
    files = _lines(book, manifest, edge, held)
    varied = {_extension(entry.path) for entry in manifest.entries if len(entry.variants) > 1}
    single = [suffix for suffix in _SINGLE if suffix not in varied]
    every = frozenset((*_CODED, *_SINGLE))
    judged = every if manifest.settings.immutable is not None else every & frozenset(AUTO_EXTENSIONS)
    by_path = any("${ew_" in line for line in pages)
    return Hot(root, mode, pages, files, by_path=by_path, single=single, judged=judged)


def hot_locations(hot: Hot) -> list[str]:
    """Return the locations of a site's short way; all else in its server is in `locations`."""
    coded = [add_header("Content-Encoding", _TREE), add_header("Vary", literal("Accept-Encoding"))]
    opening = [
        f"root {value(hot.root)};",
        "limit_except GET { deny all; }  # 403: the gate; it is logged as an error, which it is not",
        f"error_log {ERROR_LOG} crit;",
        f"if ($request_uri != $uri) {{ return {ELSEWHERE}; }}",
        *([f"if ($ew_target) {{ return {ELSEWHERE}; }}"] if hot.by_path else []),
        f"if ($http_range) {{ return {ELSEWHERE}; }}",
        f"if ($http_if_none_match) {{ return {ELSEWHERE}; }}",
        f"if ($http_if_modified_since) {{ return {ELSEWHERE}; }}",
    ]

    def page(file: Value) -> list[str]:
        return [*opening, *hot.page_lines, *coded, f"try_files {value(Value('/' + _TREE + file))} @look;"]

    elsewhere = [f"return {ELSEWHERE};"]
    folders = page(Value(_URI + "index.html")) if hot.mode in "awo" else elsewhere
    plain = page(Value(_URI + ".html")) if hot.mode in "an" else elsewhere
    files = [*coded, f"try_files {value(Value('/' + _TREE + _URI))} @look;"]
    # Without a coding nothing is wrong with an answer of 304 to If-Modified-Since alone.
    bare = [*opening[:-1], f"try_files {value(Value('/identity' + _URI))} @look;"]
    coded_suffixes = (*_CODED, "html") if hot.mode == "o" else _CODED
    kinds = [
        ([suffix for suffix in coded_suffixes if suffix in hot.judged], [*opening, *hot.file_lines, *files]),
        ([suffix for suffix in hot.single if suffix not in hot.judged], [*bare, *hot.page_lines]),
        ([suffix for suffix in coded_suffixes if suffix not in hot.judged], [*opening, *hot.page_lines, *files]),
        ([suffix for suffix in hot.single if suffix in hot.judged], [*bare, *hot.file_lines]),
    ]
    by_suffix = [
        line
        for suffixes, lines in kinds
        if suffixes
        for line in block(rf'location ~ "\.(?:{"|".join(suffixes)})$"', *lines)
    ]
    return [
        "# the short way",
        *block("location = /", *page(literal("/index.html"))),
        *block(
            r'location ~ "(?:/|/index|\.[^/]*)$"',
            *by_suffix,
            *block("location ~ /$", *folders),
            *elsewhere,
        ),
        *block("location /", *plain),
    ]


def _lines(book: Book, manifest: Manifest, edge: str, cache_control: Value) -> list[str]:
    """Return the lines of an answer of 200 with the site's content."""
    defaults = {
        "cache-control": ("Cache-Control", cache_control),
        "x-content-type-options": ("X-Content-Type-Options", NOSNIFF),
        "referrer-policy": ("Referrer-Policy", REFERRER),
        "x-edgeward": ("X-Edgeward", literal(f"{edge} {manifest.release[:12]}")),
    }
    names = field_names(manifest)
    made: list[str] = []
    for lower, name in {**{key: name for key, (name, _) in defaults.items()}, **names}.items():
        if lower == HSTS:
            continue
        default = defaults.get(lower, (name, Value("")))[1]
        values = field_values(book, manifest, lower, default) if lower in names else [default]
        made += [add_header(name, content) for content in values if content]
    return made


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""
