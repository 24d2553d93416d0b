"""From a folder on the command line to a site: the nearest `edgeward.toml`, the folder to publish, the settings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeward.core.lines import Findings
from edgeward.core.site import SiteSettings
from edgeward.core.site_file import ReadProject, parse_project_file, read_project
from edgeward.errors import DiskError, EdgewardError, InputError, Problem

PROJECT_FILE = "edgeward.toml"

_TEMPLATE = """\
# What edgeward needs to know of this site. Everything but name and hostnames may be left out.
{fleet}
[site]
name = {name}
hostnames = [{hostnames}]  # the first is canonical; the others redirect to it
{build}

# clean_urls = true           # /about serves about.html
# trailing_slash = "auto"     # or "always", "never"
# spa = false                 # answer unknown pages with /index.html
# immutable = "auto"          # or ["/assets/*", ...]: cached for a year
# keep_assets_days = 7        # how long assets of earlier releases stay reachable
# alias_mode = "redirect"     # or "serve": the other hostnames serve the site themselves
# hsts = "max-age=31536000"   # sent over HTTPS only
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A site to publish. folder: what is published. fleet: the one that edgeward.toml names. file: edgeward.toml.

    problems: all that is wrong with edgeward.toml; unread: keys in whose place `settings` has a default therefore.
    """

    folder: Path
    settings: SiteSettings
    fleet: str | None = None
    file: Path | None = None
    problems: tuple[Problem, ...] = ()
    unread: frozenset[str] = frozenset()


def load_project(folder: Path | None, *, name: str | None = None, hostnames: tuple[str, ...] = ()) -> Project:
    """Return what `find_project` does, of a file without problems. Raises InputError (all problems), DiskError."""
    project = find_project(folder, name=name, hostnames=hostnames)
    if project.file is not None:
        _raise_if_any(project.file, project.problems)
    return project


def find_project(folder: Path | None, *, name: str | None = None, hostnames: tuple[str, ...] = ()) -> Project:
    """Return the site that `folder` is, or is a part of; None: the one of the current folder.

    The project file is the nearest `edgeward.toml` at or above `folder`. A folder that has one itself is published from
    its `build`. name, hostnames: replace what the file says; together they make a file unnecessary.
    Raises InputError (all problems of the file too, if the folder is not known), DiskError.
    """
    start = folder if folder is not None else Path()
    if not start.is_dir():
        what = "is not a folder" if start.exists() else "does not exist"
        raise InputError(f"{start} {what}", hint="name the folder that holds the site")
    file = find_project_file(start)
    if file is None:
        if name is None or not hostnames:
            hint = "edgeward init, or give --name and --hostname"
            raise InputError(f"there is no {PROJECT_FILE} in {start.resolve()} or above it", hint=hint)
        return Project(start, _checked(name, hostnames))
    read = _read(file)
    said, unread = read.project, read.unread
    settings = said.site
    if name is not None or hostnames:
        settings = _renamed(settings, _checked(name or settings.name, hostnames or settings.hostnames))
        unread -= {key for key, given in (("name", name), ("hostnames", hostnames)) if given}
    whole = file.parent == start.resolve() or folder is None
    if whole and "build" in unread:
        _raise_if_any(file, read.problems)
    published = file.parent / (said.build or "") if whole else start
    if not published.is_dir():
        missing = f"the folder to publish, {published}, does not exist"
        if read.problems:
            _raise_if_any(file, (*read.problems, Problem("", 0, missing)))
        raise InputError(missing, hint=f"build the site, or see {file}")
    return Project(published, settings, said.fleet, file, read.problems, unread)


def preview_project(folder: Path) -> Project:
    """Return a folder without `edgeward.toml` as a site of this machine. Raises InputError."""
    return load_project(folder, name=slug(folder.resolve().name), hostnames=("localhost",))


def _read(file: Path) -> ReadProject:
    try:
        return read_project(file.read_bytes(), file=_shown(file))
    except OSError as error:
        raise DiskError(f"{file} cannot be read: {error.strerror}", path=str(file)) from error


def _raise_if_any(file: Path, problems: Sequence[Problem]) -> None:
    Findings(_shown(file), list(problems)).raise_if_any()


def fleet_here() -> str | None:
    """Return the fleet that the project of the current folder names, None if there is none or it cannot be read."""
    file = find_project_file(Path())
    if file is None:
        return None
    try:
        return _read(file).project.fleet
    except EdgewardError:
        return None


def _shown(file: Path) -> str:
    """Return a path as short as it can be said here."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


def find_project_file(start: Path) -> Path | None:
    """Return the nearest `edgeward.toml` at or above `start`, None if there is none."""
    folder = start.resolve()
    return next((path for above in (folder, *folder.parents) if (path := above / PROJECT_FILE).is_file()), None)


def project_text(*, name: str, hostnames: tuple[str, ...], build: str | None = None, fleet: str | None = None) -> str:
    """Return the text of an `edgeward.toml`. The values are checked by parsing it."""
    return _TEMPLATE.format(
        fleet=f"\nfleet = {_quoted(fleet)}\n" if fleet else "",
        name=_quoted(name),
        hostnames=", ".join(_quoted(host) for host in hostnames),
        build=f"build = {_quoted(build)}" if build else '# build = "public"           # the folder that is pushed',
    )


def slug(text: str) -> str:
    """Return `text` made into a site's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "site"


def _checked(name: str, hostnames: tuple[str, ...]) -> SiteSettings:
    return parse_project_file(project_text(name=name, hostnames=hostnames), file="command line").site


def _renamed(settings: SiteSettings, names: SiteSettings) -> SiteSettings:
    return SiteSettings.from_json(
        {**settings.to_json(), "name": names.name, "hostnames": list(names.hostnames)},
    )


def _quoted(text: str) -> str:
    """Return a TOML basic string."""
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 0x20 or ord(char) == 0x7F else f"\\{char}" if char in '"\\' else char
        for char in text
    )
    return f'"{escaped}"'
