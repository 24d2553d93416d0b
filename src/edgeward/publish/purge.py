"""Take content down: out of every release, tree and blob store of the fleet, at once (the use-case behind `edgeward
purge`).

rewritten releases -> order -> pointer -> old records and manifests deleted -> bytes erased in the store -> every edge
confirms

In this order a reader never sees half a site, and a takedown that is cut off anywhere is completed by the same command.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from edgeward.core.deployers import Deployers
from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import EdgeStatus, Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.release import Manifest, pack_manifest
from edgeward.core.takedown import Takedown, renamed, take_down
from edgeward.errors import ConflictError, CorruptionError, InputError, NotFoundError
from edgeward.publish.deployer import Signer, deployer_name, load_signer
from edgeward.publish.fleet_settings import read_deployers
from edgeward.publish.intent import intent
from edgeward.publish.journal import write_down
from edgeward.publish.places import Places
from edgeward.publish.progress import Advanced, EdgeReached, Finished, Noticed, Progress, Started, silent
from edgeward.publish.releases import Live, read_live, read_manifest, release_key, site_records
from edgeward.publish.roll_call import RollCall, call_roll
from edgeward.publish.takedowns import erase_unneeded, read_orders
from edgeward.publish.values import Bystander, EdgeTimes, MoveResult, PurgeResult, Waiting
from edgeward.publish.variant_cache import VariantCache
from edgeward.store.blobs import BlobSource
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store

_ATTEMPTS = 5
"""A takedown is begun again if a push is faster; it does not give up like one."""

_NAMED = 10
"""Paths that an event names; the order has them all."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Every release of the site that is kept, by its name. known: those that cannot be read too."""

    records: Mapping[Digest, ReleaseRecord]
    manifests: Mapping[Digest, Manifest]
    known: frozenset[Digest]


@dataclass(frozen=True, slots=True)
class _Purge:
    """One takedown under way."""

    store: Store
    site: str
    paths: tuple[str, ...]
    by: str
    signer: Signer
    waiting: Waiting
    progress: Progress
    places: Places
    began: float


async def purge(
    store: Store,
    site: str,
    paths: tuple[str, ...],
    *,
    by: str | None = None,
    waiting: Waiting | None = None,
    progress: Progress = silent,
    places: Places | None = None,
) -> PurgeResult:
    """Take paths (of files, "/a/b.html") out of every release of a site.

    waiting: how long to wait for edges; those that are late are in the result, and carry the order out before they
    serve the site again. Raises NotFoundError if no release holds one of the paths, ConflictError if pushes were faster
    five times, StoreError.
    """
    if not paths:
        raise InputError("no path was given", hint="edgeward purge SITE /path/of/a/file")
    where = places or Places.of_user()
    signer = _allowed(await read_deployers(store), site, load_signer(where))
    run = _Purge(
        store,
        site,
        tuple(sorted({path if path.startswith("/") else f"/{path}" for path in paths})),
        by or deployer_name(),
        signer,
        waiting or Waiting(),
        progress,
        where,
        time.monotonic(),
    )
    async with intent(store, site, progress), call_roll(store) as roll:
        for attempt in range(_ATTEMPTS):
            try:
                return await _purge(run, roll)
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
    raise AssertionError("unreachable")


async def _purge(run: _Purge, roll: RollCall) -> PurgeResult:
    live = await read_live(run.store, run.site)
    if live.pointer is None:
        raise NotFoundError(f"the fleet has no site {run.site!r}", hint="edgeward site list")
    kept = await _read_kept(run)
    what = take_down(run.paths, kept.manifests)
    order, replaced = await _order(run, kept, what)
    names = await _rewrite(run, kept, what)
    await run.store.purges.put(order.key, order.to_bytes())
    for stored in replaced:
        await run.store.purges.delete(stored.key, stored.revision)
    if (await site_records(run.store, run.site)).keys() - kept.known - set(names.values()):
        # A push has written its record before it could read the order: the other one of the two looks again.
        raise ConflictError(f"releases of site {run.site} were added while this purge was under way")
    pointer = await _move(run, live, names)
    shared = await _erase(run, kept, what, order)
    await _write_down(run, order, pointer, what)
    moved, late = await _see_it_gone(run, roll, order, pointer, live)
    return PurgeResult(
        site=run.site,
        key=order.key,
        paths=run.paths,
        taken_out=what.taken_out or order.paths,
        releases=tuple(sorted(names.items())),
        digests=tuple(digest for digest in order.digests if digest not in shared),
        shared=tuple(sorted(shared.items())),
        edges=tuple(times.edge for times in moved.edges if times.live is not None),
        late=late,
        moved=moved,
        seconds=time.monotonic() - run.began,
    )


