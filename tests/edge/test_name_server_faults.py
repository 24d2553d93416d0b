"""Name servers of a real fleet when their own machine is in trouble."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dns.exception
import dns.rcode
import pytest

from deploying import ONE, Deployer, shows
from edgeward.core.dns_settings import PreferredEdges
from edgeward.core.fleet import EdgeRecord
from edgeward.errors import ConflictError
from edgeward.publish.edges import forget_edge, set_drained
from edgeward.publish.explain import explain
from edgeward.publish.name_service import apply_settings
from edgeward.store.connection import Store
from fleet import HTTP_PORT, EdgeProcess, prepare_fleet, started
from name_servers import (
    DNS,
    NEAR,
    PORT,
    SETTINGS,
    WITHIN,
    ask,
    named,
    seconds_until_gone,
    sends,
    sends_home,
    steering,
    workers_of,
)
from verdicts import lacks, out, settled
from waiting import eventually


async def test_a_full_disk_holds_no_failover_up(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """What cannot be written is told to the workers all the same, and said to be wrong until it can be written."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, syd = fleet["iad"], fleet["syd"]
        (iad.data / "dns" / ".view.json.new").mkdir()
        await syd.kill()
        seconds = await seconds_until_gone([iad], NEAR["syd"], syd.address)
        print(f"\nkilled, with a disk that cannot be written to: last named {seconds:.2f} s later")
        assert seconds <= WITHIN
        await syd.start()
        await eventually(lambda: sends(iad, NEAR["syd"], syd.address), within=40)


