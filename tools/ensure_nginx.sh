#!/usr/bin/env bash
# Have nginx on this machine, without the distribution's own server running because of it.
#
# Where nginx cannot be had this says so in one line and succeeds: the preview engine needs nothing.
set -euo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin

# Overridden by tests only.
nginx=${NGINX:-nginx}

if command -v "$nginx" >/dev/null; then
    exit 0
fi
# `nginx` of Debian 12 and 13 is the plain build; no module beyond it is needed.
if ! why=$("$(dirname "$0")/install_packages.sh" --unit nginx.service nginx); then
    echo "setup: no nginx here, and $why; edges will use the preview engine (hint: install nginx 1.22 or newer as root)"
    exit 0
fi
echo "setup: installed the distribution's $("$nginx" -v 2>&1 | sed 's/.*: //'); its own server is not started and is disabled at boot"
