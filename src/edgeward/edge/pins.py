"""Blobs that a staging under way counts on, which no sweep may take away."""

from collections.abc import Callable, Container

from edgeward.core.digest import Digest

Digests = Callable[[], Container[Digest]]
"""Returns some blobs. It is called when a sweep wants to know, which is seldom."""


class Pins:
    """What the stagings under way count on."""

    def __init__(self) -> None:
        self._held: list[Digests] = []

    def __bool__(self) -> bool:
        """Whether any staging is under way."""
        return bool(self._held)

    def add(self, digests: Digests) -> None:
        """Count on these blobs until `remove`."""
        self._held.append(digests)

    def remove(self, digests: Digests) -> None:
        """Count on them no longer."""
        self._held.remove(digests)

    def counted_on(self) -> Callable[[Digest], bool]:
        """Return what tells of a blob whether a staging that is under way now counts on it."""
        pins = [digests() for digests in tuple(self._held)]
        return lambda digest: any(digest in each for each in pins)
