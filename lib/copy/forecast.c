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

/* What lies between the two ends of the window of rates. */
struct window {
	uint64_t us, sent, marked, busy_us;
	uint64_t done;  /* work that went away: sent and acknowledged, or found to be none */
	uint64_t least; /* that remained at any time in it */
};

static uint32_t slot(const struct exp_forecast *f, uint32_t back)
{
	return (f->next + EXP_FORECAST_SAMPLES - 1 - back) % EXP_FORECAST_SAMPLES;
}

/* @back samples before the newest. */
static const struct exp_forecast_sample *sample(const struct exp_forecast *f, uint32_t back)
{
	return &f->s[slot(f, back)];
}

/* false: no rate yet */
static bool window(const struct exp_forecast *f, struct window *ret)
{
	const struct exp_forecast_sample *a, *b;
	uint64_t had, least;
	uint32_t back = 0;

	if (f->n < 2)
		return false;
	a = b = sample(f, 0);
	least = b->remaining_bytes;
	while (back + 1 < f->n && b->now_us - a->now_us < EXP_FORECAST_RATE_US) {
		a = sample(f, ++back);
		least = EXP_MIN(least, a->remaining_bytes);
	}
	if (b->now_us - a->now_us < RATE_MIN_US)
		return false;
	had = add_up_to_max(a->remaining_bytes, b->marked_bytes - a->marked_bytes);
	*ret = (struct window){
		.us = b->now_us - a->now_us,
		.sent = b->sent_bytes - a->sent_bytes,
		.marked = b->marked_bytes - a->marked_bytes,
		.busy_us = f->busy_us[slot(f, 0)] - f->busy_us[slot(f, back)],
		.done = had > b->remaining_bytes ? had - b->remaining_bytes : 0,
		.least = least,
	};
	return true;
}

static void learn_link_rate(struct exp_forecast *f)
{
	struct window w;
	uint64_t rate;

	if (!window(f, &w) || !w.sent)
		return;
	if (f->busy_now_us) {
		if (w.busy_us >= BUSY_MIN_US)
			f->link_rate = mul_div(w.sent, SECOND_US, w.busy_us);
		return;
	}
	/* what was sent and changed nothing (sent again, or no data) does not speak for the link */
	rate = mul_div(EXP_MIN(w.sent, w.done), SECOND_US, w.us);
	if (rate > f->link_rate || w.least >= mul_div(f->link_rate, w.us, SECOND_US))
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

void exp_forecast_busy(struct exp_forecast *f, uint64_t busy_us)
{
	f->busy_now_us = EXP_MAX(f->busy_now_us, busy_us);
}

void exp_forecast_add(struct exp_forecast *f, const struct exp_forecast_sample *s)
{
	const struct exp_forecast_sample *before = f->n ? sample(f, 0) : NULL;

	if (before && s->now_us <= before->now_us)
		return;
	if (before &&
	    (s->sent_bytes < before->sent_bytes || s->marked_bytes < before->marked_bytes)) {
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
	f->busy_us[f->next] = f->busy_now_us;
	f->next = (f->next + 1) % EXP_FORECAST_SAMPLES;
	f->n = EXP_MIN(f->n + 1, (uint32_t)EXP_FORECAST_SAMPLES);
	learn_link_rate(f);
}

uint64_t exp_forecast_send_rate(const struct exp_forecast *f)
{
	struct window w;

	return window(f, &w) ? mul_div(w.sent, SECOND_US, w.us) : 0;
}

uint64_t exp_forecast_dirty_rate(const struct exp_forecast *f)
{
	struct window w;

	return window(f, &w) ? mul_div(w.marked, SECOND_US, w.us) : 0;
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
	uint64_t blackout = exp_forecast_blackout_us(f), gone, dirty, fits;
	struct window w;

	if (blackout <= limit_us)
		return 0;
	if (blackout == UINT64_MAX || limit_us <= f->fixed_us || !window(f, &w))
		return UINT64_MAX;
	fits = mul_div(limit_us - f->fixed_us, f->link_rate, SECOND_US);
	/* what is zero goes away without being sent; what is not flushed yet is sent all the same
	 */
	gone = mul_div(EXP_MAX(w.sent, w.done), SECOND_US, w.us);
	dirty = mul_div(w.marked, SECOND_US, w.us);
	if (dirty >= gone)
		return UINT64_MAX;
	return mul_div(sample(f, 0)->remaining_bytes - fits, 1000, gone - dirty);
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
