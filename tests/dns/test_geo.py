"""Where networks are: the countries that are shipped, and city databases of the operator's own."""

import os
import random
from importlib.metadata import version
from ipaddress import ip_address

import iptocc
import pytest

from cities import city, city_database
from edgeward.core.geography import Place, great_circle_km
from edgeward.core.steering import SteeredEdge, build
from edgeward.dns.airports import place_of
from edgeward.dns.geo import countries, country_networks, file_version, networks, ranges_source
from edgeward.errors import InputError


@pytest.fixture(scope="module")
def by_country():
    """A table of one edge, by which the place of any address can be looked up."""
    return build([SteeredEdge("fra", place_of("FRA"), ("192.0.2.1",))], geography=country_networks())


def country(table, address: str) -> str | None:
    """The name of the country that the table has an address in."""
    order = table.explain(ip_address(address).packed)
    return order.because.split(" is in ")[1].rsplit(" (", 1)[0] if order.source == "geography" else None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("139.130.4.5", "Australia"),
        ("194.25.0.1", "Germany"),
        ("2001:200::1", "Japan"),
        ("2003::1", "Germany"),
        ("10.0.0.1", None),
        ("127.0.0.1", None),
        ("192.168.1.1", None),
        ("224.0.0.1", None),
        ("fd00::1", None),
        ("::1", None),
    ],
)
def test_the_country_of_an_address_is_known_and_private_ones_have_none(by_country, address, expected) -> None:
    """Both families, with nothing but what is shipped."""
    assert country(by_country, address) == expected


def test_the_shipped_ranges_are_those_of_the_locked_iptocc(by_country) -> None:
    """Of 40,000 random addresses hardly one differs; after an upgrade of iptocc `make data` is due."""
    assert ranges_source().startswith(f"iptocc {version('iptocc')},"), "hint: make data"
    chance = random.Random(1)
    four = [str(ip_address(chance.randrange(1 << 24, 224 << 24))) for _ in range(20_000)]
    tops = (0x2001, 0x2003, 0x2400, 0x2406, 0x2600, 0x2605, 0x2804, 0x2A00, 0x2A02, 0x2A0C, 0x2C0F)
    six = [str(ip_address(chance.choice(tops) << 112 | chance.getrandbits(112))) for _ in range(20_000)]
    for addresses, most in ((four, 2), (six, 20)):
        codes = iptocc.country_code(addresses)
        wanted = [countries()[code][1] if code in countries() else None for code in codes]
        differ = [
            (address, want, country(by_country, address))
            for address, want in zip(addresses, wanted, strict=True)
            if country(by_country, address) != want
        ]
        assert len(differ) <= most, differ
        assert sum(want is not None for want in wanted) > len(wanted) / 20


def test_ranges_ascend_and_do_not_overlap() -> None:
    """As the table wants them: millions may come from elsewhere, and are not sorted again."""
    before = None
    for span, _, _ in country_networks():
        if before is not None and before.family == span.family:
            assert before.last < span.first
        before = span
    assert before.family == 6


@pytest.mark.parametrize(
    ("code", "near", "km"),
    [("DE", "FRA", 250), ("AU", "SYD", 700), ("US", "STL", 500), ("FJ", "NAN", 150), ("SG", "SIN", 30)],
)
def test_a_countrys_centre_is_where_its_people_are(code, near, km) -> None:
    """Not in the desert, and right across the 180th meridian too."""
    place, _ = countries()[code]
    assert great_circle_km(place, place_of(near)) < km


