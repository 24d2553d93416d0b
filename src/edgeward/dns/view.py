"""All that a server answers from, except the steering table: what becomes public, and what is true just now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from edgeward.core.answer import MARGIN
from edgeward.core.codec import Json, canonical_bytes, parse_object
from edgeward.dns.wire import name_to_wire
from edgeward.dns.zone import RRset, Zone
from edgeward.errors import InputError, SchemaError

SCHEMA: Final = (1, 0)
STEERED_TTL: Final = 30
"""Seconds for which resolvers may keep the addresses of a steered name."""
_ODD: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What parsing a JSON value of another shape than the expected one raises."""


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

    lacking: site -> edge -> why it is not to be named for this site. silent: edge -> family (4, 6) over which it does
    not answer -> why. margin: milliseconds within which a second address may be named; most: addresses of one family.
    server: name of this server (RFC 5001). version: of the program. steered_ttl: seconds. unsure: names of which it is
    not known whether they are there, or steered: answered SERVFAIL where the zones do not say more.
    """

    zones: tuple[Zone, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    lacking: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    silent: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    proofs: Proofs = Proofs()
    server: str = ""
    version: str = ""
    margin: float = MARGIN
    most: int = 2
    steered_ttl: int = STEERED_TTL
    unsure: frozenset[str] = frozenset()

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: what a worker reads, and answers from at once after a restart."""
        return canonical_bytes(
            {
                "schema": list(SCHEMA),
                "zones": [_zone_json(zone) for zone in self.zones],
                "unsure": sorted(self.unsure),
                **self.moment(),
                "server": self.server,
                "version": self.version,
                "margin": repr(self.margin),
                "most": self.most,
                "steered_ttl": self.steered_ttl,
            }
        )

    def moment(self) -> Json:
        """Return what may change by the second: all that says who is well, and the proofs."""
        return {
            "out": dict(self.out),
            "drained": sorted(self.drained),
            "lacking": {site: dict(edges) for site, edges in self.lacking.items()},
            "silent": {edge: {str(each): why for each, why in over.items()} for edge, over in self.silent.items()},
            "proofs": {
                "known": self.proofs.known,
                "txt": {name: list(texts) for name, texts in self.proofs.txt.items()},
            },
        }

    def at(self, moment: Json) -> Self:
        """Return this view with what `moment` of another one says. Raises SchemaError."""
        try:
            return replace(self, **_parse_moment(moment))
        except _ODD as error:
            msg = f"the name server was told something that is not of the expected shape: {error!r}"
            raise SchemaError(msg) from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes. Raises SchemaError."""
        value = parse_object(data, kind="view of the name server", major=SCHEMA[0])
        try:
            return cls(
                zones=tuple(_zone(item) for item in value["zones"]),
                **_parse_moment(value),
                server=_text(value["server"]),
                version=_text(value["version"]),
                margin=float(value["margin"]),
                most=_number(value["most"]),
                steered_ttl=_number(value["steered_ttl"]),
                unsure=frozenset(map(_name, value.get("unsure", ()))),
            )
        except (*_ODD, InputError) as error:
            msg = f"a stored view of the name server is not of the expected shape: {error!r}"
            raise SchemaError(msg) from error


def _parse_moment(value: Json) -> dict[str, Json]:
    proofs = value["proofs"]
    return {
        "out": dict(value["out"].items()),
        "drained": frozenset(value["drained"]),
        "lacking": {site: dict(edges.items()) for site, edges in value["lacking"].items()},
        "silent": {
            edge: {int(each): why for each, why in over.items()} for edge, over in value.get("silent", {}).items()
        },
        "proofs": Proofs(
            proofs["known"], {_name(name): tuple(map(_text, texts)) for name, texts in proofs["txt"].items()}
        ),
    }


def _zone_json(zone: Zone) -> Json:
    return {
        "origin": zone.origin,
        "steered": dict(zone.steered),
        "rrsets": {
            name: {str(kind): [rrset.ttl, *(data.hex() for data in rrset.rdatas)] for kind, rrset in by_type.items()}
            for name, by_type in zone.rrsets.items()
        },
    }


def _zone(item: Json) -> Zone:
    rrsets = {
        name: {int(kind): RRset(_number(row[0]), tuple(map(bytes.fromhex, row[1:]))) for kind, row in by_type.items()}
        for name, by_type in item["rrsets"].items()
    }
    steered = {name: _text(site) for name, site in item["steered"].items()}
    return Zone(item["origin"], rrsets, steered)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _name(value: Json) -> str:
    name_to_wire(_text(value))
    return str(value)


def _number(value: Json) -> int:
    """Return what can be a TTL (RFC 2181 section 8)."""
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError(f"{value!r} is not a number from 0 to 2147483647")
    return value
