"""Buckets: compare-and-set, deletion, history."""

import asyncio

import pytest

from edgeward.errors import ConflictError, StoreError, StoreUnavailable
from edgeward.store import buckets as buckets_module
from edgeward.store.buckets import Versioned
from edgeward.store.connection import Store, open_store
from edgeward.store.jetstream import MESSAGE_ID
from edgeward.store.link import StoreAddress
from waiting import eventually


async def test_a_value_comes_back_with_the_revision_it_was_stored_under(store: Store):
    """What create and update return is what get shows and update compares."""
    first = await store.live.create("docs", b"one")
    assert await store.live.get("docs") == Versioned("docs", b"one", first)
    second = await store.live.update("docs", b"two", first)
    assert second > first
    assert await store.live.get("docs") == Versioned("docs", b"two", second)


async def test_a_key_that_was_never_written_is_none(store: Store):
    """Get says None for a key that is not there."""
    assert await store.live.get("nothing") is None


async def test_creating_what_exists_is_a_conflict_and_changes_nothing(store: Store):
    """Create refuses a key that has a value and names it."""
    await store.hosts.create("www.example.test", b"mine")
    with pytest.raises(ConflictError, match=r"'www\.example\.test' in bucket hosts: it exists already"):
        await store.hosts.create("www.example.test", b"yours")
    found = await store.hosts.get("www.example.test")
    assert found is not None
    assert found.value == b"mine"


async def test_updating_at_an_old_revision_is_a_conflict(store: Store):
    """Update refuses any revision but the newest."""
    first = await store.live.create("docs", b"one")
    await store.live.update("docs", b"two", first)
    with pytest.raises(ConflictError, match="changed by somebody else first") as caught:
        await store.live.update("docs", b"three", first)
    assert caught.value.facts["key"] == "docs"


async def test_of_many_writers_at_one_revision_exactly_one_wins(store: Store):
    """Compare-and-set has one winner, whose value is the one stored."""
    first = await store.live.create("docs", b"start")

    async def attempt(number: int) -> int | None:
        try:
            await store.live.update("docs", str(number).encode(), first)
        except ConflictError:
            return None
        return number

    winners = [number for number in await asyncio.gather(*map(attempt, range(20))) if number is not None]
    assert len(winners) == 1
    found = await store.live.get("docs")
    assert found is not None
    assert found.value == str(winners[0]).encode()


async def test_a_deleted_key_can_be_created_again(store: Store):
    """The mark of a deletion is not a value."""
    first = await store.hosts.create("a.test", b"one")
    await store.hosts.delete("a.test")
    assert await store.hosts.get("a.test") is None
    assert await store.hosts.keys() == ()
    assert await store.hosts.create("a.test", b"two") > first


async def test_deleting_at_an_old_revision_is_a_conflict(store: Store):
    """Delete compares the revision when it is given one, and needs none to remove what is not there."""
    first = await store.hosts.create("a.test", b"one")
    second = await store.hosts.update("a.test", b"two", first)
    with pytest.raises(ConflictError):
        await store.hosts.delete("a.test", first)
    await store.hosts.delete("a.test", second)
    await store.hosts.delete("never.there")


async def test_history_is_oldest_first_and_kept_for_the_live_pointer(store: Store):
    """The bucket `live` keeps who moved what when; a bucket without history keeps the last value."""
    for number in range(5):
        await store.live.put("docs", str(number).encode())
        await store.hosts.put("a.test", str(number).encode())
    await store.live.put("docs2", b"other")
    assert [item.value for item in await store.live.history("docs")] == [b"0", b"1", b"2", b"3", b"4"]
    assert [item.value for item in await store.hosts.history("a.test")] == [b"4"]
    assert await store.live.history("none") == []


async def test_keys_and_values_show_all_and_only_what_is_there(store: Store):
    """Keys is sorted; values has the newest of each; deleted ones are in neither."""
    for key in ("docs.b", "docs.a", "blog.c"):
        await store.releases.put(key, key.encode())
    await store.releases.delete("docs.b")
    assert await store.releases.keys() == ("blog.c", "docs.a")
    assert {key: item.value for key, item in (await store.releases.values()).items()} == {
        "blog.c": b"blog.c",
        "docs.a": b"docs.a",
    }


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", "a b", "a*", "a.>", "ä", "a\nb", "x" * 1025])
async def test_a_string_that_cannot_be_a_key_is_refused_before_it_is_sent(store: Store, key: str):
    """Wildcards, white space and empty parts never reach the server."""
    with pytest.raises(StoreError, match="cannot be a key"):
        await store.live.put(key, b"")


