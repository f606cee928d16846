/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "base/rng.h"
#include "copy/forecast.h"

#define SECOND UINT64_C(1000000)
#define MB     UINT64_C(1000000)
#define GB     UINT64_C(1000000000)
#define TICK   (SECOND / 4)

/* A copy in broad strokes: a guest that dirties, a link that sends what there is. */
struct copy {
	struct exp_forecast f;
	struct exp_forecast_sample s;
	uint64_t link, dirty; /* bytes per second */
	bool measured;        /* busy time is told */
	uint64_t busy_us;
};

static void copy_init(struct copy *c, uint64_t bytes, uint64_t link, uint64_t dirty)
{
	*c = (struct copy){ .link = link, .dirty = dirty };
	c->s.now_us = 77 * SECOND;
	c->s.remaining_bytes = bytes;
	exp_forecast_init(&c->f, 20000);
	exp_forecast_add(&c->f, &c->s);
}

static void copy_run(struct copy *c, uint64_t us)
{
	for (uint64_t t = 0; t < us; t += TICK) {
		uint64_t dirty = c->dirty * TICK / SECOND, can = c->link * TICK / SECOND;
		uint64_t sent = EXP_MIN(can, c->s.remaining_bytes);

		c->s.now_us += TICK;
		c->s.sent_bytes += sent;
		c->s.marked_bytes += dirty;
		c->s.remaining_bytes += dirty - sent;
		if (c->measured && sent)
			exp_forecast_busy(&c->f, c->busy_us += sent * SECOND / c->link);
		exp_forecast_add(&c->f, &c->s);
	}
}

static void test_nothing_is_known_at_first(void **state)
{
	struct exp_forecast f;

	(void)state;
	exp_forecast_init(&f, 1000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(exp_forecast_send_rate(&f), 0);
		assert_int_equal(exp_forecast_dirty_rate(&f), 0);
		assert_true(exp_forecast_eta_ms(&f, SECOND) == UINT64_MAX);
		assert_true(exp_forecast_blackout_us(&f) == UINT64_MAX);
		assert_int_equal(exp_forecast_verdict(&f, SECOND), EXP_VERDICT_UNKNOWN);
		exp_forecast_add(&f, &(struct exp_forecast_sample){ 1, 0, 0, 5 * MB });
	}
}

static void test_two_samples_give_a_rate(void **state)
{
	struct exp_forecast f;

	(void)state;
	exp_forecast_init(&f, 0);
	exp_forecast_add(&f, &(struct exp_forecast_sample){ 50 * SECOND, 0, 0, 9 * MB });
	exp_forecast_add(&f, &(struct exp_forecast_sample){ 50 * SECOND + 99999, MB, MB, 9 * MB });
	assert_int_equal(exp_forecast_send_rate(&f), 0); /* too close */
	exp_forecast_init(&f, 0);
	exp_forecast_add(&f, &(struct exp_forecast_sample){ 50 * SECOND, 0, 0, 9 * MB });
	exp_forecast_add(&f, &(struct exp_forecast_sample){ 51 * SECOND, 2 * MB, MB, 8 * MB });
	assert_int_equal(exp_forecast_send_rate(&f), 2 * MB);
	assert_int_equal(exp_forecast_dirty_rate(&f), MB);
	assert_int_equal(exp_forecast_blackout_us(&f), 4 * SECOND);
}

static void test_rates_over_the_window(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 1000 * GB, 800 * MB, 40 * MB);
	copy_run(&c, 60 * SECOND);
	assert_int_equal(exp_forecast_send_rate(&c.f), 800 * MB);
	assert_int_equal(exp_forecast_dirty_rate(&c.f), 40 * MB);
	c.link = 200 * MB; /* the window forgets */
	c.dirty = 0;
	copy_run(&c, EXP_FORECAST_RATE_US / 2);
	assert_true(exp_forecast_send_rate(&c.f) > 200 * MB &&
		    exp_forecast_send_rate(&c.f) < 800 * MB);
	copy_run(&c, EXP_FORECAST_RATE_US / 2);
	assert_int_equal(exp_forecast_send_rate(&c.f), 200 * MB);
	assert_int_equal(exp_forecast_dirty_rate(&c.f), 0);
}

