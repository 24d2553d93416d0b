"""What a use-case says while it works: frozen events, handed to a `Progress` that shows them (or does not).

The use-cases never print. A front door gives an object with one method; tests and programs give `silent` or a list's
`append`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Phase = Literal["scan", "compress", "upload", "stage", "activate", "verify"]
"""The steps of a push in their order; `verify` belongs to `edgeward verify`."""


@dataclass(frozen=True, slots=True)
class Started:
    """A phase begins. total: units of work in it (files, variants, bytes, edges: see `unit`), None if unknown."""

    phase: Phase
    total: int | None = None
    unit: Literal["files", "bytes", "edges", "requests"] = "files"


@dataclass(frozen=True, slots=True)
class Advanced:
    """A phase has done `done` units altogether."""

    phase: Phase
    done: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A phase is over after `seconds`; `note` says in a few words what it came to ("6,574 files, 10 read")."""

    phase: Phase
    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class EdgeReached:
    """An edge has staged the release, or serves it (`live`), `seconds` after the push began."""

    edge: str
    what: Literal["staged", "live"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something a person should read now (an edge dropped out, a sweep is waited for)."""

    text: str


Event = Started | Advanced | Finished | EdgeReached | Noticed


class Progress(Protocol):
    """Takes the events of a use-case. It is called on the event loop's thread and must return at once."""

    def __call__(self, event: Event, /) -> None:
        """Show `event`."""


def silent(event: Event, /) -> None:
    """Show nothing."""
    del event
