"""Carrying out a purge order on this edge: trees, kept links, inodes, blobs, manifests and half-fetched files."""

import logging
from collections.abc import Mapping

from edgeward.core.digest import Digest
from edgeward.core.fleet import PurgeOrder
from edgeward.core.plan import ReleaseKey
from edgeward.edge.holdings import Holdings
from edgeward.edge.threads import to_the_end
from edgeward.errors import CorruptionError, SchemaError

_LOG = logging.getLogger("edgeward.edge")


async def take_down(
    order: PurgeOrder, holdings: Holdings, *, tainted: frozenset[ReleaseKey], created: Mapping[ReleaseKey, int]
) -> None:
    """Take everything that the order names off this disk; the site no longer serves any of it when this is called.

    tainted: staged releases to take away. created: when the releases that the store knows were pushed: those that the
    order does not cover may hold the bytes again, on purpose. Bytes that another site needs stay for it. May be
    repeated. Raises DiskError. The caller makes the HTTP engine let go of open files afterwards.
    """
    digests = frozenset(order.digests)
    for key in sorted(tainted):
        await holdings.unstage(key)
    await to_the_end(_remove_manifests, order, holdings, digests, created)
    await holdings.keep(order.site, without=digests)
    async with holdings.writing:
        # Also what an earlier try, or a staging that failed, has left: no tree leads to it, and the bytes are there.
        await to_the_end(holdings.disk.sweep, order.site)
        gone = await to_the_end(_remove_blobs, holdings, digests)
    _LOG.info("purge %s of site %s: %d blobs are gone from this edge", order.key, order.site, gone)


def _remove_manifests(
    order: PurgeOrder, holdings: Holdings, digests: frozenset[Digest], created: Mapping[ReleaseKey, int]
) -> None:
    for release in list(holdings.disk.manifests()):
        if not order.covers(order.site, release, created.get((order.site, release), 0)):
            continue
        if (order.site, release) in holdings.staged:
            continue
        try:
            manifest = holdings.disk.manifest(release)
        except (CorruptionError, SchemaError):
            # Nobody can say what it names; nothing is served from it, and it would keep `needed` from being known.
            holdings.disk.remove_manifest(release)
            continue
        if manifest.settings.name == order.site and any(item.digest in digests for item in manifest.blobs()):
            holdings.disk.remove_manifest(release)


def _remove_blobs(holdings: Holdings, digests: frozenset[Digest]) -> int:
    needed, counted_on = holdings.needed(), holdings.pins.counted_on()
    count = 0
    for digest in sorted(digests - needed):
        if not counted_on(digest):
            count += holdings.disk.blobs.has(digest)
            holdings.disk.blobs.remove(digest)
            for file in holdings.disk.scratch.glob(f"{digest}*"):
                file.unlink(missing_ok=True)
    return count
