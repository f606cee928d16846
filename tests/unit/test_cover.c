/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "wire/cover.h"

#define MIB (UINT64_C(1) << 20)

static struct exp_cover *cover(uint64_t bytes)
{
	struct exp_cover *c = NULL;

	assert_int_equal(exp_cover_new(bytes, &c), 0);
	return c;
}

static void missing_is(const struct exp_cover *c, uint64_t bytes, uint64_t at)
{
	uint64_t where = UINT64_MAX;

	assert_int_equal(exp_cover_missing(c, &where), bytes);
	if (bytes)
		assert_int_equal(where, at);
	assert_int_equal(exp_cover_whole(c), !bytes);
}

static void test_sizes_refused(void **state)
{
	struct exp_cover *c = NULL;

	(void)state;
	assert_int_equal(exp_cover_new(0, &c), -EINVAL);
	assert_int_equal(exp_cover_new(UINT64_MAX, &c), -EINVAL);
	assert_null(c);
	exp_cover_free(NULL);
}

static void test_front_to_back(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(10 * MIB + 8192);

	(void)state;
	missing_is(c, 10 * MIB + 8192, 0);
	for (uint64_t at = 0; at < 10 * MIB; at += MIB / 2) {
		assert_int_equal(exp_cover_add(c, at, MIB / 2), 0);
		missing_is(c, 10 * MIB + 8192 - at - MIB / 2, at + MIB / 2);
	}
	assert_int_equal(exp_cover_add(c, 10 * MIB, 8192), 0);
	missing_is(c, 0, 0);
}

static void test_at_once(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(1000 * MIB + 512);

	(void)state;
	assert_int_equal(exp_cover_add(c, 0, 1000 * MIB + 512), 0);
	missing_is(c, 0, 0);
}

static void test_one_block_missing(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(64 * MIB);

	(void)state;
	assert_int_equal(exp_cover_add(c, 0, 33 * MIB + 4096), 0);
	assert_int_equal(exp_cover_add(c, 33 * MIB + 8192, 31 * MIB - 8192), 0);
	missing_is(c, 4096, 33 * MIB + 4096);
	assert_int_equal(exp_cover_add(c, 33 * MIB + 4096, 4096), 0);
	missing_is(c, 0, 0);
}

static void test_parts_of_a_block_do_not_count(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(4 * MIB);

	(void)state;
	assert_int_equal(exp_cover_add(c, 512, 4096), 0);
	assert_int_equal(exp_cover_add(c, 0, 4095), 0);
	missing_is(c, 4 * MIB, 0);
	assert_int_equal(exp_cover_add(c, 512, 3 * 4096), 0); /* blocks 1 and 2 */
	missing_is(c, 4 * MIB - 8192, 0);
}

static void test_short_last_block(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(2 * MIB + 512);

	(void)state;
	assert_int_equal(exp_cover_add(c, 0, 2 * MIB), 0);
	missing_is(c, 512, 2 * MIB);
	assert_int_equal(exp_cover_add(c, 2 * MIB, 512), 0);
	missing_is(c, 0, 0);
}

static void test_short_last_block_first(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(2 * MIB + 3 * 512);

	(void)state;
	assert_int_equal(exp_cover_add(c, 2 * MIB, 3 * 512), 0);
	missing_is(c, 2 * MIB, 0);
	assert_int_equal(exp_cover_add(c, 0, 2 * MIB - 512), 0);
	missing_is(c, 4096, 2 * MIB - 4096);
	assert_int_equal(exp_cover_add(c, 2 * MIB - 4096, 512), 0);
	assert_int_equal(exp_cover_whole(c), false);
}

static void test_again_counts_once(void **state)
{
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(8 * MIB);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(exp_cover_add(c, MIB, 2 * MIB), 0);
		missing_is(c, 6 * MIB, 0);
	}
	assert_int_equal(exp_cover_add(c, 0, 8 * MIB), 0);
	assert_int_equal(exp_cover_add(c, 3 * MIB, MIB), 0);
	missing_is(c, 0, 0);
}

/* Random ranges against one flag per block; many leaves begun at once makes the table grow. */
static void test_against_flags(void **state)
{
	enum { BLOCKS = 512 * 300 + 17 };
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(UINT64_C(4096) * BLOCKS);
	uint8_t *flags = calloc(BLOCKS, 1);
	size_t left = BLOCKS, first = 0;
	struct exp_rng rng;

	(void)state;
	assert_non_null(flags);
	exp_rng_seed(&rng, 4711);
	for (int i = 0; left && i < 200000; i++) {
		size_t at = exp_rng_below(&rng, BLOCKS), n = 1 + exp_rng_below(&rng, 700);

		n = EXP_MIN(n, BLOCKS - at);
		if (i < 1000)
			n = 1;
		assert_int_equal(exp_cover_add(c, at * UINT64_C(4096), n * UINT64_C(4096)), 0);
		for (size_t b = at; b < at + n; b++) {
			left -= !flags[b];
			flags[b] = 1;
		}
		while (first < BLOCKS && flags[first])
			first++;
		if (i % 64 == 0 || left < 20)
			missing_is(c, left * UINT64_C(4096), first * UINT64_C(4096));
	}
	assert_int_equal(exp_cover_add(c, 0, UINT64_C(4096) * BLOCKS), 0);
	missing_is(c, 0, 0);
	free(flags);
}

/* Leaves far apart, begun and finished in random order: each find is one through the table. */
static void test_scattered_leaves(void **state)
{
	enum { LEAVES = 700 };
	const uint64_t leaf = 2 * MIB, bytes = leaf << 20;
	EXP_CLEANUP(exp_cover_freep) struct exp_cover *c = cover(bytes);
	uint64_t at[LEAVES], left = bytes, where;
	struct exp_rng rng;

	(void)state;
	exp_rng_seed(&rng, 12);
	for (int i = 0; i < LEAVES; i++) {
		at[i] = (1 + exp_rng_below(&rng, (UINT64_C(1) << 20) - 1)) * leaf;
		for (int k = 0; k < i; k++)
			assert_true(at[k] != at[i]); /* by choice of the seed */
		assert_int_equal(exp_cover_add(c, at[i] + 4096, 4096), 0);
		left -= 4096;
		assert_int_equal(exp_cover_missing(c, &where), left);
	}
	for (int i = 0; i < LEAVES; i++) {
		int k = i + (int)exp_rng_below(&rng, (uint64_t)(LEAVES - i));
		uint64_t now = at[k];

		at[k] = at[i];
		at[i] = now;
		assert_int_equal(exp_cover_add(c, now, leaf), 0);
		left -= leaf - 4096;
		assert_int_equal(exp_cover_missing(c, &where), left);
		for (k = i + 1; k < LEAVES; k++) { /* those that are begun are still known */
			assert_int_equal(exp_cover_add(c, at[k] + 4096, 4096), 0);
			assert_int_equal(exp_cover_missing(c, &where), left);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_refused),
		cmocka_unit_test(test_front_to_back),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_one_block_missing),
		cmocka_unit_test(test_parts_of_a_block_do_not_count),
		cmocka_unit_test(test_short_last_block),
		cmocka_unit_test(test_short_last_block_first),
		cmocka_unit_test(test_again_counts_once),
		cmocka_unit_test(test_against_flags),
		cmocka_unit_test(test_scattered_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
