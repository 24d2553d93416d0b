"""What `edgeward demo` will start: three edges of one fleet on this machine, each on an address of its own.

Pure but for the look at which addresses and ports this machine can give.
"""

import errno
import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeward.cli.project import Project, load_project, slug
from edgeward.errors import EngineMissing, InputError, ServeError
from edgeward.serve.nginx.installed import find_nginx

LOCATIONS = ("FRA", "IAD", "SYD", "SIN", "GRU", "NRT", "JNB", "LHR", "SFO")
EngineChoice = Literal["auto", "nginx", "preview"]
HOSTNAMES = ("www.example.test", "example.test")
ZONES = ("fleet.test", "example.test")
"""What the demo's name servers serve; the first is the fleet's own."""


@dataclass(frozen=True, slots=True)
class DemoWishes:
    """What the person asked for. site: folder to push, None: the one that comes with edgeward."""

    site: Path | None
    edges: int
    http_port: int
    store_port: int
    metrics_port: int
    engine: EngineChoice
    dns_port: int = 5300


@dataclass(frozen=True, slots=True)
class DemoEdge:
    """One edge of the demo. folder: all that it keeps."""

    name: str
    location: str
    address: str
    http_port: int
    folder: Path

    @property
    def url(self) -> str:
        """Where it answers HTTP."""
        return f"http://{self.address}:{self.http_port}"

    @property
    def config(self) -> Path:
        """Its `edge.toml`."""
        return self.folder / "edge.toml"

    @property
    def log(self) -> Path:
        """What its agent says."""
        return self.folder / "agent.log"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """All that the demo needs to know. edges: the first one carries the state server. engine: what serves HTTP.

    engine_note: why not nginx, None if it is nginx. project: the site that is pushed. dns_port: None: no edge answers
    DNS, for they share an address.
    """

    edges: tuple[DemoEdge, ...]
    store_port: int
    metrics_port: int
    engine: Literal["nginx", "preview"]
    engine_note: str | None
    project: Project
    dns_port: int | None = 5300

    @property
    def store_url(self) -> str:
        """Where the state store answers."""
        return f"nats://{self.edges[0].address}:{self.store_port}"

    def metrics_port_of(self, edge: DemoEdge) -> int:
        """Where an edge tells its metrics: one port, or one for each where edges share an address."""
        return self.metrics_port + [other for other in self.edges if other.address == edge.address].index(edge)

    @property
    def token_file(self) -> Path:
        """Where the state server keeps its token."""
        return self.edges[0].folder / "state" / "token"


def plan_demo(wishes: DemoWishes, data: Path) -> DemoPlan:
    """Decide what to start. data: folder for everything.

    Raises InputError for a folder that is no site, ServeError if an address or port cannot be had, EngineMissing.
    """
    project = demo_project(wishes.site)
    chosen, note = _choose_engine(wishes.engine)
    own_addresses = _can_bind("127.0.10.1", 0) is None
    planned = []
    for number, location in enumerate(LOCATIONS[: wishes.edges]):
        name = location.lower()
        address = f"127.0.10.{number + 1}" if own_addresses else "127.0.0.1"
        port = wishes.http_port if own_addresses else wishes.http_port + number
        planned.append(DemoEdge(name, location, address, port, data / name))
    dns_port = wishes.dns_port if own_addresses else None
    plan = DemoPlan(tuple(planned), wishes.store_port, wishes.metrics_port, chosen, note, project, dns_port)
    _check_ports(plan)
    return plan


def demo_project(site: Path | None) -> Project:
    """Return the site to push: the given folder, with or without edgeward.toml, else the one that comes with edgeward.

    A folder without `edgeward.toml` becomes www.example.test and example.test. Raises InputError.
    """
    folder = site if site is not None else shipped_site()
    if (folder / "edgeward.toml").is_file():
        return load_project(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"the site {folder} {what}", hint="edgeward demo DIR, or make demo SITE=DIR")
    return load_project(folder, name=slug(folder.resolve().name), hostnames=HOSTNAMES)


def shipped_site() -> Path:
    """Return the folder of the site that comes with edgeward. Raises InputError if this installation has none."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "demo_site", package.parents[1] / "site"):
        if (folder / "index.html").is_file() or (folder / "edgeward.toml").is_file():
            return folder
    raise InputError("this installation has no demo site", hint="edgeward demo DIR")


def edge_toml(plan: DemoPlan, edge: DemoEdge) -> str:
    """Return the `edge.toml` of one edge of the demo."""
    first = edge == plan.edges[0]
    lines = [
        f"name = {_toml(edge.name)}",
        f"location = {_toml(edge.location)}",
        f"data = {_toml(str(edge.folder))}",
        f"addresses = [{_toml(edge.address)}]",
        "",
        "[http]",
        f"port = {edge.http_port}",
        f"engine = {_toml(plan.engine)}",
        "workers = 1",
        "",
        "[store]",
        f"url = {_toml(plan.store_url)}",
        f"token_file = {_toml(str(plan.token_file))}",
        "",
        "[limits]",
        'disk_reserve = "64 MiB"',
        "",
        "[metrics]",
        f"listen = {_toml(f'{edge.address}:{plan.metrics_port_of(edge)}')}",
    ]
    if plan.dns_port is not None:
        lines += ["", "[dns]", f"port = {plan.dns_port}", "workers = 1"]
    if first:
        lines += ["", "[state]", f"listen = {_toml(edge.address)}", f"port = {plan.store_port}"]
    return "\n".join([*lines, ""])


def _choose_engine(wanted: EngineChoice) -> tuple[Literal["nginx", "preview"], str | None]:
    if wanted == "preview":
        return "preview", "as asked"
    if sys.platform == "linux" and find_nginx() is not None:
        return "nginx", None
    why = "no nginx is installed" if sys.platform == "linux" else "nginx is driven on Linux only"
    if wanted == "nginx":
        raise EngineMissing(f"the demo cannot run on nginx: {why}", hint="apt-get install nginx, or --engine preview")
    return "preview", why


def _check_ports(plan: DemoPlan) -> None:
    wanted = [(edge.address, edge.http_port, "--http-port", f"HTTP of edge {edge.name}") for edge in plan.edges]
    wanted += [
        (edge.address, plan.metrics_port_of(edge), "--metrics-port", f"metrics of edge {edge.name}")
        for edge in plan.edges
    ]
    if plan.dns_port is not None:
        wanted += [(edge.address, plan.dns_port, "--dns-port", f"DNS of edge {edge.name}") for edge in plan.edges]
    wanted.append((plan.edges[0].address, plan.store_port, "--store-port", "the state store"))
    for address, port, option, what in wanted:
        why = _can_bind(address, port)
        if why is not None:
            hint = f"{option} {port + 1000 if port + 1000 < 65536 else 20000}"
            raise ServeError(f"{address} port {port}, for {what}, cannot be had: {why}", hint=hint, port=port)


def _can_bind(address: str, port: int) -> str | None:
    """Return why this machine cannot listen there, None if it can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "another program has it"
            return (error.strerror or str(error)).lower()
        except OverflowError:
            return "a port is a number from 1 to 65535"
    return None


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
