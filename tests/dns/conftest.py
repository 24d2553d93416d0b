"""What the tests of the name server ask for."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator

import pytest

from dns_sockets import SOCKETS
from dns_world import NOW, PLACES, SECRET, edges, zones
from edgeward.core.steering import build
from edgeward.core.steering_table import SteeringTable
from edgeward.dns.responder import Responder
from edgeward.dns.view import View


@pytest.fixture(scope="session", autouse=True)
def sockets() -> Iterator[None]:
    """Whatever these tests ask with `dns_world.ask` and `exchange` goes through real sockets."""
    with SOCKETS.open():
        yield


@pytest.fixture(scope="session")
def table() -> SteeringTable:
    """Of the networks that have a place."""
    return build(edges(), geography=PLACES, default=("fra",))


@pytest.fixture
def view() -> View:
    """Everything is well."""
    return View(zones(), server="fra", version="edgeward 1.2.3")


@pytest.fixture
def responder(view: View, table: SteeringTable) -> Responder:
    """A responder of these zones and that table, without a limit."""
    return Responder(view, table, secret=SECRET, clock=lambda: NOW)


@pytest.fixture(scope="session")
def fuzz_responder(table: SteeringTable) -> Responder:
    """One for all examples of a property."""
    return Responder(View(zones(), server="fra", version="edgeward 1.2.3"), table, secret=SECRET, clock=lambda: NOW)


Run = Callable[..., Awaitable[str]]


@pytest.fixture
def run_tool() -> Run:
    """Run one of Debian's tools and return what it prints; one that is not installed is a skip with that reason."""

    async def run(*command: str, seconds: float = 20.0) -> str:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed (make setup as root installs it on Debian)")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(seconds):
                out, _ = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return out.decode(errors="replace")

    return run
