"""Redirect rules compiled for answering (SITE-FORMAT section 3): which rule of a class matches a request, and what it
makes of its target.

Classes, in the order in which a request meets them: forced (`!`, any status), moved (3xx, 410, 451), soft (200, 404).
Vary is a matter of the path alone: within a class that a request reaches, every conditional rule whose host and path
match it adds its field, whether or not it is the rule that answers.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from edgeward.core.negotiate import first_language, has_cookie
from edgeward.core.paths import CONTROL, decode_path, encode_path, is_normal
from edgeward.core.patterns import Pattern, compile_pattern, fill_target
from edgeward.core.rules import REDIRECT_STATUSES, RedirectRule

RuleClass = Literal["forced", "moved", "soft"]

BOUND_VALUE: Final = r"[A-Za-z0-9._~!$'()*+,;:@%\-]+"
"""What a query parameter that is bound may hold, as it was sent. Any other value, or none, does not match."""

VARY_FIELD: Final = {"Language": "Accept-Language", "Cookie": "Cookie"}

_BOUND_VALUE: Final = re.compile(BOUND_VALUE)
_MENTION: Final = re.compile(r":([A-Za-z0-9_]+)")


def class_of(rule: RedirectRule) -> RuleClass:
    """Return the class of a rule."""
    if rule.force:
        return "forced"
    return "soft" if rule.status in {200, 404} else "moved"


@dataclass(frozen=True, slots=True)
class Asked:
    """What rules look at in a request. path: decoded. query: as sent."""

    host: str
    path: str
    query: str = ""
    accept_language: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that matches. bindings: values percent-encoded canonically, query values as sent. rest: the query that is
    left over. decoded: the same bindings with path values decoded.
    """

    rule: RedirectRule
    bindings: Mapping[str, str]
    decoded: Mapping[str, str]
    rest: str

    def location(self) -> str:
        """Return the Location of a 3xx rule: its target filled in, with the rest of the query behind its own."""
        target, mark, fragment = fill_target(self.rule.target or "/", self.bindings).partition("#")
        if self.rest:
            target += ("&" if "?" in target else "?") + self.rest
        return target + mark + fragment

    def page_path(self) -> str | None:
        """Return the decoded path of the page that a 200, 404, 410 or 451 rule serves.

        None: the rule names none, or what it comes to is no path (dot segments out of a query value).
        """
        if self.rule.target is None:
            return None
        raw = re.split(r"[?#]", self.rule.target, maxsplit=1)[0]
        parts = _MENTION.split(raw)
        for index, part in enumerate(parts):
            if index % 2:
                parts[index] = self.decoded.get(part, f":{part}")
                continue
            text = decode_path(part)
            if text is None:
                return None
            parts[index] = text
        path = re.sub(r"//+", "/", "".join(parts))
        return path if is_normal(path) and not CONTROL.search(path) else None


@dataclass(frozen=True)
class RuleSet:
    """The rules of one class, indexed by path where they name one exactly."""

    rules: tuple[RedirectRule, ...]
    _patterns: tuple[Pattern, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compile the patterns."""
        object.__setattr__(self, "_patterns", tuple(compile_pattern(rule.source) for rule in self.rules))

    @cached_property
    def _exact(self) -> Mapping[str, list[int]]:
        index: dict[str, list[int]] = {}
        for number, pattern in enumerate(self._patterns):
            if pattern.literal is not None:
                index.setdefault(pattern.literal, []).append(number)
        return index

    @cached_property
    def _open(self) -> tuple[int, ...]:
        return tuple(number for number, pattern in enumerate(self._patterns) if pattern.literal is None)

    def ask(self, asked: Asked) -> tuple[Hit | None, frozenset[str]]:
        """Return the first rule that matches, if any, and the fields of Vary that this class adds for the path."""
        if not self.rules:
            return None, frozenset()
        exact = self._exact.get(asked.path.removesuffix("/") or "/", [])
        hit: Hit | None = None
        vary: set[str] = set()
        for number in sorted([*exact, *self._open]) if exact else self._open:
            rule = self.rules[number]
            if rule.host is not None and rule.host != asked.host:
                continue
            if hit is not None and not rule.conditions:
                continue
            captures = self._patterns[number].match(asked.path)
            if captures is None:
                continue
            vary.update(VARY_FIELD[condition.name] for condition in rule.conditions)
            if hit is None and _conditions_hold(rule, asked):
                hit = _hit(rule, captures, asked.query)
        return hit, frozenset(vary)


def _conditions_hold(rule: RedirectRule, asked: Asked) -> bool:
    for condition in rule.conditions:
        if condition.name == "Language":
            if first_language(asked.accept_language) not in condition.values:
                return False
        elif not any(has_cookie(asked.cookie, name) for name in condition.values):
            return False
    return True


def _hit(rule: RedirectRule, captures: Mapping[str, str], query: str) -> Hit | None:
    encoded = {name: encode_path(value) for name, value in captures.items()}
    if not rule.params:
        return Hit(rule, encoded, captures, query)
    pieces = query.split("&")
    bound: dict[str, str] = {}
    consumed: set[int] = set()
    for name, wanted in rule.params:
        index = next((number for number, piece in enumerate(pieces) if piece.startswith(f"{name}=")), None)
        if index is None:
            return None
        value = pieces[index][len(name) + 1 :]
        if wanted.startswith(":"):
            if not _BOUND_VALUE.fullmatch(value):
                return None
            bound[wanted[1:]] = value
        elif value != wanted:
            return None
        consumed.add(index)
    rest = "&".join(piece for number, piece in enumerate(pieces) if number not in consumed)
    return Hit(rule, {**encoded, **bound}, {**captures, **bound}, rest)


@dataclass(frozen=True)
class RuleBook:
    """All redirect rules of a release, by class."""

    forced: RuleSet
    moved: RuleSet
    soft: RuleSet


def compile_rules(rules: Iterable[RedirectRule]) -> RuleBook:
    """Sort rules into classes, each in file order."""
    found = list(rules)
    by_class = {name: tuple(rule for rule in found if class_of(rule) == name) for name in ("forced", "moved", "soft")}
    return RuleBook(RuleSet(by_class["forced"]), RuleSet(by_class["moved"]), RuleSet(by_class["soft"]))


def is_redirect(rule: RedirectRule) -> bool:
    """Whether a rule answers with a Location."""
    return rule.status in REDIRECT_STATUSES
