"""From a command line to an open store: which fleet, its address, one connection for the time of one command."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from edgeward.cli.fleets_file import FleetChoice, choose_fleet, fleets_path, read_token
from edgeward.cli.project import fleet_here
from edgeward.cli.running import run
from edgeward.errors import EdgewardError

if TYPE_CHECKING:
    from edgeward.store.connection import Store, StoreAddress

T = TypeVar("T")

DEADLINE = 5.0
"""Seconds that a command waits for the store."""


def chosen_fleet(named: str | None, *, in_project: str | None = None) -> FleetChoice:
    """Return the fleet that a command speaks to. in_project: as edgeward.toml says, None: that of the current folder.

    Raises NotFoundError, InputError, DiskError.
    """
    return choose_fleet(named=named, in_project=in_project or fleet_here(), path=fleets_path())


def store_address(choice: FleetChoice) -> "StoreAddress":
    """Return where and with what token the fleet's store is reached. Raises DiskError, InputError."""
    from edgeward.store.connection import StoreAddress

    return StoreAddress(choice.fleet.store, read_token(choice.fleet))


def with_store(
    work: "Callable[[Store], Awaitable[T]]",
    *,
    fleet: str | None,
    in_project: str | None = None,
    deadline: float = DEADLINE,
) -> T:
    """Open the store of the chosen fleet, run `work` on it, close it, and return what `work` returned.

    deadline: seconds to reach the store. Raises StoreUnavailable, and whatever `work` raises.
    """
    address = store_address(chosen_fleet(fleet, in_project=in_project))

    async def session() -> T:
        from edgeward.store.connection import open_store

        async with open_store(address, name="edgeward-cli", deadline=deadline) as store:
            return await work(store)

    return run(session())


def site_names() -> list[str]:
    """Return the names of the fleet's sites for the shell to complete, none if the store does not answer at once."""

    async def names(store: "Store") -> list[str]:
        return sorted(await store.live.keys())

    try:
        return with_store(names, fleet=None, deadline=1.0)
    except EdgewardError:
        return []
