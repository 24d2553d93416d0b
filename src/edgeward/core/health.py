"""Whether an edge is up: what observers see of it, and the verdict that is made of that.

Every edge is probed by a few others. An observer turns the results of its probes into an opinion with hysteresis
(`Trend`), as load balancers do with `fall` and `rise`; what it thinks of all its targets is one report. A verdict is
the majority of the reports of observers that are connected themselves (`judge`). Times are seconds of a monotonic
clock.
"""

import hashlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.errors import SchemaError

SCHEMA: Final = (1, 0)
MOST_LACKING: Final = 4000
"""Sites that are lacking in one report, of all targets together, and as many that are unsure: with names of 63 letters
that is 0.8 MB, and the store takes messages of 1 MiB. Beyond that the edges that lack most are down.
"""

_MOST_WORDS: Final = 200


@dataclass(frozen=True, slots=True)
class Rules:
    """How opinions and verdicts come about; times in seconds.

    interval: between two probes of one address, at most. latency: a probe that takes longer has failed. fall, rise: so
    many results in a row turn an opinion to down, to up. grace: an edge may be without the live release of a site for
    so long after the pointer has moved. hold: an edge that fails again stays out until so long after its last return.
    expiry: a report that is older does not count.
    """

    interval: float = 1.0
    latency: float = 0.8
    fall: int = 3
    rise: int = 3
    grace: float = 10.0
    hold: float = 60.0
    expiry: float = 3.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found. failure: why it failed, None: it did not. own: the failure is the observer's (no route).

    milliseconds: from the request to the whole answer. sites: the release that each site is served from; None: cannot
    be told. starting: the edge has only just begun to say what it serves.
    """

    failure: str | None = None
    own: bool = False
    milliseconds: float | None = None
    sites: Mapping[str, str] | None = None
    starting: bool = False


@dataclass(frozen=True, slots=True)
class Trend:
    """An opinion about one address. up: None before there is one. run: results in a row that speak against it."""

    up: bool | None = None
    run: int = 0
    because: str = ""

    @property
    def answering(self) -> bool:
        """Whether the last result was a success, as far as there is an opinion."""
        return self.run == 0 if self.up else self.up is False and self.run > 0

    def doubted(self, rules: Rules) -> "Trend":
        """Return what is left of an opinion after a while in which nobody has looked: one failure ends it."""
        return self if self.up is False else Trend(self.up, rules.fall - 1, self.because)

    def after(self, result: Result, rules: Rules) -> "Trend":
        """Return the opinion after one more result.

        The first success makes an opinion at once; a first failure does not: an observer that has just begun must not
        speak for an edge that others know to be down, nor against one that it has not given a chance.
        """
        if result.own:
            return Trend() if self.run + 1 >= rules.fall else Trend(self.up, self.run + 1, self.because)
        if result.failure is None:
            up = self.up is not False or self.run + 1 >= rules.rise
            return Trend(up=True) if up else Trend(self.up, self.run + 1, self.because)
        if self.up is False:
            return Trend(self.up, 0, result.failure)
        if self.run + 1 >= rules.fall:
            return Trend(up=False, because=result.failure)
        return Trend(self.up, self.run + 1, result.failure)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an observer thinks of one edge. because: why it is down. milliseconds: of the last probe that succeeded.

    lacking: sites that the edge is not to be named for, with the release that it serves instead ("": none). unsure:
    sites of which the observer cannot tell yet whether the edge is lacking them; None: of none. families: 4 and 6, as
    far as it was asked over them, with why it does not answer there ("": it does).
    """

    target: str
    up: bool
    because: str = ""
    milliseconds: float | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    families: Mapping[int, str] = field(default_factory=dict)
    unsure: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Report:
    """All that one observer thinks. connected: it trusts its own connection. at: epoch seconds, for people."""

    observer: str
    connected: bool
    observations: tuple[Observation, ...]
    at: int = 0

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        rows = [
            {
                "target": each.target,
                "up": each.up,
                "because": each.because[:_MOST_WORDS],
                "us": None if each.milliseconds is None else round(each.milliseconds * 1000),
                "lacking": dict(each.lacking),
                "unsure": None if each.unsure is None else sorted(each.unsure),
                "families": {str(family): why[:_MOST_WORDS] for family, why in each.families.items()},
            }
            for each in self.observations
        ]
        value = {"observer": self.observer, "connected": self.connected, "at": self.at, "observations": rows}
        return canonical_bytes({"schema": list(SCHEMA), **value})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes. Raises SchemaError."""
        value = parse_object(data, kind="health report", major=SCHEMA[0])
        try:
            rows = tuple(_observation(row) for row in value["observations"])
            return cls(_text(value["observer"]), _flag(value["connected"]), rows, int(value["at"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(f"a health report is not of the expected shape: {error!r}") from error

    @property
    def essence(self) -> tuple[object, ...]:
        """What makes two reports different enough to send the second at once."""
        rows = tuple(
            (
                each.target,
                each.up,
                tuple(sorted(each.lacking.items())),
                tuple(sorted((family, not why) for family, why in each.families.items())),
            )
            for each in self.observations
        )
        return self.connected, rows


def _observation(row: Json) -> Observation:
    lacking = {_text(site): _text(release) for site, release in row["lacking"].items()}
    families = {int(family): _text(why) for family, why in row.get("families", {}).items()}
    took = None if row["us"] is None else int(row["us"]) / 1000
    sites = row.get("unsure", [])
    unsure = None if sites is None else frozenset(map(_text, sites))
    return Observation(_text(row["target"]), _flag(row["up"]), _text(row["because"]), took, lacking, families, unsure)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


@dataclass(frozen=True, slots=True)
class Seen:
    """What an observer knows of one address of an edge. family: 4 or 6. lacking, unsure: see Observation."""

    edge: str
    family: int
    trend: Trend
    milliseconds: float | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)
    unsure: frozenset[str] | None = frozenset()


def report(observer: str, seen: Iterable[Seen], *, references: Mapping[int, bool], at: int) -> Report:
    """Put together what an observer thinks of its targets.

    An edge answers over a family if it does on each of its addresses of that family; it is up if it answers over any.
    references: by family, whether any of the outside references answers; a family without references is not in it. What
    a family showed that is not trusted (`distrusted`) does not count. One that is only doubted still counts for an edge
    that was seen over no other: somebody has to say that it is dead.
    """
    known = [each for each in seen if each.trend.up is not None]
    families = {each.family for each in known}
    blind, doubted = distrusted(known, references=references)
    by_edge: dict[str, list[Seen]] = {}
    for each in known:
        if each.family not in blind:
            by_edge.setdefault(each.edge, []).append(each)
    trusted = {edge: [each for each in rows if each.family not in doubted] for edge, rows in by_edge.items()}
    rows = _bounded([_row(edge, trusted[edge] or rows) for edge, rows in sorted(by_edge.items())])
    return Report(observer, connected=not families or blind != families, observations=rows, at=at)


def distrusted(seen: Iterable[Seen], *, references: Mapping[int, bool]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the families in which an observer is cut off itself, and those in which it may well be.

    In both no target has answered the last probe: not only once all are down, for they become so one after the other.
    In the first the references do not answer either. The second have no reference that was asked, and several edges,
    while an edge is up over the other family: it is more likely that this observer has no such network than that all of
    them lost theirs at once.
    """
    known = [each for each in seen if each.trend.up is not None]
    quiet = {each.family for each in known} - {each.family for each in known if each.trend.answering}
    blind = {family for family in quiet if references.get(family) is False}
    doubted = {
        family
        for family in quiet - references.keys()
        if len({each.edge for each in known if each.family == family}) > 1
        and any(each.trend.up for each in known if each.family != family)
    }
    return frozenset(blind), frozenset(doubted)


