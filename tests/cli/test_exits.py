import inspect

import pytest

from edgeward import errors
from edgeward.cli import exits

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.EdgewardError) and kind is not errors.EdgewardError
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_a_code_of_its_own_kind(kind):
    """No error that edgeward raises on purpose is reported as a fault of edgeward."""
    assert exits.exit_code_of(kind("x")) not in {exits.OK, exits.FAULT}


def test_a_subclass_gives_the_code_of_its_parent():
    """A program that knows "4: the store" need not know every reason."""
    assert exits.exit_code_of(errors.StoreFull("x")) == exits.exit_code_of(errors.StoreUnavailable("x")) == 4


def test_a_fault_is_neither_success_nor_bad_input():
    """Anything else that is raised is a fault of ours."""
    assert exits.exit_code_of(ValueError()) == exits.FAULT


def test_the_numbers_are_all_different():
    """Each number means one thing."""
    numbers = [code.number for code in exits.TABLE]
    assert len(set(numbers)) == len(numbers)
