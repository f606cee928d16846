/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "wire/pool.h"

static void test_gives_zeroed_aligned(void **state)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *p = &(struct exp_pool){ 0 };
	unsigned char *former = NULL;

	(void)state;
	exp_pool_init(p, 1 << 20);
	for (size_t n = 1; n < 600; n++) {
		unsigned char *at = exp_pool_get(p, n);

		assert_non_null(at);
		assert_int_equal((uintptr_t)at % 16, 0);
		assert_ptr_not_equal(at, former);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(at[i], 0);
		memset(at, 0xee, n);
		former = at;
	}
}

static void test_nothing_is_a_pointer_of_its_own(void **state)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *p = &(struct exp_pool){ 0 };

	(void)state;
	exp_pool_init(p, 100);
	assert_non_null(exp_pool_get(p, 0));
	assert_ptr_not_equal(exp_pool_get(p, 0), exp_pool_get(p, 0));
}

static void test_limit(void **state)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *p = &(struct exp_pool){ 0 };

	(void)state;
	exp_pool_init(p, 64);
	assert_non_null(exp_pool_get(p, 64));
	assert_false(p->full);
	assert_null(exp_pool_get(p, 1));
	assert_true(p->full);
	exp_pool_done(p);
	exp_pool_init(p, 64);
	assert_null(exp_pool_get(p, 65));
	assert_null(exp_pool_get(p, SIZE_MAX));
	assert_non_null(exp_pool_get(p, 64));
}

static void test_array_product_overflows(void **state)
{
	EXP_CLEANUP(exp_pool_donep) struct exp_pool *p = &(struct exp_pool){ 0 };

	(void)state;
	exp_pool_init(p, SIZE_MAX / 2);
	assert_null(exp_pool_array(p, SIZE_MAX / 4 + 2, 4));
	assert_true(p->full);
	assert_non_null(exp_pool_array(p, 4, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_zeroed_aligned),
		cmocka_unit_test(test_nothing_is_a_pointer_of_its_own),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_array_product_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
