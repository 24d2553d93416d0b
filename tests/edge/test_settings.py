"""edge.toml: every problem at once, with its line and the nearest known name; defaults that fit a real edge."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from edgeward.core.health import Rules
from edgeward.edge.settings import (
    DnsService,
    EdgeSettings,
    HealthSettings,
    HttpSettings,
    Limits,
    StateSettings,
    StoreSettings,
    parse_settings,
    read_settings,
)
from edgeward.errors import DiskError, InputError

LEAST = 'name = "fra"\nlocation = "fra"\ndata = "state"\naddresses = "192.0.2.1"\n'


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_settings(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_least_that_is_needed() -> None:
    """Name, place, folder, addresses and a store: all else has a default; relative paths are relative to the file."""
    settings = parse_settings(LEAST + '[store]\nurl = "nats://192.0.2.9:4222"\n', folder=Path("/etc/edgeward"))
    assert settings.data == Path("/etc/edgeward/state")
    assert settings.location == "FRA"
    assert settings.http.listen == ("192.0.2.1",)
    assert (settings.http.port, settings.http.engine) == (80, "nginx")
    assert settings.store.token_file is None
    assert settings.state is None
    assert settings.webhook is None
    assert settings.metrics is None


def test_the_state_role_is_its_own_store() -> None:
    """An edge with [state] needs no [store]: it talks to its own server, with a token of its own making."""
    settings = parse_settings(LEAST + '[state]\nport = 5222\nlisten = "0.0.0.0"\n', folder=Path("/e"))
    assert settings.store.url == "nats://127.0.0.1:5222"
    assert settings.store.token_file == Path("/e/state/state/token")
    assert settings.state is not None
    assert settings.state.data == Path("/e/state/state")


def test_every_problem_at_once() -> None:
    """All that is wrong is reported in one go, each with its line, and unknown names with the nearest known one."""
    found = problems(
        'nam = "fra"\nlocation = "FRAX"\ndata = "x"\naddresses = ["1.2.3", 5]\n'
        '[htp]\nport = 3\n[http]\nprt = 4\nport = 99999\nengine = "apache"\n[limits]\ndisk_reserve = "1 GB"\n'
    )
    assert found == [
        "edge.toml: name is missing",
        "edge.toml: there is no [store] with the url of the state store, and no [state] to run one here",
        "edge.toml:1: unknown key nam; did you mean name?",
        "edge.toml:2: location: must be an airport's code (FRA), or latitude and longitude (52.52, 13.4), got 'FRAX'",
        "edge.toml:4: addresses: must be a text that is not empty, got 5",
        "edge.toml:5: unknown table [htp]; did you mean http?",
        "edge.toml:8: unknown key prt in [http]; did you mean port?",
        "edge.toml:9: port: must be a whole number from 1 to 65,535, got 99999",
        "edge.toml:10: engine: must be one of nginx, preview, got 'apache'",
        "edge.toml:12: disk_reserve: must be a number of bytes or a text such as \"512 MiB\", got '1 GB'",
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('[store]\nurl = "http://x"\n', "url: must be a URL such as nats://192.0.2.1:4222, got 'http://x'"),
        ('[store]\nurl = "nats://token@x:1"\n', "url: must not hold the token; put that into a file and name it as"),
        ('[state]\n[metrics]\nlisten = "9145"\n', 'listen: must be an address and a port such as "127.0.0.1:9145"'),
        ('[state]\n[alerts]\nwebhook = "ftp://x"\n', "webhook: must be an http or https URL"),
        ('[state]\n[alerts]\nwebhook_file = "/nowhere/x"\n', "webhook_file: /nowhere/x does not hold a URL"),
        ('[state]\n[http]\nlisten = ["::1", "0:0::1"]\n', "listen: names an address twice: ::1, ::1"),
        ("[state]\n[health]\ninterval = 0\n", "interval: must be seconds from 0.1 to 60, got 0"),
        ("[state]\n[health]\nlatency = true\n", "latency: must be seconds from 0.05 to 60, got True"),
        ('[state]\n[health]\nreferences = ["192.0.2.1"]\n', "references: must be an address and a port such as"),
        ('[state]\n[health]\nreferences = ["192.0.2.1:0"]\n', "references: names port 0, which nobody answers"),
        ("[state]\n[health]\nrises = 1\n", "unknown key rises in [health]; did you mean rise?"),
        ("[state]\nport = true\n", "port: must be a whole number from 1 to 65,535, got True"),
        ("state = 5\n", "state must be a table: [state]"),
    ],
)
def test_one_problem(more: str, sentence: str) -> None:
    """Each kind of wrong value has its own sentence, which never repeats a secret."""
    found = problems(LEAST + more)
    assert any(sentence in problem for problem in found)


AT = 'name = "fra"\ndata = "state"\naddresses = "192.0.2.1"\nlocation = {}\n[state]\n'


@pytest.mark.parametrize(
    ("written", "location"),
    [
        ("' syd '", "SYD"),
        ("'52.52, 13.40'", "52.52, 13.4"),
        ("'-33.9 151'", "-33.9, 151.0"),
        ("'0.00001, -0.0001'", "0.0, -0.0001"),
        ("'QQQ'", "QQQ"),  # whether there is such an airport is looked up where the table is built
    ],
)
def test_a_location_is_an_airport_or_coordinates(written: str, location: str) -> None:
    """As records have it: equal places are equal texts, by which observers are spread over the map."""
    assert parse_settings(AT.format(written)).location == location
    assert parse_settings(AT.format(f"'{location}'")).location == location


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("'52.52'", "must be an airport's code (FRA), or latitude and longitude (52.52, 13.4), got '52.52'"),
        ("'95, 13'", "latitude 95.0, longitude 13.0 is no place on the globe"),
        ("'13, 181'", "latitude 13.0, longitude 181.0 is no place on the globe"),
        ("[52.5, 13.4]", "must be a text that is not empty, got [52.5, 13.4]"),
    ],
)
def test_a_location_that_can_be_none_has_its_line(written: str, sentence: str) -> None:
    """A place that is none would leave the edge behind all others, without a word."""
    assert problems(AT.format(written)) == [f"edge.toml:4: location: {sentence}"]


def test_weight_and_roles_can_be_set() -> None:
    """Without them an edge counts once, and has the roles of all that it has."""
    dns, state = "[dns]\n", "[state]\n"
    plain = parse_settings(LEAST + state + dns)
    assert (plain.weight, plain.roles) == (100, ("http", "dns", "state"))
    assert parse_settings(LEAST + state).roles == ("http", "state")
    chosen = parse_settings(LEAST + 'weight = 10000\nroles = ["state", "dns"]\n' + state + dns)
    assert (chosen.weight, chosen.roles) == (10_000, ("dns", "state"))
    hidden = parse_settings(LEAST + 'roles = "http"\n[store]\nurl = "nats://192.0.2.9"\n[dns]\n')
    assert (hidden.dns is not None, hidden.roles) == (True, ("http",))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("weight = 0\n[state]\n", "weight: must be a whole number from 1 to 10,000, got 0"),
        ("weight = 10001\n[state]\n", "weight: must be a whole number from 1 to 10,000, got 10001"),
        ('weight = "50"\n[state]\n', "weight: must be a whole number from 1 to 10,000, got '50'"),
        ('roles = ["dns", "state"]\n[state]\n', "roles: the role dns needs a table [dns]"),
        (
            'roles = "state"\n[store]\nurl = "nats://192.0.2.9"\n',
            "roles: the role state needs a table [state]",
        ),
        ('roles = ["http"]\n[state]\n', 'roles: there is a table [state], so "state" must be among them'),
        ('roles = ["web"]\n[state]\n', "roles: must be one of http, dns, state, got 'web'"),
        ("roles = []\n[state]\n", "roles: must not be empty"),
    ],
)
def test_wrong_weights_and_roles_have_their_line(more: str, sentence: str) -> None:
    """One problem each."""
    assert problems(LEAST + more) == [f"edge.toml:5: {sentence}"]


def test_not_toml() -> None:
    """A file that is not TOML is refused with the parser's line."""
    (problem,) = problems('name = "fra\n')
    assert problem.startswith("edge.toml:1: not TOML")


