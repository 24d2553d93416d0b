"""Staging: only what is missing is fetched, all of it is verified, and nothing unsound is ever linked."""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_parts import MODIFIED, Parts, make_release
from edgeward.core.deployers import Deployer, Deployers, release_statement
from edgeward.core.digest import Digest, digest_of
from edgeward.edge.stager import Refused
from edgeward.errors import CorruptionError, DiskError, NotFoundError, SchemaError
from edgeward.publish.intent import intent
from edgeward.serve.blobs import BlobFolder
from edgeward.store.blobs import BlobSource
from edgeward.store.connection import StoreAddress, open_store
from edgeward.store.layout import chunk_subject
from waiting import eventually

PAGES = {"/index.html": "<p>hello</p>" * 100, "/small.txt": "x", "/assets/app.3f9a1c7e.js": "1;" * 200}


def rot(file: Path) -> None:
    """Change bytes as a failing disk does: size and times stay."""
    status = file.stat()
    data = bytearray(file.read_bytes())
    data[0] ^= 0xFF
    with file.open("r+b") as opened:
        opened.write(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@asynccontextmanager
async def flipping_proxy(address: str, target: tuple[str, int], needle: bytes, times: int) -> AsyncIterator[list[int]]:
    """A TCP proxy that damages `needle` on its way to the client, so many times. Yields [port, damaged so far]."""
    found = [0, 0]

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, damage: bool) -> None:
        held = b""
        while data := await reader.read(65536):
            held += data
            if damage and found[1] < times and needle in held:
                held = held.replace(needle, bytes([needle[0] ^ 1]) + needle[1:], 1)
                found[1] += 1
            writer.write(held)
            held = b""
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*target)
        await asyncio.gather(
            pump(reader, upstream_writer, damage=False),
            pump(upstream_reader, writer, damage=True),
            return_exceptions=True,
        )

    server = await asyncio.start_server(serve, address, 0)
    found[0] = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


async def test_a_release_is_staged_whole(store, parts: Parts) -> None:
    """Trees for each coding with the entry's time, the manifest on disk, the assets in the kept folder."""
    made = await make_release(PAGES).put(store)
    await parts.stage(made)
    assert parts.holdings.staged == {made.key: ("blog.test",)}
    assert parts.read(made, "/index.html") == PAGES["/index.html"]
    assert parts.read(made, "/index.html", "vary") == PAGES["/index.html"]
    assert (parts.disk.tree(made.key) / "gzip/index.html").stat().st_mtime == MODIFIED
    assert not (parts.disk.tree(made.key) / "gzip/small.txt").exists()
    assert parts.disk.manifest(made.key[1]) == made.manifest
    assert set(parts.disk.kept("blog").assets()) == {"/assets/app.3f9a1c7e.js"}
    assert list(parts.disk.scratch.iterdir()) == []


async def test_only_what_is_missing_is_fetched(store, parts: Parts) -> None:
    """A second release needs only its new blobs: the others need not even be in the store any more."""
    first = await make_release(PAGES).put(store)
    await parts.stage(first)
    await store.blobs.delete(first.blobs)
    second = make_release({**PAGES, "/new.html": "new"})
    await second.put(store, but=frozenset(first.blobs))
    await parts.stage(second)
    assert parts.read(second, "/new.html") == "new"
    assert parts.read(second, "/index.html") == PAGES["/index.html"]


async def test_staging_again_changes_nothing(store, parts: Parts) -> None:
    """All that staging does may be repeated."""
    made = await make_release(PAGES).put(store)
    await parts.stage(made)
    before = (parts.disk.tree(made.key) / "identity/index.html").stat()
    await parts.stage(made)
    assert (parts.disk.tree(made.key) / "identity/index.html").stat() == before


async def test_a_missing_blob_stages_nothing(store, parts: Parts) -> None:
    """A release whose blobs are not all there is not staged; when they come, it is, and what came first was kept."""
    made = make_release(PAGES)
    lost = made.digest("/small.txt")
    await made.put(store, but=frozenset({lost}))
    with pytest.raises(NotFoundError):
        await parts.stage(made)
    assert parts.holdings.staged == {}
    assert not parts.disk.tree(made.key).exists()
    assert parts.disk.blobs.has(made.digest("/index.html"))
    await made.put(store)
    await parts.stage(made)
    assert parts.read(made, "/small.txt") == "x"


