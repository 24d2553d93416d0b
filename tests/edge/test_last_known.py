"""Names whose values in the store cannot be read: as they were where that is known, and else neither there nor not."""

from edge_parts import make_release
from edgeward.core.dns_settings import DnsSettings
from edgeward.core.fleet import EdgeRecord, HostClaim, Pointer
from edgeward.dns.fleet_zones import fleet_zones
from edgeward.dns.records import rendered
from edgeward.edge.last_known import Names, known_names
from edgeward.store.connection import Store
from following import following
from waiting import eventually

LATER = b'{"schema":[9,0]}'
SETTINGS = DnsSettings(zone="fleet.test", zones=("example.test",))
FRA = EdgeRecord("fra", "FRA", ("192.0.2.1",), roles=("http", "dns"))
RELEASE = make_release({"/index.html": "x"}).key[1]


async def test_names_stay_where_their_site_is_live_still(store: Store) -> None:
    """A claim of a site that was removed meanwhile, or that no zone served, is not known; nor is a site that was not
    live. What is in none of the zones is left alone.
    """
    sites = {
        "blog": ("blog.example.test", "www.example.test"),
        "gone": ("gone.example.test",),
        "shop": ("shop.example.test",),
    }
    zones = fleet_zones(SETTINGS, {"fra": FRA}, sites, render=rendered).zones
    pointers = {"blog": RELEASE, "gone": None}
    for site, release in pointers.items():
        await store.live.put(site, Pointer(site, release, None, 1, "ann", "push").to_bytes())
    for site in ("shop", "new"):
        await store.live.put(site, LATER)
    for hostname, site in (("blog.example.test", "blog"), ("shop.example.test", "shop"), ("new.example.test", "new")):
        await store.hosts.put(hostname, HostClaim(hostname, site, 1).to_bytes())
    for hostname in ("www.example.test", "gone.example.test", "other.example.test", "other.elsewhere.test"):
        await store.hosts.put(hostname, LATER)
    await store.edges.put("iad", LATER)
    async with following(store) as (view, _):
        await eventually(lambda: view.complete)
        unsure = {
            "gone.example.test", "other.example.test", "new.example.test", "new.fleet.test", "ns-iad.fleet.test"
        }  # fmt: skip
        kept = {"blog": sites["blog"], "shop": sites["shop"]}
        assert known_names(view, SETTINGS, zones) == Names(kept, frozenset(unsure))
        nothing = {"shop.fleet.test", "shop.example.test", "www.example.test"}
        assert known_names(view, SETTINGS, ()) == Names({"blog": ("blog.example.test",)}, frozenset(unsure | nothing))


async def test_what_can_be_read_needs_no_memory(store: Store) -> None:
    """Names that were served last and are gone from the store are gone."""
    zones = fleet_zones(SETTINGS, {"fra": FRA}, {"blog": ("www.example.test",)}, render=rendered).zones
    async with following(store) as (view, _):
        await eventually(lambda: view.complete)
        assert known_names(view, SETTINGS, zones) == Names({})
