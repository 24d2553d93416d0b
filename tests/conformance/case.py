"""One line of SITE-FORMAT as a request and the answer that it promises."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.sites import Site
from conformance.wire import Ask, Got

MANDATORY = ("X-Content-Type-Options", "Referrer-Policy", "X-Edgeward", "Cache-Control")


@dataclass(frozen=True)
class Case:
    """A request to a site, and what must come back.

    name: what is promised. serves: path of the entry whose identity bytes are the body (after decoding). to: the
    Location. fields: wanted values by name, None for a field that must not be there, a compiled regex to be found in
    the value, a list for several fields of one name. builtin: the body is the built-in page of the status.
    """

    name: str
    site: Site
    ask: Ask
    status: int
    serves: str | None = None
    to: str | None = None
    fields: Mapping[str, str | re.Pattern[str] | list[str] | None] = field(default_factory=dict)
    builtin: bool = False


def case(
    name: str,
    site: Site,
    target: str,
    status: int = 200,
    *,
    serves: str | None = None,
    to: str | None = None,
    method: str = "GET",
    host: str | None = "",
    send: Mapping[str, str] | None = None,
    version: str = "1.1",
    builtin: bool = False,
    **fields: str | re.Pattern[str] | list[str] | None,
) -> Case:
    """Return a case. host "": the site's canonical one. Fields: names with `_` for `-`, any case."""
    ask = Ask(
        target,
        site.hostnames[0] if host == "" else host,
        method,
        tuple((send or {}).items()),
        version,
    )
    wanted = {key.replace("_", "-").title(): value for key, value in fields.items()}
    return Case(name, site, ask, status, serves, to, wanted, builtin)


def check_fields(wanted: Case, got: Got) -> None:
    """Assert that the fields of an answer are those that the case names."""
    for name, value in wanted.fields.items():
        found = got.values(name)
        if value is None:
            assert found == [], f"{name} is {found}, wanted none"
        elif isinstance(value, re.Pattern):
            assert len(found) == 1, f"{name} is {found}, wanted one that has {value.pattern}"
            assert value.search(found[0]), f"{name} is {found[0]!r}, wanted one that has {value.pattern}"
        else:
            expected = value if isinstance(value, list) else [value]
            assert found == expected, f"{name} is {found}, wanted {expected}"
