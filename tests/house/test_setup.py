"""The scripts of `make setup` leave no trace, and say in one line what is missing."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NGINX = "nginx-of-the-test"


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path):
    """A machine with apt-get and systemctl that only note what they were told, and no nginx."""
    tools = tmp_path / "bin"
    program(tools, "id", 'echo "${TEST_USER:-0}"')
    program(tools, "systemctl", f'echo "$@" >> {tmp_path}/systemctl.log')
    program(
        tools,
        "apt-get",
        f'{tmp_path}/policy-rc.d; echo "policy $? $1" >> {tmp_path}/apt.log\n'
        f'[ "$1" = update ] || [ -n "$TEST_FAIL" ] || {{ printf "#!/bin/sh\\necho nginx version: nginx/1.26.3\\n"'
        f" > {tools}/{NGINX}; chmod 755 {tools}/{NGINX}; }}\n"
        '[ -z "$TEST_FAIL" ] || { echo "E: no such package"; exit 100; }',
    )
    return tmp_path


def ensure_nginx(machine, **more):
    environment = {
        **os.environ,
        "PATH": f"{machine}/bin:{os.environ['PATH']}",
        "NGINX": NGINX,
        "POLICY_RC_D": str(machine / "policy-rc.d"),
        **more,
    }
    command = ["bash", str(ROOT / "tools" / "ensure_nginx.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nginx_is_installed_without_starting_its_server(machine):
    """While apt-get runs a policy forbids every service to start; afterwards it is gone, and the unit is disabled."""
    said = ensure_nginx(machine)
    assert said == (
        "setup: installed the distribution's nginx/1.26.3; its own server is not started and is disabled at boot\n"
    )
    assert (machine / "apt.log").read_text() == "policy 101 install\n"
    assert (machine / "systemctl.log").read_text() == "--quiet disable nginx.service\n"
    assert not (machine / "policy-rc.d").exists()
    assert ensure_nginx(machine) == ""


def test_a_policy_that_was_there_is_put_back(machine):
    """A policy-rc.d of the machine's own is there again afterwards, also when the installation failed."""
    policy = machine / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0 # its own\n")
    policy.chmod(0o755)
    before = policy.read_text()
    ensure_nginx(machine, TEST_FAIL="1")
    assert policy.read_text() == before
    assert "policy 101 install" in (machine / "apt.log").read_text()
    ensure_nginx(machine)
    assert policy.read_text() == before
    assert sorted(path.name for path in machine.glob("policy*")) == ["policy-rc.d"]


def test_what_cannot_be_installed_is_said_in_one_line(machine):
    """Not root, or apt-get failed: one line that says what edges will do instead, and setup goes on."""
    for said in (ensure_nginx(machine, TEST_USER="1000"), ensure_nginx(machine, TEST_FAIL="1")):
        assert said.count("\n") == 1
        assert "edges will use the preview engine" in said


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("exit 1 # whatever it is asked", "is too old; edgeward needs Python 3.11 or newer"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "hint: sudo apt-get install python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_said_in_one_line(machine, python, expected):
    """An interpreter that is too old, or has no venv where only root could mend that, ends setup with one sentence."""
    program(machine / "bin", "python-of-the-test", python)
    environment = {**os.environ, "PATH": f"{machine}/bin:{os.environ['PATH']}", "TEST_USER": "1000"}
    command = ["bash", str(ROOT / "tools" / "make_venv.sh"), "python-of-the-test"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=30, cwd=machine
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr
    assert not (machine / ".venv").exists()
