/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nqn.h - NVMe Qualified Names (NVMe Base 2.3, "NVMe Qualified Names")
 */
#ifndef EXP_BASE_NQN_H
#define EXP_BASE_NQN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define EXP_NQN_MAX 223 /* bytes without the NUL: the specification's limit */

struct exp_nqn {
	char s[EXP_NQN_MAX + 1];
};

/**
 * exp_nqn_parse - check @s and keep it
 *
 * Accepts "nqn.yyyy-mm.reverse.domain[:anything]" and
 * "nqn.2014-08.org.nvmexpress:uuid:<UUID>". Printable ASCII without space only, so that a name can
 * stand in logs, URLs and tables. -EINVAL with @err naming the first thing wrong.
 */
int exp_nqn_parse(const char *s, struct exp_nqn *ret, struct exp_error *err) EXP_MUST_CHECK;

/** exp_nqn_match - shell-like pattern: '*' any run, '?' one character, the rest literal */
bool exp_nqn_match(const char *pattern, const char *nqn);

#endif
