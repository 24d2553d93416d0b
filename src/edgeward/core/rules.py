"""The values that redirect and header rules become once parsed. The parsers are in `redirects` and `headers`."""

from dataclasses import dataclass
from typing import Literal

ConditionName = Literal["Language", "Cookie"]

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
PAGE_STATUSES = frozenset({404, 410, 451})
RULE_STATUSES = frozenset({200}) | REDIRECT_STATUSES | PAGE_STATUSES


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a redirect rule: any of `values` holds. Languages are lower case."""

    name: ConditionName
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """One line of `_redirects` (SITE-FORMAT section 3).

    line: from 1. host: lower-case hostname the rule is bound to, or None for all of the site's.
    source: canonical text of a path pattern (`patterns`), with `:name` segments and an optional final `*`; no trailing
    slash but for "/" itself. params: (parameter name, wanted): wanted is ":name" to bind or the literal value, compared
    as sent. target: as written (path or absolute URL, percent-encoded, with its own query and fragment), or None; for a
    status that serves a page always a path with no query and no fragment.
    """

    line: int
    source: str
    target: str | None
    status: int = 301
    force: bool = False
    host: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """One line of a header block: set (or join) `name` to `value`, or take it away if `value` is None."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """One block of `_headers` (SITE-FORMAT section 4): a pattern like RedirectRule.source, and its lines."""

    line: int
    pattern: str
    lines: tuple[HeaderLine, ...]
