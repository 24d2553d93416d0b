"""What nginx knows of each site, as maps from `$host`: where its files are, which rules and headers it has."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edgeward.core.assets import immutable_regex
from edgeward.core.conditional import http_date
from edgeward.core.media_types import media_type, page_free_extensions
from edgeward.core.site import SiteSettings
from edgeward.serve.engine import ServedSite
from edgeward.serve.nginx.book import Book, Case, matching, when
from edgeward.serve.nginx.candidates import NOWHERE, mode_of
from edgeward.serve.nginx.quote import Value, literal, variable
from edgeward.serve.tree import FOLDERS

_HOST: Final = variable("host")
_TREE: Final = f"/(?:{'|'.join(FOLDERS)})"
_MAX_DATES: Final = 4_096
"""Modification times that revalidations are answered for without a detour: the latest ones."""


@dataclass(frozen=True, slots=True)
class SiteMaps:
    """Variables that hold an attribute of the site that is asked for."""

    near: Value
    """Entry path of the nearest 404.html."""
    fallback: Value
    """Entry path of the page that answers instead of a missing one (`spa`), else nothing."""
    immutable: Value
    """1 where the file that answers is immutable."""
    odd_type: Value
    """Media type of the file that answers, where it is not the one of the table, else nothing."""


def hosts(site: ServedSite) -> tuple[str, ...]:
    """Return the hostnames that the site answers with content."""
    settings = site.manifest.settings
    return settings.hostnames if settings.alias_mode == "serve" else settings.hostnames[:1]


def by_host(sites: Sequence[tuple[ServedSite, Value]]) -> Iterator[Case]:
    """Yield a case for each hostname of each site, with the site's value."""
    for site, value in sites:
        for host in hosts(site):
            yield when(host, value)


def site_maps(book: Book, sites: Sequence[ServedSite]) -> SiteMaps:
    """Write what nginx must know of the sites; the names of the variables are those that `locations` uses."""
    gates: list[Case] = []
    elsewhere: list[Case] = []
    for site in sites:
        settings = site.manifest.settings
        for host in settings.hostnames:
            target = _elsewhere(settings, host, https=site.https)
            gates.append(when(host, literal("" if target is None else "e")))
            if target is not None:
                elsewhere.append(when(host, target))
    book.define("ew_host", _HOST, gates, literal("u"), why="u: no site has this name; e: it is answered elsewhere")
    book.define("ew_elsewhere", _HOST, elsewhere, literal(""))
    _place(book, "ew_root", sites, [literal(str(site.tree)) for site in sites], "the live release of the site")
    _place(book, "ew_kept", sites, [literal(str(site.kept)) for site in sites], "its kept and staged assets")
    labels = [when(name, literal(site.manifest.release[:12])) for site in sites for name in _all_hosts(site)]
    book.define("ew_release", _HOST, labels, literal("-"), why="the release as X-Edgeward shows it")
    modes = [(site, mode_of(site.manifest.settings)) for site in sites]
    book.define("ew_mode", _HOST, by_host([(site, literal(mode)) for site, mode in modes]), literal("a"))
    return SiteMaps(_near(book, sites), _fallback(book, sites), _immutable(book, sites), _odd_types(book, sites))


def immutable_regexes(settings: SiteSettings) -> list[str]:
    """Return the regexes, over the rest of an entry path, of which any says that the entry is immutable.

    One for each pattern: one for all could be longer than nginx reads.
    """
    patterns = [None] if settings.immutable is None else [(text,) for text in settings.immutable]
    return [immutable_regex(replace(settings, immutable=each)).removeprefix("^") for each in patterns]


def revalidation_dates(book: Book, sites: Sequence[ServedSite]) -> Value:
    """Return the variable that holds If-Modified-Since as an ETag of ours writes that time; `?` for any other time."""
    times = {entry.modified for site in sites for entry in site.manifest.entries}
    cases = [when("", literal(""))]
    cases += [when(http_date(time), literal(f"{time:x}")) for time in sorted(times)[-_MAX_DATES:]]
    return book.map(
        "ew_since", variable("http_if_modified_since"), cases, literal("?"),
        why="If-Modified-Since in the hex digits of our ETags, for the times that live files have",
    )  # fmt: skip


