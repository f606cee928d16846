/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.c - tokens in millionths of a byte: rate times microseconds, so nothing is rounded away
 */
#include "copy/limit.h"

#include "base/error.h"

#define SCALE    INT64_C(1000000)
#define DEBT_MAX (INT64_MAX / 2)

static int64_t full(const struct exp_limit *l)
{
	return (int64_t)l->burst * SCALE;
}

/* Brings the tokens up to date. */
static void refill(struct exp_limit *l, uint64_t now_us)
{
	uint64_t us, missing;

	if (now_us <= l->last_us)
		return;
	us = now_us - l->last_us;
	l->last_us = now_us;
	if (!l->rate)
		return;
	missing = (uint64_t)(full(l) - l->tokens);
	if (us >= missing / l->rate + 1)
		l->tokens = full(l);
	else
		l->tokens += (int64_t)EXP_MIN(us * l->rate, missing);
}

static void set(struct exp_limit *l, uint64_t rate, uint64_t burst)
{
	l->rate = rate > EXP_LIMIT_RATE_MAX ? 0 : rate;
	if (!burst)
		burst = EXP_MAX(l->rate / 10, (uint64_t)1);
	l->burst = EXP_MIN(burst, EXP_LIMIT_BURST_MAX);
}

void exp_limit_init(struct exp_limit *l, uint64_t now_us, uint64_t rate, uint64_t burst)
{
	*l = (struct exp_limit){ .last_us = now_us };
	set(l, rate, burst);
	l->tokens = full(l);
}

void exp_limit_change(struct exp_limit *l, uint64_t now_us, uint64_t rate, uint64_t burst)
{
	refill(l, now_us);
	set(l, rate, burst);
	l->tokens = EXP_MIN(l->tokens, full(l));
}

void exp_limit_lift(struct exp_limit *l, bool lifted)
{
	l->lifted = lifted;
}

uint64_t exp_limit_wait_us(struct exp_limit *l, uint64_t now_us)
{
	refill(l, now_us);
	if (!l->rate || l->lifted || l->tokens > 0)
		return 0;
	return (uint64_t)-l->tokens / l->rate + 1;
}

void exp_limit_sent(struct exp_limit *l, uint64_t now_us, uint64_t bytes)
{
	refill(l, now_us);
	if (!l->rate || l->lifted)
		return;
	bytes = EXP_MIN(bytes, EXP_LIMIT_BURST_MAX);
	if (l->tokens > -DEBT_MAX)
		l->tokens -= (int64_t)bytes * SCALE;
}
