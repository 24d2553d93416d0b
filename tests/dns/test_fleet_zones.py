"""From settings, edges and sites to zones, asked through a responder."""

from dataclasses import replace
from pathlib import Path

import dns.rcode
import pytest

from dns_world import CLIENTS, EDGES, FRANKFURT, ROLES, SECRET, SITES, ask, query, respond, texts, zones
from edgeward.core.dns_settings import DnsSettings, PreferredEdges, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.dns.fleet_zones import fleet_zones, servers_of
from edgeward.dns.records import read_zone_file, rendered
from edgeward.dns.responder import Responder
from edgeward.dns.view import View
from edgeward.dns.zone import RRset, Zone
from edgeward.errors import DiskError, InputError
from edgeward.publish.zone_files import read_dns_settings

SETTINGS = DnsSettings(zone="fleet.test", zones=("example.test",), changed=1_800_000_000)


def problems(*records: Record) -> tuple[str, ...]:
    return fleet_zones(replace(SETTINGS, records=records), EDGES, SITES, render=rendered).problems


def test_every_zone_has_the_fleets_servers_and_their_addresses(table) -> None:
    """SOA with the time of the last change as serial and denials of 60 s; NS and glue for a day."""
    responder = respond(SETTINGS, table)
    for zone in ("fleet.test", "example.test"):
        soa = ask(responder, query(zone, "SOA")).answer[0]
        assert str(soa[0]) == ("ns-fra.fleet.test. hostmaster.fleet.test. 1800000000 3600 600 86400 60")
        servers = ask(responder, query(zone, "NS"))
        assert texts(servers) == ["ns-fra.fleet.test.", "ns-syd.fleet.test."]
        assert servers.answer[0].ttl == 86_400
    assert texts(ask(responder, query("ns-syd.fleet.test"))) == ["203.0.113.3"]
    assert texts(ask(responder, query("ns-syd.fleet.test", "AAAA"))) == ["2001:db8::3"]
    assert ask(responder, query("ns-iad.fleet.test")).rcode() == dns.rcode.NXDOMAIN


def test_sites_are_steered_at_their_hostnames_and_in_the_fleets_zone(table) -> None:
    """Apex included; a hostname in no zone of ours has `<site>.<fleet's zone>` for its CNAME."""
    responder = respond(SETTINGS, table)
    for name in ("example.test", "www.example.test", "www.fleet.test", "blog.fleet.test"):
        assert texts(ask(responder, query(name), source=CLIENTS["fra"])) == [FRANKFURT], name
    assert ask(responder, query("blog.elsewhere.test")).rcode() == dns.rcode.REFUSED
    proofs = ask(responder, query("_acme-challenge.blog.fleet.test", "TXT"))
    assert (proofs.rcode(), proofs.answer) == (dns.rcode.NOERROR, [])


def test_static_records_stand_beside_and_never_in_the_place_of_what_is_steered(table) -> None:
    """MX beside a steered apex; A, AAAA and CNAME there are left out with their reason, the others are served."""
    settings = replace(
        SETTINGS,
        records=(
            Record("example.test", "MX", "10 mail.example.test."),
            Record("mail.example.test", "A", "192.0.2.25"),
            Record("example.test", "A", "192.0.2.1"),
        ),
    )
    responder = respond(settings, table)
    assert texts(ask(responder, query("example.test", "MX"))) == ["10 mail.example.test."]
    assert texts(ask(responder, query("mail.example.test"))) == ["192.0.2.25"]
    assert texts(ask(responder, query("example.test"), source=CLIENTS["fra"])) == [FRANKFURT]
    for kind, value in (("A", "192.0.2.1"), ("AAAA", "2001:db8::9"), ("CNAME", "x.test.")):
        (problem,) = problems(Record("www.example.test", kind, value))
        assert "site www is steered there" in problem
    (alone,) = problems(Record("a.example.test", "TXT", '"x"'), Record("a.example.test", "CNAME", "b.test."))
    assert "a CNAME stands alone" in alone
    (unread,) = problems(Record("a.example.test", "A", "no address"))
    assert "cannot be read" in unread
    (unknown,) = problems(Record("a.example.test", "NOTYPE", "x"))
    assert "cannot be read" in unknown


def test_what_the_fleet_makes_itself_stays_its_own() -> None:
    """However the record's type is written."""
    for kind, value in (("SOA", "a. b. 1 2 3 4 5"), ("TYPE6", "a. b. 1 2 3 4 5"), ("NS", "ns.x.test.")):
        (problem,) = problems(Record("example.test", kind, value))
        assert problem == f"the record example.test {kind} is left out: it is made by the fleet itself"


