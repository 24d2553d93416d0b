"""Content-codings and languages that a request asks for (RFC 9110 section 12.5, SITE-FORMAT sections 3 and 6).

What decides is written as regexes that Python's `re` and PCRE read alike, over the field value, so that nginx's maps
and this module cannot drift apart.
"""

import re
from functools import lru_cache
from typing import Final

from edgeward.core.release import Coding, Entry, Variant

_WEIGHT: Final = r"(?:[ \t]*;[ \t]*[qQ]=(?!0(?:\.0*)?[ \t]*(?:,|$))[01](?:\.[0-9]*)?)?"


def wants_regex(name: str) -> str:
    """Regex to be searched in Accept-Encoding: an element is `name` with a weight above nought (or none)."""
    return rf"(?:^|,)[ \t]*{_any_case(name)}{_WEIGHT}[ \t]*(?:,|$)"


def names_regex(name: str) -> str:
    """Regex to be searched in Accept-Encoding: an element names `name`, whatever its weight."""
    return rf"(?:^|,)[ \t]*{_any_case(name)}[ \t]*(?:[;,]|$)"


def _any_case(name: str) -> str:
    return r"\*" if name == "*" else "".join(f"[{char.lower()}{char.upper()}]" for char in name)


_WANTS: Final = {name: re.compile(wants_regex(name)) for name in ("br", "gzip", "*")}
_NAMES: Final = {name: re.compile(names_regex(name)) for name in ("br", "gzip")}

LANGUAGE_REGEX: Final = r"^[ \t]*([A-Za-z]{1,8})(?=[ \t]*(?:[,;\-]|$))"
"""Regex to be searched in Accept-Language: group 1 is the primary subtag of the first language."""

_LANGUAGE: Final = re.compile(LANGUAGE_REGEX)


def accepts(accept_encoding: str, coding: Coding) -> bool:
    """Whether Accept-Encoding allows a coding: named, or covered by `*` and not named, with a weight above nought."""
    if _WANTS[coding].search(accept_encoding):
        return True
    return _NAMES[coding].search(accept_encoding) is None and _WANTS["*"].search(accept_encoding) is not None


@lru_cache(maxsize=1024)
def _preferred(accept_encoding: str) -> tuple[Coding, ...]:
    both: tuple[Coding, ...] = ("br", "gzip")
    return tuple(coding for coding in both if accepts(accept_encoding, coding))


def choose(entry: Entry, accept_encoding: str) -> Variant:
    """Return the variant that answers: br if it is allowed and there, else gzip likewise, else identity."""
    if len(entry.variants) > 1 and accept_encoding:
        for coding in _preferred(accept_encoding):
            variant = entry.variant(coding)
            if variant is not None:
                return variant
    return entry.identity


def first_language(accept_language: str) -> str:
    """Return the primary subtag, in lower case, of the first language of Accept-Language; "" if there is none."""
    found = _LANGUAGE.search(accept_language)
    return found[1].lower() if found else ""


def cookie_regex(name: str) -> str:
    """Regex to be searched in Cookie: a cookie of that name is there. Names are compared with regard to case."""
    return rf"(?:^|;)[ \t]*{re.escape(name)}="


@lru_cache(maxsize=1024)
def _cookie(name: str) -> re.Pattern[str]:
    return re.compile(cookie_regex(name))


def has_cookie(cookie: str, name: str) -> bool:
    """Whether the Cookie field holds a cookie of that name."""
    return _cookie(name).search(cookie) is not None
