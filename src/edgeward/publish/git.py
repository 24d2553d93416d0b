"""The default message of a push: the subject of the commit that the folder was built from."""

import subprocess
from pathlib import Path

_DEADLINE = 5.0


def commit_subject(folder: Path) -> str:
    """Return the subject line of HEAD of the repository that `folder` is in, or "" if there is none to be had."""
    command = ["git", "-C", str(folder), "log", "-1", "--no-show-signature", "--format=%s"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_DEADLINE, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()[:500] if done.returncode == 0 else ""
