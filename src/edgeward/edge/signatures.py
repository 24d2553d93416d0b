"""Whether a release was signed by somebody who may push its site (Ed25519, RFC 8032)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edgeward.core.deployers import Deployers, release_statement
from edgeward.core.fleet import ReleaseRecord


def why_not_trusted(record: ReleaseRecord, deployers: Deployers | None) -> str | None:
    """Return why a release must not be served; None: it may. Without a list of deployers every release may."""
    if deployers is None:
        return None
    if (reason := deployers.refusal(record.site, record.key)) is not None:
        return f"it was pushed by {record.deployer or 'somebody'}, but {reason}"
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.key))
        public.verify(bytes.fromhex(record.signature), release_statement(record.site, record.release))
    except (InvalidSignature, ValueError):
        return "its signature is not that of its deployer's key over this site and release"
    return None
