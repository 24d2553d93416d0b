"""Header fields of answers (SITE-FORMAT sections 4 and 5): the defaults, and what `_headers` makes of them.

Each answer is of one sort, which says what of `_headers` counts for it:

- content: 200, 206, 304: everything;
- page: 404, 410, 451: everything but Cache-Control, Expires and Set-Cookie;
- rule: a redirect by a rule of `_redirects`: Strict-Transport-Security and Cache-Control;
- hop: every other redirect: Strict-Transport-Security;
- plain: 204, 400, 405, 412, 416, 421 and 5xx: nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from edgeward.core.exchange import Scheme
from edgeward.core.paths import encode_path
from edgeward.core.patterns import Pattern, compile_pattern, fill
from edgeward.core.rules import HeaderBlock, HeaderLine

Sort = Literal["content", "page", "rule", "hop", "plain"]
Fields = list[tuple[str, str]]

REVALIDATE: Final = "public, max-age=0, must-revalidate"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
NO_STORE: Final = "no-store"

HSTS: Final = "strict-transport-security"
NOT_ON_ERRORS: Final = frozenset({"cache-control", "expires", "set-cookie"})
_ON_REDIRECTS: Final = {"rule": frozenset({HSTS, "cache-control"}), "hop": frozenset({HSTS})}


def counts(name: str, sort: Sort, scheme: Scheme) -> bool:
    """Whether lines of `_headers` for the field `name` (lower case) count for an answer of that sort."""
    if name == HSTS and scheme == "http":
        return False
    if sort == "content":
        return True
    if sort == "page":
        return name not in NOT_ON_ERRORS
    return name in _ON_REDIRECTS.get(sort, frozenset())


@dataclass(frozen=True)
class HeaderBook:
    """The blocks of `_headers`, compiled."""

    blocks: tuple[HeaderBlock, ...]

    @cached_property
    def _compiled(self) -> tuple[tuple[Pattern, tuple[HeaderLine, ...]], ...]:
        return tuple((compile_pattern(block.pattern), block.lines) for block in self.blocks)

    def lines(self, path: str) -> Iterator[tuple[str, str | None]]:
        """Yield (name, value or None to take away) of every block that matches a decoded request path, in order.

        Values have their placeholders filled in, percent-encoded, and are images of the UTF-8 bytes for the wire.
        """
        if not self.blocks:
            return
        encoded = encode_path(path)
        for pattern, lines in self._compiled:
            bindings = pattern.match(encoded, encoded=True)
            if bindings is None:
                continue
            for line in lines:
                yield line.name, None if line.value is None else wire_image(fill(line.value, bindings))

    def dress(self, defaults: Iterable[tuple[str, str]], path: str, sort: Sort, scheme: Scheme) -> Fields:
        """Return the fields of an answer: the defaults with the lines for `path` applied in their order.

        The first line that sets a field replaces its default, further ones are joined to it with ", " (Set-Cookie:
        each a field of its own). A field whose value comes to nothing is not sent.
        """
        fields: dict[str, tuple[str, list[str], bool]] = {
            name.lower(): (name, [value], True) for name, value in defaults
        }
        if sort != "plain":
            for name, value in self.lines(path):
                key = name.lower()
                if not counts(key, sort, scheme):
                    continue
                if value is None:
                    fields.pop(key, None)
                elif key not in fields or fields[key][2]:
                    fields[key] = (name, [value], False)
                else:
                    fields[key][1].append(value)
        made: Fields = []
        for key, (name, values, _) in fields.items():
            if key == "set-cookie":
                made.extend((name, value) for value in values if value)
            elif joined := ", ".join(value for value in values if value):
                made.append((name, joined))
        return made


def wire_image(text: str) -> str:
    """Return the latin-1 image of the UTF-8 bytes of a text."""
    return text if text.isascii() else text.encode().decode("latin-1")
