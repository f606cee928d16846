/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "base/rng.h"
#include "copy/limit.h"

#define SECOND UINT64_C(1000000)
#define MIB    UINT64_C(1048576)

static void test_no_limit_never_waits(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 0, 0, 0);
	for (int i = 0; i < 100; i++) {
		exp_limit_sent(&l, 0, EXP_LIMIT_BURST_MAX);
		assert_int_equal(exp_limit_wait_us(&l, 0), 0);
	}
	exp_limit_init(&l, 0, EXP_LIMIT_RATE_MAX + 1, 0);
	exp_limit_sent(&l, 0, EXP_LIMIT_BURST_MAX);
	assert_int_equal(exp_limit_wait_us(&l, 0), 0);
}

static void test_burst_then_rate(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 5 * SECOND, 1000, 200);
	exp_limit_sent(&l, 5 * SECOND, 150);
	assert_int_equal(exp_limit_wait_us(&l, 5 * SECOND), 0); /* 50 left: one more may go */
	exp_limit_sent(&l, 5 * SECOND, 150);                    /* 100 in advance */
	assert_int_equal(exp_limit_wait_us(&l, 5 * SECOND), SECOND / 10 + 1);
	assert_int_equal(exp_limit_wait_us(&l, 5 * SECOND + SECOND / 20), SECOND / 20 + 1);
	assert_int_equal(exp_limit_wait_us(&l, 5 * SECOND + SECOND / 10), 1);
	assert_int_equal(exp_limit_wait_us(&l, 5 * SECOND + SECOND / 10 + 1), 0);
	/* a long pause earns one burst, not more */
	exp_limit_sent(&l, 1000000 * SECOND, 200);
	assert_int_equal(exp_limit_wait_us(&l, 1000000 * SECOND), 1);
}

static void test_default_burst_is_a_tenth_of_a_second(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 0, 1000, 0);
	exp_limit_sent(&l, 0, 99);
	assert_int_equal(exp_limit_wait_us(&l, 0), 0);
	exp_limit_sent(&l, 0, 1);
	assert_int_equal(exp_limit_wait_us(&l, 0), 1);
	exp_limit_init(&l, 0, 3, 0); /* never an empty bucket */
	assert_int_equal(exp_limit_wait_us(&l, 0), 0);
}

static void test_change_while_it_runs(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 0, 1000, 1);
	exp_limit_sent(&l, 0, 1001); /* 1000 in advance */
	assert_int_equal(exp_limit_wait_us(&l, 0), SECOND + 1);
	exp_limit_change(&l, SECOND / 2, 100, 1); /* 500 of them are still owed, at the new rate */
	assert_int_equal(exp_limit_wait_us(&l, SECOND / 2), 5 * SECOND + 1);
	exp_limit_change(&l, SECOND / 2, 0, 0);
	assert_int_equal(exp_limit_wait_us(&l, SECOND / 2), 0);
	/* a smaller burst counts at once */
	exp_limit_init(&l, 0, 1000, 1000);
	exp_limit_change(&l, 0, 1000, 10);
	exp_limit_sent(&l, 0, 10);
	assert_int_equal(exp_limit_wait_us(&l, 0), 1);
	/* a larger one has to be earned */
	exp_limit_change(&l, 0, 1000, 1000);
	assert_int_equal(exp_limit_wait_us(&l, 0), 1);
}

static void test_lifted_in_the_blackout(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 0, 1000, 1);
	exp_limit_sent(&l, 0, 2001);
	exp_limit_lift(&l, true);
	assert_int_equal(exp_limit_wait_us(&l, 0), 0);
	exp_limit_sent(&l, SECOND, 1000 * MIB);
	assert_int_equal(exp_limit_wait_us(&l, SECOND), 0);
	exp_limit_lift(&l, false); /* back: only what was owed before */
	assert_int_equal(exp_limit_wait_us(&l, SECOND), SECOND + 1);
}

static void test_clock_that_goes_back_or_far_ahead(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 100 * SECOND, 1000, 10);
	exp_limit_sent(&l, 100 * SECOND, 1010);
	assert_int_equal(exp_limit_wait_us(&l, 0), SECOND + 1);
	assert_int_equal(exp_limit_wait_us(&l, UINT64_MAX), 0);
}

static void test_largest_values(void **state)
{
	struct exp_limit l;

	(void)state;
	exp_limit_init(&l, 0, EXP_LIMIT_RATE_MAX, UINT64_MAX);
	for (int i = 0; i < 100; i++)
		exp_limit_sent(&l, 0, UINT64_MAX);
	assert_true(exp_limit_wait_us(&l, 0) > 0);
	assert_int_equal(exp_limit_wait_us(&l, UINT64_MAX), 0);
	exp_limit_init(&l, 0, 1, UINT64_MAX);
	for (int i = 0; i < 100; i++)
		exp_limit_sent(&l, 0, UINT64_MAX);
	assert_true(exp_limit_wait_us(&l, 0) > SECOND);
	assert_true(exp_limit_wait_us(&l, UINT64_MAX / 2) < UINT64_MAX / 2);
}

/* Whatever the sizes and moments: never more than rate, burst and one extent allow, nor much less.
 */
static void test_rate_is_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t now = 0, sent = 0, biggest = 0, rate, burst;
		struct exp_limit l;
		struct exp_rng r;

		exp_rng_seed(&r, seed);
		rate = 1 + exp_rng_below(&r, UINT64_C(1) << (1 + seed % 34));
		burst = 1 + exp_rng_below(&r, rate);
		exp_limit_init(&l, 0, rate, burst);
		for (int i = 0; i < 2000; i++) {
			uint64_t wait = exp_limit_wait_us(&l, now);
			uint64_t bytes = 1 + exp_rng_below(&r, EXP_MIN(MIB, rate));

			if (wait) { /* waits exactly, or asks too early */
				now += exp_rng_chance(&r, 1, 2) ? wait
								: exp_rng_below(&r, wait) + 1;
				continue;
			}
			exp_limit_sent(&l, now, bytes);
			sent += bytes;
			biggest = EXP_MAX(biggest, bytes);
			assert_true((double)sent <= (double)burst + (double)biggest +
							    (double)rate * (double)now / 1e6);
		}
		assert_true((double)sent >=
			    (double)rate * (double)now / 1e6 * 0.99 - (double)rate / 1e5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit_never_waits),
		cmocka_unit_test(test_burst_then_rate),
		cmocka_unit_test(test_default_burst_is_a_tenth_of_a_second),
		cmocka_unit_test(test_change_while_it_runs),
		cmocka_unit_test(test_lifted_in_the_blackout),
		cmocka_unit_test(test_clock_that_goes_back_or_far_ahead),
		cmocka_unit_test(test_largest_values),
		cmocka_unit_test(test_rate_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
