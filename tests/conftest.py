"""What every test can ask for, and what holds for every test.

- A skip is allowed on machines that lack something, and printed with its reason; with CI=true it is a failure.
- Tests marked `long` get 1,800 s each, all others 120 s (pyproject.toml), unless they name their own limit.
- `loopback_address` and `free_port` keep tests that run at the same time out of each other's way.
"""

import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

LONG_SECONDS = 1800
# A port that no test serves on; holding it is the claim on a whole address, also against other test runs.
CLAIM_PORT = 61999

# A shared machine is slow at times, and that is not a property of the code.
settings.register_profile("edgeward", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("edgeward")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests their longer limit."""
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


def _skips_fail() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and _skips_fail():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = (
            f"{reason}\nNothing may be skipped with CI=true: install what is missing (make setup as root)."
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With CI=true a skipped test has failed."""
    report = yield
    _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """With CI=true a skipped module has failed."""
    report = yield
    _as_failure(report)
    return report


def _claim(source: random.Random) -> tuple[str, socket.socket]:
    for _ in range(1000):
        address = f"127.{source.randint(64, 250)}.{source.randint(0, 255)}.{source.randint(1, 254)}"
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((address, CLAIM_PORT))
        except OSError:
            claim.close()
        else:
            return address, claim
    message = "no free loopback address in 1000 tries"
    raise RuntimeError(message)


@pytest.fixture
def loopback_addresses() -> Iterator[Callable[[], str]]:
    """A function that gives another 127.x.y.z on each call, this test's own until it ends."""
    source = random.Random()  # seeded by the machine: runs at the same time must differ
    with contextlib.ExitStack() as claims:

        def another() -> str:
            address, claim = _claim(source)
            claims.enter_context(claim)
            return address

        yield another


@pytest.fixture
def loopback_address(loopback_addresses: Callable[[], str]) -> str:
    """One 127.x.y.z that no other running test has: any port on it is free."""
    return loopback_addresses()


@pytest.fixture
def free_port(loopback_address: str) -> Callable[[], int]:
    """A function that gives a TCP port free on `loopback_address`, another on each call."""
    given: set[int] = {CLAIM_PORT}

    def another() -> int:
        for _ in range(100):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((loopback_address, 0))
                port = int(probe.getsockname()[1])
            if port not in given:
                given.add(port)
                return port
        message = f"no free port on {loopback_address} in 100 tries"
        raise RuntimeError(message)

    return another
