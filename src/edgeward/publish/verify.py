"""Ask every edge whether it serves what was pushed: the use-case behind `edgeward verify`."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgeward.core.fleet import EdgeRecord
from edgeward.core.release import Manifest
from edgeward.errors import NotFoundError, ServeError
from edgeward.publish.http_client import Connection
from edgeward.publish.progress import Advanced, Finished, Progress, Started, silent
from edgeward.publish.questions import Oracle, Question, questions
from edgeward.publish.releases import live_manifest, read_live
from edgeward.publish.values import Bystander, Difference, VerifyReport
from edgeward.store.connection import Store

CONNECTIONS = 8
"""For each edge."""
DEADLINE = 30.0
"""Seconds for one answer."""
ENOUGH = 200
"""Differences of one edge after which it is not asked any more."""

_TELL_EVERY = 50


@dataclass
class _Edge:
    """One edge being asked."""

    record: EdgeRecord
    oracle: Oracle
    questions: Iterator[Question]
    differences: list[Difference] = field(default_factory=list)
    asked: int = 0
    failure: str | None = None


async def verify(
    store: Store, site: str, *, all_paths: bool = False, progress: Progress = silent, deadline: float = DEADLINE
) -> VerifyReport:
    """Compare what every edge that is known or reports answers with the manifest of the live release.

    all_paths: every path in every coding, not a sample. Each edge is asked over its own first address, with the site's
    hostnames. Raises NotFoundError (no such site, no edge), StoreError.
    """
    began = time.monotonic()
    live = await read_live(store, site)
    manifest = await live_manifest(store, live)
    if manifest is None:
        raise NotFoundError(f"the fleet serves no site {site!r}", hint="edgeward site list")
    records = await _records(store)
    asked = questions(manifest, all_paths=all_paths)
    edges = [
        _Edge(record, Oracle(manifest, name, record.port), iter(asked))
        for name, record in records.items()
        if record.addresses
    ]
    if not edges:
        raise NotFoundError("the fleet has no edge with an address", hint="edgeward edge list")
    await _ask_all(edges, len(asked), progress, deadline)
    return _report(manifest, edges, records, asked, began)


async def _records(store: Store) -> Mapping[str, EdgeRecord]:
    """Every edge that is known; one that only reports has no address, so that it cannot be asked."""
    found = {name: EdgeRecord.from_bytes(stored.value) for name, stored in (await store.edges.values()).items()}
    for name in await store.status.keys():
        found.setdefault(name, EdgeRecord(name, "", ()))
    return found


async def _ask_all(edges: list[_Edge], each: int, progress: Progress, deadline: float) -> None:
    began = time.monotonic()
    done = 0
    progress(Started("verify", each * len(edges), "requests"))

    def count() -> None:
        nonlocal done
        done += 1
        if done % _TELL_EVERY == 0:
            progress(Advanced("verify", done))

    async def work(edge: _Edge) -> None:
        connection = Connection(edge.record.addresses[0], edge.record.port, deadline=deadline)
        try:
            for question in edge.questions:
                if edge.failure is not None or len(edge.differences) >= ENOUGH:
                    return
                await _ask(edge, connection, question)
                count()
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for edge in edges:
            for _ in range(min(CONNECTIONS, each)):
                group.create_task(work(edge))
    progress(Finished("verify", time.monotonic() - began, f"{done:,} requests to {len(edges)} edges"))


async def _ask(edge: _Edge, connection: Connection, question: Question) -> None:
    port = "" if edge.record.port == 80 else f":{edge.record.port}"
    headers = (("Host", f"{question.host}{port}"), *question.headers)
    try:
        answer = await connection.ask(question.method, question.target, headers)
    except ServeError as error:
        edge.failure = error.message
        return
    edge.asked += 1
    for what, expected, found in edge.oracle.differences(question, answer):
        edge.differences.append(Difference(edge.record.name, f"{question} ({question.about})", what, expected, found))


def _report(
    manifest: Manifest,
    edges: list[_Edge],
    records: Mapping[str, EdgeRecord],
    asked: tuple[Question, ...],
    began: float,
) -> VerifyReport:
    unreachable = [Bystander(edge.record.name, edge.failure) for edge in edges if edge.failure is not None]
    unreachable += [Bystander(name, "it has no address") for name, record in records.items() if not record.addresses]
    return VerifyReport(
        site=manifest.settings.name,
        release=manifest.release,
        edges=tuple(sorted(edge.record.name for edge in edges)),
        requests=sum(edge.asked for edge in edges),
        paths=len({question.about for question in asked if question.about in manifest.by_path}),
        differences=tuple(difference for edge in edges for difference in edge.differences),
        unreachable=tuple(sorted(unreachable, key=lambda each: each.edge)),
        seconds=time.monotonic() - began,
    )
