/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/cdq: LBA Migration Queue entries, type 0 (NVM 5.6) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/cdq.h"

static struct exp_nvme_log_entry decode_ok(const char *hex)
{
	struct exp_nvme_log_entry e;
	struct exp_error err = { 0 };
	uint8_t slot[32];

	assert_int_equal(test_hex(slot, sizeof(slot), hex), 32);
	assert_ok(exp_nvme_log_entry_decode(slot, &e, &err), &err);
	return e;
}

static void decode_bad(uint8_t attr, uint32_t nsid, uint64_t slba, const char *why)
{
	struct exp_nvme_log_entry e;
	struct exp_error err = { 0 };
	uint8_t slot[32] = { 0 };

	exp_put_le32(slot, nsid);
	exp_put_le64(slot + 8, slba);
	slot[31] = attr;
	assert_int_equal(exp_nvme_log_entry_decode(slot, &e, &err), -EBADMSG);
	assert_error(&err, EXP_CODE_DEVICE_DATA, why);
}

#define REST "000000000000000000000000000000" /* bytes 16..30 */

static void test_entry_ordinary_range(void **state)
{
	/* NSID 7, NLB 7 (8 blocks), SLBA 0807060504030201h, pass 1 */
	struct exp_nvme_log_entry e = decode_ok("07000000 07000000 0102030405060708" REST "01");

	(void)state;
	assert_int_equal(e.change, EXP_NVME_CHANGE_RANGE);
	assert_int_equal(e.mark, EXP_NVME_MARK_NONE);
	assert_false(e.deallocated);
	assert_int_equal(e.nsid, 7);
	assert_true(e.slba == 0x0807060504030201);
	assert_int_equal(e.blocks, 8);
	/* pass 2: the same with phase 0 */
	e = decode_ok("07000000 ffffffff 0000000000000000" REST "00");
	assert_true(e.blocks == 0x100000000);
	assert_int_equal(e.slba, 0);
}

static void test_entry_deallocated_range(void **state)
{
	struct exp_nvme_log_entry e = decode_ok("01000000 00000000 1000000000000000" REST "21");

	(void)state;
	assert_true(e.deallocated);
	assert_int_equal(e.blocks, 1);
	assert_int_equal(e.slba, 16);
	assert_int_equal(e.mark, EXP_NVME_MARK_NONE);
}

static void test_entry_first_with_a_range(void **state)
{
	struct exp_nvme_log_entry e = decode_ok("01000000 00000000 1000000000000000" REST "03");

	(void)state;
	assert_int_equal(e.mark, EXP_NVME_MARK_FIRST);
	assert_int_equal(e.change, EXP_NVME_CHANGE_RANGE);
	assert_int_equal(e.blocks, 1);
}

static void test_entry_first_and_all_blocks(void **state)
{
	/* SLBA and NLB mean nothing here */
	struct exp_nvme_log_entry e = decode_ok("01000000 ffffffff ffffffffffffffff" REST "43");

	(void)state;
	assert_int_equal(e.mark, EXP_NVME_MARK_FIRST);
	assert_int_equal(e.change, EXP_NVME_CHANGE_ALL);
	assert_int_equal(e.nsid, 1);
	assert_int_equal(e.blocks, 0);
	assert_int_equal(e.slba, 0);
}

static void test_entry_ends_without_a_range(void **state)
{
	static const struct {
		const char *hex;
		enum exp_nvme_log_mark mark;
		const char *name;
	} ends[] = {
		{ "00000000 00000000 0000000000000000" REST "85", EXP_NVME_MARK_STOPPED,
		  "stopped" },
		{ "00000000 00000000 0000000000000000" REST "87", EXP_NVME_MARK_SUSPENDED,
		  "suspended" },
		{ "00000000 00000000 0000000000000000" REST "8f", EXP_NVME_MARK_FULL, "full" },
	};

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(ends); i++) {
		struct exp_nvme_log_entry e = decode_ok(ends[i].hex);

		assert_int_equal(e.mark, ends[i].mark);
		assert_string_equal(exp_nvme_log_mark_name(e.mark), ends[i].name);
		assert_int_equal(e.change, EXP_NVME_CHANGE_NONE);
		assert_int_equal(e.nsid, 0);
		assert_int_equal(e.blocks, 0);
	}
}

