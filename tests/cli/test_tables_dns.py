"""How `edgeward dns show` looks, of zones as a fleet makes them."""

import io
from dataclasses import replace

from rich.console import Console

from edgeward.cli import tables_dns
from edgeward.cli.views import WIDTH
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.dns.fleet_zones import fleet_zones
from edgeward.dns.records import rendered
from edgeward.publish.explain import Explanation, Served
from edgeward.publish.name_service import Entry, Overview, entries_of

LONG = ".".join(["a-label-that-somebody-chose-without-thinking-of-tables"] * 4)
RECORDS = (
    Record("example.test", "MX", "10 mail.example.test.", 300),
    Record("example.test", "MX", "20 mail.elsewhere.test.", 300),
    Record("example.test", "TXT", '"v=spf1 -all"', 60),
    Record("mail.example.test", "A", "192.0.2.25", 300),
    Record("a.example.test", "AAAA", "2001:db8::25", 300),
)


def entries(*records: Record) -> tuple[Entry, ...]:
    """What the second zone of a fleet has: a site at its apex and at www, and records."""
    settings = DnsSettings(zone="fleet.test", zones=("example.test",), records=records, changed=7)
    edges = {"fra": EdgeRecord("fra", "FRA", ("203.0.113.1",), roles=("dns", "http"))}
    made = fleet_zones(settings, edges, {"blog": ("example.test", "www.example.test")}, render=rendered)
    assert made.problems == ()
    return tuple(entries_of(made.zones[1]))


def lines(found: tuple[Entry, ...], zone: str = "example.test") -> list[str]:
    """What is shown of one zone, as wide as where there is no terminal."""
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, markup=False)
    for part in tables_dns.overview(Overview({zone: found}, {"ns-fra.fleet.test": "fra"}, {"fra": "up"}, ())):
        console.print(part)
    return console.file.getvalue().splitlines()


def test_a_zone_is_shown_with_its_apex_its_records_and_its_sites() -> None:
    """The apex is @ and comes first, what is steered says to which site, every record has type, TTL and values."""
    shown = [line.split(maxsplit=3) for line in lines(entries(*RECORDS))]
    assert shown[:11] == [
        ["zone", "example.test"],
        ["NAME", "TYPE", "TTL", "VALUE"],
        ["@", "A,", "AAAA", "30  nearest edge of site blog"],
        ["@", "NS", "86400", "ns-fra.fleet.test."],
        ["@", "SOA", "86400", "ns-fra.fleet.test. hostmaster.fleet.test. 7 3600 600 86400 60"],
        ["@", "MX", "300", "10 mail.example.test., 20 mail.elsewhere.test."],
        ["@", "TXT", "60", '"v=spf1 -all"'],
        ["www", "A,", "AAAA", "30  nearest edge of site blog"],
        ["a", "AAAA", "300", "2001:db8::25"],
        ["mail", "A", "300", "192.0.2.25"],
        [],
    ]


def test_programs_are_told_each_name_type_ttl_and_values_or_site() -> None:
    """Names are whole; what is steered has a site and no values."""
    apex, *_, mail = entries(*RECORDS)
    assert apex == Entry("example.test", "A, AAAA", 30, site="blog")
    assert mail == Entry("mail.example.test", "A", 300, ("192.0.2.25",))


def test_a_name_that_holds_nothing_yet_is_shown() -> None:
    """A name for proofs is there before there are any."""
    (line,) = [
        line for line in lines((Entry("_acme-challenge.blog.fleet.test", "", None),), "fleet.test") if "_" in line
    ]
    assert line.split(maxsplit=3) == ["_acme-challenge.blog", "-", "-", "nothing yet"]


def test_a_large_zone_is_cut_and_says_by_how_much() -> None:
    """What is steered is still there; nothing is said of a zone that is shown whole."""
    many = entries(*(Record(f"h{number:04}.example.test", "A", "192.0.2.25") for number in range(2500)))
    shown = lines(many)
    assert len(many) == 2504, "two names that are steered, SOA and NS"
    assert "and 2,454 more (--json)" in shown
    assert len([line for line in shown if "192.0.2.25" in line]) == 46
    assert any(line.startswith("www ") for line in shown)
    assert [line for line in lines(many[:50]) if "more" in line] == []
    assert "and 1 more (--json)" in lines(many[:51])


def test_everything_fits_the_terminal_and_shows_no_control_characters() -> None:
    """Long names, long values and many of them are cut; TTL and type are whole."""
    found = entries(
        Record(f"{LONG}.example.test", "TXT", " ".join(f'"{"x" * 200}"' for _ in range(4)), 2_147_483_647),
        Record("odd.example.test", "TXT", '"\\027[31mred"'),
    )
    shown = lines(found)
    assert max(map(len, shown)) <= WIDTH
    assert any(line.split()[1:3] == ["TXT", "2147483647"] for line in shown)
    assert "\x1b" not in "".join(shown)
    assert any('"\\027[31mred"' in line for line in shown)


def explained(found: Explanation) -> str:
    """What is shown of an explanation, as wide as where there is no terminal."""
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, markup=False)
    for part in tables_dns.explanation(found):
        console.print(part)
    return console.file.getvalue()


FIXED = Explanation(
    name="post.example.test", client="192.0.2.1", site=None, addresses=("192.0.2.25",), ttl=300, scope="0.0.0.0/0",
    source="records", because="fixed records are the same for everybody", geography="", ranked=(),
    served=(Served("fra", ("192.0.2.25",)), Served("iad", differs=True, note="ask again", records=("NXDOMAIN",))),
    aliases=("mail.example.test",), records=(Entry("mail.example.test", "A", 300, ("192.0.2.25",)),),
)  # fmt: skip


def test_fixed_records_are_shown_with_the_way_there_and_who_answers_otherwise() -> None:
    """The alias, the records, that they are everybody's, and a server that does not know the name."""
    shown = explained(FIXED).splitlines()
    assert shown[:2] == [
        "post.example.test is an alias of mail.example.test",
        "mail.example.test has fixed records, the same for everybody:",
    ]
    assert ["A", "300", "192.0.2.25"] in [line.split() for line in shown]
    assert shown[-2:] == ["so the name servers answer: fra", "iad answers NXDOMAIN: ask again"]


def test_a_name_that_holds_nothing_is_said_to_be_there() -> None:
    """Without records there is no table."""
    shown = explained(replace(FIXED, addresses=(), aliases=(), records=(), served=()))
    assert shown.startswith("post.example.test is there, and holds no records; that is so for everybody\n")
