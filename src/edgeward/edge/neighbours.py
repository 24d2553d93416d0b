"""The edges of the fleet as this one last knew them, on its disk: health goes on after a start without a store."""

import json
from collections.abc import Mapping
from pathlib import Path

from edgeward.core.codec import canonical_bytes, parse_object
from edgeward.core.fleet import EdgeRecord
from edgeward.edge.disk import write_durably
from edgeward.errors import EdgewardError, SchemaError

_SCHEMA = (1, 0)


class Neighbours:
    """The file `edges.json`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written: Mapping[str, EdgeRecord] | None = None

    def load(self) -> dict[str, EdgeRecord]:
        """Return the edges that were known, by name; none if the file cannot be read: the store will tell."""
        try:
            value = parse_object(self._file.read_bytes(), kind="list of edges", major=_SCHEMA[0])
            records = [EdgeRecord.from_bytes(canonical_bytes(row)) for row in value["edges"]]
        except (OSError, KeyError, TypeError, SchemaError):
            return {}
        return {record.name: record for record in records}

    def save(self, edges: Mapping[str, EdgeRecord]) -> None:
        """Write the edges down if they have changed; a disk that fails is somebody else's to report."""
        if edges == self._written:
            return
        rows = [json.loads(edges[name].to_bytes()) for name in sorted(edges)]
        try:
            write_durably(self._file, canonical_bytes({"schema": list(_SCHEMA), "edges": rows}), sync=False)
        except EdgewardError:
            return
        self._written = dict(edges)
