"""The whole configuration of nginx for a view, as text. A pure function: the same view gives the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from edgeward.core.paths import MAX_PATH_BYTES
from edgeward.core.patterns import Pattern, compile_pattern, mentions
from edgeward.core.rulebook import RuleClass
from edgeward.core.rules import HeaderLine
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.nginx.book import Book, Parts, block
from edgeward.serve.nginx.candidates import found_files, mode_of, respelt_files, served_files
from edgeward.serve.nginx.fields import dress, type_lines
from edgeward.serve.nginx.hot import hot_locations, hot_of
from edgeward.serve.nginx.locations import Plan, back, error_pages, front, shared
from edgeward.serve.nginx.quote import Value, literal, token, variable
from edgeward.serve.nginx.requests import request_maps, rule_parts
from edgeward.serve.nginx.rules import CLASSES, rule_maps, vary_maps
from edgeward.serve.nginx.settings import ACCESS_LOG, BACK, CONTROL, ERROR_LOG, FRONT, PAGES, PID, NginxSettings
from edgeward.serve.nginx.sites import SiteMaps, by_host, hosts, revalidation_dates, site_maps

OWN_SERVERS: Final = 8
"""Sites that get a server of their own, those with most files first."""
_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_LOG_FORMAT: Final = (
    '{"time":"$time_iso8601","host":"$host","address":"$ew_client","method":"$request_method",'
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


def roots_folder(folder: Path, generation: int) -> Path:
    """Return the folder of the links of a generation."""
    return folder / "roots" / str(generation)


def render(
    view: ServedView, settings: NginxSettings, machine: Machine, generation: int, parts: Parts | None = None
) -> str:
    """Return the configuration that serves the view. parts: of earlier ones; they change nothing but the time."""
    book = Book(parts or Parts())
    sites = sorted(view.sites, key=lambda site: site.manifest.settings.name)
    maps = site_maps(book, sites)
    plan = _plan(book, view.edge, sites, maps, settings=settings, generation=generation)
    servers = _servers(book, sites, plan, maps, settings=settings, generation=generation)
    lines = [
        f"# generation {generation}",
        "# Written by edgeward; changes are lost. `edgeward` makes it anew from the live releases of its sites.",
        *_main(settings, machine),
        *block("http", *_http(settings, machine), "", *book.write().split("\n"), "", *servers),
    ]
    return "\n".join(lines) + "\n"


def generation_of(config: str) -> int:
    """Return the generation that a configuration was written for, 0 if it does not say."""
    first = config.partition("\n")[0].removeprefix("# generation ")
    return int(first) if first.isascii() and first.isdigit() else 0


def _plan(
    book: Book, edge: str, sites: Sequence[ServedSite], maps: SiteMaps, *, settings: NginxSettings, generation: int
) -> Plan:
    request_maps(book, revalidation_dates(book, sites))
    rules = _rules(book, sites)
    varies = _varies(book, sites)
    if rules:
        rule_parts(book)
    finds = any(_finds(site) for site in sites)
    return Plan(
        edge=edge,
        root=variable("ew_root"),
        release=variable("ew_release"),
        dress=dress(book, edge, sites, maps, varies),
        varies=varies,
        rules=rules,
        served=served_files(book, frozenset(mode_of(site.manifest.settings) for site in sites)),
        respelt=respelt_files(book),
        found=found_files(book) if finds else [],
        near=maps.near,
        fallback=maps.fallback,
        pages=str(settings.folder / PAGES),
        health=str(settings.health),
        brief=None if settings.brief is None else str(settings.brief),
        challenges=None if settings.challenges is None else str(settings.challenges),
        retired=str(retired_file(settings.folder, generation)),
        header_bytes=4096 + max((_header_bytes(site) for site in sites), default=0),
    )


def _rules(book: Book, sites: Sequence[ServedSite]) -> dict[RuleClass, Value]:
    per_site = [
        (site, book.part(("rules", site.manifest.release), partial(rule_maps, manifest=site.manifest)))
        for site in sites
        if site.manifest.redirects
    ]
    made: dict[RuleClass, Value] = {}
    for name in CLASSES:
        chosen = [(site, maps[name]) for site, maps in per_site if name in maps]
        if chosen:
            why = f"what the {name} rules of the site say, as act, target, left-over query and fragment"
            made[name] = book.map(f"ew_{name}", variable("host"), by_host(chosen), Value(""), why=why)
    return made


def _varies(book: Book, sites: Sequence[ServedSite]) -> dict[str, Value]:
    per_site = [
        (site, book.part(("varies", site.manifest.release), partial(vary_maps, manifest=site.manifest)))
        for site in sites
        if site.manifest.redirects
    ]
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
        "server_names_hash_bucket_size 512;",
        "client_max_body_size 0;  # another method than GET and HEAD is refused before its body is looked at",
        "client_header_timeout 15s;",
        "client_body_timeout 15s;",
        "keepalive_timeout 65s;",
        "reset_timedout_connection on;",
        *block("upstream edgeward_back", f"server unix:{BACK};", "keepalive 32;"),
        *block("upstream edgeward_front", f"server unix:{FRONT};"),
    ]


def _servers(
    book: Book, sites: Sequence[ServedSite], plan: Plan, maps: SiteMaps, *, settings: NginxSettings, generation: int
) -> list[str]:
    common = [*plan.dress.types, *plan.dress.lines, *shared(plan)]
    listens = [*settings.listen, f"unix:{FRONT}"]
    outer = [*(f"listen {name} default_server;" for name in listens), *common, *error_pages(front=True), *front(plan)]
    inner = [
        f"listen unix:{BACK};",
        "access_log off;",
        "large_client_header_buffers 8 32k;",
        "keepalive_requests 100000;",
        *common,
        *error_pages(front=False),
        *back(plan),
    ]
    control = [
        f"listen unix:{CONTROL};",
        "access_log off;",
        *block("location = /generation", f"return 200 {generation};"),
        *block("location = /status", "stub_status;"),
    ]
    own = [
        line
        for short, site in short_roots(sites, settings, generation).items()
        for line in _own_server(book, site, short, plan, maps, listens=listens)
    ]
    return [
        "# what clients reach: every host that has no server of its own",
        *block("server", *outer),
        *own,
        "# behind the detour: all sites, for requests whose path nginx has normalised and encoded",
        *block("server", *inner),
        "# for the agent",
        *block("server", *control),
    ]


def short_roots(sites: Sequence[ServedSite], settings: NginxSettings, generation: int) -> dict[Path, ServedSite]:
    """Return the sites that get a server of their own, by the symbolic link through which it reaches their trees.

    Each costs some memory, so not all of a thousand do. A link is a name that ends with its generation: when it is
    taken away, the workers of that generation find nothing on the short way, and look closer.
    """
    plain = [site for site in sites if not site.https]
    found = sorted(plain, key=lambda site: (-len(site.manifest.entries), site.manifest.settings.name))[:OWN_SERVERS]
    return {roots_folder(settings.folder, generation) / str(number): site for number, site in enumerate(found)}


def _own_server(
    book: Book, site: ServedSite, short: Path, plan: Plan, maps: SiteMaps, *, listens: Sequence[str]
) -> list[str]:
    """Return a server that differs from the one for all in what it need not ask: it knows its site."""
    manifest = site.manifest
    mode = mode_of(manifest.settings)
    root = literal(str(site.tree))
    hot = hot_of(book, manifest, root=literal(str(short)), mode=mode, edge=plan.edge)
    if hot is None:
        return []
    own = replace(
        plan,
        root=root,
        release=literal(manifest.release[:12]),
        dress=dress(book, plan.edge, [site], maps, plan.varies),
        served=served_files(book, frozenset({mode})),
    )
    lines = [
        *(f"listen {name};" for name in listens),
        f"server_name {' '.join(token(name) for name in hosts(site))};",
        *own.dress.lines,
        *error_pages(front=True),
        *shared(own),
        *front(own, hot_locations(hot)),
    ]
    return [f"# site {manifest.settings.name}", *block("server", *lines)]
