"""What the store says should be, as this edge last saw it: the first step of the corridor."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from edgeward.core.digest import parse_digest
from edgeward.core.fleet import HostClaim, Pointer, PurgeOrder, ReleaseRecord
from edgeward.core.plan import Desired, ReleaseKey
from edgeward.edge.conditions import Conditions
from edgeward.errors import SchemaError
from edgeward.store.buckets import Bucket
from edgeward.store.connection import Store

_LOG = logging.getLogger("edgeward.edge")
_DEADLINE = 30.0
"""Seconds for the first replay of one bucket."""


class StoreView:
    """The last known good values of the five buckets that decide what an edge does.

    A value that cannot be parsed (an unknown schema) leaves the last good one in place and is a condition. `complete`
    says whether every bucket has been replayed to its end since this process started: only then may a deletion be
    decided. `changed` is set whenever something is new.
    """

    def __init__(self, conditions: Conditions, *, clock: Callable[[], int] = lambda: int(time.time())) -> None:
        self._conditions = conditions
        self._clock = clock
        self._values: dict[str, dict[Any, Any]] = {name: {} for name in _FEEDS}
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
        owners = {hostname: claim.site for hostname, claim in values["hosts"].items()}
        return Desired(values["live"], values["candidates"], values["releases"], values["purges"], owners)

    async def follow(self, store: Store) -> None:
        """Follow the buckets until cancelled. Raises StoreError (in a group) if that is no longer possible."""
        async with asyncio.TaskGroup() as group:
            for name in _FEEDS:
                group.create_task(self._feed(name, getattr(store, name)), name=f"follow {name}")

    async def _feed(self, name: str, bucket: Bucket) -> None:
        async with bucket.watch() as watch:
            await watch.caught_up(_DEADLINE)
            state = watch.state
            known = {self._key(name, key) for key in state}
            for gone in self._values[name].keys() - known:
                del self._values[name][gone]
            self._take(name, {key: found.value for key, found in state.items()})
            self._replayed.add(name)
            self.changed.set()
            while True:
                keys = await watch.changed()
                state = watch.state
                self._take(name, {key: state[key].value if key in state else None for key in keys})
                self.changed.set()

    def _take(self, name: str, found: Mapping[str, bytes | None]) -> None:
        parse = _FEEDS[name][1]
        for key, value in found.items():
            parsed_key = self._key(name, key)
            problem = None
            if parsed_key is None:
                problem = f"the key {key!r} in the bucket {name} is of no known form; it is passed over"
            elif value is None:
                self._values[name].pop(parsed_key, None)
            else:
                try:
                    self._values[name][parsed_key] = parse(value)
                except SchemaError as error:
                    problem = f"{name}/{key} in the store cannot be used, its last good value stays: {error.message}"
            self._conditions.set(f"value {name}/{key}", problem, now=self._clock())

    @staticmethod
    def _key(name: str, key: str) -> Any:
        try:
            return _FEEDS[name][0](key)
        except SchemaError:
            return None


def _release_key(key: str) -> ReleaseKey:
    site, _, release = key.rpartition(".")
    return site, parse_digest(release)


_FEEDS: Mapping[str, tuple[Callable[[str], Any], Callable[[bytes], Any]]] = {
    "live": (str, Pointer.from_bytes),
    "candidates": (_release_key, Pointer.from_bytes),
    "releases": (_release_key, ReleaseRecord.from_bytes),
    "purges": (str, PurgeOrder.from_bytes),
    "hosts": (str, HostClaim.from_bytes),
}
"""Bucket -> (parser of keys, parser of values)."""
