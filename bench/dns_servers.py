"""Name servers to compare, each on one core with the same steered names and 200,000 networks: ours and three peers."""

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rdata
import dns.rdatatype
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from bench.processes import OUTPUT, install, pinned
from bench.round_trips import REGIONS, places
from edgeward.core.steering import SteeredEdge, build
from edgeward.dns.server import bind
from edgeward.dns.view import View
from edgeward.dns.worker import Start
from edgeward.dns.zone import RRset, Zone

ADDRESS = "127.55.0.10"
NETWORKS = 200_000
SEED = 20_26
NAMES = tuple(f"site{number}" for number in range(8))
ZONE = "example.test"
EDGES = {name: f"192.0.2.{number + 1}" for number, name in enumerate(("FRA", "IAD", "SYD", "NRT", "GRU", "BAH"))}
"""Airport near an edge -> its address. None is within 15 ms of another, so that every answer has one address."""
COUNTRIES = dict(REGIONS.values())
_RECORDS = {
    "SOA": "ns.example.test. hostmaster.example.test. 1 3600 600 86400 60",
    "NS": "ns.example.test.",
}
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_COOKIE_KEY = bytes(range(16)).hex()
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Running:
    """A name server that answers. pid: the process whose time is counted, with all its threads."""

    name: str
    port: int
    pid: int

    def address_of(self, name: str, network: IPv4Network) -> str:
        """Return the one address that a client subnet is answered with."""
        option = dns.edns.ECSOption(str(network.network_address), network.prefixlen)
        asked = dns.message.make_query(f"{name}.{ZONE}", "A", use_edns=0, options=[option])
        answer = dns.query.udp(asked, ADDRESS, port=self.port, timeout=2)
        (address,) = [str(rdata) for rrset in answer.answer for rdata in rrset]
        return address

    def cookie(self, client: bytes) -> bytes:
        """Return a client's cookie together with the one that the server gives it (RFC 7873)."""
        option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, client)
        asked = dns.message.make_query(f"{NAMES[0]}.{ZONE}", "A", use_edns=0, options=[option])
        answer = dns.query.udp(asked, ADDRESS, port=self.port, timeout=2)
        (cookie,) = [each.to_wire() for each in answer.options if each.otype == dns.edns.OptionType.COOKIE]
        return bytes(cookie)

    def cpu_seconds(self) -> float:
        """Return the time on a core, user and system, that it has had so far (proc_pid_schedstat)."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Data:
    """Networks in random places of the world, and which edge each is to be sent to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        chance = random.Random(SEED)
        self.networks = {
            IPv4Network((number << 8, 24)): chance.choice(list(EDGES))
            for number in sorted(chance.sample(range(1 << 16, 224 << 16), NETWORKS))
        }
        # Questions without a client subnet come from there, and are to have an answer.
        self.networks[IPv4Network("127.0.0.0/24")] = "FRA"

    def write_database(self) -> Path:
        """Write a country database, as PowerDNS and Knot read it: the country of each network is that of its edge."""
        path = self.folder / "country.mmdb"
        writer = MMDBWriter(4, "GeoLite2-Country", languages=["en"])
        for edge in EDGES:
            record = {"country": {"iso_code": COUNTRIES[edge]}, "city": {"names": {"en": edge}}}
            writer.insert_network(IPSet([str(each) for each, its in self.networks.items() if its == edge]), record)
        writer.to_db_file(str(path))
        return path


