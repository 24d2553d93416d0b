"""What nginx works out of each request, the same for all sites: path, codings, whether it needs a detour."""

from typing import Final

from edgeward.core.negotiate import accepts, names_regex, wants_regex
from edgeward.core.paths import PLAIN_CHARACTERS, UTF8_PATH_REGEX
from edgeward.core.release import CODINGS
from edgeward.core.resolve import ALLOW
from edgeward.serve.nginx.book import Book, matching, when
from edgeward.serve.nginx.quote import Value, literal, variable

_NOTHING: Final = Value("")
_ONE: Final = literal("1")
_COMMON_CODINGS: Final = (
    "", "gzip", "br", "identity", "*", "gzip, br", "gzip, deflate", "gzip,deflate", "gzip, deflate, br",
    "gzip, deflate, br, zstd", "br, gzip", "br, gzip, deflate", "br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip;q=1.0, *;q=0.5",
    "deflate, gzip, br", "deflate, gzip, br, zstd", "gzip, identity", "zstd, br, gzip",
)  # fmt: skip
"""Values of Accept-Encoding that browsers and crawlers send: looked up in a hash table instead of by regexes."""
_SLASH: Final = "(?:/|%2[fF])"
_DOT: Final = r"(?:\.|%2[eE])"
_SEGMENT: Final = rf"(?!\.\.?(?:[/?]|$))[{PLAIN_CHARACTERS.replace('/', '')}]+"


def request_maps(book: Book, since: Value) -> None:
    """Write the maps. since: the variable with If-Modified-Since in hex digits (`sites.revalidation_dates`)."""
    _targets(book)
    _methods(book)
    _codings(book)
    _conditions(book, since)
    book.define(
        "ew_port", variable("http_host"),
        [matching(r"^[^:]*(?<ew_digits>:(?!80$)[1-9][0-9]{0,4})$", variable("ew_digits")),
         matching(r"^\[[^\]]*\](?<ew_digits>:(?!80$)[1-9][0-9]{0,4})$", variable("ew_digits"))],
        _NOTHING, why="the port of the Host field, where it is not the default one",
    )  # fmt: skip
    book.define(
        "ew_client", variable("remote_addr"), [when("unix:", variable("http_x_edgeward_client"))],
        variable("remote_addr"), why="who asks, also where a retired worker has passed the request on",
    )  # fmt: skip
    book.define("ew_allow", variable("status"), [when("405", literal(ALLOW))], _NOTHING)
    book.define("ew_whole", variable("status"), [when("416", variable("upstream_http_content_range"))], _NOTHING)


def rule_parts(book: Book) -> None:
    """Write the maps that take `$ew_hit` (see `rules`) apart."""
    hit = variable("ew_hit")
    line = r"[^\n]*"
    book.define("ew_act", hit, [matching(rf"^(?<ew_act_line>{line})\n", variable("ew_act_line"))], _NOTHING)
    book.define(
        "ew_target_page", hit, [matching(rf"^{line}\n(?<ew_page_line>{line})\n", variable("ew_page_line"))], _NOTHING
    )
    to, rest, fragment = variable("ew_l1"), variable("ew_l2"), variable("ew_l3")
    book.define(
        "ew_location",
        hit,
        [
            matching(rf"^{line}\n(?<ew_l1>{line})\n\n(?<ew_l3>.*)$", Value(to + fragment)),
            matching(r"^[^\n]*\n(?<ew_l1>[^\n?]*)\n(?<ew_l2>[^\n]+)\n(?<ew_l3>.*)$", Value(to + "?" + rest + fragment)),
            matching(rf"^{line}\n(?<ew_l1>{line})\n(?<ew_l2>[^\n]+)\n(?<ew_l3>.*)$", Value(to + "&" + rest + fragment)),
        ],
        literal("/"),
        why="target, left-over query and fragment of a redirect rule, joined",
    )


