"""The whole configuration of nginx for a view, as text. A pure function: the same view gives the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeward.core.paths import MAX_PATH_BYTES
from edgeward.core.patterns import Pattern, compile_pattern, mentions
from edgeward.core.rulebook import RuleClass
from edgeward.core.rules import HeaderLine
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.nginx.book import Book
from edgeward.serve.nginx.candidates import found_files, mode_of, respelt_files, served_files
from edgeward.serve.nginx.fields import dress, type_lines
from edgeward.serve.nginx.locations import Plan, back, block, error_pages, front, shared
from edgeward.serve.nginx.quote import Value, token, variable
from edgeward.serve.nginx.requests import request_maps, rule_parts
from edgeward.serve.nginx.rules import CLASSES, rule_maps, vary_maps
from edgeward.serve.nginx.settings import NginxSettings
from edgeward.serve.nginx.sites import by_host, revalidation_dates, site_maps

CONFIG: Final = "nginx.conf"
BACK: Final = "sockets/back.sock"
FRONT: Final = "sockets/front.sock"
CONTROL: Final = "sockets/control.sock"
PID: Final = "nginx.pid"
ERROR_LOG: Final = "logs/error.log"
ACCESS_LOG: Final = "logs/access.log"
PAGES: Final = "pages"
_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_LOG_FORMAT: Final = (
    '{"time":"$time_iso8601","host":"$host","address":"$remote_addr","method":"$request_method",'
    '"target":"$request_uri","protocol":"$server_protocol","status":$status,"bytes":$bytes_sent,'
    '"seconds":$request_time,"referer":"$http_referer","agent":"$http_user_agent","release":"$ew_release"}'
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine decides. user: whom workers run as, None for the agent's own. files: open files of a worker."""

    user: str | None
    files: int


def retired_file(folder: Path, generation: int) -> Path:
    """Return the file whose being there tells workers of a generation that a later one serves."""
    return folder / "retired" / str(generation)


def render(view: ServedView, settings: NginxSettings, machine: Machine, generation: int) -> str:
    """Return the configuration that serves the view."""
    book = Book()
    plan = _plan(book, view, settings, generation)
    lines = [
        f"# generation {generation}",
        "# Written by edgeward; changes are lost. `edgeward` makes it anew from the live releases of its sites.",
        *_main(settings, machine),
        *block(
            "http", *_http(settings, machine), "", *book.write().split("\n"), "", *_servers(plan, settings, generation)
        ),
    ]
    return "\n".join(lines) + "\n"


def generation_of(config: str) -> int:
    """Return the generation that a configuration was written for, 0 if it does not say."""
    first = config.partition("\n")[0].removeprefix("# generation ")
    return int(first) if first.isascii() and first.isdigit() else 0


def _plan(book: Book, view: ServedView, settings: NginxSettings, generation: int) -> Plan:
    sites = sorted(view.sites, key=lambda site: site.manifest.settings.name)
    maps = site_maps(book, sites)
    request_maps(book, revalidation_dates(book, sites))
    rules = _rules(book, sites)
    varies = _varies(book, sites)
    if rules:
        rule_parts(book)
    finds = any(_finds(site) for site in sites)
    return Plan(
        edge=view.edge,
        dress=dress(book, view.edge, sites, maps, varies),
        rules=rules,
        served=served_files(book, frozenset(mode_of(site.manifest.settings) for site in sites)),
        respelt=respelt_files(book),
        found=found_files(book) if finds else [],
        near=maps.near,
        fallback=maps.fallback,
        conditional=bool(varies),
        pages=str(settings.folder / PAGES),
        health=str(settings.health),
        challenges=None if settings.challenges is None else str(settings.challenges),
        retired=str(retired_file(settings.folder, generation)),
        header_bytes=4096 + max((_header_bytes(site) for site in sites), default=0),
    )


def _rules(book: Book, sites: Sequence[ServedSite]) -> dict[RuleClass, Value]:
    per_site = [(site, rule_maps(book, site.manifest)) for site in sites if site.manifest.redirects]
    made: dict[RuleClass, Value] = {}
    for name in CLASSES:
        chosen = [(site, maps[name]) for site, maps in per_site if name in maps]
        if chosen:
            why = f"what the {name} rules of the site say, as act, target, left-over query and fragment"
            made[name] = book.map(f"ew_{name}", variable("host"), by_host(chosen), Value(""), why=why)
    return made


