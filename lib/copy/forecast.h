/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forecast.h - how fast it goes, when it will be ready, how long the blackout would be now
 *
 * Rates over a sliding window of samples; the verdict is judged over a longer window against the
 * best value in it, so that a dip proves nothing. Pure arithmetic on what the caller measured.
 *
 * With few writes the copy sends only what there is to send, and that says nothing of what the
 * link can do. The forecast of the blackout therefore takes the rate while something was being
 * sent, where that is measured; else the best rate seen, until a backlog of more than a window
 * shows that the link became slower.
 */
#ifndef EXP_COPY_FORECAST_H
#define EXP_COPY_FORECAST_H

#include <stdint.h>

#include "model/job.h"

#define EXP_FORECAST_SAMPLES    128
#define EXP_FORECAST_RATE_US    5000000u  /* window of the rates */
#define EXP_FORECAST_VERDICT_US 30000000u /* window of the verdict */

/* Counters are of the job so far and only grow; one that goes back starts the forecast anew. */
struct exp_forecast_sample {
	uint64_t now_us;          /* monotonic; one that is not later than the last is left out */
	uint64_t sent_bytes;      /* data only: being told that a range is zero takes no time */
	uint64_t marked_bytes;    /* unique bytes that became dirty */
	uint64_t remaining_bytes; /* now */
};

struct exp_forecast { /* fields are the module's own */
	struct exp_forecast_sample s[EXP_FORECAST_SAMPLES];
	uint64_t busy_us[EXP_FORECAST_SAMPLES]; /* at each of them */
	uint64_t busy_now_us;
	uint32_t n, next;
	uint64_t fixed_us; /* steps of the blackout that do not depend on bytes */
	uint64_t start_us;
	uint64_t link_rate; /* what the link can do, bytes per second, 0 unknown */
	uint64_t best_remaining, best_us, best_sent; /* when it last came really closer */
};

/** exp_forecast_init - @fixed_us: what the steps took before on this pair, or a cautious guess */
void exp_forecast_init(struct exp_forecast *f, uint64_t fixed_us);

/** exp_forecast_add - some a second are best: the window of rates has to fit EXP_FORECAST_SAMPLES
 */
void exp_forecast_add(struct exp_forecast *f, const struct exp_forecast_sample *s);

/** exp_forecast_busy - time so far in which any stream was reading or sending; before each add */
void exp_forecast_busy(struct exp_forecast *f, uint64_t busy_us);

uint64_t exp_forecast_send_rate(const struct exp_forecast *f); /* bytes per second, 0 unknown */
uint64_t exp_forecast_dirty_rate(const struct exp_forecast *f);

/**
 * exp_forecast_eta_ms - until what remains fits @limit_us of blackout, at the rates of now
 * 0: it fits; UINT64_MAX: unknown or never
 */
uint64_t exp_forecast_eta_ms(const struct exp_forecast *f, uint64_t limit_us);

/** exp_forecast_blackout_us - if the guest were suspended now; UINT64_MAX unknown */
uint64_t exp_forecast_blackout_us(const struct exp_forecast *f);

/**
 * exp_forecast_verdict - will it ever fit @limit_us?
 *
 * CONVERGES: it fits now, or came closer within the last window. WILL_NOT: for a whole window what
 * remains did not fall below its best by even 1/32 of what was sent meanwhile. UNKNOWN: watched for
 * less than a window, or nothing was sent in it.
 */
enum exp_verdict exp_forecast_verdict(const struct exp_forecast *f, uint64_t limit_us);

#endif
