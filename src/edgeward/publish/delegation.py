"""Whether the rest of the world is led to the fleet: `edgeward dns check --delegation` and `--cname`."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeward.dns.fleet_zones import server_name, servers_of
from edgeward.errors import InputError
from edgeward.publish.name_check import CheckReport, check_names, is_out_of_reach
from edgeward.publish.name_service import Situation, read_situation
from edgeward.store.connection import Store

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.rdatatype
    import dns.rrset

_SECONDS: Final = 3.0
_MOST_ALIASES: Final = 8
_PROOF: Final = "_acme-challenge."


async def check_fleet(
    store: Store, *, delegation: bool, cname: bool, resolver: str | None, within: float
) -> CheckReport:
    """Do what `check_names` does and, if wanted, look from outside as well: at delegations, at other zones' aliases.

    resolver: address of the one that is asked; None for those of this machine. within: seconds that all of it may take;
    what is not looked at by then is a problem. Raises InputError (no address, no
    resolver), NotFoundError (no DNS settings), StoreError.
    """
    asking = Asking(resolver) if delegation or cname else None
    end = asyncio.get_running_loop().time() + within
    reports = [await check_names(store, within=within)]
    if asking is not None:
        situation = await read_situation(store)
        if delegation:
            reports.append(await _until(end, check_delegation(situation, asking), "delegations", within))
        if cname:
            reports.append(await _until(end, check_cnames(situation, asking), "other zones' aliases", within))
    return CheckReport(
        tuple(dict.fromkeys(server for each in reports for server in each.servers)),
        sum(each.questions for each in reports),
        tuple(problem for each in reports for problem in each.problems),
        tuple(note for each in reports for note in each.notes),
    )


async def _until(end: float, looking: Awaitable[CheckReport], what: str, within: float) -> CheckReport:
    """Return what is found until then, in the loop's time; that it is not known if it takes longer."""
    try:
        async with asyncio.timeout_at(end):
            return await looking
    except TimeoutError:
        return CheckReport((), 0, (f"{within:.0f} s were not enough to look at all {what}: nothing is known of them",))


class _Unknown(Exception):
    """A question that nobody could be asked. Never leaves this module."""


class Asking:
    """Asks a resolver, and counts the questions. seconds: until one is asked again, at most twice."""

    def __init__(self, address: str | None = None, *, seconds: float = _SECONDS) -> None:
        import dns.asyncresolver
        import dns.resolver

        try:
            self._resolver = dns.asyncresolver.Resolver(configure=address is None)
            if address is not None:
                self._resolver.nameservers = [str(ipaddress.ip_address(address))]
        except ValueError:
            raise InputError(f"{address!r} is no IP address of a resolver") from None
        except dns.resolver.NoResolverConfiguration as error:
            raise InputError(f"this machine has no resolver: {error}", hint="--resolver ADDRESS") from error
        self._resolver.timeout, self._resolver.lifetime = seconds, 3 * seconds
        self.questions = 0

    async def ask(self, name: str, kind: "dns.rdatatype.RdataType") -> list[str]:
        """Return the records' data as text, in lower case without a final dot; none for no such name or type."""
        import dns.exception
        import dns.resolver

        self.questions += 1
        try:
            answer = await self._resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return []
        except (OSError, dns.exception.DNSException) as error:
            raise _Unknown(f"the resolver has no answer for {name or '.'}: {error}") from error
        return [_plain(rdata) for rdata in answer.rrset or ()]

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of a name."""
        import dns.rdatatype

        return [*await self.ask(name, dns.rdatatype.A), *await self.ask(name, dns.rdatatype.AAAA)]


@dataclass(frozen=True, slots=True)
class _Referral:
    """What a parent's server says of a zone: the servers that it names, with the addresses that it gives of each."""

    servers: Mapping[str, frozenset[str]]


async def check_delegation(situation: Situation, asking: Asking) -> CheckReport:
    """Ask every name server of each zone's parent whom it delegates the zone to; compare names and glue.

    Glue is compared where the server's name is in the zone itself: only there does anybody need it (RFC 9471).
    """
    servers = {
        server_name(edge, situation.settings): frozenset(situation.edges[edge].addresses)
        for edge in servers_of(situation.settings, situation.edges)
    }
    found = await asyncio.gather(*(_delegation(zone, servers, asking) for zone in situation.settings.all_zones))
    asked = dict.fromkeys(parent for parents, _ in found for parent in parents)
    return CheckReport(tuple(asked), asking.questions, tuple(problem for _, problems in found for problem in problems))


async def _delegation(
    zone: str, servers: Mapping[str, frozenset[str]], asking: Asking
) -> tuple[tuple[str, ...], list[str]]:
    """Return the parent's name servers, and what is wrong."""
    try:
        parents = await _parents(zone, asking)
    except _Unknown as error:
        return (), [f"{zone}: {error}"]
    problems: list[str] = []
    for parent, addresses in parents.items():
        if not addresses:
            problems.append(f"{zone}: {parent}, a name server of its parent, has no address")
        for address in addresses:
            who = f"{zone}: {parent} ({address})"
            asking.questions += 1
            try:
                found = await _refer(zone, address)
            except _Unknown as error:
                problems.append(f"{who} {error}")
            else:
                problems += [f"{who} {wrong}" for wrong in _compared(zone, found, servers)] if found else []
    return tuple(parents), problems


