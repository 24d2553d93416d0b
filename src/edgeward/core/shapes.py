"""Shapes of paths: what is known of a path before any request is there to see.

A shape is a list of segments, each a text, any one segment, or any number of segments. It stands for all paths that
look so, with or without a trailing slash.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum

from edgeward.core.paths import decode_path
from edgeward.core.patterns import SPLAT, Segment, mentions

_LONGEST = 4_000
_MENTION = re.compile(r"(:[A-Za-z0-9_]+)")


class Wild(Enum):
    """What a segment of a symbolic path may be: exactly one segment of any text, or any number of segments."""

    ONE = "one"
    MANY = "many"


Token = str | Wild
Tokens = tuple[Token, ...]


def shape_of(segments: Sequence[Segment]) -> Tokens:
    """Return the shape of what a pattern matches."""
    return tuple(_token(segment) for segment in segments)


def _token(segment: Segment) -> Token:
    if segment.kind == "literal":
        return segment.text
    return Wild.ONE if segment.kind == "name" else Wild.MANY


def matches_all(segments: Sequence[Segment], tokens: Tokens) -> bool:
    """Whether the pattern matches every path of that form."""
    open_ended = bool(segments) and segments[-1].kind == "splat"
    fixed = segments[:-1] if open_ended else segments
    certain = tokens.index(Wild.MANY) if Wild.MANY in tokens else len(tokens)
    least = sum(token is not Wild.MANY for token in tokens)
    if (
        least < len(fixed)
        or (not open_ended and len(tokens) != len(fixed))
        or (not open_ended and certain < len(tokens))
    ):
        return False
    return all(
        segment.kind == "name" or (index < certain and tokens[index] == segment.text)
        for index, segment in enumerate(fixed)
    )


def bind(segments: Sequence[Segment], tokens: Tokens) -> Mapping[str, Tokens]:
    """Return what a pattern that matches all of `tokens` binds."""
    certain = tokens.index(Wild.MANY) if Wild.MANY in tokens else len(tokens)
    bindings: dict[str, Tokens] = {}
    for index, segment in enumerate(segments):
        if segment.kind == "name":
            bindings[segment.text] = (tokens[index] if index < certain else Wild.ONE,)
        elif segment.kind == "splat":
            bindings[SPLAT] = tokens[index:] if index <= certain else (Wild.MANY,)
    return bindings


def fill_shape(path: str, bindings: Mapping[str, Tokens]) -> Tokens | None:
    """Return the shape of a target's path with bound values put in; None where it is not known.

    That is so if anything but `bindings` is put in (a query value may hold `%2F` or dots), if a dot segment results, or
    if the path becomes longer than any request's.
    """
    if any(name not in bindings for name in mentions(path)):
        return None
    tokens: list[Token] = []
    for segment in path.split("/"):
        pieces = _MENTION.split(segment)
        values = [bindings[piece[1:]] for piece in pieces[1::2]]
        if len(values) == 1 and not pieces[0] and not pieces[2]:
            tokens.extend(values[0])
        elif any(Wild.MANY in value for value in values):
            tokens += [Wild.MANY, Wild.ONE]
        elif any(Wild.ONE in value for value in values):
            if any(len(value) != 1 for value in values):
                return None
            tokens.append(Wild.ONE)
        else:
            pieces[1::2] = ["/".join(str(token) for token in value) for value in values]
            pieces[::2] = [decode_path(piece) or "" for piece in pieces[::2]]
            tokens.extend(part for part in "".join(pieces).split("/") if part)
    length = sum(len(token) if isinstance(token, str) else 1 for token in tokens)
    if length > _LONGEST or len(tokens) > _LONGEST or "." in tokens or ".." in tokens:
        return None
    return tuple(tokens)


def within(narrow: Tokens, wide: Tokens) -> bool:
    """Whether every path of the one shape certainly has the other as well."""
    reach = {0}
    for token in narrow:
        step: set[int] = set()
        for index in _past_many(reach, wide):
            if index == len(wide):
                continue
            other = wide[index]
            if other is Wild.MANY:
                step.add(index)
            elif other == token or (other is Wild.ONE and token is not Wild.MANY):
                step.add(index + 1)
        reach = step
    return len(wide) in _past_many(reach, wide)


def _past_many(reach: set[int], tokens: Tokens) -> set[int]:
    found = set(reach)
    for index in range(len(tokens)):
        if index in found and tokens[index] is Wild.MANY:
            found.add(index + 1)
    return found
