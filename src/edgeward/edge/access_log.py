"""Requests by status, counted from nginx's access log (its format is in docs/formats.md)."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_EVERY = 2.0
_CHUNK = 1024 * 1024
_MOST = 64 * _CHUNK
"""Bytes that are read at one time, at most; what is left is read the next time."""

# A quote inside a JSON string is escaped, so that this cannot be part of what a client sent.
_STATUS = re.compile(rb',"status":([1-5][0-9][0-9]),')


class RequestCount:
    """Counts what is logged from now on, through every rotation of the log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: BinaryIO | None = None
        self._rest = b""
        self._counts: Counter[str] = Counter()
        self._seen = 0
        with suppress(OSError):
            self._seen = log.stat().st_size

    @property
    def by_status(self) -> Mapping[str, int]:
        """Requests since the start, by status."""
        return dict(self._counts)

    async def run(self) -> None:
        """Read what is new every two seconds, until cancelled."""
        try:
            while True:
                await asyncio.to_thread(self.read)
                await asyncio.sleep(_EVERY)
        finally:
            self.close()

    def close(self) -> None:
        """Close the log. Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> None:
        """Count what has been written since the last time. A log that cannot be read counts nothing."""
        with suppress(OSError):
            if self._file is None:
                self._file = self._log.open("rb")
                self._file.seek(self._seen)
                self._seen = 0
            self._count(self._file)
            if self._moved(self._file):
                self._count(self._file)
                self._file.close()
                self._file, self._rest = None, b""
                self._file = self._log.open("rb")
                self._count(self._file)

    def _count(self, file: BinaryIO) -> None:
        done = 0
        while done < _MOST and (data := file.read(_CHUNK)):
            done += len(data)
            lines, newline, rest = (self._rest + data).rpartition(b"\n")
            self._rest = rest
            if newline:
                self._counts.update(status.decode() for status in _STATUS.findall(lines))

    def _moved(self, file: BinaryIO) -> bool:
        """Whether the name of the log stands for another file by now."""
        with suppress(FileNotFoundError):
            return self._log.stat().st_ino != os.fstat(file.fileno()).st_ino
        return False
