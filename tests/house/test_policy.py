"""What holds for every test: skips, limits, waits, addresses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import NeverCameTrue, eventually, eventually_sync

ROOT = Path(__file__).resolve().parents[2]


def run_pytest(folder, *, ci):
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    long: slow\naddopts = -p no:cacheprovider -ra\n")
    environment = {**os.environ, "CI": ci}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env=environment,
    )
    return done.returncode, done.stdout


SKIPPING = [
    "import pytest\n\n\ndef test_it():\n    pytest.skip('no nginx here')\n",
    "import pytest\n\n\n@pytest.mark.skip(reason='no nginx here')\ndef test_it():\n    pass\n",
    "import pytest\n\npytest.skip('no nginx here', allow_module_level=True)\n",
]


@pytest.mark.parametrize("text", SKIPPING)
def test_a_skip_fails_in_ci_and_is_printed_elsewhere(tmp_path, text):
    """With CI=true a skip of any kind fails the run; without, it passes (or runs nothing) and its reason is printed."""
    (tmp_path / "test_it.py").write_text(text)
    status, output = run_pytest(tmp_path, ci="true")
    assert status != 0
    assert "no nginx here" in output
    status, output = run_pytest(tmp_path, ci="")
    assert status in {0, 5}
    assert "no nginx here" in output
    assert "1 skipped" in output


def test_a_long_test_has_a_longer_limit(tmp_path):
    """A test marked long may take 1,800 s, unless it names its own limit."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n\n"
        "@pytest.mark.long\ndef test_long(request):\n"
        "    assert request.node.get_closest_marker('timeout').args == (1800,)\n\n\n"
        "@pytest.mark.long\n@pytest.mark.timeout(7)\ndef test_own(request):\n"
        "    assert request.node.get_closest_marker('timeout').args == (7,)\n"
    )
    status, output = run_pytest(tmp_path, ci="true")
    assert status == 0, output


async def test_eventually_returns_what_came_true():
    """A wait ends with the first true value, over asserts and the exceptions that it ignores."""
    seen = []

    def third_time():
        seen.append(1)
        if len(seen) == 1:
            raise OSError("refused")
        assert len(seen) > 2
        return "here"

    assert await eventually(third_time, ignoring=(OSError,)) == "here"


async def test_eventually_says_what_it_saw_last():
    """A wait that is over names the condition, the time and the last value."""
    with pytest.raises(NeverCameTrue, match=r"the edge is live did not come true within 0\.05 s; last seen: 0"):
        await eventually(lambda: 0, within=0.05, what="the edge is live")
    with pytest.raises(NeverCameTrue, match="last seen: 0"):
        eventually_sync(lambda: 0, within=0.05)


def test_addresses_and_ports_are_its_own(loopback_address, loopback_addresses, free_port):
    """Addresses are loopback and never given twice; ports likewise."""
    addresses = {loopback_address, *(loopback_addresses() for _ in range(20))}
    assert len(addresses) == 21
    assert all(address.startswith("127.") for address in addresses)
    assert free_port() != free_port()
