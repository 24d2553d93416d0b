"""What a push does before it speaks to the fleet changes how long it takes, and nothing else."""

import pytest

from edgeward.core.digest import digest_of
from edgeward.errors import InputError
from edgeward.publish.ahead import look_ahead
from edgeward.publish.fleet_settings import limits_bytes
from edgeward.publish.places import Places
from edgeward.publish.progress import Event, Finished, Started, silent
from edgeward.publish.push import push
from edgeward.publish.values import Limits
from edgeward.publish.variant_cache import VariantCache
from publishing import options, write_site

PAGE = "<p>another page</p>" * 100


@pytest.fixture(autouse=True)
def stamps_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was written just now is known at once: its file system stamps it to the nanosecond."""
    monkeypatch.setattr("edgeward.publish.stat_cache.GRANULARITY_NS", 0)


async def pushed_once(store, edge, folder, places) -> None:
    await edge()
    await push(options(folder), store, places=places)


def test_a_folder_that_was_never_pushed_from_here_is_left_alone(folder, places) -> None:
    """It would be read as a whole before anybody knows whether the fleet can be reached."""
    with look_ahead(options(folder), places.cache, silent) as ahead:
        assert ahead is None


async def test_what_has_changed_is_compressed_before_the_push_begins(store, edge, folder, places) -> None:
    """The release is the one that a push without it makes; the scan is told once."""
    await pushed_once(store, edge, folder, places)
    write_site(folder, {"about.html": PAGE})
    events: list[Event] = []
    with look_ahead(options(folder, now=1_900_000_000), places.cache, events.append) as ahead:
        assert ahead is not None
        ahead.wait()
        assert VariantCache.below(places.cache).find(digest_of(PAGE.encode())) is not None
        result = await push(options(folder, now=1_900_000_000), store, events.append, places=places, ahead=ahead)
    assert result.changes.changed == ("/about.html",)
    told = [event.phase for event in events if isinstance(event, Started)]
    assert told.count("scan") == 1
    assert [event.note for event in events if isinstance(event, Finished) and event.phase == "scan"] == [
        "4 files, 1 read"
    ]
    again = await push(options(folder, dry_run=True), store, places=Places(places.cache / "other", places.settings))
    assert again.release == result.release


async def test_a_folder_is_read_again_under_the_limits_of_the_fleet(store, edge, folder, places) -> None:
    """Those that it was read under are a guess."""
    await pushed_once(store, edge, folder, places)
    write_site(folder, {"about.html": PAGE})
    await store.fleet.put("limits", limits_bytes(Limits(file_size=1000)))
    with (
        look_ahead(options(folder), places.cache, silent) as ahead,
        pytest.raises(InputError) as caught,
    ):
        await push(options(folder), store, places=places, ahead=ahead)
    assert "a file may have 1000" in str(caught.value.problems)


async def test_of_many_changes_none_is_compressed_ahead(store, edge, folder, places) -> None:
    """The push can tell later what of them the release before has already."""
    await pushed_once(store, edge, folder, places)
    write_site(folder, {"about.html": PAGE, "index.html": PAGE + "1", "assets/app.3f9a1c7e.js": "2;" * 400})
    with look_ahead(options(folder), places.cache, silent) as ahead:
        assert ahead is not None
        assert len(ahead.scan.read) == 3
        assert ahead.compressing == ()


async def test_a_file_that_changes_after_it_was_read_refuses_the_push(store, edge, folder, places) -> None:
    """With the sentence that a push of its own says."""
    await pushed_once(store, edge, folder, places)
    write_site(folder, {"about.html": PAGE})
    with look_ahead(options(folder), places.cache, silent) as ahead:
        assert ahead is not None
        ahead.wait()
        VariantCache.below(places.cache).forget(digest_of(PAGE.encode()))
        write_site(folder, {"about.html": PAGE + "!"})
        with pytest.raises(InputError) as caught:
            await push(options(folder), store, places=places, ahead=ahead)
    assert "changed while it was pushed" in str(caught.value.problems)
