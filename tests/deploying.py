"""A site whose versions can be told apart on sight, and what edges hold of it: for tests of whole fleets."""

from pathlib import Path

from edgeward.core.fleet import EdgeStatus
from edgeward.publish.places import Places
from edgeward.publish.push import push
from edgeward.publish.values import PushResult, Waiting
from edgeward.store.connection import Store
from fleet import EdgeProcess
from publishing import options, write_site

HOST = "www.example.test"
ONE, TWO, THREE, FOUR = (f"/assets/app.{digit * 7}a.js" for digit in "1234")


class Deployer:
    """Pushes versions of one small site whose page and asset differ in each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = Places(folder / "cache", folder / "config")
        self.count = 0

    async def push(
        self, store: Store, asset: str, *, wait: float = 20, quorum: str = "all", **files: str
    ) -> PushResult:
        self.count += 1
        site = write_site(
            self.folder / f"version{self.count}",
            {"index.html": page(asset), asset[1:]: f"code of {asset};" * 20, **files},
        )
        given = options(site, hostnames=(HOST,), waiting=Waiting(wait, quorum), force=True)
        return await push(given, store, places=self.places)


def page(asset: str) -> str:
    return f"<script src={asset}></script>" + "<p>text</p>" * 50


async def shows(edge: EdgeProcess, asset: str) -> bool:
    answer = await edge.get("/")
    return answer.status == 200 and answer.body.decode() == page(asset)


def holding(folder: Path, text: str) -> list[str]:
    needle = text.encode()
    return [str(path) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


async def said(edge: EdgeProcess, sentence: str) -> bool:
    return any(sentence in problem for problem in (await edge.health())["problems"])


async def reporting(store: Store, count: int) -> bool:
    found = await store.status.values()
    return len([value for value in found.values() if EdgeStatus.from_bytes(value.value).ready]) == count
