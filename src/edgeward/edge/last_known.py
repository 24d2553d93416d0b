"""What the name server goes on with while values in the store cannot be read: what its disk says of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgeward.core.dns_settings import DnsSettings
from edgeward.core.hostnames import is_hostname
from edgeward.dns.fleet_zones import server_name
from edgeward.dns.zone import Zone
from edgeward.edge.gather import StoreView


@dataclass(frozen=True, slots=True)
class Names:
    """sites: hostnames by site, as `fleet_zones` takes them. unsure: names of which nothing is known, neither that they
    are there nor that they are not.
    """

    sites: Mapping[str, tuple[str, ...]]
    unsure: frozenset[str] = frozenset()


def known_names(view: StoreView, settings: DnsSettings, zones: Iterable[Zone]) -> Names:
    """Return the names to serve. zones: those that were served last, also by the process before this one.

    A hostname whose claim cannot be read stays with its site, if that is live still; a site whose pointer cannot be
    read stays live. An edge whose record cannot be read is the view's to recall.
    """
    hosts, live, edges = (view.unread(bucket) for bucket in ("hosts", "live", "edges"))
    if not (hosts or live or edges):
        return Names(view.hostnames)
    before = {name: site for zone in zones for name, site in zone.steered.items()}
    were_live = frozenset(before.values())
    sites = {site: set(names) for site, names in view.hostnames.items()}
    unsure = {server_name(edge, settings) for edge in edges}
    for site in live:
        claimed = {hostname for hostname, owner in view.owners.items() if owner == site}
        if site in were_live:
            sites[site] = claimed
        else:
            unsure |= {f"{site}.{settings.zone}", *claimed}
    for hostname in hosts:
        if (owner := before.get(hostname)) in sites:
            sites[owner].add(hostname)
        else:
            unsure.add(hostname)
    return Names(
        {site: tuple(sorted(names)) for site, names in sites.items()},
        frozenset(name for name in unsure if is_hostname(name) and settings.zone_of(name) is not None),
    )
