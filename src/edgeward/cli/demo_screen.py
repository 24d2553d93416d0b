"""What `edgeward demo` shows: how to open the site, and what to try."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from edgeward.cli import tables
from edgeward.cli.demo_fleet import RESTART_SECONDS
from edgeward.cli.demo_plan import HOSTNAMES, ZONES, DemoEdge, DemoPlan
from edgeward.cli.figures import count, seconds, short, size
from edgeward.cli.fleets_file import STORE_VARIABLE, TOKEN_VARIABLE
from edgeward.cli.grid import Grid
from edgeward.cli.views import visible
from edgeward.publish.values import PushResult


def opening(plan: DemoPlan, folder: Path, *, kept: bool) -> Text:
    """What is about to start."""
    names = ", ".join(edge.location for edge in plan.edges)
    text = Text(f"demo: {count(len(plan.edges), 'edge')} on this machine: {names}")
    text.append(f"\ndata: {folder}" + ("" if kept else " (goes at the end)"))
    if plan.engine_note is not None:
        text.append(f"\nHTTP is served by the preview engine, not by nginx: {plan.engine_note}", style=tables.LOOK)
    return text


def pushed(result: PushResult) -> Text:
    """What the first push came to, in one line."""
    facts = f"{count(result.files, 'file')}, {size(result.size)}"
    name = visible(result.site)
    if result.outcome == "unchanged":
        return Text(f"{name} {short(result.release)} is live already ({facts})")
    live = [edge for edge in result.moved.edges if edge.live is not None] if result.moved else []
    where = f"is live on {count(len(live), 'edge')} after {seconds(result.seconds)}"
    return Text(f"{name} {short(result.release)} {where} ({facts})")


def program() -> str:
    """Return how this program is called in a shell: by its bare name if that finds it."""
    called = Path(sys.argv[0])
    if called.name != "edgeward":
        return f"{sys.executable} -m edgeward"
    found = shutil.which("edgeward")
    return "edgeward" if found and Path(found).resolve() == called.resolve() else str(called)


def guide(plan: DemoPlan, pids: Mapping[str, int | None], *, call: str) -> list[RenderableType]:
    """How to open the site and what to try, ready to paste."""
    site = plan.project.settings
    host, first = site.hostnames[0], plan.edges[0]
    port = first.http_port
    resolve = f"{host}:{port}:{first.address}"
    title = [Text(""), Text(f"The site {host}, on every edge", style="bold")]
    addresses = Grid("edge", "address", "metrics", "agent")
    for edge in plan.edges:
        metrics = f"http://{edge.address}:{plan.metrics_port_of(edge)}/metrics"
        addresses.add_row(edge.location, edge.url, metrics, f"pid {pids.get(edge.name)}")
    opening_lines = [
        Text("\nOpen it (the name is known to nobody but these edges; a bare address is answered 421)", style="bold"),
        Text(f"  curl --resolve {resolve} http://{host}:{port}/"),
        Text(f"  curl -i -H 'Host: {host}' {plan.edges[-1].url}/"),
        Text(f"  chromium --host-resolver-rules='MAP {host} {first.address}' http://{host}:{port}/"),
        Text(f"  any browser: http://{host}:{port}/ once /etc/hosts has: {first.address} {' '.join(site.hostnames)}"),
    ]
    return [*title, addresses, *opening_lines, *_names(plan), *_things_to_try(plan, pids, call), Text("")]


def _names(plan: DemoPlan) -> list[Text]:
    """How to see where readers are sent."""
    if plan.dns_port is None:
        return []
    host, first = _steered_host(plan), plan.edges[0]
    ask = f"  dig @{first.address} -p {plan.dns_port} +short {host} +subnet="
    lines = ((f"{ask}139.130.4.0/24", "a reader in Australia"), (f"{ask}194.25.0.0/24", "and one in Germany"))
    return [
        Text("\nWhere readers are sent (a few seconds after the start)", style="bold"),
        *(Text.assemble(line.ljust(82), (f"  # {what}", tables.FAINT)) for line, what in lines),
    ]


def _steered_host(plan: DemoPlan) -> str:
    """A name of the site that the demo's name servers steer."""
    host = plan.project.settings.hostnames[0]
    return host if host in HOSTNAMES else f"{plan.project.settings.name}.{ZONES[0]}"


def _things_to_try(plan: DemoPlan, pids: Mapping[str, int | None], call: str) -> list[Text]:
    site = plan.project.settings.name
    source = plan.project.folder if plan.project.file is None else plan.project.file.parent
    again = f"{call} push {source}"
    if plan.project.file is None:
        again += f" --name {site} " + " ".join(f"-H {host}" for host in plan.project.settings.hostnames)
    last = plan.edges[-1]
    # Below the line that says which fleet is meant.
    explain = [(f"{call} dns explain {_steered_host(plan)} 139.130.4.5", "and why")] if plan.dns_port else []
    lines = (
        (f"export {STORE_VARIABLE}={plan.store_url} {TOKEN_VARIABLE}={plan.token_file}", ""),
        *explain,
        (again, "after a change"),
        (f"{call} rollback {site}", "and back"),
        (f"{call} verify {site} --all", "ask every edge for everything"),
        (f"{call} releases {site}", ""),
        (f"{call} status --watch", ""),
        (f"kill -9 {pids.get(last.name)}", _after_kill(plan, last)),
    )
    width = max(len(line) for line, _ in lines[2:])
    parts = [Text("\nTry, in another terminal", style="bold")]
    for line, what in lines:
        padded = f"{line:<{width}}  " if what else line
        parts.append(Text.assemble(f"  {padded}", (f"# {what}" if what else "", tables.FAINT)))
    return [*parts, Text("\nCtrl-C ends the demo.")]


def _after_kill(plan: DemoPlan, edge: DemoEdge) -> str:
    serves = "nginx serves on" if plan.engine == "nginx" else "it is away"
    return f"{edge.location}'s agent dies, {serves}; back in {RESTART_SECONDS:.0f} s"
