"""Scanning a folder: what becomes an entry, what is left out, what is refused, and what is not read again."""

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeward.core.digest import digest_of
from edgeward.errors import InputError
from edgeward.publish import scan as scanning
from edgeward.publish.scan import Scan, scan
from edgeward.publish.stat_cache import GRANULARITY_NS, Stamp
from edgeward.publish.values import Limits


def site(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def paths(result: Scan) -> list[str]:
    return [file.path for file in result.files]


def only_problem(folder: Path, limits: Limits | None = None) -> str:
    result = scan(folder, limits=limits)
    assert len(result.problems) == 1, result.problems
    return str(result.problems[0])


def later(seconds: float = 3600) -> Callable[[], int]:
    """A clock for which the files just written have long been settled."""
    import time

    return lambda: time.time_ns() + int(seconds * 1e9)


def test_every_regular_file_is_an_entry_at_its_path(tmp_path: Path) -> None:
    """Files of all folders come out, sorted by code point, with digest and size."""
    site(tmp_path, {"index.html": "hello", "a/b/c.txt": "x", "a-b.txt": "y", "Ü.txt": "z", "e": b""})
    result = scan(tmp_path)
    assert paths(result) == ["/a-b.txt", "/a/b/c.txt", "/e", "/index.html", "/Ü.txt"]
    by_path = {file.path: file for file in result.files}
    assert by_path["/index.html"].digest == digest_of(b"hello")
    assert by_path["/index.html"].size == 5
    assert result.problems == ()
    assert result.reread == 5


def test_rule_files_of_the_root_are_read_and_not_published(tmp_path: Path) -> None:
    """`_headers`, `_redirects` and `edgeward.toml` in the root are rules; the same names deeper are files."""
    site(tmp_path, {"_headers": "H", "_redirects": "R", "edgeward.toml": "T", "sub/_headers": "x", "index.html": ""})
    result = scan(tmp_path)
    assert paths(result) == ["/index.html", "/sub/_headers"]
    assert result.rules == {"_headers": b"H", "_redirects": b"R", "edgeward.toml": b"T"}


def test_dot_files_and_folders_are_left_out_and_named(tmp_path: Path) -> None:
    """Dot names are left out at any depth, but `.well-known` in the root is published."""
    site(
        tmp_path,
        {".git/config": "", ".env": "secret", "a/.DS_Store": "", ".well-known/security.txt": "s", "a/b.txt": ""},
    )
    site(tmp_path, {".well-known/.hidden": "", "a/.well-known/x": ""})
    result = scan(tmp_path)
    assert paths(result) == ["/.well-known/security.txt", "/a/b.txt"]
    assert result.left_out == (".env", ".git/", ".well-known/.hidden", "a/.DS_Store", "a/.well-known/")


def test_links_inside_the_folder_are_published_as_what_they_point_to(tmp_path: Path) -> None:
    """A link to a file is that file, a link to a folder is that folder."""
    site(tmp_path, {"real/page.html": "p"})
    (tmp_path / "link.html").symlink_to("real/page.html")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    result = scan(tmp_path)
    assert paths(result) == ["/alias/page.html", "/link.html", "/real/page.html"]
    assert {file.digest for file in result.files} == {digest_of(b"p")}
    assert result.problems == ()


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """`push current` works where `current` is a link to the newest build."""
    site(tmp_path / "build-7", {"index.html": "7"})
    (tmp_path / "current").symlink_to("build-7")
    assert paths(scan(tmp_path / "current")) == ["/index.html"]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A link whose end is outside is a problem, however it gets there."""
    site(tmp_path / "s", {"index.html": ""})
    (tmp_path / "secret").write_text("s")
    (tmp_path / "s/leak").symlink_to("../secret")
    assert only_problem(tmp_path / "s") == "leak: is a symbolic link to '../secret', which is outside of the folder"
    assert paths(scan(tmp_path / "s")) == ["/index.html"]


def test_a_link_through_another_link_cannot_escape(tmp_path: Path) -> None:
    """The end of a chain of links decides, not its first step."""
    site(tmp_path / "s", {"index.html": ""})
    (tmp_path / "secret").write_text("s")
    (tmp_path / "s/.step").symlink_to("../secret")
    (tmp_path / "s/leak").symlink_to(".step")
    assert only_problem(tmp_path / "s") == "leak: is a symbolic link to '.step', which is outside of the folder"


def test_broken_and_circular_links_are_refused(tmp_path: Path) -> None:
    """Each is named, with where it points."""
    site(tmp_path, {"index.html": ""})
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/up").symlink_to("..")
    assert [str(problem) for problem in scan(tmp_path).problems] == [
        "broken: is a broken symbolic link (to 'nowhere')",
        "round: is a symbolic link that leads round in a circle (to 'round')",
        "sub/up: is a symbolic link to '..', a folder that it is in itself",
    ]


def test_sockets_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    """What is no regular file is named for what it is, and never opened."""
    site(tmp_path, {"index.html": ""})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path may have 107 bytes
        try:
            server.bind("sock")
        finally:
            os.chdir(here)
        problems = [str(problem) for problem in scan(tmp_path).problems]
    assert problems == [
        "null: is a symbolic link to '/dev/null', which is outside of the folder",
        "pipe: is a named pipe; only files, folders and links to them can be published",
        "sock: is a socket; only files, folders and links to them can be published",
    ]


def test_a_device_is_refused(tmp_path: Path) -> None:
    """A device node in the folder is refused (needs root to make one)."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a device node")
    os.mknod(tmp_path / "null", 0o600 | 0o020000, os.makedev(1, 3))
    assert only_problem(tmp_path) == "null: is a device; only files, folders and links to them can be published"


