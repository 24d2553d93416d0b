"""What `edgeward dns explain` says of a real fleet is what its name servers answer."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from deploying import ONE, Deployer
from edgeward.cli.tables_dns import explanation
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import EdgeRecord
from edgeward.dns.workers import Listening, Workers
from edgeward.errors import NotFoundError
from edgeward.publish.explain import Explanation, RankedEdge, Served, explain
from edgeward.publish.name_service import apply_settings
from edgeward.store.connection import Store
from fleet import EdgeProcess, prepare_fleet, started
from name_servers import DNS, NEAR, PORT, SETTINGS, steering
from verdicts import settled
from waiting import eventually

LATE = 'name = "syd"\nactivate_delay = 9\n'
CLIENT = NEAR["syd"]


async def told(store: Store) -> tuple[Explanation, RankedEdge]:
    """An explanation that all name servers have answered to alike, and the place of syd in it."""
    found = await explain(store, "www.example.test", CLIENT)
    assert [(each.edge, each.wrong, each.differs) for each in found.served] == [(name, "", False) for name in NEAR]
    return found, next(each for each in found.ranked if each.edge == "syd")


async def test_an_edge_without_the_live_release_has_its_grace_and_is_out_then(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """While it has, it is named, and the explanation says until when; then it is not, and the reason is that of the
    name servers. When it holds the release nothing is said of it.
    """
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses)
    for edge in fleet:
        text = edge.config.read_text().replace('name = "syd"\n', LATE)
        edge.config.write_text(f"{text}{DNS}[health]\ngrace = 6\n")
    async with started(fleet), fleet.store() as store:
        await settled(fleet)
        await apply_settings(store, SETTINGS)
        for edge in fleet:
            await eventually(lambda edge=edge: "built the steering table of 3 edges" in edge.log, within=30)
        pushing = asyncio.create_task(deployer.push(store, ONE, wait=2, quorum="any"))

        async def in_grace() -> bool:
            found, syd = await told(store)
            assert syd.note.startswith("it does not hold the live release ")
            assert "still within its grace period until " in syd.note
            return (found.addresses, syd.state) == ((fleet["syd"].address,), "")

        await eventually(in_grace, within=15, ignoring=(NotFoundError,))

        async def out() -> bool:
            found, syd = await told(store)
            return fleet["syd"].address not in found.addresses and syd.state == "it does not serve the site"

        await eventually(out, within=10)

        async def back() -> bool:
            found, syd = await told(store)
            return (found.addresses, syd.state, syd.note) == ((fleet["syd"].address,), "", "")

        await eventually(back, within=20)
        await pushing


async def test_an_edge_that_is_named_because_all_are_out_is_said_to_be_named(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """With the reason why it is out; the other one is out for the same reason, and not named."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:

        async def found() -> Explanation:
            return await explain(store, "www.example.test", NEAR["fra"])

        assert (await found()).failed_open == ()
        for edge in ("fra", "iad"):
            stored = await store.edges.get(edge)
            assert stored is not None
            record = replace(EdgeRecord.from_bytes(stored.value), drained=True, drained_because="disk")
            await store.edges.update(edge, record.to_bytes(), stored.revision)
        why = await found()
        assert (why.addresses, why.failed_open) == ((fleet["fra"].address,), ("fra",))
        text = shown(why)
        assert re.search(r"fra .* all are out: named all the same: drained: disk", text)
        assert re.search(r"iad .* not named: drained: disk", text)


def shown(why: Explanation) -> str:
    """What is shown of an explanation where there is no terminal."""
    console = Console(width=100, file=StringIO())
    console.print(*explanation(why), sep="\n")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def holding(address: str, alias: str) -> DnsSettings:
    """Zones with fixed records, and a chain of aliases over both zones to an alias of a name."""
    records = (
        Record("mail.example.test", "A", address),
        Record("mail.example.test", "TXT", '"v=spf1 -all"'),
        Record("first.example.test", "CNAME", "second.fleet.test."),
        Record("second.fleet.test", "CNAME", alias),
    )
    return replace(SETTINGS, records=records)


@asynccontextmanager
async def stale(edge: EdgeProcess, folder: Path) -> AsyncIterator[None]:
    """In place of an edge that has ended, its name server alone, with the files that it had."""
    files = {"view": "view.json", "table": "steering.table"}
    held = {what: shutil.copy(edge.data / "dns" / name, folder / name) for what, name in files.items()}
    await edge.stop()
    workers = Workers(Listening((edge.address,), PORT, 1, 0), secret=bytes(16), **held)
    running = asyncio.create_task(workers.run())
    try:
        await eventually(lambda: len(workers.ready) == 1, within=20)
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_aliases_and_fixed_records_are_explained_and_a_server_that_is_behind_is_shown(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A chain of aliases is explained as the steered name at its end, and fixed records as everybody's. A server that
    has the zones as they were is shown with what it answers: other records, another alias, no such name.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:
        fra, iad = fleet["fra"], fleet["iad"]
        client = NEAR["fra"]
        await apply_settings(store, holding("192.0.2.25", "www.example.test."))

        async def all_agree(name: str) -> bool:
            return not any(each.differs or each.wrong for each in (await explain(store, name, client)).served)

        for name in ("first.example.test", "mail.example.test"):
            await eventually(lambda name=name: all_agree(name), within=15)
        why = await explain(store, "First.example.test.", client)
        assert (why.name, why.aliases) == ("first.example.test", ("second.fleet.test", "www.example.test"))
        assert (why.site, why.addresses) == ("blog", (fra.address,))
        chain = ("CNAME second.fleet.test.", "CNAME www.example.test.")
        assert [(each.addresses, each.records) for each in why.served] == [((fra.address,), chain)] * 2
        text = shown(why)
        assert "first.example.test is an alias of second.fleet.test\n" in text
        assert f"www.example.test for {client}: {fra.address} " in text
        fixed = await explain(store, "mail.example.test", client)
        assert (fixed.site, fixed.addresses, fixed.ranked, fixed.ttl) == (None, ("192.0.2.25",), (), 300)
        assert "so the name servers answer: fra, iad" in shown(fixed)

        async with stale(iad, tmp_path):
            more = Record("new.example.test", "A", "192.0.2.1")
            changed = holding("192.0.2.26", "blog.fleet.test.")
            await apply_settings(store, replace(changed, records=(*changed.records, more)))

            async def served(name: str) -> list[Served] | None:
                """What is answered once fra has followed."""
                found = list((await explain(store, name, client)).served)
                return found if not found[0].differs else None

            note = "ask again: it may just have heard of a change"
            for name, addresses, records in (
                ("mail.example.test", ("192.0.2.25",), ('TXT "v=spf1 -all"',)),
                ("first.example.test", (fra.address,), chain),
                ("new.example.test", (), ("NXDOMAIN",)),
            ):
                await eventually(lambda name=name: served(name), within=15)
                first, second = (await explain(store, name, client)).served
                assert (first.edge, first.wrong, first.differs) == ("fra", "", False)
                assert second == Served("iad", addresses, differs=True, note=note, records=records)
            text = shown(await explain(store, "mail.example.test", client))
            assert "so the name servers answer: fra\n" in text
            assert 'iad answers TXT "v=spf1 -all", 192.0.2.25: ask again' in text
