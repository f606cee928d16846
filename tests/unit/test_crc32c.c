/* SPDX-License-Identifier: Apache-2.0 */
/* The check values are those of RFC 3720 ("iSCSI", appendix B.4) and of the catalogue entry. */
#include "support/tests.h"

#include "wire/crc32c.h"

static void test_check_value(void **state)
{
	(void)state;
	assert_int_equal(exp_crc32c(0, "123456789", 9), 0xe3069283u);
}

static void test_iscsi_examples(void **state)
{
	uint8_t b[32];

	(void)state;
	memset(b, 0, sizeof(b));
	assert_int_equal(exp_crc32c(0, b, sizeof(b)), 0x8a9136aau);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(exp_crc32c(0, b, sizeof(b)), 0x62a8ab43u);
	for (uint8_t i = 0; i < sizeof(b); i++)
		b[i] = i;
	assert_int_equal(exp_crc32c(0, b, sizeof(b)), 0x46dd794eu);
	for (uint8_t i = 0; i < sizeof(b); i++)
		b[i] = 31 - i;
	assert_int_equal(exp_crc32c(0, b, sizeof(b)), 0x113fdb5cu);
}

static void test_in_pieces(void **state)
{
	uint8_t b[257];

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7);
	for (size_t cut = 0; cut <= sizeof(b); cut++)
		assert_int_equal(exp_crc32c(exp_crc32c(0, b, cut), b + cut, sizeof(b) - cut),
				 exp_crc32c(0, b, sizeof(b)));
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(exp_crc32c(0, NULL, 0), 0);
	assert_int_equal(exp_crc32c(0x12345678, NULL, 0), 0x12345678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_value),
		cmocka_unit_test(test_iscsi_examples),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
