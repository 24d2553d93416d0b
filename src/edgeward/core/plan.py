"""What an edge does next: the difference between what the store says should be and what is on the edge.

`decide` is pure and works on levels: it looks at the two states alone, so that a lost message, a restart and a
duplicate are no special cases. Applying a plan moves the edge towards the state in which the plan is empty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgeward.core.digest import Digest
from edgeward.core.fleet import Pointer, PurgeOrder, ReleaseRecord

ReleaseKey = tuple[str, Digest]
"""A site and one of its releases."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What the store says should be.

    live: by site. candidates, releases: by site and release. orders: purge orders by key. owners: site by hostname.
    """

    live: Mapping[str, Pointer] = field(default_factory=dict)
    candidates: Mapping[ReleaseKey, Pointer] = field(default_factory=dict)
    releases: Mapping[ReleaseKey, ReleaseRecord] = field(default_factory=dict)
    orders: Mapping[str, PurgeOrder] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """A release could not be staged, or the HTTP engine did not take it: why.

    retry_at: when to try again, seconds since the epoch by the edge's own clock.
    """

    because: str
    retry_at: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What is on the edge.

    live: release that is served, by site. staged: releases whose trees are whole on disk, with their hostnames.
    staging: those under way. failed: those that could not be staged. rejected: staged ones that the HTTP engine did not
    take. carried_out: keys of purge orders that are done.
    tainted: by key of a purge order, the staged releases that hold a digest of it and that it covers.
    """

    live: Mapping[str, Digest] = field(default_factory=dict)
    staged: Mapping[ReleaseKey, tuple[str, ...]] = field(default_factory=dict)
    staging: frozenset[ReleaseKey] = frozenset()
    failed: Mapping[ReleaseKey, Failure] = field(default_factory=dict)
    rejected: Mapping[ReleaseKey, Failure] = field(default_factory=dict)
    carried_out: frozenset[str] = frozenset()
    tainted: Mapping[str, frozenset[ReleaseKey]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """Fetch, verify and link this release."""

    record: ReleaseRecord
    because: str

    @property
    def key(self) -> ReleaseKey:
        """Site and release."""
        return self.record.site, self.record.release


@dataclass(frozen=True, slots=True)
class Switch:
    """Serve `new` for this site in place of `old`; None: the site is not served."""

    site: str
    old: Digest | None
    new: Digest | None
    because: str


@dataclass(frozen=True, slots=True)
class Unstage:
    """Take the trees of this release off the disk."""

    site: str
    release: Digest
    because: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. Empty when the edge is as it should be.

    stage: most urgent first. cancel: stagings under way that nobody wants any more. serve: release by site, after the
    switches. purge: orders that can be carried out now. behind: why the edge does not serve what the live pointers
    say, by site; empty when it does. problems: sentences for the operator, by a name that stays while a problem lasts.
    """

    stage: tuple[Stage, ...] = ()
    cancel: tuple[ReleaseKey, ...] = ()
    serve: Mapping[str, Digest] = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()
    unstage: tuple[Unstage, ...] = ()
    purge: tuple[PurgeOrder, ...] = ()
    behind: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def decide(desired: Desired, observed: Observed, *, now: int) -> Plan:
    """Return what to do next. `desired` must be whole: what it does not mention is taken off the disk.

    A site without a live pointer goes on being served (the store may have lost it) until a pointer says that it was
    removed. A release is served only once it is staged; until then the one that is served stays.
    """
    wanted = _wanted(desired)
    tainted = frozenset(key for key, _ in _tainted(desired, observed))
    serve, behind, problems = _targets(desired, observed, tainted, now=now)
    serve, refused = _without_clashes(serve, desired, observed)
    for site, reason in refused.items():
        behind.setdefault(site, reason)
        problems[site] = reason
    problems |= {
        f"{site} {release[:12]}": f"release {release[:12]} of site {site} cannot be staged: {failure.because}"
        for (site, release), failure in observed.failed.items()
        if (site, release) in wanted and (site, release) not in observed.staged
    }
    keep = set(wanted) | set(serve.items()) | set(observed.live.items())
    keep |= {key for key in observed.staged if key[0] in observed.live and key[0] not in desired.live}
    return Plan(
        stage=tuple(
            Stage(desired.releases[key], because)
            for key, because in wanted.items()
            if key in desired.releases
            and key not in observed.staged
            and key not in observed.staging
            and (key not in observed.failed or observed.failed[key].retry_at <= now)
        ),
        cancel=tuple(sorted(key for key in observed.staging if key not in wanted)),
        serve=serve,
        switches=tuple(_switches(serve, desired, observed)),
        unstage=tuple(
            Unstage(site, release, "it is neither live, nor a candidate, nor what the site would roll back to")
            for site, release in sorted(observed.staged)
            if (site, release) not in keep
        ),
        purge=tuple(_orders(desired, observed, serve)),
        behind=behind,
        problems=problems,
    )


def wait_until(observed: Observed, *, now: int) -> int | None:
    """Return the earliest time at which `decide` may say something else although nothing happened, or None."""
    failures = (*observed.failed.values(), *observed.rejected.values())
    return min((failure.retry_at for failure in failures if failure.retry_at > now), default=None)


def why_not_ready(
    *, compared: bool, settled: bool, behind: Mapping[str, str], behind_since: int | None, now: int, stale_after: int
) -> tuple[str, ...]:
    """Return the reasons for which an edge must not call itself current; none: it is.

    compared: it has seen the whole state of the store since it started. settled: since then (and since the store was
    last lost) it has once served everything that the pointers say. A settled edge that falls behind, as every edge
    does for the moment of a switch, stays ready for `stale_after` seconds.
    """
    if not compared:
        return ("it has not compared itself with the store since it started",)
    if not behind:
        return ()
    late = behind_since is not None and now - behind_since >= stale_after
    return tuple(behind[site] for site in sorted(behind)) if late or not settled else ()


def _wanted(desired: Desired) -> dict[ReleaseKey, str]:
    """Return every release that should be staged, most urgent first, with the reason."""
    wanted: dict[ReleaseKey, str] = {}
    for site, pointer in sorted(desired.live.items()):
        if pointer.release is not None:
            wanted[site, pointer.release] = "it is the live release"
    for key in sorted(desired.candidates):
        wanted.setdefault(key, "it is about to be made live")
    for site, pointer in sorted(desired.live.items()):
        if pointer.release is not None and pointer.previous is not None:
            key = (site, pointer.previous)
            if key in desired.releases:
                wanted.setdefault(key, "the site would roll back to it")
    return wanted


def _tainted(desired: Desired, observed: Observed) -> Iterator[tuple[ReleaseKey, str]]:
    """Yield each staged release that a standing purge order forbids to serve, with the order's key."""
    for order, keys in observed.tainted.items():
        if order in desired.orders:
            for key in keys:
                yield key, order


def _targets(
    desired: Desired, observed: Observed, tainted: frozenset[ReleaseKey], *, now: int
) -> tuple[dict[str, Digest], dict[str, str], dict[str, str]]:
    """Return what to serve by site, why some sites are behind, and problems; hostnames are not looked at yet."""
    serve = dict(observed.live)
    behind: dict[str, str] = {}
    problems = {
        site: f"site {site} is served from this edge's own disk, but the store has no live pointer for it"
        for site in observed.live
        if site not in desired.live
    }
    for site, pointer in sorted(desired.live.items()):
        release = pointer.release
        if release is None:
            serve.pop(site, None)
            if site in observed.live:
                behind[site] = f"site {site} was removed and is still served"
            continue
        if observed.live.get(site) == release:
            continue
        key = (site, release)
        behind[site] = f"release {release[:12]} of site {site} is live but not yet served here"
        if key in tainted:
            reason = f"release {release[:12]} of site {site} is live but holds what was purged; it is not served here"
            behind[site] = problems[site] = reason
        elif key in observed.rejected:
            failure = observed.rejected[key]
            problems[site] = f"release {release[:12]} of site {site} cannot be served: {failure.because}"
            if key in observed.staged and failure.retry_at <= now:
                serve[site] = release
        elif key in observed.staged:
            serve[site] = release
        elif key not in desired.releases:
            reason = f"release {release[:12]} of site {site} is live but the store has no record of it"
            behind[site] = problems[site] = reason
    return serve, behind, problems


def _without_clashes(
    serve: Mapping[str, Digest], desired: Desired, observed: Observed
) -> tuple[dict[str, Digest], dict[str, str]]:
    """Let no two sites answer for one hostname: hold switches back until none clash.

    The owner by the fleet's claims wins, then the site that answers for the name now, then the first by name. The
    loser's switch is held back; if it has none, the winner's is, since nothing that is served goes off the air for
    another site's sake. Returns what to serve and the sentence for each site that was held back.
    """
    chosen = dict(serve)
    refused: dict[str, str] = {}
    while clash := _first_clash(chosen, desired, observed):
        hostname, winner, loser = clash
        held = winner if chosen[loser] == observed.live.get(loser) != chosen[winner] else loser
        other = loser if held == winner else winner
        refused[held] = f"site {held} cannot answer for {hostname}: site {other} does"
        current = observed.live.get(held)
        if current is None or chosen[held] == current:
            del chosen[held]
        else:
            chosen[held] = current
    return chosen, refused


def _first_clash(chosen: Mapping[str, Digest], desired: Desired, observed: Observed) -> tuple[str, str, str] | None:
    """Return the first hostname that two sites would answer for, with the winner and the loser."""
    taken: dict[str, str] = {}
    for site in sorted(chosen):
        for hostname in observed.staged.get((site, chosen[site]), ()):
            other = taken.setdefault(hostname, site)
            if other != site:
                winner = _owner(hostname, other, site, desired, observed)
                return hostname, winner, site if winner == other else other
    return None


def _owner(hostname: str, first: str, second: str, desired: Desired, observed: Observed) -> str:
    if (owner := desired.owners.get(hostname)) in {first, second}:
        assert owner is not None
        return owner
    for site in (first, second):
        release = observed.live.get(site)
        if release is not None and hostname in observed.staged.get((site, release), ()):
            return site
    return first


def _switches(serve: Mapping[str, Digest], desired: Desired, observed: Observed) -> Iterator[Switch]:
    for site in sorted(set(serve) | set(observed.live)):
        old, new = observed.live.get(site), serve.get(site)
        if old == new:
            continue
        pointer = desired.live.get(site)
        because = "its hostname belongs to another site" if pointer is None else f"{pointer.move} by {pointer.by}"
        yield Switch(site, old, new, because)


def _orders(desired: Desired, observed: Observed, serve: Mapping[str, Digest]) -> Iterator[PurgeOrder]:
    """Yield the purge orders that can be carried out: their site has switched, to a release without the bytes."""
    for key, order in sorted(desired.orders.items()):
        if key in observed.carried_out or key not in observed.tainted:
            continue
        current = observed.live.get(order.site)
        if current != serve.get(order.site) or (current and (order.site, current) in observed.tainted[key]):
            continue
        yield order
