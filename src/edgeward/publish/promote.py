"""Move the live pointer of a site: candidate, wait for edges, compare-and-set, wait for edges (push, rollback, purge,
removal).

The compare-and-set is the one act that changes what is served. Before it everything can be taken back, and is, whatever
ends the command; after it the release is live, and what is left is to see every edge follow.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from edgeward.core.digest import Digest
from edgeward.core.fleet import EdgeStatus, HostClaim, Move, Pointer, ReleaseRecord
from edgeward.errors import ConflictError, QuorumError, StoreError, StoreUnavailable
from edgeward.publish.claims import claim_again
from edgeward.publish.intent import Intent
from edgeward.publish.journal import write_down
from edgeward.publish.progress import Advanced, EdgeReached, Finished, Progress, Started
from edgeward.publish.releases import Live, ensure_record, read_live, release_key
from edgeward.publish.roll_call import Attendance, RollCall, enough
from edgeward.publish.values import EdgeTimes, MoveResult, Waiting
from edgeward.store.connection import Store

_GOODBYE = 5.0
"""Seconds for taking back what a command that failed has left in the store."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A move to be made. held: the command's intent. live: where the pointer stood when the command began. record: of
    the release, None = remove the site. began: monotonic time at which the command began. hostnames: of the release.
    """

    held: Intent
    live: Live
    record: ReleaseRecord | None
    move: Move
    by: str
    waiting: Waiting
    began: float
    hostnames: tuple[str, ...] = ()

    @property
    def site(self) -> str:
        """The site."""
        return self.live.site

    @property
    def release(self) -> Digest | None:
        """The release to make live."""
        return self.record.release if self.record else None

    def pointer(self) -> Pointer:
        """Return the pointer as it will be."""
        return Pointer(self.site, self.release, self.live.release, int(time.time()), self.by, self.move)


async def promote(promotion: Promotion, store: Store, roll: RollCall, progress: Progress) -> MoveResult:
    """Make the move and see every edge follow: `make_live`, then `follow`."""
    return await follow(promotion, roll, progress, await make_live(promotion, store, roll, progress))


async def make_live(promotion: Promotion, store: Store, roll: RollCall, progress: Progress) -> dict[str, float]:
    """Wait until the release is staged, then move the pointer; return when each edge had it staged (seconds).

    Raises QuorumError if too few edges are ready in time, ConflictError if the pointer has moved meanwhile. Whatever is
    raised, no candidate is left behind.
    """
    times: dict[str, float] = {}
    if promotion.record is None:
        await _move(promotion, store)
        await _write_down(promotion, store, progress)
        return times
    async with _candidate(promotion, store):
        await _stage(promotion, roll, progress, times)
        await _move(promotion, store)
    await _write_down(promotion, store, progress)
    with after_the_move(promotion):
        await ensure_record(store, promotion.record)
        for hostname in promotion.hostnames:
            await claim_again(store, HostClaim(hostname, promotion.site, int(time.time())))
        await _clear(promotion.site, store)
    return times


async def _write_down(promotion: Promotion, store: Store, progress: Progress) -> None:
    before, record = promotion.live.release, promotion.record
    was = f", was {before[:12]}" if before else ""
    said = f": {record.message}" if record and record.message and promotion.move == "push" else ""
    what = f"release {record.release[:12]} is live{was}{said}" if record else f"it is removed{was}"
    facts = {"site": promotion.site, "release": promotion.release, "previous": before}
    text = f"site {promotion.site}: {what}"
    await write_down(store, progress, promotion.move, by=promotion.by, text=text, facts=facts)


@contextmanager
def after_the_move(promotion: Promotion) -> Iterator[None]:
    """Let a failure of the store say what stands: the pointer has moved."""
    try:
        yield
    except StoreError as error:
        raise type(error)(
            f"{_moved(promotion)}, but whether every edge follows is not known: {error.message}",
            hint="edgeward status",
            site=promotion.site,
            release=promotion.release,
            moved=True,
        ) from error


async def follow(promotion: Promotion, roll: RollCall, progress: Progress, staged: dict[str, float]) -> MoveResult:
    """Wait until every edge serves what is live now. Raises QuorumError; what is live stays live."""
    live: dict[str, float] = {}
    # An edge that was too late to have it staged has had its wait: it is named, and not waited for again.
    among = frozenset(staged) if promotion.record is not None else None
    with after_the_move(promotion):
        found = await _activate(promotion, roll, progress, live, among)
    names = sorted(roll.attendance(lambda _: False).expected | staged.keys() | live.keys())
    return MoveResult(
        site=promotion.site,
        move=promotion.move,
        release=promotion.release,
        previous=promotion.live.release,
        edges=tuple(EdgeTimes(name, staged.get(name), live.get(name)) for name in names),
        bystanders=found.bystanders,
        seconds=time.monotonic() - promotion.began,
    )


@asynccontextmanager
async def _candidate(promotion: Promotion, store: Store) -> AsyncIterator[None]:
    """Hold the candidate while the context lasts, also when it ends by an error or an interrupt."""
    assert promotion.release is not None
    key = release_key(promotion.site, promotion.release)
    revision = await store.candidates.put(key, promotion.pointer().to_bytes())
    try:
        yield
    finally:
        # ConflictError: another command has made the same release its own candidate. A store that is away: it goes
        # by itself after its time.
        with suppress(StoreError, ConflictError):
            await store.candidates.delete(key, revision, deadline=_GOODBYE)


async def _clear(site: str, store: Store) -> None:
    """Delete the site's candidates that cannot win any more, since the pointer has moved. One that began from what is
    live now can.
    """
    found = await store.candidates.values()
    live = await read_live(store, site)
    for key, stored in found.items():
        candidate = Pointer.from_bytes(stored.value)
        if candidate.site == site and candidate.previous != live.release:
            # ConflictError: its push has written it anew.
            with suppress(ConflictError):
                await store.candidates.delete(key, stored.revision)


async def _stage(promotion: Promotion, roll: RollCall, progress: Progress, times: dict[str, float]) -> None:
    """Wait until every edge has the release on disk, or the pointer was moved by somebody else, which `_move` will
    find. Raises QuorumError.
    """
    site, release = promotion.site, promotion.release

    def lost() -> bool:
        # The winner has taken our candidate away: no edge that has not staged it yet ever will.
        return roll.moved_since(site, promotion.live.revision)

    def staged(status: EdgeStatus) -> bool:
        return site in status.sites and release in status.sites[site].staged

    began = time.monotonic()
    progress(Started("stage", len(roll.attendance(staged).expected), "edges"))
    on_edge = _teller(promotion, "staged", times, progress)
    found = await roll.wait(staged, promotion.waiting, on_edge=on_edge, over=lost)
    if not lost() and not enough(found, promotion.waiting.quorum):
        raise _too_few(promotion, found, roll, "staged", _standing(promotion))
    progress(Finished("stage", time.monotonic() - began, _share(found)))


async def _move(promotion: Promotion, store: Store) -> None:
    """The compare-and-set. Raises ConflictError, StoreUnavailable."""
    value = promotion.pointer().to_bytes()
    if promotion.record is not None:
        await ensure_record(store, promotion.record)
    await promotion.held.confirm()
    try:
        if promotion.live.revision is None:
            await store.live.create(promotion.site, value)
        else:
            await store.live.update(promotion.site, value, promotion.live.revision)
    except ConflictError as error:
        who = await _who(promotion, store)
        raise ConflictError(
            f"site {promotion.site} was changed by somebody else while this {promotion.move} was under way{who}",
            hint=f"edgeward releases {promotion.site}, then try again",
            site=promotion.site,
        ) from error
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"the store went away in the very moment in which the {promotion.move} of site {promotion.site} was to take"
            " effect: it is not known whether it did",
            hint=f"edgeward releases {promotion.site}",
            site=promotion.site,
            release=promotion.release,
        ) from error


async def _who(promotion: Promotion, store: Store) -> str:
    """Say who moved the pointer, if that can be found out."""
    with suppress(StoreError):
        stored = await store.live.get(promotion.site, deadline=_GOODBYE)
        if stored is not None:
            pointer = Pointer.from_bytes(stored.value)
            what = f"release {pointer.release[:12]}" if pointer.release else "no release"
            return f": {what} is live, by {pointer.by}"
    return ""


async def _activate(
    promotion: Promotion, roll: RollCall, progress: Progress, times: dict[str, float], among: frozenset[str] | None
) -> Attendance:
    """Wait until every edge serves it. Raises QuorumError; the release is live all the same."""
    site, release = promotion.site, promotion.release

    def live(status: EdgeStatus) -> bool:
        held = status.sites.get(site)
        return (held.live if held else None) == release

    def overtaken() -> bool:
        pointer = roll.pointer(site)
        return pointer is not None and pointer.release != release and pointer.previous == release

    began = time.monotonic()
    progress(Started("activate", len(roll.attendance(live, among).expected), "edges"))
    tell = _teller(promotion, "live", times, progress)
    found = await roll.wait(live, promotion.waiting, on_edge=tell, among=among, over=overtaken)
    if not overtaken() and not enough(found, promotion.waiting.quorum):
        raise _too_few(
            promotion, found, roll, "live", f"{_moved(promotion)}, and those edges follow as soon as they can"
        )
    progress(Finished("activate", time.monotonic() - began, _share(found)))
    return found


def _teller(
    promotion: Promotion, what: Literal["staged", "live"], times: dict[str, float], progress: Progress
) -> Callable[[str], None]:
    def tell(edge: str) -> None:
        times[edge] = time.monotonic() - promotion.began
        progress(EdgeReached(edge, what, times[edge]))
        progress(Advanced("stage" if what == "staged" else "activate", len(times)))

    return tell


def _share(found: Attendance) -> str:
    late = f", without {', '.join(found.late)}" if found.late else ""
    return f"{len(found.reached)} of {len(found.expected)} edges{late}"


def _moved(promotion: Promotion) -> str:
    release = promotion.release
    return f"release {release[:12]} is live" if release else f"site {promotion.site} is removed"


def _standing(promotion: Promotion) -> str:
    before = promotion.live.release
    return f"release {before[:12]} is live as before" if before else f"site {promotion.site} is not served, as before"


def _too_few(promotion: Promotion, found: Attendance, roll: RollCall, what: str, state: str) -> QuorumError:
    """Say who is missing and what those edges say about it."""
    seconds = f"{promotion.waiting.seconds:g} seconds"
    if not found.expected:
        message = f"no edge of the fleet is reporting, {seconds} long; {state}"
        return QuorumError(message, hint="edgeward status; start an edge with `edgeward edge run`", site=promotion.site)
    reports = roll.status
    said = [
        f"{edge} ({'; '.join(reports[edge].problems)})" if edge in reports and reports[edge].problems else edge
        for edge in found.late
    ]
    message = (
        f"only {len(found.reached)} of {len(found.expected)} edges were {what} after {seconds}"
        f" (--quorum {promotion.waiting.quorum}), without {', '.join(said)}; {state}"
    )
    return QuorumError(
        message,
        hint="edgeward status; a longer --wait, or --quorum majority",
        site=promotion.site,
        release=promotion.release,
        late=list(found.late),
        moved=what == "live",
    )
