"""Real sites to measure with: the HTML of two Debian documentation packages, copied as files of their own."""

import shutil
import subprocess
from pathlib import Path

from edgeward.errors import EngineMissing

PYTHON = ("python3.11-doc", Path("/usr/share/doc/python3.11/html"))
LINUX = ("linux-doc-6.1", Path("/usr/share/doc/linux-doc-6.1/html"))


def documentation(which: tuple[str, Path], target: Path) -> Path:
    """Copy the HTML of a documentation package to `target`, links followed, and return it.

    Installs the package where it is absent, which takes root on Debian 12. Raises EngineMissing if it cannot be had.
    """
    package, folder = which
    if not folder.is_dir():
        command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0 or not folder.is_dir():
            raise EngineMissing(
                f"the package {package} cannot be installed: {done.stderr.strip()[-300:]}",
                hint="these measurements need root on Debian 12",
            )
    # As `cp -rL` does: files in place of symbolic links; a link that leads nowhere is left out.
    shutil.copytree(folder, target, ignore_dangling_symlinks=True)
    return target
