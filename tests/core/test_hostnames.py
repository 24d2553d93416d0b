"""Hostnames: parsed once, at the door (SITE-FORMAT section 7)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.hostnames import is_hostname, is_record_name, parse_hostname, record_name
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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mail.Example.test.", "mail.example.test"),
        ("_sip._tcp.example.test", "_sip._tcp.example.test"),
        ("*.example.test", "*.example.test"),
        ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"),
        ("-a-.EXAMPLE.test", "-a-.example.test"),
        ("a!#%&'+,:<=>?[]^`{|}~b.test", "a!#%&'+,:<=>?[]^`{|}~b.test"),
        ("a" * 63 + ".test", "a" * 63 + ".test"),
    ],
)
def test_names_of_records(text, name):
    """Other names than those of hosts are in use; they come out in lower case, and are none of a host then."""
    assert record_name(text) == name
    assert is_record_name(name)
    assert is_hostname(name) == (re.fullmatch(r"[a-z0-9.]+", name) is not None)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a..b", "a b", "a\tb", "a\n", "a" * 64, "a" * 60 + ".b" * 97, "a*", "a.*.b"),
        *("a\\.b", "a\\032b", "a(b", "a;b", 'a"b', "a@b", "$a", "é.test", "\u212aelvin.test"),
    ],
)
def test_what_is_no_name_of_a_record(text):
    """What a zone file must escape, what is not ASCII (also if its lower case is), and what does not fit."""
    with pytest.raises(ValueError, match="is no name of a record"):
        record_name(text)
    assert not is_record_name(text)