def _allowed(deployers: Deployers | None, site: str, signer: Signer) -> Signer:
    reason = deployers.refusal(site, signer.key) if deployers is not None else None
    if reason is not None:
        raise InputError(
            f"this machine's key may not take content of site {site} down: {reason}",
            hint=f"ask the fleet's operator to put the key {signer.key} on the list",
        )
    return signer


async def _read_kept(run: _Purge) -> _Kept:
    records: dict[Digest, ReleaseRecord] = {}
    manifests: dict[Digest, Manifest] = {}
    found = await site_records(run.store, run.site)
    for release, (record, _) in found.items():
        try:
            manifests[release] = await read_manifest(run.store, record)
        except (NotFoundError, CorruptionError) as error:
            run.progress(Noticed(f"release {release[:12]} of site {run.site} is passed over: {error.message}"))
            continue
        records[release] = record
    return _Kept(records, manifests, frozenset(found))


async def _order(run: _Purge, kept: _Kept, what: Takedown) -> tuple[PurgeOrder, Sequence[Versioned]]:
    """Return the order, and the earlier ones for the same paths that it replaces.

    An earlier order is used again only if no release holds the bytes: edges may have carried it out before those came.
    Its time is that of the youngest release that it names, or later: clocks differ. Raises NotFoundError for a path
    that nobody holds.
    """
    same = [each for each in await read_orders(run.store, run.site) if frozenset(each[0].paths) == frozenset(run.paths)]
    if same and not what.rewritten:
        return same[-1][0], ()
    absent = [path for path in run.paths if path not in what.paths]
    if absent and not same:
        raise NotFoundError(
            f"no release of site {run.site} holds {', '.join(absent)}",
            hint="paths are those of files, such as /a/b.html",
        )
    before = [order for order, _ in same]
    order = PurgeOrder(
        key=secrets.token_hex(8),
        site=run.site,
        paths=run.paths,
        digests=tuple(sorted({*what.digests, *(digest for each in before for digest in each.digests)})),
        at=max(int(time.time()), *(kept.records[old].created for old in what.rewritten)),
        by=run.by,
        releases=tuple(sorted({*what.rewritten, *(release for each in before for release in each.releases)})),
    )
    return order, [stored for _, stored in same]


async def _rewrite(run: _Purge, kept: _Kept, what: Takedown) -> Mapping[Digest, Digest]:
    """Store the releases without the paths; return what each old one is called now."""
    names: dict[Digest, Digest] = {}
    for old, manifest in what.rewritten.items():
        packed = pack_manifest(manifest)
        record = kept.records[old]
        gone = {entry.path for entry in kept.manifests[old].entries} - {entry.path for entry in manifest.entries}
        await run.store.blobs.put([BlobSource(digest_of(packed), len(packed), packed)])
        new = replace(
            record,
            release=manifest.release,
            manifest=digest_of(packed),
            manifest_size=len(packed),
            files=len(manifest.entries),
            size=sum(entry.identity.size for entry in manifest.entries),
            key=run.signer.key,
            signature=run.signer.sign(run.site, manifest.release),
            purged=tuple(sorted({*record.purged, *gone})),
            replaces=(*record.replaces, old),
        )
        await _store_record(run.store, new)
        names[old] = manifest.release
    return names


