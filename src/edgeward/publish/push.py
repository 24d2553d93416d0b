"""Push a folder: the use-case behind `edgeward push`.

    intent -> where the pointer stands -> scan and check -> compress -> missing blobs -> manifest -> record -> candidate
    -> edges have it staged -> compare-and-set of the live pointer -> edges serve it

Until the compare-and-set nothing that is served changes, and whatever ends the command takes back what it wrote.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from edgeward.core.digest import Digest, digest_of
from edgeward.core.fleet import HostClaim, ReleaseRecord
from edgeward.core.release import Manifest, pack_manifest
from edgeward.errors import ConflictError, CorruptionError, DiskError, EdgewardError, InputError, NotFoundError, Problem
from edgeward.publish.build import Build, Draft, build, changes, check_loss, clock, draft, refusal
from edgeward.publish.claims import check_hostnames
from edgeward.publish.deployer import Signer, deployer_name, load_signer
from edgeward.publish.fleet_settings import read_deployers, read_limits
from edgeward.publish.git import commit_subject
from edgeward.publish.intent import Intent, intent, nobody_erases
from edgeward.publish.places import Places
from edgeward.publish.progress import Advanced, Finished, Noticed, Phase, Progress, Started, silent
from edgeward.publish.promote import Promotion, after_the_move, follow, make_live
from edgeward.publish.releases import Live, live_manifest, read_live
from edgeward.publish.roll_call import RollCall, call_roll
from edgeward.publish.stored import Stored
from edgeward.publish.takedowns import Orders, allow_again, erase_purged, purged_files, read_orders, youngest
from edgeward.publish.traces import traces
from edgeward.publish.upload import Missing, compress_again, find_missing, lost_variants, upload
from edgeward.publish.values import MoveResult, PushOptions, PushResult
from edgeward.publish.variant_cache import VariantCache
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import Store

T = TypeVar("T")

_MESSAGE_LENGTH = 500


@dataclass
class _Push:
    """One push under way: what it was asked, and what it has found so far."""

    options: PushOptions
    store: Store
    progress: Progress
    places: Places
    began: float = field(default_factory=time.monotonic)
    timings: dict[str, float] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    taken_out: str = ""
    """What `Blobs.taken_out` said before the store was asked what it lacks."""
    uploaded: set[Digest] = field(default_factory=set)

    @property
    def site(self) -> str:
        return self.options.settings.name

    @property
    def variants(self) -> VariantCache:
        return VariantCache.below(self.places.cache)

    @property
    def stored(self) -> Stored:
        return Stored.below(self.places.cache, self.site)

    def finished(self, phase: Phase, began: float, note: str) -> None:
        self.timings[phase] = time.monotonic() - began
        self.progress(Finished(phase, self.timings[phase], note))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread; when this is cancelled, the thread is told to stop."""
        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            self.stop.set()
            raise


@dataclass(frozen=True, slots=True)
class _Before:
    """What the fleet holds when the push begins."""

    live: Live
    manifest: Manifest | None
    orders: Orders


@dataclass(frozen=True, slots=True)
class _Ready:
    """Everything that is to be published, and what the store lacks of it."""

    before: _Before
    draft: Draft
    build: Build
    missing: Missing
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Moving:
    """A release that is live. staged: when each edge had it. orders: that may forbid its bytes, as they are now."""

    promotion: Promotion
    staged: dict[str, float]
    orders: Orders


async def push(
    options: PushOptions, store: Store, progress: Progress = silent, *, places: Places | None = None
) -> PushResult:
    """Publish a folder.

    Raises InputError (every problem of the folder at once), ConflictError (a hostname of another site; another push was
    faster), QuorumError, StoreError, DiskError. places: cache and keys, None = this user's.
    """
    run = _Push(options, store, progress, places or Places.of_user())
    if options.dry_run:
        return await _plan(run)
    async with intent(store, run.site, progress) as held, call_roll(store) as roll:
        signer = await _signer(run)
        ready = await _prepare(run)
        release = ready.build.manifest.release
        message = _message(run)
        async with _without_purged_bytes(run, ready):
            await _upload(run, ready)
            if release == ready.before.live.release:
                run.stored.write(release, run.taken_out)
                return _result(run, ready, "unchanged", "", None)
            packed = await run.in_thread(lambda: pack_manifest(ready.build.manifest))
            record = _record(run, ready, signer, message, packed)
            moving = await _release(run, ready, record, packed, roll, held=held)
        moved = await _follow(run, ready, moving, roll)
        run.stored.write(release, run.taken_out)
        run.variants.prune()
        return _result(run, ready, "released", message, moved)


async def _plan(run: _Push) -> PushResult:
    ready = await _prepare(run)
    unchanged = ready.build.manifest.release == ready.before.live.release
    return _result(run, ready, "unchanged" if unchanged else "planned", _message(run), None)


