"""Manifest and release: every entry, redirect and header rule of one state of a site, as canonical bytes."""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Literal

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.digest import Digest, check_digest, digest_of, parse_digest
from edgeward.core.paths import is_entry_path
from edgeward.core.rules import Condition, HeaderBlock, HeaderLine, RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.errors import SchemaError

Coding = Literal["identity", "br", "gzip"]
"""Content-codings of variants (RFC 9110 section 8.4.1, RFC 7932), in HTTP's own words."""

CODINGS: tuple[Coding, ...] = ("identity", "br", "gzip")
SCHEMA = (1, 0)
MAX_MANIFEST_BYTES = 512 * 1024 * 1024
"""More than 200,000 entries of 1,024-byte paths need: a packed manifest that unpacks to more is refused."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One content-coding of an entry: a blob and its size in bytes."""

    coding: Coding
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a site.

    path: decoded, as `paths.is_entry_path` says, the file's own path ("/about.html"), not its clean URL. media_type:
    value of Content-Type. modified: seconds since the epoch, assigned by the push. variants: identity first, then br,
    gzip where there are any; no two variants of one entry have the same size (so that ETags made of time and size
    differ).
    """

    path: str
    media_type: str
    modified: int
    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        """Hold what the docstring promises. Raises SchemaError."""
        codings = [variant.coding for variant in self.variants]
        # Most entries have one variant, or three: what costs time here is paid for each of 200,000.
        if codings != ["identity"]:
            sizes = {variant.size for variant in self.variants}
            first = codings[0] if codings else None
            if first != "identity" or len(set(codings)) != len(codings) or len(sizes) != len(codings):
                msg = f"entry {self.path!r} has variants {codings} that are not one identity and others of other sizes"
                raise SchemaError(msg, path=self.path)
        # Edges make files of these paths: one that climbs would be written outside their folders.
        if not is_entry_path(self.path):
            msg = f"{self.path[:200]!r} is not the path of an entry"
            raise SchemaError(msg, path=self.path[:200])

    @property
    def identity(self) -> Variant:
        """The variant without a coding."""
        return self.variants[0]

    def variant(self, coding: Coding) -> Variant | None:
        """Return the variant of that coding, or None."""
        return next((variant for variant in self.variants if variant.coding == coding), None)


def etag_of(entry: Entry, variant: Variant) -> str:
    """Return the strong ETag of a variant (RFC 9110 section 8.8.3): "<modified hex>-<size hex>", as nginx makes it.

    It is made from the manifest alone, so that all edges agree; `modified` changes whenever content changes and the
    variants of one entry have different sizes, so that equal ETags of one URL mean equal bytes.
    """
    return f'"{entry.modified:x}-{variant.size:x}"'


@dataclass(frozen=True)
class Manifest:
    """All that decides the answers of one release. Equal manifests have equal bytes and so equal digests.

    entries: sorted by path (code points), each path once, no path below another that is a file.
    """

    settings: SiteSettings
    entries: tuple[Entry, ...]
    redirects: tuple[RedirectRule, ...] = ()
    headers: tuple[HeaderBlock, ...] = ()

    def __post_init__(self) -> None:
        """Hold what the docstring promises of entries. Raises SchemaError."""
        paths = [entry.path for entry in self.entries]
        if any(a >= b for a, b in pairwise(paths)):
            msg = f"entries of site {self.settings.name!r} are not sorted by path, each once"
            raise SchemaError(msg, site=self.settings.name)
        both = folders_above(paths).intersection(paths)
        if both:
            msg = f"{min(both)!r} of site {self.settings.name!r} is a file, and other entries are below it"
            raise SchemaError(msg, site=self.settings.name)

    @cached_property
    def by_path(self) -> Mapping[str, Entry]:
        """Entries by path."""
        return {entry.path: entry for entry in self.entries}

    @cached_property
    def depth(self) -> int:
        """How many folders, with the root, the deepest entry is in; 0 for no entries."""
        return max((entry.path.count("/") for entry in self.entries), default=0)

    @cached_property
    def _canonical(self) -> bytes:
        """The bytes: those that were parsed, as they were, or made from the value when they are first wanted."""
        # "entries" comes first of the keys. Written here, since `json` takes three times as long.
        entries = ",".join(map(_entry_text, self.entries))
        try:
            return f'{{"entries":{{{entries}}},'.encode() + canonical_bytes(_rest_json(self))[1:]
        except UnicodeEncodeError as error:
            msg = f"a manifest of site {self.settings.name!r} cannot be written: {error}"
            raise SchemaError(msg, site=self.settings.name) from error

    @cached_property
    def release(self) -> Digest:
        """The name of the release: the digest of the canonical bytes."""
        return digest_of(self.to_bytes())

    def blobs(self) -> Iterator[Variant]:
        """Yield every variant of every entry (a digest may come several times)."""
        for entry in self.entries:
            yield from entry.variants

    def digests(self) -> frozenset[Digest]:
        """Return the digests of all blobs."""
        return frozenset(variant.digest for variant in self.blobs())

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return self._canonical


def folders_above(paths: Iterable[str]) -> set[str]:
    """Return every folder that one of these paths is in, without its last slash; the root is ""."""
    found: set[str] = set()
    new = {path.rpartition("/")[0] for path in paths}
    while new:
        found |= new
        new = {folder.rpartition("/")[0] for folder in new} - found
    return found


def parse_manifest(data: bytes, like: Manifest | None = None) -> Manifest:
    """Parse canonical bytes. Raises SchemaError for another shape or an unknown major version.

    like: a manifest that is probably much the same; entries that are equal are taken from it, the same objects, without
    being parsed.
    """
    manifest = _parse_by_text(data, like) if like else None
    if manifest is None:
        value = parse_object(data, kind="manifest", major=SCHEMA[0])
        manifest = _manifest(value, lambda: (_entry(*item) for item in value["entries"].items()))
    # Where cached_property looks; `dataclasses.replace` does not take it along.
    manifest.__dict__["_canonical"] = data
    return manifest


def _manifest(value: Json, entries: Callable[[], Iterable[Entry]]) -> Manifest:
    try:
        return Manifest(
            settings=SiteSettings.from_json(value["site"]),
            entries=tuple(entries()),
            redirects=tuple(_redirect(item) for item in value["redirects"]),
            headers=tuple(_block(item) for item in value["headers"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"a stored manifest is not of the expected shape: {error!r}"
        raise SchemaError(msg) from error


_FIRST, _BETWEEN, _LAST = b'{"entries":{"/', b'}},"/', b'}}},"headers":['
"""What is before, between and behind the texts of entries in canonical bytes. Inside of a string the quotation marks
would be escaped."""


def _entry_texts(data: bytes) -> tuple[list[bytes], bytes] | None:
    """Return the text of each entry, without what is between them, and the object without its entries; None if the
    bytes do not look like it.
    """
    end = data.find(_LAST)
    if not data.startswith(_FIRST) or end < 0:
        return None
    return data[len(_FIRST) : end].split(_BETWEEN), b"{" + data[end + len(b"}}},") :]


def _parse_by_text(data: bytes, like: Manifest) -> Manifest | None:
    """Parse a manifest by the texts of its entries: what has the same text in `like` is not parsed.

    None if that cannot be done. A text that is JSON with the braces that were taken off it begins and ends where an
    entry does, so that what is found is what `json` would have found.
    """
    found, before = _entry_texts(data), _entry_texts(like.to_bytes())
    if found is None or before is None or len(before[0]) != len(like.entries):
        return None
    texts, rest = found
    known = dict(zip(before[0], like.entries, strict=True))

    def entries() -> Iterator[Entry]:
        for text in texts:
            entry = known.get(text)
            if entry is None:
                ((path, item),) = json.loads(b'{"/' + text + b"}}}").items()
                entry = _entry(path, item)
            yield entry

    try:
        value = parse_object(rest, kind="manifest", major=SCHEMA[0])
        return None if "entries" in value else _manifest(value, entries)
    except (SchemaError, RecursionError):
        return None


def pack_manifest(manifest: Manifest) -> bytes:
    """Return the canonical bytes compressed (zlib, RFC 1950): the blob that a release record names."""
    # Half of it is digests, which do not compress: a higher level takes twice as long and saves 4 %.
    return zlib.compress(manifest.to_bytes(), 1)


def unpack_manifest(data: bytes, expected: Digest, like: Manifest | None = None) -> Manifest:
    """Undo `pack_manifest` and check that the release is the one `expected`. like: as `parse_manifest` has it.

    Raises SchemaError for another shape or version, CorruptionError if the digest is another.
    """
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, MAX_MANIFEST_BYTES)
    except zlib.error as error:
        msg = f"the packed manifest of release {expected[:12]} does not unpack: {error}"
        raise SchemaError(msg, release=expected) from error
    if not inflater.eof:
        msg = f"the packed manifest of release {expected[:12]} is cut off or larger than {MAX_MANIFEST_BYTES} bytes"
        raise SchemaError(msg, release=expected)
    check_digest(raw, expected)
    return parse_manifest(raw, like)


def _entry_text(entry: Entry) -> str:
    """Return the member of an entry in "entries", as `codec.canonical_bytes` would write it."""
    variants = ",".join([f'"{one.coding}":["{one.digest}",{one.size}]' for one in sorted(entry.variants, key=_coding)])
    media_type = f'{{"modified":{entry.modified},"type":{encode_basestring(entry.media_type)}'
    return f'{encode_basestring(entry.path)}:{media_type},"variants":{{{variants}}}}}'


def _coding(variant: Variant) -> str:
    return variant.coding


def _rest_json(manifest: Manifest) -> Json:
    """Return all of a manifest but its entries."""
    return {
        "schema": list(SCHEMA),
        "site": manifest.settings.to_json(),
        "redirects": [
            {
                "line": rule.line,
                "host": rule.host,
                "from": rule.source,
                "params": [list(param) for param in rule.params],
                "to": rule.target,
                "status": rule.status,
                "force": rule.force,
                "conditions": [[condition.name, list(condition.values)] for condition in rule.conditions],
            }
            for rule in manifest.redirects
        ],
        "headers": [
            {
                "line": block.line,
                "for": block.pattern,
                "set": [[line.name, line.value] for line in block.lines],
            }
            for block in manifest.headers
        ],
    }


def _entry(path: str, item: Json) -> Entry:
    variants = item["variants"]
    found = []
    for coding in CODINGS:
        pair = variants.get(coding)
        if pair is not None:
            found.append(Variant(coding, parse_digest(pair[0]), int(pair[1])))
    return Entry(path, str(item["type"]), int(item["modified"]), tuple(found))


def _redirect(item: Json) -> RedirectRule:
    return RedirectRule(
        line=int(item["line"]),
        host=item["host"],
        source=str(item["from"]),
        params=tuple((str(name), str(wanted)) for name, wanted in item["params"]),
        target=item["to"],
        status=int(item["status"]),
        force=bool(item["force"]),
        conditions=tuple(Condition(name, tuple(values)) for name, values in item["conditions"]),
    )


def _block(item: Json) -> HeaderBlock:
    return HeaderBlock(
        line=int(item["line"]),
        pattern=str(item["for"]),
        lines=tuple(HeaderLine(str(name), None if value is None else str(value)) for name, value in item["set"]),
    )
