"""What the fleet decides for every site: limits and the list of deployers, in the bucket `fleet`."""

from edgeward.core.codec import canonical_bytes, parse_object
from edgeward.core.deployers import Deployers
from edgeward.errors import SchemaError
from edgeward.publish.values import Limits
from edgeward.store.connection import Store

LIMITS = "limits"
DEPLOYERS = "deployers"


def limits_bytes(limits: Limits) -> bytes:
    """Return the stored form of limits."""
    return canonical_bytes(
        {
            "schema": [1, 0],
            "entries": limits.entries,
            "file_size": limits.file_size,
            "site_size": limits.site_size,
        }
    )


def parse_limits(data: bytes) -> Limits:
    """Parse the stored form; what is absent is as by default. Raises SchemaError."""
    value = parse_object(data, kind="set of limits", major=1)
    default = Limits()
    numbers = [value.get(name, getattr(default, name)) for name in ("entries", "file_size", "site_size")]
    if any(type(number) is not int or number < 1 for number in numbers):
        raise SchemaError("the stored limits of the fleet are not of the expected shape")
    return Limits(*numbers)


async def read_limits(store: Store) -> Limits:
    """Return the fleet's limits. Raises StoreError, SchemaError."""
    stored = await store.fleet.get(LIMITS)
    return Limits() if stored is None else parse_limits(stored.value)


async def read_deployers(store: Store) -> Deployers | None:
    """Return the fleet's list of deployers, None if it has none. Raises StoreError, SchemaError."""
    stored = await store.fleet.get(DEPLOYERS)
    return None if stored is None else Deployers.from_bytes(stored.value)
