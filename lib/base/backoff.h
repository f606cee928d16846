/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.h - how long to wait before the next try: doubling, bounded, with jitter
 *
 * The one way to retry in this project; whoever uses it logs the tries.
 */
#ifndef EXP_BASE_BACKOFF_H
#define EXP_BASE_BACKOFF_H

#include <stdint.h>

#include "base/rng.h"

struct exp_backoff {
	uint32_t min_ms, max_ms;
	uint32_t tries; /* since the last success */
};

/**
 * exp_backoff_next - ms to wait now, and count the try
 *
 * A random point in the upper half of min * 2^tries, at most max. A min of 0 counts as 1.
 */
uint32_t exp_backoff_next(struct exp_backoff *b, struct exp_rng *rng);

static inline void exp_backoff_reset(struct exp_backoff *b)
{
	b->tries = 0;
}

#endif
