"""Loops of redirect rules that are certain: every request that starts one is redirected for ever.

A rule is followed symbolically: its target has a shape (`shapes`), and what the next rule makes of that is "always",
"never" or "perhaps". Only a way on which every step is "always" counts, so that a rule is never refused for a loop that
some request escapes from: by an entry that shadows a rule, by a condition, by a parameter. A way ends without a finding
wherever it is not certain.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from edgeward.core.coverage import never_matching
from edgeward.core.patterns import SPLAT, compile_pattern, mentions, split_origin
from edgeward.core.resolve import RESERVED
from edgeward.core.rule_tree import UNKNOWN, RuleNode, Steps, insert, meeting
from edgeward.core.rulebook import BOUND_VALUE, class_of
from edgeward.core.rules import REDIRECT_STATUSES, RedirectRule
from edgeward.core.shapes import Tokens, bind, fill_shape, matches_all, shape_of, within
from edgeward.core.site import AliasMode
from edgeward.errors import InputError

MAX_STEPS: Final = 1_000_000
"""Comparisons before the search ends: a few seconds at most. 10,000 rules of the usual forms need a tenth of them."""
MAX_STEPS_OF_A_RULE: Final = 250_000
"""Comparisons for what one rule leads to, so that one that copies what it matches leaves the others their share."""

_OF_THE_EDGE: Final = {prefix.split("/")[1] for prefix in RESERVED}
"""First segments of paths that an edge may answer itself, whatever the rules say."""
_GIVEN_UP: Final = (
    f"what it leads to was not found out in {MAX_STEPS_OF_A_RULE:,} steps; a loop that it leads into is not reported"
)
_ENDED: Final = (
    f"the search for loops ended here after {MAX_STEPS:,} steps; loops on this line and below are not reported"
)
_LINES_NAMED: Final = 10
_BOUND = re.compile(BOUND_VALUE)
_MENTION = re.compile(r"(:[A-Za-z0-9_]+)")

MayBeEntry = Callable[[Tokens, bool | None], bool]
"""Whether some path of that form may be answered by an entry (segments; whether it ends in a slash, None: either)."""

_Verdict = Literal["always", "never", "perhaps"]


@dataclass(frozen=True, slots=True)
class _State:
    """Requests that look alike.

    host: None = any of the site's. slash: whether the path ends in one, None = either. query: what is known of the
    first values of parameters; None = some value that a placeholder can bind.
    """

    host: str | None
    tokens: Tokens
    slash: bool | None
    query: tuple[tuple[str, str | None], ...]
    languages: frozenset[str] | None


@dataclass(slots=True)
class _Search:
    rules: Sequence[RedirectRule]
    hostnames: tuple[str, ...]
    alias_mode: AliasMode | None
    may_be_entry: MayBeEntry | None
    trees: tuple[RuleNode, RuleNode]
    seen: set[_State] = field(default_factory=set)
    steps: Steps = field(default_factory=lambda: Steps(MAX_STEPS))
    doomed: set[int] = field(default_factory=set)
    """Rules that are known to send every request that they answer round for ever."""
    unfinished: dict[int, list[int]] = field(default_factory=dict)
    """Rules that were not followed to the end, with those that they lead to as far as that is known."""

    def host(self, host: str | None) -> str | None:
        """Return the host on which rules see a request; None if it may be several."""
        if self.alias_mode == "redirect" or len(self.hostnames) == 1:
            return self.hostnames[0]
        return host


@dataclass(frozen=True, slots=True)
class Loops:
    """What a search found, as (line, sentence), sorted by line. certain: loops. given_up: where it ended too early."""

    certain: tuple[tuple[int, str], ...]
    given_up: tuple[tuple[int, str], ...]


def find_loops(
    rules: Sequence[RedirectRule],
    hostnames: tuple[str, ...],
    *,
    alias_mode: AliasMode | None = None,
    may_be_entry: MayBeEntry | None = None,
    idle: Collection[int] | None = None,
) -> Loops:
    """Return each loop, once, at the first of its lines, and the lines of rules that were not followed to the end.

    hostnames: at least one, the canonical one first. alias_mode None: not known, so no way leads over an alias.
    may_be_entry None: the entries are not known, so only rules with `!`, which entries do not shadow, and rules that
    lead to the very same request are certain. idle: lines of rules that never match, None = to be found here.
    """
    if idle is None:
        idle = {line for line, _ in never_matching(rules)}
    search = _search(rules, hostnames, alias_mode, may_be_entry)
    found: dict[frozenset[int], list[int]] = {}
    ended: list[tuple[int, str]] = []
    looping: set[int] = set()
    for index, rule in enumerate(rules):
        on_alias = alias_mode == "redirect" and rule.host not in {None, hostnames[0]}
        if index in looping or rule.status not in REDIRECT_STATUSES or rule.line in idle or on_alias:
            continue
        if search.steps.done > MAX_STEPS:
            ended.append((rule.line, _ENDED))
            break
        cycle = _follow(search, index)
        if cycle:
            found.setdefault(frozenset(cycle), cycle)
            looping.update(cycle)
    # One that leads to a rule which was found out later is found out as well.
    lost = (start for start, way in search.unfinished.items() if search.doomed.isdisjoint(way))
    return Loops(
        tuple(sorted(_sentence(rules, hostnames, cycle) for cycle in found.values())),
        (*((rules[start].line, _GIVEN_UP) for start in lost), *ended),
    )


def _search(
    rules: Sequence[RedirectRule],
    hostnames: tuple[str, ...],
    alias_mode: AliasMode | None,
    may_be_entry: MayBeEntry | None,
) -> _Search:
    """Return a search with its trees of rules: those that are asked before the entries, and those right after."""
    search = _Search(rules, hostnames, alias_mode, may_be_entry, (RuleNode(0), RuleNode(0)))
    for index, rule in enumerate(rules):
        kind = class_of(rule)
        if kind != "soft":
            insert(search.trees[kind != "forced"], rule, index)
    return search


def _sentence(rules: Sequence[RedirectRule], hostnames: tuple[str, ...], cycle: Sequence[int]) -> tuple[int, str]:
    lines = [rules[index].line for index in cycle]
    start = lines.index(min(lines))
    lines = lines[start:] + lines[:start]
    if len(lines) > _LINES_NAMED:
        first = " to line ".join(map(str, lines[:3]))
        return lines[0], f"a loop: redirects for ever from line {first} and on through {len(lines):,} rules"
    if len(lines) > 1:
        return lines[0], f"a loop: redirects for ever from line {' to line '.join(map(str, [*lines, lines[0]]))}"
    rule = rules[cycle[0]]
    host = split_origin(rule.target or "")[0].partition("://")[2]
    why = ""
    if host and host != hostnames[0]:
        why = f" (the alias {host} redirects to {hostnames[0]})"
    elif host and host == rule.host:
        why = " (the scheme is not compared; HTTPS needs no rule)"
    return lines[0], f"a loop: redirects to itself for ever{why}"


def _follow(search: _Search, start: int) -> list[int] | None:
    """The rules (by index) of the loop that rule `start` certainly leads into, or None if it is known already or there
    is none.
    """
    cycle = _walk(search, start)
    if cycle:
        search.doomed.add(start)
    return cycle


def _walk(search: _Search, start: int) -> list[int] | None:
    rule = search.rules[start]
    segments = compile_pattern(rule.source).segments
    state = _State(
        host=search.host(rule.host),
        tokens=shape_of(segments),
        slash=None,
        query=tuple((name, None if wanted.startswith(":") else wanted) for name, wanted in rule.params),
        languages=next((frozenset(item.values) for item in rule.conditions if item.name == "Language"), None),
    )
    way: list[int] = []
    places: dict[_State, int] = {}
    by_rule: dict[int, list[_State]] = {}
    fired = start
    search.steps.limit = search.steps.done + MAX_STEPS_OF_A_RULE
    while not search.steps.over():
        if _same_request(search.rules[fired], state):
            return [fired]
        after = _after(search, search.rules[fired], state)
        if after is None:
            break
        state = after
        if state in places:
            return way[places[state] :]
        if state in search.seen:
            break
        search.seen.add(state)
        search.steps.done += len(state.tokens)
        following = _firing(search, state)
        if following is None:
            break
        fired = following
        if fired in search.doomed:
            search.doomed.add(start)
            break
        rivals = by_rule.get(fired, ())
        wider = next((it for it in rivals if not search.steps.over() and _within(search, state, it)), None)
        if wider is not None:
            return way[places[wider] :]
        by_rule.setdefault(fired, []).append(state)
        places[state] = len(way)
        way.append(fired)
    if search.steps.over():
        search.unfinished[start] = way
    return None


def _same_request(rule: RedirectRule, state: _State) -> bool:
    """Whether the rule leads each request that it answers to the very same request, as `/a/* /a/:splat` does.

    Only a final `:splat` keeps a trailing slash; where it adds one (`/a` to `/a/`), entries answer both or neither.
    """
    origin, rest = split_origin(rule.target or "")
    if rule.params or not rest.endswith(f"/:{SPLAT}"):
        return False
    if origin and (state.host is None or origin.partition("://")[2] != state.host):
        return False
    try:
        return compile_pattern(rest.removesuffix(f":{SPLAT}") + "*").text == rule.source
    except InputError:
        return False


def _after(search: _Search, rule: RedirectRule, state: _State) -> _State | None:
    """Return the request that follows when the rule answers one of `state`; None if it is not known or not ours."""
    origin, rest = split_origin(rule.target or "")
    host = state.host
    if origin:
        host = origin.partition("://")[2]
        if host not in search.hostnames or (search.alias_mode is None and host != search.hostnames[0]):
            return None
        host = search.host(host)
    path, _, query = rest.partition("#")[0].partition("?")
    params = {wanted[1:]: dict(state.query).get(name) for name, wanted in rule.params if wanted.startswith(":")}
    bindings = bind(compile_pattern(rule.source).segments, state.tokens)
    tokens = fill_shape(path, bindings)
    known = _query(query, params)
    if tokens is None or known is None:
        return None
    consumed = {name for name, _ in rule.params}
    for name, value in state.query:
        if name not in consumed:
            known.setdefault(name, value)
    slash: bool | None = path.endswith("/") or not tokens
    if path.endswith(f":{SPLAT}"):
        slash = True if path.endswith(f"/:{SPLAT}") and not bindings[SPLAT] else state.slash
    return _State(host, tokens, slash, tuple(sorted(known.items())), state.languages)


def _query(query: str, params: Mapping[str, str | None]) -> dict[str, str | None] | None:
    """Return the first values of a target's own query; None if even the names depend on what is bound."""
    known: dict[str, str | None] = {}
    for piece in query.split("&"):
        name, equals, value = piece.partition("=")
        if mentions(name):
            return None
        if equals and _MENTION.fullmatch(value) and value[1:] in params:
            known.setdefault(name, params[value[1:]])
        elif equals:
            known.setdefault(name, UNKNOWN if mentions(value) else value)
    return known


