/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h - numbers that replay (simulations, jitter) and numbers that must not (identifiers, tokens)
 */
#ifndef EXP_BASE_RNG_H
#define EXP_BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* xoshiro256**: the same seed gives the same sequence on every machine. Not for secrets. */
struct exp_rng {
	uint64_t s[4];
};

void exp_rng_seed(struct exp_rng *r, uint64_t seed);
uint64_t exp_rng_next(struct exp_rng *r);

/** exp_rng_below - uniform in [0, n), without modulo bias; n > 0 */
uint64_t exp_rng_below(struct exp_rng *r, uint64_t n);

/** exp_rng_chance - true @num times in @den */
static inline bool exp_rng_chance(struct exp_rng *r, uint64_t num, uint64_t den)
{
	return exp_rng_below(r, den) < num;
}

/** exp_random_bytes - from the kernel; aborts when there are none (no safe way to go on) */
void exp_random_bytes(void *p, size_t n);

#endif