async def _prepare(run: _Push) -> _Ready:
    """Read the fleet and the folder, check everything, compress, and ask what the store lacks."""
    options = run.options
    limits = await read_limits(run.store)
    began = time.monotonic()
    run.progress(Started("scan"))
    relay = _relay(run, "scan")
    before = await _before(run)
    found = await run.in_thread(
        lambda: draft(
            options.folder,
            options.settings,
            cache=run.places.cache,
            limits=limits,
            jobs=options.jobs,
            strict=options.strict,
            allow_no_index=options.allow_no_index,
            on_read=relay,
            previous=before.manifest,
        )
    )
    run.finished("scan", began, f"{len(found.scan.files):,} files, {found.scan.reread:,} read")
    warnings = list(found.warnings)
    problems = purged_files(before.orders, found.scan.files)
    if problems and not options.allow_purged:
        raise refusal(options.folder, list(problems))
    try:
        check_loss(run.site, before.manifest, frozenset(file.path for file in found.scan.files))
    except InputError as error:
        if not options.force and not options.dry_run:
            raise
        warnings.append(Problem("", 0, error.message))
    warnings += await check_hostnames(run.store, options.settings)
    built, missing = await _build(run, found, before)
    return _Ready(before, found, built, missing, tuple(sorted(set(warnings))))


async def _before(run: _Push) -> _Before:
    live = await read_live(run.store, run.site)
    orders = await read_orders(run.store, run.site)
    try:
        return _Before(live, await live_manifest(run.store, live), orders)
    except (NotFoundError, CorruptionError) as error:
        # A store that has lost blobs is mended by a push, not made useless by it.
        run.progress(Noticed(f"the live release cannot be read, so nothing is taken over from it: {error.message}"))
        return _Before(live, None, orders)


async def _build(run: _Push, found: Draft, before: _Before) -> tuple[Build, Missing]:
    now = clock(run.options.now)
    moment = int(time.time()) if now is None else now
    began = time.monotonic()
    relay = _relay(run, "compress", sizes=True)
    loop = asyncio.get_running_loop()

    def plan(count: int, size: int) -> None:
        if count:
            loop.call_soon_threadsafe(run.progress, Started("compress", size, "bytes"))

    distrust: frozenset[Digest] = frozenset()
    run.taken_out = await run.store.blobs.taken_out()
    stored: frozenset[Digest] = frozenset()
    if (live := before.manifest) and not run.options.dry_run and run.stored.take(live.release, run.taken_out):
        stored = live.digests()
    while True:

        def make(distrust: frozenset[Digest] = distrust) -> Build:
            return build(
                found,
                before.manifest,
                now=moment,
                cache=run.variants,
                jobs=run.options.jobs,
                distrust=distrust,
                on_plan=plan,
                on_compressed=lambda _, size: relay(size),
                stop=run.stop,
            )

        built = await run.in_thread(make)
        missing = await find_missing(run.store, built, stored)
        lost = lost_variants(built, missing, run.variants)
        if not lost or lost <= distrust:
            break
        distrust |= lost
    run.finished("compress", began, f"{built.compressed:,} files")
    return built, missing


async def _upload(run: _Push, ready: _Ready) -> None:
    began = time.monotonic()
    if ready.missing.sizes:
        run.progress(Started("upload", ready.missing.bytes, "bytes"))
        run.uploaded.update(ready.missing.sizes)
        await upload(run.store, ready.build, ready.missing, run.variants, run.progress)
    run.finished("upload", began, f"{len(ready.missing.sizes):,} blobs, {ready.missing.bytes:,} bytes")


async def _release(
    run: _Push, ready: _Ready, record: ReleaseRecord, packed: bytes, roll: RollCall, *, held: Intent
) -> _Moving:
    """Claim hostnames, store the manifest and the record, and make the release live."""
    before, options = ready.before, run.options
    orders = before.orders
    async with traces(run.store, run.site, record.release) as left:
        moment = int(time.time())
        await left.claim([HostClaim(name, run.site, moment) for name in options.settings.hostnames])
        if options.allow_purged:
            # Edges refuse what an order covers: this release is younger, and is not named.
            orders = await left.exempt(orders, record.release)
        await run.store.blobs.put([BlobSource(record.manifest, record.manifest_size, packed)])
        record = replace(record, created=max(int(time.time()), _youngest_allowed(ready, run)))
        await left.record(record)
        # Write, then check: a purge writes its order and then looks for records that it has not seen.
        problems = purged_files(await read_orders(run.store, run.site), ready.draft.scan.files)
        if problems and not options.allow_purged:
            raise refusal(options.folder, list(problems))
        await _mend(run, ready)
        hostnames = options.settings.hostnames
        promotion = Promotion(held, before.live, record, "push", record.deployer, options.waiting, run.began, hostnames)
        began = time.monotonic()
        staged = await make_live(promotion, run.store, roll, run.progress)
        run.timings["stage"] = time.monotonic() - began
    return _Moving(promotion, staged, orders)


