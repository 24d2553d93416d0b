"""Releases, rollback, removal and status, against a real store with edges that report themselves."""

import pytest

from edgeward.core.fleet import Pointer
from edgeward.errors import ConflictError, InputError, NotFoundError
from edgeward.publish.catalog import list_releases, list_sites, remove_site, rollback
from edgeward.publish.progress import Event, Started
from edgeward.publish.push import push
from edgeward.publish.status import fleet_status
from edgeward.publish.values import Waiting
from publishing import options, write_site


@pytest.fixture
def pushed(store, folder, places):
    """Push the folder with one page changed to some text."""

    async def push_text(text: str):
        write_site(folder, {"about.html": text})
        return (await push(options(folder, message=text), store, places=places)).release

    return push_text


async def live(store) -> str | None:
    return Pointer.from_bytes((await store.live.get("blog")).value).release


async def test_a_rollback_goes_to_what_was_live_before(store, edge, pushed) -> None:
    """Nothing is uploaded: it is one candidate and one move."""
    await edge()
    first, second = await pushed("one"), await pushed("two")
    blobs = await store.blobs.digests()
    events: list[Event] = []
    result = await rollback(store, "blog", by="ann", progress=events.append)
    assert (result.release, result.previous, result.move) == (first, second, "rollback")
    assert [event.phase for event in events if isinstance(event, Started)] == ["stage", "activate"]
    assert await live(store) == first
    assert (await store.blobs.digests()).keys() == blobs.keys()
    assert await store.candidates.keys() == ()


async def test_rollbacks_stack_as_a_person_counts(store, edge, pushed) -> None:
    """Two in a row go back two; after a push the next one goes to what the last rollback restored, not to what it
    undid.
    """
    await edge()
    one, two, three = await pushed("one"), await pushed("two"), await pushed("three")
    assert (await rollback(store, "blog")).release == two
    assert (await rollback(store, "blog")).release == one
    with pytest.raises(NotFoundError, match="no earlier release to go back to"):
        await rollback(store, "blog")
    await pushed("four")
    assert (await rollback(store, "blog")).release == one
    assert (await rollback(store, "blog", to=three[:8])).release == three


async def test_a_release_is_named_by_its_first_digits(store, edge, pushed) -> None:
    """Unknown, ambiguous and already live releases are told apart."""
    await edge()
    first = await pushed("one")
    second = await pushed("two")
    with pytest.raises(NotFoundError, match="no release that begins with 'zz'"):
        await rollback(store, "blog", to="zz")
    with pytest.raises(InputError, match="first digits"):
        await rollback(store, "blog", to="")
    with pytest.raises(InputError, match=f"release {second[:12]} of site blog is live already"):
        await rollback(store, "blog", to=second)
    with pytest.raises(NotFoundError, match="the fleet has no site 'shop'"):
        await rollback(store, "shop")
    assert (await rollback(store, "blog", to=first.upper())).release == first


async def test_releases_show_what_is_live_and_who_moved_it(store, edge, pushed) -> None:
    """Newest first, with messages, signatures, and every move of the pointer."""
    await edge()
    first, second = await pushed("one"), await pushed("two")
    await rollback(store, "blog", by="ann")
    found = await list_releases(store, "blog")
    assert {(line.release, line.message, line.live, line.signed) for line in found.releases} == {
        (first, "one", True, True),
        (second, "two", False, True),
    }
    assert [(move.release, move.by, move.move) for move in found.moves] == [
        (first, "ann", "rollback"),
        (second, "tester", "push"),
        (first, "tester", "push"),
    ]
    with pytest.raises(NotFoundError):
        await list_releases(store, "shop")


async def test_a_removed_site_gives_its_hostnames_back_and_can_return(store, edge, folder, places, pushed) -> None:
    """Edges stop serving it, another site may claim its names; without that, a rollback brings it back."""
    await edge()
    release = await pushed("one")
    result = await remove_site(store, "blog", waiting=Waiting(10))
    assert (result.release, result.previous, result.edges[0].live is not None) == (None, release, True)
    assert await store.hosts.keys() == ()
    assert await list_sites(store) == ()
    assert (await rollback(store, "blog")).release == release
    assert await store.hosts.keys() == ("example.test",)
    await remove_site(store, "blog")
    await push(options(folder, site="shop"), store, places=places)
    with pytest.raises(ConflictError, match=r"example\.test belongs to site shop"):
        await rollback(store, "blog")
    assert [line.site for line in await list_sites(store)] == ["shop"]


async def test_a_push_brings_a_removed_site_back(store, edge, folder, places, pushed) -> None:
    """The pointer goes on from where it was."""
    await edge()
    await pushed("one")
    await remove_site(store, "blog")
    assert (await push(options(folder), store, places=places)).outcome == "released"
    assert len(await list_sites(store)) == 1


async def test_removing_what_is_not_there_is_an_error(store, edge) -> None:
    """With the name that was given."""
    with pytest.raises(NotFoundError, match="the fleet has no site 'blog'"):
        await remove_site(store, "blog")


async def test_status_shows_every_edge_and_site(store, edge, folder, places, pushed) -> None:
    """An edge that lags is not current; one that does not report has no status."""
    one = await edge("FRA")
    await edge("IAD")
    await pushed("one")
    one.switches.clear()
    await store.edges.put("SYD", (await store.edges.get("FRA")).value.replace(b'"name":"FRA"', b'"name":"SYD"'))
    write_site(folder, {"about.html": "two"})
    await push(options(folder, waiting=Waiting(0.5, "any")), store, places=places)
    found = await fleet_status(store)
    assert [(line.edge, line.status is not None, line.current) for line in found.edges] == [
        ("FRA", True, False),
        ("IAD", True, True),
        ("SYD", False, False),
    ]
    (site,) = found.sites
    assert (site.site, site.hostnames, site.files, site.edges_live, site.edges_reporting) == (
        "blog", ("example.test",), 4, 1, 2,
    )  # fmt: skip