def test_a_webhook_may_stand_in_a_file(tmp_path: Path) -> None:
    """webhook_file keeps a secret URL out of the settings."""
    (tmp_path / "hook").write_text("https://hooks.example/abc\n")
    settings = parse_settings(LEAST + '[state]\n[alerts]\nwebhook_file = "hook"\n', folder=tmp_path)
    assert settings.webhook == "https://hooks.example/abc"


REFERENCE = Path(__file__).parents[2] / "docs/reference/edge-toml.md"


def test_the_reference_names_every_setting() -> None:
    """Every key that is read is in the reference page, and every key of the page is read."""
    documented = set(re.findall(r"^\| `(\w+)` \|", REFERENCE.read_text(), flags=re.MULTILINE))
    documented |= {"webhook", "webhook_file"}
    kinds = (EdgeSettings, HttpSettings, StoreSettings, StateSettings, Limits, HealthSettings, Rules, DnsService)
    tables = {"http", "store", "state", "limits", "metrics", "health", "rules", "expiry", "dns"}
    assert documented == {item.name for kind in kinds for item in fields(kind)} - tables | {"webhook_file"}


def test_the_example_of_the_reference_is_read(tmp_path: Path) -> None:
    """What the page shows is accepted as it stands."""
    (tmp_path / "webhook").write_text("https://hooks.example/x")
    (example,) = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(), flags=re.DOTALL)
    assert parse_settings(example, folder=tmp_path).limits.disk_reserve == 2 * 1024**3


