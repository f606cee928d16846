/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tests.h"

#include "base/le.h"

static void test_read_at_any_offset(void **state)
{
	static const uint8_t b[] = { 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x88, 0xff };

	(void)state;
	assert_int_equal(exp_le16(b + 1), 0x0201);
	assert_int_equal(exp_le32(b + 1), 0x04030201);
	assert_true(exp_le64(b + 1) == UINT64_C(0x8807060504030201));
}

static void test_write_touches_only_its_bytes(void **state)
{
	uint8_t b[11];

	(void)state;
	memset(b, 0xee, sizeof(b));
	exp_put_le16(b + 1, 0x1234);
	assert_hex(b, sizeof(b), "ee 3412 ee ee ee ee ee ee ee ee");
	exp_put_le32(b + 1, 0x89abcdef);
	assert_hex(b, sizeof(b), "ee efcdab89 ee ee ee ee ee ee");
	exp_put_le64(b + 1, UINT64_C(0xfedcba9876543210));
	assert_hex(b, sizeof(b), "ee 1032547698badcfe ee ee");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_at_any_offset),
		cmocka_unit_test(test_write_touches_only_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
