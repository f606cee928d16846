/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/logpage: Get Log Page and the logs 01h, 04h, 05h, 1Ch (Base 5.2.12) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/logpage.h"

static uint8_t page[4096];

static void at(size_t off, const char *hex)
{
	test_at(page, sizeof(page), off, hex);
}

static void test_get_log_command(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_get_log(&c, EXP_NVME_LID_EFFECTS, false, 0, page, 4096);
	assert_sqe(&c, { 0, 0x02 }, { 1, 0xffffffff }, { 10, 0x03ff0005 });
	assert_data(&c, NULL, page, 4096);
	/* 512 KiB is 131072 dwords: 1FFFFh, 0's based, over two fields; RAE is bit 15 */
	exp_nvme_get_log(&c, EXP_NVME_LID_CHANGED_ALLOC_NS, true, 0x300000004, page, 0x80000);
	assert_sqe(&c, { 0, 0x02 }, { 1, 0xffffffff }, { 10, 0xffff801c }, { 11, 1 }, { 12, 4 },
		   { 13, 3 });
}

static void test_effects(void **state)
{
	struct exp_nvme_effects e;

	(void)state;
	memset(page, 0, sizeof(page));
	at(0, "01000000");
	at(4 * 0xff, "01000000");
	at(1024, "01000000");
	at(4 * 0x2a, "01000000");
	at(4 * 0x2d, "03000000");
	at(4 * 0x31, "02000000"); /* effects without "supported" */
	at(1024 + 4 * 0x09, "01000000");
	assert_int_equal(exp_nvme_effects_parse(page, sizeof(page), &e, NULL), 0);
	assert_true(exp_nvme_effects_admin(&e, EXP_NVME_ADMIN_EXPORT_RECV));
	assert_true(exp_nvme_effects_admin(&e, EXP_NVME_ADMIN_EXPORT_SEND));
	assert_false(exp_nvme_effects_admin(&e, EXP_NVME_ADMIN_EXPORT_NS));
	assert_false(exp_nvme_effects_admin(&e, EXP_NVME_ADMIN_SET_FEATURES));
	assert_true(exp_nvme_effects_io(&e, EXP_NVME_IO_DSM));
	assert_true(exp_nvme_effects_io(&e, EXP_NVME_IO_FLUSH));
	assert_false(exp_nvme_effects_io(&e, EXP_NVME_IO_READ));
	assert_true(exp_nvme_effects_admin(&e, EXP_NVME_ADMIN_DELETE_SQ));
	assert_int_equal(e.admin[0x2d], 3);
	assert_int_equal(e.admin[0xff], 1);
	assert_int_equal(e.io[0xff], 0);
}

static void test_changed_namespaces(void **state)
{
	struct exp_nvme_ns_list l;
	bool all;

	(void)state;
	memset(page, 0, sizeof(page));
	at(0, "03000000 01000000");
	assert_int_equal(exp_nvme_changed_ns_parse(page, sizeof(page), &l, &all, NULL), 0);
	assert_false(all);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.id[0], 3);
	assert_int_equal(l.id[1], 1); /* in whatever order the device has them */
	for (uint32_t i = 0; i < 1024; i++)
		exp_put_le32(page + 4 * i, 2000 - i);
	assert_int_equal(exp_nvme_changed_ns_parse(page, sizeof(page), &l, &all, NULL), 0);
	assert_int_equal(l.n, 1024);
	assert_int_equal(l.id[1023], 977);
	at(0, "ffffffff 00000000");
	assert_int_equal(exp_nvme_changed_ns_parse(page, sizeof(page), &l, &all, NULL), 0);
	assert_true(all);
	assert_int_equal(l.n, 0);
}

static void test_error_entry(void **state)
{
	struct exp_nvme_error_entry e;

	(void)state;
	memset(page, 0, sizeof(page));
	/* count 9, SQID 1122h, CID 12h, status 1/44h with phase 1, byte 43 bit 3, LBA, NSID */
	at(0, "0900000000000000 2211 1200 8902 2b03 8877665544332211 05000000");
	at(31, "2d 8000000000000000");
	assert_int_equal(exp_nvme_error_entry_parse(page, 64, &e, NULL), 0);
	assert_int_equal(e.count, 9);
	assert_int_equal(e.sqid, 0x1122);
	assert_int_equal(e.cid, 0x12);
	assert_int_equal(e.status, 0x144);
	assert_true(e.param_valid);
	assert_int_equal(e.param_byte, 43);
	assert_int_equal(e.param_bit, 3);
	assert_true(e.lba == 0x1122334455667788);
	assert_int_equal(e.nsid, 5);
	assert_int_equal(e.opcode, 0x2d);
	assert_int_equal(e.command_specific, 0x80);
	at(14, "ffff");
	assert_int_equal(exp_nvme_error_entry_parse(page, 64, &e, NULL), 0);
	assert_false(e.param_valid);
	assert_int_equal(e.param_byte, 0);
	assert_int_equal(e.param_bit, 0);
}

static int parse_effects(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_effects e;

	return exp_nvme_effects_parse(p, len, &e, err);
}

static int parse_changed(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_ns_list l;
	bool all;
	int r = exp_nvme_changed_ns_parse(p, len, &l, &all, err);

	assert_true(r < 0 || l.n <= EXP_NVME_NS_LIST_MAX);
	return r;
}

static int parse_error(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_error_entry e;

	return exp_nvme_error_entry_parse(p, len, &e, err);
}

static void test_logs_cut_short(void **state)
{
	(void)state;
	memset(page, 0x11, sizeof(page));
	test_truncated(parse_effects, page, sizeof(page));
	test_truncated(parse_changed, page, sizeof(page));
	test_truncated(parse_error, page, 64);
}

static void test_logs_mutated(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	at(0, "01000000 02000000 03000000");
	test_mutated(parse_changed, page, sizeof(page), 0x1060000, TEST_MUTATIONS);
	test_mutated(parse_error, page, 64, 0x1070000, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_log_command),    cmocka_unit_test(test_effects),
		cmocka_unit_test(test_changed_namespaces), cmocka_unit_test(test_error_entry),
		cmocka_unit_test(test_logs_cut_short),     cmocka_unit_test(test_logs_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
