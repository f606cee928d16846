#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# unit_check.sh UNIT EXPD - is the configured service unit one that systemd takes as it is?
#
# Verified with EXPD in place of the installed program, alone and with the drop-in of the kernel's
# driver: nothing is said. Exposure: at most 3.0 of 10. Status 77 where there is no systemd-analyze.
set -eu
unit=$1 expd=$2 here=$(dirname "$0")

command -v systemd-analyze >/dev/null || {
	echo "systemd-analyze is not installed: nothing was checked"
	exit 77
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
grep -q "^ExecStart=/.*/expd --config /etc/expd/expd.conf\$" "$unit" || {
	echo "$unit does not start an installed expd"
	exit 1
}
sed "s|^ExecStart=[^ ]*|ExecStart=$expd|" "$unit" >"$tmp/expd.service"

verify() {
	systemd-analyze verify --man=no "$tmp/expd.service" >"$tmp/said" 2>&1 && [ ! -s "$tmp/said" ] || {
		cat "$tmp/said"
		echo "systemd-analyze verify has something to say"
		exit 1
	}
}

verify
systemd-analyze security --no-pager --offline=yes --threshold=30 "$tmp/expd.service" >"$tmp/said" || {
	tail -1 "$tmp/said"
	echo "the service is more exposed than 3.0"
	exit 1
}
mkdir "$tmp/expd.service.d"
cp "$here/../../systemd/nvme.conf" "$tmp/expd.service.d/"
verify
