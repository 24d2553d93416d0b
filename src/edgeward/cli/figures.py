"""Numbers, sizes, times and digests as people read them."""

import time

from edgeward.core.digest import Digest

SHORT = 12
"""Digits of a release that people see."""

_UNITS = ("kB", "MB", "GB", "TB")


def short(digest: Digest | None) -> str:
    """Return the first digits of a release, "-" for none."""
    return digest[:SHORT] if digest else "-"


def count(number: int, word: str, plural: str | None = None) -> str:
    """Return "1 file", "1,065 files"."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def size(number: int) -> str:
    """Return a number of bytes in decimal units: "512 B", "82 kB", "67.1 MB"."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            return f"{value:.1f} {unit}" if value < 99.95 and unit != "kB" else f"{value:,.0f} {unit}"
    raise AssertionError(number)


def seconds(value: float | None) -> str:
    """Return a duration: "0.31 s", "12.4 s", "3 min 5 s", "-" for none."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.2f} s"
    if value < 90:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def span(value: int) -> str:
    """Return a long duration in one unit: "40 s", "12 min", "5 h", "3 d"."""
    value = max(value, 0)
    for limit, unit, step in ((120, "s", 1), (120 * 60, "min", 60), (48 * 3600, "h", 3600)):
        if value < limit:
            return f"{value // step} {unit}"
    return f"{value // 86_400} d"


def moment(at: int) -> str:
    """Return a time of day in this machine's zone: "2031-05-04 17:20"."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
