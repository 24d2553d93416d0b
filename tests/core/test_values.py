"""The words of the core keep their promises: canonical bytes, digests, manifests and fleet records."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.codec import canonical_bytes, parse_object
from edgeward.core.digest import check_digest, digest_of, parse_digest
from edgeward.core.fleet import (
    EdgeRecord,
    EdgeStatus,
    HostClaim,
    Pointer,
    Proof,
    PurgeOrder,
    ReleaseRecord,
    SiteStatus,
    VerdictRecord,
)
from edgeward.core.paths import is_entry_path
from edgeward.core.release import Entry, Manifest, Variant, etag_of, pack_manifest, parse_manifest, unpack_manifest
from edgeward.core.rules import Condition, HeaderBlock, HeaderLine, RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.errors import CorruptionError, SchemaError

ONE = digest_of(b"one")
TWO = digest_of(b"two")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
digests = st.binary(max_size=8).map(digest_of)
settings_values = st.builds(
    SiteSettings,
    name=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    hostnames=st.lists(st.sampled_from(["a.test", "b.test", "c.test"]), min_size=1, unique=True).map(tuple),
    clean_urls=st.booleans(),
    trailing_slash=st.sampled_from(["auto", "always", "never"]),
    spa=st.booleans(),
    immutable=st.none() | st.lists(texts.map(lambda text: "/" + text), max_size=3).map(tuple),
    keep_assets_days=st.integers(0, 400),
    alias_mode=st.sampled_from(["redirect", "serve"]),
    hsts=st.none() | texts,
)


paths = texts.map(lambda text: "/" + text).filter(is_entry_path)
"""Paths of entries that are never below each other: there is one file in each folder at most."""


@st.composite
def entry_values(draw: st.DrawFn) -> Entry:
    """An entry with one to three variants of different sizes."""
    sizes = draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=3, unique=True))
    variants = tuple(
        Variant(coding, draw(digests), size) for coding, size in zip(("identity", "br", "gzip"), sizes, strict=False)
    )
    return Entry(draw(paths), draw(texts), draw(st.integers(0, 2**33)), variants)


rules = st.builds(
    RedirectRule,
    line=st.integers(1, 10_000),
    source=texts.map(lambda text: "/" + text),
    target=st.none() | texts,
    status=st.sampled_from([200, 301, 308, 404, 410]),
    force=st.booleans(),
    host=st.none() | st.just("a.test"),
    params=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
    conditions=st.lists(
        st.builds(Condition, st.sampled_from(["Language", "Cookie"]), st.lists(texts, min_size=1).map(tuple)),
        max_size=2,
    ).map(tuple),
)
blocks = st.builds(
    HeaderBlock,
    line=st.integers(1, 10_000),
    pattern=texts.map(lambda text: "/" + text),
    lines=st.lists(st.builds(HeaderLine, texts, st.none() | texts), max_size=3).map(tuple),
)
manifests = st.builds(
    Manifest,
    settings=settings_values,
    entries=st.lists(entry_values(), max_size=5, unique_by=lambda entry: entry.path).map(
        lambda entries: tuple(sorted(entries, key=lambda entry: entry.path))
    ),
    redirects=st.lists(rules, max_size=3).map(tuple),
    headers=st.lists(blocks, max_size=3).map(tuple),
)


@given(manifests)
def test_a_manifest_round_trips_with_the_same_bytes_and_release(manifest: Manifest) -> None:
    """Parsing what was written gives an equal value, equal bytes and so the same release."""
    again = parse_manifest(manifest.to_bytes())
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes() == canonical_bytes(json.loads(manifest.to_bytes()))
    assert again.release == manifest.release == digest_of(manifest.to_bytes())
    assert unpack_manifest(pack_manifest(manifest), manifest.release) == manifest


@given(manifests, manifests, st.data())
def test_a_manifest_is_parsed_the_same_beside_another_one(manifest: Manifest, other: Manifest, data) -> None:
    """What is equal in both is taken from the other, the same objects; the value is what it is without the other."""
    shared = data.draw(st.sets(st.sampled_from(manifest.entries))) if manifest.entries else set()
    entries = {entry.path: entry for entry in (*other.entries, *shared)}
    like = parse_manifest(
        replace(other, entries=tuple(sorted(entries.values(), key=lambda entry: entry.path))).to_bytes()
    )
    again = parse_manifest(manifest.to_bytes(), like)
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()
    for entry in again.entries:
        known = like.by_path.get(entry.path)
        assert (known is entry) == (known == entry)


@given(manifests, st.data())
def test_bytes_that_are_not_canonical_are_judged_the_same_beside_another_manifest(manifest: Manifest, data) -> None:
    """Whatever is done to the bytes: the value, or the refusal, does not depend on what else is known."""
    raw = manifest.to_bytes()
    cut, end = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=2, max_size=2)))
    pieces = [b"", raw[cut:end], b'}},"/', b'}}},"headers":[', b'{"entries":{"/', b" ", b'"x":{"y":{"z":1}},"/']
    changed = raw[:cut] + data.draw(st.sampled_from(pieces)) + raw[data.draw(st.sampled_from([cut, end])) :]

    def judged(like: Manifest | None) -> Manifest | None:
        try:
            return parse_manifest(changed, like)
        except SchemaError:
            return None

    assert judged(manifest) == judged(None)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_as_a_manifest_with_the_right_error(data: bytes) -> None:
    """Stored garbage is a SchemaError, never another exception."""
    with pytest.raises(SchemaError):
        parse_manifest(data)
    with pytest.raises((SchemaError, CorruptionError)):
        unpack_manifest(data, ONE)


def test_an_unknown_major_version_is_refused_and_a_later_minor_taken() -> None:
    """A reader takes any minor of a major that it knows, and says what it found otherwise."""
    value = json.loads(Manifest(SiteSettings("w", ("a.test",)), ()).to_bytes())
    value["schema"] = [1, 7]
    value["something_later"] = True
    assert parse_manifest(canonical_bytes(value)).settings.name == "w"
    value["schema"] = [2, 0]
    with pytest.raises(SchemaError, match=r"schema 2\.0; this program knows 1\.x"):
        parse_manifest(canonical_bytes(value))


def test_a_packed_manifest_of_another_release_or_cut_off_is_refused() -> None:
    """The release's name is checked, and a truncated blob is not half a site."""
    manifest = Manifest(SiteSettings("w", ("a.test",)), ())
    with pytest.raises(CorruptionError):
        unpack_manifest(pack_manifest(manifest), ONE)
    with pytest.raises(SchemaError, match="cut off"):
        unpack_manifest(pack_manifest(manifest)[:-6], manifest.release)