static void test_entry_suspended_with_the_last_range(void **state)
{
	struct exp_nvme_log_entry e = decode_ok("02000000 0f000000 0001000000000000" REST "07");

	(void)state;
	assert_int_equal(e.mark, EXP_NVME_MARK_SUSPENDED);
	assert_int_equal(e.change, EXP_NVME_CHANGE_RANGE);
	assert_int_equal(e.nsid, 2);
	assert_int_equal(e.slba, 256);
	assert_int_equal(e.blocks, 16);
}

static void test_entry_reserved_values_are_refused(void **state)
{
	(void)state;
	decode_bad(0xc3, 1, 0, "LBACIR 3");
	decode_bad(0x09, 1, 0, "ESA 4");
	decode_bad(0x0b, 1, 0, "ESA 5");
	decode_bad(0x0d, 1, 0, "ESA 6");
	decode_bad(0x41, 1, 0, "only 0 may be"); /* all blocks in an ordinary entry */
	decode_bad(0x81, 0, 0, "only 0 may be");
	decode_bad(0x01, 0, 0, "names no namespace");
	decode_bad(0x43, 0, 0, "names no namespace");
	decode_bad(0x01, 0xffffffff, 0, "names no namespace");
	decode_bad(0x01, 1, UINT64_MAX, "passes the end");
	/* the last block number that there can be */
	decode_ok("01000000 00000000 feffffffffffffff" REST "01");
}

static void test_entry_phase_is_bit_0_of_the_last_byte(void **state)
{
	uint8_t slot[32];

	(void)state;
	memset(slot, 0xff, sizeof(slot));
	slot[31] = 0xfe;
	assert_false(exp_nvme_log_entry_phase(slot));
	memset(slot, 0, sizeof(slot));
	slot[31] = 0x01;
	assert_true(exp_nvme_log_entry_phase(slot));
}

/* A reader over a queue of 4 slots, through two wraps: what cdq.h says of head and phase. */
static void test_entry_phase_over_the_wrap(void **state)
{
	uint8_t ring[4][32] = { 0 };
	unsigned int head = 0, tail = 0;
	bool expect = true, post = true;
	uint64_t read = 0;

	(void)state;
	for (uint64_t n = 0; n < 11; n++) {
		exp_put_le32(ring[tail], 1);
		exp_put_le64(ring[tail] + 8, n);
		ring[tail][31] = post;
		tail = (tail + 1) % 4;
		post = tail ? post : !post;
		if (n % 3 != 2)
			continue; /* let up to three gather */
		while (exp_nvme_log_entry_phase(ring[head]) == expect) {
			struct exp_nvme_log_entry e;

			assert_int_equal(exp_nvme_log_entry_decode(ring[head], &e, NULL), 0);
			assert_int_equal(e.slba, read++);
			head = (head + 1) % 4;
			expect = head ? expect : !expect;
		}
		assert_int_equal(read, n + 1);
	}
}

static int parse(const uint8_t *p, size_t len, struct exp_error *err)
{
	struct exp_nvme_log_entry e;
	uint8_t slot[32] = { 0 };
	int r;

	memcpy(slot, p, len);
	r = exp_nvme_log_entry_decode(slot, &e, err);
	if (r < 0)
		return r;
	assert_true(e.change != EXP_NVME_CHANGE_RANGE || (e.blocks && e.nsid));
	assert_true(e.change == EXP_NVME_CHANGE_RANGE || !e.blocks);
	assert_true(e.slba <= UINT64_MAX - e.blocks);
	return 0;
}

static void test_entry_mutations(void **state)
{
	uint8_t good[32];

	(void)state;
	test_hex(good, sizeof(good), "07000000 07000000 0102030405060708" REST "07");
	test_mutated(parse, good, sizeof(good), 0xcd0, TEST_MUTATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_ordinary_range),
		cmocka_unit_test(test_entry_deallocated_range),
		cmocka_unit_test(test_entry_first_with_a_range),
		cmocka_unit_test(test_entry_first_and_all_blocks),
		cmocka_unit_test(test_entry_ends_without_a_range),
		cmocka_unit_test(test_entry_suspended_with_the_last_range),
		cmocka_unit_test(test_entry_reserved_values_are_refused),
		cmocka_unit_test(test_entry_phase_is_bit_0_of_the_last_byte),
		cmocka_unit_test(test_entry_phase_over_the_wrap),
		cmocka_unit_test(test_entry_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