def _row(edge: str, seen: list[Seen]) -> Observation:
    lacking: dict[str, str] = {}
    for each in seen:
        lacking.update(each.lacking)
    compared = [each.unsure for each in seen if each.unsure is not None]
    unsure = frozenset[str]().union(*compared) - lacking.keys() if compared else None
    failing: dict[int, list[str]] = {each.family: [] for each in seen}
    for each in seen:
        if not each.trend.up:
            failing[each.family].append(each.trend.because)
    families = {family: "; ".join(reasons) for family, reasons in failing.items()}
    because = "; ".join(families.values()) if all(families.values()) else ""
    times = [each.milliseconds for each in seen if each.milliseconds is not None]
    return Observation(edge, not because, because, max(times, default=None), lacking, families, unsure)


def _bounded(rows: list[Observation]) -> tuple[Observation, ...]:
    """Return the rows with no more sites than a report may have."""
    lacking = _beyond({each.target: len(each.lacking) for each in rows})
    unsure = _beyond({each.target: len(each.unsure or ()) for each in rows})
    found = []
    for each in rows:
        row = replace(each, unsure=None) if each.target in unsure else each
        if each.target in lacking:
            many = f"it does not hold the live releases of {len(each.lacking):,} sites"
            row = replace(row, up=False, because="; ".join(filter(None, [each.because, many])), lacking={})
        found.append(row)
    return tuple(found)


