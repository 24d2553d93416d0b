"""Edges as steering sees them, and an order of preference among them with the reason for each place in it."""

import math
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from edgeward.core.geography import Place
from edgeward.errors import InputError

Source = Literal["operator", "measured", "geography", "default"]
"""What decided an order, strongest first."""

Family = Literal[4, 6]

DEFAULT_WEIGHT: Final = 100
HEAVIEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class SteeredEdge:
    """An edge that readers can be sent to.

    place: where it stands, None if that is not known. addresses: IPv4 and IPv6 addresses that readers use, one at
    least. weight: 1 to 10,000; a round trip counts 100 / weight times, so with weight 50 an edge is preferred as if it
    were twice as far away. Raises InputError for anything else.
    """

    name: str
    place: Place | None
    addresses: tuple[str, ...]
    weight: int = DEFAULT_WEIGHT

    def __post_init__(self) -> None:
        wrong = []
        if not self.addresses:
            wrong.append("it has no address, so no reader can be sent to it")
        wrong += [f"{each!r} is no IP address" for each in self.addresses if not is_address(each)]
        if not 1 <= self.weight <= HEAVIEST:
            wrong.append(f"its weight is {self.weight}; a weight is 1 to {HEAVIEST}")
        if wrong:
            msg = f"edge {self.name} cannot be steered to: {'; '.join(wrong)}"
            raise InputError(msg, hint="mend the edge's record: its edge.toml, then a restart of its agent")

    def address(self, family: Family) -> str | None:
        """Return its first address of a family, or None."""
        return next((each for each in self.addresses if (6 if ":" in each else 4) == family), None)


@dataclass(frozen=True, slots=True)
class Ranked:
    """An edge's place in an order.

    milliseconds: the round trip that the place was given for, in tenths, without the edge's weight; None where no round
    trip decided it: the operator's own words, an edge whose place is not known, the default order.
    """

    edge: str
    milliseconds: float | None
    because: str


@dataclass(frozen=True, slots=True)
class Order:
    """All edges of a fleet in order of preference for some network. source: the strongest of what decided it."""

    ranked: tuple[Ranked, ...]
    source: Source
    because: str


@dataclass(frozen=True, slots=True)
class Match:
    """What a table says of an address.

    order: index into the table's orders. prefix: length of the widest network around the address in which every address
    has this same order (for IPv6 at most 64): the scope of an answer (RFC 7871 section 7.2.1).
    """

    order: int
    prefix: int


def near(one: float | None, other: float | None, margin: float) -> bool:
    """Whether both places were given for a round trip, and these differ by no more than `margin` milliseconds.

    They are compared in whole tenths of a millisecond, which is how tables hold them.
    """
    return one is not None and other is not None and round(abs(other - one) * 10) <= near_tenths(margin)


def near_tenths(margin: float) -> int:
    """Return the most tenths of a millisecond that round trips within a margin of milliseconds differ by."""
    return math.floor(margin * 10)


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