def test_names_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    """The bytes are shown escaped, so that the message can be read anywhere."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.html")).write_text("x")
    assert only_problem(tmp_path) == "caf\\xe9.html: has a name that is not UTF-8"


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder anybody may enter; the test goes on as a user who is not root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        if os.getuid() == 0:
            os.seteuid(0)


def drop_root() -> None:
    if os.getuid() == 0:
        os.seteuid(65534)


def test_unreadable_files_and_folders_are_all_named(as_nobody: Path) -> None:
    """What the user may not read fails the push with every such name, not the first."""
    site(as_nobody, {"index.html": "", "secret.txt": "s", "closed/x.txt": "", "also.txt": ""})
    (as_nobody / "secret.txt").chmod(0)
    (as_nobody / "also.txt").chmod(0o200)
    (as_nobody / "closed").chmod(0)
    drop_root()
    try:
        problems = [str(problem) for problem in scan(as_nobody).problems]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (as_nobody / "closed").chmod(0o755)
    assert problems == [
        "also.txt: cannot be read: Permission denied",
        "closed/: cannot be read: Permission denied",
        "secret.txt: cannot be read: Permission denied",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "the folder {} does not exist"),
        (lambda path: path.write_text("x"), "{} is not a folder"),
    ],
)
def test_a_folder_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    """The folder is named in the message."""
    make(tmp_path / "x")
    with pytest.raises(InputError) as caught:
        scan(tmp_path / "x")
    assert caught.value.message == message.format(tmp_path / "x")


def test_limits_are_problems_with_their_numbers(tmp_path: Path) -> None:
    """Too many files, a file too large, a site too large: each says what there is and what may be."""
    site(tmp_path, {"a": "12345", "b": "1", "c": "1"})
    assert only_problem(tmp_path, Limits(entries=2)) == "the folder holds more than 2 files; a site may have 2"
    assert only_problem(tmp_path, Limits(file_size=4)) == "a: is 5 bytes; a file may have 4"
    assert only_problem(tmp_path, Limits(site_size=6)) == "the files are 7 bytes altogether; a site may have 6"


def test_links_that_multiply_stop_at_the_limit(tmp_path: Path) -> None:
    """Folders linked twice at each level double the files; the walk ends soon after the limit."""
    below = tmp_path / "0"
    site(below, {"x": ""})
    for level in range(1, 40):
        folder = tmp_path / str(level)
        folder.mkdir()
        (folder / "a").symlink_to(below)
        (folder / "b").symlink_to(below)
        below = folder
    assert "the folder holds more than 1000 files" in only_problem(tmp_path, Limits(entries=1000))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write between the first and the last byte is seen, whatever it leaves the size at."""
    target = site(tmp_path, {"index.html": "", "log.txt": "x" * 3_000_000}) / "log.txt"
    real = os.read

    def read(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if len(data) == size:
            with target.open("r+b") as out:
                out.write(b"y")
        return data

    monkeypatch.setattr(scanning.os, "read", read)
    assert only_problem(tmp_path) == (
        "log.txt: changed while it was read; stop what writes to the folder and push again"
    )


def test_a_file_that_grows_or_goes_after_it_was_listed_is_refused(tmp_path: Path) -> None:
    """The file that is opened must be the file that was listed."""
    source = site(tmp_path, {"a": "one"}) / "a"
    stamp = Stamp.of(source.stat())
    source.write_text("longer than one")
    assert scanning.read_digest(source, stamp) == (
        "changed while it was read; stop what writes to the folder and push again"
    )
    source.unlink()
    assert scanning.read_digest(source, stamp) == (
        "went away while the folder was read; stop what writes to the folder and push again"
    )


def test_a_file_swapped_for_a_pipe_does_not_block(tmp_path: Path) -> None:
    """Opening what has become a named pipe returns at once, with a refusal."""
    source = site(tmp_path, {"a": "one"}) / "a"
    stamp = Stamp.of(source.stat())
    source.unlink()
    os.mkfifo(source)
    results: list[object] = []
    reader = threading.Thread(target=lambda: results.append(scanning.read_digest(source, stamp)), daemon=True)
    reader.start()
    reader.join(5)
    assert results == ["changed while it was read; stop what writes to the folder and push again"]


def test_unchanged_files_are_not_read_again(tmp_path: Path) -> None:
    """The second scan reads nothing, the third only what changed; digests are right each time."""
    folder = site(tmp_path / "s", {f"f{n}.txt": f"content {n}" for n in range(20)})
    first = scan(folder, cache=tmp_path / "c", clock_ns=later())
    second = scan(folder, cache=tmp_path / "c", clock_ns=later())
    assert (first.reread, second.reread) == (20, 0)
    assert second.files == first.files
    (folder / "f3.txt").write_text("changed 3")
    third = scan(folder, cache=tmp_path / "c", clock_ns=later())
    assert third.reread == 1
    assert next(file.digest for file in third.files if file.path == "/f3.txt") == digest_of(b"changed 3")


def test_a_file_changed_within_the_clocks_granularity_is_read_again(tmp_path: Path) -> None:
    """A change of the same size that leaves every stamp equal is not missed: such a file was never remembered."""
    folder = site(tmp_path / "s", {"a.txt": "one"})
    scan(folder, cache=tmp_path / "c")
    assert scan(folder, cache=tmp_path / "c").reread == 1


def test_stamps_of_the_future_are_never_settled() -> None:
    """A file dated ahead of the clock could be changed with no trace."""
    stamp = Stamp(1, 10**18, 10**18, 1)
    assert not stamp.settled(10**18)
    assert not stamp.settled(10**18 + GRANULARITY_NS)
    assert stamp.settled(10**18 + GRANULARITY_NS + 1)


def test_a_touched_back_file_is_read_again(tmp_path: Path) -> None:
    """Putting the modification time back does not hide a change: the change time and the inode show it."""
    folder = site(tmp_path / "s", {"a.txt": "one"})
    before = (folder / "a.txt").stat()
    scan(folder, cache=tmp_path / "c", clock_ns=later())
    (folder / "a.txt").write_text("two")
    os.utime(folder / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    result = scan(folder, cache=tmp_path / "c", clock_ns=later())
    assert result.files[0].digest == digest_of(b"two")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"not json",
        b'{"schema": [2, 0], "folder": "", "files": {}}',
        b'{"schema": [1, 0]}',
        b"[1]",
        b'{"schema": [1, 0], "folder": "x", "files": {"/a.txt": [3]}}',
    ],
)
def test_a_damaged_cache_costs_time_and_nothing_else(tmp_path: Path, damage: bytes) -> None:
    """Whatever stands in the cache file, the scan is right."""
    folder = site(tmp_path / "s", {"a.txt": "one"})
    scan(folder, cache=tmp_path / "c", clock_ns=later())
    (cache_file,) = (tmp_path / "c/stat").iterdir()
    cache_file.write_bytes(damage)
    result = scan(folder, cache=tmp_path / "c", clock_ns=later())
    assert result.reread == 1
    assert result.files[0].digest == digest_of(b"one")


def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """A read-only home does not stop a push."""
    folder = site(tmp_path / "s", {"a.txt": "one"})
    (tmp_path / "c").write_text("a file where the folder should be")
    assert scan(folder, cache=tmp_path / "c", clock_ns=later()).reread == 1


def test_scanning_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    """The folder is only read."""
    folder = site(tmp_path / "s", {"a.txt": "one", "b/c": "two"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("s/**/*")}
    scan(folder, cache=tmp_path / "c")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("s/**/*")} == before
