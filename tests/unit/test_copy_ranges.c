/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "copy/ranges.h"

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool no_memory;

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return no_memory ? NULL : __real_reallocarray(p, n, size);
}

static void test_new(void **state)
{
	struct exp_ranges *r;

	(void)state;
	assert_int_equal(exp_ranges_new(0, &r), -EINVAL);
	assert_int_equal(exp_ranges_new(1, &r), -EINVAL);
	no_memory = true;
	assert_int_equal(exp_ranges_new(2, &r), -ENOMEM);
	no_memory = false;
	exp_ranges_free(NULL);
}

static void test_add_find_consume(void **state)
{
	struct exp_ranges *r;
	uint64_t a, b;

	(void)state;
	assert_int_equal(exp_ranges_new(100, &r), 0);
	assert_false(exp_ranges_find(r, 0, &a, &b));
	exp_ranges_add(r, 10, 20);
	exp_ranges_add(r, 20, 25); /* touches: one range */
	exp_ranges_add(r, 30, 40);
	assert_int_equal(exp_ranges_count(r), 2);
	assert_int_equal(exp_ranges_bytes(r), 25);
	assert_true(exp_ranges_find(r, 0, &a, &b));
	assert_int_equal(a, 10);
	assert_int_equal(b, 25);
	assert_true(exp_ranges_find(r, 24, &a, &b));
	assert_int_equal(a, 10);
	assert_true(exp_ranges_find(r, 25, &a, &b));
	assert_int_equal(a, 30);
	assert_false(exp_ranges_find(r, 40, &a, &b));
	exp_ranges_consume(r, 12);
	assert_int_equal(exp_ranges_bytes(r), 23);
	assert_true(exp_ranges_find(r, 0, &a, &b));
	assert_int_equal(a, 12);
	exp_ranges_consume(r, 25);
	assert_int_equal(exp_ranges_count(r), 1);
	exp_ranges_consume(r, UINT64_MAX);
	assert_int_equal(exp_ranges_count(r), 0);
	assert_int_equal(exp_ranges_bytes(r), 0);
	exp_ranges_add(r, 50, UINT64_MAX);
	assert_int_equal(exp_ranges_count(r), 1);
	exp_ranges_free(r);
}

/* Evenly: half as many ranges, a gap inside each; not one that spans the whole list. */
static void test_equal_gaps_are_joined_in_pairs(void **state)
{
	struct exp_ranges *r;
	uint64_t a, b, n;

	(void)state;
	assert_int_equal(exp_ranges_new(1000, &r), 0);
	for (n = 0; n < 2000; n++)
		exp_ranges_add(r, n << 26, (n << 26) + (1 << 20));
	assert_true(exp_ranges_count(r) > 250);
	assert_true(exp_ranges_bytes(r) < (n << 26) * 9 / 10);
	while (exp_ranges_find(r, 0, &a, &b)) {
		assert_true(b - a < 8 << 26);
		exp_ranges_consume(r, b);
	}
	exp_ranges_free(r);
}

/* The smallest gaps go first. */
static void test_a_full_list_joins_neighbours(void **state)
{
	struct exp_ranges *r;
	uint64_t a, b;

	(void)state;
	assert_int_equal(exp_ranges_new(8, &r), 0);
	for (uint64_t i = 0; i < 8; i++) /* pairs 4 KiB apart, 1 GiB between pairs */
		exp_ranges_add(r, (i / 2 << 30) + (i & 1) * 8192,
			       (i / 2 << 30) + (i & 1) * 8192 + 4096);
	exp_ranges_add(r, UINT64_C(1) << 33, (UINT64_C(1) << 33) + 4096);
	assert_int_equal(exp_ranges_count(r), 5);
	assert_true(exp_ranges_find(r, UINT64_C(1) << 30, &a, &b));
	assert_int_equal(a, UINT64_C(1) << 30);
	assert_int_equal(b, (UINT64_C(1) << 30) + 12288);
	assert_true(exp_ranges_bytes(r) < 1 << 20);
	exp_ranges_free(r);
}

static void test_never_loses_never_grows(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		enum { SPACE = 1 << 15 };
		static uint8_t told[SPACE];
		uint64_t at = 0, consumed = 0, sum, a, b;
		struct exp_ranges *r;
		struct exp_rng rng;
		size_t max;

		exp_rng_seed(&rng, seed);
		max = 2 + exp_rng_below(&rng, 200);
		memset(told, 0, sizeof(told));
		assert_int_equal(exp_ranges_new(max, &r), 0);
		no_memory = seed % 3 == 0;
		while (at < SPACE) {
			uint64_t start = at + exp_rng_below(&rng, 64), end;

			end = start + 1 + exp_rng_below(&rng, 40);
			if (end > SPACE)
				break;
			memset(told + start, 1, end - start);
			exp_ranges_add(r, start, end);
			at = end;
			assert_true(exp_ranges_count(r) <= max);
			if (exp_rng_chance(&rng, 1, 3)) {
				consumed = EXP_MIN(consumed + exp_rng_below(&rng, 100), at);
				exp_ranges_consume(r, consumed);
			}
		}
		no_memory = false;
		sum = 0;
		for (uint64_t pos = consumed; pos < at;) {
			if (!exp_ranges_find(r, pos, &a, &b))
				a = b = at;
			for (; pos < a; pos++)
				assert_int_equal(told[pos], 0);
			sum += b - a;
			pos = b;
		}
		assert_int_equal(exp_ranges_bytes(r), sum);
		exp_ranges_free(r);
	}
}

static void test_exact_while_there_is_room(void **state)
{
	struct exp_ranges *r;
	uint64_t a, b;

	(void)state;
	assert_int_equal(exp_ranges_new(EXP_RANGES_MAX, &r), 0);
	for (uint64_t i = 0; i < EXP_RANGES_MAX / 4 * 3; i++)
		exp_ranges_add(r, i * 8192, i * 8192 + 4096);
	assert_int_equal(exp_ranges_count(r), EXP_RANGES_MAX / 4 * 3);
	for (uint64_t i = 0; i < EXP_RANGES_MAX / 4 * 3; i += 111) {
		assert_true(exp_ranges_find(r, i * 8192, &a, &b));
		assert_int_equal(a, i * 8192);
		assert_int_equal(b, i * 8192 + 4096);
	}
	exp_ranges_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_add_find_consume),
		cmocka_unit_test(test_a_full_list_joins_neighbours),
		cmocka_unit_test(test_equal_gaps_are_joined_in_pairs),
		cmocka_unit_test(test_never_loses_never_grows),
		cmocka_unit_test(test_exact_while_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