static void test_blackout_is_rest_by_rate_and_fixed_costs(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 10 * GB, GB, 0);
	copy_run(&c, 5 * SECOND);
	assert_int_equal(exp_forecast_blackout_us(&c.f), 5 * SECOND + 20000);
	copy_run(&c, 6 * SECOND);
	assert_int_equal(exp_forecast_blackout_us(&c.f), 20000);
	assert_int_equal(exp_forecast_eta_ms(&c.f, 20000), 0);
	assert_true(exp_forecast_eta_ms(&c.f, 19999) == 0 ||
		    exp_forecast_eta_ms(&c.f, 19999) == UINT64_MAX);
	assert_int_equal(exp_forecast_verdict(&c.f, 20000), EXP_VERDICT_CONVERGES);
}

static void test_eta_counts_what_the_guest_adds(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, GB, 500 * MB);
	copy_run(&c, 10 * SECOND); /* 95 GB remain, 0.5 GB/s net; 0.98 GB fit one second */
	assert_int_equal(exp_forecast_eta_ms(&c.f, SECOND),
			 (95 * GB - 980 * MB) / (500 * MB / 1000));
	c.dirty = GB;
	copy_run(&c, EXP_FORECAST_RATE_US);
	assert_true(exp_forecast_eta_ms(&c.f, SECOND) == UINT64_MAX);
	assert_true(exp_forecast_eta_ms(&c.f, 20000) == UINT64_MAX); /* fixed costs alone */
}

/* With few writes the copy sends little; the link can do as much as before all the same. */
static void test_idle_link_is_not_a_slow_link(void **state)
{
	struct copy c;

	(void)state;
	for (int measured = 0; measured < 2; measured++) {
		copy_init(&c, 20 * GB, GB, 8 * MB);
		c.measured = measured;
		copy_run(&c, 600 * SECOND);
		assert_int_equal(exp_forecast_send_rate(&c.f), 8 * MB);
		assert_true(exp_forecast_blackout_us(&c.f) <= 20000 + 2000);
		assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
	}
}

static void test_link_that_became_slow_is_noticed(void **state)
{
	struct copy c;

	(void)state;
	for (int measured = 0; measured < 2; measured++) {
		copy_init(&c, 20 * GB, GB, 8 * MB);
		c.measured = measured;
		copy_run(&c, 100 * SECOND);
		c.link = 10 * MB;
		c.dirty = 300 * MB;
		copy_run(&c, 60 * SECOND);
		assert_int_equal(exp_forecast_send_rate(&c.f), 10 * MB);
		assert_true(exp_forecast_blackout_us(&c.f) >
			    c.s.remaining_bytes / (11 * MB) * SECOND);
		assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_WILL_NOT);
	}
}

/* A backlog that was there for a moment says nothing: the queue was empty in the same window. */
static void test_a_short_backlog_is_no_slow_link(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 20 * GB, GB, 0);
	copy_run(&c, 30 * SECOND);
	for (int i = 0; i < 100; i++) {
		c.s.now_us += TICK;
		c.s.sent_bytes += MB;
		c.s.marked_bytes += MB;
		c.s.remaining_bytes = i % 10 == 5 ? 0 : 100 * GB;
		exp_forecast_add(&c.f, &c.s);
	}
	assert_int_equal(exp_forecast_blackout_us(&c.f), 100 * SECOND + 20000);
}

static void test_verdict_waits_for_its_window(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 50 * GB, GB, 2 * GB);
	copy_run(&c, EXP_FORECAST_VERDICT_US - TICK);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_UNKNOWN);
	copy_run(&c, 2 * TICK);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_WILL_NOT);
	/* the guest comes to rest: one window later it is on its way again */
	c.dirty = 0;
	copy_run(&c, 60 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
}

