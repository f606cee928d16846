/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/buf.h"
#include "base/rng.h"

static void test_add_up_to_the_limit(void **state)
{
	struct exp_buf b;

	(void)state;
	exp_buf_init(&b, 5);
	assert_int_equal(exp_buf_len(&b), 0);
	assert_null(exp_buf_data(&b));
	assert_int_equal(exp_buf_add(&b, "abc", 3), 0);
	assert_int_equal(exp_buf_add(&b, "def", 3), -E2BIG);
	assert_int_equal(exp_buf_len(&b), 3); /* untouched by the failure */
	assert_int_equal(exp_buf_add(&b, "de", 2), 0);
	assert_memory_equal(exp_buf_data(&b), "abcde", 5);
	assert_int_equal(exp_buf_add(&b, "f", 1), -E2BIG);
	exp_buf_consume(&b, 4);
	assert_int_equal(exp_buf_add(&b, "fghi", 4), 0); /* what was consumed makes room */
	assert_memory_equal(exp_buf_data(&b), "efghi", 5);
	exp_buf_done(&b);
}

static void test_reserve_refuses_sizes_that_overflow(void **state)
{
	struct exp_buf b;
	uint8_t *p = NULL;

	(void)state;
	exp_buf_init(&b, SIZE_MAX);
	assert_int_equal(exp_buf_add(&b, "x", 1), 0);
	assert_int_equal(exp_buf_reserve(&b, SIZE_MAX, &p), -E2BIG);
	assert_null(p);
	exp_buf_done(&b);
	exp_buf_init(&b, 10);
	assert_int_equal(exp_buf_reserve(&b, SIZE_MAX, &p), -E2BIG);
	assert_int_equal(exp_buf_reserve(&b, 11, &p), -E2BIG);
	assert_null(p);
	exp_buf_done(&b);
}

static void test_reserve_out_of_memory_keeps_content(void **state)
{
	struct exp_buf b;
	uint8_t *p = NULL;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	skip(); /* the sanitizer stops the program instead of returning NULL */
#endif
#endif
	exp_buf_init(&b, SIZE_MAX);
	assert_int_equal(exp_buf_add(&b, "x", 1), 0);
	assert_int_equal(exp_buf_reserve(&b, SIZE_MAX / 2, &p), -ENOMEM);
	assert_null(p);
	assert_int_equal(exp_buf_len(&b), 1);
	assert_memory_equal(exp_buf_data(&b), "x", 1);
	exp_buf_done(&b);
}

static void test_zero_bytes_are_fine(void **state)
{
	struct exp_buf b;
	uint8_t *p = NULL;

	(void)state;
	exp_buf_init(&b, 0);
	assert_int_equal(exp_buf_add(&b, NULL, 0), 0);
	assert_int_equal(exp_buf_reserve(&b, 0, &p), 0);
	assert_non_null(p);
	exp_buf_commit(&b, 0);
	exp_buf_consume(&b, 0);
	assert_int_equal(exp_buf_len(&b), 0);
	exp_buf_done(&b);
	exp_buf_done(NULL);
}

static void test_done_leaves_a_usable_buffer(void **state)
{
	struct exp_buf b;

	(void)state;
	exp_buf_init(&b, 4);
	assert_int_equal(exp_buf_add(&b, "abcd", 4), 0);
	exp_buf_done(&b);
	assert_int_equal(exp_buf_len(&b), 0);
	assert_int_equal(exp_buf_add(&b, "abcd", 4), 0);
	assert_int_equal(exp_buf_add(&b, "e", 1), -E2BIG); /* the limit outlives _done */
	exp_buf_done(&b);
}

/* Any order of adds and consumes keeps the bytes in line, and memory within twice the limit. */
static void test_bytes_stay_in_order(void **state)
{
	uint8_t in = 0, out = 0, chunk[97], *p;
	struct exp_rng rng;
	struct exp_buf b;

	(void)state;
	exp_rng_seed(&rng, 42);
	exp_buf_init(&b, 1000);
	for (int i = 0; i < 20000; i++) {
		size_t n = exp_rng_below(&rng, sizeof(chunk) + 1), len = exp_buf_len(&b);

		if (exp_rng_chance(&rng, 1, 2)) {
			if (exp_buf_reserve(&b, n, &p) < 0) {
				assert_true(len + n > 1000);
				continue;
			}
			assert_true(len + n <= 1000);
			for (size_t j = 0; j < n; j++)
				p[j] = in++;
			exp_buf_commit(&b, n);
		} else {
			n = EXP_MIN(n, len);
			for (size_t j = 0; j < n; j++)
				assert_int_equal(exp_buf_data(&b)[j], out++);
			exp_buf_consume(&b, n);
			assert_int_equal(exp_buf_len(&b), len - n);
		}
		assert_true(b.cap <= 2000);
	}
	exp_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_up_to_the_limit),
		cmocka_unit_test(test_reserve_refuses_sizes_that_overflow),
		cmocka_unit_test(test_reserve_out_of_memory_keeps_content),
		cmocka_unit_test(test_zero_bytes_are_fine),
		cmocka_unit_test(test_done_leaves_a_usable_buffer),
		cmocka_unit_test(test_bytes_stay_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
