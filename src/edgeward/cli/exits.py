"""Exit codes: the one table of what each number means and which error gives it.

`docs/reference/exit-codes.md` is made of it.
"""

from dataclasses import dataclass
from typing import Final

from edgeward import errors


@dataclass(frozen=True, slots=True)
class ExitCode:
    """One exit code: its number, what it means, the errors that give it (subclasses are meant too), an example."""

    number: int
    meaning: str
    errors: tuple[type[errors.EdgewardError], ...]
    example: str


OK: Final = 0
DIFFERENCE: Final = 1
USAGE: Final = 2
LATE: Final = 5
FAULT: Final = 70
INTERRUPTED: Final = 130
TERMINATED: Final = 143

TABLE: Final = (
    ExitCode(OK, "done", (), "a push that is live, a push of an unchanged folder"),
    ExitCode(
        DIFFERENCE,
        "a difference was found, or a question was answered no",
        (errors.DifferenceError,),
        "`edgeward verify` found an edge that serves something else; a question was answered with no",
    ),
    ExitCode(
        USAGE,
        "wrong usage, or bad input; nothing was changed",
        (errors.InputError,),
        "an unknown option; a folder with a broken `_redirects`",
    ),
    ExitCode(
        3,
        "somebody else was first (compare-and-set lost); nothing was changed",
        (errors.ConflictError,),
        "two pushes of one site at the same time; a hostname that belongs to another site",
    ),
    ExitCode(
        4,
        "the state store cannot be reached, or refused",
        (errors.StoreError,),
        "the first edge is down; a wrong token; no room in the store",
    ),
    ExitCode(
        LATE,
        "too few edges answered in the time allowed",
        (errors.QuorumError,),
        "`edgeward push --quorum all` while one edge is slow; nobody is reporting",
    ),
    ExitCode(
        6,
        "a site, release, edge or fleet that was named does not exist",
        (errors.NotFoundError,),
        "`edgeward rollback blgo`",
    ),
    ExitCode(
        7,
        "the HTTP engine or another program that is needed is missing or refused",
        (errors.ServeError, errors.EngineMissing),
        "nginx is not installed; a port is in use",
    ),
    ExitCode(8, "a local folder cannot be read or written, or is full", (errors.DiskError,), "a full disk"),
    ExitCode(
        9,
        "stored bytes are corrupt, or of a newer version of edgeward",
        (errors.CorruptionError, errors.SchemaError),
        "a manifest that a later major version wrote",
    ),
    ExitCode(FAULT, "a fault of edgeward itself; please report it", (errors.EdgewardError,), "a traceback is shown"),
    ExitCode(INTERRUPTED, "stopped by Ctrl-C (SIGINT)", (), ""),
    ExitCode(TERMINATED, "stopped by SIGTERM", (), "a command that was told to end; `edge run` and `demo` end with 0"),
)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error: that of the nearest of its classes that the table names."""
    for kind in type(error).__mro__:
        for code in TABLE:
            if kind in code.errors:
                return code.number
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAULT
