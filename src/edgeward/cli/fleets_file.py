"""The fleets that this person knows: name -> where its state store is, and the file that holds the token.

Kept in `$XDG_CONFIG_HOME/edgeward/fleets.toml` (`~/.config` where that is not set)::

    [fleets.home]
    store = "nats://203.0.113.5:4222"
    token_file = "/home/ada/.config/edgeward/home.token"

The environment overrides it: EDGEWARD_STORE (and EDGEWARD_TOKEN_FILE) name a store directly.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgeward.errors import ConflictError, DiskError, InputError, NotFoundError, Problem
from edgeward.publish.places import Places, write_whole

STORE_VARIABLE = "EDGEWARD_STORE"
TOKEN_VARIABLE = "EDGEWARD_TOKEN_FILE"  # noqa: S105 (the name of a variable)
DEFAULT_PORT = 4222

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_SCHEMES = ("nats", "tls")
_KEYS = ("store", "token_file")


@dataclass(frozen=True, slots=True)
class Fleet:
    """One fleet as this person knows it. token_file: file whose only line is the store's token; None = no token."""

    name: str
    store: str
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class FleetChoice:
    """The fleet that a command will speak to, and why that one (for `edgeward fleets`)."""

    fleet: Fleet
    because: str


def fleets_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the list of fleets is kept."""
    return Places.of_user(environment).settings / "fleets.toml"


def read_fleets(path: Path) -> tuple[Fleet, ...]:
    """Return the fleets in the file, none if there is no file. Raises InputError (all problems), DiskError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DiskError(f"the list of fleets {path} cannot be read: {error.strerror}", path=str(path)) from error
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the list of fleets {path} is not TOML", [Problem(str(path), 0, str(error))]) from error
    problems = [
        Problem(str(path), 0, f"unknown key {key!r}{_nearest(key, ('fleets',))}") for key in content if key != "fleets"
    ]
    fleets = []
    tables = content.get("fleets", {})
    if not isinstance(tables, dict):
        problems.append(Problem(str(path), 0, "`fleets` is not a table"))
        tables = {}
    for name, table in tables.items():
        try:
            fleets.append(_parse_fleet(name, table, path))
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(f"the list of fleets {path} cannot be used", problems)
    return tuple(fleets)


def _parse_fleet(name: str, table: Any, path: Path) -> Fleet:
    if not isinstance(table, dict):
        raise InputError("", [Problem(str(path), 0, f"fleet {name!r} is not a table")])
    problems = [f"fleet {name!r}: unknown key {key!r}{_nearest(key, _KEYS)}" for key in table if key not in _KEYS]
    problems += [f"fleet {name!r}: `{key}` is not a string" for key in _KEYS if not isinstance(table.get(key, ""), str)]
    if "store" not in table:
        problems.append(f"fleet {name!r} has no `store`")
    if not problems:
        token_file = table.get("token_file")
        try:
            return make_fleet(name, table["store"], Path(token_file) if token_file else None)
        except InputError as error:
            problems.append(error.message)
    raise InputError("", [Problem(str(path), 0, text) for text in problems])


def make_fleet(name: str, store: str, token_file: Path | None) -> Fleet:
    """Return the fleet, with the URL of its store completed. Raises InputError if a part is not well formed."""
    if not _NAME.match(name):
        raise InputError(f"{name!r} cannot be a fleet's name: use small letters, digits and dashes, at most 63")
    return Fleet(name, store_url(store), token_file)


def store_url(text: str) -> str:
    """Return `text` as a store's URL: the scheme `nats` and port 4222 may be left out. Raises InputError."""
    hint = "for example nats://203.0.113.5:4222"
    whole = text if "://" in text else f"nats://{text}"
    try:
        parts = urlsplit(whole)
        port = parts.port or DEFAULT_PORT
    except ValueError as error:
        raise InputError(f"{text!r} is not the URL of a state store: {error}", hint=hint) from error
    if parts.scheme not in _SCHEMES:
        raise InputError(f"{text!r} is not the URL of a state store: the scheme is not nats or tls", hint=hint)
    if parts.username or parts.password:
        raise InputError("the URL of a state store holds no secrets", hint="put the token into a file: --token-file")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"{text!r} is not the URL of a state store", hint=hint)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def add_fleet(path: Path, fleet: Fleet, *, replace: bool) -> None:
    """Add a fleet to the file. Raises ConflictError if the name is taken and `replace` is not set, DiskError."""
    fleets = {known.name: known for known in read_fleets(path)}
    if fleet.name in fleets and not replace:
        message = f"there is a fleet {fleet.name!r} already: {fleets[fleet.name].store}"
        raise ConflictError(message, hint="--replace, or another name", fleet=fleet.name)
    _write(path, {**fleets, fleet.name: fleet})


def remove_fleet(path: Path, name: str) -> Fleet:
    """Take a fleet out of the file and return it. Raises NotFoundError, DiskError."""
    fleets = {known.name: known for known in read_fleets(path)}
    removed = fleets.pop(name, None)
    if removed is None:
        raise _unknown(name, tuple(fleets), path)
    _write(path, fleets)
    return removed


def _write(path: Path, fleets: Mapping[str, Fleet]) -> None:
    """Write the file anew, whole or not at all, readable by its owner alone."""
    lines = ["# Written by `edgeward fleets add` and `edgeward fleets rm`; you may edit it too.\n"]
    for fleet in fleets.values():
        # A JSON string of ASCII is a TOML basic string.
        lines.append(f"\n[fleets.{fleet.name}]\nstore = {json.dumps(fleet.store)}\n")
        if fleet.token_file is not None:
            lines.append(f"token_file = {json.dumps(str(fleet.token_file), ensure_ascii=False)}\n")
    write_whole(path, "".join(lines).encode())


def choose_fleet(
    *, named: str | None, in_project: str | None, path: Path, environment: Mapping[str, str] = os.environ
) -> FleetChoice:
    """Decide which fleet a command speaks to.

    named: what `--fleet` says. in_project: what `edgeward.toml` says. The first that is there wins: `--fleet`, the
    environment, `edgeward.toml`, the only fleet in the list. Raises NotFoundError, InputError, DiskError.
    """
    store = environment.get(STORE_VARIABLE)
    if named is None and store:
        token_file = environment.get(TOKEN_VARIABLE)
        fleet = Fleet("(environment)", store_url(store), Path(token_file) if token_file else None)
        return FleetChoice(fleet, f"{STORE_VARIABLE} is set")
    fleets = {fleet.name: fleet for fleet in read_fleets(path)}
    wanted, because = (named, "--fleet") if named is not None else (in_project, "edgeward.toml names it")
    if wanted is not None:
        if wanted not in fleets:
            raise _unknown(wanted, tuple(fleets), path)
        return FleetChoice(fleets[wanted], because)
    if len(fleets) == 1:
        return FleetChoice(next(iter(fleets.values())), "it is the only one")
    if fleets:
        names = ", ".join(fleets)
        raise InputError(f"there are several fleets and none was chosen: {names}", hint=f"--fleet {next(iter(fleets))}")
    raise NotFoundError("no fleet is known here", hint="edgeward fleets add NAME STORE_URL, or try: edgeward demo")


def read_token(fleet: Fleet) -> str | None:
    """Return the token of the fleet's store, None if it needs none. Raises DiskError, InputError."""
    if fleet.token_file is None:
        return None
    path = fleet.token_file.expanduser()
    try:
        token = path.read_text("utf-8").strip()
    except OSError as error:
        message = f"the token of fleet {fleet.name} cannot be read from {path}: {error.strerror}"
        raise DiskError(message, path=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(f"the token file {path} of fleet {fleet.name} is not text") from error
    if not token or any(character.isspace() for character in token):
        raise InputError(f"the token file {path} of fleet {fleet.name} does not hold one word")
    return token


def _unknown(name: str, known: tuple[str, ...], path: Path) -> NotFoundError:
    hint = f"known are {', '.join(known)}" if known else f"edgeward fleets add {name} STORE_URL"
    return NotFoundError(f"there is no fleet {name!r} in {path}{_nearest(name, known)}", hint=hint, fleet=name)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
