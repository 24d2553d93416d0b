"""What the fleet's name servers are told: read from TOML with every problem at once, and stored."""

from dataclasses import replace

import pytest

from edgeward.core.dns_settings import DnsSettings, PreferredEdges, Record, parse_dns_settings
from edgeward.errors import InputError, SchemaError

WHOLE = """
[dns]
zone = "fleet.example.net"
zones = ["example.com", "sub.example.com"]
hostmaster = "Admin@example.net"
nameservers = ["fra", "syd"]
zone_files = ["example.com.zone"]
margin = 20
most = 1
default = ["syd", "iad"]

[[dns.records]]
name = "Example.COM."
type = "mx"
value = "10 mail.example.com."

[[dns.records]]
name = "*.example.com"
type = "TXT"
value = '"hello"'
ttl = 60

[[dns.networks]]
network = "192.0.2.0/24"
edges = ["fra"]
"""


def test_a_whole_file() -> None:
    """Every key, normalised; zone files are named for whoever can read them."""
    settings, files = parse_dns_settings(WHOLE, changed=7)
    assert settings == DnsSettings(
        zone="fleet.example.net",
        zones=("example.com", "sub.example.com"),
        hostmaster="admin.example.net",
        nameservers=("fra", "syd"),
        records=(
            Record("example.com", "MX", "10 mail.example.com.", 300),
            Record("*.example.com", "TXT", '"hello"', 60),
        ),
        networks=(PreferredEdges("192.0.2.0/24", ("fra",)),),
        margin=20,
        most=1,
        changed=7,
        default=("syd", "iad"),
    )
    assert files == ("example.com.zone",)


def test_the_stored_form_comes_back() -> None:
    """Also that of a file with nothing but a zone; what is stored and is none is told apart."""
    for text in (WHOLE, '[dns]\nzone = "a.test"\n'):
        settings, _ = parse_dns_settings(text)
        assert DnsSettings.from_bytes(settings.to_bytes()) == settings
    for data in (b"{}", b'{"schema":[1,0]}', b'{"schema":[2,0]}', settings.to_bytes().replace(b"15", b'"x"')):
        with pytest.raises(SchemaError):
            DnsSettings.from_bytes(data)


def test_the_default_order_names_each_edge_once() -> None:
    """Whichever place were meant, the other would not count; settings of before it could be set have none."""
    with pytest.raises(InputError) as caught:
        parse_dns_settings('[dns]\nzone = "a.test"\ndefault = ["fra", "syd", "fra"]\n')
    assert [str(each) for each in caught.value.problems] == ["dns.toml:3: default: names an edge twice: fra, syd, fra"]
    settings, _ = parse_dns_settings('[dns]\nzone = "a.test"\n')
    older = settings.to_bytes().replace(b'"default":[],', b"")
    assert older != settings.to_bytes()
    assert DnsSettings.from_bytes(older) == settings


def test_a_stored_name_that_is_none_is_told_apart() -> None:
    """Zones and mailbox are in every answer: what cannot be a name there makes the whole value unusable."""
    settings, _ = parse_dns_settings(WHOLE)
    for wrong in (
        replace(settings, zone="a..b"),
        replace(settings, zones=("x" * 64,)),
        replace(settings, hostmaster="a b.example.net"),
    ):
        with pytest.raises(SchemaError, match="is no name of a record"):
            DnsSettings.from_bytes(wrong.to_bytes())
    with pytest.raises(InputError, match="1 problem"):
        parse_dns_settings(f'[dns]\nzone = "a.test"\nhostmaster = "{"x" * 64}@a.test"\n')


def test_names_belong_to_the_deepest_zone() -> None:
    """A zone below another is a zone of its own; a name that only ends alike is in none."""
    settings = DnsSettings(zone="fleet.test", zones=("example.test", "sub.example.test"))
    assert settings.zone_of("www.sub.example.test") == "sub.example.test"
    assert settings.zone_of("sub.example.test") == "sub.example.test"
    assert settings.zone_of("www.example.test") == "example.test"
    assert settings.zone_of("badexample.test") is None


