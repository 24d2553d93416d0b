"""What is kept and what may go: releases of a site, and blobs of the store. Pure decisions that return their reasons.

A release is kept while anybody may still ask for it: it is live or on its way to be, the pointer could go back to it,
it is one of the last few or of the last days, or its immutable assets are still promised to readers of old pages.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from edgeward.core.digest import Digest
from edgeward.core.fleet import ReleaseRecord

DAY: Final = 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept. last: releases of a site. days: all releases younger than that. grace: seconds for which a blob
    that nothing needs is left alone, so that a push can still count on what it has just seen.
    """

    last: int = 10
    days: int = 30
    grace: int = 3_600


@dataclass(frozen=True, slots=True)
class SiteInUse:
    """What the pointers of a site say. live, previous: of the live pointer. candidates: releases that pushes announce.

    left: when each release that was live before stopped being so (seconds since the epoch).
    keep_assets_days: the longest that any of the site's releases promises for its immutable assets.
    """

    live: Digest | None
    previous: Digest | None = None
    candidates: Collection[Digest] = frozenset()
    left: Mapping[Digest, int] = field(default_factory=dict)
    keep_assets_days: int = 7


@dataclass(frozen=True, slots=True)
class Kept:
    """A release that stays, and why."""

    record: ReleaseRecord
    because: str


@dataclass(frozen=True, slots=True)
class Retention:
    """Every release of a site, newest first in both lists: those that stay and those that may go."""

    kept: tuple[Kept, ...]
    gone: tuple[ReleaseRecord, ...]


@dataclass(frozen=True, slots=True)
class BlobSweep:
    """Blobs that may go, sorted, and why."""

    delete: tuple[Digest, ...]
    because: str


def retain(records: Iterable[ReleaseRecord], use: SiteInUse, *, now: int, policy: Policy | None = None) -> Retention:
    """Decide which releases of one site stay. now: seconds since the epoch."""
    policy = policy or Policy()
    kept: list[Kept] = []
    gone: list[ReleaseRecord] = []
    newest = sorted(records, key=lambda record: (-record.created, record.release))
    for place, record in enumerate(newest, start=1):
        because = _reason(record, place, use, now, policy)
        if because is None:
            gone.append(record)
        else:
            kept.append(Kept(record, because))
    return Retention(tuple(kept), tuple(gone))


def _reason(record: ReleaseRecord, place: int, use: SiteInUse, now: int, policy: Policy) -> str | None:
    if record.release == use.live:
        return "it is live"
    if record.release == use.previous:
        return "it was live before, so a rollback leads to it"
    if record.release in use.candidates:
        return "a push is about to make it live"
    if place <= policy.last:
        return f"it is one of the last {policy.last} releases"
    if now - record.created < policy.days * DAY:
        return f"it is younger than {policy.days} days"
    left = use.left.get(record.release)
    if left is not None and now - left < use.keep_assets_days * DAY:
        return f"it was live less than {use.keep_assets_days} days ago, so its immutable assets are still reachable"
    return None


def unneeded_blobs(
    stored: Mapping[Digest, int], needed: Collection[Digest], *, now: int, policy: Policy | None = None
) -> BlobSweep:
    """Decide which of the stored blobs may go, given all that are needed.

    stored: when each was put (seconds since the epoch). needed: of every release of every site that is kept.
    """
    policy = policy or Policy()
    delete = sorted(blob for blob, put in stored.items() if blob not in needed and now - put >= policy.grace)
    return BlobSweep(
        tuple(delete),
        f"no release that is kept needs them, and they are older than the grace period of {policy.grace} s",
    )
