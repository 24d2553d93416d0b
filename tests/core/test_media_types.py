"""The table of media types."""

import re

import pytest

from edgeward.core.media_types import (
    BY_EXTENSION,
    UNKNOWN,
    is_compressible,
    is_html,
    media_type,
    names_other_than_page,
    page_free_extensions,
)


def test_the_table_is_large_and_well_formed():
    """Every extension is lower case, every value a media type, with charset=utf-8 on all text and on nothing binary."""
    assert len(BY_EXTENSION) > 200
    for suffix, value in BY_EXTENSION.items():
        assert re.fullmatch(r"[a-z0-9]+", suffix)
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+\-]+(?:; charset=utf-8)?", value)
        if value.startswith("text/"):
            assert value.endswith("; charset=utf-8")
        if value.startswith(("image/", "font/", "audio/", "video/")):
            assert "charset" not in value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.JS", "text/javascript; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/a.svg", "image/svg+xml"),
        ("/a.woff2", "font/woff2"),
        ("/a.wasm", "application/wasm"),
        ("/a.js.map", "application/json"),
        ("/a.tar.gz", "application/gzip"),
        ("/a.webmanifest", "application/manifest+json"),
        ("/favicon.ico", "image/vnd.microsoft.icon"),
        ("/a", UNKNOWN),
        ("/html", UNKNOWN),
        ("/a.b/c", UNKNOWN),
        ("/a.whatever", UNKNOWN),
        ("/a.", UNKNOWN),
    ],
)
def test_the_type_follows_the_extension(path, value):
    """The last extension decides, in any case; what is not known is bytes."""
    assert media_type(path) == value


def test_what_is_compressed_already_is_not_compressible():
    """Text, scripts, SVG, JSON, WASM and plain fonts are worth compressing; images, video, archives, WOFF are not."""
    for suffix in (
        "html",
        "css",
        "js",
        "svg",
        "json",
        "xml",
        "wasm",
        "txt",
        "ttf",
        "otf",
        "ico",
        "geojson",
        "webmanifest",
    ):
        assert is_compressible(BY_EXTENSION[suffix]), suffix
    for suffix in ("png", "jpg", "webp", "avif", "woff", "woff2", "mp4", "mp3", "zip", "gz", "br", "zst", "pdf", "7z"):
        assert not is_compressible(BY_EXTENSION[suffix]), suffix
    assert not is_compressible(UNKNOWN)


def test_spa_leaves_files_alone():
    """An extension of the table other than HTML's names a file; unknown ones, HTML's and none name a page."""
    assert names_other_than_page("/x/app.JS")
    assert names_other_than_page("/x/.png")
    for path in ("/x", "/x.html", "/x.htm", "/john.doe", "/v1.0", "/app.js/", "/"):
        assert not names_other_than_page(path)
    assert "js" in page_free_extensions()
    assert "html" not in page_free_extensions()
    assert is_html("text/html; charset=utf-8")
