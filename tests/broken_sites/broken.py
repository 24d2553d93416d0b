"""The table of broken sites: what is done to a good one, and every word that the push then says.

`{folder}` in a message is the folder that was pushed. Each case is a function that breaks the folder; its docstring is
the name of the case, and the decorator has the messages: first that of the error, then each problem.
"""

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeward.publish.values import Limits


@dataclass(frozen=True)
class Broken:
    """One case. nobody: the push runs as a user who is not root. root: breaking the folder needs root. options: of the
    push. limits, orders...: of the fleet.
    """

    name: str
    spoil: Callable[[Path], object]
    says: tuple[str, ...]
    nobody: bool = False
    root: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    limits: Limits | None = None
    prepare: str = ""


CASES: list[Broken] = []
CANNOT = "{folder} cannot be published: 1 problem"


def case(*says: str, **more: Any) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """Add a case: these problems, after the usual sentence about the folder."""

    def add(spoil: Callable[[Path], object]) -> Callable[[Path], object]:
        count = len(says)
        head = CANNOT if count == 1 else f"{{folder}} cannot be published: {count} problems"
        CASES.append(Broken(spoil.__name__, spoil, (head, *says), **more))
        return spoil

    return add


def refused(message: str, *says: str, **more: Any) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """Add a case with a sentence of its own."""

    def add(spoil: Callable[[Path], object]) -> Callable[[Path], object]:
        CASES.append(Broken(spoil.__name__, spoil, (message, *says), **more))
        return spoil

    return add


def redirects(name: str, text: str | bytes, *says: str, **more: Any) -> None:
    """Add a case of a `_redirects` file. says: "LINE: message"."""
    _rule_file("_redirects", name, text, says, more)


def headers(name: str, text: str | bytes, *says: str, **more: Any) -> None:
    """Add a case of a `_headers` file."""
    _rule_file("_headers", name, text, says, more)


def _rule_file(file: str, name: str, text: str | bytes, says: tuple[str, ...], more: dict[str, Any]) -> None:
    data = text.encode() if isinstance(text, str) else text
    head = CANNOT if len(says) == 1 else f"{{folder}} cannot be published: {len(says)} problems"
    lines = (head, *(f"{file}:{line}" for line in says))
    CASES.append(Broken(name, lambda folder: (folder / file).write_bytes(data), lines, **more))


# ------------------------------------------------------------------------------------------ the folder


@refused("the folder {folder} does not exist")
def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


@refused("{folder} is not a folder")
def a_file_for_a_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


@case("the folder {folder} holds no files to publish")
def an_empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@case("the folder {folder} holds no files to publish", options={"allow_no_index": True})
def nothing_but_dot_files(folder: Path) -> None:
    an_empty_folder(folder)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("x")
    (folder / ".htaccess").write_text("x")


@case("there is no index.html in the root of the folder; --allow-no-index publishes it all the same")
def no_front_page(folder: Path) -> None:
    (folder / "index.html").unlink()


@refused("the folder {folder} cannot be read: Permission denied", nobody=True)
def an_unreadable_root(folder: Path) -> None:
    folder.chmod(0)


# ------------------------------------------------------------------------------- what is in the folder


@case("leak: is a symbolic link to '../secret', which is outside of the folder")
def an_escaping_link(folder: Path) -> None:
    (folder.parent / "secret").write_text("s")
    (folder / "leak").symlink_to("../secret")


@case("passwd: is a symbolic link to '/etc/passwd', which is outside of the folder")
def an_escaping_absolute_link(folder: Path) -> None:
    (folder / "passwd").symlink_to("/etc/passwd")


