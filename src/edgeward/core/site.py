"""What a site's owner decides: the settings that travel in every manifest, and the project file around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgeward.core.codec import Json
from edgeward.core.hostnames import SLUG, parse_hostname
from edgeward.errors import InputError, SchemaError

TrailingSlash = Literal["auto", "always", "never"]
AliasMode = Literal["redirect", "serve"]

TRAILING_SLASHES: tuple[TrailingSlash, ...] = ("auto", "always", "never")
ALIAS_MODES: tuple[AliasMode, ...] = ("redirect", "serve")


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Settings of one site that decide how it is served (SITE-FORMAT sections 2, 5, 7).

    name: a slug. hostnames: lower-case ASCII (IDNA) names, the first is canonical, at least one. immutable: path
    patterns as in `_headers`, or None for the automatic choice. hsts: value of Strict-Transport-Security, None = off.
    """

    name: str
    hostnames: tuple[str, ...]
    clean_urls: bool = True
    trailing_slash: TrailingSlash = "auto"
    spa: bool = False
    immutable: tuple[str, ...] | None = None
    keep_assets_days: int = 7
    alias_mode: AliasMode = "redirect"
    hsts: str | None = None

    def __post_init__(self) -> None:
        """Hold that the name is a slug and the hostnames are names: both become paths and configuration on edges.

        Raises SchemaError.
        """
        if not SLUG.fullmatch(self.name):
            msg = f"{self.name[:80]!r} is not the name of a site"
            raise SchemaError(msg)
        try:
            valid = bool(self.hostnames) and all(parse_hostname(host) == host for host in self.hostnames)
        except InputError as error:
            msg = f"site {self.name!r} has a hostname that is none: {error.message}"
            raise SchemaError(msg, site=self.name) from error
        if not valid or len(set(self.hostnames)) != len(self.hostnames):
            msg = f"hostnames of site {self.name!r} are not one or more lower-case ASCII names, each once"
            raise SchemaError(msg, site=self.name)

    def to_json(self) -> Mapping[str, Json]:
        """Return the JSON form that the manifest holds."""
        return {
            "name": self.name,
            "hostnames": list(self.hostnames),
            "clean_urls": self.clean_urls,
            "trailing_slash": self.trailing_slash,
            "spa": self.spa,
            "immutable": None if self.immutable is None else list(self.immutable),
            "keep_assets_days": self.keep_assets_days,
            "alias_mode": self.alias_mode,
            "hsts": self.hsts,
        }

    @classmethod
    def from_json(cls, value: Json) -> "SiteSettings":
        """Parse the JSON form. Raises SchemaError if it is not of the shape that `to_json` gives."""
        try:
            immutable = value["immutable"]
            if value["trailing_slash"] not in TRAILING_SLASHES or value["alias_mode"] not in ALIAS_MODES:
                msg = "site settings in a manifest hold an unknown choice"
                raise SchemaError(msg)
            return cls(
                name=str(value["name"]),
                hostnames=tuple(str(host) for host in value["hostnames"]),
                clean_urls=bool(value["clean_urls"]),
                trailing_slash=value["trailing_slash"],
                spa=bool(value["spa"]),
                immutable=None if immutable is None else tuple(str(pattern) for pattern in immutable),
                keep_assets_days=int(value["keep_assets_days"]),
                alias_mode=value["alias_mode"],
                hsts=None if value["hsts"] is None else str(value["hsts"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            msg = f"site settings in a manifest are not of the expected shape: {error!r}"
            raise SchemaError(msg) from error


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What `edgeward.toml` says: the site, and two things that are no part of a release.

    fleet: name of the fleet to push to, None = the only one configured. build: folder to push when none is named,
    relative to the project file, None = the folder of the project file.
    """

    site: SiteSettings
    fleet: str | None = None
    build: str | None = None
