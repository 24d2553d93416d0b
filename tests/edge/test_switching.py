"""Switches on a real nginx: together when it takes them, apart when it refuses one, and nothing lost at a start."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from edge_parts import Clock, Made, Parts, make_release
from edgeward.core.plan import Switch
from edgeward.edge.conditions import Conditions
from edgeward.edge.switching import Switching
from edgeward.serve.nginx.process import NginxEngine
from edgeward.serve.nginx.settings import NginxSettings

PORT = 8080


@pytest.fixture
async def engine(tmp_path: Path, loopback_address: str) -> AsyncIterator[NginxEngine]:
    made = NginxEngine(
        NginxSettings(
            folder=tmp_path / "nginx",
            listen=(f"{loopback_address}:{PORT}",),
            health=tmp_path / "health.json",
            workers=1,
            shutdown_seconds=2,
        )
    )
    yield made
    await made.stop()


@pytest.fixture
def switching(engine: NginxEngine, parts: Parts) -> Switching:
    return Switching(engine, parts.holdings, Conditions(), delay=0, clock=Clock())


@pytest.fixture
def ask(loopback_address: str) -> Callable[..., str]:
    def get(hostname: str) -> str:
        answer = httpx.get(f"http://{loopback_address}:{PORT}/", headers={"Host": hostname})
        return answer.text if answer.status_code == 200 else str(answer.status_code)

    return get


def site(name: str, text: str, *hostnames: str) -> Made:
    return make_release({"/index.html": text}, site=name, hostnames=hostnames)


def switch(made: Made, old: Made | None = None) -> Switch:
    return Switch(made.key[0], old.key[1] if old else None, made.key[1], "push by ann")


async def test_switches_that_fall_together_are_one(store, parts: Parts, switching: Switching, ask) -> None:
    """Two sites go live with one generation of the configuration."""
    await switching.start()
    blog, shop = await site("blog", "blog", "blog.test").put(store), await site("shop", "shop", "shop.test").put(store)
    for made in (blog, shop):
        await parts.stage(made)
    before = switching.engine.generation
    assert await switching.switch([switch(blog), switch(shop)]) == {}
    assert switching.engine.generation == before + 1
    assert (ask("blog.test"), ask("shop.test")) == ("blog", "shop")
    assert parts.holdings.live == {"blog": blog.key[1], "shop": shop.key[1]}


async def test_one_refused_switch_does_not_stop_the_others(store, parts: Parts, switching: Switching, ask) -> None:
    """A configuration that nginx rejects costs the site that is at fault its switch, and nobody else."""
    await switching.start()
    blog = await site("blog", "one", "blog.test").put(store)
    await parts.stage(blog)
    assert await switching.switch([switch(blog)]) == {}
    newer = await site("blog", "two", "blog.test").put(store)
    thief = await site("thief", "thief", "blog.test").put(store)  # the plan never lets this through; nginx neither
    shop = await site("shop", "shop", "shop.test").put(store)
    for made in (newer, thief, shop):
        await parts.stage(made)
    refusals = await switching.switch([switch(newer, blog), switch(shop), switch(thief)])
    assert list(refusals) == ["thief"]
    assert (ask("blog.test"), ask("shop.test")) == ("two", "shop")
    assert set(parts.holdings.live) == {"blog", "shop"}


async def test_a_start_leaves_out_what_nginx_refuses(store, parts: Parts, switching: Switching, ask) -> None:
    """A disk whose state has become impossible to serve as a whole is served but for the site at fault."""
    blog, thief = await site("blog", "blog", "a.test").put(store), await site("thief", "thief", "a.test").put(store)
    for made in (blog, thief):
        await parts.stage(made)
    await parts.serve(blog, thief)
    await switching.start()
    assert ask("a.test") == "blog"
    assert set(parts.holdings.live) == {"blog"}


async def test_an_adopted_engine_goes_on_if_the_disk_cannot_be_served(
    store, parts: Parts, switching: Switching, engine: NginxEngine, ask
) -> None:
    """A new agent whose view is refused leaves the nginx that it found alone."""
    await switching.start()
    blog, thief = await site("blog", "blog", "a.test").put(store), await site("thief", "thief", "a.test").put(store)
    for made in (blog, thief):
        await parts.stage(made)
    assert await switching.switch([switch(blog)]) == {}
    await parts.serve(blog, thief)
    conditions = Conditions()
    again = Switching(NginxEngine(engine._settings), parts.holdings, conditions, delay=0, clock=Clock())
    await again.start()
    assert ask("a.test") == "blog"
    assert any("not all that was served can be served" in sentence for sentence in conditions.sentences)
