"""From a folder to a manifest: scan, rules, checks, compression, times (SITE-FORMAT section 1).

Two steps, so that nothing long is done for a site that is refused: `draft` finds every problem, `build` compresses and
gives each entry its time.
"""

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeward.core.assets import is_immutable
from edgeward.core.check import RULES_FILE, check_path, check_paths, check_release
from edgeward.core.digest import Digest
from edgeward.core.headers import parse_headers
from edgeward.core.loops import find_loops
from edgeward.core.media_types import media_type
from edgeward.core.redirects import read_redirects
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.rules import HeaderBlock, RedirectRule
from edgeward.core.site import SiteSettings
from edgeward.errors import DiskError, InputError, Problem
from edgeward.publish.compress import compress_all, variants_of, wants_variants
from edgeward.publish.scan import Scan, ScannedFile, scan
from edgeward.publish.values import Changes, Limits, PushOptions
from edgeward.publish.variant_cache import VariantCache
from edgeward.serve.nginx.fit import misfits

RESERVED = ("/.well-known/acme-challenge/", "/.well-known/edgeward/")
"""Every edge answers these itself, for any Host (SITE-FORMAT section 7)."""

SAFE_SITE = 20
"""A site with more paths than this is protected against losing more than half of them in one push."""


DECISIVE = frozenset({"hostnames", "clean_urls", "trailing_slash", "alias_mode"})
"""Settings that decide what files and rules mean together."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A folder that can be published. warnings: sorted; none of them stops a push unless it is strict."""

    scan: Scan
    settings: SiteSettings
    redirects: tuple[RedirectRule, ...]
    headers: tuple[HeaderBlock, ...]
    warnings: tuple[Problem, ...]

    @property
    def immutable(self) -> tuple[str, ...]:
        """Paths that will be served as immutable."""
        return tuple(file.path for file in self.scan.files if is_immutable(self.settings, file.path))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a variant come from: a file as scanned, through a coding of it."""

    file: ScannedFile
    variant: Variant


@dataclass(frozen=True, slots=True)
class Build:
    """A manifest, whose entries are in the order of the scan's files. compressed: contents that were not taken over
    from the release before.
    """

    draft: Draft
    manifest: Manifest
    compressed: int

    def origins(self, digests: Collection[Digest]) -> Mapping[Digest, Origin]:
        """Return the origins of those of the digests that are blobs of the manifest."""
        found: dict[Digest, Origin] = {}
        for file, entry in zip(self.draft.scan.files, self.manifest.entries, strict=True):
            for variant in entry.variants:
                if variant.digest in digests:
                    found.setdefault(variant.digest, Origin(file, variant))
        return found


def draft(
    folder: Path,
    settings: SiteSettings,
    *,
    cache: Path | None,
    limits: Limits | None = None,
    jobs: int | None = None,
    strict: bool = False,
    allow_no_index: bool = False,
    unread: frozenset[str] = frozenset(),
    on_read: Callable[[int], None] | None = None,
    previous: Manifest | None = None,
) -> Draft:
    """Scan `folder`, parse its rules and check all that can be checked without a fleet.

    Raises InputError with every problem found. strict: warnings are problems. unread: keys of edgeward.toml in whose
    place `settings` has a default: what may be a problem for that reason alone is none. previous: the release before,
    whose entries save time where files have not changed.
    """
    found = scan(folder, cache=cache, limits=limits, jobs=jobs, on_read=on_read)
    problems = list(found.problems)
    hostnames = None if "hostnames" in unread else settings.hostnames
    redirects, warnings = _redirects(found, hostnames, problems)
    headers = _headers(found, problems)
    unfit = check_paths(file.path for file in found.files)
    problems.extend(unfit)
    before = previous.by_path if previous else {}
    entries = tuple(
        _unchanged(file, before.get(file.path)) or _plain_entry(file)
        for file in found.files
        if not unfit or check_path(file.path) is None
    )
    preliminary = Manifest(settings, entries, redirects, headers)
    if unread.isdisjoint(DECISIVE):
        report = check_release(preliminary)
        problems.extend(report.errors)
        warnings.extend(report.warnings)
    elif hostnames is not None:
        problems.extend(Problem(RULES_FILE, *loop) for loop in find_loops(redirects, hostnames).certain)
    problems.extend(misfits(preliminary))
    problems.extend(_root_problems(found, allow_no_index=allow_no_index))
    if strict:
        problems.extend(warnings)
        warnings = []
    if problems:
        raise refusal(folder, problems)
    return Draft(found, settings, redirects, headers, tuple(sorted(set(warnings))))


def everything_wrong(options: PushOptions, problems: Sequence[Problem], unread: frozenset[str]) -> InputError:
    """Return the error for a site whose edgeward.toml has these problems, with all that is wrong with its folder too.

    unread: as for `draft`. The fleet is not asked: its limits are taken to be the usual ones.
    """
    found: Sequence[Problem] = ()
    try:
        draft(
            options.folder,
            options.settings,
            cache=None,
            jobs=options.jobs,
            strict=options.strict,
            allow_no_index=options.allow_no_index,
            unread=unread,
        )
    except InputError as error:
        found = error.problems or (Problem("", 0, error.message),)
    except DiskError as error:
        found = (Problem("", 0, error.message),)
    return refusal(options.folder, [*problems, *found])


def build(
    draft: Draft,
    previous: Manifest | None,
    *,
    now: int,
    cache: VariantCache,
    jobs: int | None = None,
    distrust: frozenset[Digest] = frozenset(),
    on_compressed: Callable[[int, int], None] | None = None,
    on_plan: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Build:
    """Compress what the previous release did not hold, and make the manifest.

    now: seconds since the epoch. distrust: contents whose variants are not to be taken over. on_plan: called with files
    and bytes that have to be compressed; on_compressed: with those just done, from other threads. Raises InputError if
    the folder changed, DiskError, compress.Stopped.
    """
    known = {digest: made for digest, made in variants_of(previous).items() if digest not in distrust}
    wanted = {file.digest: file for file in draft.scan.files if wants_variants(file.path, file.size)}
    missing = [file for digest, file in wanted.items() if digest not in known]
    if on_plan:
        on_plan(len(missing), sum(file.size for file in missing))
    try:
        made = compress_all(missing, cache, jobs=jobs, on_done=on_compressed, stop=stop)
    except InputError as error:
        raise refusal(draft.scan.folder, list(error.problems)) from error
    before = previous.by_path if previous else {}
    entries = []
    for file in draft.scan.files:
        entry = None if file.digest in made else _unchanged(file, before.get(file.path))
        if entry is None:
            identity = Variant("identity", file.digest, file.size)
            others: tuple[Variant, ...] = ()
            if wants_variants(file.path, file.size):
                others = made[file.digest] if file.digest in made else known[file.digest]
            entry = _entry(file, (identity, *others), before.get(file.path), now)
        entries.append(entry)
    manifest = Manifest(draft.settings, tuple(entries), draft.redirects, draft.headers)
    return Build(draft, manifest, len(missing))


def _unchanged(file: ScannedFile, before: Entry | None) -> Entry | None:
    """Return the entry of the release before if it is what the file is now: content, and what its name makes of it."""
    same = before is not None and before.identity.digest == file.digest and before.media_type == media_type(file.path)
    return before if same else None


def _entry(file: ScannedFile, variants: tuple[Variant, ...], before: Entry | None, now: int) -> Entry:
    """Give the entry its time: that of the release before for the same content, else one that is later than it."""
    if before is None:
        modified = now
    elif before.identity.digest == file.digest:
        modified = before.modified
    else:
        modified = max(now, before.modified + 1)
    return Entry(file.path, media_type(file.path), modified, variants)


def changes(previous: Manifest | None, manifest: Manifest) -> Changes:
    """Say how a release differs from the one before it (None: everything is new)."""
    before = previous.by_path if previous else {}
    after = manifest.by_path
    return Changes(
        added=tuple(path for path in after if path not in before),
        changed=tuple(
            path for path, entry in after.items() if path in before and _content(entry) != _content(before[path])
        ),
        removed=tuple(path for path in before if path not in after),
        redirects=previous is not None and previous.redirects != manifest.redirects,
        headers=previous is not None and previous.headers != manifest.headers,
        settings=previous is not None and previous.settings != manifest.settings,
    )


def check_loss(site: str, previous: Manifest | None, paths: frozenset[str]) -> None:
    """Raise InputError if more than half of the paths of a site with over SAFE_SITE would disappear. paths: the new
    ones.
    """
    before = len(previous.entries) if previous else 0
    lost = sum(entry.path not in paths for entry in previous.entries) if previous else 0
    if before > SAFE_SITE and lost * 2 > before:
        raise InputError(
            f"this push would take {lost} of the {before} paths of site {site} away",
            hint="is it the right folder? if it is, push again with --force",
        )


def clock(now: int | None, environment: Mapping[str, str] | None = None) -> int | None:
    """Return `now`, or else SOURCE_DATE_EPOCH (reproducible-builds.org), or None. Raises InputError if that is no
    number.
    """
    if now is not None:
        return now
    text = (os.environ if environment is None else environment).get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 2**40:
        raise InputError(f"SOURCE_DATE_EPOCH is {text!r}, which is no number of seconds since 1970", hint="unset it")
    return int(text)


def refusal(folder: Path, problems: list[Problem]) -> InputError:
    """Return the error that carries all problems of a folder, each once."""
    distinct = sorted(set(problems))
    many = f"{len(distinct)} problems" if len(distinct) > 1 else "1 problem"
    return InputError(f"{folder} cannot be published: {many}", distinct)


def _content(entry: Entry) -> tuple[Digest, str]:
    return entry.identity.digest, entry.media_type


def _plain_entry(file: ScannedFile) -> Entry:
    return Entry(file.path, media_type(file.path), 0, (Variant("identity", file.digest, file.size),))


def _redirects(
    found: Scan, hostnames: tuple[str, ...] | None, problems: list[Problem]
) -> tuple[tuple[RedirectRule, ...], list[Problem]]:
    """Return the rules that could be read: loops and the like among them are found beside what is wrong with others."""
    read = read_redirects(found.rules.get("_redirects", b""), hostnames=hostnames)
    try:
        read.findings.raise_if_any()
    except InputError as error:
        problems.extend(error.problems)
    return read.rules, list(read.warnings)


def _headers(found: Scan, problems: list[Problem]) -> tuple[HeaderBlock, ...]:
    try:
        return parse_headers(found.rules.get("_headers", b""))
    except InputError as error:
        problems.extend(error.problems)
        return ()


def _root_problems(found: Scan, *, allow_no_index: bool) -> list[Problem]:
    if not found.files and not found.problems:
        return [Problem("", 0, f"the folder {found.folder} holds no files to publish")]
    problems = [
        Problem(file.path[1:], 0, f"would never be seen: every edge answers {prefix} itself")
        for file in found.files
        for prefix in RESERVED
        if file.path.startswith(prefix)
    ]
    has_index = any(file.path == "/index.html" for file in found.files)
    # Where the walk stopped at a limit, or stumbled over this very file, nobody can say that it is not there.
    if has_index or allow_no_index or any(problem.file in {"", "index.html"} for problem in found.problems):
        return problems
    missing = "there is no index.html in the root of the folder; --allow-no-index publishes it all the same"
    return [*problems, Problem("", 0, missing)]
