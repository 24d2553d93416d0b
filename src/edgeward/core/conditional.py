"""Conditional and range requests (RFC 9110 sections 13 and 14), as nginx evaluates them (SITE-FORMAT section 6).

Times are whole seconds since the epoch. A date that cannot be read never holds.
"""

import re
from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATES: Final = (
    re.compile(r"[A-Za-z]+, (?P<d>\d\d) (?P<m>[A-Z][a-z]{2}) (?P<y>\d{4}) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"),
    re.compile(r"[A-Za-z]+, (?P<d>\d\d)-(?P<m>[A-Z][a-z]{2})-(?P<y>\d\d) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"),
    re.compile(r"[A-Za-z]+ (?P<m>[A-Z][a-z]{2}) (?P<d>[ \d]\d) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d) (?P<y>\d{4})"),
)
_LARGEST: Final = 2**63 - 1


def http_date(seconds: int) -> str:
    """Return a time as IMF-fixdate (RFC 9110 section 5.6.7)."""
    at = datetime.fromtimestamp(seconds, UTC)
    day = f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04}"
    return f"{day} {at.hour:02}:{at.minute:02}:{at.second:02} GMT"


def parse_http_date(text: str) -> int | None:
    """Return the time in any of the three forms of RFC 9110 section 5.6.7, or None. Names of days are not looked at."""
    for pattern in _DATES:
        found = pattern.match(text.strip(" \t"))
        if found is None or found["m"] not in _MONTHS:
            continue
        year = int(found["y"])
        if len(found["y"]) == 2:
            year += 2000 if year < 70 else 1900
        try:
            at = datetime(
                year, _MONTHS.index(found["m"]) + 1, int(found["d"]), int(found["H"]), int(found["M"]), int(found["S"]),
                tzinfo=UTC,
            )  # fmt: skip
        except ValueError:
            return None
        return timegm(at.timetuple())
    return None


def matches(field: str, etag: str, *, weak: bool) -> bool:
    """Whether the list of an If-None-Match (weak comparison) or If-Match (strong) field has the ETag, or is `*`."""
    if field == "*":
        return True
    for item in field.split(","):
        tag = item.strip(" \t")
        if tag == etag or (weak and tag.removeprefix("W/") == etag):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional fields of a request, None where there is none."""

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None

    def failed(self, etag: str, modified: int) -> bool:
        """Whether If-Match or If-Unmodified-Since asks for another version: the answer is 412."""
        if self.if_unmodified_since is not None:
            since = parse_http_date(self.if_unmodified_since)
            if since is None or modified > since:
                return True
        return self.if_match is not None and not matches(self.if_match, etag, weak=False)

    def unchanged(self, etag: str, modified: int) -> bool:
        """Whether the client has this version: the answer is 304. If-None-Match goes before If-Modified-Since.

        If-Modified-Since is an exact match, because a rollback moves dates back.
        """
        if self.if_none_match is not None:
            return matches(self.if_none_match, etag, weak=True)
        return self.if_modified_since is not None and parse_http_date(self.if_modified_since) == modified


def range_applies(if_range: str | None, etag: str, modified: int) -> bool:
    """Whether If-Range (an ETag, compared strongly, or a date, compared exactly) lets a Range field count."""
    if if_range is None:
        return True
    if if_range.endswith('"'):
        return if_range == etag
    return parse_http_date(if_range) == modified


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes: from `start` up to, but without, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """No range of the field can be had: the answer is 416."""


_RANGE: Final = re.compile(r"[ ]*(?:(?P<start>[0-9]+) *- *(?P<end>[0-9]+)?|-(?P<suffix>[0-9]+)) *(?P<next>,|\Z)")


def parse_range(field: str, size: int) -> Span | Unsatisfiable | None:
    """Return which bytes of `size` a Range field asks for; None: the field is ignored and the answer is 200.

    One range that can be had is answered, ranges that cannot be had beside it are left out, two or more that can be had
    are answered with the whole. What is not of the form `bytes=...` is ignored; a malformed list is unsatisfiable.
    """
    if len(field) < 7 or field[:6].lower() != "bytes=":
        return None
    position, found = 6, None
    while True:
        item = _RANGE.match(field, position)
        if item is None:
            return Unsatisfiable()
        span = _span(item, size)
        if span is None:
            return Unsatisfiable()
        if span.start < span.end:
            if found is not None:
                return None
            found = span
        elif span.start == 0:
            return None
        position = item.end()
        if item["next"] != ",":
            return found or Unsatisfiable()


def _span(item: re.Match[str], size: int) -> Span | None:
    numbers = [_number(item[name]) for name in ("start", "end", "suffix")]
    if any(number > _LARGEST for number in numbers):
        return None
    start, end, suffix = numbers
    if item["suffix"]:
        return Span(max(0, size - suffix), size)
    return Span(start, min(end + 1, size) if item["end"] else size)


def _number(digits: str | None) -> int:
    """Value of digits, however many there are: more than an offset can hold is just too large."""
    text = (digits or "").lstrip("0") or "0"
    return int(text) if len(text) < 20 else _LARGEST + 1
