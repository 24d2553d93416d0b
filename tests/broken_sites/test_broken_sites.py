"""Bad input never changes what is served: every case of the table, end to end, with every word that the push says."""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from broken_sites import broken_rules
from broken_sites.broken import CASES, LONG, Broken
from broken_sites.broken_settings import SETTINGS, BrokenSettings
from edgeward.core.deployers import Deployer, Deployers
from edgeward.core.digest import digest_of
from edgeward.core.fleet import PurgeOrder
from edgeward.core.site import SiteSettings
from edgeward.errors import EdgewardError, InputError
from edgeward.publish import scan as scanning
from edgeward.publish.fleet_settings import DEPLOYERS, LIMITS, limits_bytes
from edgeward.publish.places import Places
from edgeward.publish.progress import Event, Started
from edgeward.publish.push import push
from edgeward.store.connection import Store
from fleet import Answer, Fleet, running_fleet
from program import Program
from publishing import options, write_site

GOOD = {"index.html": "<h1>Good</h1>", "about.html": "<p>About</p>" * 50}
HOST = "example.test"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Serving:
    """An edge that serves a good site, and the store behind it."""

    fleet: Fleet
    store: Store
    root: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Serving]:
    """One edge with nginx for the whole table; the site is pushed once, each case tries to push over it."""
    # Below /tmp itself, so that a user who is not root can reach it.
    with tempfile.TemporaryDirectory(prefix="edgeward-broken-") as name:
        root = Path(name)
        root.chmod(0o755)
        address = f"127.{random.randint(64, 250)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        async with (
            running_fleet(root / "fleet", lambda: address, edges=1) as fleet,
            fleet.store() as store,
        ):
            await push(options(write_site(root / "good", GOOD)), store, places=Places(root / "c", root / "k"))
            yield Serving(fleet, store, root)


async def served(serving: Serving) -> tuple[Answer, Answer]:
    """Two answers, without the date."""
    found = []
    for path in ("/", "/about"):
        answer = await serving.fleet.first.get(path, host=HOST)
        assert answer.status == 200
        found.append(Answer(answer.status, {k: v for k, v in answer.headers.items() if k != "date"}, answer.body))
    return found[0], found[1]


async def stored(store: Store) -> dict[str, object]:
    """Everything in the store that decides about sites, and the names of all blobs."""
    buckets = (store.live, store.releases, store.hosts, store.candidates, store.pushes, store.purges, store.fleet)
    return {bucket.name: await bucket.values() for bucket in buckets}


@pytest.mark.parametrize("broken", CASES, ids=[case.name.replace(" ", "_") for case in CASES])
async def test_a_broken_site_is_refused_with_these_words(serving, tmp_path, monkeypatch, broken: Broken) -> None:
    """Exactly these messages, all at once; the edge and the store are as they were."""
    if (broken.nobody or broken.root) and os.geteuid() != 0:
        pytest.skip("needs root: to make a device node, or to be another user for a while")
    folder = serving.root / f"case-{broken.name}".replace(" ", "-")[:60]
    shutil.copytree(serving.root / "good", folder)
    broken.spoil(folder)
    places = Places(serving.root / "cache", serving.root / "keys")
    before = await served(serving)
    async with prepared(broken, serving, folder, monkeypatch) as progress:
        remembered = await stored(serving.store)
        settings = SiteSettings("blog", **{"hostnames": (HOST,), **broken.settings})
        with as_nobody(serving.root, wanted=broken.nobody):
            with pytest.raises(EdgewardError) as caught:
                await push(options(folder, settings=settings, **broken.options), serving.store, progress, places=places)
        assert await stored(serving.store) == remembered
    found = [caught.value.message]
    if isinstance(caught.value, InputError):
        found += [str(problem) for problem in caught.value.problems]
    words = {"{folder}": str(folder), "{long}": LONG, "{name}": "n" * 241, "{size}": str(total(folder))}
    assert found == [filled(line, words) for line in broken.says]
    assert await served(serving) == before


