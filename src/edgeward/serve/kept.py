"""The kept folder of a site: immutable assets of earlier and staged releases, reachable beside the live one.

It has the folders of a tree (`serve.tree`) and is changed in place, one file at a time, while it is served. Its index,
`kept.json`, is canonical JSON: {"schema": [1, 0], "assets": {path: {"type", "modified", "variants", "until"}}}.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.digest import parse_digest
from edgeward.core.release import CODINGS, Entry, Variant
from edgeward.errors import SchemaError
from edgeward.serve.blobs import BlobFolder, disk_error
from edgeward.serve.tree import FOLDERS, place, placements

_SCHEMA = (1, 0)
_INDEX = "kept.json"


@dataclass(frozen=True, slots=True)
class KeptAsset:
    """One asset that stays reachable. until: when it may go, by the clock of whoever writes the folder; None while a
    release holds it.
    """

    entry: Entry
    until: int | None


class KeptFolder:
    """The kept folder of one site at `path`. One writer; nginx and the preview engine read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def index(self) -> Path:
        """The file whose change says that the assets changed."""
        return self.path / _INDEX

    def assets(self) -> Mapping[str, KeptAsset]:
        """Return what the folder holds, by path; nothing if it was never written. Raises SchemaError, DiskError."""
        try:
            data = self.index.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise disk_error("read", self.index, error) from error
        value = parse_object(data, kind="index of kept assets", major=_SCHEMA[0])
        try:
            return {path: _asset(path, item) for path, item in value["assets"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(
                f"the index of kept assets {self.index} is not of the expected shape: {error!r}"
            ) from error

    def write(self, assets: Mapping[str, KeptAsset], blobs: BlobFolder) -> None:
        """Make the folder hold exactly `assets`. What stays is not touched, what is new is there before what goes.

        An asset whose path runs through the name of another (`/a` and `/a/b` of different releases) is left out: its
        own release serves it. Raises CorruptionError for a missing blob, SchemaError, DiskError; the folder then holds
        at least what it held.
        """
        before = self.assets()
        assets = _without_clashes(before, assets)
        try:
            for folder in FOLDERS:
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            for path, asset in assets.items():
                if path not in before or before[path].entry != asset.entry:
                    for folder, variant in placements(asset.entry):
                        place(blobs, variant, asset.entry.modified, self._file(folder, path), kept=True)
            self._write_index({**before, **assets})
            for path, asset in before.items():
                stays = assets.get(path)
                gone = {folder for folder, _ in placements(asset.entry)}
                for folder in gone - ({folder for folder, _ in placements(stays.entry)} if stays else set()):
                    self._remove(folder, path)
            self._write_index(assets)
            blobs.sync()
        except OSError as error:
            raise disk_error("write", self.path, error) from error

    def _file(self, folder: str, path: str) -> Path:
        return Path(f"{self.path}/{folder}{path}")

    def _remove(self, folder: str, path: str) -> None:
        file = self._file(folder, path)
        file.unlink(missing_ok=True)
        root = self.path / folder
        for parent in file.parents:
            if parent == root:
                return
            try:
                parent.rmdir()
            except OSError:
                return

    def _write_index(self, assets: Mapping[str, KeptAsset]) -> None:
        temp = self.index.with_name(_INDEX + ".new")
        value = {path: _json(asset) for path, asset in assets.items()}
        temp.write_bytes(canonical_bytes({"schema": list(_SCHEMA), "assets": value}))
        temp.replace(self.index)


def _without_clashes(before: Mapping[str, KeptAsset], assets: Mapping[str, KeptAsset]) -> Mapping[str, KeptAsset]:
    files = before.keys() | assets.keys()
    folders = {parent for path in files for parent in _parents(path)}
    clashes = {
        path for path in assets if path not in before and (path in folders or not files.isdisjoint(_parents(path)))
    }
    return {path: asset for path, asset in assets.items() if path not in clashes}


def _parents(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _json(asset: KeptAsset) -> Json:
    entry = asset.entry
    return {
        "type": entry.media_type,
        "modified": entry.modified,
        "variants": {variant.coding: [variant.digest, variant.size] for variant in entry.variants},
        "until": asset.until,
    }


def _asset(path: str, item: Json) -> KeptAsset:
    variants = item["variants"]
    return KeptAsset(
        Entry(
            path=path,
            media_type=str(item["type"]),
            modified=int(item["modified"]),
            variants=tuple(
                Variant(coding, parse_digest(variants[coding][0]), int(variants[coding][1]))
                for coding in CODINGS
                if coding in variants
            ),
        ),
        until=None if item["until"] is None else int(item["until"]),
    )
