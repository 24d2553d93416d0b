"""Lines of a text file that a user wrote: bytes in, numbered lines and problems out.

Lines end at LF or CRLF. A byte-order mark and tabs are white space. Every line is judged by itself, so that one bad
line does not hide the problems of the others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from edgeward.errors import InputError, Problem

SPACE: Final = " \t\ufeff"
"""Characters that count as white space within a line."""

MAX_PROBLEMS: Final = 1_000
"""A file that is something else altogether (an image, say) need not be refused line by line."""

_AS_BLANK = str.maketrans(dict.fromkeys(SPACE, " "))
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class Findings:
    """Problems of one file while it is read. `file` is the name that they carry."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        """Note a problem of a line (from 1; 0 for the whole file)."""
        self.problems.append(Problem(self.file, line, message))

    @property
    def full(self) -> bool:
        """Whether so much is wrong that reading on tells the user nothing."""
        return len(self.problems) >= MAX_PROBLEMS

    def raise_if_any(self) -> None:
        """Raise InputError with everything that was noted, if anything was."""
        if not self.problems:
            return
        count = len(self.problems)
        if self.full:
            self.add(0, f"more than {MAX_PROBLEMS:,} problems; the rest of the file was not read")
        raise InputError(f"{self.file} has {count:,} {'problem' if count == 1 else 'problems'}", self.problems)


def read_lines(data: bytes, findings: Findings, *, max_characters: int) -> Iterator[tuple[int, str]]:
    """Yield (number, text without the line end) for each line that is sound; note what is wrong with the others.

    A sound line is UTF-8, has at most `max_characters` characters and no control character but tabs.
    """
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if findings.full:
            return
        try:
            text = raw.rstrip(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            findings.add(number, f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the line")
            continue
        control = _CONTROL.search(text)
        if control:
            findings.add(number, f"control character U+{ord(control[0]):04X} at column {control.start() + 1}")
        elif len(text) > max_characters:
            findings.add(number, f"the line has {len(text):,} characters; at most {max_characters:,} are allowed")
        else:
            yield number, text


def words(text: str) -> list[str]:
    """Split a line at white space."""
    return [word for word in text.translate(_AS_BLANK).split(" ") if word]
