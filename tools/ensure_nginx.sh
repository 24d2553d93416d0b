#!/usr/bin/env bash
# Have nginx on this machine, without the distribution's own server running because of it.
#
# Debian starts a server on port 80 when its nginx package is installed, and again at every boot. While the package is
# being installed a policy-rc.d forbids that (one that was there before is put back afterwards), and the unit is disabled.
# Where nginx cannot be had this says so in one line and succeeds: the preview engine needs nothing.
set -euo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin

# Overridden by tests only.
nginx=${NGINX:-nginx}
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}

if command -v "$nginx" >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "setup: no nginx here and no apt-get to install it with; edges will use the preview engine (hint: install nginx 1.22 or newer)"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "setup: no nginx here and only root can install it; edges will use the preview engine (hint: sudo apt-get install nginx)"
    exit 0
fi

kept=$policy.before-edgeward
restore() {
    rm -f "$policy"
    if [ -e "$kept" ]; then mv "$kept" "$policy"; fi
}
if [ -e "$policy" ] && [ ! -e "$kept" ]; then mv "$policy" "$kept"; fi
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
# `nginx` of Debian 12 and 13 is the plain build; no module beyond it is needed.
install=(apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 nginx)
log=$(mktemp)
if ! "${install[@]}" >"$log" 2>&1 && ! { apt-get update -qq >"$log" 2>&1 && "${install[@]}" >>"$log" 2>&1; }; then
    echo "setup: nginx could not be installed; edges will use the preview engine. apt-get said: $(tail -n 1 "$log")"
    rm -f "$log"
    exit 0
fi
rm -f "$log"
if command -v systemctl >/dev/null; then systemctl --quiet disable nginx.service >/dev/null 2>&1 || true; fi
echo "setup: installed the distribution's $("$nginx" -v 2>&1 | sed 's/.*: //'); its own server is not started and is disabled at boot"
