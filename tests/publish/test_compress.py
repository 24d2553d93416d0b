"""Variants: which are made, that they decode to what went in, that they are the same each time, and where they come
from.
"""

import os
import threading
import time
import zlib
from pathlib import Path

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant
from edgeward.core.site import SiteSettings
from edgeward.errors import DiskError, InputError
from edgeward.publish import compress
from edgeward.publish.compress import (
    LARGE,
    Stopped,
    compress_all,
    is_worth_it,
    variants_of,
    wants_variants,
)
from edgeward.publish.scan import ScannedFile, scan
from edgeward.publish.variant_cache import KEEP_SECONDS, VariantCache
from publishing import write_site

TEXT = b"<p>words that come again and again and again</p>\n" * 200


@pytest.fixture
def cache(tmp_path: Path) -> VariantCache:
    return VariantCache.below(tmp_path / "cache")


def scanned(folder: Path, **files: bytes) -> dict[str, ScannedFile]:
    write_site(folder, {name.replace("_", "."): content for name, content in files.items()})
    return {file.path: file for file in scan(folder).files}


def test_variants_decode_to_what_went_in(tmp_path: Path, cache: VariantCache) -> None:
    """Br and gzip of a page, each blob's digest and size right, br first."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    (variants,) = compress_all(files.values(), cache).values()
    assert [variant.coding for variant in variants] == ["br", "gzip"]
    for variant, decode in zip(variants, (brotli.decompress, lambda data: zlib.decompress(data, 31)), strict=True):
        data = cache.path(files["/a.html"].digest, variant.coding).read_bytes()
        assert (digest_of(data), len(data)) == (variant.digest, variant.size)
        assert decode(data) == TEXT


def test_gzip_holds_neither_name_nor_time(tmp_path: Path, cache: VariantCache) -> None:
    """RFC 1952: no flags, MTIME 0: the same bytes on every day."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    compress_all(files.values(), cache)
    header = cache.path(files["/a.html"].digest, "gzip").read_bytes()[:8]
    assert header == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("path", "size", "wanted"),
    [
        ("/a.html", 256, True),
        ("/a.html", 255, False),
        ("/a.css", 10_000, True),
        ("/a.svg", 10_000, True),
        ("/a.wasm", 10_000, True),
        ("/a.png", 10_000, False),
        ("/a.woff2", 10_000, False),
        ("/a.gz", 10_000, False),
        ("/a", 10_000, False),
    ],
)
def test_what_is_compressed(path: str, size: int, *, wanted: bool) -> None:
    """Compressible types of 256 bytes or more."""
    assert wants_variants(path, size) is wanted


def test_a_variant_saves_five_percent_or_there_is_none(tmp_path: Path, cache: VariantCache) -> None:
    """Noise under a text name gets no variant; the bound is exact."""
    assert is_worth_it(1000, 950)
    assert not is_worth_it(1000, 951)
    files = scanned(tmp_path / "s", a_txt=os.urandom(5000))
    assert list(compress_all(files.values(), cache).values()) == [()]
    assert cache.find(files["/a.txt"].digest) == ()


def test_no_two_variants_have_the_same_size(tmp_path: Path, cache: VariantCache, monkeypatch) -> None:
    """ETags are made of time and size: a gzip of br's size is dropped, br stays."""
    monkeypatch.setattr(compress, "_Gzip", lambda: compress._Brotli(1))
    files = scanned(tmp_path / "s", a_html=TEXT)
    (variants,) = compress_all(files.values(), cache).values()
    assert [variant.coding for variant in variants] == ["br"]


def test_above_four_mebibytes_brotli_is_quicker(monkeypatch) -> None:
    """Quality 11 up to the bound, 9 above it."""
    qualities = []
    monkeypatch.setattr(compress.brotli, "Compressor", lambda **given: qualities.append(given["quality"]))
    compress._Brotli(LARGE)
    compress._Brotli(LARGE + 1)
    assert qualities == [11, 9]


def test_what_was_made_before_is_taken_from_the_cache(tmp_path: Path, cache: VariantCache, monkeypatch) -> None:
    """The second time nothing is read or compressed."""
    files = scanned(tmp_path / "s", a_html=TEXT, b_txt=os.urandom(999))
    first = compress_all(files.values(), cache)
    monkeypatch.setattr(compress, "compress_file", None)
    assert compress_all(files.values(), cache) == first


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"variants": 3}', b'{"variants": [["br", "xyz", 3]]}'])
def test_a_damaged_cache_is_made_again(tmp_path: Path, cache: VariantCache, damage: bytes) -> None:
    """Whatever stands in an index file, the result is right."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    first = compress_all(files.values(), cache)
    (index,) = cache.folder.glob("*/*.json")
    index.write_bytes(damage)
    assert compress_all(files.values(), cache) == first


def test_a_damaged_variant_is_not_held(tmp_path: Path, cache: VariantCache) -> None:
    """`holds` looks at the bytes."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    (variants,) = compress_all(files.values(), cache).values()
    digest = files["/a.html"].digest
    assert cache.holds(digest, variants[0])
    cache.path(digest, "br").write_bytes(b"rot")
    assert not cache.holds(digest, variants[0])