async def test_a_blob_that_lies_corrupt_on_the_disk_is_fetched_again(store, parts: Parts) -> None:
    """A blob left by an earlier release that rotted since is read, found out and fetched before anything links it."""
    made = await make_release(PAGES).put(store)
    await parts.stage(made)
    await parts.holdings.unstage(made.key)
    parts.disk.remove_manifest(made.key[1])
    parts.disk.blobs.tidy()
    rot(parts.disk.blobs.file(made.digest("/index.html")))
    await parts.stage(made)
    assert parts.read(made, "/index.html") == PAGES["/index.html"]
    parts.disk.blobs.check(made.digest("/index.html"))


async def test_an_asset_that_somebody_wrote_to_is_mended_everywhere(store, parts: Parts) -> None:
    """A file changed behind our back is found by its time at the next staging; old tree, new tree and kept folder
    are linked anew.
    """
    path = "/assets/app.3f9a1c7e.js"
    first = await make_release(PAGES).put(store)
    await parts.stage(first)
    await parts.serve(first)
    (parts.disk.tree(first.key) / f"identity{path}").write_text("overwritten")
    second = await make_release({**PAGES, "/index.html": "two"}).put(store)
    await parts.stage(second)
    for found in (parts.read(first, path), parts.read(second, path)):
        assert found == PAGES[path]
    assert (parts.disk.kept("blog").path / f"identity{path}").read_text() == PAGES[path]


