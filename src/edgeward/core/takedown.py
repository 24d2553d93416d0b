"""What a takedown takes out of a site: which paths of which releases, which blobs, and what the
releases become. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgeward.core.digest import Digest
from edgeward.core.fleet import Pointer
from edgeward.core.release import Entry, Manifest


@dataclass(frozen=True)
class Takedown:
    """paths: as asked for, and found. taken_out: every path that loses its content, in any release: those, and those
    that hold the same bytes. digests: every blob of them. rewritten: what each release that held them becomes, by its
    old name.
    """

    paths: tuple[str, ...]
    taken_out: tuple[str, ...]
    digests: tuple[Digest, ...]
    rewritten: Mapping[Digest, Manifest] = field(default_factory=dict)


def take_down(paths: Sequence[str], releases: Mapping[Digest, Manifest]) -> Takedown:
    """Decide what goes. paths: entry paths ("/a/b.html"); one that no release holds is left out of the result's
    `paths`.
    """
    wanted = frozenset(paths)
    entries = [entry for manifest in releases.values() for entry in manifest.entries]
    found = frozenset(entry.path for entry in entries if entry.path in wanted)
    digests = _same_bytes(entries, found)
    rewritten: dict[Digest, Manifest] = {}
    taken_out: set[str] = set()
    for release, manifest in releases.items():
        gone = frozenset(entry.path for entry in manifest.entries if _is_touched(entry, found, digests))
        if gone:
            taken_out |= gone
            left = tuple(entry for entry in manifest.entries if entry.path not in gone)
            rewritten[release] = Manifest(manifest.settings, left, manifest.redirects, manifest.headers)
    return Takedown(tuple(sorted(found)), tuple(sorted(taken_out)), tuple(sorted(digests)), rewritten)


def _is_touched(entry: Entry, paths: frozenset[str], digests: frozenset[Digest]) -> bool:
    return entry.path in paths or any(variant.digest in digests for variant in entry.variants)


def _same_bytes(entries: Iterable[Entry], paths: frozenset[str]) -> frozenset[Digest]:
    """Return the blobs of these paths and of every entry that shares one with them, until nothing is added any more."""
    rest = list(entries)
    digests: frozenset[Digest] = frozenset()
    while True:
        touched = [entry for entry in rest if _is_touched(entry, paths, digests)]
        if not touched:
            return digests
        digests |= {variant.digest for entry in touched for variant in entry.variants}
        rest = [entry for entry in rest if not _is_touched(entry, paths, digests)]


def shared_blobs(digests: Iterable[Digest], others: Mapping[str, Iterable[Manifest]]) -> Mapping[Digest, str]:
    """Return those of the blobs that other sites hold too, with the first such site. others: manifests by site."""
    wanted = frozenset(digests)
    shared: dict[Digest, str] = {}
    for site, manifests in sorted(others.items()):
        for manifest in manifests:
            for variant in manifest.blobs():
                if variant.digest in wanted:
                    shared.setdefault(variant.digest, site)
    return shared


def renamed(release: Digest | None, names: Mapping[Digest, Digest]) -> Digest | None:
    """Return what a release is called now: `names` says what each rewritten one became, which may have happened
    repeatedly.
    """
    seen: set[Digest] = set()
    while release is not None and release in names and release not in seen:
        seen.add(release)
        release = names[release]
    return release


def undo_target(moves: Iterable[Pointer], names: Mapping[Digest, Digest]) -> Digest | None:
    """Return the release that a plain rollback goes to, None if there is none.

    moves: of the live pointer, oldest first. names: see `renamed`. It is what was live before, as a person counts:
    pushes stack up, and a rollback takes off what it undoes. So two rollbacks in a row go back two releases, and a push
    after a rollback is undone to what the rollback restored, never to what it took away.
    """
    stack: list[Digest] = []
    for pointer in moves:
        release = renamed(pointer.release, names)
        if release is None:
            continue
        previous = renamed(pointer.previous, names)
        if not stack and previous is not None and previous != release:
            stack.append(previous)
        if pointer.move == "rollback" and release in stack:
            del stack[stack.index(release) + 1 :]
        elif not stack or stack[-1] != release:
            stack.append(release)
    return stack[-2] if len(stack) > 1 else None
