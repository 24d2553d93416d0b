"""The steering table: what decides, in which order, for how wide a network; and that it does not depend on chance."""

import json
import random
from array import array
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.answer import choose
from edgeward.core.geography import Place, Ways, milliseconds
from edgeward.core.orders import near
from edgeward.core.steering import Span, SteeredEdge, SteeringTable, build, default_order
from edgeward.core.steering_table import SECTIONS
from edgeward.errors import InputError, SchemaError

FRANKFURT, DULLES, SYDNEY = Place(50.03, 8.54), Place(38.94, -77.46), Place(-33.95, 151.18)
LONDON, TOKYO = Place(51.47, -0.45), Place(35.76, 140.39)

EDGES = (
    SteeredEdge("fra", FRANKFURT, ("192.0.2.1", "2001:db8::1")),
    SteeredEdge("iad", DULLES, ("192.0.2.2", "2001:db8::2")),
    SteeredEdge("lhr", LONDON, ("192.0.2.3", "2001:db8::3")),
    SteeredEdge("syd", SYDNEY, ("192.0.2.4", "2001:db8::4"), weight=50),
    SteeredEdge("lab", None, ("192.0.2.5",)),
)
BY_NAME = {edge.name: edge for edge in EDGES}
NAMES = tuple(BY_NAME)


def packed(address: str) -> bytes:
    return ip_address(address).packed


def names(order) -> list[str]:
    return [ranked.edge for ranked in order.ranked]


def reason(order, edge: str) -> str:
    return next(ranked.because for ranked in order.ranked if ranked.edge == edge)


@pytest.fixture(scope="module")
def table() -> SteeringTable:
    return build(
        EDGES,
        operator=[(ip_network("203.0.113.0/24"), ("lab", "iad", "nobody"))],
        measured=[(ip_network("198.51.100.0/24"), {"iad": 20.04, "syd": 15.0, "gone": 1.0})],
        geography=[
            (ip_network("198.51.0.0/16"), Place(48.86, 2.35), "France"),
            (ip_network("203.0.0.0/8"), Place(-37.8, 144.96), "Australia"),
            (ip_network("2001:db8:8000::/33"), Place(35.7, 139.7), "Japan"),
        ],
        default=("iad",),
    )


def test_the_operators_word_goes_before_all(table) -> None:
    """Its edges first, as listed; then the others as they would be without it; names of no edge are passed over."""
    order = table.explain(packed("203.0.113.9"))
    assert names(order) == ["lab", "iad", "syd", "fra", "lhr"]
    assert (order.source, order.because) == ("operator", "the operator's own order for 203.0.113.0/24")
    assert order.ranked[0].milliseconds is None
    assert order.ranked[1].because == "the operator names it for 203.0.113.0/24"


def test_measured_round_trips_go_before_geography_and_among_its_estimates(table) -> None:
    """An edge without a measurement is placed by its estimate: otherwise whoever was measured once would stay first."""
    order = table.explain(packed("198.51.100.200"))
    assert (names(order), order.source) == (["lhr", "fra", "iad", "syd", "lab"], "measured")
    assert order.because == "round trips that were measured for this network"
    assert reason(order, "iad") == "20 ms measured"
    assert reason(order, "syd") == "15 ms measured, counted as 30 (weight 50)"
    assert reason(order, "fra").startswith("about 15 ms to France")
    assert dict.fromkeys(names(order)).keys() == BY_NAME.keys()


def test_without_a_measurement_geography_decides(table) -> None:
    """By the model's milliseconds, with each edge's weight; an edge whose place is not known comes last."""
    order = table.explain(packed("198.51.101.1"))
    assert (names(order), order.source) == (["lhr", "fra", "iad", "syd", "lab"], "geography")
    assert order.because == "geography: this network is in France (48.9, 2.4)"
    assert reason(order, "lhr") == "about 13 ms to France, 352 km away"
    assert reason(order, "lab") == "in default order: its own place is not known"
    assert order.ranked[0].milliseconds == pytest.approx(milliseconds(Ways(LONDON).km(Place(48.86, 2.35))), abs=0.05)


def test_of_a_network_that_nobody_knows_the_default_order_decides(table) -> None:
    """The wanted edges first, then by weight, then by name: private and unrouted addresses, and all in no database."""
    order = table.explain(packed("10.1.2.3"))
    assert (names(order), order.source) == (["iad", "fra", "lab", "lhr", "syd"], "default")
    assert order.because == "the default order: nothing is known of where this network is"
    assert names(order) == list(default_order(EDGES, ("iad",)))
    assert names(table.explain(packed("fd00::1"))) == names(order)