@contextlib.contextmanager
def ours(data: Data) -> Iterator[Running]:
    """Run one worker, as an edge does, without a limit of answers: no peer has one either. Nor has it an agent."""
    folder = _folder(data, "edgeward")
    where = places()
    table = build(
        [SteeredEdge(name, where[name], (address,)) for name, address in EDGES.items()],
        geography=[(network, where[edge], edge) for network, edge in data.networks.items()],
        default=tuple(EDGES),
    )
    apex = {
        int(dns.rdatatype.from_text(kind)): RRset(86_400, (dns.rdata.from_text("IN", kind, text).to_digestable(),))
        for kind, text in _RECORDS.items()
    }
    view = View((Zone(ZONE, {ZONE: apex}, {f"{name}.{ZONE}": name for name in NAMES}),), server="fra")
    (folder / "table").write_bytes(table.to_bytes())
    (folder / "view").write_bytes(view.to_bytes())
    udp, tcp = bind([ADDRESS], 5300)
    numbers = (udp[0][0].fileno(),), (tcp[0].fileno(),)
    start = Start(*numbers, str(folder / "view"), str(folder / "table"), _COOKIE_KEY, 0, heard_within=_DAY)
    command = [sys.executable, "-m", "edgeward.dns.worker"]
    with started("edgeward", command, 5300, folder, passed=(*numbers[0], *numbers[1]), told=start.to_line()) as running:
        yield running
    for each in (*udp[0], *tcp):
        each.close()


@contextlib.contextmanager
def powerdns(data: Data) -> Iterator[Running]:
    """Run PowerDNS with its geoip backend: an address by country, from the database, as fast as it can be had.

    Each name's record is made of one look-up, of the country in a table of addresses. The usual way, a service that
    leads to `%cc.edges`, asks the database twice and makes a second name for every question: 2 us more, measured.
    What depends on the network is never in the packet cache, so that looking there is for nothing; the query cache
    holds the rest of what each question needs, and longer than by default, since nothing of it changes.
    """
    folder = _folder(data, "pdns")
    mapped = "".join(f"  {COUNTRIES[edge].lower()}: {address}\n" for edge, address in EDGES.items())
    names = "".join(f"      {name}.{ZONE}:\n        - a: '%mp'\n" for name in NAMES)
    # It reads the table for zones with a service alone: hence one that nobody asks for. Networks that the database
    # does not have are "unknown", and need an address as well.
    (folder / "zones.yml").write_text(
        f"mapping_lookup_formats: ['%cc']\ncustom_mapping:\n  unknown: {EDGES['FRA']}\n{mapped}"
        f"domains:\n  - domain: {ZONE}\n    ttl: 30\n    records:\n      {ZONE}:\n        - soa: {_RECORDS['SOA']}\n"
        f"        - ns: {_RECORDS['NS']}\n{names}    services:\n      unused.{ZONE}: elsewhere.{ZONE}\n"
    )
    (folder / "pdns.conf").write_text(
        f"launch=geoip\ngeoip-zones-file={folder}/zones.yml\ngeoip-database-files=mmdb:{data.folder}/country.mmdb\n"
        f"local-address={ADDRESS}\nlocal-port=5301\nedns-subnet-processing=yes\nedns-cookie-secret={_COOKIE_KEY}\n"
        "cache-ttl=0\nquery-cache-ttl=300\nnegquery-cache-ttl=300\n"
        f"receiver-threads=1\ndistributor-threads=1\nsocket-dir={folder}\nversion-string=anonymous\nsecurity-poll-suffix=\n"
    )
    command = [program("pdns_server"), f"--config-dir={folder}", "--daemon=no", "--guardian=no"]
    with started("PowerDNS geoip", command, 5301, folder) as running:
        yield running


@contextlib.contextmanager
def gdnsd(data: Data) -> Iterator[Running]:
    """Run gdnsd with its geoip plugin: a file of networks, each with its datacenter."""
    folder = _folder(data, "gdnsd")
    for each in ("geoip", "zones", "run", "state"):
        (folder / each).mkdir()
    (folder / "geoip" / "nets").write_text("".join(f"{net} => {edge}\n" for net, edge in data.networks.items()))
    addresses = " ".join(f"{edge} => {address}" for edge, address in EDGES.items())
    resource = f"www => {{ map => world service_types => up dcmap => {{ {addresses} }} }}"
    (folder / "config").write_text(
        f"options => {{ listen => [ {ADDRESS}:5302 ] run_dir => {folder}/run state_dir => {folder}/state\n"
        f"  udp_threads => 1 tcp_threads => 1 cookie_key_file => {folder}/key }}\nservice_types => {{ }}\n"
        f"plugins => {{ geoip => {{ maps => {{ world => {{ datacenters => [ {', '.join(EDGES)} ]\n"
        f"  nets => nets }} }} resources => {{ {resource} }} }} }}\n"
    )
    (folder / "key").write_bytes(bytes(range(32)))
    names = "".join(f"{name} 30 DYNA geoip!www\n" for name in NAMES)
    (folder / "zones" / ZONE).write_text(f"@ SOA {_RECORDS['SOA']}\n@ NS {_RECORDS['NS']}\nns A 192.0.2.53\n{names}")
    command = [program("gdnsd"), "-c", str(folder), "start"]
    with started("gdnsd geoip", command, 5302, folder) as running:
        yield running


