#!/usr/bin/env bash
# Install packages of the distribution without their servers running because of it:
#
#     tools/install_packages.sh [--unit UNIT]... PACKAGE...
#
# Debian starts a server when its package is installed, and again at every boot. While packages are being installed a
# policy-rc.d forbids that (one that was there before is put back afterwards), and the units that are named are disabled.
# Prints nothing where that was done, and one line with the reason, with status 1, where not.
set -euo pipefail

# Overridden by tests only.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}

units=()
while [ "${1:-}" = --unit ]; do
    units+=("$2")
    shift 2
done

if ! command -v apt-get >/dev/null; then
    echo "there is no apt-get here to install with"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "only root can install packages"
    exit 1
fi

kept=$policy.before-edgeward
log=$(mktemp)
restore() {
    rm -f "$policy" "$log"
    if [ -e "$kept" ]; then mv "$kept" "$policy"; fi
}
if [ -e "$policy" ] && [ ! -e "$kept" ]; then mv "$policy" "$kept"; fi
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@")
if ! "${install[@]}" >"$log" 2>&1 && ! { apt-get update -qq >"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1; }; then
    echo "apt-get said: $(tail -n 1 "$log")"
    exit 1
fi
if command -v systemctl >/dev/null; then
    for unit in "${units[@]}"; do systemctl --quiet disable "$unit" >/dev/null 2>&1 || true; done
fi