async def test_a_value_that_is_too_large_is_refused_clearly(store: Store):
    """More than a message may hold is an error of the caller, not of the connection."""
    with pytest.raises(StoreError, match="larger than the state store takes"):
        await store.live.put("docs", b"x" * 2_000_000)
    assert store.connected


async def test_a_store_that_is_not_there_is_unavailable_within_the_deadline(free_port, loopback_address: str):
    """open_store gives up in the time it was given and says where it looked and why."""
    address = StoreAddress(f"nats://{loopback_address}:{free_port()}")
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(StoreUnavailable, match=r"no answer from the state store at nats://127.*connection refused"):
        async with open_store(address, name="test", deadline=0.5):
            pass
    assert loop.time() - began < 3


async def test_a_wrong_token_is_said_to_be_the_reason(server, loopback_address: str):
    """A client with the wrong secret learns that it is the secret, and the message does not hold it."""
    address = StoreAddress(server.address.url, "wrong-secret")
    with pytest.raises(StoreUnavailable, match=r"(?i)authori[sz]ation") as caught:
        async with open_store(address, name="test", deadline=1.0):
            pass
    assert "wrong-secret" not in str(caught.value)
    assert "wrong-secret" not in repr(address)


async def test_a_store_can_be_opened_before_it_is_there(settings):
    """With wait=False the store is entered at once, and works as soon as the server does."""
    from edgeward.store.program import free_port
    from edgeward.store.server import ServerSettings, StateServer

    port = free_port(settings.listen)
    address = StoreAddress(f"nats://{settings.listen}:{port}", settings.token)
    async with open_store(address, name="test", wait=False) as store:
        assert not store.connected
        with pytest.raises(StoreUnavailable):
            await store.live.put("docs", b"1", deadline=0.2)
        async with StateServer(ServerSettings(settings.data, settings.listen, port, settings.token)):
            await store.wait_connected(10)
            await store.live.put("docs", b"1")


async def test_a_write_repeated_after_a_loss_is_not_a_conflict_with_itself(store: Store, monkeypatch):
    """When the answer to a compare-and-set was lost, sending it again ends in success, not in a conflict."""
    first = await store.live.create("docs", b"one")
    link = store.jetstream.link
    session = await link.session()
    genuine = session.request
    lost = []

    async def loses_the_first_answer(subject, payload, headers=None):
        answer = await genuine(subject, payload, headers)
        if not lost and headers and MESSAGE_ID in headers:
            lost.append(subject)
            from edgeward.store.link import Lost

            raise Lost
        return answer

    monkeypatch.setattr(session, "request", loses_the_first_answer)
    second = await store.live.update("docs", b"two", first)
    assert lost
    assert await store.live.get("docs") == Versioned("docs", b"two", second)
    assert [item.value for item in await store.live.history("docs")] == [b"one", b"two"]


async def test_the_layout_may_be_made_again_and_by_many_at_once(store: Store):
    """ensure_layout is safe to repeat, at the same time too, and keeps what is stored and the limit of the blobs."""
    await store.live.put("docs", b"1")
    before = (await store.jetstream.info("blobs", what="test"))["config"]["max_bytes"]
    await asyncio.gather(*(store.ensure_layout() for _ in range(4)))
    assert await store.live.keys() == ("docs",)
    assert (await store.jetstream.info("blobs", what="test"))["config"]["max_bytes"] == before > 0


async def test_the_mark_of_a_deletion_goes_too(store: Store, monkeypatch):
    """Marks of deleted keys do not pile up: they have a time to live, and the key can be created again after it."""
    monkeypatch.setattr(buckets_module, "MARK_SECONDS", 1)
    await store.hosts.create("a.test", b"1")
    await store.hosts.put("b.test", b"1")
    await store.hosts.delete("a.test")

    async def only_one_message() -> bool:
        return (await store.jetstream.info(store.hosts.layout.stream, what="test"))["state"]["messages"] == 1

    await eventually(only_one_message)
    assert await store.hosts.keys() == ("b.test",)
    await store.hosts.create("a.test", b"2")
