"""What deployers and operators did, for people: events in the store, written once the deed is done."""

import time
from collections.abc import Mapping

from edgeward.errors import EdgewardError
from edgeward.publish.deployer import deployer_name
from edgeward.publish.progress import Noticed, Progress
from edgeward.store.connection import Store
from edgeward.store.events import Event

_DEADLINE = 2.0


async def write_down(
    store: Store, progress: Progress, kind: str, *, by: str | None, text: str, facts: Mapping[str, object]
) -> None:
    """Store one event; one that cannot be stored is a notice, since what it tells of has happened. Raises nothing.

    by: who, None = this machine's user and host.
    """
    event = Event(kind, int(time.time()), by or deployer_name(), text, dict(facts))
    try:
        await store.events.record(event, deadline=_DEADLINE)
    except EdgewardError as error:
        progress(Noticed(f"the fleet's events do not show this {kind}: {error.message}"))


async def read_events(store: Store, *, since: int = 0, site: str | None = None) -> tuple[Event, ...]:
    """Return the events stored since a time (seconds since the epoch), oldest first; site: those about it alone.

    Raises StoreError.
    """
    found = await store.events.since(since)
    return tuple(event for event in found if site is None or event.facts.get("site") == site)
