"""Where a deployer's machine keeps things: cache folder and settings folder of its user (XDG base directories)."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeward.errors import DiskError


@dataclass(frozen=True, slots=True)
class Places:
    """cache: may be deleted at any time (stat caches, compressed variants). settings: keys; must not be."""

    cache: Path
    settings: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str] | None = None) -> "Places":
        """Return $XDG_CACHE_HOME/edgeward and $XDG_CONFIG_HOME/edgeward, by default below ~/.cache and ~/.config."""
        env = os.environ if environment is None else environment
        home = Path(env.get("HOME") or Path.home())
        return cls(
            cache=_base(env.get("XDG_CACHE_HOME"), home / ".cache") / "edgeward",
            settings=_base(env.get("XDG_CONFIG_HOME"), home / ".config") / "edgeward",
        )


def _base(value: str | None, default: Path) -> Path:
    """A relative path in an XDG variable is to be ignored (XDG base directory specification, "basics")."""
    return Path(value) if value and Path(value).is_absolute() else default


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a reader sees all of it or the one before (private to the user). Raises DiskError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(descriptor, "wb") as out:  # noqa: PTH123 (a descriptor, for the mode)
                out.write(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        msg = f"the file {path} cannot be written: {error.strerror or error}"
        raise DiskError(msg, path=str(path)) from error
