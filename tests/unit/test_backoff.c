/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "base/backoff.h"

static void test_next_doubles_up_to_max(void **state)
{
	static const uint32_t whole[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
	struct exp_backoff b = { .min_ms = 100, .max_ms = 1000 };
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 7);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(whole); i++) {
		uint32_t ms = exp_backoff_next(&b, &rng);

		assert_in_range(ms, whole[i] / 2, whole[i]);
		assert_int_equal(b.tries, i + 1);
	}
}

static void test_next_uses_the_whole_range(void **state)
{
	uint32_t low = UINT32_MAX, high = 0;
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 1);
	for (int i = 0; i < 1000; i++) {
		struct exp_backoff b = { .min_ms = 8, .max_ms = 100 };
		uint32_t ms = exp_backoff_next(&b, &rng);

		low = EXP_MIN(low, ms);
		high = EXP_MAX(high, ms);
	}
	assert_int_equal(low, 4);
	assert_int_equal(high, 8);
}

static void test_reset_starts_again(void **state)
{
	struct exp_backoff b = { .min_ms = 10, .max_ms = 10000 };
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 2);
	for (int i = 0; i < 10; i++)
		exp_backoff_next(&b, &rng);
	assert_true(exp_backoff_next(&b, &rng) >= 5000);
	exp_backoff_reset(&b);
	assert_true(exp_backoff_next(&b, &rng) <= 10);
}

static void test_next_extreme_values(void **state)
{
	struct exp_backoff zero = { .max_ms = 64, .tries = UINT32_MAX };
	struct exp_backoff none = { 0 };
	struct exp_backoff huge = { .min_ms = UINT32_MAX - 1, .max_ms = UINT32_MAX, .tries = 60 };
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 3);
	/* a minimum of 0 still grows, at once, and the count of tries stays at its end */
	assert_in_range(exp_backoff_next(&zero, &rng), 32, 64);
	assert_int_equal(zero.tries, UINT32_MAX);
	assert_int_equal(exp_backoff_next(&none, &rng), 0);
	assert_true(exp_backoff_next(&huge, &rng) >= UINT32_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_doubles_up_to_max),
		cmocka_unit_test(test_next_uses_the_whole_range),
		cmocka_unit_test(test_reset_starts_again),
		cmocka_unit_test(test_next_extreme_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
