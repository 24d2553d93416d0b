"""The fleet's list of deployers: who may push what."""

import pytest

from edgeward.core.deployers import Deployer, Deployers, release_statement
from edgeward.core.digest import digest_of
from edgeward.errors import SchemaError

ANN, BOB = "ab" * 32, "cd" * 32
LIST = Deployers((Deployer("ann", ANN), Deployer("bob", BOB, ("blog", "docs"))))


def test_a_deployer_may_push_its_sites() -> None:
    """No list of sites means all; a stranger and an empty key are refused, each with the reason."""
    assert LIST.refusal("shop", ANN) is None
    assert LIST.refusal("blog", BOB) is None
    assert LIST.refusal("shop", BOB) == "deployer bob may push only blog, docs"
    for stranger in ("", "ef" * 32):
        assert LIST.refusal("blog", stranger) == "the key is not on the fleet's list of deployers"


def test_bytes_come_back() -> None:
    """Round trip."""
    assert Deployers.from_bytes(LIST.to_bytes()) == LIST


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b'{"schema":[2,0],"deployers":[]}',
        b'{"schema":[1,0]}',
        b'{"schema":[1,0],"deployers":[{"name":"a","key":"00","sites":[]}]}',
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    """A list that cannot be read allows nobody: it is an error."""
    with pytest.raises(SchemaError):
        Deployers.from_bytes(data)


def test_a_statement_names_site_and_release() -> None:
    """So that a signature for one site says nothing about another."""
    release = digest_of(b"x")
    assert release_statement("blog", release) == f"edgeward release blog {release}".encode()