def _place(book: Book, name: str, sites: Sequence[ServedSite], values: list[Value], why: str) -> None:
    cases = by_host(list(zip(sites, values, strict=True)))
    book.define(name, _HOST, cases, literal("/nonexistent"), why=why)


def _all_hosts(site: ServedSite) -> tuple[str, ...]:
    return site.manifest.settings.hostnames


def _elsewhere(settings: SiteSettings, host: str, *, https: bool) -> Value | None:
    """Return scheme, host and port that a plain HTTP request for this hostname is sent to, or None."""
    if https:
        return Value("https://" + _HOST + variable("ew_port"))
    if settings.alias_mode == "redirect" and host != settings.hostnames[0]:
        return Value("http://" + literal(settings.hostnames[0]) + variable("ew_port"))
    return None


def _near(book: Book, sites: Sequence[ServedSite]) -> Value:
    values: list[tuple[ServedSite, Value]] = []
    for site in sites:
        pages = [entry.path for entry in site.manifest.entries if entry.path.endswith("/404.html")]
        if not pages:
            continue
        deepest = sorted((page for page in pages if page != "/404.html"), key=lambda page: (-page.count("/"), page))
        default = literal("/404.html") if "/404.html" in pages else NOWHERE
        cases = [matching(f"^{re.escape(page.removesuffix('404.html'))}", book.literal(page)) for page in deepest]
        values.append((site, book.map("ew_site_near", variable("uri"), cases, default)))
    return book.map("ew_near", _HOST, by_host(values), NOWHERE, why="the nearest 404.html upwards")


def _fallback(book: Book, sites: Sequence[ServedSite]) -> Value:
    single = [site for site in sites if site.manifest.settings.spa and "/index.html" in site.manifest.by_path]
    if not single:
        return Value("")
    regex = rf"\.(?i:{'|'.join(page_free_extensions())})$"
    page = book.map(
        "ew_spa_page", variable("uri"), [matching(regex, literal(""))], literal("/index.html"),
        why="single-page applications: never for a path with the extension of something else than a page",
    )  # fmt: skip
    return book.map("ew_fallback", _HOST, by_host([(site, page) for site in single]), literal(""))


def _immutable(book: Book, sites: Sequence[ServedSite]) -> Value:
    """Kept assets (`k` in `$ew_from`) are immutable; what a rule or `spa` serves (`s`) is not."""
    source = Value(variable("ew_from") + variable("uri"))

    def judge(settings: SiteSettings) -> Value:
        cases = [matching(f"^{_TREE}{regex}", literal("1")) for regex in immutable_regexes(settings)]
        return book.map("ew_site_immutable", source, [*cases, matching("^k", literal("1"))], literal(""))

    automatic = judge(SiteSettings(name="automatic", hostnames=("automatic",)))
    chosen = [(site, judge(site.manifest.settings)) for site in sites if site.manifest.settings.immutable is not None]
    return book.map("ew_immutable", _HOST, by_host(chosen), automatic, why="1: the answer never changes")


def _odd_types(book: Book, sites: Sequence[ServedSite]) -> Value:
    """Releases made by another version of this program may have other media types than its table."""
    values: list[tuple[ServedSite, Value]] = []
    for site in sites:
        odd = [entry for entry in site.manifest.entries if entry.media_type != media_type(entry.path)]
        cases = [matching(f"^{_TREE}{re.escape(entry.path)}$", book.literal(entry.media_type)) for entry in odd]
        if cases:
            values.append((site, book.map("ew_site_types", variable("uri"), cases, literal(""))))
    return book.map("ew_odd_type", _HOST, by_host(values), literal(""), why="media types that are not of the table")
