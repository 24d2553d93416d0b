import pytest

from edgeward.cli import figures


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (82_345, "82 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (67_100_000, "67.1 MB"), (183_000_000, "183 MB"), (1_500_000_000, "1.5 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)  # fmt: skip
def test_sizes_are_short_and_in_decimal_units(number, text):
    """A size has two or three digits and a unit."""
    assert figures.size(number) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.314, "0.31 s"), (12.44, "12.4 s"), (185, "3 min 5 s")])
def test_durations_of_commands(value, text):
    """Hundredths while they matter, minutes when there are some."""
    assert figures.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-3, "0 s"), (40, "40 s"), (720, "12 min"), (5 * 3600, "5 h"), (3 * 86_400, "3 d")],
)
def test_ages_have_one_unit(value, text):
    """An age is one number; a clock that runs ahead gives none below zero."""
    assert figures.span(value) == text


def test_counts_have_the_right_word():
    """One file, two files."""
    assert [figures.count(number, "file") for number in (0, 1, 1065)] == ["0 files", "1 file", "1,065 files"]
