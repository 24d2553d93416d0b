"""Who pushes from this machine: a name for people, and an Ed25519 key (RFC 8032) that signs releases.

The key is made when it is first needed, in the settings folder of the user, readable by that user alone.
"""

import getpass
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edgeward.core.deployers import release_statement
from edgeward.core.digest import Digest
from edgeward.core.fleet import ReleaseRecord
from edgeward.errors import DiskError, InputError
from edgeward.publish.places import Places

KEY_FILE = "deployer.key"


@dataclass(frozen=True, slots=True)
class Signer:
    """A deployer's private key."""

    _private: Ed25519PrivateKey

    @property
    def key(self) -> str:
        """Hex of the public key."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, site: str, release: Digest) -> str:
        """Return the hex of the signature over a release of a site."""
        return self._private.sign(release_statement(site, release)).hex()


def signature_holds(record: ReleaseRecord) -> bool:
    """Whether the record's signature is that of its key over its site and release."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.key))
        public.verify(bytes.fromhex(record.signature), release_statement(record.site, record.release))
    except (InvalidSignature, ValueError):
        return False
    return True


def load_signer(places: Places) -> Signer:
    """Return this user's signer; its key is made first if there is none.

    Raises InputError for a key file that others may read or that holds no Ed25519 key, DiskError if it cannot be read
    or made.
    """
    path = places.settings / KEY_FILE
    try:
        data = _read_private(path)
        if data is None:
            data = _make(path)
        private = load_pem_private_key(data, password=None)
    except OSError as error:
        raise DiskError(f"the deployer key {path} cannot be used: {error.strerror}", path=str(path)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path} is no private key in PEM form", hint="move it away; a new one is made") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path} is no Ed25519 key", hint="move it away; a new one is made")
    return Signer(private)


def _read_private(path: Path) -> bytes | None:
    try:
        with path.open("rb") as source:
            if os.fstat(source.fileno()).st_mode & 0o077:
                raise InputError(f"the deployer key {path} can be read by others", hint=f"chmod 600 {path}")
            return source.read(65536)
    except FileNotFoundError:
        return None


def _make(path: Path) -> bytes:
    """Write a new key; if another process wrote one meanwhile, that one counts."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out:  # noqa: PTH123 (a descriptor, for the mode)
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return path.read_bytes()
    finally:
        temporary.unlink(missing_ok=True)
    return pem


def deployer_name() -> str:
    """Return "user@host" of this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
