"""Who may push: the fleet's list of deployers, each with an Ed25519 key (RFC 8032), and what their signatures say.

The list is one value of the fleet's settings. Where there is none, whoever can write to the store may push.
"""

import re
from dataclasses import dataclass
from typing import Self

from edgeward.core.codec import canonical_bytes, parse_object
from edgeward.core.digest import Digest
from edgeward.errors import SchemaError

SCHEMA = (1, 0)
_KEY = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Deployer:
    """One deployer. key: hex of the public key (32 bytes). sites: those that it may push; empty = every site."""

    name: str
    key: str
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hold the shape of the key. Raises SchemaError."""
        if not _KEY.match(self.key):
            msg = f"the key of deployer {self.name!r} is not the hex of 32 bytes"
            raise SchemaError(msg, deployer=self.name)


@dataclass(frozen=True, slots=True)
class Deployers:
    """The fleet's list of deployers."""

    deployers: tuple[Deployer, ...] = ()

    def refusal(self, site: str, key: str) -> str | None:
        """Return why the holder of a key (hex, "" for none) may not push a site; None: it may."""
        known = [deployer for deployer in self.deployers if key and deployer.key == key]
        if not known:
            return "the key is not on the fleet's list of deployers"
        if any(not deployer.sites or site in deployer.sites for deployer in known):
            return None
        return f"deployer {known[0].name} may push only {', '.join(sorted(known[0].sites))}"

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        rows = [{"name": each.name, "key": each.key, "sites": list(each.sites)} for each in self.deployers]
        return canonical_bytes({"schema": list(SCHEMA), "deployers": rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes. Raises SchemaError."""
        value = parse_object(data, kind="list of deployers", major=SCHEMA[0])
        try:
            return cls(
                tuple(
                    Deployer(str(row["name"]), str(row["key"]), tuple(str(site) for site in row["sites"]))
                    for row in value["deployers"]
                )
            )
        except (KeyError, TypeError) as error:
            msg = f"a stored list of deployers is not of the expected shape: {error!r}"
            raise SchemaError(msg) from error


def release_statement(site: str, release: Digest) -> bytes:
    """Return the bytes that a deployer signs for a release."""
    return f"edgeward release {site} {release}".encode()
