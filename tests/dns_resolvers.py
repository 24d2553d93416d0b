"""Resolvers of Debian, each a child process with a configuration of its own that asks our name servers and nobody else.

Nothing leaves loopback, by three means: stubs lead to our servers, so does the hint for the root, and what a resolver
sends comes from a loopback address, with which the kernel lets no packet out of any other interface.
"""

import asyncio
import contextlib
import random
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.exception
import dns.message
import dns.rcode
import pytest

from waiting import eventually

PORT = 53
"""Where name servers are asked: the only port that the addresses in a delegation can mean."""


@dataclass(frozen=True)
class Stubs:
    """Zones, and the address of the server that is asked for each. rest: address of the one for everything else."""

    zones: dict[str, str]
    rest: str


@dataclass(frozen=True)
class Resolver:
    """One that answers."""

    name: str
    address: str
    port: int

    async def ask(
        self, name: str, kind: str = "A", *, subnet: str | None = None, seconds: float = 10
    ) -> dns.message.Message:
        """Ask as a program's stub does: over UDP, and over TCP where the answer is truncated."""
        options: list[dns.edns.Option] = []
        if subnet is not None:
            address, _, length = subnet.partition("/")
            options.append(dns.edns.ECSOption(address, int(length)))
        asked = dns.message.make_query(name, kind, use_edns=0, payload=1232, options=options)
        answer, _ = await dns.asyncquery.udp_with_fallback(asked, self.address, port=self.port, timeout=seconds)
        return answer


def bind9(address: str, port: int, stubs: Stubs, folder: Path) -> Sequence[str]:
    """BIND: a static stub for each zone. It listens where an interface has its address, so not on any of 127/8."""
    (folder / "root.hints").write_text(f". 3600 NS rest.invalid.\nrest.invalid. 3600 A {stubs.rest}\n")
    zones = "".join(
        f'zone "{zone}" {{ type static-stub; server-addresses {{ {server}; }}; }};\n'
        for zone, server in stubs.zones.items()
    )
    (folder / "named.conf").write_text(
        f'options {{ directory "{folder}"; pid-file none; session-keyfile none; recursion yes;\n'
        f" listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }}; query-source address {address};\n"
        " allow-query { any; }; dnssec-validation no; empty-zones-enable no; };\n"
        f'controls {{ }};\nzone "." {{ type hint; file "root.hints"; }};\n{zones}'
    )
    return ["named", "-4", "-g", "-n", "1", "-c", str(folder / "named.conf")]


def unbound(
    address: str, port: int, stubs: Stubs, folder: Path, *, subnets: bool = False, validator: bool = True
) -> Sequence[str]:
    """Unbound: a stub for each zone, names in mixed case. subnets: forward those of clients to all our servers."""
    modules = ["subnetcache"] * subnets + ["validator"] * validator + ["iterator"]
    servers = sorted({*stubs.zones.values(), stubs.rest})
    zones = "".join(
        f'stub-zone:\n name: "{zone}"\n stub-addr: {server}\n'
        for zone, server in [*stubs.zones.items(), (".", stubs.rest)]
    )
    forwarded = "".join(f" send-client-subnet: {server}\n" for server in servers) if subnets else ""
    (folder / "unbound.conf").write_text(
        f"server:\n interface: {address}@{port}\n outgoing-interface: {address}\n do-ip6: no\n num-threads: 1\n"
        f' directory: "{folder}"\n chroot: ""\n username: ""\n pidfile: ""\n use-syslog: no\n do-daemonize: no\n'
        " access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n"
        ' local-zone: "test." nodefault\n use-caps-for-id: yes\n'
        f' module-config: "{" ".join(modules)}"\n{forwarded}remote-control:\n control-enable: no\n{zones}'
    )
    return ["unbound", "-d", "-p", "-c", str(folder / "unbound.conf")]


def knot_resolver(address: str, port: int, stubs: Stubs, folder: Path) -> Sequence[str]:
    """Knot Resolver: a policy of stubs."""
    policies = "".join(
        f"policy.add(policy.suffix(policy.STUB('{server}'), {{todname('{zone}')}}))\n"
        for zone, server in stubs.zones.items()
    )
    (folder / "kresd.conf").write_text(
        f"net.ipv6 = false\nnet.outgoing_v4('{address}')\nnet.listen('{address}', {port}, {{ kind = 'dns' }})\n"
        "modules.unload('ta_update')\nmodules.unload('ta_signal_query')\nmodules.unload('priming')\n"
        "modules.unload('detect_time_skew')\ntrust_anchors.remove('.')\n"
        f"cache.size = 10 * MB\nmodules.load('hints')\nhints.root({{ ['rest.invalid.'] = '{stubs.rest}' }})\n{policies}"
    )
    return ["kresd", "--noninteractive", "--config", str(folder / "kresd.conf"), str(folder)]


Configure = Callable[[str, int, Stubs, Path], Sequence[str]]
RESOLVERS: dict[str, Configure] = {"BIND": bind9, "Unbound": unbound, "Knot Resolver": knot_resolver}


def _free_port() -> int:
    """Return a port that is free for UDP and TCP, below those that the kernel gives to whoever names none."""
    while True:
        port = random.randint(10_000, 32_000)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


@contextlib.asynccontextmanager
async def running(command: Sequence[str], resolver: Resolver, folder: Path, *, known: str) -> AsyncIterator[Resolver]:
    """Run a program until the block ends, which begins when it answers. known: a name that has an address there."""
    path = shutil.which(command[0], path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip(f"{command[0]} is not installed (make test as root installs it on Debian)")
    with (folder / "output.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            path, *command[1:], stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder
        )

    async def ready() -> bool:
        said = (folder / "output.txt").read_text(errors="replace")[-2000:]
        if process.returncode is not None:
            pytest.fail(f"{resolver.name} has ended with {process.returncode}: {said}")
        answer = await resolver.ask(known, seconds=0.1)  # before it listens nothing says that it does not
        return answer.rcode() == dns.rcode.NOERROR

    what, ignoring = f"an answer of {resolver.name}", (OSError, dns.exception.DNSException)
    try:
        await eventually(ready, within=20, what=what, ignoring=ignoring)
        yield resolver
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def resolving(
    name: str, configure: Configure, stubs: Stubs, folder: Path, *, known: str
) -> AsyncIterator[Resolver]:
    """Run a resolver until the block ends. known: a name in one of the zones that answers when it is ready."""
    address, port = "127.0.0.1", _free_port()
    command = configure(address, port, stubs, folder)
    async with running(command, Resolver(name, address, port), folder, known=known) as resolver:
        yield resolver
