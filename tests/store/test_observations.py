"""Reports of observers: plain messages that everybody hears while there is a store, and that nobody waits for."""

import asyncio
from pathlib import Path

import pytest

from edgeward.store.connection import Store, open_store
from edgeward.store.server import ServerSettings, StateServer
from waiting import eventually


async def test_everybody_hears_everybody_over_every_connection(
    tmp_path: Path, loopback_address: str, free_port
) -> None:
    """Oneself too, and again after the store was away; without one, sending says so at once."""
    settings = ServerSettings(data=tmp_path / "server", listen=loopback_address, port=free_port())
    heard: dict[str, list[tuple[str, bytes]]] = {"fra": [], "iad": []}
    async with StateServer(settings) as server:
        address = server.address
        async with open_store(address, name="fra") as fra, open_store(address, name="iad") as iad:
            following = [
                asyncio.create_task(fra.observations.follow(lambda *said: heard["fra"].append(said))),
                asyncio.create_task(iad.observations.follow(lambda *said: heard["iad"].append(said))),
            ]

            async def told(data: bytes) -> bool:
                await fra.observations.send("fra", data)
                return all(("fra", data) in each for each in heard.values())

            await eventually(lambda: told(b"one"))
            await server.stop()
            await eventually(lambda: not fra.connected)
            assert not await fra.observations.send("fra", b"lost")
            async with StateServer(settings):
                await eventually(lambda: told(b"two"), within=20)
            assert not any(("fra", b"lost") in each for each in heard.values())
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)


async def test_a_report_that_is_too_large_is_said_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is not sent; and again when one has been sent in between."""
    for data, sent, said in (
        (b"x" * (1024 * 1024 + 1), False, 1),
        (b"x", True, 1),
        (b"x" * (1024 * 1024 + 1), False, 2),
    ):
        for _ in range(2):
            assert await store.observations.send("fra", data) == sent
        lines = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len(lines) == said
        assert lines[0].startswith("a health report of 1048577 bytes cannot be sent, the state server takes 1048576:")