def test_a_hostname_that_is_a_name_servers_is_told(table) -> None:
    """A site cannot take the name of a server away."""
    made = fleet_zones(SETTINGS, EDGES, {"evil": ("ns-fra.fleet.test",)}, render=rendered)
    assert made.problems == ("ns-fra.fleet.test is the name of a name server and cannot be that of site evil",)


def test_the_operator_may_choose_the_servers() -> None:
    """Of those that answer DNS; a choice that names none of them is no choice."""
    assert servers_of(SETTINGS, EDGES) == ("fra", "syd")
    assert servers_of(replace(SETTINGS, nameservers=("syd", "iad")), EDGES) == ("syd",)
    assert servers_of(replace(SETTINGS, nameservers=("nobody",)), EDGES) == ("fra", "syd")
    assert fleet_zones(SETTINGS, {"iad": EDGES["iad"]}, SITES, render=rendered).zones == ()


def test_zone_files_are_read(tmp_path: Path) -> None:
    """As BIND writes them: relative names, TTLs, long records; what the fleet makes itself is left out."""
    file = tmp_path / "example.test.zone"
    file.write_text(
        "$TTL 600\n@ IN SOA ns1 admin 1 2 3 4 5\n@ IN NS ns1.old.test.\n@ IN MX 10 mail\nmail 60 IN A 192.0.2.25\n"
        'child IN NS ns.child\n@ IN TXT "one" ( "two"\n "three" ) ; a comment\n'
    )
    assert read_zone_file(file, "example.test").records == (
        Record("child.example.test", "NS", "ns.child.example.test.", 600),
        Record("example.test", "MX", "10 mail.example.test.", 600),
        Record("example.test", "TXT", '"one" "two" "three"', 600),
        Record("mail.example.test", "A", "192.0.2.25", 60),
    )
    file.write_text("mail IN A not-an-address\n")
    with pytest.raises(InputError, match=r"example\.test\.zone is no zone file of example\.test: near line \d: "):
        read_zone_file(file, "example.test")
    with pytest.raises(DiskError, match="cannot be read"):
        read_zone_file(tmp_path / "nothing", "example.test")


def test_names_may_have_what_dns_allows(tmp_path: Path, table) -> None:
    """A reverse zone whose parts are delegated as RFC 2317 has it, and other names that are no hostnames: from a zone
    file and as a record of its own, asked for in any case.
    """
    zone = "2.0.192.in-addr.arpa"
    (tmp_path / f"{zone}.zone").write_text(
        "$TTL 60\n0/25 IN NS ns.elsewhere.test.\n1 IN CNAME 1.0/25\n129 IN CNAME 129.128/25\n"
        "129.128/25 IN PTR mail.example.test.\n-A+b=C_ IN TXT x\n* IN TXT any\n"
    )
    content = (
        f'[dns]\nzone = "fleet.test"\nzones = ["{zone}"]\nzone_files = ["{zone}.zone"]\n'
        f'[[dns.records]]\nname = "130.128/25.{zone}"\ntype = "PTR"\nvalue = "www.example.test."\n'
    )
    settings, _ = read_dns_settings(content, file=tmp_path / "dns.toml")
    made = fleet_zones(DnsSettings.from_bytes(settings.to_bytes()), EDGES, SITES, render=rendered)
    assert made.problems == ()
    responder = Responder(View.from_bytes(View(made.zones).to_bytes()), table, secret=SECRET)
    for name, kind, expected in (
        ("129", "PTR", [f"129.128/25.{zone}.", "mail.example.test."]),
        ("130.128/25", "PTR", ["www.example.test."]),
        ("-a+B=c_", "TXT", ['"x"']),
        ("a!b", "TXT", ['"any"']),
        ("1", "PTR", [f"1.0/25.{zone}."]),
    ):
        assert texts(ask(responder, query(f"{name}.{zone}", kind))) == expected, name
    referral = ask(responder, query(f"7.0/25.{zone}", "PTR"))
    assert (str(referral.authority[0].name), texts(referral)) == (f"0/25.{zone}.", [])


def test_a_name_server_has_no_addresses_but_its_edges(table) -> None:
    """A record at its name would send resolvers to something that is no name server of the fleet."""
    (problem,) = problems(Record("ns-fra.fleet.test", "A", "192.0.2.77"))
    assert problem == ("the record ns-fra.fleet.test A is left out: a name server has the addresses of its edge")


