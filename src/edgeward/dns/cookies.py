"""Server cookies (RFC 7873, in the form of RFC 9018 section 4): who has one of ours can receive at its address.

The hash is BLAKE2s with a key, 64 bits, where RFC 9018 has SipHash-2-4: that takes twenty times as long in Python, and
servers that share an address must then be of this program and have one secret.

The key is another one each week, made of the secret and the week (RFC 7873 section 7.1 wants keys to be replaced): who
finds out that of one week has nothing of the next.
"""

import hashlib
import struct
from functools import lru_cache
from typing import Final

VERSION: Final = 1
OLDEST: Final = 3600
"""Seconds for which a server cookie is good."""
RENEWED: Final = 1800
"""Seconds after which a new one is sent."""
FUTURE: Final = 300
"""Seconds by which other servers' clocks may be ahead."""

CLIENT: Final = 8
"""Bytes of a client's cookie."""

_HEAD: Final = struct.Struct("!BxxxI")
_WEEK: Final = 7 * 86_400


def server_cookie(client: bytes, address: bytes, *, secret: bytes, now: int) -> bytes:
    """Return client and server cookie, 24 bytes. client: 8 bytes. address: 4 or 16. now: seconds since the epoch."""
    head = _HEAD.pack(VERSION, now & 0xFFFFFFFF)
    return client + head + _hash(client + head + address, secret, now & 0xFFFFFFFF)


def is_ours(cookie: bytes, address: bytes, *, secret: bytes, now: int) -> bool:
    """Whether a cookie option holds a server cookie that we made for that address and that is still good."""
    if len(cookie) != CLIENT + _HEAD.size + 8:
        return False
    version, made = _HEAD.unpack_from(cookie, CLIENT)
    age = (now - made + 0x80000000 & 0xFFFFFFFF) - 0x80000000  # serial number arithmetic (RFC 1982)
    if version != VERSION or not -FUTURE <= age <= OLDEST:
        return False
    head = cookie[CLIENT : CLIENT + _HEAD.size]
    # Whoever can time an answer to the nanosecond over a network is no concern here: a forged cookie saves a retry.
    return cookie[-8:] == _hash(cookie[:CLIENT] + head + address, secret, made)


def answer_cookie(cookie: bytes, address: bytes, *, secret: bytes, now: int) -> tuple[bytes, bool]:
    """Return the cookie to send back, and whether the one received was ours."""
    ours = is_ours(cookie, address, secret=secret, now=now)
    if ours and now - made_at(cookie) < RENEWED:
        return cookie, True
    return server_cookie(cookie[:CLIENT], address, secret=secret, now=now), ours


def made_at(cookie: bytes) -> int:
    """Return when a server cookie of ours was made, in seconds since the epoch."""
    return int(_HEAD.unpack_from(cookie, CLIENT)[1])


def _hash(data: bytes, secret: bytes, made: int) -> bytes:
    return hashlib.blake2s(data, digest_size=8, key=week_key(secret, made // _WEEK)).digest()


@lru_cache(maxsize=16)
def week_key(secret: bytes, week: int) -> bytes:
    """Return the key of the cookies that are made in one week, counted from the epoch."""
    return hashlib.blake2s(week.to_bytes(8, "big"), digest_size=16, key=secret).digest()
