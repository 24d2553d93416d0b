"""What the use-cases take and give: options and results, frozen; the front doors print them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgeward.core.digest import Digest
from edgeward.core.fleet import EdgeStatus, Move
from edgeward.core.site import SiteSettings
from edgeward.errors import Problem

Quorum = Literal["all", "majority", "any"]
"""How many of the edges that are waited for must be ready when the wait is over."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one site (SITE-FORMAT section 1); the fleet's own are in the bucket `fleet` under `limits`."""

    entries: int = 200_000
    file_size: int = 2 * 1024**3
    site_size: int = 20 * 1024**3


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for edges (seconds), and what to do about those that are late."""

    seconds: float = 60.0
    quorum: Quorum = "all"


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What `edgeward push` is asked to do.

    folder: what to publish. settings: the site. message: None = subject of the folder's git commit, or "". deployer:
    who pushes, None = this machine's user and host. now: None = SOURCE_DATE_EPOCH or the clock. jobs: threads for
    reading and compressing, None = one for each core. dry_run: only say what would change. force: past the safety stop.
    strict: warnings are errors. allow_no_index, allow_purged: past those checks.
    """

    folder: Path
    settings: SiteSettings
    message: str | None = None
    deployer: str | None = None
    waiting: Waiting = field(default_factory=Waiting)
    dry_run: bool = False
    force: bool = False
    strict: bool = False
    allow_no_index: bool = False
    allow_purged: bool = False
    now: int | None = None
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """How a release differs from the one before: paths, and whether rules or settings changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    redirects: bool = False
    headers: bool = False
    settings: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the two are the same release."""
        return self == Changes()


@dataclass(frozen=True, slots=True)
class EdgeTimes:
    """When one edge had the release staged, and served it: seconds since the command began, None = not in time."""

    edge: str
    staged: float | None
    live: float | None


@dataclass(frozen=True, slots=True)
class Bystander:
    """An edge that was not waited for, and why ("drained", "not reporting", NOT_FOR_READERS of the fleet)."""

    edge: str
    because: str


@dataclass(frozen=True, slots=True)
class MoveResult:
    """A live pointer was moved: by push, rollback, purge or removal. release None: the site was removed."""

    site: str
    move: Move
    release: Digest | None
    previous: Digest | None
    edges: tuple[EdgeTimes, ...]
    bystanders: tuple[Bystander, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push came to.

    outcome: "released", "unchanged" (the folder is what is live already: no new release) or "planned" (dry run).
    files, size: entries and identity bytes of the release. upload_blobs, upload_bytes: missing blobs that were
    (planned: would be) uploaded. left_out: dot files and folders (these end in "/"). immutable: paths served as
    immutable. reread: files that had to be read. compressed: files that had to be compressed. warnings: of rules and
    files. moved: the move, None unless released. timings: seconds for each phase.
    """

    outcome: Literal["released", "unchanged", "planned"]
    site: str
    hostnames: tuple[str, ...]
    release: Digest
    previous: Digest | None
    message: str
    changes: Changes
    files: int
    size: int
    upload_blobs: int
    upload_bytes: int
    left_out: tuple[str, ...]
    immutable: tuple[str, ...]
    reread: int
    compressed: int
    warnings: tuple[Problem, ...]
    moved: MoveResult | None
    timings: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """One release of a site, for `edgeward releases`. live: it is what the pointer names now."""

    release: Digest
    created: int
    message: str
    deployer: str
    files: int
    size: int
    live: bool
    signed: bool
    purged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveLine:
    """One move of the live pointer: the audit of who moved what when."""

    release: Digest | None
    at: int
    by: str
    move: Move


@dataclass(frozen=True, slots=True)
class SiteReleases:
    """The retained releases of a site, newest first, and the moves of its pointer, newest first."""

    site: str
    releases: tuple[ReleaseLine, ...]
    moves: tuple[MoveLine, ...]


@dataclass(frozen=True, slots=True)
class SiteLine:
    """One site of the fleet, for `edgeward site list`. edges_live of edges_reporting serve the live release."""

    site: str
    hostnames: tuple[str, ...]
    release: Digest | None
    pushed: int
    by: str
    files: int
    size: int
    edges_live: int
    edges_reporting: int


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """One edge, for `edgeward status`. status None: it does not report. current: ready, and every site's live release
    is live there. drained_until, drained_because: as the operator said. down: why, while
    the other edges say that it is. silent: "over IPv6: ...", while it is up and does not answer there.
    """

    edge: str
    location: str
    addresses: tuple[str, ...]
    drained: bool
    status: EdgeStatus | None
    current: bool
    drained_until: int | None = None
    drained_because: str = ""
    down: tuple[str, ...] | None = None
    silent: str = ""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """What `edgeward status` shows: every edge that is known or reports, and every site."""

    edges: tuple[EdgeLine, ...]
    sites: tuple[SiteLine, ...]


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a takedown did.

    key: the order's name, None if no retained release holds the paths. paths: as given. taken_out: every path that lost
    its content, in any release (those that held the same bytes too). releases: (old, new or None if nothing but these
    paths was in it) for each release rewritten. digests: blobs erased. shared: of these paths' blobs, those that stay
    because another site holds the same bytes, with that site's name. edges: who has confirmed that the bytes are gone;
    late: who has not.
    """

    site: str
    key: str | None
    paths: tuple[str, ...]
    taken_out: tuple[str, ...]
    releases: tuple[tuple[Digest, Digest], ...]
    digests: tuple[Digest, ...]
    shared: tuple[tuple[Digest, str], ...]
    edges: tuple[str, ...]
    late: tuple[Bystander, ...]
    moved: MoveResult | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that an edge answers otherwise than the manifest says."""

    edge: str
    request: str
    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `edgeward verify` found. edges: asked; unreachable: could not be asked (each is a failure too)."""

    site: str
    release: Digest
    edges: tuple[str, ...]
    requests: int
    paths: int
    differences: tuple[Difference, ...]
    unreachable: tuple[Bystander, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether every edge answered everything as the manifest says."""
        return not self.differences and not self.unreachable
