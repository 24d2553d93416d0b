"""Names of bytes: the SHA-256 digest (FIPS 180-4) as 64 lower-case hex digits."""

import hashlib
import re
from typing import NewType

from edgeward.errors import CorruptionError, SchemaError

Digest = NewType("Digest", str)

_SHAPE = re.compile(r"[0-9a-f]{64}\Z")


def parse_digest(text: str) -> Digest:
    """Return `text` as a digest. Raises SchemaError if it is not 64 lower-case hex digits."""
    if not _SHAPE.match(text):
        msg = f"{text[:80]!r} is not a SHA-256 digest (64 lower-case hex digits)"
        raise SchemaError(msg, text=text[:80])
    return Digest(text)


def digest_of(data: bytes) -> Digest:
    """Return the digest of `data`."""
    return Digest(hashlib.sha256(data).hexdigest())


def check_digest(data: bytes, expected: Digest) -> None:
    """Raise CorruptionError unless `data` has the digest `expected`."""
    actual = digest_of(data)
    if actual != expected:
        msg = f"blob {expected[:12]} is corrupt: its {len(data)} bytes have the digest {actual[:12]}"
        raise CorruptionError(msg, expected=expected, actual=actual)
