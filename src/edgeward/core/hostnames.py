"""Hostnames: parsed once into lower-case ASCII (RFC 1123 section 2.1; internationalised names as RFC 3490 A-labels).

And the names of records, which may be others than those of hosts.
"""

import re
import unicodedata
from typing import Final

from edgeward.errors import InputError

MAX_HOSTNAME = 253
"""Characters of a hostname without the final dot (RFC 1035 section 2.3.4: 255 bytes on the wire)."""

SLUG: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A name that is also a DNS label: of a site or a fleet."""

_OCTETS = r"[!#%&'+,/0-9:<=>?\[\]^_`a-z{|}~-]{1,63}"
_NAME = re.compile(rf"(?:\*\.)?(?:{_OCTETS}\.)*{_OCTETS}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[^:]*:[0-9]+")


def parse_hostname(text: str) -> str:
    """Return the name in lower-case ASCII, without a final dot.

    Raises InputError for what is no hostname: an IP address, a URL, a wildcard, a port, other characters than letters,
    digits and hyphens, or an internationalised name that the standards of 2003 and 2008 read differently.
    """
    for found, why in (
        (not text, "a hostname is empty"),
        ("://" in text or "/" in text, f"{text!r} is a URL or path; a hostname is only its host"),
        ("*" in text, f"{text!r} is a wildcard; name each hostname"),
        (_PORT.fullmatch(text), f"{text!r} has a port; a site is served on the ports of its edges"),
    ):
        if found:
            raise InputError(why)
    name = (text if text.isascii() else _to_ascii(text)).lower().removesuffix(".")
    labels = name.split(".")
    if ":" in name or (labels[-1].isdigit() and _LABEL.fullmatch(labels[-1])):
        raise InputError(f"{text!r} is an IP address, not a hostname")
    if len(name) > MAX_HOSTNAME:
        raise InputError(f"{text[:40]!r}... has {len(name)} characters; a hostname has at most {MAX_HOSTNAME}")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise InputError(f"{text!r} is not a hostname: {label!r} is not 1 to 63 letters, digits and inner hyphens")
        if label.startswith("xn--") and not _decodes(label):
            raise InputError(f"{text!r} is not a hostname: {label!r} is not valid punycode")
    return name


def is_hostname(name: str) -> bool:
    """Whether a name is one that `parse_hostname` returns."""
    try:
        return parse_hostname(name) == name
    except InputError:
        return False


def record_name(name: str) -> str:
    """Return the owner name of a record in lower case, without a final dot.

    DNS allows any octets in it (RFC 2181 section 11), and names such as `0/25.2.0.192.in-addr.arpa` are in use (RFC
    2317). Labels may have what is printable in ASCII but spaces and what zone files escape (quotes, parentheses, `;`,
    `@`, `$`, a backslash, a dot within a label); `*` is the first label or nowhere. Raises ValueError for any
    other.
    """
    plain = name.lower().removesuffix(".")
    if not name.isascii() or not _NAME.fullmatch(plain) or len(plain) > MAX_HOSTNAME:
        raise ValueError(f"{name!r} is no name of a record that can be served")
    return plain


def is_record_name(name: str) -> bool:
    """Whether a name is one that `record_name` returns."""
    try:
        return record_name(name) == name
    except ValueError:
        return False


def _to_ascii(text: str) -> str:
    """Return the A-label form, where it is beyond doubt: the name must come back the same (`ß` would become `ss`)."""
    try:
        name = text.encode("idna").decode("ascii")
        if name.encode("ascii").decode("idna") == unicodedata.normalize("NFC", text).lower():
            return name
    except ValueError:
        pass
    raise InputError(f"{text!r} cannot be turned into an ASCII hostname without doubt; write its xn-- form")


def _decodes(label: str) -> bool:
    try:
        label[4:].encode("ascii").decode("punycode")
    except ValueError:
        return False
    return True
