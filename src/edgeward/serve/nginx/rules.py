"""Redirect rules (SITE-FORMAT section 3) as maps: for each class of a site one, whose value is what is to be done.

The key of such a map is made of lines: path (canonically encoded), and, where a rule of the class looks at them,
decoded path, host, language, query and cookies. Its value is made of four lines as well: an act, a target, the query
that is left over, a fragment. Acts: `301` and the like redirect; `200 entry` serves the entry of that path with that
status, `200 find` the entry that answers the decoded path; `410 page` the built-in page; `404 near` the nearest
`404.html`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from edgeward.core.negotiate import LANGUAGE_REGEX
from edgeward.core.paths import decode_path
from edgeward.core.patterns import SPLAT, Pattern, compile_pattern, fill_target, split_origin
from edgeward.core.release import Manifest
from edgeward.core.rulebook import BOUND_VALUE, Hit, RuleClass, class_of, is_redirect
from edgeward.core.rules import RedirectRule
from edgeward.core.urls import find_entry
from edgeward.serve.nginx.book import Book, Case, matching, when
from edgeward.serve.nginx.patterns import ends_in_splat, filled, full, splat_empty, splat_filled
from edgeward.serve.nginx.quote import Value, variable

CLASSES: Final[tuple[RuleClass, ...]] = ("forced", "moved", "soft")
PATH: Final = variable("ew_path")
_LINE: Final = Value("\\n")
_LINES: Final = ("path", "uri", "host", "language", "args", "cookie")
_ANY: Final = r"[^\n]*"
_MENTION: Final = re.compile(r":([A-Za-z0-9_]+)")
_MANY: Final = 8
"""Rules for one exact path each, from which on they are looked up in a hash table."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """A regex for each line of the key that a rule looks at."""

    path: str
    uri: str | None = None
    host: str | None = None
    language: str | None = None
    args: str | None = None
    cookie: str | None = None

    def lines(self) -> dict[str, str]:
        """Return what is asked of which line."""
        return {name: asked for name in _LINES if (asked := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class _Answer:
    """One way in which a rule matches, and what it then gives."""

    ask: _Ask
    gives: Value


def rule_maps(book: Book, manifest: Manifest) -> dict[RuleClass, Value]:
    """Return, for each class that the site has rules of, the variable that says what is to be done; empty: nothing."""
    made: dict[RuleClass, Value] = {}
    for name in CLASSES:
        rules = [rule for rule in manifest.redirects if class_of(rule) == name]
        if rules:
            made[name] = _class_map(book, manifest, name, rules)
    return made


def vary_maps(book: Book, manifest: Manifest) -> dict[str, Value]:
    """Return, for each condition (Language, Cookie) of the site, a variable that is 1 where Vary must name its field.

    A class counts once it has been reached: `$ew_reached` holds the letters of the classes that were.
    """
    cases: dict[str, list[Case]] = {}
    for rule in manifest.redirects:
        host = re.escape(rule.host) if rule.host else _ANY
        path, _ = full(compile_pattern(rule.source))
        for condition in {condition.name for condition in rule.conditions}:
            regex = rf"^[a-z]*{class_of(rule)[0]}[a-z]*\n{host}\n{path}$"
            cases.setdefault(condition, []).append(matching(regex, Value("1")))
    source = Value(variable("ew_reached") + _LINE + variable("host") + _LINE + PATH)
    return {name: book.map(f"ew_varies_{name.lower()}", source, found, Value("")) for name, found in cases.items()}


def longest_ask(rule: RedirectRule) -> str:
    """Return the longest regex that a map of rules may hold for a rule: what it asks of every line of a key."""
    pattern = compile_pattern(rule.source)
    paths = [full(pattern)[0], full(pattern, encoded=False)[0]]
    asks = [
        _conditions(rule, path=path, uri=_ANY, args=args).lines()
        for path in paths
        for args, _, _ in _queries(Book(), rule)
    ]
    return max(("^" + r"\n".join(ask.get(line, _ANY) for line in _LINES) + "$" for ask in asks), key=len)


def _class_map(book: Book, manifest: Manifest, name: RuleClass, rules: list[RedirectRule]) -> Value:
    exact, others = _split(rules)
    answers = [answer for rule in others for answer in _answers(book, manifest, rule)]
    used = {line for answer in answers for line in answer.ask.lines()} | {"path"}
    sources = {
        "path": PATH,
        "uri": variable("uri"),
        "host": variable("host"),
        "language": _language(book) if "language" in used else Value(""),
        "args": variable("args"),
        "cookie": variable("http_cookie"),
    }
    lines = [line for line in sources if line in used]
    source = Value(_LINE.join(sources[line] for line in lines))
    cases = [
        matching("^" + r"\n".join(answer.ask.lines().get(line, _ANY) for line in lines) + "$", answer.gives)
        for answer in answers
    ]
    found = book.map(f"ew_site_{name}", source, cases, Value(""))
    if not exact:
        return found
    return _exact_map(book, manifest, name, exact, found)


def _exact_map(
    book: Book, manifest: Manifest, name: RuleClass, exact: Mapping[str, RedirectRule], otherwise: Value
) -> Value:
    """Look up rules for one exact path each in a hash table.

    nginx compares keys without regard to case: the value begins with the path as it was written, and a second map
    takes only what is equal in that.
    """
    bare = book.map(
        "ew_bare_path", PATH, [matching("^(?<ew_bare>/.*[^/])/$", variable("ew_bare"))], PATH,
        why="the path without a slash at its end",
    )  # fmt: skip
    cases = []
    for path, rule in exact.items():
        (answer,) = _answers(book, manifest, rule)
        cases.append(when(path, book.concatenated([book.literal(path), _LINE, answer.gives])))
    table = book.map(f"ew_site_{name}_table", bare, cases, Value(""))
    same = matching(r"^(?<ew_same>[^\n]+)\n\k<ew_same>\n(?<ew_found>[^\x00]*)$", variable("ew_found"))
    return book.map(f"ew_site_{name}_exact", Value(bare + _LINE + table), [same], otherwise)


def _split(rules: list[RedirectRule]) -> tuple[dict[str, RedirectRule], list[RedirectRule]]:
    """Return the rules that a hash table by encoded path can answer, and the others in their order."""
    exact: dict[str, RedirectRule] = {}
    lowered: set[str] = set()
    others: list[RedirectRule] = []
    before: list[Pattern] = []
    for rule in rules:
        pattern = compile_pattern(rule.source)
        literal = pattern.literal
        if literal is None or rule.host or rule.params or rule.conditions:
            others.append(rule)
            before.append(pattern)
            continue
        regex_path = pattern.regex(encoded=True)
        path = _unescaped(regex_path)
        if path in exact:
            continue
        if path.lower() in lowered or any(earlier.match(literal) is not None for earlier in before):
            others.append(rule)
            before.append(pattern)
            continue
        lowered.add(path.lower())
        exact[path] = rule
    if len(exact) < _MANY:
        return {}, rules
    return exact, others


def _unescaped(regex: str) -> str:
    """Return the encoded path that the regex of a literal pattern stands for, without a slash at its end."""
    return re.sub(r"\\(.)", r"\1", regex.removesuffix("/?") or "/")


def _answers(book: Book, manifest: Manifest, rule: RedirectRule) -> Iterator[_Answer]:
    if is_redirect(rule):
        yield from _redirect_answers(book, rule)
    else:
        yield from _page_answers(book, manifest, rule)


def _redirect_answers(book: Book, rule: RedirectRule) -> Iterator[_Answer]:
    pattern = compile_pattern(rule.source)
    target = rule.target or "/"
    _, rest = split_origin(target)
    ways = [(*full(pattern), target)]
    if ends_in_splat(pattern) and rest.startswith(f"/:{SPLAT}/"):
        # An empty splat must not leave `//` at the beginning of a path.
        bare = fill_target(target, {SPLAT: ""})
        ways = [(*splat_empty(pattern), bare), (*splat_filled(pattern)[:2], target)]
    for path, groups, template in ways:
        for args, bound, left in _queries(book, rule):
            origin, rest = split_origin(template)
            before, mark, fragment = rest.partition("#")
            values = {**groups, **bound}
            gives = [Value(str(rule.status)), _LINE, book.literal(origin), *filled(book, before, values), _LINE]
            gives += [left, _LINE, *filled(book, mark + fragment, values)]
            yield _Answer(_conditions(rule, path=path, args=args), book.concatenated(gives))


def _page_answers(book: Book, manifest: Manifest, rule: RedirectRule) -> Iterator[_Answer]:
    pattern = compile_pattern(rule.source)
    if rule.target is None or not _MENTION.search(rule.target):
        path, _ = full(pattern)
        act = _static_act(book, manifest, rule)
        for args, _, _ in _queries(book, rule):
            yield _Answer(_conditions(rule, path=path, args=args), book.concatenated([act, _LINE, _LINE]))
        return
    raw = re.split(r"[?#]", rule.target, maxsplit=1)[0]
    ways = [(*full(pattern, encoded=False), Value(""), False)]
    if ends_in_splat(pattern) and f":{SPLAT}" in raw:
        ways = [(*splat_empty(pattern, encoded=False), Value(""), True)]
        ways.append((*splat_filled(pattern, encoded=False), False))
    for uri, groups, bare, empty in ways:
        for args, bound, _ in _queries(book, rule):
            target = _page_path(book, raw, {**groups, **bound}, bare, empty=empty)
            gives = [Value(f"{rule.status} find"), _LINE, *target, _LINE, _LINE]
            yield _Answer(_conditions(rule, path=_ANY, uri=uri, args=args), book.concatenated(gives))


def _static_act(book: Book, manifest: Manifest, rule: RedirectRule) -> Value:
    """Return act and target of a rule that serves a page which is known beforehand."""
    if rule.target is None:
        return Value("404 near\\n") if rule.status == 404 else Value(f"{rule.status} page\\n")
    path = Hit(rule, {}, {}, "").page_path()
    entry = None if path is None else find_entry(manifest.settings, manifest.by_path, path)
    return Value("404 near\\n") if entry is None else Value(f"{rule.status} entry\\n{book.literal(entry.path)}")


def _page_path(book: Book, raw: str, groups: Mapping[str, Value], bare: Value, *, empty: bool) -> list[Value]:
    """Return the decoded path of a target with what is bound put in, and with no slash twice in a row."""
    parts = _MENTION.split(raw)
    made: list[Value] = []
    last = ""
    for index, part in enumerate(parts):
        if index % 2:
            follows = parts[index + 1][:1]
            if part == SPLAT and not empty:
                made.append(bare if follows == "/" else groups[SPLAT])
            elif part in groups:
                made.append(groups[part])
            else:
                made.append(book.literal(f":{part}"))
            last = last if part == SPLAT and empty else "x"
            continue
        text = re.sub(r"//+", "/", decode_path(part) or "")
        if last == "/" and text.startswith("/"):
            text = text[1:]
        if text:
            made.append(book.literal(text))
            last = text[-1]
    return made


def _queries(book: Book, rule: RedirectRule) -> Iterator[tuple[str | None, dict[str, Value], Value]]:
    """Yield for each way in which the query can hold the rule's parameters: regex, bound values, what is left over."""
    if not rule.params:
        yield None, {}, variable("args")
        return
    bound = {
        wanted[1:]: variable(f"ew_q{number}")
        for number, (_, wanted) in enumerate(rule.params)
        if wanted.startswith(":")
    }
    values = [
        f"(?<ew_q{number}>{BOUND_VALUE})" if wanted.startswith(":") else re.escape(wanted)
        for number, (_, wanted) in enumerate(rule.params)
    ]
    names = [re.escape(name) + "=" for name, _ in rule.params]
    if len(names) == 1:
        name, found = names[0], values[0]
        other = rf"(?!{name})[^&\n]*"
        yield rf"(?<ew_qa>(?:{other}&)*){name}{found}&(?<ew_qb>[^\n]*)", bound, Value("${ew_qa}${ew_qb}")
        yield rf"(?:(?<ew_qa>(?:{other}&)*{other})&)?{name}{found}", bound, variable("ew_qa")
        return
    left = variable("args")
    for name in names:
        left = _without(book, left, name)
    ahead = [rf"(?=(?:(?!{name})[^&\n]*&)*{name}{found}(?:[&\n]|$))" for name, found in zip(names, values, strict=True)]
    yield "".join(ahead) + _ANY, bound, left


