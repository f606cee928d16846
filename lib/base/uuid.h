/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uuid.h - 128-bit identifiers, bytes in network order as RFC 9562 and the NVMe tables have them
 */
#ifndef EXP_BASE_UUID_H
#define EXP_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

#define EXP_UUID_TEXT 37 /* 36 characters and the NUL */

struct exp_uuid {
	uint8_t b[16];
};

/** exp_uuid_new - random, version 4; aborts only when the kernel has no random numbers */
struct exp_uuid exp_uuid_new(void);

/** exp_uuid_format - lower case, 8-4-4-4-12; returns @out */
char *exp_uuid_format(const struct exp_uuid *u, char out[EXP_UUID_TEXT]);

/** exp_uuid_parse - exactly 36 characters, either case; -EINVAL */
int exp_uuid_parse(const char *s, struct exp_uuid *ret) EXP_MUST_CHECK;

static inline bool exp_uuid_eq(const struct exp_uuid *a, const struct exp_uuid *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

static inline int exp_uuid_cmp(const struct exp_uuid *a, const struct exp_uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool exp_uuid_is_nil(const struct exp_uuid *u)
{
	static const struct exp_uuid nil;

	return exp_uuid_eq(u, &nil);
}

#endif
