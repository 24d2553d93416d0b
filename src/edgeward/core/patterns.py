"""The one language of path patterns: `/a/:b/*`, as in `_redirects`, `_headers` and `immutable` (SITE-FORMAT 3 and 4).

A pattern is a path whose segments are literal text, `:name` (exactly one segment, never empty) or a `*`:

- `/x/*`, with `*` as the whole last segment, matches everything below `/x`, and `/x` itself; the rest is `:splat`,
  which may be empty.
- anywhere else (`/*.js`, `/a/*/b`; headers and `immutable` only) `*` matches any run of characters, slashes too.
- `/x` also matches `/x/`.

The canonical text of a pattern is percent-decoded but for what would read as syntax: `%` is always written `%25`, a
literal `*`, `?` and `#` are `%2A`, `%3F` and `%23`, and a `:` that begins a segment is `%3A`. So texts compare as
patterns do, and compiling a canonical text gives it back.

Patterns match the normalised path (no empty segments, no dot segments, no control characters), either decoded or
canonically encoded; both regexes are read alike by Python's `re` and by PCRE without UTF mode.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from edgeward.core.paths import decode_path, encode_path
from edgeward.errors import InputError

Kind = Literal["literal", "name", "splat", "glob"]

SPLAT = "splat"
"""The name that `*` binds."""

_NAME = re.compile(r"[A-Za-z0-9_]+")
_MENTION = re.compile(r":([A-Za-z0-9_]+)")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SPECIAL = re.compile(r"[\\.^$|?*+()\[\]{}]")
_ENCODED_SLASH = re.compile(r"%2[Ff]")
_AUTHORITY = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_HEX = frozenset("0123456789ABCDEF")
_UNITS = r"[^%\n]*(?:%[0-9A-F][0-9A-F][^%\n]*)*"
_SYNTAX = str.maketrans({"%": "%25", "*": "%2A", "?": "%3F", "#": "%23"})


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: literal text, the name of a placeholder, the final `*`, or text with a `*` in it (text, after)."""

    kind: Kind
    text: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    text: canonical text. segments: none for `/`. names: what the groups of the regexes bind, in their order.
    """

    text: str
    segments: tuple[Segment, ...]
    names: tuple[str, ...]

    @property
    def literal(self) -> str | None:
        """The decoded path without a trailing slash, if there is nothing to bind: matches it and it with `/`."""
        if self.names:
            return None
        return "/" + "/".join(segment.text for segment in self.segments)

    def regex(self, *, encoded: bool) -> str:
        """Regex text for the whole path, without anchors, one capturing group for each of `names`.

        encoded: over canonically percent-encoded paths, else over decoded ones.
        """
        parts = [f"/{_segment_regex(segment, encoded=encoded)}" for segment in self.segments if segment.kind != "splat"]
        if self.segments and self.segments[-1].kind == "splat":
            return "".join(parts) + "(?:/(.*))?" if parts else "/(.*)"
        return "".join(parts) + "/?" if parts else "/"

    def match(self, path: str, *, encoded: bool = False) -> Mapping[str, str] | None:
        """Return what a normalised path binds (values in the path's own form), or None if it does not match."""
        literal = self.literal
        if literal is not None:
            wanted = encode_path(literal) if encoded else literal
            return {} if path in {wanted, wanted + "/"} and not (wanted == "/" and path != "/") else None
        found = _compiled(self.regex(encoded=encoded)).fullmatch(path)
        return None if found is None else dict(zip(self.names, (group or "" for group in found.groups()), strict=True))


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern, as a user writes it or in canonical form. Raises InputError with what is wrong with it."""
    return _compile(text)


def fill(template: str, bindings: Mapping[str, str]) -> str:
    """Put bound values in the place of `:name`; a `:word` that is not bound stays as written."""
    return _MENTION.sub(lambda found: bindings.get(found[1], found[0]), template)


def fill_target(target: str, bindings: Mapping[str, str]) -> str:
    """Return a rule's target with bound values put in, never in scheme, host or port.

    A target on the same site stays one path: an empty `:splat` does not make it begin with `//`.
    """
    origin, rest = split_origin(target)
    filled = fill(rest, bindings)
    return origin + filled if origin else "/" + filled.lstrip("/")


def split_origin(target: str) -> tuple[str, str]:
    """Split a target into scheme with authority ("" for a path of the same site) and the rest."""
    found = _AUTHORITY.match(target)
    return (found[0], target[found.end() :]) if found else ("", target)


def mentions(template: str) -> tuple[str, ...]:
    """Names of all `:word` in a template, in order."""
    return tuple(_MENTION.findall(template))


@lru_cache(maxsize=32768)
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


@lru_cache(maxsize=32768)
def _compile(text: str) -> Pattern:
    if not text.startswith("/"):
        raise InputError(f"a path pattern begins with a slash, not {text[:1]!r}" if text else "the path is empty")
    for mark, why in (
        ("?", "the path ends at `?`: match a query with name=value after it"),
        ("#", "a fragment (`#`) is never sent to a server"),
    ):
        if mark in text:
            raise InputError(f"{text!r}: {why}")
    if text.startswith("//"):
        raise InputError(f"{text!r} begins with `//`")
    if _BAD_PERCENT.search(text):
        raise InputError(f"{text!r} has a `%` that is not followed by two hex digits; a percent sign is written %25")
    body = _ENCODED_SLASH.sub("/", text)[1:].removesuffix("/")
    raw = body.split("/") if body else []
    segments = tuple(_segment(part, text, last=index == len(raw) - 1) for index, part in enumerate(raw))
    names = tuple(
        SPLAT if segment.kind != "name" else segment.text for segment in segments if segment.kind != "literal"
    )
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{text!r} has {'more than one `*`' if name == SPLAT else f'`:{name}` more than once'}")
    return Pattern("/" + "/".join(_segment_text(segment) for segment in segments), segments, names)


def _segment(part: str, whole: str, *, last: bool) -> Segment:
    if part.startswith(":"):
        if not _NAME.fullmatch(part, 1):
            raise InputError(
                f"{whole!r}: `{part}` is not a placeholder; one is a whole segment of letters, digits and `_` after "
                "`:` (a literal colon there is written %3A)",
            )
        if part[1:] == SPLAT:
            raise InputError(f"{whole!r}: `:splat` is the name of what `*` matches; choose another")
        return Segment("name", part[1:])
    if part == "*" and last:
        return Segment("splat", "")
    if part.count("*") > 1:
        raise InputError(f"{whole!r} has more than one `*`")
    before, star, after = part.partition("*")
    if star:
        return Segment("glob", _decode(before, whole), _decode(after, whole))
    text = _decode(part, whole)
    if text in {"", ".", ".."}:
        what = f"the segment `{text}`" if text else "an empty segment (`//`)"
        raise InputError(f"{whole!r} has {what}, which the normalised path of a request never has")
    return Segment("literal", text)


def _decode(part: str, whole: str) -> str:
    text = decode_path(part)
    if text is None:
        raise InputError(f"{whole!r} decodes to something that is not UTF-8, or to a control character")
    return text


def _segment_text(segment: Segment) -> str:
    if segment.kind == "name":
        return f":{segment.text}"
    if segment.kind == "splat":
        return "*"
    text = segment.text.translate(_SYNTAX)
    if text.startswith(":"):
        text = "%3A" + text[1:]
    return f"{text}*{segment.after.translate(_SYNTAX)}" if segment.kind == "glob" else text


def _segment_regex(segment: Segment, *, encoded: bool) -> str:
    if segment.kind == "name":
        return r"([^/\n]+)"
    text = _literal_regex(segment.text, encoded=encoded)
    if segment.kind == "literal":
        return text
    # Over encoded paths `*` must not end inside %XX, where a hex digit would pass for the text that follows.
    whole = encoded and segment.after[:1] in _HEX
    return f"{text}({_UNITS if whole else '.*'}){_literal_regex(segment.after, encoded=encoded)}"


def _literal_regex(text: str, *, encoded: bool) -> str:
    return _SPECIAL.sub(r"\\\g<0>", encode_path(text) if encoded else text)