async def _mend(run: _Push, ready: _Ready) -> None:
    """Upload again what a purge of another site has erased before it could read the record. Raises ConflictError."""
    await nobody_erases(run.store, run.progress)
    if await run.store.blobs.taken_out() == run.taken_out:
        return
    missing = await find_missing(run.store, ready.build)
    if not await run.in_thread(lambda: compress_again(ready.build, missing, run.variants, jobs=run.options.jobs)):
        raise ConflictError(
            f"what site {run.site} takes over from its release before has just been erased by a purge of another site",
            hint="push again",
            site=run.site,
        )
    run.uploaded.update(missing.sizes)
    await upload(run.store, ready.build, missing, run.variants, run.progress)


async def _follow(run: _Push, ready: _Ready, moving: _Moving, roll: RollCall) -> MoveResult:
    """See every edge serve what is live now."""
    began = time.monotonic()
    if run.options.allow_purged:
        with after_the_move(moving.promotion):
            await allow_again(run.store, moving.orders, ready.build.manifest.digests())
    moved = await follow(moving.promotion, roll, run.progress, moving.staged)
    run.timings["activate"] = time.monotonic() - began
    return moved


def _youngest_allowed(ready: _Ready, run: _Push) -> int:
    return youngest(ready.before.orders, ready.build.manifest.digests()) + 1 if run.options.allow_purged else 0


@asynccontextmanager
async def _without_purged_bytes(run: _Push, ready: _Ready) -> AsyncIterator[None]:
    """If the context ends by an error, erase what was uploaded and was purged meanwhile."""
    release = ready.build.manifest.release
    try:
        yield
    except BaseException:
        with suppress(EdgewardError):
            pointer = (await read_live(run.store, run.site)).pointer
            if pointer is None or release not in (pointer.release, pointer.previous):
                await erase_purged(run.store, run.site, run.uploaded, run.progress)
        raise


def _record(run: _Push, ready: _Ready, signer: Signer | None, message: str, packed: bytes) -> ReleaseRecord:
    manifest = ready.build.manifest
    return ReleaseRecord(
        site=run.site,
        release=manifest.release,
        manifest=digest_of(packed),
        manifest_size=len(packed),
        created=int(time.time()),
        message=message,
        deployer=run.options.deployer or deployer_name(),
        files=len(manifest.entries),
        size=sum(entry.identity.size for entry in manifest.entries),
        key=signer.key if signer else "",
        signature=signer.sign(run.site, manifest.release) if signer else "",
    )


async def _signer(run: _Push) -> Signer | None:
    """Return this user's signer. Raises InputError if the fleet's list of deployers does not allow this push."""
    allowed = await read_deployers(run.store)
    try:
        signer = load_signer(run.places)
    except DiskError as error:
        if allowed is not None:
            raise
        run.progress(Noticed(f"the release will not be signed: {error.message}"))
        return None
    reason = allowed.refusal(run.site, signer.key) if allowed is not None else None
    if reason is not None:
        raise InputError(
            f"this machine's key may not push site {run.site}: {reason}",
            hint=f"ask the fleet's operator to put the key {signer.key} on the list",
        )
    return signer


def _message(run: _Push) -> str:
    text = run.options.message if run.options.message is not None else commit_subject(run.options.folder)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_MESSAGE_LENGTH]


def _relay(run: _Push, phase: Phase, *, sizes: bool = False) -> Callable[[int], None]:
    """Return a function that threads may call with what is done: altogether, or (sizes) since the last call."""
    loop = asyncio.get_running_loop()
    lock = threading.Lock()
    total = 0

    def tell(done: int) -> None:
        nonlocal total
        with lock:
            total = total + done if sizes else done
            loop.call_soon_threadsafe(run.progress, Advanced(phase, total))

    return tell


def _result(run: _Push, ready: _Ready, outcome: str, message: str, moved: MoveResult | None) -> PushResult:
    manifest = ready.build.manifest
    return PushResult(
        outcome=outcome,  # type: ignore[arg-type]
        site=run.site,
        hostnames=run.options.settings.hostnames,
        release=manifest.release,
        previous=ready.before.live.release,
        message=message,
        changes=changes(ready.before.manifest, manifest),
        files=len(manifest.entries),
        size=sum(entry.identity.size for entry in manifest.entries),
        upload_blobs=len(ready.missing.sizes),
        upload_bytes=ready.missing.bytes,
        left_out=ready.draft.scan.left_out,
        immutable=ready.draft.immutable,
        reread=ready.draft.scan.reread,
        compressed=ready.build.compressed,
        warnings=ready.warnings,
        moved=moved,
        timings=run.timings,
        seconds=time.monotonic() - run.began,
    )
