"""The lines of `_headers` (SITE-FORMAT section 4) as maps: for each field of a site one value.

A field's value is put together from pieces, one for each group of lines of which at most one can match; a piece is
empty where its line does not match, or where a later line that does takes the field away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from edgeward.core.patterns import SPLAT, Pattern, compile_pattern, mentions
from edgeward.core.release import Manifest
from edgeward.serve.nginx.book import Book, Case, matching
from edgeward.serve.nginx.patterns import disjoint, ends_in_splat, filled, full, matches_all, splat_filled
from edgeward.serve.nginx.quote import Value, variable

SET_COOKIE: Final = "set-cookie"
_PATH: Final = variable("ew_path")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: which paths, and the template of the value; None takes the field away."""

    pattern: Pattern
    template: str | None


@dataclass(slots=True)
class _Group:
    """Lines that set the field, of which at most one matches; and how many removals stood before it.

    at: lines by the literal segments that their patterns begin with. below: by every beginning of those.
    """

    lines: list[_Line]
    removals: int
    at: dict[tuple[str, ...], list[_Line]] = field(default_factory=dict)
    below: dict[tuple[str, ...], list[_Line]] = field(default_factory=dict)

    def admits(self, line: _Line) -> bool:
        """Whether none of the group's lines can match together with this one.

        Only those whose beginning is the beginning of this one's, or the other way round, need a closer look.
        """
        head = _head(line.pattern)
        near = [other for depth in range(len(head)) for other in self.at.get(head[:depth], ())]
        return all(disjoint(line.pattern, other.pattern) for other in (*near, *self.below.get(head, ())))

    def add(self, line: _Line) -> None:
        """Take a line in."""
        self.lines.append(line)
        head = _head(line.pattern)
        self.at.setdefault(head, []).append(line)
        for depth in range(len(head) + 1):
            self.below.setdefault(head[:depth], []).append(line)


def field_names(manifest: Manifest) -> dict[str, str]:
    """Return the fields that the site's lines name: lower case -> as first written."""
    names: dict[str, str] = {}
    for block in manifest.headers:
        for line in block.lines:
            names.setdefault(line.name.lower(), line.name)
    return names


def field_values(book: Book, manifest: Manifest, name: str, default: Value) -> list[Value]:
    """Return the values of a field (lower case) as the site's lines make them of the request path.

    One value, empty where the field is not sent; several for Set-Cookie, each a field of its own. default: what the
    field holds where no line matches.
    """
    return book.part(
        ("headers", manifest.release, name, default), lambda own: _field_values(own, manifest, name, default)
    )


def _field_values(book: Book, manifest: Manifest, name: str, default: Value) -> list[Value]:
    lines = [
        _Line(compile_pattern(block.pattern), line.value)
        for block in manifest.headers
        for line in block.lines
        if line.name.lower() == name
    ]
    start = max((at + 1 for at, line in enumerate(lines) if _takes_all(line)), default=0)
    if start:
        default, lines = Value(""), lines[start:]
    if not lines:
        return [default]
    removals = [line for line in lines if line.template is None]
    pieces = [_piece(book, group, removals, name) for group in _groups(lines)]
    if name == SET_COOKIE:
        return pieces
    return [_joined(book, name, lines, pieces, default)]


def line_regex(pattern: str, template: str | None) -> str:
    """Return the regex that a map holds for a line of a block."""
    compiled = compile_pattern(pattern)
    return f"^{full(compiled)[0] if template is None else _regex(_Line(compiled, template))[0]}$"


def _head(pattern: Pattern) -> tuple[str, ...]:
    return tuple(segment.text for segment in takewhile(lambda each: each.kind == "literal", pattern.segments))


def _takes_all(line: _Line) -> bool:
    return line.template is None and matches_all(line.pattern)


def _groups(lines: Sequence[_Line]) -> Iterator[_Group]:
    current: _Group | None = None
    removals = 0
    for line in lines:
        if line.template is None:
            removals += 1
            if current is not None:
                yield current
            current = None
        elif current is not None and current.admits(line):
            current.add(line)
        else:
            if current is not None:
                yield current
            current = _Group([], removals)
            current.add(line)
    if current is not None:
        yield current


def _piece(book: Book, group: _Group, removals: Sequence[_Line], name: str) -> Value:
    """Return the variable of one piece: ", " and the value, but for Set-Cookie without the comma."""
    later = removals[group.removals :]
    taken = [matching(f"^{full(line.pattern)[0]}$", Value("-")) for line in later]
    guard = book.map("ew_taken", _PATH, taken, Value(""))
    prefix = Value("") if name == SET_COOKIE else Value(", ")
    cases: list[Case] = []
    for line in group.lines:
        assert line.template is not None
        regex, values = _regex(line)
        if not guard and not values and matches_all(line.pattern):
            return book.concatenated([prefix, book.literal(line.template)])
        value = book.concatenated([prefix, *filled(book, line.template, values)])
        cases.append(matching(f"^{regex}$", value))
    return book.map(f"ew_piece_{_word(name)}", Value(guard + _PATH), cases, Value(""))


def _regex(line: _Line) -> tuple[str, dict[str, Value]]:
    """Return the regex of a line and its groups: one that asks for more than nothing where the value is all splat."""
    assert line.template is not None
    bound = mentions(line.template)
    if not any(name in line.pattern.names for name in bound):
        return full(line.pattern)[0], {}
    if "".join(f":{SPLAT}" for _ in bound) == line.template and SPLAT in line.pattern.names:
        if ends_in_splat(line.pattern):
            return splat_filled(line.pattern)[:2]
        regex, values = full(line.pattern)
        return f"(?!{_without_splat(line.pattern)}$){regex}", values
    return full(line.pattern)


def _without_splat(pattern: Pattern) -> str:
    """Regex for the paths of a pattern with a `*` inside, where that stands for nothing."""
    return pattern.regex(encoded=True).replace("(.*)", "")


def _joined(book: Book, name: str, lines: Sequence[_Line], pieces: Sequence[Value], default: Value) -> Value:
    """Return the field's value: the pieces joined, the default where no line matches."""
    covered = any(matches_all(line.pattern) for line in lines)
    if not covered and default:
        touched = [matching(f"^{full(line.pattern)[0]}$", Value("")) for line in lines]
        default = book.map(f"ew_else_{_word(name)}", _PATH, touched, default)
    elif covered:
        default = Value("")
    if not pieces:
        return default
    together = book.concatenated(pieces)
    if all("${" not in piece for piece in pieces):
        return Value(together.removeprefix(", "))
    trimmed = matching("^, (?<ew_value>.+)$", variable("ew_value"))
    return book.map(f"ew_value_{_word(name)}", together, [trimmed], default)


def _word(name: str) -> str:
    """Return a field's name as part of a variable's."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name.lower())
