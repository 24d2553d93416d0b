"""The one place where text becomes nginx configuration.

nginx reads a quoted token with backslash escapes for quotes, the backslash itself, tab, CR and LF, and then, in most
directives, replaces `$name`. It has no escape for a literal `$`: the variable `$ew_dollar` holds one, and long texts
are kept whole in `geo` blocks, whose values are never searched for variables. One token has at most 4,096 bytes.
"""

from typing import Final, NewType

Value = NewType("Value", str)
"""The inside of a quoted token in which nginx replaces variables: escaped already. Values may be concatenated."""

DOLLAR: Final = "ew_dollar"
"""Name of the variable that holds a dollar sign."""

MAX_TOKEN: Final = 4_000
"""Bytes of one token that nginx certainly reads (its buffer has 4,096)."""

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_IN_TOKEN: Final = str.maketrans(_ESCAPES)
_IN_VALUE: Final = str.maketrans({**_ESCAPES, "$": "${" + DOLLAR + "}"})


def token(text: str) -> str:
    """Return a quoted token for a place where nginx replaces no variables: exactly `text` arrives.

    Also for regexes, in which `$` is an anchor. Raises ValueError for a NUL, which nginx cannot read.
    """
    if "\0" in text:
        raise ValueError("nginx configuration cannot hold a NUL")
    return f'"{text.translate(_IN_TOKEN)}"'


def literal(text: str) -> Value:
    """Return text as (part of) a value: `$` in it is a dollar sign. Raises ValueError for a NUL."""
    if "\0" in text:
        raise ValueError("nginx configuration cannot hold a NUL")
    return Value(text.translate(_IN_VALUE))


def variable(name: str) -> Value:
    """Return the value of a variable as (part of) a value."""
    return Value("${" + name + "}")


def value(*parts: Value) -> str:
    """Return a quoted token in which nginx replaces variables."""
    return f'"{"".join(parts)}"'


def size(text: str) -> int:
    """Bytes of text in the configuration file."""
    return len(text.encode())


def map_key(text: str) -> str:
    """Return a map's key that stands for exactly `text` (compared without regard to case, as nginx does).

    The backslash in front keeps `default`, `hostnames`, `~` and the like from being read as syntax.
    """
    return token("\\" + text)


def map_regex(regex: str) -> str:
    """Return a map's key that is a regex, compared with regard to case."""
    return token("~" + regex)
