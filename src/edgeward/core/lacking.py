"""Whether an edge holds the live release of each site, as observers see it and agree on it.

Times are seconds of a monotonic clock.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgeward.core.health import Observation, Report, Result, Rules


@dataclass(frozen=True, slots=True)
class Expected:
    """The live release of a site, and since when this edge has known it."""

    release: str
    since: float


@dataclass(frozen=True, slots=True)
class Live:
    """What an edge knows of the live pointers. expected: by site. current: they are followed just now.

    unread: sites whose pointer cannot be read, and never could.
    """

    expected: Mapping[str, Expected]
    current: bool = True
    unread: frozenset[str] = frozenset()


def missing(
    live: Live, result: Result, before: Mapping[str, float], *, now: float, rules: Rules
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare what an edge says that it serves with the live pointers.

    before: sites that it did not hold last time, and since when. While the pointers are not followed, an edge with
    another release may be the one that is right. Returns the new `before`, and the sites that it is to be
    named for no longer, each with the release that it serves ("": none): of the others in `before` one cannot be sure.
    """
    if result.sites is None:
        return dict(before), {}
    differ = {
        site: now
        for site, wanted in live.expected.items()
        if (has := result.sites.get(site)) != wanted.release and (live.current or has is None or site in before)
    }
    since = {site: before.get(site, at) for site, at in differ.items()}
    patience = rules.grace if result.starting else (rules.fall - 1) * rules.interval
    lacking = {
        site: result.sites.get(site, "")
        for site, at in since.items()
        if now - at >= patience and now - live.expected[site].since >= rules.grace
    }
    return since, lacking


def lacking(reports: Collection[Report], *, before: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return, by site, the edges that do not hold its live release, each with the reason.

    More than half of those connected observers say so that are sure: one that has just started, or for whom the pointer
    has just moved, sees another release and says nothing yet, and must not bring back an edge that others know to be
    lacking. before: what was so, and still is of edges of which nobody is sure.
    """
    rows: dict[str, list[Observation]] = {}
    for each in reports:
        if each.connected:
            for seen in each.observations:
                rows.setdefault(seen.target, []).append(seen)
    pairs = {(site, edge) for edge, said in rows.items() for seen in said for site in seen.lacking}
    pairs |= {(site, edge) for site, edges in before.items() for edge in edges}
    found: dict[str, dict[str, str]] = {}
    for site, edge in pairs:
        votes = [
            seen.lacking.get(site)
            for seen in rows.get(edge, ())
            if site in seen.lacking or not (seen.unsure is None or site in seen.unsure)
        ]
        against = [release for release in votes if release is not None]
        known = before.get(site, {}).get(edge)
        if 2 * len(against) > len(votes):
            found.setdefault(site, {})[edge] = _lack(against)
        elif not votes and known is not None:
            found.setdefault(site, {})[edge] = known
    return found


def _lack(releases: list[str]) -> str:
    release = max(releases)
    return f"it serves release {release[:12]}, which is not the live one" if release else "it does not serve the site"
