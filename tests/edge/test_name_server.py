"""Name servers of a real fleet: asked over UDP, they send readers to the nearest edge that is well."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.rcode
import pytest

from deploying import TWO, Deployer
from edgeward.core.dns_settings import DnsSettings, Record
from edgeward.core.fleet import Proof
from edgeward.dns.responder import Responder
from edgeward.dns.server import NameServer, bind
from edgeward.dns.view import View
from edgeward.errors import InputError, NotFoundError, ServeError
from edgeward.publish.delegation import check_fleet
from edgeward.publish.edges import set_drained
from edgeward.publish.explain import Served, explain
from edgeward.publish.name_check import CheckReport, check_names
from edgeward.publish.name_service import Entry, apply_settings, overview
from edgeward.store.connection import Store
from fleet import EdgeProcess
from name_servers import NEAR, WITHIN, ask, named, seconds_until_gone, sends, sends_home, steering, workers_of
from waiting import eventually


async def test_readers_are_sent_to_the_nearest_edge_that_is_well(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Every server answers alike. A killed edge is named by no answer after five seconds (asked 20 times a second, the
    figure is printed), and again once it holds the live release; a drained one at once.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet, fleet.store() as store:
        syd, others = fleet["syd"], [fleet["fra"], fleet["iad"]]
        await syd.kill()
        seconds = await seconds_until_gone(others, NEAR["syd"], syd.address)
        print(f"\nkilled: last named {seconds:.2f} s later")
        assert seconds <= WITHIN
        await deployer.push(store, TWO)
        await syd.start()
        for server in others:
            await eventually(lambda server=server: sends_home(fleet, server), within=40)
        assert (await syd.get("/")).status == 200
        await set_drained(store, "syd", drained=True, because="a new disk")
        await eventually(lambda: not_named(others, NEAR["syd"], syd.address), within=5)
        found = await explain(store, "www.example.test", "139.130.4.5")
        assert found.ranked[0].edge == "syd"
        assert "a new disk" in found.ranked[0].state
        assert syd.address not in found.addresses
        assert [(each.edge, each.wrong, each.differs) for each in found.served] == [(name, "", False) for name in NEAR]
        await set_drained(store, "syd", drained=False)
        await eventually(lambda: sends_home(fleet, others[0]), within=5)


async def not_named(servers: list[EdgeProcess], client: str, address: str) -> bool:
    found = await asyncio.gather(*(named(server, client) for server in servers))
    return all(each and address not in each for each in found)


@pytest.mark.parametrize("victim", ["fra", "iad"])
async def test_a_fleet_of_two_fails_over_whichever_dies(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer, victim: str
) -> None:
    """The one with the state server included: the other has only its own observations then."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet:
        other = next(edge for edge in fleet if edge.name != victim)
        await fleet[victim].kill()
        seconds = await seconds_until_gone([other], NEAR[victim], fleet[victim].address)
        print(f"\n{victim} of two killed: last named {seconds:.2f} s later")
        assert seconds <= WITHIN
        assert await named(other, NEAR[victim]) == {other.address}


