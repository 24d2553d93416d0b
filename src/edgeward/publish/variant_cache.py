"""Compressed variants that were made before on this machine, by the digest of what was compressed (docs/formats.md).

Below the cache folder: `variants/<recipe>/<2 hex>/<digest>.json` says which variants were worth keeping, `<digest>.br`
and `.gz` are their bytes. The recipe names the programs and settings, so that an upgrade of either starts anew. What is
wrong or missing here is made again.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import brotli

from edgeward.core.digest import Digest, parse_digest
from edgeward.core.release import Coding, Variant
from edgeward.errors import DiskError, SchemaError
from edgeward.publish.places import write_whole

SUFFIXES: dict[Coding, str] = {"br": "br", "gzip": "gz"}
KEEP_SECONDS = 30 * 86400
"""Variants that were made or used longer ago are thrown away; most are by then taken over from the release before."""


@dataclass(frozen=True, slots=True)
class VariantCache:
    """The folder `variants` of a cache folder."""

    folder: Path

    @classmethod
    def below(cls, cache: Path) -> "VariantCache":
        """Return the cache of this machine's recipe below the cache folder."""
        recipe = f"br{brotli.__version__}-zlib{zlib.ZLIB_RUNTIME_VERSION}-1"
        return cls(cache / "variants" / recipe)

    def find(self, content: Digest) -> tuple[Variant, ...] | None:
        """Return the variants made of `content` (perhaps none was worth it), or None if that is not known."""
        try:
            value = json.loads(self._index(content).read_bytes())
            found = tuple(
                Variant(coding, parse_digest(digest), int(size)) for coding, digest, size in value["variants"]
            )
            self._use(content, found)
            return found
        except (OSError, ValueError, TypeError, KeyError, SchemaError):
            return None

    def _use(self, content: Digest, variants: tuple[Variant, ...]) -> None:
        """Date the files of `content` anew, so that `prune` leaves them."""
        for file in (self._index(content), *(self.path(content, variant.coding) for variant in variants)):
            with suppress(OSError):
                os.utime(file)

    def path(self, content: Digest, coding: Coding) -> Path:
        """Where the bytes of a variant are, if they are."""
        return self.folder / content[:2] / f"{content}.{SUFFIXES[coding]}"

    def holds(self, content: Digest, variant: Variant) -> bool:
        """Whether the bytes of the variant are there and are what the digest says."""
        try:
            with self.path(content, variant.coding).open("rb") as source:
                return hashlib.file_digest(source, "sha256").hexdigest() == variant.digest
        except OSError:
            return False

    def scratch(self) -> Path:
        """Return a new name for a file that `keep` is to adopt. Raises DiskError if there can be no folder for it."""
        folder = self.folder / "new"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the cache folder {folder} cannot be made: {error.strerror}"
            raise DiskError(msg, hint="set XDG_CACHE_HOME to a folder that can be written", path=str(folder)) from error
        return folder / secrets.token_hex(8)

    def keep(self, content: Digest, made: dict[Variant, Path]) -> None:
        """Adopt the files of the variants of `content` that are worth keeping; then say that these are all. Raises
        DiskError.
        """
        index = self._index(content)
        try:
            index.parent.mkdir(mode=0o700, exist_ok=True)
            for variant, file in made.items():
                file.replace(self.path(content, variant.coding))
        except OSError as error:
            msg = f"the cache folder {index.parent} cannot be written: {error.strerror}"
            raise DiskError(msg, path=str(index.parent)) from error
        rows = [[variant.coding, variant.digest, variant.size] for variant in made]
        write_whole(index, json.dumps({"schema": [1, 0], "variants": rows}).encode())

    def forget(self, content: Digest) -> None:
        """Throw away all variants of `content`: it was taken down. Never fails."""
        with suppress(OSError):
            for recipe in self.folder.parent.iterdir():
                for file in (recipe / content[:2]).glob(f"{content}.*"):
                    file.unlink(missing_ok=True)

    def prune(self, now: float | None = None) -> None:
        """Throw away what is older than KEEP_SECONDS, other recipes too; at most once a day. Never fails."""
        moment = time.time() if now is None else now
        mark = self.folder.parent / "pruned"
        try:
            if mark.exists() and mark.stat().st_mtime > moment - 86400:
                return
            mark.touch()
            for recipe in self.folder.parent.iterdir():
                for shelf in recipe.iterdir() if recipe.is_dir() else ():
                    _prune_shelf(shelf, moment - KEEP_SECONDS)
        except OSError:
            return

    def _index(self, content: Digest) -> Path:
        return self.folder / content[:2] / f"{content}.json"


def _prune_shelf(shelf: Path, oldest: float) -> None:
    files = list(shelf.iterdir())
    old = [file for file in files if file.stat().st_mtime < oldest]
    if len(old) == len(files):
        shutil.rmtree(shelf, ignore_errors=True)
        return
    for file in old:
        file.unlink(missing_ok=True)