def _beyond(counts: Mapping[str, int]) -> set[str]:
    """Return the edges with the largest counts, those without which the sum is within bounds."""
    edges = sorted(counts, key=lambda edge: (counts[edge], edge))
    sums = itertools.accumulate(counts[edge] for edge in edges)
    return {edge for edge, total in zip(edges, sums, strict=True) if total > MOST_LACKING}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an edge is up. because: what the observers say that made it so. since: when it became so.

    returned: when it last came up again, None: never.
    """

    edge: str
    up: bool
    because: tuple[str, ...] = ()
    since: float = 0.0
    returned: float | None = None


def judge(
    edges: Iterable[str],
    reports: Collection[Report],
    *,
    own: str,
    before: Mapping[str, Verdict],
    now: float,
    rules: Rules,
) -> dict[str, Verdict]:
    """Return the verdict for each edge: down when over each family more than half of the connected observers that ask
    it there say so.

    reports: those that count (`counting`). own: who is asking: an edge that nobody observes is as it was, but for the
    asking one itself, which is up. An edge that is down again soon after it returned is held down (RFC 2439 has the
    idea), so that flapping is few changes; failover itself is never held back.
    """
    votes: dict[str, list[tuple[str, Observation]]] = {}
    for each in reports:
        if each.connected:
            for seen in each.observations:
                votes.setdefault(seen.target, []).append((each.observer, seen))
    found: dict[str, Verdict] = {}
    for edge in edges:
        known = before.get(edge) or Verdict(edge, up=True, since=now)
        cast = sorted(votes.get(edge, ()), key=lambda vote: vote[0])
        if not cast:
            found[edge] = _turned(known, (), now=now) if edge == own and not known.up else known
            continue
        against = tuple(f"{observer}: {why}" for observer, seen in cast if (why := _complaint(seen)))
        well = tuple(f"{observer}: it answers" for observer, _ in cast)
        found[edge] = following(known, against if _is_down(cast) else (), well, now=now, rules=rules)
    return found


def _complaint(seen: Observation) -> str:
    return seen.because or "; ".join(filter(None, seen.families.values()))


def _is_down(cast: Iterable[tuple[str, Observation]]) -> bool:
    """Whether over each family more than half of those that ask there have no answer: one who has no IPv6 says nothing
    of it.
    """
    said: dict[int, list[bool]] = {}
    for _, seen in cast:
        for family, why in (seen.families or {0: seen.because}).items():
            said.setdefault(family, []).append(bool(why) or not seen.up)
    return all(2 * sum(against) > len(against) for against in said.values())


def following(known: Verdict, against: tuple[str, ...], well: tuple[str, ...], *, now: float, rules: Rules) -> Verdict:
    """Return the verdict after `known`: down for the reasons `against`, else up, with `well`, unless it is held out."""
    if against:
        return Verdict(known.edge, False, against, now if known.up else known.since, known.returned)
    if known.up:
        return known
    if known.returned is not None and now - known.returned < rules.hold:
        held = f"it answers, and is held out: it failed again within {rules.hold:g} s of its last return"
        return Verdict(known.edge, False, (held,), known.since, known.returned)
    return _turned(known, well, now=now)


def _turned(known: Verdict, because: tuple[str, ...], *, now: float) -> Verdict:
    return Verdict(known.edge, True, because, now, now)


def counting(
    received: Mapping[str, tuple[Report, float]], own: Report, *, alone: bool, now: float, rules: Rules
) -> list[Report]:
    """Return the reports that count: one's own, and of the others (with the time of receipt) those that are fresh.

    alone: the store cannot be reached, so that what others said is old.
    """
    if alone:
        return [own]
    others = [each for each, at in received.values() if each.observer != own.observer and now - at <= rules.expiry]
    return [own, *others]


def sites_digest(sites: Mapping[str, str]) -> str:
    """Return what stands for the releases that an edge serves, by site: BLAKE2b-128 (RFC 7693) in hex.

    An observer that knows the live pointers sees by it that an edge holds them all, whatever their number.
    """
    return hashlib.blake2b(canonical_bytes(dict(sites)), digest_size=16).hexdigest()