def test_a_missing_file_is_a_disk_error(tmp_path: Path) -> None:
    """No settings file: the sentence names it and the hint says how to name another."""
    with pytest.raises(DiskError, match="cannot be read") as caught:
        read_settings(tmp_path / "edge.toml")
    assert caught.value.hint == "edgeward edge run --config FILE"


def test_how_health_is_judged_can_be_set() -> None:
    """Seconds may have decimals; what is not written has the value of the reference."""
    health = (
        '[state]\n[health]\ninterval = 2\nlatency = 1.5\nfall = 5\nreferences = ["192.0.2.53:53", "[2001:db8::1]:53"]\n'
    )
    settings = parse_settings(LEAST + health).health
    assert settings.rules == Rules(interval=2.0, latency=1.5, fall=5)
    assert settings.references == (("192.0.2.53", 53), ("2001:db8::1", 53))
    assert parse_settings(LEAST + "[state]\n").health.rules == Rules()


def test_an_edge_answers_dns_where_the_table_is() -> None:
    """With the addresses of its readers and port 53; without the table it does not."""
    assert parse_settings(LEAST + '[store]\nurl = "nats://192.0.2.9"\n').dns is None
    plain = parse_settings(LEAST + '[store]\nurl = "nats://192.0.2.9"\n[dns]\n').dns
    assert plain == DnsService(listen=("192.0.2.1",))
    chosen = parse_settings(
        LEAST + '[store]\nurl = "nats://192.0.2.9"\n[dns]\nlisten = "2001:db8::1"\nport = 5300\nworkers = 2\n'
        'city_file = "city.mmdb"\nanswers_per_second = 0\n',
        folder=Path("/etc/edgeward"),
    ).dns
    assert chosen == DnsService(("2001:db8::1",), 5300, 2, Path("/etc/edgeward/city.mmdb"), 0)
    with pytest.raises(InputError) as caught:
        parse_settings(LEAST + '[store]\nurl = "nats://192.0.2.9"\n[dns]\nport = 0\nprot = 1\n')
    assert len(caught.value.problems) == 2
