"""One probe: what counts as an edge in good health, over HTTP and HTTPS, IPv4 and IPv6."""

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgeward.core.health import Result
from edgeward.edge.loop_clock import LoopClock
from edgeward.edge.probe import BRIEF, HEALTH, Endpoint, Probe, brief_bytes
from edgeward.serve.engine import ServedView
from edgeward.serve.preview.engine import PreviewEngine
from islands import made_island, needs_root

R1, R2 = "1" * 64, "2" * 64
NAME = "www.example.test"
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def health(edge: str = "syd", *, rotten: int = 0, generation: int = 3, **sites: str) -> dict[str, object]:
    held = {site: {"live": release, "since": 1, "staged": [release]} for site, release in sites.items()}
    return {"schema": [1, 0], "edge": edge, "generation": generation, "rotten": rotten, "sites": held}


def answer(body: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Impostor:
    """A server that answers with whatever a test wants an edge to have said. said: by path."""

    def __init__(self, said: dict[str, object] | None = None) -> None:
        self.connections = 0
        self.asked: list[str] = []
        self.value = said or health()
        self.respond: Callable[[Impostor, Wire, str], Awaitable[None]] = Impostor.well

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                self.asked.append(path)
                await self.respond(self, (reader, writer), path)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def well(self, wire: Wire, path: str) -> None:
        body = brief_bytes(self.value) if path == BRIEF else json.dumps(self.value).encode()
        wire[1].write(answer(body))


@asynccontextmanager
async def probing(
    impostor: Impostor,
    address: str,
    *,
    latency: float = 0.5,
    server: ssl.SSLContext | None = None,
    trusts: ssl.SSLContext | None = None,
    host: str = NAME,
) -> AsyncIterator[Probe]:
    clock = LoopClock()
    ticking = asyncio.create_task(clock.run())
    serving = await asyncio.start_server(impostor.serve, address, 0, ssl=server)
    port = serving.sockets[0].getsockname()[1]
    probe = Probe(Endpoint("syd", address, port, host, trusts), clock=clock, latency=latency)
    try:
        yield probe
    finally:
        await probe.close()
        serving.close()
        await serving.wait_closed()
        ticking.cancel()


@pytest.fixture(params=["IPv4", "IPv6"])
def address(request, loopback_address: str) -> str:
    return loopback_address if request.param == "IPv4" else "::1"


async def test_one_connection_and_one_small_answer_for_each_probe(address: str) -> None:
    """As long as the edge serves what is live, the brief is all that is asked for, on one connection."""
    impostor = Impostor(health(www=R1, blog=R2))
    async with probing(impostor, address) as probe:
        for _ in range(5):
            result = await probe.ask({"www": R1, "blog": R2})
            assert result.failure is None
            assert result.sites == {"www": R1, "blog": R2}
            assert result.milliseconds is not None
            assert 0 < result.milliseconds < 500
    assert impostor.connections == 1
    assert set(impostor.asked) == {BRIEF}


async def test_what_is_served_instead_is_asked_for_once(loopback_address: str) -> None:
    """The whole health, until it changes."""
    impostor = Impostor(health(www=R1))
    async with probing(impostor, loopback_address) as probe:
        for _ in range(3):
            assert (await probe.ask({"www": R2})).sites == {"www": R1}
        impostor.value = health(www=R2, old=R1)
        for _ in range(3):
            assert (await probe.ask({"www": R2})).sites == {"www": R2, "old": R1}
    assert impostor.asked.count(HEALTH) == 2


async def test_an_edge_that_has_just_started_says_so(loopback_address: str) -> None:
    """What it serves is not known yet."""
    async with probing(Impostor(health(generation=0)), loopback_address) as probe:
        result = await probe.ask({"www": R1})
    assert (result.failure, result.starting, result.sites) == (None, True, {})


def raw(data: bytes) -> Callable[[Impostor, Wire, str], Awaitable[None]]:
    async def respond(impostor: Impostor, wire: Wire, path: str) -> None:
        wire[1].write(data)
        await wire[1].drain()
        wire[1].close()

    return respond


async def silent(impostor: Impostor, wire: Wire, path: str) -> None:
    await wire[0].read()


@pytest.mark.parametrize(
    ("said", "respond", "why"),
    [
        (health("iad"), None, "says that it is edge 'iad'"),
        (health(rotten=3), None, "says that 3 blobs have rotted on its disk"),
        (None, raw(answer(b"{}")), "answers with something else than the health of an edge"),
        (None, raw(answer(b"[]")), "answers with something else than the health of an edge"),
        (None, raw(answer(b"<html>")), "answers with something else than JSON"),
        (None, raw(answer(b"x", status="404 Not Found")), "answers 404"),
        (None, raw(answer(b"x", status="301 Moved", more="Location: /\r\n")), "answers 301"),
        (None, raw(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "cannot be asked: illegal status line"),
        (None, raw(b""), "cannot be asked: "),
        (None, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "cannot be asked: peer closed connection"),
        (None, raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (17 << 20)), "cannot be asked: the answer does not end"),
        (None, silent, "does not answer within 0.5 s"),
    ],
)
async def test_what_is_no_edge_in_good_health_fails(said, respond, why: str, loopback_address: str) -> None:
    """200 alone is not enough: the name, the shape, the time and the disk count, and the reason says which it was."""
    impostor = Impostor(said)
    impostor.respond = respond or impostor.respond
    async with probing(impostor, loopback_address) as probe:
        result = await probe.ask({})
        assert result.failure is not None
        assert result.failure.startswith(f"{loopback_address}:")
        assert why in result.failure
        assert not result.own
        assert result.sites is None
        impostor.respond, impostor.value = Impostor.well, health()
        assert (await probe.ask({})).failure is None, "the next probe is not held back by the failure"


async def test_nobody_there_and_no_way_there(loopback_address: str) -> None:
    """A connection that is refused is the edge's failure; a network that this machine has no way to is its own."""
    clock = LoopClock()
    refused = await Probe(Endpoint("syd", loopback_address, 9, NAME), clock=clock, latency=1).ask({})
    assert (refused.own, refused.failure) == (False, f"{loopback_address}:9 cannot be asked: Connection refused")
    nowhere = await Probe(Endpoint("syd", "255.255.255.255", 80, NAME), clock=clock, latency=1).ask({})
    assert nowhere.own
    assert nowhere.failure is not None


@needs_root
@pytest.mark.parametrize("family", [4, 6])
async def test_a_router_that_knows_no_way_is_a_failure_of_the_edge(family: int) -> None:
    """A prefix that is no longer announced is answered by a router on the way (ICMP, "net unreachable"): connect(2)
    then fails as it does on a machine without a network, and the edge is gone all the same.
    """
    with made_island() as island:
        beyond, router = ("198.18.77", f"{island.net}.3") if family == 4 else ("fd77:77:77", f"{island.net6}:3")
        network, there = (f"{beyond}.0/24", f"{beyond}.5") if family == 4 else (f"{beyond}::/48", f"{beyond}::5")
        forwarding = "net.ipv4.ip_forward" if family == 4 else "net.ipv6.conf.all.forwarding"
        subprocess.run(["ip", "netns", "exec", island.name, "sysctl", "-qw", f"{forwarding}=1"], check=True)
        subprocess.run(["ip", f"-{family}", "route", "add", network, "via", router], check=True)
        gone = await Probe(Endpoint("syd", there, 80, NAME), clock=LoopClock(), latency=3).ask({})
        assert gone.failure is not None
        assert "Network is unreachable" in gone.failure
        assert not gone.own


async def test_a_kept_connection_that_was_closed_is_no_failure(loopback_address: str) -> None:
    """Nginx closes them at every reload: the question is put again on a new one."""

    async def once(impostor: Impostor, wire: Wire, path: str) -> None:
        await impostor.well(wire, path)
        await wire[1].drain()
        wire[1].close()

    impostor = Impostor()
    impostor.respond = once
    async with probing(impostor, loopback_address) as probe:
        assert [(await probe.ask({})).failure for _ in range(3)] == [None] * 3
    assert impostor.connections == 3


async def test_a_frozen_edge_costs_one_latency_limit(loopback_address: str) -> None:
    """A kept connection that goes silent is not followed by another wait on a new one."""
    impostor = Impostor()
    async with probing(impostor, loopback_address, latency=0.3) as probe:
        assert (await probe.ask({})).failure is None
        impostor.respond = silent
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert "within 0.3 s" in ((await probe.ask({})).failure or "")
        assert loop.time() - began < 0.55


async def test_a_real_edge_answers(loopback_address: str, tmp_path: Path) -> None:
    """The preview engine serves the brief for any Host as nginx does (tests of verdicts ask that)."""
    (tmp_path / "brief.json").write_bytes(brief_bytes(health(www=R1)))
    engine = PreviewEngine([loopback_address], 0, brief=tmp_path / "brief.json")
    await engine.start(ServedView("syd"))
    try:
        endpoint = Endpoint("syd", *engine.addresses[0], host=loopback_address)
        probe = Probe(endpoint, clock=LoopClock(), latency=1)
        results = [await probe.ask({"www": R1}) for _ in range(3)]
        await probe.close()
    finally:
        await engine.stop()
    assert [result.failure for result in results] == [None] * 3


def key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._now = dt.datetime.now(dt.UTC)
        self.certificate = self._sign(self._name, self._key, (), authority=True, days=30)
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._folder / "ca.pem"))

    def server(self, *names: str, days: float = 10) -> ssl.SSLContext:
        """A server's context with a certificate for these names, good until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made = self._sign(subject, key, names, authority=False, days=days)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._folder / "server.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem")
        return context

    def _sign(self, subject, key, names, *, authority: bool, days: float) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - dt.timedelta(days=20))
            .not_valid_after(self._now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            # Python 3.13 asks for all that RFC 5280 sections 4.2.1.1 to 4.2.1.3 do.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(key_usage(authority=authority), critical=True)
        )
        if names:
            found = [
                x509.DNSName(name) if name[-1].isalpha() else x509.IPAddress(ipaddress.ip_address(name))
                for name in names
            ]
            made = made.add_extension(x509.SubjectAlternativeName(found), critical=False)
        return made.sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_https_with_the_name_of_the_site(authority: Authority, address: str) -> None:
    """SNI carries the name, the certificate is checked against it, and the connection is kept."""
    names: list[str | None] = []
    context = authority.server(NAME)
    context.sni_callback = lambda _, name, __: names.append(name)
    impostor = Impostor(health(www=R1))
    async with probing(impostor, address, server=context, trusts=authority.trusted()) as probe:
        assert [(await probe.ask({"www": R1})).failure for _ in range(3)] == [None] * 3
    assert names == [NAME]
    assert impostor.connections == 1


@pytest.mark.parametrize("fault", ["another name", "expired", "not trusted", "no TLS"])
async def test_a_certificate_that_does_not_hold_is_a_failure(
    authority: Authority, loopback_address: str, fault: str
) -> None:
    """Readers' browsers would refuse it too; the reason says what is wrong with it."""
    server = {
        "another name": lambda: authority.server("other.test"),
        "expired": lambda: authority.server(NAME, days=-1),
        "not trusted": lambda: authority.server(NAME),
        "no TLS": lambda: None,
    }[fault]()
    trusts = ssl.create_default_context() if fault == "not trusted" else authority.trusted()
    async with probing(Impostor(), loopback_address, server=server, trusts=trusts) as probe:
        result: Result = await probe.ask({})
    assert result.failure is not None
    assert not result.own
    words = {
        "another name": "does not hold: Hostname mismatch",
        "expired": "does not hold: certificate has expired",
        "not trusted": "does not hold: ",
        "no TLS": "does not answer within",
    }
    assert words[fault] in result.failure
