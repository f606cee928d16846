/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.h - an ascending list of ranges that is consumed from the front and never grows too long
 *
 * When it is full, neighbours with the smallest gaps between them become one: the list then says
 * more than it was told, never less. Bytes; ranges do not touch one another. One thread at a time.
 */
#ifndef EXP_COPY_RANGES_H
#define EXP_COPY_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXP_RANGES_MAX 262144u /* 4 MiB of memory */

struct exp_ranges;

/** exp_ranges_new - @max: most ranges it holds, at least 2. -EINVAL, -ENOMEM */
int exp_ranges_new(size_t max, struct exp_ranges **ret) EXP_MUST_CHECK;
void exp_ranges_free(struct exp_ranges *r); /* NULL is fine */
EXP_DEFINE_CLEANUP(struct exp_ranges *, exp_ranges_free)

/**
 * exp_ranges_add - append [@start, @end); not below the end of the last range, not empty
 *
 * Cannot fail: where memory ends, it merges earlier than @max asks for.
 */
void exp_ranges_add(struct exp_ranges *r, uint64_t start, uint64_t end);

/** exp_ranges_find - the first range that ends above @pos; false: none */
bool exp_ranges_find(const struct exp_ranges *r, uint64_t pos, uint64_t *ret_start,
		     uint64_t *ret_end);

/** exp_ranges_consume - forget all below @pos */
void exp_ranges_consume(struct exp_ranges *r, uint64_t pos);

uint64_t exp_ranges_bytes(const struct exp_ranges *r); /* of all ranges held; constant time */
size_t exp_ranges_count(const struct exp_ranges *r);

#endif
