"""Parser of `_redirects` (SITE-FORMAT section 3): bytes in, rules and warnings out, or every problem at once.

from [param=:name ...] [to] [status[!]] [Condition=value ...]     # comment
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from edgeward.core.coverage import never_matching
from edgeward.core.hostnames import parse_hostname
from edgeward.core.lines import SPACE, Findings, read_lines, words
from edgeward.core.loops import find_loops
from edgeward.core.paths import decode_path
from edgeward.core.patterns import SPLAT, compile_pattern, mentions, split_origin
from edgeward.core.rules import REDIRECT_STATUSES, RULE_STATUSES, Condition, RedirectRule
from edgeward.errors import InputError, Problem

MAX_RULES: Final = 10_000
MAX_LINE: Final = 2_000
"""Characters of one line."""

_COMMENT = re.compile(rf"(?:^|[{SPACE}])#.*")
_STATUS = re.compile(r"([0-9]+)(!?)")
_TARGET = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_SOURCE_HOST = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\]")
_PLACEHOLDER = re.compile(r":[A-Za-z0-9_]+")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUERY_WORD = re.compile(r"[A-Za-z0-9._~!$'()*+,;:@/?\[\]%=-]*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}")
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_URL_LEGAL = "/!$&'()*+,;=:@[]~?#%"
_REFUSED_CONDITIONS = {
    "Country": "`Country=` is refused for now: edges do not look up the country of a reader",
    "Role": "`Role=` is refused for now: edges do not know who is signed in",
}


def parse_redirects(
    data: bytes,
    *,
    hostnames: tuple[str, ...],
    file: str = "_redirects",
) -> tuple[tuple[RedirectRule, ...], tuple[Problem, ...]]:
    """Return the rules of a `_redirects` file in file order, and warnings: rules that can never match, duplicates,
    rules that were not followed far enough to know of a loop.

    hostnames: those of the site, canonical one first. Raises InputError with every problem of the file, loops that are
    certain whatever files the site has among them; those that depend on files are found by `check.check_release`.
    """
    read = read_redirects(data, hostnames=hostnames, file=file)
    idle = {problem.line for problem in read.warnings}
    loops = find_loops(read.rules, hostnames, idle=idle)
    for line, message in loops.certain:
        read.findings.add(line, message)
    read.findings.raise_if_any()
    return read.rules, (*read.warnings, *(Problem(file, line, message) for line, message in loops.given_up))


@dataclass(frozen=True, slots=True)
class ReadRules:
    """A file as far as it could be read. rules: the sound ones. findings: what is wrong with the other lines."""

    rules: tuple[RedirectRule, ...]
    warnings: tuple[Problem, ...]
    findings: Findings


def read_redirects(data: bytes, *, hostnames: tuple[str, ...] | None, file: str = "_redirects") -> ReadRules:
    """Read the file without looking for loops: for who knows the entries as well, and reports everything at once.

    hostnames None: not known, so that any may be one of the site's.
    """
    findings = Findings(file)
    rules: list[RedirectRule] = []
    count = 0
    for number, text in read_lines(data, findings, max_characters=MAX_LINE):
        fields = words(_COMMENT.sub("", text))
        if not fields:
            continue
        count += 1
        if count > MAX_RULES:
            findings.add(number, f"more than {MAX_RULES:,} rules")
            break
        reader = _Reader(hostnames)
        rule = reader.read(number, fields)
        for message in reader.problems:
            findings.add(number, message)
        if rule is not None:
            rules.append(rule)
    idle = never_matching(rules)
    return ReadRules(tuple(rules), tuple(Problem(file, line, message) for line, message in idle), findings)


@dataclass(slots=True)
class _Reader:
    """Reads one rule and notes all that is wrong with it."""

    hostnames: tuple[str, ...] | None
    problems: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    target: str | None = None
    status: int | None = None
    force: bool = False
    params: list[tuple[str, str]] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)

    def read(self, line: int, fields: Sequence[str]) -> RedirectRule | None:
        """Return the rule, or None if there are problems."""
        host, source = self._source(fields[0])
        target: str | None = None
        for word in fields[1:]:
            if _TARGET.match(word):
                if target is not None:
                    self.problems.append(f"`{word}` is a second target; the first is `{target}`")
                elif self.status is not None:
                    self.problems.append(f"the target `{word}` stands after the status; it comes before it")
                target = target or word
            elif _STATUS.fullmatch(word):
                self._status(word)
            elif "=" in word:
                if target is None and self.status is None:
                    self._param(word)
                else:
                    self._condition(word)
            else:
                self.problems.append(f"`{word}` is no path, no http(s) URL, no status and no name=value")
                target = target or word
        if target is None or _TARGET.match(target):
            self._target(target)
        if self.problems:
            return None
        return RedirectRule(
            line=line,
            host=host,
            source=source,
            params=tuple(self.params),
            target=self.target,
            status=self.status or 301,
            force=self.force,
            conditions=tuple(self.conditions),
        )

    def _source(self, word: str) -> tuple[str | None, str]:
        host: str | None = None
        path = word
        found = _SOURCE_HOST.fullmatch(word)
        try:
            if found:
                host, path = parse_hostname(found[1]), found[2] or "/"
                if self.hostnames is not None and host not in self.hostnames:
                    self.problems.append(f"{host!r} is not one of the site's hostnames ({', '.join(self.hostnames)})")
            elif not word.startswith("/"):
                self.problems.append(f"a rule begins with a path or https://host/path, not with `{word}`")
                return host, "/"
            pattern = compile_pattern(path)
        except InputError as error:
            self.problems.append(error.message)
            return host, "/"
        if any(segment.kind == "glob" for segment in pattern.segments):
            self.problems.append(f"`{path}`: `*` stands only at the end, as a whole segment (a literal one is %2A)")
        self.names.extend(pattern.names)
        return host, pattern.text

    def _status(self, word: str) -> None:
        found = _STATUS.fullmatch(word)
        assert found is not None
        if self.status is not None:
            self.problems.append(f"`{word}` is a second status")
            return
        if len(found[1]) != 3 or int(found[1]) not in RULE_STATUSES:
            allowed = ", ".join(str(status) for status in sorted(RULE_STATUSES))
            self.problems.append(f"unknown status `{word}`; there are {allowed}, each with an optional `!`")
            self.status = 301
            return
        self.status = int(found[1])
        self.force = bool(found[2])

    def _param(self, word: str) -> None:
        name, _, wanted = word.partition("=")
        if not name or not _QUERY_WORD.fullmatch(_encoded(name)) or not _QUERY_WORD.fullmatch(_encoded(wanted)):
            self.problems.append(f"`{word}` is not a query parameter (name=value or name=:placeholder)")
            return
        if _PERCENT.search(word):
            self.problems.append(f"`{word}` has a `%` that is not followed by two hex digits")
        name, wanted = _encoded(name), _encoded(wanted)
        if any(name == known for known, _ in self.params):
            self.problems.append(f"the parameter `{name}` is given twice")
        if wanted.startswith(":"):
            bound = wanted[1:]
            if not _PLACEHOLDER.fullmatch(wanted):
                self.problems.append(f"`{word}`: `{wanted}` is not a placeholder (a literal colon is written %3A)")
            elif bound == SPLAT:
                self.problems.append(f"`{word}`: `:splat` is the name of what `*` matches; choose another")
            elif bound in self.names:
                self.problems.append(f"`:{bound}` is bound twice")
            self.names.append(bound)
        self.params.append((name, wanted))

    def _condition(self, word: str) -> None:
        name, _, listed = word.partition("=")
        values = listed.split(",")
        if name in _REFUSED_CONDITIONS:
            self.problems.append(_REFUSED_CONDITIONS[name])
        elif name == "Language":
            if not all(_LANGUAGE.fullmatch(value) for value in values):
                self.problems.append(f"`{word}`: a language is the primary subtag alone, as in `Language=de,fr`")
            elif any(condition.name == "Language" for condition in self.conditions):
                self.problems.append("`Language` is given twice; alternatives are separated by commas")
            else:
                self.conditions.append(Condition("Language", tuple(dict.fromkeys(map(str.lower, values)))))
        elif name == "Cookie":
            if not all(_COOKIE.fullmatch(value) for value in values):
                self.problems.append(
                    f"`{word}`: that is not a cookie name; only presence is looked at, as in `Cookie=beta`"
                )
            else:
                self.conditions.append(Condition("Cookie", tuple(dict.fromkeys(values))))
        else:
            near = difflib.get_close_matches(name.capitalize(), ("Language", "Cookie"), n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "; there are Language and Cookie"
            self.problems.append(f"unknown condition `{name}`{hint}")

    def _target(self, word: str | None) -> None:
        status = self.status or 301
        if word is None:
            if self.status is None:
                self.problems.append("the rule has no target and no status")
            elif status == 200 or status in REDIRECT_STATUSES:
                self.problems.append(f"status {status} needs a target")
            return
        try:
            origin, rest = _parse_target(word)
        except InputError as error:
            self.problems.append(error.message)
            return
        for name in dict.fromkeys(mentions(rest)):
            if name not in self.names:
                self.problems.append(f"`:{name}` in `{word}` is bound by nothing (a literal colon is written %3A)")
        page = status not in REDIRECT_STATUSES
        own = not origin or (page if self.hostnames is None else origin.partition("://")[2] in self.hostnames)
        if own:
            self._own_target(word, rest, status)
        elif status == 200:
            self.problems.append(f"`{word}`: a 200 to another host is a proxy rule, which is refused for now")
        elif page:
            self.problems.append(f"`{word}`: status {status} serves a page of this site, not of another host")
        self.target = rest or "/" if own and page else origin + rest

    def _own_target(self, word: str, rest: str, status: int) -> None:
        path = decode_path(re.split(r"[?#]", rest, maxsplit=1)[0])
        if path is None:
            self.problems.append(f"`{word}` decodes to something that is not UTF-8, or to a control character")
        elif any(segment in {".", ".."} for segment in path.split("/")):
            self.problems.append(f"`{word}` has a dot segment; write the path that it leads to")
        if status not in REDIRECT_STATUSES and re.search(r"[?#]", rest):
            self.problems.append(f"`{word}`: a page that is served with {status} has no query and no fragment")


def _encoded(text: str) -> str:
    return quote(text, safe=_URL_LEGAL)


def _parse_target(word: str) -> tuple[str, str]:
    """Return origin ("" for a path) and the rest, as ASCII. Raises InputError."""
    if word.startswith("//"):
        raise InputError(f"`{word}` begins with `//`, which means another host; write https:// before it")
    if _PERCENT.search(word):
        raise InputError(f"`{word}` has a `%` that is not followed by two hex digits")
    if word.startswith("/"):
        return "", _encoded(word)
    if not _HTTP.match(word):
        raise InputError(f"`{word}`: a target is a path or an http(s) URL")
    origin, rest = split_origin(word)
    scheme, _, authority = origin.partition("://")
    host, colon, port = authority, "", ""
    if not authority.endswith("]"):
        host, colon, port = authority.rpartition(":") if ":" in authority else (authority, "", "")
    if "@" in authority:
        raise InputError(f"`{word}`: a target holds no user name or password")
    if authority.startswith(":") or (colon and not (port.isascii() and port.isdigit())):
        raise InputError(f"`{word}`: placeholders stand for parts of path and query, never of the host")
    if colon and not 0 < int(port[:6]) < 65536:
        raise InputError(f"`{word}`: {port} is not a port")
    try:
        host = host.lower() if _ADDRESS.fullmatch(host) else parse_hostname(host)
    except InputError as error:
        raise InputError(f"`{word}`: {error.message}") from None
    return f"{scheme.lower()}://{host}{colon}{port}", _encoded(rest)
