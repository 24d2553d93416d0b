#!/usr/bin/env bash
# Have the programs that the tests ask our name server with: dig and delv, kdig, drill. None of them brings a server.
#
# Where they cannot be had this says so in one line and succeeds: the tests that need them are skipped with that reason.
set -euo pipefail

missing=()
command -v dig >/dev/null && command -v delv >/dev/null || missing+=(bind9-dnsutils)
command -v kdig >/dev/null || missing+=(knot-dnsutils)
command -v drill >/dev/null || missing+=(ldnsutils)
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "setup: some tests will be skipped; they need ${missing[*]} (hint: sudo apt-get install ${missing[*]})"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 "${missing[@]}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${install[@]}" >"$log" 2>&1 && ! { apt-get update -qq >"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1; }; then
    echo "setup: ${missing[*]} could not be installed; some tests will be skipped. apt-get said: $(tail -n 1 "$log")"
    exit 0
fi
echo "setup: installed ${missing[*]} for the tests"
