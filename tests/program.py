"""Run the real program as people do, in a folder and an environment of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Program:
    """The program `edgeward` with a home of its own. home: nothing outside of it is written."""

    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), "PYTHONWARNINGS": "error", **more}

    def __call__(self, *arguments: str | Path, cwd: Path | None = None, seconds: float = 60.0, **more: str) -> Ran:
        """Run one command line to its end; `more` is added to the environment."""
        done = subprocess.run(
            [sys.executable, "-m", "edgeward", *map(str, arguments)],
            cwd=cwd or self.home,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)
