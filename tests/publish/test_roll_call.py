"""Which edges a push waits for."""

from edgeward.core.fleet import EdgeRecord, EdgeStatus
from edgeward.publish.roll_call import attendance
from edgeward.publish.values import Bystander

EDGES = {
    "fra": EdgeRecord("fra", "FRA", ("192.0.2.1",)),
    "gru": EdgeRecord("gru", "GRU", ("192.0.2.2",), drained=True),
    "iad": EdgeRecord("iad", "IAD", ("192.0.2.3",), roles=("dns", "state")),
    "jnb": EdgeRecord("jnb", "JNB", ("192.0.2.4",)),
    "syd": EdgeRecord("syd", "SYD", ("192.0.2.5",), roles=("dns",), drained=True),
}
STATUS = {
    name: EdgeStatus(name, "0.1.0", "nginx", ready=True, generation=1, started=1, at=2)
    for name in ("fra", "gru", "iad", "nrt")
}


def test_no_push_waits_for_an_edge_to_which_no_readers_are_sent() -> None:
    """Drained, or without the role; one that has no record yet is waited for as soon as it reports."""
    found = attendance(STATUS, EDGES, lambda status: status.edge == "nrt")
    assert (found.expected, found.reached) == ({"fra", "nrt"}, {"nrt"})
    assert found.bystanders == (
        Bystander("gru", "drained"),
        Bystander("iad", "not for readers"),
        Bystander("jnb", "not reporting"),
        Bystander("syd", "drained"),
    )


def test_a_takedown_waits_for_every_edge_that_reports() -> None:
    """What is to be gone may lie on any disk."""
    found = attendance(STATUS, EDGES, lambda _: True, everyone=True)
    assert found.reached == found.expected == set(STATUS)
    assert found.bystanders == (Bystander("jnb", "not reporting"), Bystander("syd", "not reporting"))


def test_a_fleet_without_an_edge_for_readers_never_suffices() -> None:
    """Nobody would be served."""
    assert not attendance({"iad": STATUS["iad"]}, EDGES, lambda _: True).complete