def test_ipv6_is_steered_like_ipv4(table) -> None:
    """By the first 64 bits."""
    order = table.explain(packed("2001:db8:8000::1"))
    assert order.because == "geography: this network is in Japan (35.7, 139.7)"
    assert table.match(packed("2001:db8:8000::1")).prefix == 33
    assert table.match(packed("2001:db8:7fff::1")).prefix == 33


def test_scopes_are_as_wide_as_the_decision(table) -> None:
    """Neighbours with the same order share one scope, even where their reasons differ."""
    assert table.match(packed("198.51.100.1")).prefix == 24
    assert table.match(packed("203.0.113.1")).prefix == 24
    assert table.match(packed("10.0.0.1")).prefix == 1
    joined = build(
        EDGES,
        geography=[
            (ip_network("198.51.0.0/17"), Place(-33.9, 151.2), "Sydney"),
            (ip_network("198.51.128.0/17"), Place(-33.8, 151.0), "Parramatta"),
        ],
    )
    assert joined.match(packed("198.51.1.1")) == joined.match(packed("198.51.200.1"))
    assert joined.match(packed("198.51.1.1")).prefix == 16
    assert "Parramatta" in joined.explain(packed("198.51.200.1")).because


def test_weight_stretches_distance() -> None:
    """Of two edges in one place the heavier is preferred, and a light one near is passed by for a heavy one far."""
    edges = [SteeredEdge("big", FRANKFURT, ("192.0.2.1",), 200), SteeredEdge("small", LONDON, ("192.0.2.2",), 20)]
    order = build(edges, geography=[(ip_network("192.0.2.0/24"), LONDON, "London")]).explain(packed("192.0.2.1"))
    assert names(order) == ["big", "small"]
    assert order.ranked[1].milliseconds == pytest.approx(8.6)
    assert order.ranked[1].because == "about 9 ms to London, 0 km away, counted as 43 (weight 20)"


def test_an_edge_without_an_address_is_refused() -> None:
    """A reader could never be sent there, so no table names it; the report has all that is wrong with it."""
    with pytest.raises(InputError, match="edge x cannot be steered to: it has no address"):
        SteeredEdge("x", None, ())
    with pytest.raises(InputError, match=r"'fra.example' is no IP address; its weight is 0; a weight is 1 to 10000"):
        SteeredEdge("x", None, ("fra.example",), weight=0)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([Span(4, 0, 9), Span(4, 5, 20)], r"0\.0\.0\.5-0\.0\.0\.20 overlaps another one in part"),
        ([ip_network("10.0.0.0/8"), ip_network("10.0.0.0/8")], "10.0.0.0-10.255.255.255 is given twice"),
        ([ip_network("2001:db8::/65")], "narrower than /64"),
    ],
)
def test_networks_that_cannot_be_told_apart_are_refused(networks, message) -> None:
    """The order of input must not decide."""
    with pytest.raises(InputError, match=message):
        build(EDGES, geography=[(network, FRANKFURT, str(number)) for number, network in enumerate(networks)])


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_round_trip_that_is_no_number_from_zero_is_refused(value) -> None:
    """It would make nonsense of every comparison."""
    with pytest.raises(InputError, match="is no number from 0"):
        build(EDGES, measured=[(ip_network("10.0.0.0/8"), {"fra": value})])


def test_a_table_needs_edges_with_names_of_their_own() -> None:
    """None at all, or two of one name, is a mistake of the caller's."""
    for edges in ([], [EDGES[0], EDGES[0]]):
        with pytest.raises(InputError, match="a name of its own"):
            build(edges)


def test_addresses_have_four_or_sixteen_bytes(table) -> None:
    """Anything else is a mistake of the caller's."""
    for ask in (table.match, table.explain):
        with pytest.raises(ValueError, match="4 or 16 bytes, not 5"):
            ask(b"12345")


def test_a_file_that_is_no_table_is_refused(table) -> None:
    """Cut short, of another major version, or something else: one clear error, and the caller keeps what it has."""
    data = table.to_bytes()
    some_ranked = SteeringTable(table.head, {**table.cells, "edges": table.cells["edges"][:-1]}).to_bytes()
    other_major = data.replace(b'"schema":[2,', b'"schema":[3,')
    for bad in (b"", b"x" * 100, data[:-8], data[:40], data + bytes(8), other_major, some_ranked):
        with pytest.raises(SchemaError):
            SteeringTable.from_bytes(bad)
    with pytest.raises(SchemaError, match=r"has schema 1\.0; this program knows 2\.x"):
        SteeringTable.from_bytes(data.replace(b'"schema":[2,', b'"schema":[1,'))