@pytest.mark.parametrize("broken", SETTINGS, ids=[case.name.replace(" ", "_") for case in SETTINGS])
async def test_broken_settings_are_told_with_all_else_that_is_wrong(serving, tmp_path, broken: BrokenSettings) -> None:
    """The program says exactly this, in one report, whatever of edgeward.toml can be read; nothing changes."""
    folder = write_site(tmp_path / "site", {**GOOD, **broken.files, "edgeward.toml": broken.toml})
    before, remembered = await served(serving), await stored(serving.store)
    edgeward = Program(tmp_path)
    ran = await asyncio.to_thread(
        edgeward, "push", folder, cwd=tmp_path, EDGEWARD_STORE=serving.store.jetstream.link.address.url
    )
    assert (ran.code, ran.out) == (2, "")
    head, *lines = ran.err.splitlines()
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    assert head in {f"error: {folder} cannot be published: {count}", f"error: site/edgeward.toml has {count}"}
    words = {"{folder}": str(folder), "{file}": "site/edgeward.toml"}
    assert lines == [f"  {filled(line, words)}" for line in broken.says]
    assert await stored(serving.store) == remembered
    assert await served(serving) == before


def filled(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(name, value)
    return text


def total(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


@contextmanager
def as_nobody(root: Path, *, wanted: bool) -> Iterator[None]:
    """Be a user who is not root for a while. Root may read everything."""
    if not wanted or os.geteuid() != 0:
        yield
        return
    for path in (root / "cache", root / "keys"):
        path.mkdir(exist_ok=True)
        for each in (path, *path.rglob("*")):
            os.chown(each, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in (root / "cache", root / "keys"):
            for each in (path, *path.rglob("*")):
                os.chown(each, 0, 0)


@asynccontextmanager
async def prepared(broken: Broken, serving: Serving, folder: Path, monkeypatch) -> AsyncIterator[object]:
    """Bring about what the case needs besides its folder; yields what listens to the push's progress."""
    store = serving.store
    if broken.limits is not None:
        await store.fleet.put(LIMITS, limits_bytes(broken.limits))
    match broken.prepare:
        case "another site":
            other = write_site(serving.root / "shop", {"index.html": "shop"})
            places = Places(serving.root / "cache", serving.root / "keys")
            await push(options(other, site="shop", hostnames=("shop.test",)), store, places=places)
        case "purged":
            order = PurgeOrder("k", "blog", ("/leak.txt",), (digest_of(b"swordfish"),), 1_700_000_000, "ann")
            await store.purges.put("k", order.to_bytes())
        case "deployers":
            await store.fleet.put(DEPLOYERS, Deployers((Deployer("ann", "ab" * 32),)).to_bytes())
        case "a larger site":
            larger = write_site(folder.with_name("larger"), {**GOOD, **{f"{n}.html": str(n) for n in range(25)}})
            places = Places(serving.root / "cache", serving.root / "keys")
            await push(options(larger), store, places=places)
        case "a wrong clock":
            monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
        case "write while reading":
            write_while_reading(folder / "log.txt", monkeypatch)
    try:
        yield writer(broken, folder)
    finally:
        for key in (LIMITS, DEPLOYERS):
            await store.fleet.delete(key)
        await store.purges.delete("k")
        if broken.prepare == "a larger site":
            await push(
                options(serving.root / "good", force=True),
                store,
                places=Places(serving.root / "cache", serving.root / "keys"),
            )


def write_while_reading(target: Path, monkeypatch) -> None:
    real = os.read

    def read(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if len(data) == size:
            with target.open("r+b") as out:
                out.write(b"y")
        return data

    monkeypatch.setattr(scanning.os, "read", read)


def writer(broken: Broken, folder: Path):
    """Listens to the push and writes to the folder at the beginning of a phase."""

    def progress(event: Event) -> None:
        if isinstance(event, Started) and broken.prepare == "write while compressing" and event.phase == "compress":
            (folder / "page.html").write_bytes(b"<p>niaga</p>" * 1000)
        if isinstance(event, Started) and broken.prepare == "write while uploading" and event.phase == "upload":
            (folder / "photo.jpg").write_bytes(b"another photo")

    return progress


async def test_the_table_has_enough_cases() -> None:
    """At least 40, each with a name of its own."""
    assert broken_rules
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
    await asyncio.sleep(0)
