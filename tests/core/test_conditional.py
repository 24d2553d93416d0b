"""Dates, conditions and ranges (RFC 9110), beyond what tests/conformance asks over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeward.core.conditional import (
    Conditions,
    Span,
    Unsatisfiable,
    http_date,
    matches,
    parse_http_date,
    parse_range,
    range_applies,
)

TIMES = st.integers(min_value=0, max_value=253_402_300_799)
TAG = '"6553f100-a"'


@given(TIMES)
def test_dates_round_trip(seconds):
    """What is written as a date is read as the same second."""
    assert parse_http_date(http_date(seconds)) == seconds


def test_the_three_forms_of_a_date_are_one_time():
    """RFC 9110 section 5.6.7."""
    forms = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994")
    assert {parse_http_date(text) for text in forms} == {784_111_777}


@pytest.mark.parametrize(
    "text", ["", "now", "0", "Sun, 31 Feb 2024 00:00:00 GMT", "Sun, 06 Nox 1994 08:49:37 GMT", "1994-11-06"]
)
def test_what_is_no_date_is_none(text):
    """Neither a guess nor an exception."""
    assert parse_http_date(text) is None


@given(st.text(max_size=60))
def test_reading_never_raises(text):
    """Fields are whatever a client sends."""
    parse_http_date(text)
    parse_range(text, 10)
    parse_range("bytes=" + text, 10)
    matches(text, TAG, weak=True)
    range_applies(text, TAG, 5)
    Conditions(text, text, text, text).failed(TAG, 5)
    Conditions(text, text, text, text).unchanged(TAG, 5)


@given(st.text(st.sampled_from("0123456789-, "), max_size=30), st.integers(min_value=0, max_value=1 << 40))
def test_a_span_lies_inside(text, size):
    """A range that is answered is not empty and within the bytes that there are."""
    found = parse_range("bytes=" + text, size)
    if isinstance(found, Span):
        assert 0 <= found.start < found.end <= size


@given(
    st.integers(min_value=0, max_value=99),
    st.integers(min_value=0, max_value=99),
    st.integers(min_value=1, max_value=50),
)
def test_a_single_range_is_what_it_says(first, last, size):
    """`first-last` of `size` bytes, as slices do it."""
    data = bytes(range(size))
    found = parse_range(f"bytes={first}-{last}", size)
    if first < size and first <= last:
        assert isinstance(found, Span)
        assert data[found.start : found.end] == data[first : last + 1]
    elif first <= last or first > 0:
        assert isinstance(found, Unsatisfiable)


def test_numbers_of_any_length_are_read():
    """Thousands of digits are just a large number, thousands of leading zeros a small one."""
    assert isinstance(parse_range("bytes=" + "9" * 8000 + "-", 10), Unsatisfiable)
    assert parse_range("bytes=" + "0" * 8000 + "5-", 10) == Span(5, 10)


def test_a_star_matches_and_weak_tags_do_only_weakly():
    """RFC 9110 section 8.8.3.2."""
    assert matches("*", TAG, weak=True)
    assert matches(f"W/{TAG}", TAG, weak=True)
    assert not matches(f"W/{TAG}", TAG, weak=False)
    assert matches(f'"a",{TAG} , "b"', TAG, weak=False)
