"""What an operator decides about an edge: the use-cases behind `edgeward edge drain`, `undrain` and `rm`."""

import difflib
from dataclasses import replace

from edgeward.core.fleet import EdgeRecord
from edgeward.errors import ConflictError, NotFoundError
from edgeward.publish.journal import write_down
from edgeward.publish.progress import Progress, silent
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store

_TRIES = 5
"""An edge that starts keeps its own record up to date; what it changes meanwhile is not ours to undo."""


async def set_drained(
    store: Store,
    name: str,
    *,
    drained: bool,
    until: int | None = None,
    because: str = "",
    by: str | None = None,
    progress: Progress = silent,
) -> EdgeRecord:
    """Say that an edge is drained (it serves on, no push waits for it and no DNS answer names it) or not; return what
    is on record now.

    until: when the drain ends by itself (epoch seconds), None: when it is undrained. because: the operator's words.
    Raises NotFoundError, ConflictError (the record changed at every try), StoreError.
    """
    for _ in range(_TRIES):
        found = await _find(store, name)
        known = EdgeRecord.from_bytes(found.value)
        record = replace(known, drained=drained, drained_until=until, drained_because=because)
        try:
            await store.edges.update(name, record.to_bytes(), found.revision)
        except ConflictError:
            continue
        kind, what = ("drain", "is drained") if drained else ("undrain", "is no longer drained")
        text = f"edge {name} {what}" + (f": {because}" if because else "")
        facts = {"edge": name} | ({} if until is None else {"until": until})
        await write_down(store, progress, kind, by=by, text=text, facts=facts)
        return record
    raise ConflictError(f"the record of edge {name} changed at every try", hint="try again")


async def forget_edge(store: Store, name: str, *, by: str | None = None, progress: Progress = silent) -> EdgeRecord:
    """Take an edge that does not report off the record, and return what the record said.

    Raises NotFoundError, ConflictError (it reports: it would be back at its next start), StoreError.
    """
    found = await _find(store, name)
    if await store.status.get(name) is not None:
        raise ConflictError(f"edge {name} reports: it is not forgotten while it runs", hint=f"stop {name} first")
    await store.edges.delete(name, found.revision)
    await write_down(store, progress, "forget", by=by, text=f"edge {name} is forgotten", facts={"edge": name})
    return EdgeRecord.from_bytes(found.value)


async def _find(store: Store, name: str) -> Versioned:
    found = await store.edges.get(name)
    if found is None:
        near = difflib.get_close_matches(name, list(await store.edges.values()), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise NotFoundError(f"the fleet has no edge {name!r}{meant}", hint="edgeward edge list")
    return found
