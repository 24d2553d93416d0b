"""Reading a TOML file key by key, so that everything that is wrong with it is reported at once, with its line."""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgeward.errors import InputError, Problem

T = TypeVar("T")
_SIZE = re.compile(r"([0-9]+) ?(B|KiB|MiB|GiB|TiB)?\Z")
_UNITS = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


class Reader:
    """A parsed TOML file and the problems found in it so far. Raises InputError at once if it is not TOML."""

    def __init__(self, text: str, *, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines = text.splitlines()
        try:
            self._value = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            problem = Problem(file, int(found[1]) if found else 0, f"not TOML: {error}")
            raise InputError(f"{file} is not a TOML file: {error}", [problem]) from error
        self._tables: set[str] = set()

    def table(self, name: str) -> "Table | None":
        """Return the table of that name ("" is the file itself), or None if it is not there."""
        self._tables.add(name)
        if not name:
            return Table(self, "", {key: item for key, item in self._value.items() if not isinstance(item, dict)})
        value: Any = self._value.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem(f"{name} must be a table: [{name}]", "", name)
            return None
        return Table(self, name, value)

    def problem(self, message: str, table: str = "", key: str = "") -> None:
        """Note a problem at the line of a key in a table (or of the table, or of the file)."""
        self.problems.append(Problem(self.file, self._line_of(table, key), message))

    def finish(self) -> None:
        """Note tables that nobody asked for. Raises InputError with all problems if there are any."""
        for name, value in self._value.items():
            if isinstance(value, dict) and name not in self._tables:
                self.problem(f"unknown table [{name}]{_nearest(name, self._tables)}", name)
        if self.problems:
            count = len(self.problems)
            noun = "problem" if count == 1 else "problems"
            raise InputError(f"{self.file} has {count} {noun}", self.problems)

    def _line_of(self, table: str, key: str) -> int:
        inside, header = table == "", 0
        for number, line in enumerate(self._lines, start=1):
            if found := re.match(r"\s*\[([^\[\]]+)\]", line):
                inside = found[1].strip() == table
                header = number if inside else header
            elif inside and key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
                return number
        return header


class Table:
    """One table, read key by key: what was never asked for is unknown (`close` notes it)."""

    def __init__(self, reader: Reader, name: str, value: Mapping[str, Any]) -> None:
        self._reader = reader
        self._name = name
        self._value = value
        self._asked: set[str] = set()

    def problem(self, message: str, key: str) -> None:
        """Note a problem at the line of `key`."""
        self._reader.problem(message, self._name, key)

    def read(self, key: str, parse: Callable[[Any], T], default: T) -> T:
        """Return parse(value), or the default if the key is absent or wrong; a ValueError of `parse` is the problem."""
        self._asked.add(key)
        if key not in self._value:
            return default
        try:
            return parse(self._value[key])
        except ValueError as error:
            self.problem(f"{key}: {error}", key)
            return default

    def need(self, key: str, parse: Callable[[Any], T], default: T) -> T:
        """Do the same for a key that must be there; the default only lets the reading go on to the next problem."""
        if key not in self._value:
            self._asked.add(key)
            where = f" in [{self._name}]" if self._name else ""
            self.problem(f"{key} is missing{where}", key)
            return default
        return self.read(key, parse, default)

    def close(self) -> None:
        """Note every key that nobody asked for, with the nearest known one."""
        for key in self._value:
            if key not in self._asked:
                where = f" in [{self._name}]" if self._name else ""
                self.problem(f"unknown key {key}{where}{_nearest(key, self._asked)}", key)


def text(value: Any) -> str:
    """Parse a string that is not empty. Raises ValueError."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a text that is not empty, got {value!r}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Parse a list of strings, or one string. Raises ValueError."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not items:
        raise ValueError("must not be empty" if items == [] else f"must be a list of texts, got {value!r}")
    return tuple(text(item) for item in items)


def flag(value: Any) -> bool:
    """Parse true or false. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")  # noqa: TRY004 (every parser here raises ValueError)
    return value


def whole(least: int, most: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers from `least` to `most`. It raises ValueError."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least:,} to {most:,}, got {value!r}")
        return value

    return parse


def seconds(least: float, most: float) -> Callable[[Any], float]:
    """Return a parser of seconds from `least` to `most`, a whole number or a decimal one. It raises ValueError."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"must be seconds from {least:g} to {most:g}, got {value!r}")
        return float(value)

    return parse


def size(value: Any) -> int:
    """Parse a number of bytes: a whole number, or a text such as "512 MiB". Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'must be a number of bytes or a text such as "512 MiB", got {value!r}')
    return int(found[1]) * _UNITS[found[2]]


def choice(*known: str) -> Callable[[Any], str]:
    """Return a parser of one of some words. It raises ValueError and names the nearest."""

    def parse(value: Any) -> str:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    return parse


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(filter(None, known)))}"
