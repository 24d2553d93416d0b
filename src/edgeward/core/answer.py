"""Which addresses a question is answered with, from an order of edges and from what is known of them just now."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from edgeward.core.orders import Family, Order, Ranked, SteeredEdge, near

MARGIN = 15.0
"""Milliseconds within which a second address may stand beside the first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Addresses of one family and the edges that they belong to, nearest first.

    Both are empty if no edge has that family, or if those that have it are out and another edge is not: readers reach
    that one over their other family.

    because: one sentence for each edge that is named, then one for each that stands before the last of them in the
    order and is not named; for an empty answer one for each edge of the family.
    failed_open: every edge of the fleet is out, so the answer is given as if they were not.
    """

    addresses: tuple[str, ...]
    edges: tuple[str, ...]
    because: tuple[str, ...]
    failed_open: bool


def choose(
    order: Order,
    edges: Mapping[str, SteeredEdge],
    *,
    out: Mapping[str, str],
    family: Family,
    margin: float = MARGIN,
    most: int = 2,
    lacking: Mapping[str, str] | None = None,
    silent: Mapping[str, Mapping[int, str]] | None = None,
    drained: Container[str] = (),
) -> Answer:
    """Name the first edge of the order that is not out, and up to `most` - 1 more within `margin` ms of it.

    out: edge -> why it is not to be named (verdict down, drained). lacking: the same for this site alone (it does not
    hold the live release). silent: edge -> family over which it does not answer -> why; it is named for the other one.
    drained: which of them an operator took out. A further edge is named only where the places
    of both were given for a round trip: an operator's own choice stays alone.

    If every edge of the order is out, whatever its families, all with an address of this one are candidates again
    (fail open): first those that are only down, then those that lack the release, the drained ones last. A family that
    failed open by itself would go on naming a dead edge to readers whom the other family leads to one that is well.
    """
    lacks, mute = lacking or {}, silent or {}
    families: tuple[Family, ...] = (4, 6)

    def is_well(name: str, over: Family) -> bool:
        return name not in out and name not in lacks and over not in mute.get(name, {})

    candidates: list[tuple[Ranked, str]] = []
    for ranked in order.ranked:
        address = edges[ranked.edge].address(family) if ranked.edge in edges else None
        if address is not None:
            candidates.append((ranked, address))
    alive = [each for each in candidates if is_well(each[0].edge, family)]
    some_well = any(
        is_well(each.edge, over)
        for each in order.ranked
        for over in families
        if each.edge in edges and edges[each.edge].address(over) is not None
    )
    failed_open = bool(candidates) and not some_well
    if failed_open:
        # A worse class is never mixed in for the sake of a second address.
        classes = [(ranked.edge in drained, ranked.edge in lacks) for ranked, _ in candidates]
        alive = [each for each, its in zip(candidates, classes, strict=True) if its == min(classes)]
    named = [
        each for each in alive if each is alive[0] or near(alive[0][0].milliseconds, each[0].milliseconds, margin)
    ][:most]
    names = tuple(ranked.edge for ranked, _ in named)
    because = [f"{ranked.edge}: {ranked.because}" for ranked, _ in named]
    places = [ranked.edge for ranked in order.ranked]
    before = places[: places.index(names[-1])] if named else [ranked.edge for ranked, _ in candidates]
    for name in before:
        if name not in names:
            why = out.get(name) or lacks.get(name) or mute.get(name, {}).get(family)
            why = why or f"it has no IPv{family} address"
            because.append(f"{name} is not named: {why}")
    return Answer(tuple(address for _, address in named), names, tuple(because), failed_open)