@case("etc: is a symbolic link to '/etc', which is outside of the folder")
def an_escaping_link_to_a_folder(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


@case("leak: is a symbolic link to '.step', which is outside of the folder")
def an_escape_in_two_steps(folder: Path) -> None:
    (folder / ".step").symlink_to("/etc/passwd")
    (folder / "leak").symlink_to(".step")


@case("broken: is a broken symbolic link (to 'nowhere')")
def a_broken_link(folder: Path) -> None:
    (folder / "broken").symlink_to("nowhere")


@case(
    "one: is a symbolic link that leads round in a circle (to 'two')",
    "two: is a symbolic link that leads round in a circle (to 'one')",
)
def a_circle_of_links(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")


@case("docs/up: is a symbolic link to '..', a folder that it is in itself")
def a_folder_in_itself(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs/up").symlink_to("..")


@case("pipe: is a named pipe; only files, folders and links to them can be published")
def a_named_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@case("sock: is a socket; only files, folders and links to them can be published")
def a_socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("sock")
    finally:
        os.chdir(here)


@case("zero: is a device; only files, folders and links to them can be published", root=True)
def a_device(folder: Path) -> None:
    os.mknod(folder / "zero", 0o666 | 0o020000, os.makedev(1, 5))


@case("caf\\xe9.html: has a name that is not UTF-8")
def a_name_that_is_not_utf_8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.html")).write_text("x")


@case(
    "closed/: cannot be read: Permission denied",
    "secret.html: cannot be read: Permission denied",
    nobody=True,
)
def unreadable_files(folder: Path) -> None:
    (folder / "secret.html").write_text("x")
    (folder / "secret.html").chmod(0)
    (folder / "closed").mkdir(0)


@case("_headers: cannot be read: Permission denied", nobody=True)
def an_unreadable_rule_file(folder: Path) -> None:
    (folder / "_headers").write_text("/*\n  X-A: b\n")
    (folder / "_headers").chmod(0)


@case(
    "log.txt: changed while it was read; stop what writes to the folder and push again", prepare="write while reading"
)
def a_file_that_changes_while_it_is_read(folder: Path) -> None:
    (folder / "log.txt").write_bytes(b"x" * 3_000_000)


@case(
    "page.html: changed while it was pushed; stop what writes to the folder and push again",
    prepare="write while compressing",
)
def a_file_that_changes_while_it_is_compressed(folder: Path) -> None:
    (folder / "page.html").write_bytes(b"<p>again</p>" * 1000)


@case(
    "photo.jpg: changed while it was pushed; stop what writes to the folder and push again",
    prepare="write while uploading",
)
def a_file_that_changes_before_it_is_uploaded(folder: Path) -> None:
    (folder / "photo.jpg").write_bytes(os.urandom(2000))


# ---------------------------------------------------------------------------------------------- limits


@case("the folder holds more than 3 files; a site may have 3", limits=Limits(entries=3))
def too_many_files(folder: Path) -> None:
    for number in range(5):
        (folder / f"{number}.txt").write_text("x")


@case("large.txt: is 5001 bytes; a file may have 5000", limits=Limits(file_size=5000))
def a_file_too_large(folder: Path) -> None:
    (folder / "large.txt").write_bytes(b"x" * 5001)


@case("the files are {size} bytes altogether; a site may have 5000", limits=Limits(site_size=5000))
def a_site_too_large(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"x" * 2501)
    (folder / "b.txt").write_bytes(b"x" * 2501)


# ----------------------------------------------------------------------------------------------- paths


@case("{long}: the path has 1,025 bytes; at most 1,024 are allowed")
def a_path_too_long(folder: Path) -> None:
    (folder / LONG).parent.mkdir(parents=True)
    (folder / LONG).write_text("x")


LONG = "/".join(["d" * 200] * 5) + "/" + "f" * 19


@case("{name}: a name in the path has 241 bytes; at most 240 are allowed")
def a_name_too_long(folder: Path) -> None:
    (folder / ("n" * 241)).write_text("x")


@case("a\\nb.html: the path holds a control character (U+000A)")
def a_line_feed_in_a_name(folder: Path) -> None:
    (folder / "a\nb.html").write_text("x")


@case("about.html: claims the URL /about, which `about` has already")
def two_files_for_one_url(folder: Path) -> None:
    (folder / "about").write_text("x")


@case("about/index.html: claims the URL /about/, which `about.html` has already", settings={"trailing_slash": "always"})
def two_pages_for_one_url(folder: Path) -> None:
    (folder / "about").mkdir()
    (folder / "about/index.html").write_text("x")


@case(".well-known/edgeward/health: would never be seen: every edge answers /.well-known/edgeward/ itself")
def a_path_of_the_edge_itself(folder: Path) -> None:
    (folder / ".well-known/edgeward").mkdir(parents=True)
    (folder / ".well-known/edgeward/health").write_text("x")


# --------------------------------------------------------------------------------- what the fleet says


@refused(
    "site blog cannot be published: shop.test belongs to site shop",
    settings={"hostnames": ("example.test", "shop.test")},
    prepare="another site",
)
def a_hostname_of_another_site(folder: Path) -> None:
    (folder / "new.html").write_text("new")


@case(
    "leak.txt: holds bytes that ann purged from site blog on 2023-11-14; --allow-purged publishes them again",
    prepare="purged",
)
def bytes_that_were_purged(folder: Path) -> None:
    (folder / "leak.txt").write_text("swordfish")


@refused(
    "this machine's key may not push site blog: the key is not on the fleet's list of deployers", prepare="deployers"
)
def a_key_that_nobody_knows(folder: Path) -> None:
    (folder / "new.html").write_text("new")


@refused("this push would take 25 of the 27 paths of site blog away", prepare="a larger site")
def the_wrong_folder(folder: Path) -> None:
    (folder / "new.html").write_text("new")


@refused("SOURCE_DATE_EPOCH is 'yesterday', which is no number of seconds since 1970", prepare="a wrong clock")
def a_clock_that_is_none(folder: Path) -> None:
    (folder / "new.html").write_text("new")
