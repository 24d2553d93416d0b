"""The one table of streams, buckets and subjects.

A bucket is a JetStream stream `KV_<name>` with the subjects `$KV.<name>.<key>`, as the NATS key-value convention
(ADR-8) has it, so that the `nats` command-line tool reads ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from edgeward.core.digest import Digest

SECOND: Final = 1_000_000_000
"""JetStream counts in nanoseconds."""

CHUNK: Final = 512 * 1024
"""Bytes of one message of a blob; the last one of a blob may be shorter, and that of an empty blob is empty."""

BLOBS: Final = "blobs"
EVENTS: Final = "events"
SERVER: Final = "edgeward.server"
"""Plain subject (not stored) on which the supervisor of a state server answers what is wrong with it, as JSON."""

OBSERVATIONS: Final = "health."
"""Plain subjects `health.<observer>` (not stored): what each edge sees of those that it probes (core.health.Report)."""

EVENT_WINDOW: Final = 120
"""Seconds within which the store takes an event that is sent again for the same."""

MAX_HISTORY: Final = 64
"""The most that JetStream's key-value convention keeps for one key."""


@dataclass(frozen=True, slots=True)
class BucketLayout:
    """One bucket. ttl: seconds until a key that is not written again goes, or None. history: revisions kept of a key.

    purpose: a line for people, also stored in the stream's description.
    """

    name: str
    purpose: str
    ttl: int | None = None
    history: int = 1

    @property
    def stream(self) -> str:
        """The JetStream stream that holds it."""
        return f"KV_{self.name}"

    @property
    def prefix(self) -> str:
        """What comes before the key in a subject."""
        return f"$KV.{self.name}."

    def stream_config(self) -> dict[str, Any]:
        """Return the JetStream configuration (STREAM.CREATE), without the number of replicas."""
        ttl = (self.ttl or 0) * SECOND
        config = {
            "name": self.stream,
            "description": self.purpose,
            "subjects": [f"{self.prefix}>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": self.history,
            "max_age": ttl,
            "max_msgs": -1,
            "max_bytes": -1,
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "allow_msg_ttl": True,
            "duplicate_window": min(ttl, 120 * SECOND) if ttl else 120 * SECOND,
        }
        if ttl:
            # Without it expiry is invisible to watchers; the marker itself goes after this time.
            config["subject_delete_marker_ttl"] = max(60 * SECOND, 2 * ttl)
        return config


BUCKETS: Final = {
    bucket.name: bucket
    for bucket in (
        BucketLayout("releases", "<site>.<release> -> ReleaseRecord"),
        BucketLayout("live", "<site> -> Pointer; changed by compare-and-set", history=MAX_HISTORY),
        BucketLayout("candidates", "<site>.<release> -> Pointer that edges should stage", ttl=3600),
        BucketLayout("hosts", "<hostname> -> HostClaim"),
        BucketLayout("edges", "<edge> -> EdgeRecord"),
        BucketLayout("status", "<edge> -> EdgeStatus; absent = not reporting", ttl=10),
        BucketLayout("purges", "<key> -> PurgeOrder"),
        BucketLayout("pushes", "<id> -> intent of a push under way", ttl=30),
        BucketLayout("leases", "<name> -> who may act for the whole fleet just now", ttl=30),
        BucketLayout("verdicts", "<edge> -> VerdictRecord; absent = up"),
        BucketLayout("proofs", "<_acme-challenge name> -> Proof that name servers answer", ttl=86_400),
        BucketLayout("fleet", "settings of the whole fleet"),
    )
}


def blobs_config() -> dict[str, Any]:
    """Return the JetStream configuration of the stream of blobs.

    One message for each subject and the second one refused: that makes puts idempotent. Its size is limited by the
    machine that runs the server (`max_bytes` is not here), so that small values still find room when blobs do not.
    """
    return {
        "name": BLOBS,
        "description": "blob.<digest>.<chunk>: bytes named by their SHA-256 digest",
        "subjects": ["blob.*.*"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "allow_direct": True,
        "allow_atomic": True,
        "max_msg_size": CHUNK + 4096,
    }


def events_config() -> dict[str, Any]:
    """Return the JetStream configuration of the stream of events: 30 days and 64 MiB at most, oldest out first."""
    return {
        "name": EVENTS,
        "description": "event.<kind>: what happened, for people",
        "subjects": ["event.*"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": 30 * 86_400 * SECOND,
        "max_bytes": 64 * 1024 * 1024,
        "max_msgs": -1,
        "allow_direct": True,
        "duplicate_window": EVENT_WINDOW * SECOND,
    }


def stream_configs() -> Iterator[dict[str, Any]]:
    """Yield the configuration of every stream, in the order in which they are made."""
    yield blobs_config()
    yield events_config()
    for bucket in BUCKETS.values():
        yield bucket.stream_config()


def chunks(size: int) -> int:
    """Return the number of messages of a blob of `size` bytes: at least one."""
    return max(1, -(-size // CHUNK))


def chunk_subject(digest: Digest, number: int) -> str:
    """Return the subject of one chunk (from 0) of a blob."""
    return f"blob.{digest}.{number}"


def event_subject(kind: str) -> str:
    """Return the subject of an event; kind: lower-case letters and dashes."""
    return f"event.{kind}"
