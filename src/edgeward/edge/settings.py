"""`edge.toml`: what one edge is told about itself. Everything else it learns from the store."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from edgeward.core.health import Rules
from edgeward.core.orders import DEFAULT_WEIGHT, HEAVIEST
from edgeward.core.toml_tables import Reader, Table, choice, flag, seconds, size, text, texts, whole
from edgeward.dns.airports import parse_location
from edgeward.errors import DiskError, InputError

EngineName = Literal["nginx", "preview"]
Endpoint = tuple[str, int]
"""An address to listen on, and a port (0: any free one)."""

MIB = 1024 * 1024
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z")
_LOOPBACK: tuple[str, ...] = ("127.0.0.1",)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How the edge answers HTTP.

    listen: addresses to bind. worker_user: owner of nginx's workers when the agent is root, None: nginx's default.
    workers: nginx worker processes, 0: one for each core. old_workers_end: seconds that workers of the previous
    generation may go on with requests under way. access_log: whether requests are logged; access_log_size: bytes at
    which the log is rotated.
    """

    listen: tuple[str, ...]
    port: int = 80
    engine: EngineName = "nginx"
    worker_user: str | None = None
    workers: int = 0
    old_workers_end: int = 30
    access_log: bool = True
    access_log_size: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the state store is. token_file: a file that holds its token, None: none is needed."""

    url: str
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class StateSettings:
    """This edge carries the state role: it runs the nats-server of the fleet, with its files in `data`."""

    data: Path
    listen: str = "127.0.0.1"
    port: int = 4222


@dataclass(frozen=True, slots=True)
class Limits:
    """What the edge may use.

    disk_reserve: bytes that stay free on the disk of `data`; nothing is staged below. scrub_rate: bytes a second that
    the scrub reads, 0: no scrub. scrub_round: seconds that one round of it takes at least. blob_grace: seconds that a
    blob which nothing needs stays on this edge. store_sweep: seconds between two sweeps of the state store, 0: this
    edge never does it. stale_after: seconds that an edge may be behind the live pointers, or without the store, before
    it says so as a problem. poll: seconds between two comparisons when nothing happens.
    """

    disk_reserve: int = 1024 * MIB
    scrub_rate: int = 4 * MIB
    scrub_round: int = 60
    blob_grace: int = 3600
    store_sweep: int = 6 * 3600
    stale_after: int = 30
    poll: int = 5


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How this edge probes the others. references: outside addresses and ports that answer TCP; they tell a fault of
    this edge's own connection from one of all the others.
    """

    rules: Rules = field(default_factory=Rules)
    references: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsService:
    """This edge answers DNS. workers: processes, 0: one for each core. city_file: a city database, None: countries
    alone. answers_per_second: for one prefix of clients (/24, /56) over UDP, 0: no limit.
    """

    listen: tuple[str, ...]
    port: int = 53
    workers: int = 0
    city_file: Path | None = None
    answers_per_second: int = 200


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What one edge is told about itself.

    name: a slug, unique in the fleet. location: IATA code of the nearest airport, or "latitude, longitude" in degrees.
    data: folder of all that it keeps. addresses: those that readers use. weight: 1 to 10,000 (orders.SteeredEdge).
    roles: what the fleet uses it for, of http (readers are sent to it), dns (it is named as a name server) and state;
    metrics: where /metrics listens, None: nowhere. webhook: URL that alerts are
    posted to, None: nowhere. activate_delay: seconds to wait before each switch (for rehearsals and tests of skew).
    dns: None: this edge answers no DNS.
    """

    name: str
    location: str
    data: Path
    addresses: tuple[str, ...]
    http: HttpSettings
    store: StoreSettings
    state: StateSettings | None = None
    limits: Limits = field(default_factory=Limits)
    metrics: Endpoint | None = None
    webhook: str | None = None
    activate_delay: int = 0
    health: HealthSettings = field(default_factory=HealthSettings)
    dns: DnsService | None = None
    weight: int = DEFAULT_WEIGHT
    roles: tuple[str, ...] = ("http",)


def read_settings(path: Path) -> EdgeSettings:
    """Return the settings in the file at `path`; relative paths in it are relative to its folder.

    Raises InputError with every problem, DiskError if the file cannot be read.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DiskError(
            f"{path} cannot be read: {error.strerror}", hint="edgeward edge run --config FILE", path=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    return parse_settings(content, file=str(path), folder=path.resolve().parent)


def parse_settings(content: str, *, file: str = "edge.toml", folder: Path = Path("/")) -> EdgeSettings:
    """Return the settings in `content`; `folder` is what relative paths in it are relative to.

    Raises InputError with every problem, each with its line; an unknown key names the nearest known one.
    """
    reader = Reader(content, file=file)
    path = _path_in(folder)
    top = reader.table("")
    assert top is not None
    name = top.need("name", _slug, "edge")
    location = top.need("location", _location, "XXX")
    data = top.need("data", path, Path("/"))
    addresses = top.need("addresses", _addresses, _LOOPBACK)
    delay = top.read("activate_delay", whole(0, 3600), 0)
    weight = top.read("weight", whole(1, HEAVIEST), DEFAULT_WEIGHT)
    state = _state(reader.table("state"), data, path)
    dns = _dns(reader.table("dns"), addresses, path)
    roles = _roles(top, {"dns": dns, "state": state})
    top.close()
    settings = EdgeSettings(
        name=name,
        location=location,
        data=data,
        addresses=addresses,
        http=_http(reader.table("http"), addresses),
        store=_store(reader, state, path),
        state=state,
        limits=_limits(reader.table("limits")),
        metrics=_metrics(reader.table("metrics")),
        webhook=_alerts(reader.table("alerts"), path),
        activate_delay=delay,
        health=_health(reader.table("health")),
        dns=dns,
        weight=weight,
        roles=roles,
    )
    reader.finish()
    return settings


def _roles(top: Table, tables: Mapping[str, object]) -> tuple[str, ...]:
    """Return the roles that are wanted, or all that there are. tables: of the roles that need one, None: not there."""
    there = ("http", *(role for role, table in tables.items() if table is not None))
    wanted = top.read("roles", lambda value: tuple(map(choice("http", *tables), texts(value))), there)
    for role in sorted({*wanted} - {*there}):
        top.problem(f"roles: the role {role} needs a table [{role}]", "roles")
    # Others look after the edges with the state servers whatever else these do.
    if "state" in {*there} - {*wanted}:
        top.problem('roles: there is a table [state], so "state" must be among them', "roles")
    return tuple(role for role in there if role in wanted)


def _http(table: Table | None, addresses: tuple[str, ...]) -> HttpSettings:
    plain = HttpSettings(listen=addresses)
    if table is None:
        return plain
    settings = HttpSettings(
        listen=table.read("listen", _addresses, plain.listen),
        port=table.read("port", whole(1, 65535), plain.port),
        engine=table.read("engine", _engine, plain.engine),
        worker_user=table.read("worker_user", text, plain.worker_user),
        workers=table.read("workers", whole(0, 1024), plain.workers),
        old_workers_end=table.read("old_workers_end", whole(1, 86_400), plain.old_workers_end),
        access_log=table.read("access_log", flag, plain.access_log),
        access_log_size=table.read("access_log_size", size, plain.access_log_size),
    )
    table.close()
    return settings


def _store(reader: Reader, state: StateSettings | None, path: Callable[[Any], Path]) -> StoreSettings:
    table = reader.table("store")
    if table is None:
        if state is None:
            reader.problem("there is no [store] with the url of the state store, and no [state] to run one here")
            return StoreSettings("nats://127.0.0.1:4222")
        return StoreSettings(_own_url(state), state.data / "token")
    if state is None:
        url = table.need("url", _store_url, "nats://127.0.0.1:4222")
    else:
        url = table.read("url", _store_url, _own_url(state))
    default = None if state is None else state.data / "token"
    settings = StoreSettings(url, table.read("token_file", path, default))
    table.close()
    return settings


def _own_url(state: StateSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(state.listen, state.listen)  # noqa: S104 (a name, not a bind)
    return f"nats://[{host}]:{state.port}" if ":" in host else f"nats://{host}:{state.port}"


def _state(table: Table | None, data: Path, path: Callable[[Any], Path]) -> StateSettings | None:
    if table is None:
        return None
    settings = StateSettings(
        data=table.read("data", path, data / "state"),
        listen=table.read("listen", _address, "127.0.0.1"),
        port=table.read("port", whole(1, 65535), 4222),
    )
    table.close()
    return settings


def _limits(table: Table | None) -> Limits:
    plain = Limits()
    if table is None:
        return plain
    settings = Limits(
        disk_reserve=table.read("disk_reserve", size, plain.disk_reserve),
        scrub_rate=table.read("scrub_rate", size, plain.scrub_rate),
        scrub_round=table.read("scrub_round", whole(1, 31_536_000), plain.scrub_round),
        blob_grace=table.read("blob_grace", whole(0, 31_536_000), plain.blob_grace),
        store_sweep=table.read("store_sweep", whole(0, 31_536_000), plain.store_sweep),
        stale_after=table.read("stale_after", whole(1, 86_400), plain.stale_after),
        poll=table.read("poll", whole(1, 3600), plain.poll),
    )
    table.close()
    return settings


def _health(table: Table | None) -> HealthSettings:
    plain = Rules()
    if table is None:
        return HealthSettings(plain)
    rules = Rules(
        interval=table.read("interval", seconds(0.1, 60), plain.interval),
        latency=table.read("latency", seconds(0.05, 60), plain.latency),
        fall=table.read("fall", whole(1, 100), plain.fall),
        rise=table.read("rise", whole(1, 100), plain.rise),
        grace=table.read("grace", seconds(0, 3600), plain.grace),
        hold=table.read("hold", seconds(0, 3600), plain.hold),
    )
    settings = HealthSettings(rules, table.read("references", _endpoints, ()))
    table.close()
    return settings


def _dns(table: Table | None, addresses: tuple[str, ...], path: Callable[[Any], Path]) -> DnsService | None:
    if table is None:
        return None
    plain = DnsService(listen=addresses)
    settings = DnsService(
        listen=table.read("listen", _addresses, plain.listen),
        port=table.read("port", whole(1, 65535), plain.port),
        workers=table.read("workers", whole(0, 1024), plain.workers),
        city_file=table.read("city_file", path, None),
        answers_per_second=table.read("answers_per_second", whole(0, 10_000_000), plain.answers_per_second),
    )
    table.close()
    return settings


def _endpoints(value: Any) -> tuple[Endpoint, ...]:
    found = tuple(_endpoint(item) for item in texts(value))
    if any(port == 0 for _, port in found):
        raise ValueError("names port 0, which nobody answers")
    return found


def _metrics(table: Table | None) -> Endpoint | None:
    if table is None:
        return None
    endpoint = table.need("listen", _endpoint, None)
    table.close()
    return endpoint


def _alerts(table: Table | None, path: Callable[[Any], Path]) -> str | None:
    """Return the webhook's URL; it may stand in a file of its own, since it often holds a secret."""
    if table is None:
        return None
    webhook = table.read("webhook", _web_url, None)
    source = table.read("webhook_file", path, None)
    table.close()
    if source is None:
        return webhook
    if webhook is not None:
        table.problem("webhook and webhook_file are both set; one is enough", "webhook_file")
        return webhook
    try:
        return _web_url(source.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        table.problem(f"webhook_file: {source} does not hold a URL that can be read: {error}", "webhook_file")
        return None


def _engine(value: Any) -> EngineName:
    return cast("EngineName", choice(*get_args(EngineName))(value))


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(f"must be 1 to 40 lower-case letters, digits and inner dashes, got {value!r}")
    return value


def _location(value: Any) -> str:
    return parse_location(text(value))


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"must be an IPv4 or IPv6 address, got {value!r}") from None


def _addresses(value: Any) -> tuple[str, ...]:
    found = tuple(_address(item) for item in texts(value))
    if len(set(found)) != len(found):
        raise ValueError(f"names an address twice: {', '.join(found)}")
    return found


def _endpoint(value: Any) -> Endpoint:
    host, colon, port = text(value).rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'must be an address and a port such as "127.0.0.1:9145", got {value!r}')
    return _address(host.removeprefix("[").removesuffix("]")), int(port)


def _store_url(value: Any) -> str:
    parts = urlsplit(text(value))
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise ValueError(f"must be a URL such as nats://192.0.2.1:4222, got {value!r}")
    if parts.username or parts.password:
        raise ValueError("must not hold the token; put that into a file and name it as token_file")
    return str(value)


def _web_url(value: Any) -> str:
    parts = urlsplit(text(value))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https URL")
    return str(value)


def _path_in(folder: Path) -> Callable[[Any], Path]:
    def parse(value: Any) -> Path:
        return folder / Path(text(value)).expanduser()

    return parse
