"""Requests by status, counted from the access log through its rotations."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgeward.edge.access_log import RequestCount


@pytest.fixture
def closing() -> Iterator[Callable[[Path], RequestCount]]:
    """A function that makes counts which are closed at the end."""
    with ExitStack() as stack:

        def make(log: Path) -> RequestCount:
            count = RequestCount(log)
            stack.callback(count.close)
            return count

        yield make


def line(status: int, target: str = "/") -> str:
    return f'{{"time":"t","host":"h","target":"{target}","protocol":"HTTP/1.1","status":{status},"bytes":1}}\n'


def test_what_is_new_is_counted(tmp_path: Path, closing: Callable[[Path], RequestCount]) -> None:
    """Lines from before the start are not counted; half a line waits for its end; what clients send counts nothing."""
    log = tmp_path / "access.log"
    log.write_text(line(200) * 5)
    count = closing(log)
    with log.open("a") as file:
        file.write(line(200) * 3 + line(404, '\\",\\"status\\":500,') + line(304)[:-5])
        file.flush()
        count.read()
        assert count.by_status == {"200": 3, "404": 1}
        file.write(line(304)[-5:])
    count.read()
    assert count.by_status == {"200": 3, "404": 1, "304": 1}


def test_a_rotated_log_is_read_to_its_end(tmp_path: Path, closing: Callable[[Path], RequestCount]) -> None:
    """After a rename the rest of the old file is counted, then the new one from its start; a missing log is awaited."""
    log = tmp_path / "access.log"
    count = closing(log)
    count.read()
    assert count.by_status == {}
    log.write_text(line(200))
    count.read()
    with log.open("a") as old:
        log.rename(tmp_path / "access.log.1")
        old.write(line(206))
        old.flush()
        count.read()  # the new file is not there yet
    log.write_text(line(404) * 2)
    count.read()
    assert count.by_status == {"200": 1, "206": 1, "404": 2}