async def test_a_disk_that_hangs_holds_no_failover_up(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A write of the view that does not end (the file is a pipe that nobody reads) keeps no worker from being told."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, syd = fleet["iad"], fleet["syd"]
        pipe = iad.data / "dns" / ".view.json.new"
        os.mkfifo(pipe)
        try:
            async with fleet.store() as store:
                await set_drained(store, "fra", drained=True, because="something to write")
            await eventually(lambda: sends(iad, NEAR["fra"], iad.address), within=10)
            await syd.kill()
            seconds = await seconds_until_gone([iad], NEAR["syd"], syd.address)
            print(f"\nkilled, with a disk that hangs: last named {seconds:.2f} s later")
            assert seconds <= WITHIN
        finally:
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            pipe.unlink()
            os.close(reader)
        file = iad.data / "dns" / "view.json"
        await eventually(lambda: b"something to write" in file.read_bytes(), within=10)


async def test_an_edge_that_is_forgotten_is_named_by_no_server(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Dead, out, and taken off the record: the table that still ranks it brings it back into no answer."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        syd, others = fleet["syd"], [fleet["fra"], fleet["iad"]]
        await syd.kill()
        assert await seconds_until_gone(others, NEAR["syd"], syd.address) <= WITHIN
        async with fleet.store() as store:
            await eventually(lambda: forgotten(store, "syd"), within=40, ignoring=(ConflictError,))
            end = time.monotonic() + 8.0
            while time.monotonic() < end:
                for server in others:
                    assert syd.address not in await named(server, NEAR["syd"])
                await asyncio.sleep(0.02)


async def forgotten(store: Store, edge: str) -> bool:
    """Take an edge off the record. Raises ConflictError while its last status still stands."""
    return (await forget_edge(store, edge)).name == edge


async def test_a_port_that_was_taken_is_had_when_it_is_free(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The edge serves, says what is wrong, and takes it back when it answers."""
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses, edges=1)
    edge = fleet.first
    edge.config.write_text(edge.config.read_text() + DNS)
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind((edge.address, PORT))
        async with started(fleet):
            async with fleet.store() as store:
                await deployer.push(store, ONE)
                await apply_settings(store, SETTINGS)
            await eventually(lambda: says_so(edge), within=20)
            holder.close()
            await eventually(lambda: sends(edge, NEAR["fra"], edge.address), within=40, ignoring=(OSError,))
            await eventually(lambda: says_nothing(edge), within=10)


async def says_so(edge: EdgeProcess) -> bool:
    """Whether an edge says that its name server cannot listen."""
    return b"the name server cannot listen" in (await edge.get("/.well-known/edgeward/health")).body


async def says_nothing(edge: EdgeProcess) -> bool:
    return not await says_so(edge)


async def test_a_restarted_server_names_no_edge_that_was_down_before(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Its first answer, from the disk and without a store, is as its last one was."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        fra, iad, syd = fleet["fra"], fleet["iad"], fleet["syd"]
        await fra.kill()
        await syd.kill()
        await eventually(lambda: sends(iad, NEAR["syd"], iad.address), within=20)
        await iad.stop()
        await iad.start()
        deadline = time.monotonic() + 10
        seen: list[set[str]] = []
        while time.monotonic() < deadline and len(seen) < 100:
            with contextlib.suppress(dns.exception.Timeout, OSError):
                answer = await ask(iad, "www.example.test", client=NEAR["syd"])
                seen.append({str(rdata) for rrset in answer.answer for rdata in rrset})
            await asyncio.sleep(0.05)
        assert seen
        assert all(found == {iad.address} for found in seen), seen[:5]


async def test_an_odd_view_on_the_disk_ends_nothing(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """An edge whose disk has a view with an RRset without a TTL starts, and makes another of what the store says."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=1) as fleet:
        edge = fleet.first
        await edge.stop()
        file = edge.data / "dns" / "view.json"
        value = json.loads(file.read_bytes())
        value["zones"][0]["rrsets"][value["zones"][0]["origin"]]["6"] = []
        file.write_text(json.dumps(value))
        await edge.start()
        await fleet.until_ready()
        await eventually(lambda: sends(edge, NEAR["fra"], edge.address), within=20, ignoring=(OSError,))


async def test_a_steering_table_that_could_not_be_built_once_is_built_later(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The last one is answered from meanwhile, and what is wrong is said until it is right."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet, fleet.store() as store:
        fra, iad, syd = fleet["fra"], fleet["iad"], fleet["syd"]
        block = iad.data / "dns" / ".steering.table.new"
        block.mkdir()
        await apply_settings(store, replace(SETTINGS, networks=(PreferredEdges("194.25.0.0/16", ("syd",)),)))
        await eventually(lambda: sends(fra, NEAR["fra"], syd.address), within=20)
        await eventually(lambda: lacks_a_table(iad), within=20)
        assert await sends(iad, NEAR["fra"], fra.address)
        block.rmdir()
        await eventually(lambda: sends(iad, NEAR["fra"], syd.address), within=30)

        async def says_no_more() -> bool:
            return not await lacks_a_table(iad)

        await eventually(says_no_more, within=10)


async def test_a_steering_table_that_is_damaged_on_the_disk_is_built_anew(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """One bit that is not as it was written: the worker that reads the file next does without, its agent makes another,
    and all is as before, also when it happens again. A client is never sent astray.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad = fleet["iad"]
        file = iad.data / "dns" / "steering.table"
        good = file.read_bytes()
        for place in (len(good) // 2, len(good) - 1):
            damaged = bytearray(good)
            damaged[place] ^= 1
            with file.open("r+b") as opened:
                opened.write(damaged)
            for pid in workers_of(iad):
                os.kill(pid, signal.SIGKILL)
            await eventually(lambda: file.read_bytes() == good, within=40)
            async with asyncio.timeout(20):
                while not await sends_home(fleet, iad):
                    for each in fleet:
                        assert await named(iad, NEAR[each.name]) <= {each.address}


async def test_without_a_store_a_damaged_table_is_said_and_answered_from_by_nobody(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """An edge that is started with it while the store cannot be reached answers static names, fails steered ones, and
    says why; with the store it builds another one and says no more.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet:
        fra, iad = fleet["fra"], fleet["iad"]
        await iad.stop()
        file = iad.data / "dns" / "steering.table"
        data = bytearray(file.read_bytes())
        data[len(data) // 3] ^= 16
        file.write_bytes(data)
        await fra.kill()
        await iad.start()

        async def says_why() -> bool:
            return b"the steering table cannot be read" in (await iad.get("/.well-known/edgeward/health")).body

        await eventually(says_why, within=30, ignoring=(OSError,))
        for client in NEAR.values():
            assert (await ask(iad, "www.example.test", client=client)).rcode() == dns.rcode.SERVFAIL
        assert (await ask(iad, "example.test", "SOA")).rcode() == dns.rcode.NOERROR
        await fra.start()
        await eventually(lambda: sends_home(fleet, iad), within=40)

        async def says_no_more() -> bool:
            return not await says_why()

        await eventually(says_no_more, within=10)


async def lacks_a_table(edge: EdgeProcess) -> bool:
    """Whether an edge says that its steering table cannot be built."""
    return b"the steering table cannot be built" in (await edge.get("/.well-known/edgeward/health")).body


async def test_an_observer_that_starts_brings_no_edge_back_that_lacks_the_release(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Neither in its own answers nor in those of others, before its time of grace is over or after; the edge is named
    when it serves the release.
    """
    fleet = prepare_fleet(tmp_path / "fleet", loopback_addresses, more={"syd": "activate_delay = 25\n"})
    for edge in fleet:
        edge.config.write_text(f"{edge.config.read_text()}{DNS}[health]\ngrace = 3\n")
    async with started(fleet), fleet.store() as store:
        await settled(fleet)
        await apply_settings(store, SETTINGS)
        pushing = asyncio.create_task(deployer.push(store, ONE, wait=2, quorum="any"))
        syd, others = fleet["syd"], [fleet["fra"], fleet["iad"]]
        for edge in others:
            await eventually(lambda edge=edge: lacks(edge), within=20)
            await eventually(lambda edge=edge: names_only_others(edge, syd), within=20)
        await fleet["iad"].stop()
        await fleet["iad"].start()
        seen = {edge.name: [set[str]()] for edge in others}
        end = time.monotonic() + 8.0  # the start, the time of grace, and three looks
        while time.monotonic() < end:
            for edge in others:
                with contextlib.suppress(OSError):
                    seen[edge.name].append(await named(edge, NEAR["syd"]))
            await asyncio.sleep(0.05)
        assert not await shows(syd, ONE)
        for found in seen.values():
            assert sum(map(bool, found)) > 20
            assert not any(syd.address in each for each in found)
        for edge in others:
            await eventually(lambda edge=edge: sends(edge, NEAR["syd"], syd.address), within=30)
        assert await shows(syd, ONE)
        await pushing


async def names_only_others(server: EdgeProcess, edge: EdgeProcess) -> bool:
    """Whether a server names somebody for clients near an edge, and not that edge."""
    found = await named(server, NEAR[edge.name])
    return bool(found) and edge.address not in found


@contextlib.contextmanager
def without_http(edges: list[EdgeProcess]) -> Iterator[None]:
    """End the HTTP engines of edges and have their addresses taken by something that answers nothing; all else runs."""
    with contextlib.ExitStack() as stack:
        for edge in edges:
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            deadline = time.monotonic() + 10
            while True:
                for pid in edge.engine_processes():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                try:
                    holder.bind((edge.address, HTTP_PORT))
                    holder.listen(128)
                    break
                except OSError:
                    assert time.monotonic() < deadline, f"{edge.name} goes on to listen"
        yield


@pytest.mark.timeout(180)
async def test_when_all_edges_are_down_all_are_named(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Every edge's HTTP is dead and known to be, their name servers answer: each client is sent to its nearest edge, as
    if all were up. While one is well, that one alone is named.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, others = fleet["iad"], [fleet["fra"], fleet["syd"]]
        with without_http(others):
            for server in fleet:
                await eventually(lambda server=server: is_out(server, "fra", "syd"), within=20)
                for client in NEAR.values():
                    await eventually(lambda server=server, client=client: sends(server, client, iad.address))
            with without_http([iad]):
                for server in fleet:
                    await eventually(lambda server=server: is_out(server, "fra", "iad", "syd"), within=20)
                    await eventually(lambda server=server: sends_home(fleet, server), within=5)
                for _ in range(20):
                    assert all([await sends_home(fleet, server) for server in fleet])
                assert all([await is_out(server, "fra", "iad", "syd") for server in fleet])
        for server in fleet:
            await eventually(lambda server=server: is_out(server), within=90)
            await eventually(lambda server=server: sends_home(fleet, server), within=5)


async def is_out(server: EdgeProcess, *names: str) -> bool:
    """Whether these edges, and no others, are out as one of them sees it."""
    return await out(server) == set(names)


async def test_an_address_that_answers_in_another_edges_name_is_not_named(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """It answers 200, with the live release, as the edge iad: no answer for it stands for the edge gru, which is the
    nearest to clients in Brazil by all else.
    """
    client, address = "200.147.3.0", loopback_addresses()

    def listen(edge: EdgeProcess) -> None:
        if edge.name == "iad":
            both = f'[http]\nlisten = ["{edge.address}", "{address}"]\n'
            edge.config.write_text(edge.config.read_text().replace("[http]\n", both))

    async with (
        steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2, change=listen) as fleet,
        fleet.store() as store,
    ):
        assert await shows(replace(fleet["iad"], address=address), ONE)
        assert await sends(fleet["fra"], client, fleet["iad"].address)
        await store.edges.create(
            "gru", EdgeRecord("gru", "GRU", (address,), port=HTTP_PORT, roles=("http",)).to_bytes()
        )
        for server in fleet:
            await eventually(lambda server=server: is_out(server, "gru"), within=20)

        async def explained() -> bool:
            found = await explain(store, "www.example.test", client.removesuffix("0") + "7")
            first = found.ranked[0]
            return (first.edge, "says that it is edge 'iad'" in first.state) == ("gru", True) and all(
                (each.wrong, each.differs, each.addresses) == ("", False, (fleet["iad"].address,))
                for each in found.served
            )

        await eventually(explained, within=20)
        for _ in range(20):
            for server in fleet:
                assert await sends(server, client, fleet["iad"].address)
            await asyncio.sleep(0.1)