async def test_what_is_served_is_looked_over_while_a_push_reads_its_folder(
    store, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look begins with the push's intent; what it finds is mended by the staging, which looks at nothing else."""
    path = "/assets/app.3f9a1c7e.js"
    first = await make_release(PAGES).put(store)
    await parts.stage(first)
    await parts.serve(first)
    (parts.disk.tree(first.key) / f"identity{path}").write_text("overwritten")
    looked: dict[str, list[str]] = {"look": [], "stage": []}
    untouched, now = BlobFolder.untouched, "look"

    def noted(self: BlobFolder, digest: Digest, *rest: int) -> bool:
        looked[now].append(digest)
        return untouched(self, digest, *rest)

    monkeypatch.setattr(BlobFolder, "untouched", noted)
    following = asyncio.create_task(parts.stager.looks.follow(store))
    async with intent(store, "blog", lambda _: None):
        await eventually(lambda: len(looked["look"]) >= len(PAGES))
        second = await make_release({**PAGES, "/new.html": "two"}).put(store)
        now = "stage"
        await parts.stage(second)
        to_look_at = [second.manifest.by_path[name] for name in (path, "/new.html")]
        assert set(looked["stage"]) == {variant.digest for entry in to_look_at for variant in entry.variants}
        third = await make_release({**PAGES, "/new.html": "three"}).put(store)
        await parts.stage(third)
        assert {first.digest(name) for name in PAGES} <= set(looked["stage"]), "a look counts once"
    following.cancel()
    for found in (parts.read(first, path), parts.read(second, path), parts.read(third, path)):
        assert found == PAGES[path]


async def test_a_blob_that_is_damaged_on_its_way_is_asked_for_again(
    store, server, parts_at, loopback_address: str
) -> None:
    """A byte flipped on the wire is found by the digest, before anything is linked, and the blob fetched once more."""
    made = await make_release({"/index.html": "needle in the hay"}).put(store)
    url = store.address.url.removeprefix("nats://").rpartition(":")
    async with flipping_proxy(loopback_address, (url[0], int(url[2])), b"needle in", 1) as proxy:
        address = StoreAddress(f"nats://{loopback_address}:{proxy[0]}", store.address.token)
        async with open_store(address, name="through the proxy") as damaged:
            parts = parts_at(damaged)
            await parts.stage(made)
    assert proxy[1] == 1
    assert parts.read(made, "/index.html") == "needle in the hay"


async def test_a_blob_that_is_corrupt_in_the_store_is_never_staged(store, parts: Parts) -> None:
    """What the store itself holds wrong is refused, until a put mends it."""
    made = make_release({"/index.html": "right bytes"})
    digest = made.digest("/index.html")
    await made.put(store, but=frozenset({digest}))
    await store.jetstream.publish(chunk_subject(digest, 0), b"wrong bytes", headers={}, what="corrupt", deadline=5)
    with pytest.raises(CorruptionError):
        await parts.stage(made)
    assert not parts.disk.blobs.has(digest)
    await made.put(store)
    await parts.stage(made)
    assert parts.read(made, "/index.html") == "right bytes"


async def test_the_disk_reserve_is_kept(store, parts_at) -> None:
    """A release that would use the reserve up is refused with the figures; what is staged already is not in the way."""
    made = await make_release(PAGES).put(store)
    parts = parts_at(store, reserve=1 << 60)
    with pytest.raises(DiskError, match="stay in reserve") as caught:
        await parts.stage(made)
    assert caught.value.hint is not None
    assert "disk_reserve" in caught.value.hint
    assert not parts.disk.blobs.has(made.digest("/index.html"))


async def test_purged_bytes_are_refused(store, parts: Parts) -> None:
    """A release that holds what a purge forbids is not staged."""
    made = await make_release(PAGES).put(store)
    with pytest.raises(Refused, match="purge"):
        await parts.stager.stage(made.record, forbidden=frozenset({made.digest("/small.txt")}))
    assert parts.holdings.staged == {}


async def test_a_release_under_the_name_of_another_site_is_refused(store, parts: Parts) -> None:
    """A record that names a manifest of another site does not make that site's pages appear here."""
    made = await make_release(PAGES).put(store)
    with pytest.raises(SchemaError, match="belongs to site blog, not shop"):
        await parts.stager.stage(replace(made.record, site="shop"), forbidden=frozenset())


async def test_a_manifest_with_a_path_that_climbs_is_refused(store, parts: Parts, tmp_path: Path) -> None:
    """A manifest made by hand, whole and under its right name, cannot write outside the edge's folder."""
    good = make_release({"/index.html": "x"})
    await good.put(store)
    raw = good.manifest.to_bytes().replace(b'"/index.html"', b'"/../../../../../climbed"')
    packed = zlib.compress(raw)
    await store.blobs.put([BlobSource(digest_of(packed), len(packed), packed)])
    record = replace(good.record, release=digest_of(raw), manifest=digest_of(packed), manifest_size=len(packed))
    with pytest.raises(SchemaError, match="is not the path of an entry"):
        await parts.stager.stage(record, forbidden=frozenset())
    assert parts.holdings.staged == {}
    assert list(tmp_path.rglob("climbed")) == []
    assert not parts.disk.tree((record.site, record.release)).exists()
    assert list(parts.disk.manifests()) == []


async def test_only_what_a_deployer_signed_is_staged(store, parts: Parts) -> None:
    """With a list of deployers: an unknown key, a key for other sites and a wrong signature are refused."""
    made = await make_release(PAGES).put(store)
    private = Ed25519PrivateKey.generate()
    key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    signature = private.sign(release_statement(*made.key)).hex()
    signed = replace(made.record, key=key, signature=signature)
    known = Deployers((Deployer("ann", key, ("blog",)),))
    none = frozenset()
    with pytest.raises(Refused, match="not on the fleet's list"):
        await parts.stager.stage(made.record, forbidden=none, deployers=known)
    with pytest.raises(Refused, match="may push only shop"):
        await parts.stager.stage(signed, forbidden=none, deployers=Deployers((Deployer("ann", key, ("shop",)),)))
    with pytest.raises(Refused, match="signature is not"):
        await parts.stager.stage(replace(signed, signature="00" * 64), forbidden=none, deployers=known)
    await parts.stager.stage(signed, forbidden=none, deployers=known)
    assert made.key in parts.holdings.staged
