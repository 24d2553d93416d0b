"""Which client an explanation is about."""

import ipaddress

import pytest

from edgeward.errors import InputError
from edgeward.publish.explain import client_address


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("139.130.4.5", "139.130.4.5"),
        ("::ffff:139.130.4.5", "139.130.4.5"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::139.130.4.5", "::8b82:405"),
    ],
)
def test_a_client_is_explained_as_servers_see_it(text: str, seen: str) -> None:
    """An IPv4 address that is mapped into IPv6 is that one; one that only looks so is not."""
    assert client_address(text) == ipaddress.ip_address(seen)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("nowhere", "'nowhere' is no IP address"),
        ("139.130.4.0/24", "'139.130.4.0/24' is no IP address"),
        ("139.130.4.5%eth0", "'139.130.4.5%eth0' is no IP address"),
        ("fe80::1%eth0", "'fe80::1%eth0' has a zone"),
        ("::ffff:139.130.4.5%1", "'::ffff:139.130.4.5%1' has a zone"),
    ],
)
def test_what_is_no_address_of_a_client(text: str, wrong: str) -> None:
    """What is no address, and one whose zone only one machine knows: the message says which."""
    with pytest.raises(InputError) as caught:
        client_address(text)
    assert caught.value.message.startswith(wrong)
    assert caught.value.hint == "edgeward dns explain NAME ADDRESS"
