"""All that a server answers from, except the steering table: what becomes public, and what is true just now."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeward.core.answer import MARGIN
from edgeward.dns.zone import Zone


@dataclass(frozen=True, slots=True)
class Proofs:
    """ACME proofs (RFC 8555 section 8.4). txt: owner name -> texts, for `_acme-challenge` names alone.

    known: whether they are current. If not, every name that could hold one is answered SERVFAIL, so that the
    certificate authority asks another server and does not take "there is none" for an answer.
    """

    known: bool = True
    txt: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """What to answer. out: edge -> why it is not to be named. drained: those of them that an operator took out.

    lacking: site -> edge -> why it is not to be named for this site. margin: milliseconds within which a second address
    may be named; most: addresses of one family. server: name of this server (RFC 5001). version: of the program.
    steered_ttl: seconds.
    """

    zones: tuple[Zone, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    proofs: Proofs = Proofs()
    server: str = ""
    version: str = ""
    margin: float = MARGIN
    most: int = 2
    steered_ttl: int = 30
