/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"
#include "base/error.h"

uint32_t exp_backoff_next(struct exp_backoff *b, struct exp_rng *rng)
{
	uint64_t whole = EXP_MAX(b->min_ms, UINT32_C(1)); /* 0 would never double */

	for (uint32_t i = 0; i < b->tries && whole < b->max_ms; i++)
		whole *= 2;
	whole = EXP_MIN(whole, (uint64_t)b->max_ms);
	if (b->tries < UINT32_MAX)
		b->tries++;
	/* two hosts that lost the same link must not knock at the same moment for ever */
	return (uint32_t)(whole - exp_rng_below(rng, whole / 2 + 1));
}