def _within(search: _Search, narrow: _State, wide: _State) -> bool:
    """Whether every request of `narrow` is one of `wide`, going by what each says."""
    search.steps.done += len(narrow.tokens) * len(wide.tokens)
    if narrow.host != wide.host or narrow.languages != wide.languages or narrow.query != wide.query:
        return False
    return within(narrow.tokens, wide.tokens)


def _firing(search: _Search, state: _State) -> int | None:
    """Return the redirecting rule that answers every request of `state`, or None if that is not certain."""
    if state.tokens and state.tokens[0] in _OF_THE_EDGE:
        return None
    for moved, tree in enumerate(search.trees):
        if moved and (search.may_be_entry is None or search.may_be_entry(state.tokens, state.slash)):
            return None
        for index in meeting(tree, state.tokens, dict(state.query), search.steps):
            verdict = _verdict(search.rules[index], state)
            if verdict == "always":
                return index if search.rules[index].status in REDIRECT_STATUSES else None
            if verdict == "perhaps":
                return None
        if search.steps.over():
            return None
    return None


def _verdict(rule: RedirectRule, state: _State) -> _Verdict:
    """Whether the rule, whose pattern matches some path of `state`, matches all its requests."""
    certain = matches_all(compile_pattern(rule.source).segments, state.tokens)
    if rule.host is not None and rule.host != state.host:
        if state.host is not None:
            return "never"
        certain = False
    known = dict(state.query)
    for name, wanted in rule.params:
        value = known.get(name, UNKNOWN)
        if value == UNKNOWN or (value is None and not wanted.startswith(":")):
            certain = False
        elif value is not None and not (_BOUND.fullmatch(value) if wanted.startswith(":") else value == wanted):
            return "never"
    for condition in rule.conditions:
        if condition.name == "Cookie" or state.languages is None or not state.languages & set(condition.values):
            if condition.name == "Language" and state.languages is not None:
                return "never"
            certain = False
        elif not state.languages <= set(condition.values):
            certain = False
    return "always" if certain else "perhaps"
