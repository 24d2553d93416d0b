"""Hostnames: each belongs to one site of the fleet, claimed by the first push (SITE-FORMAT section 7)."""

from collections.abc import Sequence
from contextlib import suppress

from edgeward.core.fleet import HostClaim
from edgeward.core.site import SiteSettings
from edgeward.errors import ConflictError, Problem
from edgeward.publish.name_service import own_name, unsteered
from edgeward.publish.releases import read_live
from edgeward.store.connection import Store

_ATTEMPTS = 5


async def check_hostnames(store: Store, settings: SiteSettings) -> tuple[Problem, ...]:
    """Return a warning for each name of a site at which the fleet's name servers will not steer it.

    Raises ConflictError as `unclaimed` does.
    """
    await unclaimed(store, settings)
    return tuple(Problem("", 0, sentence) for sentence in await unsteered(store, settings.name, settings.hostnames))


async def unclaimed(store: Store, settings: SiteSettings) -> tuple[str, ...]:
    """Return the hostnames of a site that nobody has claimed.

    Raises ConflictError that names the owner of every one that belongs to another site. `<site>.<the fleet's zone>` is
    that site's as long as it is live: no other can claim it, and no site becomes live whose name is another's already.
    """
    free: list[str] = []
    taken: list[tuple[str, str]] = []
    own, zone = await own_name(store, settings.name)
    for hostname in settings.hostnames:
        claimed = await _claimed_by(store, hostname)
        owner = claimed
        if zone and (claimed is None or claimed == settings.name):
            owner = await _named_so(store, hostname, zone) or claimed
        if owner is not None and owner != settings.name:
            taken.append((hostname, owner))
        elif claimed is None:
            free.append(hostname)
    if own and own not in settings.hostnames and (await read_live(store, settings.name)).release is None:
        owner = await _claimed_by(store, own)
        if owner is not None and owner != settings.name:
            taken.append((own, owner))
    if taken:
        raise _belongs(settings.name, taken, own)
    return tuple(free)


async def _claimed_by(store: Store, hostname: str) -> str | None:
    stored = await store.hosts.get(hostname)
    return HostClaim.from_bytes(stored.value).site if stored else None


async def _named_so(store: Store, hostname: str, zone: str) -> str | None:
    """Return the live site whose name in the fleet's zone a hostname is, None for none."""
    site, _, rest = hostname.partition(".")
    return site if rest == zone and (await read_live(store, site)).release is not None else None


async def claim(store: Store, wanted: HostClaim) -> int | None:
    """Claim a hostname; return the revision of the claim if this call made it, None if the site has it already.

    Raises ConflictError if it belongs to another site.
    """
    try:
        return await store.hosts.create(wanted.hostname, wanted.to_bytes())
    except ConflictError:
        owner = await _claimed_by(store, wanted.hostname) or "somebody else"
        if owner == wanted.site:
            return None
        raise _belongs(wanted.site, [(wanted.hostname, owner)]) from None


async def claim_again(store: Store, wanted: HostClaim) -> None:
    """Claim a hostname after the move that needs it, also where the site has it already: it gets a new revision.

    A command that made the same claim before, and gives it back because its own move has failed, then leaves it.
    Raises ConflictError if it belongs to another site.
    """
    for _ in range(_ATTEMPTS):
        stored = await store.hosts.get(wanted.hostname)
        with suppress(ConflictError):
            if stored is None:
                await store.hosts.create(wanted.hostname, wanted.to_bytes())
                return
            owner = HostClaim.from_bytes(stored.value).site
            if owner == wanted.site:
                await store.hosts.update(wanted.hostname, stored.value, stored.revision)
                return
            break
    raise ConflictError(
        f"site {wanted.site} is live, but {wanted.hostname} is not (any longer) its own",
        hint=f"push site {wanted.site} again",
        site=wanted.site,
        moved=True,
    )


def _belongs(site: str, taken: Sequence[tuple[str, str]], own: str = "") -> ConflictError:
    """own: the name that the site has by its own; no change of its hostnames gives that up."""
    said = ", ".join(f"{hostname} belongs to site {owner}" for hostname, owner in taken)
    way = "give this site another name" if taken[0][0] == own else "take the hostname out of edgeward.toml"
    return ConflictError(
        f"site {site} cannot be published: {said}",
        hint=f"edgeward site rm {taken[0][1]}, or {way}",
        site=site,
        taken=dict(taken),
    )
