"""A process that ends at a system call of the test's choosing."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CALLS = ("unlink", "rmdir", "rename", "link", "symlink", "mkdir")


class Cut(BaseException):
    """The process ends here: nothing handles this."""


@contextmanager
def cut_after(count: int, *, below: Path) -> Iterator[list[int]]:
    """Raise Cut at the system call that follows `count` others that change something below a folder."""
    left = [count]
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counted(getattr(os, name), left, str(below)))
        yield left


def counted(original: Callable[..., None], left: list[int], below: str) -> Callable[..., None]:
    def call(*arguments, **options):
        if any(str(each).startswith(below) for each in arguments):
            if not left[0]:
                raise Cut
            left[0] -= 1
        return original(*arguments, **options)

    return call