def test_a_city_database_gives_places_in_both_families(tmp_path) -> None:
    """Coordinates to a tenth of a degree; a record with a country alone is at that country's centre."""
    path = city_database(
        tmp_path / "city.mmdb",
        {
            "192.0.2.0/25": city("Perth", "AU", -31.9523, 115.8613),
            "192.0.2.128/25": city("Perth", "AU", -31.9523, 115.8613),
            "198.51.100.0/24": {"country": {"iso_code": "DE"}},
            "203.0.113.0/24": {"registered_country": {"iso_code": "ZZ"}},
            "2001:db8::/32": city("Kyoto", "JP", 35.0116, 135.7681),
            "2001:db9::/96": city("Too narrow", "JP", 35.0, 135.0),
        },
    )
    found = {str(span): (place, name) for span, place, name in networks(path)}
    assert found == {
        "192.0.2.0-192.0.2.255": (Place(-32.0, 115.9), "Perth, AU"),
        "198.51.100.0-198.51.100.255": countries()["DE"],
        "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": (Place(35.0, 135.8), "Kyoto, JP"),
    }


def test_a_database_of_ipv4_alone_is_read(tmp_path) -> None:
    """There are such files."""
    path = city_database(tmp_path / "city.mmdb", {"192.0.2.0/24": city("Rome", "IT", 41.9, 12.5)}, version=4)
    assert [str(span) for span, _, _ in networks(path)] == ["192.0.2.0-192.0.2.255"]


def test_a_city_file_that_changes_has_another_version(tmp_path) -> None:
    """Put in place of the old one, written over, or dated anew; None while there is none."""
    path = city_database(tmp_path / "city.mmdb", {"192.0.2.0/24": city("Rome", "IT", 41.9, 12.5)})
    versions = [file_version(path), file_version(path)]
    city_database(path, {"192.0.2.0/24": city("Oslo", "NO", 59.9, 10.8)})
    versions.append(file_version(path))
    os.utime(path, ns=(1, 1))
    versions.append(file_version(path))
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3
    path.unlink()
    assert file_version(path) is None


def test_a_city_file_that_is_written_over_while_it_is_read_does_no_harm(tmp_path) -> None:
    """What is read is a copy: a mapped file that somebody cuts short would kill the process."""
    records = {f"10.{number}.0.0/16": city(f"c{number}", "IT", number / 10, 12.5) for number in range(200)}
    path = city_database(tmp_path / "city.mmdb", records)
    reading = networks(path)
    next(reading)
    path.write_bytes(b"")
    assert len(list(reading)) == 199


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no database at all", "cannot be read"), (b"", "cannot be read"), (None, "cannot be read: .*No such file")],
)
def test_a_city_file_that_cannot_be_read_is_one_clear_report(tmp_path, content, message) -> None:
    """With the file's name and what to do."""
    path = tmp_path / "city.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(networks(path))
    assert str(path) in caught.value.message
    assert caught.value.hint.startswith("name a city database")


@pytest.mark.parametrize(
    "record", [{"autonomous_system_number": 64500}, {"location": {"latitude": 95.0, "longitude": 0.0}}]
)
def test_a_database_of_something_else_is_refused(tmp_path, record) -> None:
    """One of networks' numbers, or with places that are none on the globe."""
    path = city_database(tmp_path / "other.mmdb", {"192.0.2.0/24": record})
    with pytest.raises(InputError, match=r"no location in it|no place on the globe"):
        list(networks(path))


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("FRA", Place(50.03, 8.54)),
        (" syd ", Place(-33.95, 151.18)),
        ("LON", Place(51.5, 0.06)),
        ("52.5, 13.4", Place(52.5, 13.4)),
        ("-33.9 151", Place(-33.9, 151)),
        ("+1;-2.5", Place(1, -2.5)),
    ],
)
def test_an_edge_is_placed_by_an_airport_a_city_or_coordinates(location, place) -> None:
    """IATA codes in either case."""
    assert great_circle_km(place_of(location), place) < 5


@pytest.mark.parametrize("location", ["", "Frankfurt", "QQQ", "FRAX", "95, 10", "10, 200", "1.2.3, 4", "fra 1"])
def test_a_location_that_names_no_place_is_refused(location) -> None:
    """With what may be given instead."""
    with pytest.raises(InputError, match="location") as caught:
        place_of(location)
    assert "IATA code" in caught.value.hint