def parts(data: bytes) -> dict[str, range]:
    """Where in a file of a table its parts are, by `docs/formats.md`; filling counts to what is before it."""
    size = int.from_bytes(data[16:24], "little")
    sections = json.loads(data[24 : 24 + size])["sections"]
    found = {"magic": range(16), "size": range(16, 24), "head": range(24, 24 + size + -size % 8)}
    at = found["head"].stop
    for name, code in SECTIONS.items():
        length = sections[name] * array(code).itemsize
        found[name] = range(at, at + length + -length % 8)
        at = found[name].stop
    found["digest"] = range(at, at + 32)
    assert at + 32 == len(data)
    return found


@pytest.mark.parametrize("part", ["magic", "size", "head", *SECTIONS, "digest"])
@given(chance=st.data())
def test_a_damaged_table_is_refused(table, part, chance) -> None:
    """One to eight bits anywhere in any part of the file: an answer from it could send a reader anywhere."""
    data = bytearray(table.to_bytes())
    within = parts(data)[part]
    places = st.tuples(st.integers(within.start, within.stop - 1), st.integers(0, 7))
    for byte, bit in chance.draw(st.sets(places, min_size=1, max_size=8)):
        data[byte] ^= 1 << bit
    with pytest.raises(SchemaError):
        SteeringTable.from_bytes(data)


# ------------------------------------------------------------------------------------------------------- properties
# Small worlds, so that networks lie within each other: a few bits below 10.0.0.0/8 and 2001:db8::/32.

FOUR = st.tuples(st.integers(0, 255), st.integers(8, 16)).map(
    lambda each: ip_network((10 << 24 | (each[0] << 16), each[1]), strict=False)
)
SIX = st.tuples(st.integers(0, 255), st.integers(32, 40)).map(
    lambda each: ip_network((0x20010DB8 << 96 | each[0] << 88, each[1]), strict=False)
)
NETWORKS = FOUR | SIX
SPOTS = st.sampled_from([(LONDON, "London"), (TOKYO, "Tokyo"), (Place(-37.8, 145.0), "Melbourne"), (DULLES, "Dulles")])
TRIPS = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 300), min_size=1, max_size=3)
LISTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def worlds(draw):
    """Arguments of `build`."""
    return {
        "operator": list(draw(st.dictionaries(NETWORKS, LISTS, max_size=3)).items()),
        "measured": list(draw(st.dictionaries(NETWORKS, TRIPS, max_size=6)).items()),
        "geography": [(network, *spot) for network, spot in draw(st.dictionaries(NETWORKS, SPOTS, max_size=8)).items()],
        "margin": draw(st.sampled_from((0.0, 15.0, 60.0))),
    }


ADDRESSES = (
    st.integers(0, 0xFFFFFF).map(lambda low: (10 << 24 | low).to_bytes(4))
    | st.integers(0, (1 << 96) - 1).map(lambda low: (0x20010DB8 << 96 | low).to_bytes(16))
    | st.binary(min_size=4, max_size=4)
    | st.binary(min_size=16, max_size=16)
)


def narrowest(entries, address):
    """The entry of the narrowest network around an address, by looking at each."""
    around = [entry for entry in entries if address.version == entry[0].version and address in entry[0]]
    return max(around, key=lambda entry: entry[0].prefixlen, default=None)


