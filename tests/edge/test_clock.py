"""The agent's clock goes with the time that passes, whatever becomes of the machine's."""

import pytest

from edgeward.edge.clock import PATIENCE, TOLERANCE, SteadyClock

START = 1_800_000_000


class Machine:
    """A machine whose two clocks the test sets."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.jump = 0.0

    def wall(self) -> float:
        return START + self.passed - 100.0 + self.jump

    def elapsed(self) -> float:
        return self.passed

    def clock(self) -> SteadyClock:
        return SteadyClock(wall=self.wall, elapsed=self.elapsed)


@pytest.mark.parametrize("jump", [-10 * 86_400.0, -60.0, 60.0, 10 * 86_400.0])
def test_a_jump_changes_nothing_while_it_may_be_a_slip(jump: float) -> None:
    """Seconds pass as before, and when the clock is set right again nothing has happened."""
    machine = Machine()
    clock = machine.clock()
    machine.jump = jump
    for _ in range(50):
        machine.passed += PATIENCE / 60
        assert clock() == int(START + machine.passed - 100)
    machine.jump = 0
    machine.passed += 1
    assert clock() == int(START + machine.passed - 100)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_jump_that_stands_is_followed(jump: float) -> None:
    """A machine that started with a wrong time has the right one an hour after it was set."""
    machine = Machine()
    clock = machine.clock()
    machine.jump = jump
    assert clock() == START
    machine.passed += PATIENCE
    assert clock() == int(machine.wall())
    machine.passed += 10
    assert clock() == int(machine.wall())


def test_a_slip_that_was_mended_does_not_count_for_the_next() -> None:
    """Each jump has to stand for an hour of its own."""
    machine = Machine()
    clock = machine.clock()
    for _ in range(3):
        machine.jump = 86_400
        machine.passed += PATIENCE * 0.9
        clock()
        machine.jump = 0
        machine.passed += 1
        assert clock() == int(START + machine.passed - 100)


def test_small_corrections_are_followed_at_once() -> None:
    """A time server keeps the clock right by fractions of seconds."""
    machine = Machine()
    clock = machine.clock()
    machine.jump = TOLERANCE - 1
    assert clock() == int(machine.wall())
