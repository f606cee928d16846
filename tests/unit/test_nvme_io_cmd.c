/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/io_cmd: read, write, zero, deallocate, Get LBA Status (NVM 3.3, 4.2.1) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/io_cmd.h"

static uint8_t buf[4096];

static void test_read_write(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_read(&c, 2, 0x0000000300000004, 1);
	assert_sqe(&c, { 0, 0x02 }, { 1, 2 }, { 10, 4 }, { 11, 3 });
	assert_no_data(&c);
	exp_nvme_write(&c, 2, 0x0000000300000004, 65536);
	assert_sqe(&c, { 0, 0x01 }, { 1, 2 }, { 10, 4 }, { 11, 3 }, { 12, 0x0000ffff });
	exp_nvme_write_zeroes(&c, 2, 16, 8, false);
	assert_sqe(&c, { 0, 0x08 }, { 1, 2 }, { 10, 16 }, { 12, 7 });
	exp_nvme_write_zeroes(&c, 2, 16, 8, true);
	assert_sqe(&c, { 0, 0x08 }, { 1, 2 }, { 10, 16 }, { 12, 0x02000007 });
	exp_nvme_flush(&c, 2);
	assert_sqe(&c, { 0, 0x00 }, { 1, 2 });
}

static void test_deallocate(void **state)
{
	static const struct exp_nvme_range ranges[] = {
		{ .slba = 0x0102030405060708, .blocks = 0x11121314 },
		{ .slba = 64, .blocks = 8 },
	};
	static const uint8_t zero[4096];
	struct exp_nvme_cmd c;

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	exp_nvme_deallocate(&c, 2, ranges, 2, buf);
	assert_sqe(&c, { 0, 0x09 }, { 1, 2 }, { 10, 1 }, { 11, 4 });
	assert_data(&c, buf, NULL, 4096);
	assert_hex(buf, 32,
		   "00000000 14131211 0807060504030201 00000000 08000000 4000000000000000");
	assert_memory_equal(buf + 32, zero, 4096 - 32);
}

static void test_get_lba_status_command(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_get_lba_status(&c, 2, 0x0000000500000006, buf, 4096);
	assert_sqe(&c, { 0, 0x86 }, { 1, 2 }, { 10, 6 }, { 11, 5 }, { 12, 1023 },
		   { 13, 0x02000000 });
	assert_data(&c, NULL, buf, 4096);
}

/* NLSD 2, CMPC, blocks 16..31 and 64..64 */
#define TWO(cmpc)                              \
	"02000000 " cmpc " 000000"             \
	"1000000000000000 0f000000 00 02 0000" \
	"4000000000000000 00000000 00 02 0000"

static int parse_hex(const char *hex, uint64_t slba, uint64_t nsze, struct exp_nvme_lba_status *ret,
		     struct exp_error *err)
{
	size_t n = test_hex(buf, sizeof(buf), hex);

	return exp_nvme_lba_status_parse(buf, n, slba, nsze, ret, err);
}

static void test_lba_status_reply(void **state)
{
	struct exp_nvme_lba_status s;
	struct exp_nvme_lba_desc d;
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(parse_hex(TWO("02"), 0, 1000, &s, &err), &err);
	assert_int_equal(s.n, 2);
	assert_true(s.complete);
	exp_nvme_lba_status_at(&s, 0, &d);
	assert_int_equal(d.slba, 16);
	assert_int_equal(d.blocks, 16);
	exp_nvme_lba_status_at(&s, 1, &d);
	assert_int_equal(d.slba, 64);
	assert_int_equal(d.blocks, 1);
	/* incomplete: from the end of the last one on */
	assert_ok(parse_hex(TWO("01"), 0, 1000, &s, &err), &err);
	assert_false(s.complete);
	assert_int_equal(s.next, 65);
	/* no indication: ask on, rather than believe that there is nothing more */
	assert_ok(parse_hex(TWO("00"), 0, 1000, &s, &err), &err);
	assert_false(s.complete);
	assert_int_equal(s.next, 65);
	/* two that touch, the first from block 0 on */
	assert_ok(parse_hex("02000000 02 000000"
			    "0000000000000000 0f000000 00 02 0000"
			    "1000000000000000 00000000 00 02 0000",
			    0, 17, &s, &err),
		  &err);
	assert_int_equal(s.n, 2);
	/* the last one ends where the namespace does */
	assert_ok(parse_hex(TWO("01"), 0, 65, &s, &err), &err);
	assert_true(s.complete);
	/* nothing allocated */
	assert_ok(parse_hex("00000000 02 000000", 0, 1000, &s, &err), &err);
	assert_int_equal(s.n, 0);
	assert_true(s.complete);
}

static void test_lba_status_unknown_rest_is_not_empty(void **state)
{
	struct exp_nvme_lba_status s;
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(parse_hex("00000000 00 000000", 5, 1000, &s, &err), -ENODATA);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "from block 5");
}

static void status_bad(const char *hex, uint64_t slba, uint64_t nsze, const char *why)
{
	struct exp_nvme_lba_status s;
	struct exp_error err = { 0 };

	assert_int_equal(parse_hex(hex, slba, nsze, &s, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

static void test_lba_status_refuses(void **state)
{
	(void)state;
	status_bad("03000000 02 000000"
		   "1000000000000000 0f000000 00 02 0000"
		   "4000000000000000 00000000 00 02 0000",
		   0, 1000, "NLSD is 3, the reply has room for 2");
	status_bad("ffffffff 02 000000", 0, 1000, "NLSD is 4294967295");
	status_bad("00000000 03 000000", 0, 1000, "CMPC is 3");
	status_bad(TWO("02"), 0, 64, "1 blocks from 64, the namespace has 64");
	status_bad(TWO("02"), 0, 63, "1 blocks from 64, the namespace has 63");
	status_bad("01000000 02 000000 f0ffffffffffffff ffffffff 00 02 0000", 0, 1000,
		   "the namespace has 1000");
	status_bad("02000000 02 000000"
		   "1000000000000000 0f000000 00 02 0000"
		   "1f00000000000000 00000000 00 02 0000",
		   0, 1000, "before the end 32");
	/* incomplete without getting anywhere: for ever */
	status_bad(TWO("01"), 65, 1000, "incomplete from block 65");
	status_bad("00000000 01 000000", 0, 1000, "incomplete from block 0");
	status_bad("00000000 01 000000", 0, 1, "incomplete from block 0");
}

static int parse(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_lba_status s;
	struct exp_nvme_lba_desc d;
	uint64_t end = 0;
	int r = exp_nvme_lba_status_parse(p, len, 3, 1 << 20, &s, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < s.n; i++) {
		exp_nvme_lba_status_at(&s, i, &d);
		assert_true(d.blocks && d.slba >= end && d.slba + d.blocks <= 1 << 20);
		end = d.slba + d.blocks;
	}
	assert_true(s.complete || s.next > 3);
	return 0;
}

static void test_lba_status_cut_short_and_mutated(void **state)
{
	size_t n = test_hex(buf, sizeof(buf), TWO("01"));

	(void)state;
	test_truncated(parse, buf, n);
	test_mutated(parse, buf, n, 0x1ba0000, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_deallocate),
		cmocka_unit_test(test_get_lba_status_command),
		cmocka_unit_test(test_lba_status_reply),
		cmocka_unit_test(test_lba_status_unknown_rest_is_not_empty),
		cmocka_unit_test(test_lba_status_refuses),
		cmocka_unit_test(test_lba_status_cut_short_and_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
