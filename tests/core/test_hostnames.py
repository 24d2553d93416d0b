"""Hostnames: parsed once, at the door (SITE-FORMAT section 7)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.hostnames import parse_hostname
from edgeward.errors import InputError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("localhost", "localhost"),
        ("a-b.c--d.example", "a-b.c--d.example"),
        ("1.example", "1.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_accepted(text, name):
    """A hostname becomes lower-case ASCII without a final dot."""
    assert parse_hostname(text) == name
    assert parse_hostname(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b",
        "192.0.2.1",
        "[::1]",
        "::1",
        "1.2.3",
        "0x7f.1",
        "a.example:80",
        "https://a.example",
        "a.example/",
        "*.example",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a",
        "xn--\xfc",
        "xn--a\x00",
        "xn--99999999999",
        "stra\xdfe.example",
        "a\u200db.example",
        "\uff10.example",
        "a\n",
        "exa\rmple",
        "\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9",
    ],
)
def test_refused(text):
    """What is no hostname, or an internationalised one that two standards read differently, is refused."""
    with pytest.raises(InputError):
        parse_hostname(text)


@given(st.text(max_size=30))
def test_any_text(text):
    """Whatever the text, the result is letters, digits, hyphens and dots, or InputError."""
    try:
        name = parse_hostname(text)
    except InputError:
        return
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name)
    assert parse_hostname(name) == name
