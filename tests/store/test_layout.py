"""The table of streams, buckets and subjects, and the small arithmetic around it."""

from pathlib import Path

import pytest

from edgeward.errors import ConflictError, InputError, StoreError, StoreFull, StoreUnavailable
from edgeward.store.connection import Store, StoreAddress
from edgeward.store.errors import refusal
from edgeward.store.layout import BUCKETS, CHUNK, chunks, stream_configs
from edgeward.store.listing import nanoseconds
from edgeward.store.server import ServerSettings

FORMATS = Path(__file__).parents[2] / "docs" / "formats.md"


def test_every_bucket_and_stream_is_described():
    """docs/formats.md names every bucket and stream, so that nobody needs the program to read the store."""
    text = FORMATS.read_text()
    for name in (*BUCKETS, "blobs", "events"):
        assert f"`{name}`" in text, name


async def test_the_store_has_exactly_the_streams_of_the_layout(store: Store):
    """A new server has the whole layout, and nothing else."""
    names = (await store.jetstream.call("STREAM.NAMES", what="test"))["streams"]
    assert sorted(names) == sorted(config["name"] for config in stream_configs())
    for config in stream_configs():
        made = (await store.jetstream.info(config["name"], what="test"))["config"]
        assert {key: made.get(key) or 0 for key in config} == {key: value or 0 for key, value in config.items()}


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (10 * CHUNK, 10)])
def test_how_many_chunks_a_blob_has(size: int, count: int):
    """At least one, even for an empty blob; none is empty otherwise."""
    assert chunks(size) == count


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2026-11-23T05:07:21.208011928Z", 1_795_410_441_208_011_928),
        ("2026-11-23T05:07:21.1Z", 1_795_410_441_100_000_000),
    ],
)
def test_the_servers_times_are_read_to_the_nanosecond(stamp: str, expected: int):
    """RFC 3339 with up to nine digits of fraction."""
    assert nanoseconds(stamp) == expected


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (10071, "wrong last sequence: 5", ConflictError),
        (10164, "wrong last sequence", ConflictError),
        (10047, "insufficient storage resources available", StoreFull),
        (10023, "insufficient resources", StoreFull),
        (10077, "maximum bytes exceeded", StoreFull),
        (10077, "write: no space left on device", StoreFull),
        (10077, "something else", StoreError),
        (10008, "JetStream system temporarily unavailable", StoreUnavailable),
        (10076, "JetStream not enabled", StoreUnavailable),
        (10059, "stream not found", StoreError),
    ],
)
def test_refusals_of_the_server_become_our_own_errors(code: int, text: str, kind: type[Exception]):
    """Each has the operation in its sentence and the server's number as a fact."""
    error = refusal({"code": 500, "err_code": code, "description": text}, "put key 'a'")
    assert type(error) is kind
    assert error.message.startswith("cannot put key 'a': ")
    assert error.facts["code"] == code


@pytest.mark.parametrize(
    "url", ["", "localhost", "http://a:1", "nats://", "nats://a", "nats://a:x", "nats://u:p@a:1", "nats://a:99999"]
)
def test_an_address_of_another_form_is_refused(url: str):
    """Only nats://host:port and tls://host:port, and no credentials in it."""
    with pytest.raises(InputError, match="not the address of a state store"):
        StoreAddress(url)


def test_control_characters_never_reach_the_servers_configuration(tmp_path: Path):
    """nats-server's format cannot say them; they are refused by name."""
    with pytest.raises(InputError, match="the token of the state server holds a control character"):
        ServerSettings(tmp_path, token="a\nb")
