/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.h - a ceiling on bytes per second, as a bucket of tokens
 *
 * Who wants to send asks how long to wait, then says what was sent; several limits (job, peer,
 * host) are asked one after the other, the longest wait counts, and each is told. An extent larger
 * than the burst is let through whole and paid for afterwards. No clock: the caller says what time
 * it is, monotonic microseconds; a time before the last one counts as the last one. One thread at a
 * time.
 */
#ifndef EXP_COPY_LIMIT_H
#define EXP_COPY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define EXP_LIMIT_RATE_MAX  (UINT64_C(1) << 40) /* bytes per second; more counts as no limit */
#define EXP_LIMIT_BURST_MAX (UINT64_C(1) << 40) /* bytes */

struct exp_limit {            /* fields are the module's own */
	uint64_t rate, burst; /* bytes per second, 0 no limit; bytes */
	int64_t tokens;       /* millionths of a byte; below 0: sent in advance */
	uint64_t last_us;
	bool lifted;
};

/**
 * exp_limit_init - with a full bucket
 * @rate: bytes per second, 0: no limit
 * @burst: bytes that may go at once after a pause, 0: what @rate gives in 100 ms
 */
void exp_limit_init(struct exp_limit *l, uint64_t now_us, uint64_t rate, uint64_t burst);

/** exp_limit_change - while it runs; what was sent in advance stays owed, a pause earns no more */
void exp_limit_change(struct exp_limit *l, uint64_t now_us, uint64_t rate, uint64_t burst);

/** exp_limit_lift - during the blackout nothing waits, and nothing is owed for it afterwards */
void exp_limit_lift(struct exp_limit *l, bool lifted);

/** exp_limit_wait_us - until the next bytes may be sent, 0: now */
uint64_t exp_limit_wait_us(struct exp_limit *l, uint64_t now_us);

/** exp_limit_sent - @bytes were sent; at most EXP_LIMIT_BURST_MAX a call */
void exp_limit_sent(struct exp_limit *l, uint64_t now_us, uint64_t bytes);

#endif
