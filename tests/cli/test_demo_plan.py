"""What the demo decides before it starts anything."""

import socket
import tomllib

import pytest

from demo_ports import free_port
from edgeward.cli import demo_plan
from edgeward.cli.demo import MOST_EDGES
from edgeward.cli.demo_plan import DemoWishes, demo_project, edge_toml, plan_demo
from edgeward.edge.settings import parse_settings
from edgeward.errors import EngineMissing, InputError, ServeError


@pytest.fixture
def wishes(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<!doctype html>")

    def make(**changes) -> DemoWishes:
        ports = {"http_port": free_port(), "store_port": free_port(), "metrics_port": free_port()}
        return DemoWishes(**{"site": site, "edges": 3, "engine": "preview", **ports, **changes})

    return make


def test_each_edge_has_an_address_of_its_own(wishes, tmp_path):
    """FRA, IAD, SYD at 127.0.10.1, .2 and .3, all on the same port."""
    port = free_port()
    plan = plan_demo(wishes(http_port=port), tmp_path)
    assert [(edge.location, edge.url) for edge in plan.edges] == [
        ("FRA", f"http://127.0.10.1:{port}"),
        ("IAD", f"http://127.0.10.2:{port}"),
        ("SYD", f"http://127.0.10.3:{port}"),
    ]


def test_where_there_is_one_loopback_address_each_edge_has_a_port_of_its_own(wishes, tmp_path, monkeypatch):
    """As on macOS, where 127.0.10.1 cannot be bound."""
    real = demo_plan._can_bind
    monkeypatch.setattr(
        demo_plan, "_can_bind", lambda address, port: "no" if address.startswith("127.0.10.") else real(address, port)
    )
    monkeypatch.setattr(demo_plan, "_check_ports", lambda plan: None)
    plan = plan_demo(wishes(http_port=8080), tmp_path)
    assert [edge.url for edge in plan.edges] == [f"http://127.0.0.1:{port}" for port in (8080, 8081, 8082)]
    assert len({plan.metrics_port_of(edge) for edge in plan.edges}) == 3


def test_the_settings_that_it_writes_are_those_of_an_edge(wishes, tmp_path):
    """`edgeward edge run` reads every edge.toml; the first edge alone carries the state server."""
    plan = plan_demo(wishes(), tmp_path / 'odd "folder"')
    settings = [parse_settings(edge_toml(plan, edge)) for edge in plan.edges]
    assert [one.name for one in settings] == ["fra", "iad", "syd"]
    assert [one.state is not None for one in settings] == [True, False, False]
    assert {one.store.url for one in settings} == {plan.store_url}
    assert {one.store.token_file for one in settings} == {plan.token_file}
    assert tomllib.loads(edge_toml(plan, plan.edges[1]))["data"] == str(tmp_path / 'odd "folder"' / "iad")


@pytest.mark.parametrize(
    ("name", "option"),
    [("http_port", "--http-port"), ("store_port", "--store-port"), ("metrics_port", "--metrics-port")],
)
def test_a_port_in_use_is_named_with_the_option_that_moves_it(wishes, tmp_path, name, option):
    """Before anything is started."""
    with socket.socket() as holder:
        holder.bind(("127.0.10.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(ServeError, match=f"127.0.10.1 port {port}") as caught:
            plan_demo(wishes(**{name: port}), tmp_path)
    assert caught.value.hint.startswith(option)


def test_without_nginx_the_preview_engine_serves_and_the_reason_is_known(wishes, tmp_path, monkeypatch):
    """Auto falls back with a note; nginx on demand is an error with a hint."""
    monkeypatch.setattr(demo_plan, "find_nginx", lambda: None)
    plan = plan_demo(wishes(engine="auto"), tmp_path)
    assert (plan.engine, plan.engine_note) == ("preview", "no nginx is installed")
    with pytest.raises(EngineMissing) as caught:
        plan_demo(wishes(engine="nginx"), tmp_path)
    assert "--engine preview" in caught.value.hint


def test_the_shipped_site_is_the_example(tmp_path):
    """With no folder named the demo has a site of its own; a folder that is not there is an error."""
    project = demo_project(None)
    assert project.settings.hostnames == ("www.example.test", "example.test")
    with pytest.raises(InputError, match="does not exist"):
        demo_project(tmp_path / "nowhere")


def test_the_demo_offers_as_many_edges_as_there_are_places():
    """`--edges` has the limit that the list of places has."""
    assert len(demo_plan.LOCATIONS) == MOST_EDGES
