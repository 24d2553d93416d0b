r"""Clean URLs (SITE-FORMAT section 2) as maps: which files can answer a path, and where other spellings lead.

The key is the site's mode, one letter, and the path: `a` auto, `w` always a slash, `n` never one, `o` clean URLs off.
`core/urls.py` is the original; the order of the files is the same where more than one can be there.
"""

from typing import Final

from edgeward.core.site import SiteSettings
from edgeward.serve.nginx.book import Book, matching
from edgeward.serve.nginx.quote import Value, literal, variable

NOWHERE: Final = literal("/.none")
"""A file that no site has: dot files are not published."""

_URI: Final = variable("uri")
_INDEX: Final = literal("index.html")
_PAGE: Final = literal(".html")
_KEPT: Final = variable("ew_kept_part")
"""The part of a path that a regex keeps."""


def mode_of(settings: SiteSettings) -> str:
    """Return the letter of a site's mode."""
    if not settings.clean_urls:
        return "o"
    return {"auto": "a", "always": "w", "never": "n"}[settings.trailing_slash]


def served_files(book: Book, modes: frozenset[str]) -> list[Value]:
    """Return variables with the entry paths to try, in order, for a path that is answered with a file."""
    source = Value(variable("ew_mode") + _URI)
    first = book.map(
        "ew_file1",
        source,
        [
            matching("^[awo].*/$", Value(_URI + _INDEX)),
            matching("^n/$", literal("/index.html")),
            matching("/$", NOWHERE),
            matching("^o", _URI),
            matching(r"^w.*\.html$", NOWHERE),
            matching("^w", _URI),
            matching(r"\.html$", Value(_URI + _PAGE)),
            matching(r"/index$|\.[^./]+$", _URI),
        ],
        Value(_URI + _PAGE),
        why="the file that answers a path, and (below) the next one to try: site's mode and decoded path",
    )
    second = book.map(
        "ew_file2",
        source,
        [
            matching("^w.*/index/$", NOWHERE),
            matching("^w(?<ew_kept_part>/.+)/$", Value(_KEPT + _PAGE)),
            matching("/$", NOWHERE),
            matching("^[ow]", NOWHERE),
            matching(r"\.html$|/index$", NOWHERE),
            matching(r"\.[^./]+$", Value(_URI + _PAGE)),
        ],
        _URI,
    )
    files = [first, second]
    if "n" in modes:
        files.append(book.map("ew_file3", source, [matching("^n.*[^/]$", Value(_URI + "/" + _INDEX))], NOWHERE))
    return files


def respelt_files(book: Book) -> list[tuple[Value, Value]]:
    """Return pairs of variables, in order: the entry path that another spelling would have, and its encoded URL."""
    source = Value(variable("ew_mode") + _URI)
    encoded = Value(variable("ew_mode") + variable("ew_path"))
    file1 = book.map(
        "ew_other_file1",
        source,
        [matching(r"^[awn].*\.html$", _URI), matching("^n/.*/$", Value(_URI + _INDEX))],
        NOWHERE,
        why="a file that has another URL than this one, and (below) that URL: page by its file name, slash too many",
    )
    url1 = book.map(
        "ew_other_url1",
        encoded,
        [
            matching("^n(?<ew_kept_part>/.+)/$", _KEPT),
            matching(r"^[aw](?<ew_kept_part>.*/)index\.html$", _KEPT),
            matching(r"^n(?<ew_kept_part>/.+)/index\.html$", _KEPT),
            matching(r"^n/index\.html$", literal("/")),
            matching(r"^w(?<ew_kept_part>.*)\.html$", Value(_KEPT + "/")),
            matching(r"^[an](?<ew_kept_part>.*)\.html$", _KEPT),
        ],
        literal("/"),
    )
    file2 = book.map(
        "ew_other_file2",
        source,
        [
            matching("^[an](?<ew_kept_part>/.+)/$", Value(_KEPT + _PAGE)),
            matching("^w(?<ew_kept_part>.*/index)/$", Value(_KEPT + _PAGE)),
            matching("/$|^o", NOWHERE),
            matching("^w|/index$", Value(_URI + _PAGE)),
        ],
        NOWHERE,
        why="the same: page with a slash too many or too few, `/index`",
    )
    url2 = book.map(
        "ew_other_url2",
        encoded,
        [
            matching("^[aw](?<ew_kept_part>.*/)index/?$", _KEPT),
            matching("^n(?<ew_kept_part>/.+)/index/?$", _KEPT),
            matching("^n/index/?$", literal("/")),
            matching("^w(?<ew_kept_part>.*)$", Value(_KEPT + "/")),
            matching("^[an](?<ew_kept_part>.*)/$", _KEPT),
        ],
        literal("/"),
    )
    file3 = book.map(
        "ew_other_file3", source, [matching("^[awo].*[^/]$", Value(_URI + "/" + _INDEX))], NOWHERE,
        why="the same: folder without its slash",
    )  # fmt: skip
    return [(file1, url1), (file2, url2), (file3, Value(variable("ew_path") + "/"))]


def found_files(book: Book) -> list[Value]:
    """Return variables with the entry paths to try, in order, for the page `$ew_page` that a rule serves.

    The page may be spelt in any way; `$ew_page` is a decoded path that may hold dot segments out of a query: no file.
    """
    page = variable("ew_page")
    source = Value(variable("ew_mode") + page)
    climbs = matching(r"/\.\.?(?:/|$)", NOWHERE)
    first = [climbs, matching("/$", Value(page + _INDEX)), matching(r"^[an].*\.html$", Value(page + _PAGE))]
    second = [
        climbs,
        matching("^[awn](?<ew_kept_part>/.+)/$", Value(_KEPT + _PAGE)),
        matching("/$", NOWHERE),
        matching(r"^o|^n.*(?:\.html|/index)$", Value(page + "/" + _INDEX)),
        matching(r"^a.*\.html$", page),
    ]
    third = [
        climbs,
        matching("/$|^o", NOWHERE),
        matching(r"^n.*\.html$", page),
        matching("^n.*/index$", Value(page + _PAGE)),
    ]
    return [
        book.map(
            "ew_page1", source, first, page, why="the file of a page that a rule serves, and the next ones to try"
        ),
        book.map("ew_page2", source, second, Value(page + _PAGE)),
        book.map("ew_page3", source, third, Value(page + "/" + _INDEX)),
    ]
