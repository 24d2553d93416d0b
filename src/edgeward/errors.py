"""The one tree of exceptions.

Every exception says in one sentence what failed, on what, and why; carries the facts as attributes for programs; and
gives a hint that names a command or a setting where there is something to do about it::

    EdgewardError
    ├── InputError            what the user gave cannot be honoured; carries every problem found
    │   └── CityDatabaseError what is in a city database is none: another try needs another file
    ├── ConflictError         somebody else changed the same thing first (compare-and-set lost)
    ├── NotFoundError         a site, release or edge that was named does not exist
    ├── QuorumError           too few edges staged or went live in the time allowed
    ├── DifferenceError       what is served differs from what was pushed
    ├── CorruptionError       bytes do not have the digest that names them
    ├── SchemaError           stored bytes are of a major version that this program does not know
    ├── StoreError            the state store refused or failed
    │   ├── StoreUnavailable  it cannot be reached (or went away in the middle)
    │   └── StoreFull         it has no room
    ├── ServeError            the HTTP engine refused or failed
    │   └── ConfigRejected    nginx -t did not accept the generated configuration
    ├── DiskError             a local folder cannot be read or written, or has no room
    └── EngineMissing         a program that is needed is not installed
"""

from collections.abc import Sequence
from dataclasses import dataclass


class EdgewardError(Exception):
    """Root of the tree.

    message: one sentence (what failed, on what, why). hint: a command or a setting to try next, or None.
    facts: whatever a program may want to know, JSON-serialisable values by name.
    """

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with the input: where (file, line from 1, 0 for the whole file) and what."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}" if where else self.message


class InputError(EdgewardError):
    """What the user gave cannot be honoured. `problems` holds all of them, sorted by file and line."""

    def __init__(self, message: str, problems: Sequence[Problem] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(sorted(problems))


class CityDatabaseError(InputError):
    """What is in a city database is none: another try needs another file."""


class ConflictError(EdgewardError):
    """Somebody else changed the same thing first."""


class NotFoundError(EdgewardError):
    """A site, release or edge that was named does not exist."""


class QuorumError(EdgewardError):
    """Too few edges staged or went live in the time allowed."""


class DifferenceError(EdgewardError):
    """What is served differs from what was pushed."""


class CorruptionError(EdgewardError):
    """Bytes do not have the digest that names them."""


class SchemaError(EdgewardError):
    """Stored bytes are of a major version that this program does not know, or are not of the expected shape."""


class StoreError(EdgewardError):
    """The state store refused or failed."""


class StoreUnavailable(StoreError):
    """The state store cannot be reached, or went away in the middle."""


class StoreFull(StoreError):
    """The state store has no room."""


class ServeError(EdgewardError):
    """The HTTP engine refused or failed."""


class ConfigRejected(ServeError):
    """`nginx -t` did not accept the generated configuration."""


class DiskError(EdgewardError):
    """A local folder cannot be read or written, or has no room."""


class EngineMissing(EdgewardError):
    """A program that is needed is not installed."""