async def test_a_frozen_edge_is_not_named(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """SIGSTOP to all of it: it accepts connections and answers nothing."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        iad, others = fleet["iad"], [fleet["fra"], fleet["syd"]]
        assert iad.process is not None
        pids = [iad.process.pid, *iad.engine_processes(), *workers_of(iad)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            seconds = await seconds_until_gone(others, NEAR["iad"], iad.address)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        print(f"\nfrozen: last named {seconds:.2f} s later")
        assert seconds <= WITHIN


async def test_without_the_store_names_are_answered_and_failover_works(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """The edge with the state server dies: the others go on answering all names but those of proofs, and notice when
    one more dies. One that is restarted without a store answers from its disk.
    """
    async with steering(tmp_path / "fleet", loopback_addresses, deployer) as fleet:
        fra, iad, syd = fleet["fra"], fleet["iad"], fleet["syd"]
        await fra.kill()
        await eventually(lambda: proofs_fail(iad), within=15, ignoring=(dns.exception.Timeout,))
        await iad.stop()
        await iad.start()
        await eventually(lambda: answers(iad), within=20, ignoring=(dns.exception.Timeout,))
        await eventually(lambda: sends(iad, NEAR["syd"], syd.address), within=20)
        await syd.kill()
        seconds = await seconds_until_gone([iad], NEAR["syd"], syd.address)
        print(f"\nkilled without a store: last named {seconds:.2f} s later")
        assert seconds <= WITHIN


async def proofs_fail(server: EdgeProcess) -> bool:
    return (await ask(server, "_acme-challenge.www.fleet.test", "TXT")).rcode() == dns.rcode.SERVFAIL


async def answers(server: EdgeProcess) -> bool:
    return (await ask(server, "example.test", "SOA")).rcode() == dns.rcode.NOERROR


async def test_proofs_are_answered_as_soon_as_they_are_in_the_store(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """Every server answers a proof within two seconds, none once it is withdrawn, and never one that is no text."""
    name = "_acme-challenge.www.fleet.test"
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:
        for texts in (("first",), ("first", "second")):
            await store.proofs.put(name, Proof(name, texts).to_bytes())
            for server in fleet:
                await eventually(lambda server=server, texts=texts: proves(server, name, set(texts)), within=2)
        await store.proofs.put(name, b'{"schema":[1,0],"name":"_acme-challenge.www.fleet.test","texts":[1]}')
        await store.proofs.put("_acme-challenge.fleet.test", Proof("_acme-challenge.fleet.test", ("x",)).to_bytes())
        for server in fleet:
            await eventually(lambda server=server: proves(server, "_acme-challenge.fleet.test", {"x"}), within=2)
            assert await proves(server, name, {"first", "second"})
        await store.proofs.delete(name)
        for server in fleet:
            await eventually(lambda server=server: proves(server, name, set()), within=2)


async def proves(server: EdgeProcess, name: str, texts: set[str]) -> bool:
    answer = await ask(server, name, "TXT")
    found = {text.decode() for rrset in answer.answer for rdata in rrset for text in rdata.strings}
    return found == texts and answer.rcode() == (dns.rcode.NOERROR if texts else dns.rcode.NXDOMAIN)


async def test_a_killed_worker_loses_no_name_server(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """It is started again on the same sockets; all of them end with their agent."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=1) as fleet:
        edge = fleet.first
        (worker,) = workers_of(edge)
        os.kill(worker, signal.SIGKILL)
        await eventually(lambda: answers(edge), within=20, ignoring=(dns.exception.Timeout,))
        (again,) = workers_of(edge)
        assert again != worker
        await eventually(lambda: counts(edge), within=20)
        assert edge.process is not None
        edge.process.kill()
        await eventually(lambda: not Path(f"/proc/{again}").exists(), within=10)


async def counts(edge: EdgeProcess) -> bool:
    """Whether the metrics have answers of the name server."""
    return 'edgeward_dns_answers_total{rcode="NOERROR"}' in await edge.metrics()


async def test_settings_are_followed_and_bad_ones_refused(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """A record that is added is answered, a zone that goes is refused, and what cannot be served changes nothing."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=1) as fleet, fleet.store() as store:
        edge = fleet.first
        mail = Record("mail.example.test", "A", "192.0.2.25")
        await apply_settings(store, DnsSettings(zone="fleet.test", zones=("example.test",), records=(mail,)))
        await eventually(lambda: holds(edge, "mail.example.test", "192.0.2.25"), within=10)
        bad = Record("www.example.test", "A", "192.0.2.25")
        with pytest.raises(InputError, match="site blog is steered there"):
            await apply_settings(store, DnsSettings(zone="fleet.test", zones=("example.test",), records=(bad,)))
        assert await holds(edge, "mail.example.test", "192.0.2.25")
        shown = await overview(store)
        assert shown.servers == {"ns-fra.fleet.test": "fra"}
        assert Entry("mail.example.test", "A", mail.ttl, ("192.0.2.25",)) in shown.zones["example.test"]
        fixed = await explain(store, "mail.example.test", "192.0.2.1")
        assert (fixed.site, fixed.addresses, fixed.scope) == (None, ("192.0.2.25",), "0.0.0.0/0")
        assert fixed.served == (Served("fra", ("192.0.2.25",)),)
        with pytest.raises(NotFoundError, match="there is no name post"):
            await explain(store, "post.example.test", "192.0.2.1")
        with pytest.raises(InputError, match="no IP address"):
            await explain(store, "www.example.test", "nowhere")
        with pytest.raises(InputError, match="has a zone"):
            await explain(store, "www.example.test", "fe80::1%eth0")
        mapped, plain = [await explain(store, "www.example.test", each) for each in ("::ffff:8.8.8.0", "8.8.8.0")]
        assert mapped == plain
        assert [(each.edge, each.wrong, each.differs) for each in mapped.served] == [("fra", "", False)]
        await apply_settings(store, DnsSettings(zone="fleet.test"))
        await eventually(lambda: is_refused(edge, "mail.example.test"), within=10)


async def holds(server: EdgeProcess, name: str, address: str) -> bool:
    return {str(rdata) for rrset in (await ask(server, name)).answer for rdata in rrset} == {address}


async def is_refused(server: EdgeProcess, name: str) -> bool:
    return (await ask(server, name)).rcode() == dns.rcode.REFUSED


async def seen_from_outside(store: Store, address: str) -> CheckReport:
    """What a check with all options finds through a resolver that refuses to answer."""
    try:
        udp, tcp = bind([address], 53)
    except ServeError as error:
        pytest.skip(f"resolvers are asked on port 53, and this user may not listen there: {error}")
    async with NameServer(Responder(View(()), None, secret=b"")).serving(udp[0], tcp):
        found = await check_fleet(store, delegation=True, cname=True, resolver=address, within=60)
    for each in (*udp[0], *tcp):
        each.close()
    return found


async def test_a_check_asks_every_server_for_everything(
    tmp_path: Path, loopback_addresses: Callable[[], str], deployer: Deployer
) -> None:
    """No problem where there is none; a server that does not answer is named once for each transport."""
    async with steering(tmp_path / "fleet", loopback_addresses, deployer, edges=2) as fleet, fleet.store() as store:
        records = (
            Record("mail.example.test", "A", "192.0.2.25"),
            Record("*.wild.example.test", "TXT", '"x"'),
            Record("alias.example.test", "CNAME", "www.example.test."),
            Record("child.example.test", "NS", "ns.elsewhere.test."),
            Record("1.0/25.example.test", "PTR", "www.example.test."),
            Record("1.example.test", "CNAME", "1.0/25.example.test."),
        )
        await apply_settings(store, DnsSettings(zone="fleet.test", zones=("example.test",), records=records))
        for edge in fleet:
            await eventually(lambda edge=edge: holds(edge, "mail.example.test", "192.0.2.25"), within=10)
        name = "_acme-challenge.www.fleet.test"
        await store.proofs.put(name, Proof(name, ("a proof",)).to_bytes())
        for edge in fleet:
            await eventually(lambda edge=edge: proves(edge, name, {"a proof"}), within=10)
        found = await check_names(store, within=60)
        assert found.problems == ()
        assert found.servers == ("fra", "iad")
        assert found.questions >= 4 * 20, "two servers, UDP and TCP"
        outside = await seen_from_outside(store, loopback_addresses())
        assert outside.questions > found.questions
        assert [problem.partition(":")[0] for problem in outside.problems] == ["fleet.test", "example.test"]
        frozen = workers_of(fleet["iad"])
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            late = await check_names(store, within=60)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert [problem.partition(" in a row, so ")[0] for problem in late.problems] == [
            f"iad ({fleet['iad'].address}, {transport}): no answer to 3 questions" for transport in ("TCP", "UDP")
        ]
