/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "base/rng.h"

/* The first outputs that the authors' reference code gives for the state 1, 2, 3, 4. */
static void test_next_is_xoshiro256starstar(void **state)
{
	static const uint64_t want[] = {
		UINT64_C(11520),
		UINT64_C(0),
		UINT64_C(1509978240),
		UINT64_C(1215971899390074240),
		UINT64_C(1216172134540287360),
		UINT64_C(607988272756665600),
		UINT64_C(16172922978634559625),
		UINT64_C(8476171486693032832),
		UINT64_C(10595114339597558777),
		UINT64_C(2904607092377533576),
	};
	struct exp_rng r = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(want); i++)
		assert_true(exp_rng_next(&r) == want[i]);
}

/* splitmix64 of 1234567 is published too; the outputs that follow were computed elsewhere. */
static void test_seed_is_splitmix64(void **state)
{
	static const uint64_t seeded[] = {
		UINT64_C(6457827717110365317),
		UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423),
		UINT64_C(4593380528125082431),
	};
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 1234567);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(seeded); i++)
		assert_true(r.s[i] == seeded[i]);
	assert_true(exp_rng_next(&r) == UINT64_C(0x30a3a1c363600467));
	assert_true(exp_rng_next(&r) == UINT64_C(0x19405f0f579929ca));
	exp_rng_seed(&r, 0); /* not the state of zeros that would stay there */
	assert_true(exp_rng_next(&r) == UINT64_C(0x99ec5f36cb75f2b4));
	assert_true(exp_rng_next(&r) == UINT64_C(0xbf6e1f784956452a));
}

static void test_below_reaches_all_and_no_more(void **state)
{
	unsigned int seen[10] = { 0 };
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 5);
	for (int i = 0; i < 10000; i++) {
		uint64_t v = exp_rng_below(&r, 10);

		assert_true(v < 10);
		seen[v]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], 850, 1150); /* the seed is fixed: no luck involved */
	for (int i = 0; i < 100; i++) {
		assert_true(exp_rng_below(&r, 1) == 0);
		assert_true(exp_rng_below(&r, UINT64_MAX) < UINT64_MAX);
	}
}

/*
 * With n = 3 * 2^62 a plain modulo would give the lowest third twice as often as the others.
 */
static void test_below_has_no_modulo_bias(void **state)
{
	const uint64_t third = UINT64_C(1) << 62;
	unsigned int seen[3] = { 0 };
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 6);
	for (int i = 0; i < 30000; i++)
		seen[exp_rng_below(&r, 3 * third) / third]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 9500, 10500);
}

static void test_chance(void **state)
{
	unsigned int hits = 0;
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 8);
	for (int i = 0; i < 10000; i++) {
		assert_false(exp_rng_chance(&r, 0, 4));
		assert_true(exp_rng_chance(&r, 4, 4));
		hits += exp_rng_chance(&r, 1, 4);
	}
	assert_in_range(hits, 2300, 2700);
}

static void test_random_bytes_fill_exactly(void **state)
{
	uint8_t a[66], b[66];
	size_t same = 0;

	(void)state;
	memset(a, 0xa5, sizeof(a));
	memset(b, 0xa5, sizeof(b));
	exp_random_bytes(a + 1, 64);
	exp_random_bytes(b + 1, 64);
	exp_random_bytes(NULL, 0);
	assert_int_equal(a[0], 0xa5);
	assert_int_equal(a[65], 0xa5);
	for (size_t i = 1; i < 65; i++)
		same += a[i] == b[i];
	assert_true(same < 16); /* by chance once in 10^20 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_is_xoshiro256starstar),
		cmocka_unit_test(test_seed_is_splitmix64),
		cmocka_unit_test(test_below_reaches_all_and_no_more),
		cmocka_unit_test(test_below_has_no_modulo_bias),
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_random_bytes_fill_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
