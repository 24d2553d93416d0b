"""The maps of a configuration: collected while releases are read, equal ones only once, written at the end.

nginx gives every request one slot for each variable that is mentioned anywhere, so sites with equal rules share maps.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from edgeward.serve.nginx.quote import (
    DOLLAR,
    MAX_TOKEN,
    Value,
    literal,
    map_key,
    map_regex,
    size,
    token,
    value,
    variable,
)

T = TypeVar("T")

_CHUNK: Final = 900
"""Characters of one chunk of a long text: 3,600 bytes at most, however it is encoded and escaped."""
_SHORT: Final = 1_000
"""Bytes of a literal that stands where it is used."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a map: a key or a regex, and what it gives."""

    pattern: str
    gives: Value
    is_regex: bool = False

    def write(self) -> str:
        """Return the line."""
        key = map_regex(self.pattern) if self.is_regex else map_key(self.pattern)
        return f"    {key} {value(self.gives)};"


def when(pattern: str, gives: Value) -> Case:
    """A case for exactly this key (without regard to case)."""
    return Case(pattern, gives)


def matching(regex: str, gives: Value) -> Case:
    """A case for keys that the regex is found in."""
    return Case(regex, gives, is_regex=True)


@dataclass(slots=True)
class Parts:
    """What was made of one release alone, kept from one configuration to the next: ten thousand rules take seconds.

    What two configurations in a row do not ask for is forgotten. One configuration at a time.
    """

    _made: "dict[Hashable, tuple[Any, Book]]" = field(default_factory=dict)
    _asked: set[Hashable] = field(default_factory=set)

    def find(self, key: Hashable, make: "Callable[[Book], T]") -> "tuple[T, Book]":
        """Return what `make` makes, and the maps that it needs; key: all that it depends on."""
        self._asked.add(key)
        if key not in self._made:
            # Its names must not depend on what else is in a configuration.
            own = Book(named_by_content=True)
            self._made[key] = make(own), own
        return self._made[key]

    def tidy(self) -> None:
        """Forget what was not asked for since this was called last."""
        self._made = {key: made for key, made in self._made.items() if key in self._asked}
        self._asked.clear()


@dataclass(slots=True)
class Book:
    """Maps and constants in the order in which they were asked for.

    parts: what earlier books have made. named_by_content: a map's name has a digest of it, not a number. blocks: text
    of each map and constant by its name. longest_key, largest_map: bytes and cases, for the sizes of hash tables.
    """

    parts: Parts | None = None
    named_by_content: bool = False
    blocks: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    longest_key: int = 0
    largest_map: int = 0

    def define(self, name: str, source: Value, cases: Iterable[Case], default: Value, *, why: str = "") -> Value:
        """As `map`, for a variable that is known by its name elsewhere: it is written even without cases."""
        made = self.map(name, source, list(cases) or [when("", default)], default, why=why)
        assert made == variable(name), f"{name} is defined twice"
        return made

    def map(self, stem: str, source: Value, cases: Iterable[Case], default: Value, *, why: str = "") -> Value:
        """Return the variable of a map from `source`: named `stem`, with a number if that is taken by another map.

        Equal maps of one stem are one. A map without cases is just its default. why: a comment for the reader.
        """
        lines = list(cases)
        if not lines:
            return default
        head = f"map {value(source)} "
        body = "\n".join([f"    default {value(default)};", *(case.write() for case in lines)])
        if (stem, head + body) not in self._known:
            made = self._known[stem, head + body] = self._name(stem, head + body)
            self.blocks[made] = (f"# {why}\n" if why else "") + f"{head}${made} {{\n{body}\n}}"
            keys = [size(case.pattern) for case in lines if not case.is_regex]
            self.longest_key = max([self.longest_key, *keys])
            self.largest_map = max(self.largest_map, len(keys))
        return variable(self._known[stem, head + body])

    def literal(self, text: str) -> Value:
        """Return text as (part of) a value, however long it is."""
        short = literal(text)
        if size(short) <= _SHORT:
            return short
        chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
        return self.concatenated([variable(self._constant(chunk)) for chunk in chunks])

    def concatenated(self, parts: Sequence[Value]) -> Value:
        """Return the parts in a row, through variables of their own where that would be too long for one token."""
        if sum(map(size, parts)) <= MAX_TOKEN or len(parts) == 1:
            return Value("".join(parts))
        middle = len(parts) // 2
        halves = [self.concatenated(parts[:middle]), self.concatenated(parts[middle:])]
        if sum(map(size, halves)) <= MAX_TOKEN:
            return Value("".join(halves))
        return Value("".join(self._held(half) for half in halves))

    def part(self, key: Hashable, make: "Callable[[Book], T]") -> T:
        """Return what `make` makes with a book: made now, or for an earlier one. key: all that it depends on."""
        if self.parts is None:
            return make(self)
        made, own = self.parts.find(key, make)
        for name, text in own.blocks.items():
            assert self.blocks.setdefault(name, text) == text, f"two maps are called {name}"
        self.longest_key = max(self.longest_key, own.longest_key)
        self.largest_map = max(self.largest_map, own.largest_map)
        return made

    def write(self) -> str:
        """Return all of it as configuration, with the sizes of nginx's hash tables to go with it."""
        bucket = 64
        while bucket < self.longest_key + 64:
            bucket *= 2
        head = [
            f"map_hash_bucket_size {bucket};",
            f"map_hash_max_size {max(2048, 4 * self.largest_map)};",
            "variables_hash_bucket_size 128;",
            f"variables_hash_max_size {max(2048, 4 * len(self.blocks))};",
            f'geo ${DOLLAR} {{ default "$"; }}',
        ]
        return "\n".join([*head, "", *self.blocks.values(), ""])

    def _held(self, long: Value) -> Value:
        """Return a variable that holds a value."""
        body = f"    default {value(long)};"
        if ("ew_held", body) not in self._known:
            made = self._known["ew_held", body] = self._name("ew_held", body)
            self.blocks[made] = f'map "" ${made} {{\n{body}\n}}'
        return variable(self._known["ew_held", body])

    def _constant(self, chunk: str) -> str:
        if ("ew_text", chunk) not in self._known:
            made = self._known["ew_text", chunk] = self._name("ew_text", chunk)
            self.blocks[made] = f"geo ${made} {{ default {token(chunk)}; }}"
        return self._known["ew_text", chunk]

    def _name(self, stem: str, content: str) -> str:
        if self.named_by_content:
            return f"{stem}_{hashlib.blake2b(content.encode(), digest_size=16).hexdigest()}"
        # `x_2` may be the second `x`, and the first `x_2`.
        name = stem
        while name in self.blocks:
            count = self._counts[stem] = self._counts.get(stem, 1) + 1
            name = f"{stem}_{count}"
        return name


def block(head: str, *lines: str) -> list[str]:
    """Return a block of configuration, indented."""
    return [f"{head} {{", *(f"    {line}" if line else "" for line in lines), "}"]
