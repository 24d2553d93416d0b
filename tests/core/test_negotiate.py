"""Codings and languages: the regexes that both engines use, against a plain parser."""

import re

from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.negotiate import accepts, cookie_regex, first_language, has_cookie

ELEMENTS = st.builds(
    lambda name, weight, before, after: f"{before}{name}{weight}{after}",
    st.sampled_from(["br", "gzip", "*", "identity", "BR", "deflate", "xbr", "br2", ""]),
    st.sampled_from(["", ";q=0", ";q=1", ";q=0.5", " ; Q=0.000", ";q=0.001", ";q=", ";x=1", ";q=2", ";q=1.0"]),
    st.sampled_from(["", " ", "\t"]),
    st.sampled_from(["", " "]),
)


def plainly(field: str, coding: str) -> bool:
    """Accept-Encoding by splitting, as RFC 9110 section 12.5.3 describes it."""
    named, allowed, star = False, False, False
    for element in field.split(","):
        name, *params = (part.strip(" \t") for part in element.split(";"))
        weight = params[0][2:] if len(params) == 1 and params[0][:2].lower() == "q=" else None
        fine = not params or (weight is not None and re.fullmatch(r"[01](\.[0-9]*)?", weight) and float(weight) > 0)
        if name.lower() == coding:
            named, allowed = True, allowed or bool(fine)
        elif name == "*":
            star = star or bool(fine)
    return allowed or (star and not named)


@given(st.lists(ELEMENTS, max_size=5).map(",".join))
def test_the_regexes_agree_with_a_plain_parser(field):
    """Named with a weight above nought, or covered by a star and not named."""
    assert accepts(field, "br") == plainly(field, "br")
    assert accepts(field, "gzip") == plainly(field, "gzip")


def test_the_first_language_is_its_primary_subtag():
    """In small letters; a star and nonsense are none."""
    assert [first_language(text) for text in ("de-CH;q=0.1, en", " EN", "*", "", ",de", "de_DE", "x" * 9)] == [
        "de", "en", "", "", "", "", "",
    ]  # fmt: skip


@given(st.text(st.characters(codec="ascii", exclude_characters="=;, \t"), min_size=1), st.text())
def test_a_cookie_is_found_by_its_whole_name(name, value):
    """Whatever signs the name has, and not inside another name."""
    if any(char < " " or char == "\x7f" for char in name):
        return
    assert has_cookie(f"a=1; {name}={value}", name)
    assert not has_cookie(f"x{name}=1", name) or name == ""
    re.compile(cookie_regex(name))
