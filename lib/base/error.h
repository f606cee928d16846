/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - <exp/error.h> for the code inside, and the small tools that everything uses
 */
#ifndef EXP_BASE_ERROR_H
#define EXP_BASE_ERROR_H

#include <exp/error.h>

#define EXP_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define EXP_MIN(a, b)     ((a) < (b) ? (a) : (b))
#define EXP_MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Defines NAMEp(), the form that EXP_CLEANUP takes, for a free function that copes with NULL. */
#define EXP_DEFINE_CLEANUP(type, fn)      \
	static inline void fn##p(type *p) \
	{                                 \
		fn(*p);                   \
	}

#endif
