#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh - build and test everything, the way CI does
#
#   tests/check.sh           debug with gcc and with clang, everything; AddressSanitizer with
#                            UndefinedBehaviorSanitizer, and ThreadSanitizer: unit tests, the
#                            simulation, one live move and one abort each
#   tests/check.sh --quick   debug with gcc: unit tests and the end-to-end tests
#
# As root on Debian 12: it installs what is missing and makes network namespaces. Programs are
# built in build/NAME. Ends with the closing lines of ctest and pytest.
set -eu
cd "$(dirname "$0")/.."

quick=
case ${1:-} in
--quick) quick=1 ;;
"") ;;
*)
	sed -n '5,13s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac

sh tests/support/install.sh
jobs=$(nproc)
failed=()

say() { printf '\n=== %s\n' "$*"; }

# build PRESET
build() {
	say "build $1"
	mkdir -p build
	cmake --preset "$1" -DEXP_WERROR=ON >"build/$1.log" 2>&1 || { cat "build/$1.log"; exit 1; }
	cmake --build --preset "$1" -j "$jobs" >>"build/$1.log" 2>&1 || {
		grep -E 'error|warning|FAILED' -A5 "build/$1.log" | head -60
		exit 1
	}
}

# unit PRESET [ctest option...]: a program with several threads of its own gets a core to itself
unit() {
	say "ctest $1"
	local preset=$1
	shift
	ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" "$@" || failed+=("ctest $preset")
}

# e2e PRESET [pytest option...]
e2e() {
	say "pytest $1"
	local preset=$1
	shift
	EXP_BUILD=$PWD/build/$preset /usr/bin/python3 -m pytest -q -p no:cacheprovider \
		tests/e2e "$@" || failed+=("pytest $preset")
}

build debug
unit debug -LE full
e2e debug
if [ -z "$quick" ]; then
	unit debug -L full
	build debug-clang
	unit debug-clang -LE full
	e2e debug-clang
	# the sanitizers' own findings go to the logs of the processes, which the tests print
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
	export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
	for preset in asan tsan; do
		build "$preset"
		unit "$preset" -LE full
		e2e "$preset" -m smoke
	done
fi

if [ ${#failed[@]} -gt 0 ]; then
	say "failed: ${failed[*]}"
	exit 1
fi
say "everything passed"
