"""Name the demo site's assets by what they hold: `site.css` becomes `site.<10 hex digits of its SHA-256>.css`.

`python tools/name_assets.py [FOLDER]` renames what is in FOLDER/assets (default: site) and changes every reference to
it in HTML, CSS and scripts. Run it after an edit to an asset; it does nothing when every name is right. Fonts come
first, then scripts and styles, because a style sheet names its fonts and so its own digest depends on their names.
"""

import hashlib
import re
import sys
from pathlib import Path

DIGITS = 10
ORDER = (".woff2", ".js", ".css")
REFERRING = (".html", ".css", ".js")
NAME = re.compile(r"(?P<stem>[a-z-]+)(\.[0-9a-f]{10})?(?P<suffix>\.[a-z0-9]+)")


def right_name(path: Path) -> str:
    """Return the name that the file's content gives it. Raises ValueError for a name that is not of the known form."""
    match = NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path}: not a name of the form stem[.digest].suffix")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
    return f"{match['stem']}.{digest}{match['suffix']}"


def name_assets(site: Path) -> list[tuple[str, str]]:
    """Rename the assets of `site` and its references to them; return (old, new) for each that changed."""
    renamed: list[tuple[str, str]] = []
    for suffix in ORDER:
        for asset in sorted((site / "assets").glob(f"*{suffix}")):
            name = right_name(asset)
            if name == asset.name:
                continue
            renamed.append((asset.name, name))
            for page in sorted(site.rglob("*")):
                if page.suffix in REFERRING:
                    text = page.read_text(encoding="utf-8")
                    page.write_text(text.replace(asset.name, name), encoding="utf-8")
            asset.rename(asset.with_name(name))
    return renamed


def main(arguments: list[str]) -> int:
    """Rename, and print what changed."""
    for old, new in name_assets(Path(arguments[0] if arguments else "site")):
        print(f"{old} -> {new}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
