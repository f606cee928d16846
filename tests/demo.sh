#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh - watch a virtual SSD move between two hosts while its guest writes
#
#   tests/demo.sh [--report FILE] [--size S] [--rate N] [--keep]
#
#   --report FILE  what happened, as one JSON object
#   --size S       of the virtual SSD (default 2G)
#   --rate N       writes a second (default 2000)
#   --keep         leave the hosts' directory with all logs
#
# As root on Debian 12: it installs what is missing, builds, and makes two network namespaces. Ends
# with 0 only if the guest lost nothing and noticed nothing.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
-h | --help)
	sed -n '5,14s/^# \{0,1\}//p' "$0"
	exit 0
	;;
esac
sh tests/support/install.sh
mkdir -p build
echo "Building expd ..."
if ! { cmake --preset release -DBUILD_TESTING=ON && cmake --build --preset release -j "$(nproc)" \
	--target expd expctl exp-emu-ssd exp-emu-guest; } >build/demo.log 2>&1; then
	tail -40 build/demo.log
	exit 1
fi
export EXP_BUILD=$PWD/build/release
exec /usr/bin/python3 tests/e2e/demo.py "$@"
