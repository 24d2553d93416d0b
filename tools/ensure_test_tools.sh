#!/usr/bin/env bash
# Have the programs that the tests ask us with: curl; dig and delv, kdig, drill, three resolvers; Knot, as a parent's name
# server; and ip, for hosts of their own.
#
# The resolvers' own servers are not left running; the tests start their own. Where something cannot be had this says so in
# one line and succeeds: the tests that need it are skipped with that reason.
set -euo pipefail
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin

missing=()
units=()
command -v curl >/dev/null || missing+=(curl)
command -v ip >/dev/null || missing+=(iproute2)
command -v dig >/dev/null && command -v delv >/dev/null || missing+=(bind9-dnsutils)
command -v kdig >/dev/null || missing+=(knot-dnsutils)
command -v drill >/dev/null || missing+=(ldnsutils)
command -v named >/dev/null || { missing+=(bind9) units+=(--unit named.service --unit named-resolvconf.service); }
command -v unbound >/dev/null || { missing+=(unbound) units+=(--unit unbound.service --unit unbound-resolvconf.service); }
command -v kresd >/dev/null || { missing+=(knot-resolver) units+=(--unit kresd.target --unit kres-cache-gc.service); }
command -v knotd >/dev/null || { missing+=(knot) units+=(--unit knot.service); }
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
if ! why=$("$(dirname "$0")/install_packages.sh" "${units[@]}" "${missing[@]}"); then
    echo "setup: some tests will be skipped; they need ${missing[*]}: $why (hint: sudo apt-get install ${missing[*]})"
    exit 0
fi
echo "setup: installed ${missing[*]} for the tests; none of them is started, or will be at boot"
