"""Rules of `_redirects` that can never match, because an earlier one always does (SITE-FORMAT section 3).

A rule covers another if every request that matches the second matches the first: its pattern is as wide or wider, and
host, parameters and conditions ask for no more. Rules are put into a tree by the segments of their patterns, in the
order in which they are asked, so that 10,000 of them are compared with the few that can cover them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from edgeward.core.patterns import Segment, compile_pattern
from edgeward.core.rulebook import BOUND_VALUE, RuleClass, class_of
from edgeward.core.rules import RedirectRule

MAX_STEPS: Final = 1_000_000
"""Comparisons before the search ends, with a warning that says so: about a second."""

_BOUND = re.compile(BOUND_VALUE)
_TURN: dict[RuleClass, int] = {"forced": 0, "moved": 1, "soft": 2}
_Key = tuple[str | None, tuple[str, str] | None, tuple[str, str] | None]


def in_order(rules: Sequence[RedirectRule]) -> list[RedirectRule]:
    """Return the rules in the order in which they are asked: by class, then as in the file."""
    return sorted(rules, key=lambda rule: _TURN[class_of(rule)])


def never_matching(rules: Sequence[RedirectRule]) -> list[tuple[int, str]]:
    """Return (line, sentence) for each rule that duplicates an earlier one or can never match, sorted by line."""
    findings: list[tuple[int, str]] = []
    first: dict[tuple[object, ...], int] = {}
    root = _Node()
    steps = 0
    for rule in in_order(rules):
        plain = (rule.source, rule.target, rule.status, rule.force, rule.host, rule.params, rule.conditions)
        if plain in first:
            findings.append((rule.line, f"an exact duplicate of line {first[plain]}"))
            continue
        first[plain] = rule.line
        segments = compile_pattern(rule.source).segments
        cover: RedirectRule | None = None
        for other in _candidates(root, segments, rule):
            steps += 1
            if other is not None and _asks_no_more(other, rule):
                cover = other
                break
            if steps > MAX_STEPS:
                findings.append((rule.line, "so many rules are alike that the search for those that never match ended"))
                return sorted(findings)
        if cover is None:
            _insert(root, segments, rule)
        else:
            findings.append((rule.line, f"never matches, because line {cover.line} always does first"))
    return sorted(findings)


@dataclass(slots=True)
class _Node:
    """Rules whose patterns begin with the same segments: those that end here, and those that end here with `*`."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    name: "_Node | None" = None
    ends: dict[_Key, list[RedirectRule]] = field(default_factory=dict)
    tails: dict[_Key, list[RedirectRule]] = field(default_factory=dict)


def _insert(node: _Node, segments: Sequence[Segment], rule: RedirectRule) -> None:
    tail = False
    for segment in segments:
        if segment.kind == "literal":
            node = node.literals.setdefault(segment.text, _Node())
        elif segment.kind == "name":
            node.name = node.name or _Node()
            node = node.name
        else:
            tail = True
    param = next(iter(rule.params), None)
    wanted = None if param is None else (param[0], ":" if param[1].startswith(":") else param[1])
    table = node.tails if tail else node.ends
    condition = next(iter(rule.conditions), None)
    for value in (None,) if condition is None else condition.values:
        key = (rule.host, wanted, None if condition is None or value is None else (condition.name, value))
        table.setdefault(key, []).append(rule)


def _candidates(root: _Node, segments: Sequence[Segment], rule: RedirectRule) -> Iterator[RedirectRule | None]:
    """Yield the rules whose patterns cover `segments` and which may ask no more; None for a step without any."""
    keys = _keys(rule)
    stack = [(root, 0)]
    while stack:
        node, index = stack.pop()
        yield None
        tables = [node.tails]
        if index == len(segments):
            tables.append(node.ends)
        else:
            segment = segments[index]
            if segment.kind in {"literal", "name"} and node.name is not None:
                stack.append((node.name, index + 1))
            if segment.kind == "literal" and segment.text in node.literals:
                stack.append((node.literals[segment.text], index + 1))
        for table in tables:
            for key in keys if table else ():
                yield from table.get(key, ())


def _keys(rule: RedirectRule) -> list[_Key]:
    """The keys under which a rule that covers this one can be: its first parameter and condition are ours too."""
    hosts = {None, rule.host}
    params: set[tuple[str, str] | None] = {None}
    for name, wanted in rule.params:
        params |= {(name, ":"), (name, ":" if wanted.startswith(":") else wanted)}
    conditions = {None} | {(condition.name, condition.values[0]) for condition in rule.conditions}
    return [(host, param, condition) for host in hosts for param in params for condition in conditions]


def _asks_no_more(wide: RedirectRule, narrow: RedirectRule) -> bool:
    """Whether host, parameters and conditions of `wide` hold wherever those of `narrow` do."""
    if wide.host is not None and wide.host != narrow.host:
        return False
    sent = dict(narrow.params)
    for name, wanted in wide.params:
        value = sent.get(name)
        if value is None or (value.startswith(":") and not wanted.startswith(":")):
            return False
        if not value.startswith(":") and not (_BOUND.fullmatch(value) if wanted.startswith(":") else value == wanted):
            return False
    return all(
        any(mine.name == other.name and set(mine.values) <= set(other.values) for mine in narrow.conditions)
        for other in wide.conditions
    )
