"""What end-to-end tests ask for."""

import pytest

from program import Program


@pytest.fixture
def edgeward(tmp_path) -> Program:
    """The program, with a home folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)