def test_edges_that_the_fleet_does_not_have_are_told_and_do_no_harm() -> None:
    """They may come yet: a typing mistake among them is seen, and the settings stand."""
    made = fleet_zones(
        replace(
            SETTINGS,
            nameservers=("fra", "fraa"),
            default=("syd", "sin"),
            networks=(PreferredEdges("192.0.2.0/24", ("sidney", "syd")),),
        ),
        EDGES,
        SITES,
        render=rendered,
    )
    assert made.problems == made.warnings
    assert made.warnings == (
        "nameservers: the fleet has no edge fraa",
        "default: the fleet has no edge sin",
        "the network 192.0.2.0/24: the fleet has no edge sidney",
    )


@pytest.mark.parametrize("name", ["\\001" * 30, "a\\.b", "a\\032b", "a*"])
def test_names_of_a_zone_file_are_those_that_records_may_have(tmp_path: Path, name: str) -> None:
    """As in `dns.toml`: each other one is a problem of its file, told with the rest before anything is stored."""
    (tmp_path / "example.test.zone").write_text(
        f"$TTL 60\n{name} IN A 192.0.2.1\nmail IN A 192.0.2.25\nb\\@c IN A 192.0.2.2\n"
    )
    content = '[dns]\nzone = "fleet.test"\nzones = ["example.test"]\nzone_files = ["example.test.zone"]\n'
    with pytest.raises(InputError) as caught:
        read_dns_settings(content, file=tmp_path / "dns.toml")
    assert len(caught.value.problems) == 2
    for problem in caught.value.problems:
        assert problem.file == str(tmp_path / "example.test.zone")
        assert "is no name of a record" in problem.message


@pytest.mark.parametrize(
    "record",
    [
        Record("\\001" * 30 + ".example.test", "A", "192.0.2.1"),
        Record("a\\.b.example.test", "A", "192.0.2.1"),
        Record("a..example.test", "A", "192.0.2.1"),
        Record(".".join(["a" * 60] * 5) + ".example.test", "A", "192.0.2.1"),
        Record("WWW.example.test", "A", "192.0.2.1"),
        Record("a.example.test", "A", "192.0.2.1", -1),
        Record("a.example.test", "A", "192.0.2.1", 1 << 31),
        Record("a.example.test", "TXT", '"x" ' * 40_000),
    ],
    ids=["escapes", "an escaped dot", "an empty label", "too long", "upper case", "TTL < 0", "TTL > 31 bits", "large"],
)
def test_a_stored_record_that_cannot_be_served_is_left_out(table, record: Record) -> None:
    """With a problem, and the other records are served: no value in the store ends an answer."""
    settings = replace(SETTINGS, records=(record, Record("mail.example.test", "A", "192.0.2.25")))
    (problem,) = problems(*settings.records)
    assert problem.startswith(f"the record {record.name} {record.type} cannot be read: ")
    assert texts(ask(respond(settings, table), query("mail.example.test"))) == ["192.0.2.25"]


def test_edges_and_sites_with_odd_names_are_left_out(table) -> None:
    """A name server whose name or address is none, a site or hostname whose name does not fit: the others stay."""
    edges = {
        **EDGES,
        "e" * 63: EdgeRecord("e" * 63, "FRA", ("203.0.113.8",), roles=ROLES),
        "iad": EdgeRecord("iad", "IAD", ("203.0.113.2", "not an address"), roles=ROLES),
    }
    sites = {**SITES, "s" * 64: (), "odd": ("a/b.example.test",)}
    made = fleet_zones(SETTINGS, edges, sites, render=rendered)
    assert servers_of(SETTINGS, edges) == ("fra", "syd")
    assert made.problems == made.warnings
    assert made.warnings == (
        f"edge {'e' * 63} is not named as a name server: 'ns-{'e' * 63}.fleet.test' is no hostname",
        "edge iad is not named as a name server: 'not an address' is no IP address",
        f"site {'s' * 64} is not steered at '{'s' * 64}.fleet.test', which is no hostname",
        "site odd is not steered at 'a/b.example.test', which is no hostname",
    )
    responder = Responder(View(made.zones, server="fra"), table, secret=SECRET)
    assert texts(ask(responder, query("www.example.test"), source=CLIENTS["fra"])) == [FRANKFURT]


@pytest.mark.parametrize("name", ["a" * 64 + ".example.test", "a..example.test", "é.example.test"])
def test_a_zone_with_a_name_that_has_no_wire_form_cannot_be(name: str) -> None:
    """So that whoever has a zone can serve it."""
    (zone,) = (each for each in zones() if each.origin == "example.test")
    with pytest.raises(InputError, match=r"zone example\.test cannot be served"):
        replace(zone, rrsets={**zone.rrsets, name: {1: RRset(60, (bytes(4),))}})
    with pytest.raises(InputError, match=r"zone example\.test cannot be served"):
        Zone(zone.origin, zone.rrsets, {name: "www"})
