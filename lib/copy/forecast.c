/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forecast.c - a ring of samples, and the few values that outlive it
 */
#include "copy/forecast.h"

#include "base/error.h"

#define RATE_MIN_US 100000u /* closer samples give no rate */
#define BUSY_MIN_US 10000u
#define SECOND_US   UINT64_C(1000000)
#define PROGRESS    32 /* a part of what was sent has to be gain, or it is none */

/* a * b / c, c > 0, at most UINT64_MAX */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 v = (unsigned __int128)a * b / c;

	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

static uint64_t add_up_to_max(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void exp_forecast_init(struct exp_forecast *f, uint64_t fixed_us)
{
	*f = (struct exp_forecast){ .fixed_us = fixed_us };
}

/* @back samples before the newest. */
static const struct exp_forecast_sample *sample(const struct exp_forecast *f, uint32_t back)
{
	return &f->s[(f->next + EXP_FORECAST_SAMPLES - 1 - back) % EXP_FORECAST_SAMPLES];
}

/* Both ends of the window of rates; *ret_least: least that remained in it. 0: no rate yet. */
static uint64_t window(const struct exp_forecast *f, const struct exp_forecast_sample **ret_a,
		       const struct exp_forecast_sample **ret_b, uint64_t *ret_least)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t least;

	if (f->n < 2)
		return 0;
	a = b = sample(f, 0);
	least = b->remaining_bytes;
	for (uint32_t i = 1; i < f->n && b->now_us - a->now_us < EXP_FORECAST_RATE_US; i++) {
		a = sample(f, i);
		least = EXP_MIN(least, a->remaining_bytes);
	}
	if (b->now_us - a->now_us < RATE_MIN_US)
		return 0;
	*ret_a = a;
	*ret_b = b;
	*ret_least = least;
	return b->now_us - a->now_us;
}

static void learn_link_rate(struct exp_forecast *f)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t us, least, rate;

	us = window(f, &a, &b, &least);
	if (!us || b->sent_bytes == a->sent_bytes)
		return;
	if (b->busy_us) {
		if (b->busy_us - a->busy_us >= BUSY_MIN_US)
			f->link_rate = mul_div(b->sent_bytes - a->sent_bytes, SECOND_US,
					       b->busy_us - a->busy_us);
		return;
	}
	rate = mul_div(b->sent_bytes - a->sent_bytes, SECOND_US, us);
	if (rate > f->link_rate || least >= mul_div(f->link_rate, us, SECOND_US))
		f->link_rate = rate;
}

static void note_progress(struct exp_forecast *f, const struct exp_forecast_sample *before,
			  const struct exp_forecast_sample *s)
{
	uint64_t expected = add_up_to_max(before->remaining_bytes,
					  s->marked_bytes - before->marked_bytes);

	/* more work was found (an overflow of the log, a lost session): the goal moved, not we */
	if (s->remaining_bytes > expected)
		f->best_remaining = add_up_to_max(f->best_remaining, s->remaining_bytes - expected);
	if (s->remaining_bytes < f->best_remaining &&
	    f->best_remaining - s->remaining_bytes >= (s->sent_bytes - f->best_sent) / PROGRESS) {
		f->best_remaining = s->remaining_bytes;
		f->best_us = s->now_us;
		f->best_sent = s->sent_bytes;
	}
}

void exp_forecast_add(struct exp_forecast *f, const struct exp_forecast_sample *s)
{
	const struct exp_forecast_sample *before = f->n ? sample(f, 0) : NULL;

	if (before && s->now_us <= before->now_us)
		return;
	if (before && (s->sent_bytes < before->sent_bytes ||
		       s->marked_bytes < before->marked_bytes || s->busy_us < before->busy_us)) {
		f->n = 0;
		before = NULL;
	}
	if (before) {
		note_progress(f, before, s);
	} else {
		f->start_us = f->best_us = s->now_us;
		f->best_remaining = s->remaining_bytes;
		f->best_sent = s->sent_bytes;
	}
	f->s[f->next] = *s;
	f->next = (f->next + 1) % EXP_FORECAST_SAMPLES;
	f->n = EXP_MIN(f->n + 1, (uint32_t)EXP_FORECAST_SAMPLES);
	learn_link_rate(f);
}

uint64_t exp_forecast_send_rate(const struct exp_forecast *f)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t least, us = window(f, &a, &b, &least);

	return us ? mul_div(b->sent_bytes - a->sent_bytes, SECOND_US, us) : 0;
}

uint64_t exp_forecast_dirty_rate(const struct exp_forecast *f)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t least, us = window(f, &a, &b, &least);

	return us ? mul_div(b->marked_bytes - a->marked_bytes, SECOND_US, us) : 0;
}

/* How fast work goes away: what is zero needs no sending. */
static uint64_t done_rate(const struct exp_forecast *f)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t least, us = window(f, &a, &b, &least), had;

	if (!us)
		return 0;
	had = add_up_to_max(a->remaining_bytes, b->marked_bytes - a->marked_bytes);
	return had > b->remaining_bytes ? mul_div(had - b->remaining_bytes, SECOND_US, us) : 0;
}

uint64_t exp_forecast_blackout_us(const struct exp_forecast *f)
{
	uint64_t remaining;

	if (!f->n)
		return UINT64_MAX;
	remaining = sample(f, 0)->remaining_bytes;
	if (!remaining)
		return f->fixed_us;
	if (!f->link_rate)
		return UINT64_MAX;
	return add_up_to_max(f->fixed_us, mul_div(remaining, SECOND_US, f->link_rate));
}

uint64_t exp_forecast_eta_ms(const struct exp_forecast *f, uint64_t limit_us)
{
	uint64_t blackout = exp_forecast_blackout_us(f), rate, dirty, fits;

	if (blackout <= limit_us)
		return 0;
	if (blackout == UINT64_MAX || limit_us <= f->fixed_us)
		return UINT64_MAX;
	fits = mul_div(limit_us - f->fixed_us, f->link_rate, SECOND_US);
	rate = EXP_MAX(exp_forecast_send_rate(f), done_rate(f));
	if (!rate)
		rate = f->link_rate;
	dirty = exp_forecast_dirty_rate(f);
	if (dirty >= rate)
		return UINT64_MAX;
	return mul_div(sample(f, 0)->remaining_bytes - fits, 1000, rate - dirty);
}

enum exp_verdict exp_forecast_verdict(const struct exp_forecast *f, uint64_t limit_us)
{
	const struct exp_forecast_sample *now;

	if (!f->n)
		return EXP_VERDICT_UNKNOWN;
	if (exp_forecast_blackout_us(f) <= limit_us)
		return EXP_VERDICT_CONVERGES;
	now = sample(f, 0);
	if (now->now_us - f->start_us < EXP_FORECAST_VERDICT_US)
		return EXP_VERDICT_UNKNOWN;
	if (now->now_us - f->best_us < EXP_FORECAST_VERDICT_US)
		return EXP_VERDICT_CONVERGES;
	return now->sent_bytes == f->best_sent ? EXP_VERDICT_UNKNOWN : EXP_VERDICT_WILL_NOT;
}
