"""Two real sites: the HTML of Debian's python3.11-doc and linux-doc-6.1 (12,000 hard pages nobody made for us)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

# (package, its HTML, at least so many files)
SITES = (
    ("python3.11-doc", "/usr/share/doc/python3.11/html", 1000),
    ("linux-doc-6.1", "/usr/share/doc/linux-doc-6.1/html", 6000),
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def _installed(package: str, html: str) -> Path:
    """Return the folder of a package's HTML, installed if need be."""
    folder = Path(html)
    if not folder.is_dir() or not any(folder.iterdir()):
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip(f"{package} is not installed and only root can install it (hint: apt-get install {package})")
        install = [
            "apt-get",
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "-o",
            "DPkg::Lock::Timeout=300",
            package,
        ]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(install, env=environment, capture_output=True, check=False).returncode != 0:
            subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=True)
            done = subprocess.run(install, env=environment, capture_output=True, encoding="utf-8", check=False)
            if done.returncode != 0:
                pytest.skip(f"{package} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(params=SITES, ids=[site[0] for site in SITES])
def real(request, tmp_path) -> tuple[Path, str, int]:
    """A copy of a real site, a name for it, and how many files it has at least."""
    package, html, files = request.param
    site = tmp_path / "html"
    subprocess.run(["cp", "-rL", _installed(package, html), site], check=True)
    name = package.partition(".")[0].replace("3", "").split("-")[0]
    return site, name, files


async def test_a_real_site_is_pushed_verified_and_changed(fleet, ask, real):
    """Push, verify --all with no difference; after a change to 10 files a push uploads those 10 alone."""
    site, name, files = real
    words = ["--name", name, "--hostname", f"{name}.example.test", "--wait", "10m"]
    pushed = await ask("push", site, *words, "--json", seconds=900)
    assert pushed.code == 0, pushed.err
    first = json.loads(pushed.out)
    assert first["files"] >= files
    verified = await ask("verify", name, "--all", "--json", seconds=900)
    report = json.loads(verified.out)
    assert report["differences"] == [], report["differences"][:5]
    assert (verified.code, len(report["edges"])) == (0, 3)
    assert report["paths"] >= first["files"]
    changed = sorted(site.rglob("*.html"))[::50][:10]
    assert len(changed) == 10
    for number, path in enumerate(changed):
        with path.open("ab") as file:
            file.write(b"<!-- changed %d -->" % number)
    again = await ask("push", site, *words, "--json", seconds=300)
    assert again.code == 0, again.err
    second = json.loads(again.out)
    assert len(second["changes"]["changed"]) == 10
    assert second["compressed"] == 10
    assert 10 <= second["upload_blobs"] <= 30, "more than these ten files in three codings were uploaded"
    assert (await ask("verify", name)).code == 0