def test_variants_of_the_release_before_are_known_by_content(tmp_path: Path) -> None:
    """Those of entries that were considered, also if none was worth it; not those of types that are
    never compressed.
    """
    digest, other, third = (digest_of(bytes([n])) for n in range(3))
    br = Variant("br", digest_of(b"br"), 100)
    manifest = Manifest(
        SiteSettings("s", ("example.test",)),
        (
            Entry("/a.html", "text/html; charset=utf-8", 1, (Variant("identity", digest, 1000), br)),
            Entry("/b.png", "image/png", 1, (Variant("identity", other, 1000),)),
            Entry("/c.txt", "text/plain; charset=utf-8", 1, (Variant("identity", third, 1000),)),
        ),
    )
    assert variants_of(manifest) == {digest: (br,), third: ()}
    assert variants_of(None) == {}


def test_every_file_that_changed_since_the_scan_is_named(tmp_path: Path, cache: VariantCache) -> None:
    """Changed at the same size, grown, gone: all in one error, and nothing of them is kept."""
    files = scanned(tmp_path / "s", a_html=TEXT, b_html=TEXT + b"b", c_html=TEXT + b"c", d_html=TEXT + b"d")
    (tmp_path / "s/a.html").write_bytes(TEXT.swapcase())
    (tmp_path / "s/b.html").write_bytes(TEXT * 2)
    (tmp_path / "s/c.html").unlink()
    with pytest.raises(InputError) as caught:
        compress_all(files.values(), cache)
    words = "changed while it was pushed; stop what writes to the folder and push again"
    assert [str(problem) for problem in caught.value.problems] == [f"{name}.html: {words}" for name in "abc"]
    assert cache.find(files["/a.html"].digest) is None
    assert list((cache.folder / "new").iterdir()) == []


def test_an_interrupt_stops_all_threads_soon(tmp_path: Path, cache: VariantCache) -> None:
    """Nothing half made is kept, and nothing new is begun."""
    stop = threading.Event()
    files = scanned(tmp_path / "s", **{f"f{n}_html": TEXT + bytes([n]) for n in range(40)})
    done = []

    def on_done(count: int, size: int) -> None:
        done.append(size)
        stop.set()

    with pytest.raises(Stopped):
        compress_all(files.values(), cache, jobs=2, on_done=on_done, stop=stop)
    assert len(done) < 40
    assert list((cache.folder / "new").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """Compressed bytes need a place: the error names the folder and the setting."""
    (tmp_path / "c").write_text("a file where the folder should be")
    files = scanned(tmp_path / "s", a_html=TEXT)
    with pytest.raises(DiskError, match="cannot be made") as caught:
        compress_all(files.values(), VariantCache.below(tmp_path / "c"))
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")


def test_the_largest_files_go_first(tmp_path: Path, cache: VariantCache) -> None:
    """So that no core is left alone with a long one at the end."""
    files = scanned(tmp_path / "s", a_html=TEXT, b_html=TEXT * 5, c_html=TEXT * 2)
    sizes: list[int] = []
    compress_all(files.values(), cache, jobs=1, on_done=lambda _, size: sizes.append(size))
    assert sizes == sorted(sizes, reverse=True)


def test_equal_contents_are_compressed_once(tmp_path: Path, cache: VariantCache) -> None:
    """By digest, not by path."""
    files = scanned(tmp_path / "s", a_html=TEXT, b_html=TEXT)
    done: list[int] = []
    assert len(compress_all(files.values(), cache, on_done=lambda count, _: done.append(count))) == 1
    assert done == [1]


def test_old_variants_are_thrown_away_once_a_day(tmp_path: Path, cache: VariantCache) -> None:
    """What is 30 days old goes, also of other recipes; the next look is tomorrow."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    compress_all(files.values(), cache)
    old = cache.folder.parent / "br0-zlib0-1/ab"
    old.mkdir(parents=True)
    (old / "x.br").write_bytes(b"x")
    os.utime(old / "x.br", (0, 0))
    cache.prune()
    assert not old.exists()
    assert cache.find(files["/a.html"].digest)
    cache.prune(time.time() + KEEP_SECONDS + 86400)
    assert cache.find(files["/a.html"].digest) is None


def test_what_is_used_stays(tmp_path: Path, cache: VariantCache) -> None:
    """A variant that is found again is as good as new."""
    files = scanned(tmp_path / "s", a_html=TEXT)
    compress_all(files.values(), cache)
    for file in cache.folder.rglob("*.*"):
        os.utime(file, (0, 0))
    assert cache.find(files["/a.html"].digest)
    cache.prune()
    assert cache.find(files["/a.html"].digest)
    assert len(list(cache.folder.rglob(f"{files['/a.html'].digest}.*"))) == 3


@given(st.binary(max_size=3000), st.integers(1, 40))
def test_any_content_comes_back(tmp_path_factory, content: bytes, times: int) -> None:
    """Round trip for any bytes; sizes of variants and identity all differ."""
    folder = tmp_path_factory.mktemp("any")
    cache = VariantCache.below(folder / "cache")
    files = scanned(folder / "s", a_txt=content * times)
    file = files["/a.txt"]
    if not wants_variants(file.path, file.size):
        return
    variants = compress_all([file], cache)[file.digest]
    assert len({file.size, *(variant.size for variant in variants)}) == len(variants) + 1
    for variant in variants:
        data = cache.path(file.digest, variant.coding).read_bytes()
        decoded = brotli.decompress(data) if variant.coding == "br" else zlib.decompress(data, 31)
        assert digest_of(decoded) == file.digest
