"""At which names sites are steered, where somebody else has a name too: asked through a responder."""

from dataclasses import replace

import dns.flags
import dns.rcode

from dns_world import CLIENTS, FRANKFURT, SECRET, ask, query, texts
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.dns.fleet_zones import fleet_zones
from edgeward.dns.records import rendered
from edgeward.dns.responder import Responder
from edgeward.dns.view import View

SETTINGS = DnsSettings(zone="fleet.test", zones=("example.test",))
EDGES = {"fra": EdgeRecord("fra", "FRA", (FRANKFURT,), roles=("http", "dns"))}


def test_a_delegation_wins_over_a_sites_hostname(table) -> None:
    """Names at a delegation and below are its servers' to answer, whatever a site claims there: each is told, no reason
    to refuse the settings, and steered no more; what is beside them is. Only a name server's own name is never hidden.
    """
    names = ("example.test", "sub.example.test", "a.b.sub.example.test", "xsub.example.test")
    records = (
        Record("sub.example.test", "NS", "ns.sub.example.test."),
        Record("ns.sub.example.test", "A", "192.0.2.53"),
        Record("deep.sub.example.test", "NS", "ns.elsewhere.test."),
        Record("own.fleet.test", "NS", "ns.elsewhere.test."),
        Record("ns-fra.fleet.test", "NS", "ns.elsewhere.test."),
        Record("_acme-challenge.www.fleet.test", "NS", "ns.elsewhere.test."),
    )
    sites = {"www": names, "own": ("ns.sub.example.test",)}
    made = fleet_zones(replace(SETTINGS, records=records), EDGES, sites, render=rendered)
    said = "is delegated (NS in the DNS settings)"
    assert made.unsteered == {
        "own.fleet.test": f"site own is not steered at own.fleet.test: own.fleet.test {said}",
        "ns.sub.example.test": f"site own is not steered at ns.sub.example.test: sub.example.test {said}",
        "a.b.sub.example.test": f"site www is not steered at a.b.sub.example.test: sub.example.test {said}",
        "sub.example.test": f"site www is not steered at sub.example.test: sub.example.test {said}",
    }
    assert made.warnings == tuple(made.unsteered.values())
    assert made.problems == (
        *made.warnings,
        "the record ns-fra.fleet.test NS is left out: the delegation would hide ns-fra.fleet.test",
    )
    responder = Responder(View(made.zones, server="fra"), table, secret=SECRET)
    for name in (*names[1:3], "ns.sub.example.test", "other.sub.example.test", "x.deep.sub.example.test"):
        referral = ask(responder, query(name))
        assert (referral.rcode(), referral.answer, referral.flags & dns.flags.AA) == (dns.rcode.NOERROR, [], 0), name
        assert [str(rrset.name) for rrset in referral.authority] == ["sub.example.test."]
        assert [str(rdata) for rdata in referral.authority[0]] == ["ns.sub.example.test."]
        assert [(str(rrset.name), str(rrset[0])) for rrset in referral.additional] == [
            ("ns.sub.example.test.", "192.0.2.53")
        ]
    for name in ("own.fleet.test", "_acme-challenge.own.fleet.test", "_acme-challenge.www.fleet.test"):
        referral = ask(responder, query(name, "TXT"))
        assert [str(rdata) for rdata in referral.authority[0]] == ["ns.elsewhere.test."]
    for name in ("example.test", "xsub.example.test", "www.fleet.test"):
        assert texts(ask(responder, query(name), source=CLIENTS["fra"])) == [FRANKFURT]
    assert texts(ask(responder, query("ns-fra.fleet.test"))) == ["203.0.113.1"]


def test_the_name_that_a_site_has_of_itself_is_never_anothers(table) -> None:
    """Whichever comes first by name. Only the other site lacks its release in Frankfurt, which tells them apart."""
    for owner, other in (("a", "b"), ("b", "a")):
        name = f"{owner}.fleet.test"
        made = fleet_zones(SETTINGS, EDGES, {owner: (), other: (name, "x.fleet.test")}, render=rendered)
        said = f"site {other} is not steered at {name}, which is the name of site {owner}"
        assert (made.problems, made.warnings, made.unsteered) == ((said,), (said,), {name: said})
        view = View(made.zones, server="fra", lacking={other: {"fra": "it does not hold the live release"}})
        responder = Responder(view, table, secret=SECRET)
        assert texts(ask(responder, query(name), source=CLIENTS["fra"])) == [FRANKFURT]
        for others in ("x.fleet.test", f"{other}.fleet.test"):
            assert FRANKFURT not in texts(ask(responder, query(others), source=CLIENTS["fra"]))
        made = fleet_zones(SETTINGS, EDGES, {other: (name,)}, render=rendered)
        alone = Responder(View(made.zones, server="fra"), table, secret=SECRET)
        assert texts(ask(alone, query(name), source=CLIENTS["fra"])) == [FRANKFURT]
