/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/field: tables of fields, both ways, without touching what lies beside them */
#include "support/nvme_tests.h"

#include "nvme/field.h"

struct host {
	uint8_t before;
	char text[5];
	uint8_t between;
	uint16_t two;
	uint32_t four;
	uint64_t eight;
	uint8_t one;
	uint8_t bytes[3];
	uint8_t after;
};

static const struct exp_nvme_field rows[] = {
	EXP_NVME_TEXT(struct host, text, 1, 4), EXP_NVME_INT(struct host, two, 5, 2),
	EXP_NVME_INT(struct host, four, 7, 4),  EXP_NVME_INT(struct host, eight, 11, 8),
	EXP_NVME_INT(struct host, one, 19, 1),  EXP_NVME_BYTES(struct host, bytes, 20, 3),
};

static void test_get_and_put(void **state)
{
	uint8_t wire[24], out[24];
	struct host h;

	(void)state;
	test_hex(wire, sizeof(wire), "ee 41422020 0201 06050403 0e0d0c0b0a090807 0f 111213 ee");
	memset(&h, 0xa5, sizeof(h));
	exp_nvme_fields_get(rows, EXP_ARRAY_SIZE(rows), wire, &h);
	assert_string_equal(h.text, "AB");
	assert_memory_equal(h.text, "AB\0\0", 5);
	assert_int_equal(h.two, 0x0102);
	assert_int_equal(h.four, 0x03040506);
	assert_true(h.eight == 0x0708090a0b0c0d0e);
	assert_int_equal(h.one, 0x0f);
	assert_hex(h.bytes, 3, "111213");
	assert_int_equal(h.before, 0xa5);
	assert_int_equal(h.between, 0xa5);
	assert_int_equal(h.after, 0xa5);

	memset(out, 0xee, sizeof(out));
	exp_nvme_fields_put(rows, EXP_ARRAY_SIZE(rows), &h, out);
	assert_memory_equal(out, wire, sizeof(wire));
}

static void test_text_of_full_width_is_ended(void **state)
{
	uint8_t wire[24] = { 0 };
	struct host h;

	(void)state;
	memset(&h, 0xa5, sizeof(h));
	memcpy(wire + 1, "WXYZ", 4);
	exp_nvme_fields_get(rows, 1, wire, &h);
	assert_string_equal(h.text, "WXYZ");
	assert_int_equal(h.between, 0xa5);
	memset(wire + 1, 0, 4);
	exp_nvme_fields_get(rows, 1, wire, &h);
	assert_string_equal(h.text, "");
}

static void test_nonzero(void **state)
{
	uint8_t p[4] = { 0 };

	(void)state;
	assert_int_equal(exp_nvme_nonzero(p, 4), 4);
	assert_int_equal(exp_nvme_nonzero(p, 0), 0);
	p[3] = 0x80;
	assert_int_equal(exp_nvme_nonzero(p, 4), 3);
	assert_int_equal(exp_nvme_nonzero(p, 3), 3);
	p[0] = 1;
	assert_int_equal(exp_nvme_nonzero(p, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_and_put),
		cmocka_unit_test(test_text_of_full_width_is_ended),
		cmocka_unit_test(test_nonzero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
