"""Orders of fleets with many edges and with weights: whatever is out, those that are named are the best of the rest."""

from collections.abc import Container
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeward.core.answer import choose
from edgeward.core.geography import Place, Ways, milliseconds
from edgeward.core.orders import near
from edgeward.core.steering import SteeredEdge, build, default_order

LONDON, TOKYO, DULLES, SYDNEY = Place(51.47, -0.45), Place(35.76, 140.39), Place(38.94, -77.46), Place(-33.95, 151.18)


def packed(address: str) -> bytes:
    return ip_address(address).packed


def row_of_edges(count: int, *, six: Container[int] = ()) -> list[SteeredEdge]:
    """Edges along the equator, each farther from longitude 0 than the one before and earlier by name."""
    return [
        SteeredEdge(
            f"e{count - number:02}", Place(0, number), ("192.0.2.1", *(("2001:db8::1",) if number in six else ()))
        )
        for number in range(count)
    ]


def test_in_a_large_fleet_every_edge_is_ranked() -> None:
    """Not only the nearest few: whatever is out, the next is the nearest of those that are left, not one by name."""
    edges = row_of_edges(40)
    table = build(edges, geography=[(ip_network("192.0.2.0/24"), Place(0, 0), "the west")])
    order = table.explain(packed("192.0.2.1"))
    assert [each.edge for each in order.ranked] == [edge.name for edge in edges]
    trips = [each.milliseconds for each in order.ranked]
    assert None not in trips
    assert trips == sorted(trips)


@pytest.mark.parametrize(
    "known",
    [
        {"geography": [(ip_network("192.0.2.0/24"), Place(0, 0), "the west")]},
        {"measured": [(ip_network("192.0.2.0/24"), {f"e{12 - number:02}": 10.0 + number for number in range(12)})]},
    ],
    ids=["geography", "measured"],
)
def test_of_twelve_edges_the_nearest_with_ipv6_is_named_in_aaaa_records(known) -> None:
    """It is the 11th nearest, and the 12th, which is far away, comes before it by name."""
    edges = [*row_of_edges(11, six={10}), SteeredEdge("a-far", Place(0, 170), ("192.0.2.1", "2001:db8::2"))]
    if "measured" in known:
        known["measured"][0][1].update({"e01": 20.0, "a-far": 200.0})
    table = build(edges, **known)
    order = table.explain(packed("192.0.2.1"))
    by_name = {edge.name: edge for edge in edges}
    assert choose(order, by_name, out={}, family=6).edges == ("e01",)


@pytest.mark.parametrize("why", ["out", "lacking"])
def test_of_twelve_edges_ten_of_which_are_out_the_nearer_of_two_is_named(why) -> None:
    """Drained, dead or without the site's live release: the 11th nearest serves, not the first by name."""
    edges = row_of_edges(12)
    table = build(edges, geography=[(ip_network("192.0.2.0/24"), Place(0, 0), "the west")])
    order = table.explain(packed("192.0.2.1"))
    gone = {edge.name: "gone" for edge in edges[:10]}
    answer = choose(order, {edge.name: edge for edge in edges}, **{"out": {}, why: gone}, family=4, most=1)
    assert answer.edges == (edges[10].name,)


def test_the_second_address_is_near_by_real_round_trips_not_by_weighted_ones() -> None:
    """15 ms are a reader's milliseconds: weights say who comes first, and not how far apart two edges are."""
    near_by = {"big": 40.0, "small": 40.0}  # counted as 20 and 80
    far = {"big": 60.0, "small": 20.0}  # counted as 30 and 40
    edges = [SteeredEdge("big", None, ("192.0.2.1",), 200), SteeredEdge("small", None, ("192.0.2.2",), 50)]
    by_name = {edge.name: edge for edge in edges}
    table = build(edges, measured=[(ip_network("10.0.0.0/24"), near_by), (ip_network("10.0.1.0/24"), far)])
    found = {
        address: choose(table.orders[table.match(packed(address)).order], by_name, out={}, family=4).edges
        for address in ("10.0.0.1", "10.0.1.1")
    }
    assert found == {"10.0.0.1": ("big", "small"), "10.0.1.1": ("big",)}


def test_fifteen_milliseconds_to_the_tenth_are_within_fifteen() -> None:
    """Whatever binary fractions make of the difference."""
    assert near(10.3, 25.3, 15.0)
    assert near(25.3, 10.3, 15.0)
    assert not near(10.3, 25.4, 15.0)
    assert not near(10.3, None, 15.0)


@st.composite
def fleets(draw):
    """Up to 20 edges anywhere, with families and weights, in any order by name."""
    spots = draw(st.lists(st.tuples(st.integers(-60, 70), st.integers(-180, 180)), min_size=1, max_size=20))
    fleet = []
    for number, spot in enumerate(spots):
        families = draw(st.sampled_from((("192.0.2.1",), ("2001:db8::1",), ("192.0.2.1", "2001:db8::1"))))
        weight = draw(st.sampled_from((100, 100, 100, 25, 150)))
        fleet.append(SteeredEdge(f"e{number:02}", Place(*spot), families, weight))
    return fleet


@settings(max_examples=300)
@given(fleets(), st.sampled_from((LONDON, TOKYO, SYDNEY, DULLES)), st.data(), st.sampled_from((4, 6)))
def test_whatever_is_up_the_answer_is_the_best_of_it_by_the_model(fleet, client, data, family) -> None:
    """For any subset of a fleet: its first by weighted round trips, and who else is within 15 ms of that one."""
    table = build(fleet, geography=[(ip_network("10.0.0.0/8"), client, "here")])
    order = table.orders[table.match(packed("10.1.1.1")).order]
    up = data.draw(st.sets(st.sampled_from([edge.name for edge in fleet]), min_size=1))
    out = {edge.name: "down" for edge in fleet if edge.name not in up}
    answer = choose(order, {edge.name: edge for edge in fleet}, out=out, family=family, most=20)
    tenths = {edge.name: round(milliseconds(Ways(edge.place).km(client)) * 10) for edge in fleet}
    able = [edge for edge in fleet if edge.name in up and edge.address(family)]
    default = default_order(fleet)
    best = sorted(able, key=lambda edge: (tenths[edge.name] * 100 // edge.weight, default.index(edge.name)))
    first = tenths[best[0].name] if best else 0
    assert answer.edges == tuple(edge.name for edge in best if abs(tenths[edge.name] - first) <= 150)
