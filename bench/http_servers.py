"""Servers to compare over HTTP, each with the same small site and one core: ours, hand-written nginx, peers."""

import contextlib
import gzip
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import brotli

from bench.processes import LOAD_CORE, OUTPUT, SERVER_CORE, pinned
from edgeward.core.digest import Digest, digest_of
from edgeward.core.media_types import is_compressible, media_type
from edgeward.core.release import Coding, Entry, Manifest, Variant
from edgeward.core.site import SiteSettings
from edgeward.errors import EngineMissing
from edgeward.serve.blobs import BlobFolder
from edgeward.serve.engine import ServedSite, ServedView
from edgeward.serve.nginx.process import NginxEngine
from edgeward.serve.nginx.processes import children_of, find_master
from edgeward.serve.nginx.settings import CONFIG, PID, NginxSettings
from edgeward.serve.tree import stage

HOST = "bench.test"
TEXT = "the edge next to the reader holds all of the site and answers from its own disk"
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_BAD = re.compile(r"Non-2xx or 3xx responses: ([0-9]+)|Socket errors: (.*)")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    name: str
    url: str


@dataclass
class Material:
    """A site on disk: `site/` as a user has it, with `.br` and `.gz` beside for servers that want those."""

    folder: Path
    files: dict[str, bytes] = field(default_factory=dict)

    def write(self) -> None:
        """Make the files: a page that brotli makes seven times smaller, a clean-URL page, a style, an image."""
        page = "".join(f"<p id={number}>{TEXT[number % 30 :]} {number}</p>\n" for number in range(130))
        self.files = {
            "/index.html": page.encode()[:14_700],
            "/guide.html": page.encode()[:14_600],
            "/style.css": b"".join(b".c%d{color:#%03x}\n" % (number, number) for number in range(500)),
            "/photo.jpg": os.urandom(20_000),
            "/404.html": b"<h1>nothing here</h1>" * 20,
        }
        for path, data in self.files.items():
            target = self.folder / "site" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            if is_compressible(media_type(path)):
                target.with_name(target.name + ".br").write_bytes(brotli.compress(data, quality=11))
                target.with_name(target.name + ".gz").write_bytes(gzip.compress(data, 9, mtime=0))


def serve_ours(material: Material, address: str) -> tuple[NginxEngine, ServedView]:
    """Return our engine for the site, and the view to start it with."""
    folder = material.folder
    blobs = BlobFolder(folder / "blobs")
    entries: list[Entry] = []
    pieces: list[tuple[Digest, Path]] = []
    for number, (path, data) in enumerate(sorted(material.files.items())):
        found: dict[Coding, bytes] = {"identity": data}
        if is_compressible(media_type(path)):
            found |= {"br": brotli.compress(data, quality=11), "gzip": gzip.compress(data, 9, mtime=0)}
        variants: list[Variant] = []
        for coding, content in found.items():
            temp = folder / f"blob-{number}-{coding}"
            temp.write_bytes(content)
            pieces.append((digest_of(content), temp))
            variants.append(Variant(coding, digest_of(content), len(content)))
        entries.append(Entry(path, media_type(path), 1_700_000_000 + number, tuple(variants)))
    blobs.adopt_all(pieces)
    manifest = Manifest(SiteSettings("bench", (HOST,)), tuple(entries))
    tree = folder / "sites/bench" / manifest.release
    tree.parent.mkdir(parents=True)
    stage(manifest, blobs, tree)
    (folder / "health.json").write_text("{}")
    settings = NginxSettings(folder / "ours", (f"{address}:8081",), folder / "health.json", workers=1, access_log=False)
    return NginxEngine(settings), ServedView("fra", (ServedSite(manifest, tree, tree.parent / "kept"),))


@contextlib.asynccontextmanager
async def ours(material: Material, address: str) -> AsyncIterator[Running]:
    """Run our engine on generated configuration."""
    engine, view = serve_ours(material, address)
    await engine.start(view)
    try:
        folder = material.folder / "ours"
        master = find_master(folder / PID, folder / CONFIG)
        assert master is not None
        for worker in children_of(master.pid):
            os.sched_setaffinity(worker.pid, {SERVER_CORE})
        yield Running("edgeward's nginx", f"http://{address}:8081")
    finally:
        await engine.stop()


