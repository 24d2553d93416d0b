"""The wall: what nats-py and JetStream raise becomes our own tree here and nowhere else.

JetStream's error codes are those of nats-server's `server/errors.json`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import nats.errors
import nats.js.errors

from edgeward.errors import ConflictError, EdgewardError, StoreError, StoreFull, StoreUnavailable

STREAM_NOT_FOUND: Final = 10059
STREAM_EXISTS: Final = 10058
CONSUMER_NOT_FOUND: Final = 10014
NO_MESSAGE: Final = 10037
SEQUENCE_NOT_FOUND: Final = 10043
DELETE_FAILED: Final = 10057
STORE_FAILED: Final = 10077
"""The stream's file store refused: a second message of a subject, a limit in bytes, or an error of the disk."""

_WRONG_SEQUENCE: Final = frozenset({10071, 10164})
_NO_ROOM: Final = frozenset({10023, 10047, 10028, 10117})
_NOT_NOW: Final = frozenset({10008, 10009, 10010, 10039, 10074, 10076, 10118, 10167})
_SECOND_OF_SUBJECT: Final = "maximum messages per subject exceeded"
_FULL_SENTENCES: Final = ("maximum bytes exceeded", "no space left", "quota exceeded", "insufficient")

FULL_HINT: Final = "make room on the disk of the state server, or raise `max_bytes` in its settings"
UNREACHABLE_HINT: Final = "is the edge that runs the state server up? see `edgeward status` there"


def refusal(error: Mapping[str, Any], what: str) -> EdgewardError:
    """Return the exception for a JetStream error object ({"code", "err_code", "description"}).

    what: the operation, as in "put key 'a' into bucket live". The fact `code` is JetStream's own number.
    """
    code = int(error.get("err_code", 0))
    text = str(error.get("description", "no description"))
    if code in _WRONG_SEQUENCE:
        return ConflictError(f"cannot {what}: it was changed by somebody else first", code=code)
    if code in _NO_ROOM or (code == STORE_FAILED and any(sentence in text for sentence in _FULL_SENTENCES)):
        return StoreFull(f"cannot {what}: the state store has no room ({text})", hint=FULL_HINT, code=code)
    if code in _NOT_NOW:
        return StoreUnavailable(f"cannot {what}: the state store is not ready ({text})", code=code)
    return StoreError(f"cannot {what}: {text}", code=code)


def is_second_of_subject(error: Mapping[str, Any]) -> bool:
    """Whether a JetStream error object says that the subject holds a message already."""
    return int(error.get("err_code", 0)) == STORE_FAILED and _SECOND_OF_SUBJECT in str(error.get("description", ""))


def unreachable(url: str, what: str, why: str) -> StoreUnavailable:
    """Return the exception for a store that did not answer. url holds no secret."""
    return StoreUnavailable(
        f"cannot {what}: no answer from the state store at {url} ({why})", hint=UNREACHABLE_HINT, url=url
    )


@contextmanager
def wall(url: str, what: str) -> Iterator[None]:
    """Translate what nats-py raises inside. Lets our own exceptions and cancellation through."""
    try:
        yield
    except EdgewardError:
        raise
    except (nats.errors.NoRespondersError, nats.js.errors.ServiceUnavailableError) as error:
        raise unreachable(url, what, "JetStream does not answer there") from error
    except nats.errors.MaxPayloadError as error:
        msg = f"cannot {what}: the value is larger than the state store takes in one message"
        raise StoreError(msg) from error
    except TimeoutError as error:
        raise unreachable(url, what, "too slow") from error
    except (nats.errors.Error, OSError, ConnectionError) as error:
        raise unreachable(url, what, plain(error)) from error


def plain(error: BaseException | None) -> str:
    """Return the shortest honest sentence for a foreign exception."""
    if error is None:
        return "not connected"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = str(error).removeprefix("nats: ").strip()
    return text.strip("'\"") or type(error).__name__


def first_of(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first exception of a group: the one that ended the others."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