def _varies(book: Book, sites: Sequence[ServedSite]) -> dict[str, Value]:
    per_site = [(site, vary_maps(book, site.manifest)) for site in sites if site.manifest.redirects]
    made: dict[str, Value] = {}
    for name in ("Language", "Cookie"):
        chosen = [(site, maps[name]) for site, maps in per_site if name in maps]
        if chosen:
            made[name] = book.map(f"ew_vary_{name.lower()}", variable("host"), by_host(chosen), Value(""))
    return made


def _finds(site: ServedSite) -> bool:
    return any(rule.status in {200, 404, 410, 451} and ":" in (rule.target or "") for rule in site.manifest.redirects)


def _header_bytes(site: ServedSite) -> int:
    """Return more bytes than the fields of an answer can have: every request on the detour gets a buffer of this size.

    Of blocks for one exact path each, only those of one path hold for a request.
    """
    everywhere = 0
    by_path: dict[str, int] = {}
    for found in site.manifest.headers:
        pattern = compile_pattern(found.pattern)
        size = sum(_line_bytes(pattern, line) for line in found.lines)
        if pattern.literal is None:
            everywhere += size
        else:
            by_path[pattern.literal] = by_path.get(pattern.literal, 0) + size
    return everywhere + max(by_path.values(), default=0)


def _line_bytes(pattern: Pattern, line: HeaderLine) -> int:
    """Return more bytes than a line of `_headers` can become: an entry's path has 1,024 bytes, escaped 3,072."""
    text = line.value or ""
    bound = sum(name in pattern.names for name in mentions(text))
    return len(line.name) + 4 + len(text.encode()) + 3 * MAX_PATH_BYTES * bound


def _main(settings: NginxSettings, machine: Machine) -> list[str]:
    workers = str(settings.workers) if settings.workers else "auto"
    lines = [
        "daemon on;",
        f"worker_processes {workers};",
        f"worker_rlimit_nofile {machine.files};",
        f"worker_shutdown_timeout {settings.shutdown_seconds}s;",
        f"pid {PID};",
        f"error_log {ERROR_LOG} warn;",
        "pcre_jit on;",
    ]
    if machine.user is not None:
        lines.append(f"user {token(machine.user)};")
    return [*lines, *block("events", f"worker_connections {settings.connections};")]


def _http(settings: NginxSettings, machine: Machine) -> list[str]:
    temporary = [f"{name}_temp_path temp/{name};" for name in _TEMPORARY]
    log = "access_log off;"
    if settings.access_log:
        log = f"access_log {ACCESS_LOG} edgeward buffer=64k flush=1s;"
    return [
        *temporary,
        *type_lines(),
        f"log_format edgeward escape=json {token(_LOG_FORMAT)};",
        log,
        "server_tokens off;",
        "absolute_redirect off;",
        "etag on;",
        "if_modified_since exact;",
        "max_ranges 1;",
        "sendfile on;",
        "tcp_nopush on;",
        "log_not_found off;",
        "uninitialized_variable_warn off;",
        f"open_file_cache max={min(20_000, machine.files // 4)} inactive=60s;",
        "open_file_cache_valid 1s;  # how long a retired generation can overlook that it is",
        "open_file_cache_errors on;",
        "client_max_body_size 0;  # another method than GET and HEAD is refused before its body is looked at",
        "client_header_timeout 15s;",
        "client_body_timeout 15s;",
        "keepalive_timeout 65s;",
        "reset_timedout_connection on;",
        *block("upstream edgeward_back", f"server unix:{BACK};", "keepalive 32;"),
        *block("upstream edgeward_front", f"server unix:{FRONT};"),
    ]


def _servers(plan: Plan, settings: NginxSettings, generation: int) -> list[str]:
    common = [*plan.dress.types, *plan.dress.lines, *error_pages(), *shared(plan)]
    outer = [
        *(f"listen {address} default_server;" for address in settings.listen),
        f"listen unix:{FRONT};",
        "set_real_ip_from unix:;",
        "real_ip_header X-Edgeward-Client;",
        *common,
        *front(plan),
    ]
    inner = [
        f"listen unix:{BACK};",
        "access_log off;",
        "large_client_header_buffers 8 32k;",
        "keepalive_requests 100000;",
        *common,
        *back(plan),
    ]
    control = [
        f"listen unix:{CONTROL};",
        "access_log off;",
        *block("location = /generation", f"return 200 {generation};"),
        *block("location = /status", "stub_status;"),
    ]
    return [
        "# what clients reach",
        *block("server", *outer),
        "# behind the detour: the same sites, for requests whose path nginx has normalised and encoded",
        *block("server", *inner),
        "# for the agent",
        *block("server", *control),
    ]
