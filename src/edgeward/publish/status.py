"""What the fleet is doing: the use-cases behind `edgeward status`, `edgeward edge list` and `edgeward site list`."""

import asyncio
import time
from collections.abc import Mapping

from edgeward.core.fleet import EdgeRecord, EdgeStatus, HostClaim, Pointer, ReleaseRecord, VerdictRecord
from edgeward.errors import SchemaError
from edgeward.publish.releases import release_key
from edgeward.publish.values import EdgeLine, FleetStatus, SiteLine
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store

_Bucket = Mapping[str, Versioned]


async def fleet_status(store: Store) -> FleetStatus:
    """Return every edge that is known or reports, and every site. Raises StoreError, SchemaError."""
    status, edges, live, releases, hosts, judged = await asyncio.gather(
        store.status.values(),
        store.edges.values(),
        store.live.values(),
        store.releases.values(),
        store.hosts.values(),
        store.verdicts.values(),
    )
    reports = {name: said for name, stored in status.items() if (said := _report(stored)) is not None}
    records = {name: EdgeRecord.from_bytes(stored.value) for name, stored in edges.items()}
    pointers = {site: Pointer.from_bytes(stored.value) for site, stored in live.items()}
    sites = _sites(pointers, releases, hosts, reports)
    verdicts = {name: VerdictRecord.from_bytes(stored.value) for name, stored in judged.items()}
    return FleetStatus(tuple(_edges(records, reports, pointers, verdicts)), sites)


async def list_sites(store: Store) -> tuple[SiteLine, ...]:
    """Return every site of the fleet, by name. Raises StoreError, SchemaError."""
    return (await fleet_status(store)).sites


def _report(stored: Versioned) -> EdgeStatus | None:
    """An edge of a later version reports what we cannot read: for us it does not report."""
    try:
        return EdgeStatus.from_bytes(stored.value)
    except SchemaError:
        return None


def _edges(
    records: Mapping[str, EdgeRecord],
    reports: Mapping[str, EdgeStatus],
    pointers: Mapping[str, Pointer],
    verdicts: Mapping[str, VerdictRecord],
) -> list[EdgeLine]:
    lines, now = [], time.time()
    for name in sorted(records.keys() | reports.keys()):
        record = records.get(name) or EdgeRecord(name, "", ())
        said = reports.get(name)
        current = (
            said is not None
            and said.ready
            and all(_live(said, site) == pointer.release for site, pointer in pointers.items())
        )
        verdict = verdicts.get(name)
        lines.append(
            EdgeLine(
                edge=name,
                location=record.location,
                addresses=record.addresses,
                drained=record.is_drained(now),
                status=said,
                current=current,
                drained_until=record.drained_until,
                drained_because=record.drained_because,
                down=verdict.because if verdict is not None and not verdict.up else None,
                silent=verdict.silence if verdict is not None else "",
            )
        )
    return lines


def _live(status: EdgeStatus, site: str) -> str | None:
    held = status.sites.get(site)
    return held.live if held else None


def _sites(
    pointers: Mapping[str, Pointer], releases: _Bucket, hosts: _Bucket, reports: Mapping[str, EdgeStatus]
) -> tuple[SiteLine, ...]:
    claims: dict[str, list[str]] = {}
    for stored in hosts.values():
        claim = HostClaim.from_bytes(stored.value)
        claims.setdefault(claim.site, []).append(claim.hostname)
    lines = []
    for site, pointer in sorted(pointers.items()):
        if pointer.release is None:
            continue
        stored_record = releases.get(release_key(site, pointer.release))
        record = ReleaseRecord.from_bytes(stored_record.value) if stored_record else None
        lines.append(
            SiteLine(
                site=site,
                hostnames=tuple(sorted(claims.get(site, ()))),
                release=pointer.release,
                pushed=record.created if record else pointer.at,
                by=pointer.by,
                files=record.files if record else 0,
                size=record.size if record else 0,
                edges_live=sum(_live(said, site) == pointer.release for said in reports.values()),
                edges_reporting=len(reports),
            )
        )
    return tuple(lines)
