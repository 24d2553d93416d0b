"""The fixed table of media types (SITE-FORMAT section 1): the same on every machine, never the machine's own.

Types are those that IANA registers and browsers expect, with charset=utf-8 on text. Extensions are lower case; one
that is not in the table is `application/octet-stream`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edgeward.core.paths import extension

UNKNOWN: Final = "application/octet-stream"
HTML: Final = "text/html; charset=utf-8"

# Each line: a media type, then the extensions that have it.
_TABLE: Final = """
text/html html htm
application/xhtml+xml xhtml xht
text/css css
text/javascript js mjs cjs
text/plain txt text log conf cfg ini diff patch asc
text/markdown md markdown
text/csv csv
text/tab-separated-values tsv
text/calendar ics ifb
text/vcard vcf vcard
text/vtt vtt
text/x-component htc
text/x-rst rst
text/x-python py
text/x-c c h cc cpp hpp
text/x-java-source java
text/x-sh sh
text/turtle ttl
text/n3 n3
text/cache-manifest appcache
application/xml xml xsl xslt xsd rng
text/yaml yaml yml
application/toml toml
application/json json map topojson webapp
application/json5 json5
application/jsonl jsonl ndjson
application/ld+json jsonld
application/geo+json geojson
application/manifest+json webmanifest
application/feed+json jsonfeed
application/activity+json as2
application/schema+json schema
application/atom+xml atom
application/rss+xml rss
application/rdf+xml rdf owl
application/xml-dtd dtd
application/mathml+xml mathml mml
application/gpx+xml gpx
application/vnd.google-earth.kml+xml kml
application/vnd.google-earth.kmz kmz
application/opensearchdescription+xml osdx
application/smil+xml smil smi
application/sql sql
application/graphql graphql gql
application/wasm wasm
application/pdf pdf
application/postscript ps eps ai
application/rtf rtf
application/epub+zip epub
application/x-mobipocket-ebook mobi prc
application/vnd.amazon.ebook azw azw3
application/zip zip
application/gzip gz tgz
application/x-bzip2 bz2 tbz2
application/x-xz xz txz
application/zstd zst
application/x-brotli br
application/x-lzip lz
application/x-7z-compressed 7z
application/vnd.rar rar
application/x-tar tar
application/x-cpio cpio
application/x-rpm rpm
application/vnd.debian.binary-package deb udeb
application/vnd.android.package-archive apk
application/java-archive jar war ear
application/java-vm class
application/x-apple-diskimage dmg
application/x-iso9660-image iso
application/x-msdownload exe dll
application/x-msi msi
application/x-xpinstall xpi
application/x-chrome-extension crx
application/x-bittorrent torrent
application/x-sqlite3 sqlite sqlite3 db
application/vnd.apache.parquet parquet
application/vnd.apache.arrow.file arrow
application/protobuf pb
application/vnd.pmtiles pmtiles
application/vnd.mapbox-vector-tile mvt pbf
application/x-shockwave-flash swf
application/pgp-signature sig
application/pgp-keys gpg pgp
application/x-x509-ca-cert crt cer der
application/x-pem-file pem
application/pkcs10 csr
application/x-pkcs12 p12 pfx
application/pkcs7-mime p7m p7c
application/pkcs7-signature p7s
application/x-ns-proxy-autoconfig pac
application/msword doc dot
application/vnd.ms-excel xls xlt
application/vnd.ms-powerpoint ppt pps pot
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.graphics odg
application/vnd.ms-fontobject eot
application/vnd.visio vsd
application/x-tex tex
application/x-bibtex bib
application/x-ipynb+json ipynb
font/woff woff
font/woff2 woff2
font/ttf ttf
font/otf otf
font/collection ttc otc
image/png png
image/apng apng
image/jpeg jpg jpeg jpe jfif pjpeg
image/gif gif
image/webp webp
image/avif avif
image/jxl jxl
image/heic heic
image/heif heif
image/svg+xml svg
image/vnd.microsoft.icon ico cur
image/bmp bmp
image/tiff tif tiff
image/jp2 jp2
image/ktx2 ktx2
image/vnd.adobe.photoshop psd
image/vnd.djvu djvu djv
image/vnd.wap.wbmp wbmp
image/x-xcf xcf
image/x-portable-anymap pnm
image/x-portable-pixmap ppm
audio/mpeg mp3
audio/mp4 m4a m4b
audio/aac aac
audio/ogg oga ogg spx
audio/opus opus
audio/flac flac
audio/wav wav
audio/webm weba
audio/midi mid midi
audio/x-aiff aif aiff
audio/x-mpegurl m3u
audio/x-ms-wma wma
video/mp4 mp4 m4v
video/webm webm
video/ogg ogv
video/mpeg mpg mpeg
video/quicktime mov
video/x-matroska mkv
video/x-msvideo avi
video/x-ms-wmv wmv
video/x-flv flv
video/3gpp 3gp
video/mp2t ts m2ts
application/vnd.apple.mpegurl m3u8
application/dash+xml mpd
application/ttml+xml ttml
application/x-subrip srt
application/vnd.apple.installer+xml mpkg
application/vnd.apple.pkpass pkpass
application/x-font-bdf bdf
application/x-font-pcf pcf
model/gltf+json gltf
model/gltf-binary glb
model/obj obj
model/mtl mtl
model/stl stl
model/vnd.usdz+zip usdz
model/vrml wrl
"""

# Compressible though neither text nor named +xml or +json. (WOFF, images, audio, video and archives are compressed.)
_COMPRESSIBLE: Final = frozenset({
    "application/json", "application/json5", "application/jsonl", "application/wasm", "application/toml",
    "application/sql", "application/graphql", "application/xml", "application/xml-dtd", "application/rtf",
    "application/postscript",
    "application/vnd.apple.mpegurl", "application/x-subrip", "application/x-tex", "application/x-bibtex",
    "application/x-ns-proxy-autoconfig", "application/x-pem-file", "application/vnd.ms-fontobject",
    "application/x-font-bdf", "application/x-tar", "application/x-sqlite3", "application/protobuf",
    "application/vnd.mapbox-vector-tile", "application/msword", "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint", "font/ttf", "font/otf", "font/collection", "image/vnd.microsoft.icon",
    "image/bmp", "image/x-portable-anymap", "image/x-portable-pixmap", "audio/wav", "audio/x-mpegurl", "audio/midi",
    "model/gltf-binary", "model/obj", "model/mtl", "model/stl", "model/vrml",
})  # fmt: skip

# Text in UTF-8 though not named text/*. JSON is UTF-8 by its own definition (RFC 8259), XML says so itself.
_UTF8: Final = frozenset({"application/toml", "application/sql", "application/graphql", "application/x-subrip"})


def _with_charset(name: str) -> str:
    return f"{name}; charset=utf-8" if name.startswith("text/") or name in _UTF8 else name


BY_EXTENSION: Final[Mapping[str, str]] = MappingProxyType(
    {
        suffix: _with_charset(name)
        for name, *suffixes in (line.split() for line in _TABLE.strip().splitlines())
        for suffix in suffixes
    }
)
"""Value of Content-Type for each known extension (lower case, without the dot)."""


def media_type(path: str) -> str:
    """Return the value of Content-Type for a file of that path; the extension is compared without regard to case."""
    return BY_EXTENSION.get(extension(path), UNKNOWN)


def is_compressible(value: str) -> bool:
    """Whether bytes of that media type (parameters are ignored) are worth compressing."""
    name = value.partition(";")[0].strip()
    return name.startswith("text/") or name.endswith(("+xml", "+json")) or name in _COMPRESSIBLE


def is_html(value: str) -> bool:
    """Whether a media type is a page's."""
    return value.partition(";")[0].strip() in {"text/html", "application/xhtml+xml"}


def names_other_than_page(path: str) -> bool:
    """Whether the last segment has an extension of the table other than HTML's: `spa` never answers such a path."""
    known = BY_EXTENSION.get(extension(path))
    return known is not None and not is_html(known)


def page_free_extensions() -> tuple[str, ...]:
    """Return the extensions for which `names_other_than_page` holds, sorted."""
    return tuple(sorted(suffix for suffix, value in BY_EXTENSION.items() if not is_html(value)))
