"""Blobs in the store: bytes named by their digest, in chunks of 512 KiB, one message each.

A second message of a subject is refused by the server, so a put may be repeated at any time. Where one is refused,
what is stored is compared with what was to be put, and replaced if it differs: a put always ends with the right bytes
stored.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Final

from edgeward.core.digest import Digest, check_digest
from edgeward.errors import NotFoundError
from edgeward.store.batches import Batches
from edgeward.store.download import Download
from edgeward.store.jetstream import JetStream
from edgeward.store.layout import BLOBS, chunk_subject, chunks
from edgeward.store.listing import StoredBlob, list_blobs, present
from edgeward.store.upload import BlobSource, Progress, Upload

__all__ = ["BlobSource", "Blobs", "StoredBlob"]

PATIENCE: Final = 30.0
"""Seconds without any progress after which a transfer gives up: a server may restart in between."""


class Blobs:
    """The blobs of the fleet. Every method raises StoreUnavailable after `patience` seconds without progress."""

    def __init__(self, jetstream: JetStream) -> None:
        self._jetstream = jetstream

    async def present(self, sizes: Mapping[Digest, int], *, patience: float = PATIENCE) -> frozenset[Digest]:
        """Return those of the digests of which every chunk is stored; sizes: bytes of each blob."""
        return await present(self._jetstream, sizes, patience)

    async def put(
        self, sources: Iterable[BlobSource], on_progress: Progress | None = None, *, patience: float = PATIENCE
    ) -> None:
        """Store blobs; those that are there already do no harm, and a put that stopped half-way is completed.

        on_progress(blobs, bytes): how many have been stored since the last call. Raises CorruptionError for a source
        whose bytes do not have its digest (it is left out of the store, what came before it is stored), DiskError for
        one that cannot be read, StoreFull when the store has no room.
        """
        await Upload(self._jetstream, on_progress, patience).run(sources)

    async def fetch(
        self, sizes: Mapping[Digest, int], scratch: Path, *, patience: float = PATIENCE
    ) -> AsyncIterator[tuple[Digest, Path]]:
        """Yield each blob as a verified file in the folder `scratch`, in no order; the files are the caller's.

        A blob that is corrupt or missing does not keep the others back: after the last good one comes CorruptionError
        (facts: `corrupt`, `missing`) or NotFoundError (`missing`). Memory is bounded whatever the sizes. DiskError if
        the folder cannot be written. Close the iterator (contextlib.aclosing) when leaving it early.
        """
        download = Download(self._jetstream, sizes, scratch, patience)
        try:
            async for found in download.run():
                yield found
        finally:
            await download.close()

    async def read(self, digest: Digest, size: int, *, patience: float = PATIENCE) -> bytes:
        """Return the bytes of one blob, verified: for manifests and other small ones.

        Raises NotFoundError if a chunk is missing, CorruptionError if the bytes do not have the digest.
        """
        parts = await Batches(self._jetstream, patience).parts(
            [chunk_subject(digest, number) for number in range(chunks(size))]
        )
        if len(parts) < chunks(size):
            msg = f"blob {digest[:12]} is not in the state store"
            raise NotFoundError(msg, missing=[digest])
        data = b"".join(parts[chunk_subject(digest, number)].data for number in range(chunks(size)))
        check_digest(data, digest)
        return data

    async def delete(self, digests: Iterable[Digest], *, erase: bool = True, patience: float = PATIENCE) -> None:
        """Remove blobs; one that is not there is no error.

        erase: overwrite the bytes in the server's files before they are given up (a takedown); otherwise they go when
        the server next compacts the file.
        """
        for digest in digests:
            what = f"delete blob {digest[:12]}"
            if erase:
                await self._erase(digest, what, patience)
            await self._jetstream.call(
                f"STREAM.PURGE.{BLOBS}", {"filter": f"blob.{digest}.*"}, what=what, deadline=patience
            )

    async def _erase(self, digest: Digest, what: str, patience: float) -> None:
        sequence = 1
        while True:
            stored = await self._jetstream.next_message(
                BLOBS, f"blob.{digest}.*", sequence, what=what, deadline=patience
            )
            if stored is None:
                return
            sequence = stored.sequence + 1
            await self._jetstream.erase(BLOBS, stored.sequence, what=what, deadline=patience)

    async def taken_out(self, *, patience: float = PATIENCE) -> str:
        """Return which store this is and how many chunks were ever taken out of it: nothing has gone while it is the
        same.
        """
        answer = await self._jetstream.info(BLOBS, what="ask what was taken out of the store", deadline=patience)
        state = answer["state"]
        return f"{answer['created']} {int(state['last_seq']) - int(state['messages'])}"

    async def digests(self, *, patience: float = PATIENCE) -> Mapping[Digest, StoredBlob]:
        """Return every blob of which at least one chunk is stored, with its age and bytes."""
        return await list_blobs(self._jetstream, patience)
