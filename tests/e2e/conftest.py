"""What end-to-end tests ask for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fleet import Fleet, running_fleet
from program import Program, Ran


@pytest.fixture
def edgeward(tmp_path) -> Program:
    """The program, with a home folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture
async def fleet(request, tmp_path, loopback_addresses) -> AsyncIterator[Fleet]:
    """Three edges that serve with nginx. An indirect parameter is more lines for their [limits]."""
    limits = getattr(request, "param", "")
    async with running_fleet(tmp_path / "fleet", loopback_addresses, limits=limits) as running:
        yield running


@pytest.fixture
def ask(edgeward, fleet) -> Callable[..., Awaitable[Ran]]:
    """Run one command line of the program against the fleet, off the event loop."""

    async def run(*words: str | Path, seconds: float = 60.0) -> Ran:
        variables = {"EDGEWARD_STORE": fleet.url, "EDGEWARD_TOKEN_FILE": str(fleet.token_file)}
        return await asyncio.to_thread(edgeward, *words, seconds=seconds, **variables)

    return run
