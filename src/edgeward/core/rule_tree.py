"""Redirect rules in a tree by the segments of their patterns: which of them can answer a path of some shape, in order.

What is known of the request decides mostly with the first one or two, so nothing is looked at before its turn:
thousands of rules for one path or below one folder cost no more than one.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edgeward.core.patterns import compile_pattern
from edgeward.core.rules import RedirectRule
from edgeward.core.shapes import Tokens, Wild

UNKNOWN: Final = "\0"
"""Stands for the value of a query parameter that is sent, but of which nothing is known."""


@dataclass(slots=True)
class Steps:
    """How much work was done, and how much may be."""

    limit: int
    done: int = 0

    def over(self) -> bool:
        """Whether the work is to end."""
        return self.done > self.limit


@dataclass(slots=True)
class _Rules:
    """Rules (by index, ascending) by the first parameter that they ask for."""

    plain: list[int] = field(default_factory=list)
    named: dict[str, list[int]] = field(default_factory=dict)
    valued: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, index: int, params: Sequence[tuple[str, str]]) -> None:
        if not params:
            self.plain.append(index)
            return
        name, wanted = params[0]
        self.named.setdefault(name, []).append(index)
        self.valued.setdefault((name, ":" if wanted.startswith(":") else wanted), []).append(index)

    def may_match(self, known: Mapping[str, str | None]) -> Iterator[list[int]]:
        """Yield lists of rules; those in none of them certainly ask for another value than the one that is known."""
        yield self.plain
        for name, rules in self.named.items():
            value = known.get(name, UNKNOWN)
            if value is None or value == UNKNOWN:
                yield rules
            else:
                yield self.valued.get((name, value), [])
                yield self.valued.get((name, ":"), [])


@dataclass(slots=True)
class RuleNode:
    """Rules whose patterns begin with the same segments, end here, or end here with `*`. least: the first of them all.

    children: in the order of their first rules.
    """

    least: int
    literals: dict[str, "RuleNode"] = field(default_factory=dict)
    name: "RuleNode | None" = None
    children: list["RuleNode"] = field(default_factory=list)
    ends: _Rules = field(default_factory=_Rules)
    tails: _Rules = field(default_factory=_Rules)


def insert(node: RuleNode, rule: RedirectRule, index: int) -> None:
    """Put a rule into the tree below `node`; the index is higher than those that are there."""
    for segment in compile_pattern(rule.source).segments:
        if segment.kind == "splat":
            node.tails.add(index, rule.params)
            return
        child = node.literals.get(segment.text) if segment.kind == "literal" else node.name
        if child is None:
            child = RuleNode(index)
            node.children.append(child)
            if segment.kind == "literal":
                node.literals[segment.text] = child
            else:
                node.name = child
        node = child
    node.ends.add(index, rule.params)


_Entry = tuple[int, int, list[int], list[RuleNode], int, int]
"""What is left, from a place on, of a list of rules, or of a list of nodes that a path may reach before its segment of
that number. First comes the least rule that can come out of it, then a number, so that no two are alike.
"""


def meeting(root: RuleNode, tokens: Tokens, known: Mapping[str, str | None], steps: Steps) -> Iterator[int]:
    """Yield the rules (by index, ascending) whose patterns match some path of that shape, until the steps are over.

    known: first values of query parameters; None = some value. A rule that asks for another value may be left out.
    """
    heap: list[_Entry] = []
    visited: set[tuple[int, int]] = set()
    last = -1

    def put(rules: list[int], nodes: list[RuleNode], at: int = 0, segment: int = 0) -> None:
        if at < len(rules) or at < len(nodes):
            steps.done += 1
            least = rules[at] if rules else nodes[at].least
            heapq.heappush(heap, (least, steps.done, rules, nodes, at, segment))

    put([], [root])
    while heap and not steps.over():
        least, _, rules, nodes, at, segment = heapq.heappop(heap)
        put(rules, nodes, at + 1, segment)
        if rules:
            if least != last:
                last = least
                yield least
            continue
        node = nodes[at]
        if (id(node), segment) not in visited:
            visited.add((id(node), segment))
            for found in _rules_at(node, known, ends=segment == len(tokens)):
                put(found, [])
            for further, where in _ways_on(node, tokens, segment):
                put([], further, 0, where)


def _rules_at(node: RuleNode, known: Mapping[str, str | None], *, ends: bool) -> Iterator[list[int]]:
    yield from node.tails.may_match(known)
    if ends:
        yield from node.ends.may_match(known)


def _ways_on(node: RuleNode, tokens: Tokens, at: int) -> Iterator[tuple[list[RuleNode], int]]:
    """Yield where a path of that shape can lead from a node: nodes, and the number of the segment that comes next."""
    if at == len(tokens):
        return
    token = tokens[at]
    if token is Wild.MANY:
        yield [node], at + 1
        yield node.children, at
    elif token is Wild.ONE:
        yield node.children, at + 1
    else:
        for child in (node.name, node.literals.get(token)):
            if child is not None:
                yield [child], at + 1
