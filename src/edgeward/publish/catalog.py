"""Releases and sites: the use-cases behind `edgeward releases`, `rollback`, `site list`, `site rm` (and `purge`)."""

import asyncio
import time
from contextlib import suppress

from edgeward.core.digest import Digest
from edgeward.core.fleet import HostClaim, Pointer
from edgeward.core.takedown import undo_target
from edgeward.errors import ConflictError, InputError, NotFoundError
from edgeward.publish.claims import unclaimed
from edgeward.publish.deployer import deployer_name
from edgeward.publish.intent import intent
from edgeward.publish.progress import Progress, silent
from edgeward.publish.promote import Promotion, after_the_move, follow, make_live
from edgeward.publish.purge import purge
from edgeward.publish.releases import Live, read_live, read_manifest, read_record, site_records
from edgeward.publish.roll_call import call_roll
from edgeward.publish.status import list_sites
from edgeward.publish.traces import hostnames_in_use, traces
from edgeward.publish.values import MoveLine, MoveResult, ReleaseLine, SiteReleases, Waiting
from edgeward.store.connection import Store

__all__ = ["list_releases", "list_sites", "purge", "remove_site", "rollback"]


async def list_releases(store: Store, site: str) -> SiteReleases:
    """Return the releases of a site that are kept and the moves of its pointer. Raises NotFoundError, StoreError."""
    live, records, moves = await asyncio.gather(
        read_live(store, site), site_records(store, site), store.live.history(site)
    )
    if live.pointer is None and not records:
        raise _unknown(site)
    newest = sorted((record for record, _ in records.values()), key=lambda record: (-record.created, record.release))
    lines = tuple(
        ReleaseLine(
            release=record.release,
            created=record.created,
            message=record.message,
            deployer=record.deployer,
            files=record.files,
            size=record.size,
            live=record.release == live.release,
            signed=bool(record.signature),
            purged=record.purged,
        )
        for record in newest
    )
    pointers = [Pointer.from_bytes(stored.value) for stored in reversed(moves)]
    return SiteReleases(
        site, lines, tuple(MoveLine(pointer.release, pointer.at, pointer.by, pointer.move) for pointer in pointers)
    )


async def rollback(
    store: Store,
    site: str,
    *,
    to: str | None = None,
    by: str | None = None,
    waiting: Waiting | None = None,
    progress: Progress = silent,
) -> MoveResult:
    """Make an earlier release of a site live again.

    to: first digits of a release, None = what was live before. Raises NotFoundError, InputError (several releases begin
    so; it is live), ConflictError, QuorumError, StoreError. Nothing is uploaded.
    """
    began = time.monotonic()
    async with intent(store, site, progress) as held, call_roll(store) as roll:
        live = await read_live(store, site)
        if live.pointer is None:
            raise _unknown(site)
        release = await (_named(store, live, to) if to is not None else _before(store, live))
        if release == live.release:
            raise InputError(f"release {release[:12]} of site {site} is live already", hint=f"edgeward releases {site}")
        record = await read_record(store, site, release)
        settings = (await read_manifest(store, record)).settings
        who = by or deployer_name()
        promotion = Promotion(held, live, record, "rollback", who, waiting or Waiting(), began, settings.hostnames)
        async with traces(store, site, release) as left:
            # Its hostnames may have been given back since (`site rm`), or may be another site's by now.
            moment = int(time.time())
            await left.claim([HostClaim(name, site, moment) for name in await unclaimed(store, settings)])
            staged = await make_live(promotion, store, roll, progress)
        return await follow(promotion, roll, progress, staged)


async def remove_site(
    store: Store,
    site: str,
    *,
    by: str | None = None,
    waiting: Waiting | None = None,
    progress: Progress = silent,
) -> MoveResult:
    """Take a site off every edge and give its hostnames back. Its releases stay for the time of retention.

    Raises NotFoundError, ConflictError (a push at the same time), QuorumError (edges that are late; it is removed),
    StoreError.
    """
    began = time.monotonic()
    async with intent(store, site, progress) as held, call_roll(store) as roll:
        live = await read_live(store, site)
        if live.pointer is None:
            raise _unknown(site)
        promotion = Promotion(held, live, None, "remove", by or deployer_name(), waiting or Waiting(), began)
        staged = {} if live.release is None else await make_live(promotion, store, roll, progress)
        with after_the_move(promotion):
            await _give_hostnames_back(store, site)
        return await follow(promotion, roll, progress, staged)


async def _give_hostnames_back(store: Store, site: str) -> None:
    claims = await store.hosts.values()
    # A push may have been faster: read after the claims, see `hostnames_in_use`.
    named = await hostnames_in_use(store, await read_live(store, site))
    for hostname, stored in claims.items():
        if named is not None and hostname not in named and HostClaim.from_bytes(stored.value).site == site:
            # ConflictError: a push has just claimed it anew.
            with suppress(ConflictError):
                await store.hosts.delete(hostname, stored.revision)


async def _before(store: Store, live: Live) -> Digest:
    if live.release is None:
        # A removed site comes back as it was.
        target = live.pointer.previous if live.pointer else None
    else:
        moves = [Pointer.from_bytes(stored.value) for stored in await store.live.history(live.site)]
        records = await site_records(store, live.site)
        names = {old: release for release, (record, _) in records.items() for old in record.replaces}
        target = undo_target(moves, names)
    if target is None:
        raise NotFoundError(
            f"site {live.site} has no earlier release to go back to", hint=f"edgeward releases {live.site}"
        )
    return target


async def _named(store: Store, live: Live, to: str) -> Digest:
    wanted = to.lower()
    if not wanted:
        raise InputError("a release is named by its first digits", hint=f"edgeward releases {live.site}")
    records = await site_records(store, live.site)
    found = sorted(release for release in records if release.startswith(wanted))
    if not found:
        raise NotFoundError(
            f"site {live.site} has no release that begins with {to!r}", hint=f"edgeward releases {live.site}"
        )
    if len(found) > 1:
        said = ", ".join(release[:12] for release in found)
        raise InputError(f"several releases of site {live.site} begin with {to!r}: {said}", hint="give more digits")
    return found[0]


def _unknown(site: str) -> NotFoundError:
    return NotFoundError(f"the fleet has no site {site!r}", hint="edgeward site list")
