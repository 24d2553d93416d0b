"""Checks of a whole release before it is published (SITE-FORMAT sections 1 to 3): what files and rules show together.

Files that claim one URL, paths that cannot be served, rules that files shadow, targets that do not exist, loops.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgeward.core.loops import find_loops
from edgeward.core.paths import CONTROL, MAX_PATH_BYTES, MAX_SEGMENT_BYTES, decode_path, is_entry_path
from edgeward.core.patterns import compile_pattern, mentions
from edgeward.core.release import Entry, Manifest
from edgeward.core.rulebook import Hit
from edgeward.core.rules import REDIRECT_STATUSES, RedirectRule
from edgeward.core.shapes import Tokens
from edgeward.core.site import SiteSettings
from edgeward.core.urls import PAGE, find, find_entry, url_path
from edgeward.errors import Problem

RULES_FILE: Final = "_redirects"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, each sorted by file and line. Warnings are errors for a strict push."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_release(manifest: Manifest, *, file: str = RULES_FILE) -> Report:
    """Check entries and redirect rules against each other. file: the name that problems of rules carry.

    Problems of a path carry the path, without its first slash, as their file. What `check_paths` finds is not there.
    """
    by_path = manifest.by_path
    errors = [Problem(_shown(path), 0, message) for path, message in _clashes(manifest.settings, by_path)]
    paths = [entry.path for entry in manifest.entries]
    loops = find_loops(
        manifest.redirects,
        manifest.settings.hostnames,
        alias_mode=manifest.settings.alias_mode,
        may_be_entry=lambda tokens, slash: _may_be_entry(manifest, paths, tokens, slash=slash),
    )
    errors += [Problem(file, line, message) for line, message in loops.certain]
    warnings = [
        Problem(file, rule.line, message)
        for rule in manifest.redirects
        for message in _warnings(rule, manifest.settings, by_path, paths)
    ]
    warnings += [Problem(file, line, message) for line, message in loops.given_up]
    return Report(tuple(sorted(errors)), tuple(sorted(warnings)))


def check_paths(paths: Iterable[str]) -> tuple[Problem, ...]:
    """Return what is wrong with paths that are to be those of entries: no manifest can hold such a one."""
    return tuple(Problem(_shown(path), 0, message) for path in paths if (message := check_path(path)))


def check_path(path: str) -> str | None:
    """Return what keeps an entry path from being published, or None (SITE-FORMAT section 1)."""
    if is_entry_path(path):
        return None
    try:
        raw = path.encode("utf-8")
    except UnicodeEncodeError:
        return "the path is not UTF-8"
    control = CONTROL.search(path)
    segments = path.split("/")[1:]
    if control:
        return f"the path holds a control character (U+{ord(control[0]):04X})"
    if not path.startswith("/"):
        return "the path does not begin with a slash"
    if "" in segments:
        return "the path has an empty segment (`//`, or a slash at the end)"
    if "." in segments or ".." in segments:
        return "the path has a dot segment"
    if len(raw) > MAX_PATH_BYTES:
        return f"the path has {len(raw):,} bytes; at most {MAX_PATH_BYTES:,} are allowed"
    longest = max(len(segment.encode("utf-8")) for segment in segments)
    if longest > MAX_SEGMENT_BYTES:
        return f"a name in the path has {longest:,} bytes; at most {MAX_SEGMENT_BYTES} are allowed"
    return None


def _shown(path: str) -> str:
    """A path as people can read it on any terminal, without its first slash."""
    text = path.removeprefix("/").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _clashes(settings: SiteSettings, by_path: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each file that claims the URL of another."""
    owners: dict[str, str] = {}
    for path in by_path:
        other = path.removesuffix(PAGE)
        url = url_path(settings, path)
        if settings.clean_urls and other != path and other in by_path:
            yield path, f"claims the URL {_shown_url(url_path(settings, other))}, which `{_shown(other)}` has already"
        elif url in owners:
            yield path, f"claims the URL {_shown_url(url)}, which `{_shown(owners[url])}` has already"
        owners.setdefault(url, path)


def _shown_url(url: str) -> str:
    return "/" + _shown(url)


def _warnings(
    rule: RedirectRule,
    settings: SiteSettings,
    by_path: Mapping[str, Entry],
    paths: Sequence[str],
) -> Iterator[str]:
    """Yield what is doubtful about one rule."""
    canonical = settings.hostnames[0]
    if rule.host not in {None, canonical} and settings.alias_mode == "redirect":
        yield (
            f"never applies, because {rule.host} redirects to {canonical} before any rule is asked; "
            'alias_mode = "serve" changes that'
        )
    path = compile_pattern(rule.source).literal
    if path is not None and not rule.force and find(settings, by_path, path) is not None:
        entry = find_entry(settings, by_path, path)
        name = _shown(path if entry is None else entry.path)
        yield f"shadowed by the file `{name}`, so it never applies; end its status in `!` to ask it first"
    if rule.target is None or rule.status in REDIRECT_STATUSES:
        return
    if not mentions(rule.target):
        page = Hit(rule, {}, {}, "").page_path()
        if page is None or find_entry(settings, by_path, page) is None:
            yield f"its target `{rule.target}` does not exist, so it answers 404"
        return
    prefix = (decode_path(rule.target.partition(":")[0]) or "/").rstrip("/")
    if not _any_below(paths, prefix):
        yield f"nothing exists that its target `{rule.target}` can be, so it answers 404"


def _any_below(paths: Sequence[str], prefix: str) -> bool:
    """Whether any of the sorted paths begins with `prefix`."""
    index = bisect_left(paths, prefix)
    return index < len(paths) and paths[index].startswith(prefix)


def _may_be_entry(manifest: Manifest, paths: Sequence[str], tokens: Tokens, *, slash: bool | None) -> bool:
    """Whether a path of that shape may be answered by an entry, or by a clean-URL redirect to one."""
    literal = [token for token in tokens if isinstance(token, str)]
    if len(literal) == len(tokens):
        path = "/" + "/".join(literal)
        forms = {False: [path], True: [f"{path}/"], None: [path, f"{path}/"]}[slash] if literal else ["/"]
        return any(find(manifest.settings, manifest.by_path, form) is not None for form in forms)
    first = next(index for index, token in enumerate(tokens) if not isinstance(token, str))
    return _any_below(paths, "".join(f"/{token}" for token in tokens[:first]))
