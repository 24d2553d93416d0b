"""Over which families an edge answers: a verdict for each, so that one whose IPv6 is broken is left out of AAAA alone.

An edge that is down is down over all of them (`health.judge`); here is what holds for those that are up.
"""

from collections.abc import Collection, Mapping

from edgeward.core.fleet import EdgeRecord
from edgeward.core.health import Report, Rules, Verdict, following

Families = Mapping[tuple[str, int], Verdict]
"""Verdicts by edge and family, 4 or 6."""


def families_of(edges: Mapping[str, EdgeRecord]) -> dict[str, frozenset[int]]:
    """Return the families in which each edge has addresses."""
    return {
        name: frozenset(6 if ":" in address else 4 for address in record.addresses) for name, record in edges.items()
    }


def judge_families(
    reports: Collection[Report], *, before: Families, now: float, rules: Rules
) -> dict[tuple[str, int], Verdict]:
    """Return the verdict for each edge and family: down when more than half of those that ask it there have no answer.

    Held down as whole edges are. What nobody asks over is as it was.
    """
    asked: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for each in reports:
        if each.connected:
            for seen in each.observations:
                for family, why in seen.families.items():
                    asked.setdefault((seen.target, family), []).append((each.observer, why))
    found = dict(before)
    for key, said in sorted(asked.items()):
        against = tuple(f"{observer}: {why}" for observer, why in sorted(said) if why)
        well = tuple(f"{observer}: it answers" for observer, _ in sorted(said))
        known = before.get(key) or Verdict(key[0], up=True, since=now)
        is_down = 2 * len(against) > len(said)
        found[key] = following(known, against if is_down else (), well, now=now, rules=rules)
    return found


def silent(
    families: Families, *, addresses: Mapping[str, Collection[int]], out: Collection[str]
) -> dict[str, dict[int, str]]:
    """Return, by edge, the families over which answers are not to name it, with what the observers say.

    addresses: the families in which each edge has addresses; what is known of others is of the past. out: edges that
    are not named at all. Where all that could be named over a family are silent there, none counts as silent: as with
    whole edges, an answer that may not work is better than none.
    """
    found: dict[str, dict[int, str]] = {}
    for (edge, family), verdict in sorted(families.items()):
        if not verdict.up and family in addresses.get(edge, ()):
            found.setdefault(edge, {})[family] = "; ".join(verdict.because)
    for family in {family for known in addresses.values() for family in known}:
        able = [edge for edge, known in addresses.items() if family in known and edge not in out]
        if all(family in found.get(edge, ()) for edge in able):
            for edge in able:
                found[edge].pop(family)
    return {edge: said for edge, said in found.items() if said}
