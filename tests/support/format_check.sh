#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# format_check.sh ROOT - is every .c and .h laid out as clang-format lays it out?
#
# With version 14, as in Debian 12: others disagree in details. Status 77 where there is none.
# To lay out a file: clang-format -i FILE
set -eu
cd "$1"

version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
[ "$version" = 14 ] || {
	echo "clang-format 14 is needed, this is ${version:-none}: nothing was checked"
	exit 77
}
find include lib daemon ctl tests -name '*.[ch]' -print0 |
	xargs -0 clang-format --dry-run -Werror --ferror-limit=1