static void test_slow_but_steady_converges(void **state)
{
	struct copy c;

	(void)state;
	/* 40 TB at 1 GB/s with 900 MB/s of writes: a window gains 0.0075 % of it */
	copy_init(&c, 40000 * GB, GB, 900 * MB);
	copy_run(&c, 300 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
	c.dirty = 999 * MB; /* a tenth of a per cent of gain is none */
	copy_run(&c, 60 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_WILL_NOT);
}

static void test_a_dip_proves_nothing(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 50 * GB, GB, GB);
	copy_run(&c, 60 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_WILL_NOT);
	for (int i = 0; i < 20; i++) { /* up and down around the same value */
		c.dirty = GB + 50 * MB;
		copy_run(&c, 5 * SECOND);
		c.dirty = GB - 50 * MB;
		copy_run(&c, 5 * SECOND);
		assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_WILL_NOT);
	}
}

static void test_a_rise_proves_nothing_either(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, GB, 100 * MB);
	copy_run(&c, 40 * SECOND);
	c.dirty = 3 * GB; /* a burst of some seconds */
	copy_run(&c, 4 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
	c.dirty = 100 * MB;
	copy_run(&c, 20 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
}

/* After an overflow of the change log everything is to be sent again: that is progress to come. */
static void test_more_work_moves_the_goal(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 200 * GB, GB, 100 * MB);
	copy_run(&c, 150 * SECOND);
	c.s.remaining_bytes = 200 * GB;
	copy_run(&c, 35 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
	assert_true(exp_forecast_eta_ms(&c.f, SECOND) < 200000);
	/* a little more, where the gain is slow */
	copy_init(&c, 1000 * GB, GB, 900 * MB);
	copy_run(&c, 100 * SECOND);
	c.s.remaining_bytes += 50 * GB;
	copy_run(&c, 35 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
}

static void test_a_dead_link_is_no_verdict(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, GB, 10 * MB);
	copy_run(&c, 40 * SECOND);
	c.link = 0;
	for (int i = 0; i < 2; i++) {
		copy_run(&c, 100 * SECOND);
		assert_int_equal(exp_forecast_send_rate(&c.f), 0);
		assert_int_equal(exp_forecast_dirty_rate(&c.f), c.dirty);
		assert_true(exp_forecast_eta_ms(&c.f, SECOND) == UINT64_MAX);
		assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_UNKNOWN);
		c.dirty = 0;
	}
}

/* Ranges that are zero go away without being sent: the end comes sooner than the link says. */
static void test_zeros_shorten_the_eta(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, 100 * MB, 0);
	for (int i = 0; i < 80; i++) {
		c.s.remaining_bytes -= 200 * MB;
		copy_run(&c, TICK);
	}
	/* 900 MB/s go away, 100 of them over the link */
	assert_true(exp_forecast_eta_ms(&c.f, SECOND) <= c.s.remaining_bytes / (900 * MB / 1000));
	assert_true(exp_forecast_eta_ms(&c.f, SECOND) >=
		    c.s.remaining_bytes / (901 * MB / 1000) - 200);
}

/* What is told without data, and what is sent again, does not make the link look faster. */
static void test_only_work_done_speaks_for_the_link(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, 100 * MB, 0);
	copy_run(&c, 10 * SECOND);
	for (int i = 0; i < 40; i++) {
		c.s.sent_bytes += 250 * GB;
		copy_run(&c, TICK);
	}
	assert_true(exp_forecast_blackout_us(&c.f) > c.s.remaining_bytes / (101 * MB) * SECOND);
}

static void test_samples_that_make_no_sense(void **state)
{
	struct copy c;
	uint64_t rate;

	(void)state;
	copy_init(&c, 100 * GB, GB, 0);
	copy_run(&c, 10 * SECOND);
	rate = exp_forecast_send_rate(&c.f);
	/* not later than the last: left out */
	exp_forecast_add(&c.f, &(struct exp_forecast_sample){ c.s.now_us, 0, 0, 1 });
	exp_forecast_add(&c.f, &(struct exp_forecast_sample){ 5, 0, 0, 1 });
	assert_int_equal(exp_forecast_send_rate(&c.f), rate);
	/* counters that went back: another job, or a restart */
	exp_forecast_add(&c.f, &(struct exp_forecast_sample){ c.s.now_us + SECOND, 5, 0, GB });
	assert_int_equal(exp_forecast_send_rate(&c.f), 0);
	assert_int_equal(exp_forecast_verdict(&c.f, 0), EXP_VERDICT_UNKNOWN);
	/* and the window of the verdict begins anew */
	copy_init(&c, 100 * GB, GB, 0);
	copy_run(&c, 40 * SECOND);
	c.s.sent_bytes = 0;
	copy_run(&c, 5 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_UNKNOWN);
}

