"""Parser of `edgeward.toml` (SITE-FORMAT section 8): every problem at once, with the line of the key that has it."""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edgeward.core.hostnames import SLUG, parse_hostname
from edgeward.core.lines import Findings
from edgeward.core.patterns import compile_pattern
from edgeward.core.site import ALIAS_MODES, TRAILING_SLASHES, ProjectFile, SiteSettings
from edgeward.errors import InputError, Problem

MAX_KEEP_ASSETS_DAYS: Final = 365

_FILE_KEYS: Final = ("fleet", "site")
_SITE_KEYS: Final = (
    "name", "hostnames", "build", "clean_urls", "trailing_slash", "spa", "immutable", "keep_assets_days", "alias_mode",
    "hsts",
)  # fmt: skip
_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
_HSTS_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+|"[ -!#-[\]-~]*"))?"""
)
_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?\Z")
_QUOTES = str.maketrans({'"': None, "'": None, " ": None, "\t": None})
_MISSING: Final = object()
_UNREAD_NAME: Final = "unread"
_UNREAD_HOSTS: Final = ("unread.invalid",)
"""Stand for what could not be read (RFC 2606 section 2 keeps the domain free)."""


@dataclass(frozen=True, slots=True)
class ReadProject:
    """A file as far as it could be read. project: with defaults in place of what could not be, the names of which keys
    are `unread` (also one that is probably meant by an unknown key). problems: all that is wrong with the file.
    """

    project: ProjectFile
    unread: frozenset[str]
    problems: tuple[Problem, ...]


def parse_project_file(text: str | bytes, *, file: str = "edgeward.toml") -> ProjectFile:
    """Return what the file says. Raises InputError with every problem; an unknown key is told the nearest known one."""
    read = read_project(text, file=file)
    Findings(file, list(read.problems)).raise_if_any()
    return read.project


def read_project(text: str | bytes, *, file: str = "edgeward.toml") -> ReadProject:
    """Return what could be read of the file: for who knows the site's folder, and reports everything at once."""
    findings = Findings(file)
    values: Mapping[str, Any] | None = None
    try:
        text = (text.decode("utf-8") if isinstance(text, bytes) else text).removeprefix("\ufeff")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        findings.add(
            error.object.count(b"\n", 0, error.start) + 1, f"not UTF-8: byte 0x{error.object[error.start]:02x}"
        )
    except (ValueError, RecursionError) as error:
        found = _WHERE.search(str(error))
        line = 0 if found is None else int(found[1] or str(text).count("\n") + 1)
        findings.add(line, f"not TOML: {_WHERE.sub('', str(error))}")
    reader = _Reader(findings, text if isinstance(text, str) else text.decode("utf-8", "replace"))
    project = reader.nothing() if values is None else reader.project(values)
    return ReadProject(project, frozenset(reader.unread), tuple(findings.problems))


def check_hsts(value: str) -> str | None:
    """Return what is wrong with a value of Strict-Transport-Security (RFC 6797 section 6.1), or None."""
    names: list[str] = []
    for part in value.split(";"):
        if not part.strip(" \t"):
            continue
        found = _HSTS_DIRECTIVE.fullmatch(part.strip(" \t"))
        if found is None:
            return f"{part.strip()!r} is not a directive"
        name, argument = found[1].lower(), (found[2] or "").strip('"')
        if name in names:
            return f"`{found[1]}` is given twice"
        if name == "max-age" and not (argument.isascii() and argument.isdigit()):
            return "`max-age` is a number of seconds"
        names.append(name)
    return None if "max-age" in names else "`max-age` is missing"


