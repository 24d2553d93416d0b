from pathlib import Path

import pytest

from edgeward.cli import reference

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("page", "text"),
    [("commands.md", reference.commands_page), ("exit-codes.md", reference.exit_codes_page)],
    ids=["commands", "exit-codes"],
)
def test_the_reference_is_up_to_date(page, text):
    """What docs/reference says is what the program says."""
    assert (DOCS / page).read_text("utf-8") == text(), "hint: .venv/bin/python -m edgeward.cli.reference"


def test_every_command_has_examples_but_groups():
    """No command is explained without a line to paste."""
    for section in reference.commands_page().split("\n## ")[1:]:
        assert section.count("```") >= 4, section.splitlines()[0]
