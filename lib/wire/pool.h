/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - memory for the protobuf form of one message: given out up to a limit, released at once
 *
 * protobuf-c allocates for every element that a sender claims, so one byte on the wire can cost a
 * hundred here; the limit is on what is given out. Inside lib/wire only.
 */
#ifndef EXP_WIRE_POOL_H
#define EXP_WIRE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct exp_pool_block;

struct exp_pool {
	struct exp_pool_block *blocks; /* newest first */
	size_t used, max;              /* bytes given out; most of them */
	bool full;                     /* a request was refused: over the limit */
	bool failed;                   /* a request was refused: no memory */
};

static inline void exp_pool_init(struct exp_pool *p, size_t max)
{
	*p = (struct exp_pool){ .max = max };
}

void exp_pool_done(struct exp_pool *p);
EXP_DEFINE_CLEANUP(struct exp_pool *, exp_pool_done)

/** exp_pool_get - zeroed, aligned for anything; NULL: over the limit, or no memory */
void *exp_pool_get(struct exp_pool *p, size_t n);

/** exp_pool_array - @n elements of @size; the product is checked */
void *exp_pool_array(struct exp_pool *p, size_t n, size_t size);

#endif
