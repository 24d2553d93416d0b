"""Clean URLs (SITE-FORMAT section 2): from a path to the entry that answers it, and from an entry to its one URL.

Every entry has one URL. `/about.html` is a page with the URL `/about`, `/docs/index.html` a folder's with `/docs/`, and
all else has its own path. A path that is an entry's URL is answered with it; another spelling of that URL is redirected
there in one step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from edgeward.core.release import Entry, Manifest
from edgeward.core.site import SiteSettings

PAGE: Final = ".html"
INDEX: Final = "index.html"


@dataclass(frozen=True, slots=True)
class Redirect:
    """The path (decoded) to which a clean-URL redirect leads."""

    path: str


def url_path(settings: SiteSettings, path: str) -> str:
    """Return the one URL path (decoded) of the entry at `path`."""
    folder, _, name = path.rpartition("/")
    if not settings.clean_urls:
        return f"{folder}/" if name == INDEX else path
    if name == INDEX:
        return folder if settings.trailing_slash == "never" and folder else f"{folder}/"
    if name.endswith(PAGE):
        page = path.removesuffix(PAGE)
        return f"{page}/" if settings.trailing_slash == "always" else page
    return path


def candidates(settings: SiteSettings, path: str) -> Iterator[str]:
    """Yield the entry paths that can answer a decoded request path, or be redirected to from it, in order."""
    if path.endswith("/"):
        yield path + INDEX
        if settings.clean_urls:
            yield path[:-1] + PAGE
        return
    yield path
    if settings.clean_urls:
        yield path + PAGE
    yield f"{path}/{INDEX}"


def lookup(manifest: Manifest, path: str) -> Entry | Redirect | None:
    """Return what the release has for a decoded, normalised path: an entry, a redirect to its URL, or nothing."""
    return find(manifest.settings, manifest.by_path, path)


def find(settings: SiteSettings, by_path: Mapping[str, Entry], path: str) -> Entry | Redirect | None:
    """As `lookup`, over a mapping of entry paths."""
    first: str | None = None
    for candidate in candidates(settings, path):
        entry = by_path.get(candidate)
        if entry is None:
            continue
        url = url_path(settings, candidate)
        if url == path or (candidate == path and not settings.clean_urls):
            return entry
        first = first or candidate
    return None if first is None else Redirect(url_path(settings, first))


def find_entry(settings: SiteSettings, by_path: Mapping[str, Entry], path: str) -> Entry | None:
    """Return the entry that a rule's target or a reader who follows redirects would get at `path`, or None."""
    found = find(settings, by_path, path)
    if isinstance(found, Redirect):
        found = find(settings, by_path, found.path)
    return found if isinstance(found, Entry) else None


def nearest_error_pages(path: str) -> Iterator[str]:
    """Yield the entry paths of the `404.html` upwards from a decoded path, the nearest first."""
    folder = path.rpartition("/")[0]
    while folder:
        yield f"{folder}/404.html"
        folder = folder.rpartition("/")[0]
    yield "/404.html"