/* Counters may begin anywhere. */
static void test_counters_that_do_not_begin_at_zero(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 100 * GB, GB / 2, 0);
	exp_forecast_init(&c.f, 20000);
	c.s.sent_bytes = 1000 * GB;
	c.s.marked_bytes = 5000 * GB;
	copy_run(&c, 35 * SECOND);
	assert_int_equal(exp_forecast_verdict(&c.f, SECOND), EXP_VERDICT_CONVERGES);
	assert_int_equal(exp_forecast_dirty_rate(&c.f), 0);
	assert_true(exp_forecast_eta_ms(&c.f, 20000) == UINT64_MAX); /* fixed costs alone */
	assert_true(exp_forecast_eta_ms(&c.f, 19999) == UINT64_MAX);
}

/* Where it is measured, even a link that never had much to do is known. */
static void test_busy_time_shows_the_link(void **state)
{
	struct copy c;

	(void)state;
	copy_init(&c, 8 * MB, GB, 8 * MB);
	c.measured = true;
	copy_run(&c, 20 * SECOND);
	c.s.remaining_bytes = 500 * MB;
	exp_forecast_busy(&c.f, 0); /* goes back: left out */
	copy_run(&c, TICK);
	assert_int_equal(exp_forecast_blackout_us(&c.f), 20000 + c.s.remaining_bytes * SECOND / GB);
}

static void test_any_values_are_survived(void **state)
{
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 11);
	for (int run = 0; run < 200; run++) {
		struct exp_forecast_sample s = { 0 };
		struct exp_forecast f;

		exp_forecast_init(&f, exp_rng_next(&r) >> exp_rng_below(&r, 64));
		for (int i = 0; i < 300; i++) {
			uint64_t limit = exp_rng_next(&r) >> exp_rng_below(&r, 64);

			s.now_us += exp_rng_next(&r) >> exp_rng_below(&r, 64);
			s.sent_bytes += exp_rng_next(&r) >> exp_rng_below(&r, 64);
			s.marked_bytes += exp_rng_next(&r) >> exp_rng_below(&r, 64);
			s.remaining_bytes = exp_rng_next(&r) >> exp_rng_below(&r, 64);
			if (run & 1)
				exp_forecast_busy(&f, exp_rng_next(&r) >> exp_rng_below(&r, 64));
			exp_forecast_add(&f, &s);
			if (exp_forecast_blackout_us(&f) <= limit) {
				assert_int_equal(exp_forecast_eta_ms(&f, limit), 0);
				assert_int_equal(exp_forecast_verdict(&f, limit),
						 EXP_VERDICT_CONVERGES);
			} else {
				exp_forecast_eta_ms(&f, limit);
				exp_forecast_verdict(&f, limit);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_known_at_first),
		cmocka_unit_test(test_two_samples_give_a_rate),
		cmocka_unit_test(test_rates_over_the_window),
		cmocka_unit_test(test_blackout_is_rest_by_rate_and_fixed_costs),
		cmocka_unit_test(test_eta_counts_what_the_guest_adds),
		cmocka_unit_test(test_idle_link_is_not_a_slow_link),
		cmocka_unit_test(test_link_that_became_slow_is_noticed),
		cmocka_unit_test(test_a_short_backlog_is_no_slow_link),
		cmocka_unit_test(test_verdict_waits_for_its_window),
		cmocka_unit_test(test_slow_but_steady_converges),
		cmocka_unit_test(test_a_dip_proves_nothing),
		cmocka_unit_test(test_a_rise_proves_nothing_either),
		cmocka_unit_test(test_more_work_moves_the_goal),
		cmocka_unit_test(test_a_dead_link_is_no_verdict),
		cmocka_unit_test(test_zeros_shorten_the_eta),
		cmocka_unit_test(test_only_work_done_speaks_for_the_link),
		cmocka_unit_test(test_samples_that_make_no_sense),
		cmocka_unit_test(test_counters_that_do_not_begin_at_zero),
		cmocka_unit_test(test_busy_time_shows_the_link),
		cmocka_unit_test(test_any_values_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
