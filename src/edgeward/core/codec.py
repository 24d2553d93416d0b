"""Canonical bytes: how values are written so that equal values have equal digests.

The form is JSON in the manner of RFC 8785 restricted to what edgeward stores (objects, arrays, strings, integers,
booleans, null; no floats): keys sorted by code point, no white space, UTF-8, no escapes but those that JSON demands.
Every stored value is an object with "schema": [major, minor]. A reader takes any minor of a major it knows.
"""

import json
from collections.abc import Mapping
from typing import Any

from edgeward.errors import SchemaError

Json = Any
"""What `json.loads` returns: checked by the parser of each value, which raises SchemaError."""


def canonical_bytes(value: Json) -> bytes:
    """Return the canonical JSON of `value`. Raises SchemaError for floats and what JSON cannot say."""
    _refuse_floats(value)
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        msg = f"a value cannot be written as canonical JSON: {error}"
        raise SchemaError(msg) from error


def _refuse_floats(value: Json) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, float):
            msg = f"canonical JSON holds integers only, got {item!r}"
            raise SchemaError(msg)


def parse_object(data: bytes, *, kind: str, major: int) -> Mapping[str, Json]:
    """Return the JSON object in `data` after checking its schema number.

    kind: what the bytes should be ("manifest"), for messages. Raises SchemaError if it is not a JSON object, or of a
    major version other than `major`.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"a stored {kind} is not JSON: {error}"
        raise SchemaError(msg, kind=kind) from error
    if not isinstance(value, dict):
        msg = f"a stored {kind} is not a JSON object"
        raise SchemaError(msg, kind=kind)
    schema = value.get("schema")
    if not (isinstance(schema, list) and len(schema) == 2 and all(type(part) is int for part in schema)):
        msg = f"a stored {kind} has no schema number"
        raise SchemaError(msg, kind=kind)
    if schema[0] != major:
        msg = f"a stored {kind} has schema {schema[0]}.{schema[1]}; this program knows {major}.x"
        raise SchemaError(msg, hint="upgrade edgeward on this machine", kind=kind, found=schema, known=major)
    return value