def test_every_problem_is_reported_with_its_line() -> None:
    """Unknown keys, wrong values, records outside of the zones or of the fleet's own making, all in one report."""
    text = """[dns]
zone = "not a zone"
zones = ["example.com", "example.com"]
hostmaster = "nobody"
margin = -1
most = 9
colour = "red"

[[dns.records]]
name = "a b"
type = "A"
value = "192.0.2.1"

[[dns.networks]]
network = "192.0.2.1/24"
edges = ["fra"]
"""
    with pytest.raises(InputError) as caught:
        parse_dns_settings(text)
    found = {(problem.line, problem.message.partition(":")[0].split(" ")[0]) for problem in caught.value.problems}
    assert {key for _, key in found} == {
        "zone",
        "zones",
        "hostmaster",
        "margin",
        "most",
        "unknown",
        "records",
        "networks",
    }
    assert {line for line, key in found if key in {"zone", "hostmaster", "margin", "most", "unknown"}} == {
        2,
        4,
        5,
        6,
        7,
    }


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ('name = "www.other.test"\ntype = "A"\nvalue = "192.0.2.1"', "in none of the zones a.test"),
        ('name = "a.test"\ntype = "SOA"\nvalue = "x"', "made by the fleet itself"),
        ('name = "a.test"\ntype = "NS"\nvalue = "ns.other.test."', "made by the fleet itself"),
        ('name = "a.test"\ntype = "A"\nvalue = "192.0.2.1"\nTTL = 3', "unknown key TTL"),
        ('name = "a.test"\ntype = "A 1"\nvalue = "192.0.2.1"', "is no type of a record"),
        ('name = "a.test"\ntype = "A"\nvalue = "192.0.2.1"\nttl = 604801', "from 0 to 604,800"),
    ],
)
def test_records_that_cannot_be(record: str, why: str) -> None:
    """Each with its reason."""
    with pytest.raises(InputError) as caught:
        parse_dns_settings(f'[dns]\nzone = "a.test"\n[[dns.records]]\n{record}\n')
    assert any(why in problem.message for problem in caught.value.problems)


def test_networks_that_no_steering_table_can_have() -> None:
    """All of them in one report: a table that cannot be built would keep every later change from the answers."""
    networks = (
        "2001:db8::/65", "2001:db8::1/128", "192.0.2.1/24", "::ffff:192.0.2.0/120", "192.0.2.0/24", "192.0.2.0/24",
        "2001:db8::/48", "2001:DB8:0::/48", "192.0.2.0/255.255.255.0",
    )  # fmt: skip
    rows = "".join(f'[[dns.networks]]\nnetwork = "{each}"\nedges = ["fra"]\n' for each in networks)
    with pytest.raises(InputError) as caught:
        parse_dns_settings(f'[dns]\nzone = "a.test"\n{rows}')
    (problem,) = caught.value.problems
    narrow = "is narrower than /64, and the steering table knows IPv6 addresses by their first 64 bits"
    assert problem.message == "networks: " + "; ".join(
        f"number {number}: network: {why}"
        for number, why in (
            (1, f"2001:db8::/65 {narrow}; name the /64 that it lies in"),
            (2, f"2001:db8::1/128 {narrow}; name the /64 that it lies in"),
            (3, "192.0.2.1/24 has host bits set"),
            (4, "::ffff:192.0.2.0/120 is an IPv4 network: write 192.0.2.0/24"),
            (6, "192.0.2.0/24 is given twice"),
            (8, "2001:db8::/48 is given twice"),
            (9, "192.0.2.0/24 is given twice"),
        )
    )


def test_a_file_without_the_table_says_so() -> None:
    """And nothing else."""
    with pytest.raises(InputError, match="1 problem"):
        parse_dns_settings("")
