"""Where nginx is on this machine."""

import os
import shutil

_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/nginx/sbin")
"""Debian has nginx in /usr/sbin, which is on the PATH of root alone."""


def find_nginx(program: str = "nginx") -> str | None:
    """Return the path of nginx, None if it is not installed. program: a name to look for, or a path."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS]))
