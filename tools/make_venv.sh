#!/usr/bin/env bash
# Make .venv from the given interpreter, or say in one sentence what is missing.
set -euo pipefail

python=${1:-python3}
needs="edgeward needs Python 3.11 or newer with its venv module"

if ! command -v "$python" >/dev/null; then
    echo "setup: there is no $python on this machine; $needs (hint: make setup PYTHON=/path/to/python3)" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $("$python" --version) is too old; $needs (hint: make setup PYTHON=/path/to/python3.11)" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "setup: $python has no venv module, and only root can install it (hint: sudo apt-get install python3-venv)" >&2
        exit 1
    fi
    echo "setup: installing python3-venv from the distribution"
    export DEBIAN_FRONTEND=noninteractive
    install=(apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 python3-venv)
    "${install[@]}" >/dev/null 2>&1 || { apt-get update -qq && "${install[@]}" >/dev/null; }
fi
"$python" -m venv --clear .venv
