"""Whose a hostname is, and at which names the fleet's name servers steer a site: against a real store."""

from dataclasses import replace

import pytest

from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import HostClaim
from edgeward.errors import ConflictError
from edgeward.publish.catalog import remove_site, rollback
from edgeward.publish.name_service import apply_settings, overview
from edgeward.publish.push import push
from edgeward.publish.values import Waiting
from publishing import options


async def test_a_hostname_of_another_site_is_refused(store, edge, folder, places) -> None:
    """The error names the owner; nothing changes."""
    await edge()
    await push(options(folder), store, places=places)
    with pytest.raises(ConflictError) as caught:
        await push(options(folder, site="shop", hostnames=("shop.test", "example.test")), store, places=places)
    assert caught.value.message == "site shop cannot be published: example.test belongs to site blog"
    assert await store.hosts.keys() == ("example.test",)
    assert await store.live.keys() == ("blog",)


async def test_the_name_of_a_site_in_the_fleets_zone_is_its_own(store, edge, folder, places) -> None:
    """`<site>.<zone>`: no other site can claim it while that one is live, nor does a site begin whose name is claimed.
    One that is live already goes on.
    """
    await edge()
    await apply_settings(store, DnsSettings(zone="fleet.test"))

    async def pushed(site: str, *hostnames: str) -> str:
        return (await push(options(folder, site=site, hostnames=hostnames), store, places=places)).outcome

    async def refused(site: str, *hostnames: str) -> str:
        with pytest.raises(ConflictError) as caught:
            await pushed(site, *hostnames)
        return caught.value.message

    assert await pushed("shop", "shop.test", "shop.fleet.test", "a.shop.fleet.test") == "released"
    assert await refused("blog", "shop.fleet.test") == (
        "site blog cannot be published: shop.fleet.test belongs to site shop"
    )
    assert await pushed("shop", "shop.test") == "released"
    await store.hosts.delete("shop.fleet.test")
    assert await refused("blog", "blog.test", "shop.fleet.test") == (
        "site blog cannot be published: shop.fleet.test belongs to site shop"
    )
    assert await store.hosts.get("blog.test") is None
    assert await pushed("blog", "blog.test", "wiki.fleet.test") == "released"
    assert await refused("wiki", "wiki.test") == "site wiki cannot be published: wiki.fleet.test belongs to site blog"
    assert await store.live.get("wiki") is None
    with pytest.raises(ConflictError) as caught:
        await pushed("wiki", "wiki.test")
    assert caught.value.hint == "edgeward site rm blog, or give this site another name"
    await remove_site(store, "blog", waiting=Waiting(10))
    assert await pushed("wiki", "wiki.test") == "released"
    with pytest.raises(ConflictError, match=r"site blog cannot be published: wiki\.fleet\.test belongs to site wiki"):
        await rollback(store, "blog", waiting=Waiting(10))
    # As an older version may have left it: the site keeps its name, and can still be published.
    await store.hosts.put("wiki.fleet.test", HostClaim("wiki.fleet.test", "shop", 1).to_bytes())
    (folder / "about.html").write_text("<p>new</p>")
    assert await pushed("wiki", "wiki.test") == "released"
    assert (await overview(store)).problems == (
        "site shop is not steered at wiki.fleet.test, which is the name of site wiki",
    )


async def test_names_at_which_a_site_is_not_steered_are_warnings(store, edge, folder, places) -> None:
    """Those below a delegation, in a dry run too; the operator sees them, and can still change the settings, as long as
    they are there. What of the settings cannot be read keeps nobody from publishing.
    """
    await edge()
    record = Record("sub.example.test", "NS", "ns.elsewhere.test.")
    settings = DnsSettings(zone="fleet.test", zones=("example.test",), records=(record,))
    await apply_settings(store, settings)
    said = "site blog is not steered at www.sub.example.test: sub.example.test is delegated (NS in the DNS settings)"
    names = ("example.test", "www.sub.example.test")
    for changes in ({"dry_run": True}, {}):
        result = await push(options(folder, hostnames=names, **changes), store, places=places)
        assert [str(each) for each in result.warnings] == [said]
    assert result.outcome == "released"
    assert (await overview(store)).problems == (said,)
    assert (await apply_settings(store, settings)).warnings == (said,)
    await apply_settings(store, replace(settings, records=()))
    assert (await push(options(folder, hostnames=names), store, places=places)).warnings == ()
    await store.fleet.put("dns", b'{"schema": [99, 0]}')
    (unread,) = (await push(options(folder, hostnames=names), store, places=places)).warnings
    assert str(unread).startswith("it is not known whether site blog will be steered at its hostnames: ")
