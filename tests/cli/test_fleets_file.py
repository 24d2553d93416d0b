import stat

import pytest

from edgeward.cli import fleets_file
from edgeward.cli.fleets_file import Fleet
from edgeward.errors import ConflictError, DiskError, InputError, NotFoundError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "fleets.toml"


def choose(path, *, named=None, in_project=None, **environment):
    return fleets_file.choose_fleet(named=named, in_project=in_project, path=path, environment=environment)


def test_the_list_is_in_the_config_folder_of_the_user(tmp_path):
    """XDG_CONFIG_HOME decides if it is absolute, else ~/.config."""
    given = fleets_file.fleets_path({"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/home/x"})
    assert given == tmp_path / "edgeward" / "fleets.toml"
    assert str(fleets_file.fleets_path({"XDG_CONFIG_HOME": "relative", "HOME": "/home/x"})).startswith(
        "/home/x/.config"
    )


def test_what_is_added_is_read_again(path, tmp_path):
    """A fleet survives the file, whatever its token file is called."""
    fleets = [
        Fleet("home", "nats://203.0.113.5:4222", tmp_path / 'a "quoted" \\ näme'),
        Fleet("other", "tls://[2001:db8::1]:5222"),
    ]
    for fleet in fleets:
        fleets_file.add_fleet(path, fleet, replace=False)
    assert fleets_file.read_fleets(path) == tuple(fleets)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_is_not_taken_twice_unless_asked(path):
    """A typing error does not forget a fleet."""
    fleets_file.add_fleet(path, Fleet("home", "nats://a:4222"), replace=False)
    with pytest.raises(ConflictError, match="home"):
        fleets_file.add_fleet(path, Fleet("home", "nats://b:4222"), replace=False)
    fleets_file.add_fleet(path, Fleet("home", "nats://b:4222"), replace=True)
    assert fleets_file.read_fleets(path) == (Fleet("home", "nats://b:4222"),)


def test_removing_an_unknown_fleet_names_the_nearest(path):
    """The error knows what was meant."""
    fleets_file.add_fleet(path, Fleet("home", "nats://a:4222"), replace=False)
    with pytest.raises(NotFoundError, match="did you mean 'home'"):
        fleets_file.remove_fleet(path, "hoem")


def test_every_problem_of_the_file_is_told_at_once(path):
    """One look at the file mends it all."""
    path.parent.mkdir()
    path.write_text('flets = 1\n[fleets.a]\nstor = "x"\n[fleets.B]\nstore = "nats://x"\n[fleets.c]\nstore = 5\n')
    with pytest.raises(InputError) as caught:
        fleets_file.read_fleets(path)
    text = "\n".join(problem.message for problem in caught.value.problems)
    assert "did you mean 'fleets'" in text
    assert "did you mean 'store'" in text
    assert "'B' cannot be a fleet's name" in text
    assert "`store` is not a string" in text


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("203.0.113.5", "nats://203.0.113.5:4222"), ("host:5222", "nats://host:5222"),
        ("tls://store.example.com", "tls://store.example.com:4222"), ("nats://[::1]:1", "nats://[::1]:1"),
    ],
)  # fmt: skip
def test_a_store_may_be_given_in_short(given, whole):
    """The scheme and the port may be left out."""
    assert fleets_file.store_url(given) == whole


@pytest.mark.parametrize("given", ["http://x", "nats://", "nats://x:99999", "nats://x/path", "nats://u:p@x", ""])
def test_what_is_no_store_is_refused(given):
    """A wrong URL is found when it is given, and a secret in it is refused."""
    with pytest.raises(InputError):
        fleets_file.store_url(given)


def test_which_fleet_is_chosen(path):
    """--fleet, then the environment, then edgeward.toml, then the only one."""
    fleets_file.add_fleet(path, Fleet("home", "nats://a:4222"), replace=False)
    assert choose(path).fleet.name == "home"
    fleets_file.add_fleet(path, Fleet("work", "nats://b:4222"), replace=False)
    with pytest.raises(InputError, match="several fleets"):
        choose(path)
    assert choose(path, in_project="work").fleet.name == "work"
    assert choose(path, in_project="work", EDGEWARD_STORE="c").fleet.store == "nats://c:4222"
    assert choose(path, named="home", in_project="work", EDGEWARD_STORE="c").fleet.name == "home"
    with pytest.raises(NotFoundError):
        choose(path, named="nobody")


def test_no_fleet_at_all_says_how_to_get_one(path):
    """The first command of a new user ends in a hint."""
    with pytest.raises(NotFoundError) as caught:
        choose(path)
    assert "edgeward demo" in caught.value.hint


def test_the_token_is_the_one_word_in_its_file(tmp_path):
    """A trailing newline is no part of it; an empty or missing file is an error that names it."""
    file = tmp_path / "token"
    fleet = Fleet("home", "nats://a:4222", file)
    with pytest.raises(DiskError, match=str(file)):
        fleets_file.read_token(fleet)
    file.write_text("s3cret\n")
    assert fleets_file.read_token(fleet) == "s3cret"
    file.write_text("\n")
    with pytest.raises(InputError, match=str(file)):
        fleets_file.read_token(fleet)