@settings(max_examples=300)
@given(worlds(), ADDRESSES)
def test_the_table_says_what_the_rules_say(world, raw) -> None:
    """The flattened ranges give what a look at each network gives: operator, measured, geography, default."""
    order = build(EDGES, **world).explain(raw)
    address = ip_address(raw)
    wanted = narrowest(world["operator"], address)
    trips = narrowest(world["measured"], address)
    spot = narrowest(world["geography"], address)
    tenths = {
        edge.name: round(milliseconds(Ways(edge.place).km(spot[1])) * 10) for edge in EDGES if spot and edge.place
    }
    tenths |= {name: round(value * 10) for name, value in (trips[1].items() if trips else ())}
    counted = {name: value * 100 // BY_NAME[name].weight for name, value in tenths.items()}
    default = default_order(EDGES)
    ranked = sorted(NAMES, key=lambda name: (counted.get(name, 1e9), default.index(name)))
    listed = list(wanted[1]) if wanted else []
    ranked = listed + [name for name in ranked if name not in listed]
    assert names(order) == ranked
    assert [each.milliseconds for each in order.ranked] == [
        None if name in listed or name not in tenths else tenths[name] / 10 for name in ranked
    ]


@given(worlds(), st.randoms(use_true_random=False))
def test_the_table_does_not_depend_on_the_order_of_its_inputs(world, chance) -> None:
    """To the byte, so that every edge of a fleet answers alike."""
    shuffled = {
        key: chance.sample(value, len(value)) if isinstance(value, list) else value for key, value in world.items()
    }
    edges = chance.sample(EDGES, len(EDGES))
    assert build(edges, **shuffled).to_bytes() == build(EDGES, **world).to_bytes()


@settings(max_examples=300)
@given(worlds(), ADDRESSES, st.randoms(use_true_random=False))
def test_a_scope_never_covers_a_network_with_a_different_order(world, raw, chance) -> None:
    """Every address in the scope has the same match, and the next wider network has one that differs."""
    table = build(EDGES, **world)
    match = table.match(raw)
    bits = len(raw) * 8
    here = ip_network((raw, match.prefix), strict=False)
    inside = [here[0], here[-1], here[chance.randrange(here.num_addresses)]]
    for network in (each[0] for source in ("operator", "measured", "geography") for each in world[source]):
        inside += [each for each in (network[0], network[-1]) if each.version == here.version and each in here]
    assert {table.match(each.packed) for each in inside} == {match}
    if match.prefix:
        starts = table.cells["decision_starts_4" if bits == 32 else "decision_starts_6"]
        beside = ip_network((raw, match.prefix - 1), strict=False)
        edges_of_steps = [
            ip_address(start.to_bytes(4) if bits == 32 else (start << 64).to_bytes(16)) for start in starts
        ]
        around = [beside[0], beside[-1], *(each for each in edges_of_steps if each in beside)]
        assert {table.match(each.packed).order for each in around} > {match.order}


@settings(max_examples=300)
@given(worlds(), ADDRESSES, st.sets(st.sampled_from(NAMES)), st.sampled_from((4, 6)))
def test_one_order_gives_one_answer_whatever_is_out(world, raw, out, family) -> None:
    """The order of a match stands for all addresses that have it: their own reasons never lead to another answer."""
    table = build(EDGES, **world)
    its, own = table.orders[table.match(raw).order], table.explain(raw)
    down = dict.fromkeys(out, "down")
    answers = [choose(order, BY_NAME, out=down, family=family, margin=table.margin, most=3) for order in (its, own)]
    assert answers[0].edges == answers[1].edges
    assert answers[0].failed_open == answers[1].failed_open


@given(worlds(), ADDRESSES)
def test_a_table_from_bytes_is_the_table(world, raw) -> None:
    """What lies on disk answers as what was built."""
    table = build(EDGES, **world)
    data = table.to_bytes()
    again = SteeringTable.from_bytes(memoryview(data))
    assert (again.edges, again.margin, again.to_bytes()) == (table.edges, table.margin, data)
    assert (again.match(raw), again.explain(raw)) == (table.match(raw), table.explain(raw))
    assert again.orders[:] == table.orders[:]


@given(worlds())
def test_no_two_orders_of_a_table_are_the_same_decision(world) -> None:
    """Each is there once, so that there are few answers to render; every edge is in every order."""
    table = build(EDGES, **world)
    seen = set()
    for order in table.orders:
        trips = [each.milliseconds for each in order.ranked]
        beside = tuple(
            tuple(near(trip, other, table.margin) for other in trips[place + 1 :]) for place, trip in enumerate(trips)
        )
        seen.add((tuple(names(order)), beside))
        assert sorted(names(order)) == sorted(NAMES)
    assert len(seen) == len(table.orders)


def test_a_thousand_random_networks_look_up_as_they_should() -> None:
    """The same at a size that no small world has: IPv4 from /8 to /32 all over the place."""
    chance = random.Random(1)
    world = {
        ip_network((chance.getrandbits(32), chance.randint(8, 32)), strict=False): str(number) for number in range(1000)
    }
    geography = [(network, FRANKFURT, label) for network, label in world.items()]
    table = build(EDGES, geography=geography)
    for _ in range(2000):
        address = chance.choice([*world])[0] + chance.choice((0, 0, 1, 255)) if chance.random() < 0.7 else None
        raw = address.packed if address is not None else chance.randbytes(4)
        found = narrowest(geography, ip_address(raw))
        assert table.explain(raw).because.startswith(
            f"geography: this network is in {found[2]} (" if found else "the default order"
        )
