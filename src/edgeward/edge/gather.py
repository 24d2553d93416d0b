"""What the store says should be, as this edge last saw it: the first step of the corridor."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from edgeward.core.deployers import Deployers
from edgeward.core.digest import parse_digest
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord, HostClaim, Pointer, Proof, PurgeOrder, ReleaseRecord
from edgeward.core.plan import Desired, ReleaseKey
from edgeward.edge.conditions import Conditions
from edgeward.errors import SchemaError, StoreError, StoreUnavailable
from edgeward.store.buckets import Bucket, Watch
from edgeward.store.connection import Store

_LOG = logging.getLogger("edgeward.edge")
_DEPLOYERS = "deployers"
_DNS = "dns"
_FLEET: Mapping[str, Callable[[bytes], Any]] = {_DEPLOYERS: Deployers.from_bytes, _DNS: DnsSettings.from_bytes}
"""Keys in the bucket `fleet` that decide what an edge does, with their parsers; the others are for deployers."""

_PAUSE = 1.0
_DEADLINE = 30.0
"""Seconds after which a wait for the first replay of a bucket is begun again."""


class StoreView:
    """The last known good values of the buckets that decide what an edge does.

    A value that cannot be parsed (an unknown schema) leaves the last good one in place and is a condition. `complete`
    says whether every bucket has been replayed to its end since this process started: only then may a deletion be
    decided. `changed` is set whenever something is new.

    edges: records that were good before this process started: last good ones of those that it cannot parse.
    """

    def __init__(
        self,
        conditions: Conditions,
        *,
        edges: Mapping[str, EdgeRecord] | None = None,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._conditions = conditions
        self._clock = clock
        self._recalled: Mapping[str, Mapping[str, EdgeRecord]] = {"edges": edges or {}}
        self._unread: dict[str, set[str]] = {name: set() for name in _FEEDS}
        self._values: dict[str, dict[Any, Any]] = {name: {} for name in _FEEDS}
        self._revisions: dict[str, dict[str, int]] = {name: {} for name in _FEEDS}
        self._watches: dict[str, Watch] = {}
        self._replayed: set[str] = set()
        self.changed = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether every bucket has been seen to its end since this process started."""
        return len(self._replayed) == len(_FEEDS)

    @property
    def desired(self) -> Desired:
        """What should be. Meaningful once `complete`."""
        values = {name: dict(found) for name, found in self._values.items()}
        return Desired(values["live"], values["candidates"], values["releases"], values["purges"], self.owners)

    @property
    def deployers(self) -> Deployers | None:
        """The fleet's list of those who may push, None if it has none."""
        found: Deployers | None = self._values["fleet"].get(_DEPLOYERS)
        return found

    @property
    def dns(self) -> DnsSettings | None:
        """What the fleet's name servers are told, None if nothing yet."""
        found: DnsSettings | None = self._values["fleet"].get(_DNS)
        return found

    @property
    def hostnames(self) -> Mapping[str, tuple[str, ...]]:
        """The hostnames of each site that has a live release. Meaningful once `complete`."""
        live = {site for site, pointer in self._values["live"].items() if pointer.release is not None}
        found: dict[str, list[str]] = {site: [] for site in live}
        for claim in self._values["hosts"].values():
            if claim.site in live:
                found[claim.site].append(claim.hostname)
        return {site: tuple(sorted(names)) for site, names in found.items()}

    @property
    def owners(self) -> Mapping[str, str]:
        """The site that each hostname belongs to, live or not. Meaningful once `complete`."""
        return {hostname: claim.site for hostname, claim in self._values["hosts"].items()}

    def unread(self, bucket: str) -> frozenset[str]:
        """Return the keys of a bucket whose values cannot be parsed and have no good predecessor: not known to be there
        with any content, and not known to be gone.
        """
        return frozenset(self._unread[bucket])

    @property
    def edges(self) -> Mapping[str, EdgeRecord]:
        """The edges of the fleet, by name. Meaningful once `complete`."""
        return dict(self._values["edges"])

    @property
    def proofs(self) -> Mapping[str, tuple[str, ...]]:
        """The ACME proofs, texts by name. Current while `connected`."""
        return {name: proof.texts for name, proof in self._values["proofs"].items()}

    @property
    def live(self) -> Mapping[str, Pointer]:
        """The live pointers, by site. Meaningful once `complete`."""
        return dict(self._values["live"])

    @property
    def connected(self) -> bool:
        """Whether every bucket is being followed just now: what was last seen is what there is."""
        return len(self._watches) == len(_FEEDS) and all(watch.current for watch in self._watches.values())

    async def follow(self, store: Store) -> None:
        """Follow the buckets until cancelled, through every loss of the connection."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    for name in _FEEDS:
                        group.create_task(self._feed(name, store.bucket(name)), name=f"follow {name}")
            except* StoreError as errors:
                _LOG.warning("the store cannot be followed, it is tried again: %s", errors.exceptions[0])
            await asyncio.sleep(_PAUSE)

    async def _feed(self, name: str, bucket: Bucket) -> None:
        async with bucket.watch() as watch:
            self._watches[name] = watch
            try:
                await self._replay(watch)
                self._take(name, watch, frozenset(watch.state))
                self._replayed.add(name)
                self.changed.set()
                while True:
                    self._take(name, watch, await watch.changed())
                    self.changed.set()
            finally:
                del self._watches[name]

    @staticmethod
    async def _replay(watch: Watch) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):
                await watch.caught_up(_DEADLINE)
                return

    def _take(self, name: str, watch: Watch, keys: frozenset[str]) -> None:
        parse_key, parse = _FEEDS[name]
        values, revisions = self._values[name], self._revisions[name]
        for key in keys:
            found = watch.state.get(key)
            if found is not None and revisions.get(key) == found.revision:
                continue
            problem = parsed = None
            self._unread[name].discard(key)
            try:
                parsed = parse_key(key)
                if name == "fleet":
                    if key not in _FLEET:
                        continue
                    parse = _FLEET[key]
                if found is None:
                    values.pop(parsed, None)
                    revisions.pop(key, None)
                else:
                    revisions[key] = found.revision
                    value = parse(found.value)
                    if parsed != _own_key(value, parsed):
                        raise SchemaError(f"it is the value of another key, {_own_key(value, parsed)}")
                    values[parsed] = value
            except SchemaError as error:
                problem = (
                    f"{name}/{key} in the store cannot be used, {self._make_do(name, key, parsed)}: {error.message}"
                )
            self._conditions.set(f"value {name}/{key}", problem, now=self._clock())

    def _make_do(self, name: str, key: str, parsed: object) -> str:
        """Go on without a value that cannot be parsed; returns with what."""
        values, recalled = self._values[name], self._recalled.get(name, {})
        if parsed not in values and key in recalled:
            values[key] = recalled[key]
        if parsed in values:
            return "its last good value stays"
        self._unread[name].add(key)
        return "and no good one is known from before"


def _release_key(key: str) -> ReleaseKey:
    site, _, release = key.rpartition(".")
    return site, parse_digest(release)


def _own_key(value: object, key: object) -> object:
    """Return the key that a value names itself, `key` for a value that names none."""
    match value:
        case ReleaseRecord():
            return value.site, value.release
        case Pointer():
            return (value.site, value.release) if isinstance(key, tuple) else value.site
        case HostClaim():
            return value.hostname
        case EdgeRecord() | Proof():
            return value.name
    return key


_FEEDS: Mapping[str, tuple[Callable[[str], Any], Callable[[bytes], Any]]] = {
    "live": (str, Pointer.from_bytes),
    "candidates": (_release_key, Pointer.from_bytes),
    "releases": (_release_key, ReleaseRecord.from_bytes),
    "purges": (str, PurgeOrder.from_bytes),
    "hosts": (str, HostClaim.from_bytes),
    "edges": (str, EdgeRecord.from_bytes),
    "proofs": (str, Proof.from_bytes),
    "fleet": (str, bytes),
}
"""Bucket -> (parser of keys, parser of values)."""
