#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh - what expd is built and tested with, from Debian 12, by name; only what is missing
set -eu

if [ "$(id -u)" != 0 ]; then
	echo "$0: this must run as root: it installs packages and makes network namespaces" >&2
	exit 1
fi

packages="gcc clang libclang-rt-14-dev clang-format cmake ninja-build pkg-config git
	libevent-dev libssl-dev openssl libprotobuf-c-dev protobuf-c-compiler libnvme-dev
	libsqlite3-dev libjson-c-dev libcurl4-openssl-dev libsystemd-dev libisal-dev
	libcmocka-dev python3 python3-pytest iproute2 man-db mandoc systemd"

missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
