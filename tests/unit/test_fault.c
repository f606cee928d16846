/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include <errno.h>

#include "base/fault.h"

static void test_no_plan_no_fault(void **state)
{
	struct exp_fault_plan p = { 0 };

	(void)state;
	assert_int_equal(exp_fault(NULL, "commit"), 0);
	assert_int_equal(exp_fault(&p, "commit"), 0);
	assert_int_equal(p.fired, 0);
}

static void test_fires_once_at_its_pass(void **state)
{
	struct exp_fault_plan p = { 0 };

	(void)state;
	exp_fault_arm(&p, "commit", 2, -EIO);
	assert_int_equal(exp_fault(&p, "commit"), 0);
	assert_int_equal(exp_fault(&p, "open"), 0); /* another point does not count */
	assert_int_equal(exp_fault(&p, "commit"), 0);
	assert_int_equal(exp_fault(&p, "commit"), -EIO);
	assert_int_equal(exp_fault(&p, "commit"), 0);
	assert_int_equal(p.fired, 1);
	assert_int_equal(p.n, 0);
}

static void test_several_points_count_apart(void **state)
{
	struct exp_fault_plan p = { 0 };

	(void)state;
	exp_fault_arm(&p, "a", 0, -EIO);
	exp_fault_arm(&p, "b", 1, -ENOSPC);
	exp_fault_arm(&p, "a", 1, -ENOMEM);
	assert_int_equal(exp_fault(&p, "b"), 0);
	assert_int_equal(exp_fault(&p, "a"), -EIO);
	assert_int_equal(exp_fault(&p, "a"), -ENOMEM);
	assert_int_equal(exp_fault(&p, "b"), -ENOSPC);
	assert_int_equal(exp_fault(&p, "b"), 0);
	assert_int_equal(p.fired, 3);
}

static void test_two_due_at_once_fire_one_after_the_other(void **state)
{
	struct exp_fault_plan p = { 0 };

	(void)state;
	exp_fault_arm(&p, "a", 0, -EIO);
	exp_fault_arm(&p, "a", 0, -ENOMEM);
	assert_int_equal(exp_fault(&p, "a"), -EIO);
	assert_int_equal(exp_fault(&p, "a"), -ENOMEM);
	assert_int_equal(exp_fault(&p, "a"), 0);
}

/* The use it is made for: let each pass fail in turn until a run goes through. */
static void test_loop_until_none_fires(void **state)
{
	int failures = 0;

	(void)state;
	for (uint64_t nth = 0;; nth++) {
		struct exp_fault_plan p = { 0 };
		int r = 0;

		exp_fault_arm(&p, "step", nth, -EIO);
		for (int i = 0; i < 5 && !r; i++)
			r = exp_fault(&p, "step");
		if (!p.fired)
			break;
		assert_int_equal(r, -EIO);
		failures++;
	}
	assert_int_equal(failures, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_plan_no_fault),
		cmocka_unit_test(test_fires_once_at_its_pass),
		cmocka_unit_test(test_several_points_count_apart),
		cmocka_unit_test(test_two_due_at_once_fire_one_after_the_other),
		cmocka_unit_test(test_loop_until_none_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
