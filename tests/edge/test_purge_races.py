"""Takedowns on a fleet whose clocks differ, and while somebody pushes: gone from every edge when the command ends."""

import asyncio

from deploying import ONE, TWO, Deployer, holding
from edgeward.publish import purge as purge_module
from edgeward.publish.purge import purge
from edgeward.publish.values import Waiting
from fleet import running_fleet

SECRET = "the quick brown secret " * 30
ASSET = "assets/leak.5555555a.js"
LEAK = {"leak.txt": SECRET, ASSET: SECRET}
PATHS = ("/leak.txt", f"/{ASSET}")


async def statuses(fleet) -> set[int]:
    return {(await edge.get(path)).status for edge in fleet for path in PATHS}


async def test_a_takedown_holds_where_clocks_differ_and_pushes_meet_it(
    tmp_path, loopback_addresses, monkeypatch
) -> None:
    """The purger's clock is an hour behind the pusher's, and a push with the bytes wins in the middle: each time the
    paths are 404 and the bytes in no file of an edge when the command ends.
    """
    deployer = Deployer(tmp_path)
    folder = tmp_path / "fleet"
    real_time = purge_module.time.time
    real_rewrite = purge_module._rewrite
    async with running_fleet(folder, loopback_addresses, edges=2) as fleet, fleet.store() as store:
        await deployer.push(store, ONE, **LEAK)
        assert await statuses(fleet) == {200}
        with monkeypatch.context() as patch:
            patch.setattr(purge_module.time, "time", lambda: real_time() - 3600)
            result = await purge(store, "blog", PATHS, waiting=Waiting(20), places=deployer.places)
        assert (len(result.edges), result.late) == (2, ())
        assert await statuses(fleet) == {404}
        assert holding(folder, SECRET) == []

        pushed: list[str] = []

        async def rewrite(*arguments):
            if not pushed:
                pushed.append((await deployer.push(store, TWO, **more)).release)
            return await real_rewrite(*arguments)

        other = SECRET + "too"
        more = {"leak.txt": other, ASSET: other}
        await deployer.push(store, ONE, **more)
        monkeypatch.setattr(purge_module, "_rewrite", rewrite)
        async with asyncio.timeout(60):
            result = await purge(store, "blog", PATHS, waiting=Waiting(20), places=deployer.places)
        assert pushed[0] in dict(result.releases)
        assert (len(result.edges), result.late) == (2, ())
        assert await statuses(fleet) == {404}
        assert holding(folder, other) == []
