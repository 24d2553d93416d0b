"""What of a release nginx could not read: patterns that become regexes longer than one token of its configuration.

Values may have any length (`book.Book.literal`), because variables can be put together; a regex cannot. So a release
with such a pattern is refused when it is pushed, rather than by every edge when it is to be served.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edgeward.core.assets import immutable_regex
from edgeward.core.release import Manifest
from edgeward.core.rules import RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.errors import Problem
from edgeward.serve.nginx.headers import line_regex
from edgeward.serve.nginx.quote import MAX_TOKEN, map_regex, size
from edgeward.serve.nginx.rules import longest_ask

_GROWTH: Final = 12
"""A character becomes at most so many bytes: four bytes of UTF-8 as `%XX`, or a name that is written four times."""
_AROUND: Final = 600
"""Bytes of all that stands around the characters of a rule with no more than two parameters."""
_SAFE: Final = (MAX_TOKEN - _AROUND) // _GROWTH // 2
"""Characters up to which nothing need be tried, so that 10,000 common rules cost nothing."""


def misfits(manifest: Manifest) -> Iterator[Problem]:
    """Yield a problem for each rule, header block, pattern of `immutable` and error page that nginx could not read."""
    for rule in manifest.redirects:
        if _length(rule) > _SAFE or len(rule.params) > 2:
            yield from _too_long("_redirects", rule.line, "what the rule asks of a request", longest_ask(rule))
    for block in manifest.headers:
        if len(block.pattern) > _SAFE:
            longest = max((line_regex(block.pattern, line.value) for line in block.lines), key=len)
            yield from _too_long("_headers", block.line, "the path of the block", longest)
    for text in manifest.settings.immutable or ():
        yield from _too_long(
            "edgeward.toml", 0, f"`immutable`: the pattern `{text[:40]}...`", one_immutable(manifest.settings, text)
        )

    for entry in manifest.entries:
        if entry.path.endswith("/404.html"):
            yield from _too_long(entry.path[1:], 0, "the path of the error page", f"^{re.escape(entry.path)}")


def one_immutable(settings: SiteSettings, pattern: str) -> str:
    """Return the regex of one pattern of `immutable`."""
    return immutable_regex(replace(settings, immutable=(pattern,)))


def _length(rule: RedirectRule) -> int:
    params = sum(len(name) + len(wanted) for name, wanted in rule.params)
    return len(rule.source) + params + sum(len(value) for item in rule.conditions for value in item.values)


def _too_long(file: str, line: int, what: str, regex: str) -> Iterator[Problem]:
    length = size(map_regex(regex))
    if length > MAX_TOKEN:
        yield Problem(
            file, line, f"{what} is too long: {length:,} bytes when escaped; at most {MAX_TOKEN:,} are allowed"
        )