def _targets(book: Book) -> None:
    target = variable("request_uri")
    book.define(
        "ew_path", target, [matching(r"^(?<ew_before>[^?]*)", variable("ew_before"))], literal("/"),
        why="the path, canonically encoded: as it was sent where it is plain, else as nginx encoded it on the detour",
    )  # fmt: skip
    book.define(
        "ew_target", target, [matching(rf"^(?:/{_SEGMENT})*+/?(?:\?|$)", _NOTHING)], literal("p"),
        why="p: not plain, so that it takes the detour",
    )  # fmt: skip
    book.define(
        "ew_altered",
        target,
        [
            matching(rf"^[^?#]*{_SLASH}{_DOT}{{0,2}}{_SLASH}", _ONE),
            matching(rf"^[^?#]*{_SLASH}{_DOT}{{1,2}}(?:[?#]|$)", _ONE),
        ],
        _NOTHING,
        why="1: it has empty or dot segments, which nginx takes out",
    )
    book.define(
        "ew_illegal", variable("uri"), [matching(rf"^{UTF8_PATH_REGEX}\z", _NOTHING)], _ONE,
        why="1: the decoded path is not UTF-8 or holds control characters",
    )  # fmt: skip


def _methods(book: Book) -> None:
    asked = Value(variable("request_method") + ":" + variable("http_range"))
    book.define(
        "ew_read",
        asked,
        [
            when("GET:", _NOTHING),
            when("HEAD:", _NOTHING),
            matching("^GET:bytes=0-[0-9]{0,18}$", _NOTHING),
            matching("^(?:GET|HEAD):", literal("r")),
            matching("^OPTIONS:", literal("o")),
        ],
        literal("m"),
        why="m: another method; o: OPTIONS; r: a range that may not be satisfiable",
    )
    book.define("ew_range_of_get", variable("request_method"), [when("GET", variable("http_range"))], _NOTHING)


def _codings(book: Book) -> None:
    asked = variable("http_accept_encoding")
    takes: list[Value] = []
    for name in ("br", "gzip"):
        cases = [
            matching(wants_regex(name), _ONE),
            matching(names_regex(name), literal("0")),
            matching(wants_regex("*"), _ONE),
        ]
        takes.append(book.map(f"ew_takes_{name}", asked, cases, literal("0")))
    either = Value(takes[0] + takes[1])
    best = [when("11", literal("br")), when("10", literal("br")), when("01", literal("gzip"))]
    first = book.map("ew_best", either, best, literal("vary"))
    second = book.map("ew_second_best", either, [when("11", literal("gzip"))], literal("vary"))
    common: list[list[tuple[str, str]]] = [[], []]
    for field in _COMMON_CODINGS:
        taken = [coding for coding in CODINGS if coding != "identity" and accepts(field, coding)]
        common[0].append((field, taken[0] if taken else "vary"))
        common[1].append((field, taken[1] if len(taken) > 1 else "vary"))
    why = "the folder to look into first, and (below) second, by Accept-Encoding"
    book.define("ew_tree1", asked, [when(field, literal(name)) for field, name in common[0]], first, why=why)
    coded = [(field, "none" if name == "vary" else name) for field, name in common[0]]
    best = [when("vary", literal("none"))]
    otherwise = book.map("ew_hot_best", first, best, first)
    why_short = "the same for the short way, which is for clients that take a coding"
    book.define("ew_hot_tree", asked, [when(field, literal(name)) for field, name in coded], otherwise, why=why_short)
    book.define("ew_tree2", asked, [when(field, literal(name)) for field, name in common[1]], second)


def _conditions(book: Book, since: Value) -> None:
    tag = variable("http_if_none_match")
    book.define(
        "ew_conditional",
        Value(since + "|" + tag),
        [
            when("|", _NOTHING),
            matching(r"^\||\|$", _NOTHING),
            matching(r'^(?<ew_time>[0-9a-f]+)\|(?:W/)?"\k<ew_time>-[0-9a-f]+"$', _NOTHING),
        ],
        literal("c"),
        why="c: If-None-Match beside an If-Modified-Since that may say something else (nginx wants both to hold)",
    )
    book.define("ew_since_alone", tag, [when("", variable("http_if_modified_since"))], _NOTHING)
