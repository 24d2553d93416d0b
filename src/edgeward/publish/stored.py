"""What this machine knows to be in the store: the blobs of the release that it pushed last, while nothing has gone.

One small JSON file for each site in the cache folder (docs/formats.md, "Stored"). A push takes it away before it counts
on it and writes it when every edge has followed: where it was wrong, the next push asks for every blob.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeward.core.digest import Digest
from edgeward.errors import DiskError
from edgeward.publish.places import write_whole

SCHEMA = [1, 0]


@dataclass(frozen=True, slots=True)
class Stored:
    """The note of one site."""

    file: Path

    @classmethod
    def below(cls, cache: Path, site: str) -> "Stored":
        """Return the note of a site below the cache folder."""
        return cls(cache / "stored" / f"{site}.json")

    def take(self, release: Digest | None, mark: str) -> bool:
        """Return whether all blobs of a release are known to be stored, and forget it.

        mark: `Blobs.taken_out` of the store, which is another in every store and whenever something has gone.
        """
        try:
            value = json.loads(self.file.read_bytes())
            self.file.unlink()
            return bool(value == _value(release, mark))
        except (OSError, ValueError):
            return False

    def write(self, release: Digest, mark: str) -> None:
        """Note that all blobs of a release were in the store after it said `mark`. A full disk is no error."""
        with suppress(DiskError):
            write_whole(self.file, json.dumps(_value(release, mark)).encode())


def _value(release: Digest | None, mark: str) -> dict[str, object]:
    return {"schema": SCHEMA, "release": release, "taken_out": mark}