HAND_WRITTEN = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log; pcre_jit on;
{user}
{modules}
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  include /etc/nginx/mime.types; default_type application/octet-stream; charset utf-8;
  access_log off; server_tokens off; etag on; sendfile on; tcp_nopush on;
  open_file_cache max=10000 inactive=60s; open_file_cache_valid 10s; open_file_cache_errors on;
  server {{
    listen {address} default_server; server_name bench.test; root {root};
    gzip_static on; {brotli} gzip_vary on;
    add_header Cache-Control "public, max-age=0, must-revalidate" always;
    add_header X-Content-Type-Options nosniff always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;
    add_header X-Edgeward "fra 0123456789ab" always;
    error_page 404 /404.html;
    location / {{ try_files $uri $uri.html $uri/index.html =404; }}
    location = / {{ try_files /index.html =404; }}
  }}
}}
"""


@contextlib.contextmanager
def hand_written(material: Material, address: str, *, port: int = 8082) -> Iterator[Running]:
    """Run nginx on the configuration that a good administrator writes for this one folder."""
    folder = material.folder / f"hand{port}"
    folder.mkdir()
    module = next(Path("/usr/lib/nginx/modules").glob("ngx_http_brotli_static_module.so"), None)
    (folder / "nginx.conf").write_text(
        HAND_WRITTEN.format(
            address=f"{address}:{port}",
            root=material.folder / "site",
            user="user www-data;" if os.geteuid() == 0 else "",
            modules=f"load_module {module};" if module else "",
            brotli="brotli_static on;" if module else "",
        )
    )
    command = ["nginx", "-p", str(folder), "-e", "error.log", "-c", str(folder / "nginx.conf")]
    name = "hand-written nginx" if module else "hand-written nginx (gzip: no brotli module)"
    with started(name, command, f"http://{address}:{port}", folder) as running:
        yield running


@contextlib.contextmanager
def caddy(material: Material, address: str) -> Iterator[Running]:
    """Run Caddy with precompressed files."""
    folder = material.folder / "caddy"
    folder.mkdir()
    (folder / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://:8083 {{\n bind {address}\n root * {material.folder / 'site'}\n"
        " try_files {path} {path}.html\n file_server {\n  precompressed br gzip\n }\n}\n"
    )
    program = peer("caddy")
    command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with started("Caddy", command, f"http://{address}:8083", folder) as running:
        yield running


@contextlib.contextmanager
def traefik(material: Material, address: str) -> Iterator[Running]:
    """Run Traefik in front of the hand-written nginx, both on the one core."""
    folder = material.folder / "traefik"
    folder.mkdir()
    (folder / "rules.yml").write_text(
        "http:\n routers:\n  all:\n   rule: PathPrefix(`/`)\n   service: nginx\n"
        f" services:\n  nginx:\n   loadBalancer:\n    servers:\n     - url: http://{address}:8085\n"
    )
    (folder / "traefik.yml").write_text(
        f"entryPoints:\n web:\n  address: {address}:8084\nproviders:\n file:\n  filename: {folder / 'rules.yml'}\n"
        "log:\n level: ERROR\nglobal:\n checkNewVersion: false\n sendAnonymousUsage: false\n"
    )
    with hand_written(material, address, port=8085):
        command = [peer("traefik"), f"--configFile={folder / 'traefik.yml'}"]
        with started("Traefik before nginx", command, f"http://{address}:8084", folder) as running:
            yield running


def peer(name: str) -> str:
    """Return the program of a peer. Raises EngineMissing."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise EngineMissing(f"{name} is not installed", hint="make bench-setup")
    return found


@contextlib.contextmanager
def started(name: str, command: list[str], url: str, folder: Path) -> Iterator[Running]:
    """Run a program on the server's core until the block ends; wait until it answers."""
    with pinned(command, folder) as process:
        _answers(url, process, folder)
        yield Running(name, url)


def _answers(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {HOST}", url + "/"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.stdout == "200":
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer: {(folder / OUTPUT).read_text(errors='replace')[-500:]}")


def check(running: Running, target: str, wanted: bytes) -> None:
    """Raise unless the server answers with the file, with brotli where that is smaller."""
    command = ["curl", "-s", "--compressed", "-H", f"Host: {HOST}", "-H", "Accept-Encoding: gzip, deflate, br"]
    got = subprocess.run([*command, running.url + target], capture_output=True, check=True, timeout=20).stdout
    if got != wanted:
        raise RuntimeError(f"{running.name}{target} answers with {len(got)} bytes that are not the file")


def load(running: Running, target: str, *, seconds: int) -> float:
    """Return requests per second under 32 keep-alive connections from the other core. Raises if any answer is bad."""
    command = ["taskset", "--cpu-list", str(LOAD_CORE), "wrk", "-t1", "-c32", f"-d{seconds}s", "-H", f"Host: {HOST}"]
    command += ["-H", "Accept-Encoding: gzip, deflate, br"]
    done = subprocess.run([*command, running.url + target], capture_output=True, text=True, check=True, timeout=60)
    bad = _BAD.search(done.stdout)
    if bad:
        raise RuntimeError(f"{running.name}{target}: {bad[0]}")
    found = _RATE.search(done.stdout)
    assert found is not None
    return float(found[1])
