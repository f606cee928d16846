/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/sqe: the 64 and 16 bytes of queue entries (Base 4.1, 4.2) */
#include "support/nvme_tests.h"

#include "nvme/sqe.h"

static void test_sqe_every_field_has_its_place(void **state)
{
	struct exp_nvme_sqe s = {
		.opcode = 0x41,
		.flags = 0x02,
		.cid = 0x1234,
		.nsid = 0x11223344,
		.cdw2 = 0x02020202,
		.cdw3 = 0x03030303,
		.mptr = 0x1020304050607080,
		.prp1 = 0x1112131415161718,
		.prp2 = 0x2122232425262728,
		.cdw10 = 0x0a0a0a0a,
		.cdw11 = 0x0b0b0b0b,
		.cdw12 = 0x0c0c0c0c,
		.cdw13 = 0x0d0d0d0d,
		.cdw14 = 0x0e0e0e0e,
		.cdw15 = 0x0f1f2f3f,
	};
	uint8_t out[64];

	(void)state;
	memset(out, 0xee, sizeof(out));
	exp_nvme_sqe_encode(&s, out);
	assert_hex(out, sizeof(out),
		   "41 02 3412  44332211  02020202 03030303  8070605040302010"
		   "1817161514131211  2827262524232221"
		   "0a0a0a0a 0b0b0b0b 0c0c0c0c 0d0d0d0d 0e0e0e0e 3f2f1f0f");
}

static void test_cqe_every_field_has_its_place(void **state)
{
	struct exp_nvme_cqe cqe;
	uint8_t in[16];

	(void)state;
	/* dw0, dw1, SQHD 17, SQID 2, CID 1234h, status: phase 1, SC 39h, SCT 1, M 1, DNR 1 */
	test_hex(in, sizeof(in), "78563412 efbeadde 1100 0200 3412 73c2");
	exp_nvme_cqe_decode(in, &cqe);
	assert_int_equal(cqe.dw0, 0x12345678);
	assert_int_equal(cqe.dw1, 0xdeadbeef);
	assert_int_equal(cqe.sqhd, 17);
	assert_int_equal(cqe.sqid, 2);
	assert_int_equal(cqe.cid, 0x1234);
	assert_true(cqe.phase);
	assert_true(exp_nvme_cqe_phase(in));
	assert_int_equal(cqe.status, 0x139);
	assert_true(cqe.more);
	assert_true(cqe.dnr);
}

static void test_cqe_success_in_the_second_pass(void **state)
{
	struct exp_nvme_cqe cqe;
	uint8_t in[16] = { 0 };

	(void)state;
	exp_nvme_cqe_decode(in, &cqe);
	assert_int_equal(cqe.status, 0);
	assert_false(cqe.phase);
	assert_false(exp_nvme_cqe_phase(in));
	assert_false(cqe.more);
	assert_false(cqe.dnr);
	in[14] = 0xfe; /* SC FFh */
	in[15] = 0x31; /* CRD 3 is not part of the status */
	exp_nvme_cqe_decode(in, &cqe);
	assert_int_equal(cqe.status, 0x0ff);
	assert_false(cqe.phase);
	assert_false(cqe.more);
	assert_false(cqe.dnr);
	in[15] = 0x40; /* M alone */
	exp_nvme_cqe_decode(in, &cqe);
	assert_true(cqe.more);
	assert_false(cqe.dnr);
	in[15] = 0x80; /* DNR alone */
	exp_nvme_cqe_decode(in, &cqe);
	assert_false(cqe.more);
	assert_true(cqe.dnr);
	in[14] = 0;
	in[15] = 0x0e; /* SCT 7 */
	exp_nvme_cqe_decode(in, &cqe);
	assert_int_equal(cqe.status, 0x700);
}

static void test_cmd_starts_clear(void **state)
{
	struct exp_nvme_cmd c;
	uint8_t buf[8];

	(void)state;
	memset(&c, 0xff, sizeof(c));
	exp_nvme_cmd_init(&c, 0x06, "Identify");
	assert_sqe(&c, { 0, 0x06 });
	assert_no_data(&c);
	assert_false(c.own_prp);
	assert_string_equal(c.name, "Identify");
	exp_nvme_cmd_out(&c, buf, 8);
	exp_nvme_cmd_in(&c, buf, 8);
	assert_data(&c, buf, buf, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sqe_every_field_has_its_place),
		cmocka_unit_test(test_cqe_every_field_has_its_place),
		cmocka_unit_test(test_cqe_success_in_the_second_pass),
		cmocka_unit_test(test_cmd_starts_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