@contextlib.contextmanager
def knot(data: Data) -> Iterator[Running]:
    """Run Knot DNS with mod-geoip, by country from the database, and mod-cookies."""
    folder = _folder(data, "knot")
    rows = "".join(f"  - geo: {COUNTRIES[edge]}\n    A: [ {address} ]\n" for edge, address in EDGES.items())
    (folder / "geo.yml").write_text("".join(f"{name}.{ZONE}:\n{rows}" for name in NAMES))
    names = "".join(f"{name} 30 A 192.0.2.1\n" for name in NAMES)
    (folder / "zone").write_text(
        f"$ORIGIN {ZONE}.\n@ 86400 SOA {_RECORDS['SOA']}\n@ 86400 NS {_RECORDS['NS']}\nns A 192.0.2.53\n{names}"
    )
    (folder / "knot.conf").write_text(
        f'server:\n  listen: "{ADDRESS}@5303"\n  rundir: "{folder}"\n  udp-workers: 1\n  tcp-workers: 1\n'
        "  edns-client-subnet: on\n"
        f'database:\n  storage: "{folder}"\n'
        f'mod-geoip:\n  - id: world\n    config-file: "{folder}/geo.yml"\n    mode: geodb\n    ttl: 30\n'
        f'    geodb-file: "{data.folder}/country.mmdb"\n    geodb-key: country/iso_code\n'
        f"template:\n  - id: default\n    global-module: mod-cookies\n"
        f'zone:\n  - domain: {ZONE}\n    file: "{folder}/zone"\n    zonefile-sync: -1\n    journal-content: none\n'
        "    module: mod-geoip/world\n"
    )
    command = [program("knotd"), "-c", str(folder / "knot.conf")]
    with started("Knot mod-geoip", command, 5303, folder) as running:
        yield running


PEERS = (powerdns, gdnsd, knot)


def _folder(data: Data, name: str) -> Path:
    folder = data.folder / name
    folder.mkdir()
    return folder


def install_peers() -> None:
    """Install the peers and the load where they are absent. Raises EngineMissing."""
    wanted = ("dnsperf", "pdns-server", "pdns-backend-geoip", "gdnsd", "knot", "knot-module-geoip")
    # By package: another part of the project may have installed a peer without its module.
    asked = ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *wanted]
    there = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60).stdout.splitlines()
    missing = [package for package in wanted if f"{package} installed" not in there]
    if missing:
        install(*missing)


def program(name: str) -> str:
    """Return the path of a peer that is installed."""
    found = shutil.which(name, path=_PATH)
    assert found is not None
    return found


@contextlib.contextmanager
def started(
    name: str, command: Sequence[str], port: int, folder: Path, *, passed: Sequence[int] = (), told: bytes | None = None
) -> Iterator[Running]:
    """Run a name server on its core until the block ends; wait until it answers."""
    with pinned(command, folder, passed=passed, told=told) as process:
        running = Running(name, port, process.pid)
        deadline = time.monotonic() + 60
        while not _answers(running):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / OUTPUT).read_text(errors="replace")[-500:]
                raise RuntimeError(f"{name} does not answer: {said}")
            time.sleep(0.1)
        yield running


def _answers(running: Running) -> bool:
    try:
        return bool(running.address_of(NAMES[0], IPv4Network("198.51.100.0/24")))
    except (OSError, ValueError, dns.exception.DNSException):
        return False
