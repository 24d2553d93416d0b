"""Request targets and paths: how bytes from a request line become a decoded path, and a path becomes bytes again.

RFC 9112 section 3.2 (forms of the request target), RFC 3986 sections 2.1, 5.2.4 and 6.2.2, SITE-FORMAT section 2. The
reading is that of nginx, byte for byte: `%2F` is a slash and `%2E` a dot, empty segments go first, dot segments then,
a raw `#` ends the target, and the query is kept as it was sent.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_PATH_BYTES: Final = 1024
"""Longest path of an entry, in UTF-8."""
MAX_SEGMENT_BYTES: Final = 240
"""Longest segment of such a path, in UTF-8."""

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""The control characters of ASCII. No path may hold one."""

UTF8_PATH_REGEX: Final = (
    r"(?:[\x20-\x7e]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    r"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*"
)
"""The bytes of a valid decoded path, as a byte-wise regex (PCRE without UTF): UTF-8 (RFC 3629) with no control."""

PLAIN_CHARACTERS: Final = r"A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]"
"""What stands for itself in a canonically encoded path, as the inside of a character class of a regex."""

_ENTRY_PATH: Final = re.compile(rf"(?:/(?!\.\.?(?:/|\Z))[^/\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_SEGMENT_BYTES}}})+\Z")
_ESCAPED: Final = frozenset(b' "#%<>?\\^`{|}') | frozenset(range(0x20)) | frozenset(range(0x7F, 0x100))
_ENCODE: Final = {byte: f"%{byte:02X}" if byte in _ESCAPED else chr(byte) for byte in range(0x100)}
_PLAIN_SEGMENT: Final = rf"(?!\.\.?(?:/|\Z))[{PLAIN_CHARACTERS.replace('/', '')}]+"
_PLAIN_TARGET: Final = re.compile(rf"/(?:{_PLAIN_SEGMENT}/)*(?:{_PLAIN_SEGMENT})?\Z")
_PLAIN_TEXT: Final = re.compile(rf"[{PLAIN_CHARACTERS}]*\Z")
_RAW_REFUSED: Final = re.compile(r"[\x00-\x20\x7f]")
_ABSOLUTE: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*://(?P<host>\[[A-Za-z0-9\-._~!$&'()*+,;=:]+\]|[A-Za-z0-9.\-]+)(?::[0-9]*)?(?P<rest>[/?].*)?\Z",
    re.DOTALL,
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class Invalid(Enum):
    """Why a request target has no path.

    MALFORMED: the request line cannot be parsed (a form that is not origin-form or absolute-form, a raw control
    character, `%` without two hex digits, NUL, a path that climbs above the root): 400 whatever the host and method.
    ILLEGAL: it parses, but the path is not UTF-8 or holds a control character: 400 once host and method are known.
    """

    MALFORMED = "malformed"
    ILLEGAL = "illegal"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed request target.

    path: decoded, begins with "/", no empty or dot segments. query: as sent (each character one byte, latin-1), without
    the "?" and without a fragment, "" if there is none. altered: empty or dot segments were taken out, so that the
    request is answered with a 308 to `path`. host: host of an absolute-form target (it wins over the Host field).
    """

    path: str
    query: str = ""
    altered: bool = False
    host: str | None = None


def parse_target(target: str) -> Target | Invalid:
    """Return what a raw request target means (latin-1 text: one character for each byte), or why it means nothing."""
    if _PLAIN_TARGET.match(target):
        return Target(target)
    if not target or _RAW_REFUSED.search(target):
        return Invalid.MALFORMED
    host: str | None = None
    if not target.startswith("/"):
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            return Invalid.MALFORMED
        host, rest = absolute["host"], absolute["rest"] or "/"
        target = rest if rest.startswith("/") else "/" + rest
    raw_path, _, query = target.partition("#")[0].partition("?")
    if _BAD_ESCAPE.search(raw_path) or any(ord(char) > 0xFF for char in target):
        return Invalid.MALFORMED
    decoded = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw_path.encode("latin-1"))
    if b"\0" in decoded:
        return Invalid.MALFORMED
    normal = _without_dots(decoded)
    if normal is None:
        return Invalid.MALFORMED
    try:
        path = normal.decode("utf-8")
    except UnicodeDecodeError:
        return Invalid.ILLEGAL
    if CONTROL.search(path):
        return Invalid.ILLEGAL
    return Target(path, query, altered=normal != decoded, host=host)


def _without_dots(path: bytes) -> bytes | None:
    """Take out empty segments, then dot segments; None if the path climbs above the root."""
    segments = path.split(b"/")[1:]
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if not kept:
                return None
            kept.pop()
        elif segment not in {b"", b"."}:
            kept.append(segment)
    folder = segments[-1] in {b"", b".", b".."}
    return b"/" + b"/".join(kept) + (b"/" if folder and kept else b"")


def encode_path(path: str) -> str:
    r"""Return the canonical percent-encoding of a decoded path: what nginx's URI escaping (NGX_ESCAPE_URI) gives.

    Upper-case hex of the UTF-8 bytes for space, `"#%<>?\^`, the backquote, braces, bar, controls and everything above
    ASCII; all else stands for itself. The result is ASCII.
    """
    return path if _PLAIN_TEXT.match(path) else "".join(_ENCODE[byte] for byte in path.encode())


def decode_path(encoded: str) -> str | None:
    """Return the decoded form of a percent-encoded path without normalising it, or None if it has none.

    Characters above ASCII are taken as they are. None: a malformed `%`, bytes that are not UTF-8, a control character.
    """
    if _BAD_ESCAPE.search(encoded):
        return None
    try:
        path = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), encoded.encode()).decode()
    except UnicodeError:
        return None
    return None if CONTROL.search(path) else path


def is_normal(path: str) -> bool:
    """Whether a decoded path begins with "/" and has no empty segment but the last, no dot segment, no control."""
    if not path.startswith("/") or CONTROL.search(path):
        return False
    segments = path.split("/")[1:]
    return not any(segment in {".", ".."} for segment in segments) and "" not in segments[:-1]


def is_entry_path(path: str) -> bool:
    """Whether a path may be that of an entry (SITE-FORMAT section 1): normal, no folder, UTF-8, within the limits."""
    if not _ENTRY_PATH.match(path):
        return False
    if path.isascii():
        return len(path) <= MAX_PATH_BYTES
    raw = path.encode()
    return len(raw) <= MAX_PATH_BYTES and max(map(len, raw.split(b"/"))) <= MAX_SEGMENT_BYTES


def extension(path: str) -> str:
    """Return what follows the last dot of the last segment, in lower case; "" if there is no dot or nothing follows."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""
