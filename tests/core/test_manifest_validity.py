"""What an edge makes folders and files of is valid if it exists: hand-made manifests with other paths are refused."""

import json

import pytest

from edgeward.core.codec import canonical_bytes
from edgeward.core.digest import digest_of
from edgeward.core.release import Entry, Manifest, Variant, parse_manifest
from edgeward.core.site import SiteSettings
from edgeward.errors import SchemaError

VARIANTS = (Variant("identity", digest_of(b"one"), 3),)
SETTINGS = SiteSettings("blog", ("blog.test",))


def bytes_with(paths: list[str], **settings: object) -> bytes:
    """Canonical bytes of a manifest as somebody could write it by hand."""
    value = json.loads(Manifest(SETTINGS, (Entry("/a", "text/plain", 1, VARIANTS),)).to_bytes())
    (item,) = value["entries"].values()
    value["entries"] = dict.fromkeys(paths, item)
    value["site"] |= settings
    return canonical_bytes(value)


@pytest.mark.parametrize(
    "path",
    [
        "", "a", "/", "//a", "/a/", "/a//b", "/.", "/..", "/./a", "/../a", "/a/..", "/a/.", "/../../../x", "/a/../../b",
        "/a\0", "/a\nb", "/\x7f", "/" + "a" * 241, "/" + "é" * 121, "/a" * 513, "/é" * 342,
    ],
)  # fmt: skip
def test_a_path_that_is_not_one_of_section_1_is_refused(path: str) -> None:
    """Climbing, empty and dot segments, controls and what is too long: neither parsed nor made."""
    with pytest.raises(SchemaError):
        parse_manifest(bytes_with([path]))
    with pytest.raises(SchemaError):
        Entry(path, "text/plain", 1, VARIANTS)


def test_a_path_that_is_no_text_is_refused() -> None:
    """Half a surrogate pair, which JSON can say, is no UTF-8."""
    with pytest.raises(SchemaError):
        parse_manifest(bytes_with(["/a"]).replace(b'"/a"', rb'"/\ud800"'))


@pytest.mark.parametrize(
    "path", ["/...", "/..a", "/.well-known/x", "/a.", "/ ", "/ü/\U0001f600", "/" + "é" * 120, "/a" * 512, "/é" * 341]
)
def test_odd_paths_that_are_allowed(path: str) -> None:
    """What only looks like it is taken."""
    assert parse_manifest(bytes_with([path])).entries[0].path == path


@pytest.mark.parametrize("paths", [["/a", "/a/b"], ["/a", "/a-b", "/a/b"], ["/x/a", "/x/a/b/c/d"]])
def test_no_path_is_below_a_file(paths: list[str]) -> None:
    """A file that is a folder too cannot be made, even with other paths between the two."""
    with pytest.raises(SchemaError, match="is a file, and other entries are below it"):
        parse_manifest(bytes_with(paths))


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "../../x"}, {"name": ""}, {"name": "Blog"}, {"name": "a" * 64}, {"hostnames": []},
        {"hostnames": ["a.test; root /"]}, {"hostnames": ["A.test"]}, {"hostnames": ["*.test"]},
        {"hostnames": ["127.0.0.1"]}, {"hostnames": ["a.test", "a.test"]},
    ],
)  # fmt: skip
def test_names_are_names(settings: dict[str, object]) -> None:
    """A site's name becomes a folder and its hostnames configuration: nothing else gets in under them."""
    with pytest.raises(SchemaError):
        parse_manifest(bytes_with(["/a"], **settings))
