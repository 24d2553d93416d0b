"""Path patterns and rule targets as nginx needs them: regexes whose groups have names, and values that mention them.

Named groups, not `$1`: nginx evaluates values lazily, and another map's regex in between would change `$1`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from edgeward.core.patterns import SPLAT, Pattern
from edgeward.serve.nginx.book import Book
from edgeward.serve.nginx.quote import Value, variable

_GROUP: Final = "ew_c"
"""Stem of the variables that groups of path regexes fill."""
_MENTION: Final = re.compile(r":([A-Za-z0-9_]+)")


def named_groups(regex: str, names: Sequence[str], stem: str = _GROUP) -> tuple[str, dict[str, Value]]:
    """Give the plain groups of a regex the names `<stem>0`, `<stem>1`...

    names: what the groups stand for, in order. Returns the regex and, for each of `names`, the variable that holds it.
    """
    made: list[str] = []
    found: dict[str, Value] = {}
    index = 0
    in_class = False
    while index < len(regex):
        char = regex[index]
        if char == "\\":
            made.append(regex[index : index + 2])
            index += 2
            continue
        if char in "[]":
            in_class = char == "["
        if char == "(" and not in_class and regex[index + 1] != "?":
            group = f"{stem}{len(found)}"
            found[names[len(found)]] = variable(group)
            made.append(f"(?<{group}>")
        else:
            made.append(char)
        index += 1
    return "".join(made), found


def full(pattern: Pattern, *, encoded: bool = True) -> tuple[str, dict[str, Value]]:
    """Regex for all paths of a pattern (no anchors), and its groups."""
    return named_groups(pattern.regex(encoded=encoded), pattern.names)


def splat_empty(pattern: Pattern, *, encoded: bool = True) -> tuple[str, dict[str, Value]]:
    """Regex for the paths whose final `*` is empty. The pattern must end in one."""
    prefix, names = _prefix(pattern, encoded=encoded)
    regex, found = named_groups(prefix, names)
    return regex + "/?" if regex else "/", {**found, SPLAT: Value("")}


def splat_filled(pattern: Pattern, *, encoded: bool = True) -> tuple[str, dict[str, Value], Value]:
    """Regex for the paths whose final `*` is not empty; also returns the splat without a slash at its end."""
    prefix, names = _prefix(pattern, encoded=encoded)
    regex, found = named_groups(prefix, names)
    regex += "/(?<ew_splat>(?<ew_splat_bare>.*[^/])/?)"
    return regex, {**found, SPLAT: variable("ew_splat")}, variable("ew_splat_bare")


def _prefix(pattern: Pattern, *, encoded: bool) -> tuple[str, tuple[str, ...]]:
    before = Pattern(pattern.text, pattern.segments[:-1], pattern.names[:-1])
    regex = before.regex(encoded=encoded)
    return ("" if not before.segments else regex.removesuffix("/?")), before.names


def ends_in_splat(pattern: Pattern) -> bool:
    """Whether the last segment is `*` alone."""
    return bool(pattern.segments) and pattern.segments[-1].kind == "splat"


def matches_all(pattern: Pattern) -> bool:
    """Whether every path matches."""
    return len(pattern.segments) == 1 and ends_in_splat(pattern)


def filled(book: Book, template: str, groups: Mapping[str, Value]) -> list[Value]:
    """Return a template as values: literal text, and the groups in the place of `:name`; other `:words` as written."""
    parts: list[Value] = []
    for index, part in enumerate(_MENTION.split(template)):
        if index % 2:
            parts.append(groups.get(part, book.literal(f":{part}")))
        elif part:
            parts.append(book.literal(part))
    return parts


def disjoint(one: Pattern, other: Pattern) -> bool:
    """Whether certainly no path matches both patterns."""
    for mine, theirs in zip(one.segments, other.segments, strict=False):
        if "splat" in {mine.kind, theirs.kind} or "glob" in {mine.kind, theirs.kind}:
            return _globs_differ(one, other)
        if mine.kind == "literal" == theirs.kind and mine.text != theirs.text:
            return True
    longer = max(one, other, key=lambda pattern: len(pattern.segments))
    shorter = min(one, other, key=lambda pattern: len(pattern.segments))
    if len(longer.segments) == len(shorter.segments):
        return False
    rest = longer.segments[len(shorter.segments) :]
    return not any(segment.kind == "glob" for segment in longer.segments) and not (
        len(rest) == 1 and rest[0].kind == "splat"
    )


def _globs_differ(one: Pattern, other: Pattern) -> bool:
    """Whether both end in `*text` in their last segment, with texts of which none ends in the other."""
    if not one.segments or not other.segments:
        return False
    mine, theirs = one.segments[-1], other.segments[-1]
    if mine.kind != "glob" or theirs.kind != "glob":
        return False
    return not mine.after.endswith(theirs.after) and not theirs.after.endswith(mine.after)