def test_entries_out_of_order_or_twice_are_refused() -> None:
    """A manifest that exists is valid: sorted, each path once."""
    entry = Entry("/a", "text/plain", 1, (Variant("identity", ONE, 1),))
    for entries in ((entry, entry), (Entry("/b", "x", 1, entry.variants), entry)):
        with pytest.raises(SchemaError, match="not sorted by path, each once"):
            Manifest(SiteSettings("w", ("a.test",)), entries)


def test_variants_of_one_size_are_refused_because_their_etags_would_be_equal() -> None:
    """ETags are made of time and size, so two variants of one size would share a strong ETag."""
    with pytest.raises(SchemaError, match="other sizes"):
        Entry("/a", "text/plain", 1, (Variant("identity", ONE, 9), Variant("br", TWO, 9)))
    entry = Entry("/a", "text/plain", 255, (Variant("identity", ONE, 16), Variant("br", TWO, 9)))
    assert [etag_of(entry, variant) for variant in entry.variants] == ['"ff-10"', '"ff-9"']


def test_canonical_bytes_do_not_depend_on_the_order_of_keys_and_refuse_floats() -> None:
    """Equal values have equal bytes; numbers that round differently elsewhere do not get in."""
    assert canonical_bytes({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'.encode()
    for value in ({"a": 1.5}, [float("nan")], {"a": object()}, {"a": "\udc80"}):
        with pytest.raises(SchemaError):
            canonical_bytes(value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema":1}', b'{"schema":["1",0]}', b"\xff", b"[" * 100_000])
def test_objects_without_a_schema_number_are_refused(data: bytes) -> None:
    """Every stored value says its schema; anything else is no value of ours."""
    with pytest.raises(SchemaError):
        parse_object(data, kind="thing", major=1)


@pytest.mark.parametrize("text", ["", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n"])
def test_digests_are_64_lower_case_hex_digits(text: str) -> None:
    """A digest is parsed at the door; anything else never becomes a file name or a subject."""
    with pytest.raises(SchemaError):
        parse_digest(text)


def test_bytes_that_do_not_match_their_digest_are_corrupt() -> None:
    """The error names both digests."""
    check_digest(b"one", ONE)
    with pytest.raises(CorruptionError, match=f"{ONE[:12]} is corrupt.*{TWO[:12]}"):
        check_digest(b"two", ONE)


RECORDS = [
    ReleaseRecord("w", ONE, TWO, 9, 5, "message", "me", 3, 1000, "ab", "cd", ("/leak",)),
    Pointer("w", ONE, None, 5, "me", "push"),
    Pointer("w", None, TWO, 5, "me", "remove"),
    HostClaim("a.test", "w", 5),
    Proof("_acme-challenge.a.test", ("one", "two")),
    PurgeOrder("k", "w", ("/leak",), (ONE,), 5, "me"),
    EdgeRecord("fra1", "FRA", ("127.0.10.1",), ("http",), 50, drained=True),
    EdgeRecord("fra2", "FRA", ("127.0.10.2",), drained=True, drained_until=7, drained_because="new disk"),
    VerdictRecord("fra1", False, ("iad: no answer",), 5, "iad"),
    EdgeStatus("fra1", "0.1", "nginx", True, 4, 1, 2, {"w": SiteStatus(ONE, 3, (ONE, TWO))}, ("k",), ("p",), 7, 8),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_round_trip_and_later_minor_fields_are_left_out(record: ReleaseRecord) -> None:
    """Every record of the fleet survives being stored, and tolerates what a later minor version adds."""
    kind = type(record)
    assert kind.from_bytes(record.to_bytes()) == record
    value = {**json.loads(record.to_bytes()), "schema": [1, 9], "later": {"x": 1}}
    assert kind.from_bytes(canonical_bytes(value)) == record
    for broken in ({**value, "schema": [2, 0]}, {"schema": [1, 0]}):
        with pytest.raises(SchemaError):
            kind.from_bytes(canonical_bytes(broken))


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (ReleaseRecord("blog", ONE, TWO, 1, 2, "", "ann", 3, 4), {"created": "x"}),
        (ReleaseRecord("blog", ONE, TWO, 1, 2, "", "ann", 3, 4), {"manifest_size": 1.5}),
        (ReleaseRecord("blog", ONE, TWO, 1, 2, "", "ann", 3, 4), {"site": None}),
        (ReleaseRecord("blog", ONE, TWO, 1, 2, "", "ann", 3, 4), {"purged": [1]}),
        (Pointer("blog", ONE, None, 1, "ann", "push"), {"at": "now"}),
        (Pointer("blog", ONE, None, 1, "ann", "push"), {"move": "jump"}),
        (HostClaim("a.test", "blog", 1), {"site": ["blog"]}),
        (Proof("_acme-challenge.a.test", ()), {"name": "www.a.test"}),
        (Proof("_acme-challenge.a.test", ()), {"name": "_acme-challenge.A.test"}),
        (Proof("_acme-challenge.a.test", ()), {"name": f"_acme-challenge.{'a' * 64}.test"}),
        (Proof("_acme-challenge.a.test", ()), {"texts": [1]}),
        (Proof("_acme-challenge.a.test", ()), {"texts": "text"}),
        (Proof("_acme-challenge.a.test", ()), {"texts": ["x" * 256]}),
        (EdgeRecord("fra", "FRA", ("127.0.0.1",)), {"drained": 1}),
        (EdgeRecord("fra", "FRA", ("127.0.0.1",)), {"drained_until": "7"}),
        (VerdictRecord("fra", True, (), 5, "iad"), {"because": "text"}),
        (EdgeRecord("fra", "FRA", ("127.0.0.1",)), {"addresses": "127.0.0.1"}),
        (EdgeRecord("fra", "FRA", ("127.0.0.1",)), {"weight": True}),
        (EdgeStatus("fra", "1", "nginx", True, 1, 1, 1), {"ready": "yes"}),
        (EdgeStatus("fra", "1", "nginx", True, 1, 1, 1), {"problems": [{}]}),
    ],
)
def test_a_record_with_a_value_of_another_type_is_refused(record, changes: dict[str, object]) -> None:
    """What comes out of the store is of the declared types, so that nobody stumbles over it later."""
    assert type(record).from_bytes(record.to_bytes()) == record
    value = json.loads(record.to_bytes()) | changes
    with pytest.raises(SchemaError):
        type(record).from_bytes(json.dumps(value).encode())


def test_a_drain_that_is_over_is_none() -> None:
    """One without an end lasts until it is undone; the clock is the reader's."""
    record = EdgeRecord("fra", "FRA", ("127.0.0.1",), drained=True, drained_until=100)
    assert record.is_drained(99.9)
    assert not record.is_drained(100)
    assert replace(record, drained_until=None).is_drained(1e12)
    assert not replace(record, drained=False).is_drained(0)


def test_a_record_of_before_drains_had_an_end_is_read() -> None:
    """What a fleet has stored stays good."""
    value = json.loads(EdgeRecord("fra", "FRA", ("127.0.0.1",), drained=True).to_bytes())
    del value["drained_until"], value["drained_because"]
    assert EdgeRecord.from_bytes(canonical_bytes(value)).is_drained(1e12)
