"""Making the layout: every stream that is missing is made, every other one brought to the layout."""

from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BLOBS, stream_configs


async def prepare(jetstream: JetStream, *, replicas: int | None = None, blob_bytes: int | None = None) -> None:
    """Make the layout; safe to repeat, and to do from several machines at once.

    replicas: servers that hold each message; None keeps what there is (1 for what is new). blob_bytes: most that all
    blobs together may take; None keeps what there is (no limit for what is new). Raises StoreError.
    """
    for config in stream_configs():
        if config["name"] == BLOBS and blob_bytes is not None:
            await jetstream.ensure_stream({**config, "max_bytes": blob_bytes}, replicas=replicas)
        else:
            await jetstream.ensure_stream(config, replicas=replicas)