async def _parents(zone: str, asking: Asking) -> dict[str, list[str]]:
    """Return the name servers of the nearest zone above, with their addresses."""
    import dns.rdatatype

    above = zone
    while above:
        above = above.partition(".")[2]
        names = await asking.ask(above, dns.rdatatype.NS)
        if names:
            return {name: await asking.addresses(name) for name in sorted(names)}
    raise _Unknown("no zone above it has a name server")


async def _refer(zone: str, address: str) -> _Referral | None:
    """Return what the server says of the zone; None if nobody here can be asked over this family of addresses."""
    import dns.asyncquery
    import dns.exception
    import dns.message
    import dns.rcode
    import dns.rdatatype

    asked = dns.message.make_query(f"{zone}.", dns.rdatatype.NS, use_edns=0, flags=0)
    try:
        answer, _ = await dns.asyncquery.udp_with_fallback(asked, address, timeout=_SECONDS)
    except dns.exception.Timeout:
        raise _Unknown(f"does not answer within {_SECONDS:.0f} s") from None
    except OSError as error:
        if is_out_of_reach(address, error):
            return None
        raise _Unknown(f"cannot be asked: {error}") from error
    except (EOFError, dns.exception.DNSException) as error:
        raise _Unknown(f"cannot be asked: {error}") from error
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise _Unknown(f"answers {dns.rcode.to_text(answer.rcode())}")
    names = _records([*answer.answer, *answer.authority], zone, {dns.rdatatype.NS})
    kinds = {dns.rdatatype.A, dns.rdatatype.AAAA}
    return _Referral({name: frozenset(_records(answer.additional, name, kinds)) for name in names})


def _records(rrsets: "Iterable[dns.rrset.RRset]", name: str, kinds: "set[dns.rdatatype.RdataType]") -> list[str]:
    return [
        _plain(rdata)
        for rrset in rrsets
        if rrset.rdtype in kinds and rrset.name.to_text(omit_final_dot=True).lower() == name
        for rdata in rrset
    ]


def _compared(zone: str, found: _Referral, servers: Mapping[str, frozenset[str]]) -> list[str]:
    if not found.servers:
        return ["does not delegate it"]
    wrong = [f"does not name {name}" for name in servers if name not in found.servers]
    wrong += [f"names {name}, which is no name server of the fleet" for name in found.servers if name not in servers]
    for name, addresses in servers.items():
        glue = found.servers.get(name)
        if glue is not None and name.endswith(f".{zone}") and glue != addresses:
            wrong.append(f"gives {_list(glue)} for {name}, whose edge has {_list(addresses)}")
    return wrong


async def check_cnames(situation: Situation, asking: Asking) -> CheckReport:
    """Look at every hostname whose zone is not the fleet's: it and its name for proofs must lead to the site's names.

    A hostname without a CNAME, such as an apex, is right as well if all its addresses are those of edges.
    """
    before = asking.questions
    known = {address for record in situation.edges.values() for address in record.addresses}
    fleet = situation.settings.zone
    names = [
        (hostname, f"{site}.{fleet}")
        for site, hostnames in sorted(situation.hostnames.items())
        for hostname in hostnames
        if situation.settings.zone_of(hostname) is None
    ]
    found = await asyncio.gather(*(_alias(name, target, known, asking) for name, target in names))
    problems = tuple(problem for each in found for problem in each)
    return CheckReport(("the resolver",) if names else (), asking.questions - before, problems)


async def _alias(hostname: str, target: str, known: set[str], asking: Asking) -> list[str]:
    wrong: list[str] = []
    proof, wanted = _PROOF + hostname, _PROOF + target
    try:
        chain = await _chain(hostname, target, asking)
        if not chain:
            addresses = await asking.addresses(hostname)
            if not addresses or not known.issuperset(addresses):
                wrong.append(f"{hostname} has no CNAME to {target}; its addresses are {_list(addresses)}")
        elif chain[-1] != target:
            wrong.append(f"{hostname} is an alias of {chain[-1]}, not of {target}")
        chain = await _chain(proof, wanted, asking)
        if not chain:
            wrong.append(f"{proof} has no CNAME to {wanted}")
        elif chain[-1] != wanted:
            wrong.append(f"{proof} is an alias of {chain[-1]}, not of {wanted}")
    except _Unknown as error:
        wrong.append(f"{hostname}: {error}")
    return wrong


async def _chain(name: str, target: str, asking: Asking) -> list[str]:
    """Return where the aliases of a name lead, one after the other, as far as the target."""
    import dns.rdatatype

    found: list[str] = []
    while len(found) < _MOST_ALIASES and name != target:
        aliases = await asking.ask(name, dns.rdatatype.CNAME)
        if not aliases:
            break
        name = aliases[0]
        found.append(name)
    return found


def _plain(rdata: object) -> str:
    return str(rdata).lower().removesuffix(".")


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(values)) or "none"