def _without(book: Book, query: Value, name: str) -> Value:
    """Return the variable that holds a query without its first parameter of that name (a regex with `=` behind it)."""
    other = rf"(?!{name})[^&]*"
    cases = [
        matching(rf"^(?<ew_wa>(?:{other}&)*){name}[^&]*&(?<ew_wb>.*)$", Value("${ew_wa}${ew_wb}")),
        matching(rf"^(?:(?<ew_wa>(?:{other}&)*{other})&)?{name}[^&]*$", variable("ew_wa")),
    ]
    return book.map("ew_query_rest", query, cases, query)


def _conditions(rule: RedirectRule, *, path: str, uri: str | None = None, args: str | None = None) -> _Ask:
    language: str | None = None
    cookies: list[str] = []
    for condition in rule.conditions:
        names = "|".join(re.escape(value) for value in condition.values)
        if condition.name == "Language":
            language = f"(?i:{names})"
        else:
            cookies.append(rf"(?=(?:[^\n]*;)?[ \t]*(?:{names})=)")
    return _Ask(
        path=path,
        uri=uri,
        host=re.escape(rule.host) if rule.host else None,
        language=language,
        args=args,
        cookie="".join(cookies) + _ANY if cookies else None,
    )


def _language(book: Book) -> Value:
    regex = LANGUAGE_REGEX.replace("([A-Za-z]", "(?<ew_tag>[A-Za-z]", 1)
    return book.map(
        "ew_language", variable("http_accept_language"), [matching(regex, variable("ew_tag"))], Value(""),
        why="the primary subtag of the first language that the client asks for",
    )  # fmt: skip
