"""Parser of `_headers` (SITE-FORMAT section 4): bytes in, blocks out, or every problem at once.

/path/with/*/or/:placeholder
  Name: value
  ! Name
"""

import re
from typing import Final

from edgeward.core.lines import SPACE, Findings, read_lines
from edgeward.core.patterns import compile_pattern
from edgeward.core.rules import HeaderBlock, HeaderLine
from edgeward.errors import InputError

MAX_BLOCKS: Final = 2_000
MAX_LINE: Final = 8_000
"""Characters of one line: more than browsers and proxies take for all fields together."""

MAX_NAME: Final = 256
"""Characters of a header's name."""

_COMPUTED_NAMES = """
Accept-Ranges Age Allow Connection Content-Encoding Content-Length Content-Range Date ETag Keep-Alive Last-Modified
Location Proxy-Authenticate Proxy-Authorization Proxy-Connection Server TE Trailer Transfer-Encoding Upgrade Vary Via
"""
COMPUTED: Final = {name.lower(): name for name in _COMPUTED_NAMES.split()}
"""By lower-case name: hop-by-hop, framing and computed fields (RFC 9110 chapters 6, 8, 14; RFC 9112 section 7.6.1)."""

INTERNAL: Final = ("x-accel-", "x-pad")
"""What servers in front of each other tell themselves; such a field would never reach the reader as it was meant."""

_URL = re.compile(r"https?://", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse_headers(data: bytes, *, file: str = "_headers") -> tuple[HeaderBlock, ...]:
    """Return the blocks of a `_headers` file in file order; a path with no line below it has no block.

    Raises InputError with every problem of the file.
    """
    findings = Findings(file)
    blocks: list[HeaderBlock] = []
    lines: list[HeaderLine] = []
    pattern: str | None = None
    start = 0
    count = 0
    for number, text in read_lines(data, findings, max_characters=MAX_LINE):
        line = text.strip(SPACE)
        if not line or line.startswith("#"):
            continue
        if line.startswith("/") or _URL.match(line):
            _close(blocks, start, pattern, lines)
            lines, start, count = [], number, count + 1
            if count > MAX_BLOCKS:
                findings.add(number, f"more than {MAX_BLOCKS:,} blocks")
                break
            pattern = _pattern(line, number, findings)
        elif not start:
            findings.add(number, f"`{_short(line)}` stands before the first path")
        else:
            parsed = _line(line, number, findings)
            if parsed is not None:
                lines.append(parsed)
    _close(blocks, start, pattern, lines)
    findings.raise_if_any()
    return tuple(blocks)


def _close(blocks: list[HeaderBlock], start: int, pattern: str | None, lines: list[HeaderLine]) -> None:
    if pattern is not None and lines:
        blocks.append(HeaderBlock(start, pattern, tuple(lines)))


def _pattern(line: str, number: int, findings: Findings) -> str | None:
    if not line.startswith("/"):
        findings.add(
            number, f"`{_short(line)}`: a block begins with a path, not with a URL; it holds for every hostname"
        )
        return None
    if any(space in line for space in SPACE):
        findings.add(number, f"`{_short(line)}` holds white space; a path is one word (a space is written %20)")
        return None
    try:
        return compile_pattern(line).text
    except InputError as error:
        findings.add(number, error.message)
        return None


def _line(line: str, number: int, findings: Findings) -> HeaderLine | None:
    """Return one header line, or None after noting what is wrong with it."""
    value: str | None = None
    if line.startswith("!"):
        name = line[1:].strip(SPACE)
    else:
        name, colon, value = line.partition(":")
        value = value.strip(SPACE)
        if not colon:
            findings.add(number, f"`{_short(line)}` is neither `Name: value` nor `! Name` nor a path")
            return None
    if not _NAME.fullmatch(name):
        findings.add(number, f"`{_short(name)}` is not a header name (letters, digits and !#$%&'*+-.^_`|~)")
        return None
    if len(name) > MAX_NAME:
        findings.add(number, f"`{_short(name)}` has {len(name):,} characters; a header name has at most {MAX_NAME}")
        return None
    known = COMPUTED.get(name.lower())
    verb = "taken away" if value is None else "set"
    if known is not None:
        findings.add(number, f"`{known}` is made by the server for each answer and cannot be {verb}")
    elif name.lower().startswith(INTERNAL):
        findings.add(number, f"`{name}` is an instruction between servers and cannot be {verb}")
    elif value == "":
        findings.add(number, f"`{name}` has no value; to take a header away write `! {name}`")
    else:
        return HeaderLine(name, value)
    return None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
