/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h - the few macros that expd's installed headers and its own code share
 */
#ifndef EXP_TYPES_H
#define EXP_TYPES_H

/* Visible outside the shared library; everything else is hidden. */
#define EXP_API __attribute__((visibility("default")))

/* The result says whether it worked; ignoring it is a bug. */
#define EXP_MUST_CHECK __attribute__((warn_unused_result))

#define EXP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Calls @fn with the address of the variable when it leaves scope. */
#define EXP_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Hands a pointer over and leaves NULL behind, so that EXP_CLEANUP has nothing left to free. */
#define EXP_TAKE(p)                            \
	({                                     \
		__typeof__(p) exp_take_ = (p); \
		(p) = NULL;                    \
		exp_take_;                     \
	})

#endif
