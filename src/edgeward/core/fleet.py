"""The small mutable values of a fleet: who the edges are, what they report, where the pointers stand.

Each is stored as canonical JSON under one key and changed by compare-and-set. Times are whole seconds since the epoch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import Literal, Self, Union, get_args, get_origin, get_type_hints

from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.core.digest import Digest, parse_digest
from edgeward.core.hostnames import is_record_name
from edgeward.errors import SchemaError

SCHEMA = (1, 0)

_LONGEST_TEXT = 255
"""Bytes of one character-string (RFC 1035 section 3.3.14)."""

NOT_FOR_READERS = "not for readers"
"""What people are told of an edge without the role `http`."""

Move = Literal["push", "rollback", "purge", "remove"]
"""Why a pointer moved."""


class _Record:
    """Shared form of the values below: `to_bytes` and `from_bytes`, with the schema number."""

    __slots__ = ()

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        values = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]  # every subclass is a dataclass
        return canonical_bytes({"schema": list(SCHEMA), **values})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes; unknown fields of a later minor version are left out. Raises SchemaError."""
        kind = cls.__name__.lower()
        value = parse_object(data, kind=kind, major=SCHEMA[0])
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        try:
            record = cls(**cls._parse({name: item for name, item in value.items() if name in known}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"a stored {kind} is not of the expected shape: {error!r}"
            raise SchemaError(msg, kind=kind) from error
        for name, hint in get_type_hints(cls).items():
            # A text would make a tuple too, of its letters.
            if not _fits(getattr(record, name), hint) or (
                get_origin(hint) is tuple and isinstance(value.get(name), str)
            ):
                msg = f"a stored {kind} is not of the expected shape: {name} is {getattr(record, name)!r:.80}"
                raise SchemaError(msg, kind=kind)
        return record

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        return value


def _fits(value: object, hint: object) -> bool:
    """Whether a parsed value is of the type that its field is declared with, as far as the types of this module go."""
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in {Union, UnionType}:
        return any(_fits(value, each) for each in get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if origin is not None:
        return isinstance(value, Mapping)
    # JSON has no other whole numbers than ints, and a bool is none of them.
    return type(value) is getattr(hint, "__supertype__", hint)


def _plain(value: object) -> Json:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class ReleaseRecord(_Record):
    """What the releases bucket says of one release: where its manifest is and how people know it.

    manifest, manifest_size: digest and bytes of the blob that holds the packed manifest (release.pack_manifest).
    created: when it was pushed. files: entries. size: bytes of all identity variants. deployer: who pushed
    (a name, for people).
    key, signature: hex of the Ed25519 public key (32 bytes) and signature (64) over the bytes `edgeward release
    <site> <release>`; empty strings where the fleet has no deployer keys.
    purged: paths that `purge` took out of the release it was made from; replaces: the names that one had, oldest first.
    """

    site: str
    release: Digest
    manifest: Digest
    manifest_size: int
    created: int
    message: str
    deployer: str
    files: int
    size: int
    key: str = ""
    signature: str = ""
    purged: tuple[str, ...] = ()
    replaces: tuple[Digest, ...] = ()

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        return {
            **value,
            "release": parse_digest(value["release"]),
            "manifest": parse_digest(value["manifest"]),
            "purged": tuple(value.get("purged", ())),
            "replaces": tuple(parse_digest(each) for each in value.get("replaces", ())),
        }


@dataclass(frozen=True, slots=True)
class Pointer(_Record):
    """The live pointer of a site, or its candidate. release None: the site was removed.

    previous: the release it pointed to before. at, by, move: who moved it, when, and by what.
    """

    site: str
    release: Digest | None
    previous: Digest | None
    at: int
    by: str
    move: Move

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        if value["move"] not in get_args(Move):
            msg = f"unknown move {value['move']!r}"
            raise SchemaError(msg)
        for name in ("release", "previous"):
            value[name] = None if value[name] is None else parse_digest(value[name])
        return value


@dataclass(frozen=True, slots=True)
class HostClaim(_Record):
    """A hostname belongs to one site of the fleet."""

    hostname: str
    site: str
    at: int


@dataclass(frozen=True, slots=True)
class Proof(_Record):
    """What name servers answer a certificate authority that asks whether a name is ours (RFC 8555 section 8.4).

    name: in lower case, begins with `_acme-challenge.`. texts: of its TXT records, up to 255 bytes each.
    """

    name: str
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Hold what the docstring promises. Raises SchemaError."""
        if not is_record_name(self.name) or not self.name.startswith("_acme-challenge."):
            msg = f"{self.name[:80]!r} is not the name of a proof"
            raise SchemaError(msg)
        if any(len(text.encode()) > _LONGEST_TEXT for text in self.texts):
            msg = f"a proof of {self.name[:80]!r} is longer than {_LONGEST_TEXT} bytes"
            raise SchemaError(msg)

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        return {**value, "texts": tuple(value["texts"])}


@dataclass(frozen=True, slots=True)
class PurgeOrder(_Record):
    """A takedown: these blobs must be gone everywhere, and never fetched or served again for this site.

    key: random name of the order. paths: as the operator gave them. digests: every blob of those paths in any release.
    releases: names of the releases that held them when the order was given. at: no earlier than any of those was made.
    """

    key: str
    site: str
    paths: tuple[str, ...]
    digests: tuple[Digest, ...]
    at: int
    by: str
    releases: tuple[Digest, ...] = ()

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        return {
            **value,
            "paths": tuple(value["paths"]),
            "digests": tuple(parse_digest(digest) for digest in value["digests"]),
            "releases": tuple(parse_digest(release) for release in value.get("releases", ())),
        }

    def covers(self, site: str, release: Digest, created: int) -> bool:
        """Whether a release may not hold the digests: it is named, or no younger than the order.

        Names come first because clocks differ: a release may have been made "after" the order that names it. created:
        as its record says, 0 for a release without a record.
        """
        return site == self.site and (release in self.releases or created <= self.at)


@dataclass(frozen=True, slots=True)
class EdgeRecord(_Record):
    """An edge as the operator describes it: location (IATA code, or latitude and longitude), addresses for readers.

    roles: what the fleet uses it for, of http (readers are sent to it), dns (it is named as a name server) and state
    (it runs a state server). weight: see orders.SteeredEdge. port: where it answers plain HTTP on these addresses.
    drained_until: when the drain ends by itself, None: when the operator ends it. drained_because: the operator's
    words. dns_port: where it answers DNS, if its roles say so.
    """

    name: str
    location: str
    addresses: tuple[str, ...]
    roles: tuple[str, ...] = ("http",)
    weight: int = 100
    drained: bool = False
    port: int = 80
    drained_until: int | None = None
    drained_because: str = ""
    dns_port: int = 53

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        return {**value, "addresses": tuple(value["addresses"]), "roles": tuple(value["roles"])}

    @property
    def is_for_readers(self) -> bool:
        """Whether readers are ever sent to it."""
        return "http" in self.roles

    def is_drained(self, now: float) -> bool:
        """Whether the edge is drained at `now` (epoch seconds, the reader's clock): a drain that is over is none."""
        return self.drained and (self.drained_until is None or now < self.drained_until)


def families_text(families: Iterable[int]) -> str:
    """Return what people call families (4, 6): "IPv4 and IPv6"."""
    return " and ".join(f"IPv{family}" for family in families)


@dataclass(frozen=True, slots=True)
class VerdictRecord(_Record):
    """The last verdict on an edge that was written down for the whole fleet; an edge without one was never down.

    because: the evidence, one sentence of each observer. silent: families (4, 6) over which an edge that is up does not
    answer; answers: those over which it does again. at, by: when and by which edge it was written down. after: seconds
    since the verdict before, None: there was none.
    """

    edge: str
    up: bool
    because: tuple[str, ...]
    at: int
    by: str
    after: int | None = None
    silent: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()

    @property
    def silence(self) -> str:
        """Over which families an edge that is up does not answer, with the evidence; "" if it does over all."""
        return f"over {families_text(self.silent)}: {'; '.join(self.because)}" if self.silent else ""

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        families = {name: tuple(value.get(name, ())) for name in ("silent", "answers")}
        return {**value, "because": tuple(value["because"]), **families}


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """What one edge holds of one site: its live release and since when, and every staged release (the live one too)."""

    live: Digest | None
    since: int
    staged: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class EdgeStatus(_Record):
    """What an edge reports of itself. Absent or expired = not reporting.

    ready: it has compared itself with the store since it started and serves what it should (False while catching up
    from last-known-good, and while a blob that it needs is corrupt). purged: keys of purge orders that are carried out
    here. problems: sentences for the operator. engine: "nginx" or "preview". generation: of the HTTP configuration.
    city_database: name of the file that its name server goes by, "" for countries alone.
    started, at: when the agent started, when this was written (the edge's clock; ages are measured at receipt).
    """

    edge: str
    version: str
    engine: str
    ready: bool
    generation: int
    started: int
    at: int
    sites: Mapping[str, SiteStatus] = field(default_factory=dict)
    purged: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    disk_free: int = 0
    blobs: int = 0
    city_database: str = ""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        sites = {
            name: {"live": site.live, "since": site.since, "staged": list(site.staged)}
            for name, site in self.sites.items()
        }
        return _Record.to_bytes(replace(self, sites=sites))  # type: ignore[arg-type]  # the plain form of the mapping

    @classmethod
    def _parse(cls, value: dict[str, Json]) -> dict[str, Json]:
        sites = {
            name: SiteStatus(
                live=None if site["live"] is None else parse_digest(site["live"]),
                since=int(site["since"]),
                staged=tuple(parse_digest(digest) for digest in site["staged"]),
            )
            for name, site in value["sites"].items()
        }
        return {
            **value,
            "sites": sites,
            "purged": tuple(value.get("purged", ())),
            "problems": tuple(value.get("problems", ())),
        }