async def _store_record(store: Store, record: ReleaseRecord) -> None:
    """Store a rewritten release. Without the paths it may be one that is there already: then that one replaces the old
    one.
    """
    key = release_key(record.site, record.release)
    stored = await store.releases.get(key)
    if stored is None:
        await store.releases.create(key, record.to_bytes())
        return
    there = ReleaseRecord.from_bytes(stored.value)
    replaces = tuple(dict.fromkeys((*there.replaces, *record.replaces)))
    if replaces != there.replaces:
        await store.releases.update(key, replace(there, replaces=replaces).to_bytes(), stored.revision)


async def _move(run: _Purge, live: Live, names: Mapping[Digest, Digest]) -> Pointer:
    """Move the pointer, always: a push that began before the order was written then loses its compare-and-set."""
    assert live.pointer is not None
    assert live.revision is not None
    release, previous = renamed(live.pointer.release, names), renamed(live.pointer.previous, names)
    pointer = replace(
        live.pointer,
        release=release,
        previous=None if previous == release else previous,
        at=int(time.time()),
        by=run.by,
        move="purge",
    )
    await run.store.live.update(run.site, pointer.to_bytes(), live.revision)
    return pointer


async def _erase(run: _Purge, kept: _Kept, what: Takedown, order: PurgeOrder) -> Mapping[Digest, str]:
    """Erase what nobody needs any more: old records and manifests, the bytes, this machine's variants of them."""
    # The cache first: a push of another site that waits until the bytes are erased then makes what it needs anew.
    cache = VariantCache.below(run.places.cache)
    for digest in order.digests:
        cache.forget(digest)
    for old in what.rewritten:
        await run.store.releases.delete(release_key(run.site, old))
        with suppress(ConflictError):
            await run.store.candidates.delete(release_key(run.site, old))
    manifests = [kept.records[old].manifest for old in what.rewritten]
    return await erase_unneeded(run.store, run.site, order.digests, run.progress, more=manifests)


async def _write_down(run: _Purge, order: PurgeOrder, pointer: Pointer, what: Takedown) -> None:
    paths = what.taken_out or order.paths
    named = ", ".join(paths[:_NAMED]) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
    count = len(what.rewritten)
    text = f"site {run.site}: {named} taken out of {count} release{'' if count == 1 else 's'}"
    facts = {"site": run.site, "order": order.key, "paths": list(paths[:_NAMED]), "release": pointer.release}
    await write_down(run.store, run.progress, "purge", by=run.by, text=text, facts=facts)


async def _see_it_gone(
    run: _Purge, roll: RollCall, order: PurgeOrder, pointer: Pointer, live: Live
) -> tuple[MoveResult, tuple[Bystander, ...]]:
    """Wait until every edge, also one that no readers are sent to, has carried the order out."""
    times: dict[str, float] = {}
    began = time.monotonic()

    def gone(status: EdgeStatus) -> bool:
        return order.key in status.purged

    def tell(edge: str) -> None:
        times[edge] = time.monotonic() - run.began
        run.progress(EdgeReached(edge, "live", times[edge]))
        run.progress(Advanced("activate", len(times)))

    run.progress(Started("activate", len(roll.status), "edges"))
    found = await roll.wait(gone, run.waiting, on_edge=tell, everyone=True, over=lambda: not roll.status)
    run.progress(Finished("activate", time.monotonic() - began, f"gone from {len(times)} edges"))
    late = [Bystander(edge, "has not confirmed in time") for edge in found.late]
    late += [Bystander(each.edge, f"{each.because}: carries it out when it is back") for each in found.bystanders]
    moved = MoveResult(
        site=run.site,
        move="purge",
        release=pointer.release,
        previous=live.release,
        edges=tuple(EdgeTimes(name, None, times.get(name)) for name in sorted(found.expected | times.keys())),
        bystanders=found.bystanders,
        seconds=time.monotonic() - run.began,
    )
    return moved, tuple(sorted(late, key=lambda each: each.edge))
