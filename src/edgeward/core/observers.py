"""Who observes whom: pure, so that every edge comes to the same."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

OBSERVERS: Final = 5
"""How many observers an edge has; all others, where they are no more than that."""


def observers_of(target: str, edges: Mapping[str, str], *, count: int = OBSERVERS) -> tuple[str, ...]:
    """Return who observes an edge, sorted by name: all others if they are no more than `count`, else so many.

    edges: each edge's place, any word; equal words are one place. They are chosen by rendezvous hashing (Thaler and
    Ravishankar, 1998), so that an edge which comes or goes changes few choices, each from another place while there are
    such.
    """
    others = sorted((name for name in edges if name != target), key=lambda name: _score(target, name))
    if len(others) <= count:
        return tuple(sorted(others))
    places: set[str] = set()
    first: list[str] = []
    for name in others:
        if edges[name] not in places:
            places.add(edges[name])
            first.append(name)
    chosen = set(first)
    rest = [name for name in others if name not in chosen]
    return tuple(sorted((first + rest)[:count]))


@lru_cache(maxsize=2)
def observed_by(observer: str, edges: frozenset[tuple[str, str]]) -> frozenset[str]:
    """Return whom an edge observes. edges: name and place of each, as for `observers_of`.

    Remembered, since that is asked several times a second and costs time that grows with the square of the edges.
    """
    places = dict(edges)
    return frozenset(name for name in places if observer in observers_of(name, places))


def _score(target: str, observer: str) -> bytes:
    return hashlib.blake2b(f"{target} {observer}".encode(), digest_size=8).digest()