@dataclass(slots=True)
class _Reader:
    """Checks the values of the file, key by key."""

    findings: Findings
    text: str
    unread: set[str] = field(default_factory=set)
    _lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._lines = self.text.split("\n")

    def nothing(self, fleet: str | None = None) -> ProjectFile:
        """Return the defaults, where no setting could be read; those that the text does not name are right."""
        said = "\n".join(line.partition("#")[0] for line in self._lines)
        self.unread.update(("name", "hostnames"), (key for key in (*_FILE_KEYS, *_SITE_KEYS) if key in said))
        return ProjectFile(SiteSettings(_UNREAD_NAME, _UNREAD_HOSTS), fleet)

    def project(self, values: Mapping[str, Any]) -> ProjectFile:
        """Return the whole file, as far as it could be read."""
        for key in values:
            if key not in _FILE_KEYS:
                hint = "; it belongs under [site]" if key in _SITE_KEYS else _nearest(key, _FILE_KEYS)
                self._add(None, key, f"unknown key `{key}`{hint}")
                self.unread.update(_similar(key, _SITE_KEYS))
        fleet = self._read(None, values, "fleet", _slug)
        site = values.get("site", _MISSING)
        if site is _MISSING:
            self.findings.add(0, "there is no [site]")
        elif not isinstance(site, dict):
            self._add(None, "site", "`site` is a table: write [site]")
        if not isinstance(site, dict):
            return self.nothing(fleet)
        for key in site:
            if key not in _SITE_KEYS:
                hint = "; it belongs at the top, before [site]" if key == "fleet" else _nearest(key, _SITE_KEYS)
                self._add("site", key, f"unknown key `{key}` in [site]{hint}")
                self.unread.update(_similar(key, _SITE_KEYS))
        build = self._read("site", site, "build", _folder)
        return ProjectFile(site=self._settings(site), fleet=fleet, build=build)

    def _settings(self, site: Mapping[str, Any]) -> SiteSettings:
        for key in ("name", "hostnames"):
            if key not in site:
                self._add(None, "site", f"`{key}` is missing in [site]")
                self.unread.add(key)
        name = self._read("site", site, "name", _slug)
        given = {
            "clean_urls": self._read("site", site, "clean_urls", _boolean),
            "trailing_slash": self._read("site", site, "trailing_slash", _choice(TRAILING_SLASHES)),
            "spa": self._read("site", site, "spa", _boolean),
            "keep_assets_days": self._read("site", site, "keep_assets_days", _days),
            "alias_mode": self._read("site", site, "alias_mode", _choice(ALIAS_MODES)),
            "hsts": self._read("site", site, "hsts", _hsts),
        }
        hostnames = self._list("hostnames", site, parse_hostname, 'a list of names, as in ["example.com"]')
        if hostnames == ():
            self._add("site", "hostnames", "`hostnames` is empty; a site has at least one")
        immutable = None
        if site.get("immutable", "auto") != "auto":
            immutable = self._list(
                "immutable", site, _pattern, '"auto" or a list of path patterns, as in ["/assets/*"]'
            )
        chosen = {key: value for key, value in given.items() if value is not None}
        return SiteSettings(name or _UNREAD_NAME, hostnames or _UNREAD_HOSTS, immutable=immutable, **chosen)

    def _read(self, table: str | None, values: Mapping[str, Any], key: str, parse: Callable[[Any], Any]) -> Any:
        """Return the parsed value of a key, None if it is absent or wrong (which is noted)."""
        if key not in values:
            return None
        try:
            return parse(values[key])
        except InputError as error:
            self._add(table, key, f"`{key}` {error.message}")
            return None

    def _list(
        self,
        key: str,
        site: Mapping[str, Any],
        parse: Callable[[str], str],
        wanted: str,
    ) -> tuple[str, ...] | None:
        """Return a list of parsed strings, each once; None if it is absent or anything in it is wrong (noted)."""
        listed = site.get(key)
        if listed is None:
            return None
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            self._add("site", key, f"`{key}` is {wanted}, not {_shown(listed)}")
            return None
        seen: list[str] = []
        wrong = False
        for item in listed:
            try:
                parsed = parse(item)
            except InputError as error:
                self._add("site", key, f"`{key}`: {error.message}", item)
                wrong = True
                continue
            if parsed in seen:
                self._add("site", key, f"`{key}` names {parsed!r} twice", item, again=True)
                wrong = True
            seen.append(parsed)
        return None if wrong else tuple(seen)

    def _add(self, table: str | None, key: str, message: str, item: str | None = None, *, again: bool = False) -> None:
        """Note a problem at the line of a key, or of an item of its list as far as it can be found."""
        self.unread.add(key)
        line = self._line_of(table, key)
        if line and item is not None:
            quoted = [number for number, text in enumerate(self._lines[line - 1 :], start=line) if _holds(text, item)]
            line = (quoted[min(len(quoted) - 1, int(again))]) if quoted else line
        self.findings.add(line, message)

    def _line_of(self, table: str | None, key: str) -> int:
        """Return the line on which a key or table header stands; that of the table, or 0, where it cannot be told."""
        current = ""
        fallback = 0
        for number, text in enumerate(self._lines, start=1):
            header = _TABLE.match(text)
            if header:
                current = header[1].translate(_QUOTES)
                if current == (key if table is None else table):
                    if table is None:
                        return number
                    fallback = number
                continue
            name = text.partition("=")[0].translate(_QUOTES).strip() if "=" in text else ""
            full = f"{current}.{name}" if current else name
            if full == (key if table is None else f"{table}.{key}"):
                return number
            if not fallback and (full.partition(".")[0] == (table or key)):
                fallback = number
        return fallback


def _holds(text: str, item: str) -> bool:
    return f'"{item}"' in text or f"'{item}'" in text


def _nearest(key: str, known: tuple[str, ...]) -> str:
    """Name the known key that is nearest: one that goes on as this one begins, else the one with most in common."""
    near = _similar(key, known)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; the nearest known one is `{difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]}`"


def _similar(key: str, known: tuple[str, ...]) -> list[str]:
    return [name for name in known if key and name.startswith(key)] or difflib.get_close_matches(key, known, n=1)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"is a string, not {_shown(value)}")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"is true or false, not {_shown(value)}")
    return value


def _slug(value: Any) -> str:
    if not SLUG.fullmatch(_string(value)):
        raise InputError(f"is 1 to 63 lower-case letters, digits and inner hyphens, not {_shown(value)}")
    return str(value)


def _folder(value: Any) -> str:
    if not _string(value) or "\0" in value:
        raise InputError(f"is a folder, relative to this file, not {_shown(value)}")
    return str(value)


def _days(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_KEEP_ASSETS_DAYS:
        raise InputError(f"is a number of days from 0 to {MAX_KEEP_ASSETS_DAYS}, not {_shown(value)}")
    return value


def _choice(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise InputError(f"is {' or '.join(f'{choice!r}' for choice in choices)}, not {_shown(value)}")
        return str(value)

    return parse


def _hsts(value: Any) -> str:
    wrong = check_hsts(_string(value))
    if wrong:
        raise InputError(f'is a value of Strict-Transport-Security such as "max-age=31536000", but {wrong}')
    return str(value)


def _pattern(value: str) -> str:
    return compile_pattern(value).text
