"""The program as people meet it: help, mistakes, first steps."""

import json
import tomllib
from typing import Any

import pytest
import typer

from edgeward.cli.main import program, run_command

COMMANDS = [
    ["init"], ["preview"], ["push"], ["releases"], ["rollback"], ["purge"], ["verify"], ["status"], ["demo"],
    ["events"], ["fleets"], ["fleets", "add"], ["fleets", "rm"], ["site"], ["site", "list"], ["site", "rm"],
    ["edge"], ["edge", "run"], ["edge", "list"],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_that_fits_a_small_terminal(monkeypatch, capsys, words):
    """--help ends with 0 and no line is longer than 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert run_command([*words, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "<bool>" not in shown.out


def test_each_command_is_found_without_loading_the_others():
    """The program that is made for one command line has the command that the whole program has."""
    whole: Any = typer.main.get_command(program())
    assert {words[0] for words in COMMANDS} | {"dns"} == set(whole.commands)
    for name, command in whole.commands.items():
        one: Any = typer.main.get_command(program(name))
        assert len(one.commands) < len(whole.commands) / 2
        assert (one.commands[name].help, one.commands[name].epilog) == (command.help, command.epilog)


def test_the_version_is_data(edgeward):
    """`edgeward --version` prints one line to stdout."""
    ran = edgeward("--version")
    assert ran.code == 0
    assert ran.out.startswith("edgeward 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["psuh"], ["error: No such command 'psuh'. Did you mean 'push'?", "hint: edgeward --help"]),
        (["push", "--wait", "soon"], ["'soon' is not a duration", "hint: edgeward push --help"]),
        (["rollback"], ["error: Missing argument 'SITE'", "hint: edgeward rollback --help"]),
        (["push", "--quorum", "most"], ["--quorum", "hint: edgeward push --help"]),
    ],
    ids=["command", "duration", "argument", "choice"],
)
def test_a_wrong_command_line_names_what_is_wrong_and_where_help_is(edgeward, words, said):
    """Exit code 2, nothing on stdout, an error and a hint on stderr."""
    ran = edgeward(*words)
    assert (ran.code, ran.out) == (2, "")
    for text in said:
        assert text in ran.err


def test_no_colour_where_nobody_sees_it(edgeward):
    """Output into a pipe holds no escape sequences, and a table is as wide as it needs, at most 100 columns."""
    ran = edgeward("status")
    assert "\x1b" not in ran.out + ran.err


def test_a_command_without_a_fleet_says_how_to_get_one(edgeward):
    """Exit code 6 and a hint."""
    ran = edgeward("status")
    assert (ran.code, ran.out) == (6, "")
    assert ran.err == "error: no fleet is known here\nhint: edgeward fleets add NAME STORE_URL, or try: edgeward demo\n"


def test_a_store_that_is_not_there_is_code_4_within_its_deadline(edgeward, loopback_address):
    """Nothing listens: the command says so and ends."""
    ran = edgeward("site", "list", EDGEWARD_STORE=f"nats://{loopback_address}:4222", seconds=20)
    assert ran.code == 4
    assert loopback_address in ran.err


def test_fleets_are_added_listed_and_forgotten(edgeward):
    """The list is written, shown with the one that is chosen, and taken back."""
    token = edgeward.home / "token"
    token.write_text("secret-word\n")
    assert edgeward("fleets", "add", "home", "203.0.113.5", "--token-file", "token").code == 0
    assert edgeward("fleets", "add", "work", "tls://203.0.113.6").code == 0
    again = edgeward("fleets", "add", "home", "203.0.113.7")
    assert (again.code, "--replace" in again.err) == (3, True)
    listed = json.loads(edgeward("fleets", "--json").out)
    assert listed["fleets"] == [
        {"name": "home", "store": "nats://203.0.113.5:4222", "token_file": str(token)},
        {"name": "work", "store": "tls://203.0.113.6:4222", "token_file": None},
    ]
    assert edgeward("fleets", "rm", "work").code == 0
    shown = edgeward("fleets").out
    assert "home" in shown
    assert "it is the only one" in shown
    assert "secret-word" not in shown
    assert edgeward("fleets", "rm", "work").code == 6


def test_the_project_of_the_current_folder_chooses_among_fleets(edgeward):
    """With several fleets, a command in a project's folder speaks to that of its edgeward.toml."""
    for name in ("home", "work"):
        edgeward("fleets", "add", name, "203.0.113.5")
    undecided = edgeward("site", "list")
    assert undecided.code == 2
    assert "home, work" in undecided.err
    edgeward("init", "-H", "a.test", "--fleet", "work")
    assert "edgeward.toml names it" in edgeward("fleets").out


def test_a_fleet_with_a_missing_token_is_not_added(edgeward):
    """The mistake is found when it is made."""
    ran = edgeward("fleets", "add", "home", "203.0.113.5", "--token-file", "nowhere")
    assert ran.code == 8
    assert "nowhere" in ran.err
    assert edgeward("fleets").out == ""


def test_init_writes_a_file_that_push_can_read(edgeward):
    """The build folder is found; the file holds what was given; a second init does not overwrite it."""
    (edgeward.home / "dist").mkdir()
    (edgeward.home / "dist" / "index.html").write_text("<!doctype html>")
    ran = edgeward("init", "--name", "shop", "-H", "shop.test", "-H", "www.shop.test", "--fleet", "home")
    assert ran.code == 0
    said = tomllib.loads((edgeward.home / "edgeward.toml").read_text())
    assert said == {
        "fleet": "home",
        "site": {"name": "shop", "hostnames": ["shop.test", "www.shop.test"], "build": "dist"},
    }
    assert edgeward("init", "-H", "other.test").code == 3
    assert edgeward("init", "-H", "other.test", "--force").code == 0


def test_init_without_a_terminal_asks_nothing(edgeward):
    """A script that forgets the hostname gets an error, not a question."""
    ran = edgeward("init")
    assert (ran.code, ran.out) == (2, "")
    assert "--hostname" in ran.err
    assert not (edgeward.home / "edgeward.toml").exists()


def test_init_refuses_names_that_cannot_be(edgeward):
    """Every problem at once, and no file."""
    ran = edgeward("init", "--name", "Shop!", "-H", "not a host")
    assert ran.code == 2
    assert "Shop!" in ran.err
    assert "not a host" in ran.err
    assert not (edgeward.home / "edgeward.toml").exists()


def test_the_shell_completes_commands_and_fleets(edgeward):
    """Completion for bash knows commands, options and the names of fleets."""

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        ran = edgeward(_EDGEWARD_COMPLETE="complete_bash", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1))
        return ran.out.split()

    edgeward("fleets", "add", "home", "203.0.113.5")
    assert complete("edgeward ro") == ["rollback"]
    assert "--dry-run" in complete("edgeward push --d")
    assert complete("edgeward status --fleet h") == ["home"]


def test_a_reader_that_has_seen_enough_is_no_error(edgeward):
    """`edgeward ... | head -1` ends without a word and with the code of SIGPIPE."""
    import subprocess
    import sys

    edgeward("fleets", "add", "home", "203.0.113.5")
    script = f"{sys.executable} -m edgeward fleets | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=edgeward.environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() in {"0", "141"}
    assert done.stderr == ""


def test_with_json_an_error_is_an_object_on_stdout_too(edgeward, tmp_path):
    """A program that reads stdout finds what failed, why, and every problem; people read the same on stderr."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "edgeward.toml").write_text('[site]\nname = "Blog!"\nhostnames = []\n')
    ran = edgeward("push", tmp_path / "site", "--json", EDGEWARD_STORE="nats://127.0.0.1:9")
    error = json.loads(ran.out)["error"]
    assert (ran.code, error["kind"]) == (2, "InputError")
    assert {problem["file"] for problem in error["problems"]}
    assert error["message"] in ran.err
