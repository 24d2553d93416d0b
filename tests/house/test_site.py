"""The demo site that the repository ships is a good one: names that tell the truth, links that lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "site"
sys.path.insert(0, str(ROOT / "tools"))

PAGES = sorted(SITE.rglob("*.html"))
LINK = re.compile(r'(?:href|src)="([^"]+)"')


def test_every_digest_in_an_asset_name_is_the_digest_of_its_content():
    """An immutable name never lies: after an edit without `python tools/name_assets.py` this fails."""
    from name_assets import ORDER, right_name

    assets = [path for path in (SITE / "assets").iterdir() if path.suffix in ORDER]
    assert len(assets) == 4
    assert [path.name for path in assets] == [right_name(path) for path in assets]


def test_naming_assets_renames_and_changes_every_reference(tmp_path):
    """A style sheet that names a font gets its own digest after the font has got its; a second run changes nothing."""
    from name_assets import name_assets

    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "letters.woff2").write_bytes(b"font")
    (tmp_path / "assets" / "look.css").write_text('src: url("letters.woff2")')
    (tmp_path / "index.html").write_text('<link href="/assets/look.css">')
    renamed = dict(name_assets(tmp_path))
    assert set(renamed) == {"letters.woff2", "look.css"}
    assert (tmp_path / "index.html").read_text() == f'<link href="/assets/{renamed["look.css"]}">'
    assert renamed["letters.woff2"] in (tmp_path / "assets" / renamed["look.css"]).read_text()
    assert name_assets(tmp_path) == []


def exists(path):
    """A path of the site answers 200: a file, a page without its suffix, or a folder with an index."""
    target = SITE / path.lstrip("/")
    return target.is_file() or target.with_name(f"{target.name}.html").is_file() or (target / "index.html").is_file()


# Two links that are there to show the error pages, and two paths that _redirects answers.
SHOWN = {"/no-such-page", "/docs/no-such-page", "/welcome"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_every_link_of_a_page_leads_somewhere_on_this_site(page):
    """Links and sources are paths of the site in their final form, never another host's."""
    found = [link for link in LINK.findall(page.read_text()) if not link.startswith(("https://www.example.test", "#"))]
    assert found
    for link in found:
        path = link.split("#")[0]
        assert path.startswith("/"), link
        assert not path.endswith((".html", "/index")), link
        assert exists(path) or path in SHOWN, link


def test_pages_need_no_inline_code():
    """The site's own Content-Security-Policy allows neither inline scripts nor inline styles; no page has any."""
    for page in PAGES:
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page.read_text()), page


def test_the_site_can_be_pushed_without_a_warning():
    """`edgeward preview --check --strict` finds nothing wrong with the demo site, not even a rule that is shadowed."""
    command = [sys.executable, "-m", "edgeward", "preview", "--check", "--strict", str(SITE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
