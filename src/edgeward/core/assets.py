"""Which assets are immutable (SITE-FORMAT section 5): by the site's own patterns, or by a fingerprint in the name.

One regex decides, over the decoded entry path; Python's `re` and PCRE without UTF mode read it alike. Wrongly immutable
cannot be undone, so a name is fingerprinted only beyond doubt.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edgeward.core.media_types import is_html, media_type
from edgeward.core.patterns import compile_pattern
from edgeward.core.release import Entry, Manifest
from edgeward.core.site import SiteSettings

AUTO_EXTENSIONS: Final = ("cjs", "css", "eot", "js", "map", "mjs", "otf", "ttf", "wasm", "woff", "woff2")
"""Scripts, styles, source maps, WASM and fonts: what the automatic choice looks at."""

_HEX: Final = r"(?=[0-9a-fA-F]*[0-9])(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}"
# "-" and "_" are base64url characters and separators both; a part between separators has neither in it.
_BASE64URL: Final = r"(?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{8,}"
_AUTO: Final = rf"^/(?:.*/)?[^/]*[._\-](?:{_HEX}|{_BASE64URL})(?:[._\-][^/]*)?\.(?:{'|'.join(AUTO_EXTENSIONS)})$"
_NO_PAGE: Final = r"^(?!.*\.(?:[hH][tT][mM][lL]?|[xX][hH][tT](?:[mM][lL])?)$)"


def immutable_regex(settings: SiteSettings) -> str:
    """Return the regex, to be searched in a decoded entry path, that says whether the entry is immutable.

    Pages never are, whatever the patterns say. With no patterns at all (an empty list) it matches nothing.
    """
    if settings.immutable is None:
        return _AUTO
    if not settings.immutable:
        return r"^(?!)"
    bodies = "|".join(compile_pattern(text).regex(encoded=False) for text in settings.immutable)
    return rf"{_NO_PAGE}(?:{bodies})$"


@lru_cache(maxsize=1024)
def _compiled(settings: SiteSettings) -> re.Pattern[str]:
    return re.compile(immutable_regex(settings))


def is_immutable(settings: SiteSettings, path: str) -> bool:
    """Whether the entry at `path` never changes under its name, so that caches may keep it for a year."""
    return _matches(_compiled(settings), path)


def _matches(pattern: re.Pattern[str], path: str) -> bool:
    return pattern.search(path) is not None and not is_html(media_type(path))


def assets_of(manifest: Manifest) -> Iterator[Entry]:
    """Return the entries that are immutable assets, in their order."""
    pattern = _compiled(manifest.settings)
    return (entry for entry in manifest.entries if _matches(pattern, entry.path))


@dataclass(frozen=True, slots=True)
class Assets:
    """The immutable assets of one release. keep_days: how long they are kept after it has left."""

    entries: tuple[Entry, ...]
    keep_days: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Assets":
        """Return the assets of a manifest."""
        return cls(tuple(assets_of(manifest)), manifest.settings.keep_assets_days)
