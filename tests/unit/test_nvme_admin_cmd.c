/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/admin_cmd: namespaces, features, events, queues, registers (Base 3.1.4, 5.1, 5.2) */
#include "support/nvme_tests.h"

#include "nvme/admin_cmd.h"

static uint8_t buf[4096];

static void test_namespace_create(void **state)
{
	static const uint8_t zero[4096];
	struct exp_nvme_ns_create ns = {
		.nsze = 0x0102030405060708, .ncap = 0x1112131415161718, .format = 2, .shared = true
	};
	struct exp_nvme_cmd c;

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	exp_nvme_ns_create(&c, &ns, buf);
	assert_sqe(&c, { 0, 0x0d });
	assert_data(&c, buf, NULL, 4096);
	assert_hex(buf, 32,
		   "0807060504030201 1817161514131211 00000000 00000000 0000 02 00 00 00 01 00");
	assert_memory_equal(buf + 32, zero, 4096 - 32);
	ns.format = 0x35; /* 11 0101b: 0101b in bits 3:0, 11b in bits 6:5, bit 4 clear */
	ns.shared = false;
	exp_nvme_ns_create(&c, &ns, buf);
	assert_int_equal(buf[26], 0x65);
	assert_int_equal(buf[30], 0);
}

static void test_namespace_delete(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_ns_delete(&c, 9);
	assert_sqe(&c, { 0, 0x0d }, { 1, 9 }, { 10, 1 });
	assert_no_data(&c);
}

static void test_namespace_attachment(void **state)
{
	static const uint8_t zero[4096];
	struct exp_nvme_cmd c;

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	exp_nvme_ns_attach(&c, EXP_NVME_NS_ATTACH, 9, 0x0102, buf);
	assert_sqe(&c, { 0, 0x15 }, { 1, 9 });
	assert_data(&c, buf, NULL, 4096);
	assert_hex(buf, 4, "0100 0201");
	assert_memory_equal(buf + 4, zero, 4096 - 4);
	assert_string_equal(c.name, "Namespace Attachment, Attach");
	exp_nvme_ns_attach(&c, EXP_NVME_NS_DETACH, 9, 0x0102, buf);
	assert_sqe(&c, { 0, 0x15 }, { 1, 9 }, { 10, 1 });
	assert_string_equal(c.name, "Namespace Attachment, Detach");
}

static void test_features(void **state)
{
	struct exp_nvme_cmd c;
	uint32_t n_sq, n_cq;

	(void)state;
	exp_nvme_set_feature(&c, EXP_NVME_FID_ASYNC_EVENT, 0x00080100);
	assert_sqe(&c, { 0, 0x09 }, { 10, 0x0b }, { 11, 0x00080100 });
	exp_nvme_get_feature(&c, EXP_NVME_FID_VOLATILE_WC);
	assert_sqe(&c, { 0, 0x0a }, { 10, 0x06 });
	exp_nvme_set_num_queues(&c, 4, 8);
	assert_sqe(&c, { 0, 0x09 }, { 10, 0x07 }, { 11, 0x00070003 });
	exp_nvme_num_queues(0x001f000f, &n_sq, &n_cq);
	assert_int_equal(n_sq, 16);
	assert_int_equal(n_cq, 32);
	exp_nvme_num_queues(0xffffffff, &n_sq, &n_cq);
	assert_int_equal(n_sq, 65536);
}

static void test_events(void **state)
{
	struct exp_nvme_cqe cqe = { .dw0 = 0x001c0902, .dw1 = 0x11223344 };
	struct exp_nvme_event e;
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_async_event(&c);
	assert_sqe(&c, { 0, 0x0c });
	exp_nvme_event_decode(&cqe, &e); /* Allocated Namespace Attribute Changed */
	assert_int_equal(e.type, EXP_NVME_EVENT_NOTICE);
	assert_int_equal(e.info, EXP_NVME_NOTICE_ALLOCATED_NS);
	assert_int_equal(e.lid, EXP_NVME_LID_CHANGED_ALLOC_NS);
	assert_int_equal(e.param, 0x11223344);
}

static void test_queues(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_create_cq(&c, 3, 255, 0x100001000, true, 3);
	assert_sqe(&c, { 0, 0x05 }, { 6, 0x00001000 }, { 7, 1 }, { 10, 0x00ff0003 },
		   { 11, 0x00030003 });
	assert_true(c.own_prp);
	assert_no_data(&c);
	exp_nvme_create_cq(&c, 1, 1, 0x1000, false, 0);
	assert_sqe(&c, { 0, 0x05 }, { 6, 0x1000 }, { 10, 0x00010001 }, { 11, 0x00000001 });
	exp_nvme_create_sq(&c, 3, 255, 0x2000, 2);
	assert_sqe(&c, { 0, 0x01 }, { 6, 0x2000 }, { 10, 0x00ff0003 }, { 11, 0x00020001 });
	assert_true(c.own_prp);
	assert_no_data(&c);
	exp_nvme_delete_cq(&c, 3);
	assert_sqe(&c, { 0, 0x04 }, { 10, 3 });
	exp_nvme_delete_sq(&c, 3);
	assert_sqe(&c, { 0, 0x00 }, { 10, 3 });
	assert_false(c.own_prp);
}

static void test_capabilities_register(void **state)
{
	struct exp_nvme_cap cap;

	(void)state;
	/* MPSMAX 4, MPSMIN 0, CSS 01h, DSTRD 2, TO 20, AMS 1, CQR 1, MQES 1023 */
	exp_nvme_cap_decode(0x00400022140303ff, &cap);
	assert_int_equal(cap.mqes, 1023);
	assert_true(cap.cqr);
	assert_int_equal(cap.ams, 1);
	assert_int_equal(cap.timeout_ms, 10000);
	assert_int_equal(cap.doorbell_stride_bytes, 16);
	assert_int_equal(cap.css, 1);
	assert_int_equal(cap.mpsmin, 0);
	assert_int_equal(cap.mpsmax, 4);
	assert_int_equal(exp_nvme_doorbell(&cap, 0, false), 0x1000);
	assert_int_equal(exp_nvme_doorbell(&cap, 0, true), 0x1010);
	assert_int_equal(exp_nvme_doorbell(&cap, 3, true), 0x1070);
	exp_nvme_cap_decode(0x00210000000203ff, &cap); /* CQR 0, AMS 1, MPSMAX 2, MPSMIN 1 */
	assert_false(cap.cqr);
	assert_int_equal(cap.ams, 1);
	assert_int_equal(cap.mpsmin, 1);
	assert_int_equal(cap.mpsmax, 2);
	/* what the Reference template shows: TO FFh, CQR 1, CSS NVM, all other bits 0 */
	exp_nvme_cap_decode(0x00000020ff010fff, &cap);
	assert_int_equal(cap.mqes, 4095);
	assert_int_equal(cap.timeout_ms, 127500);
	assert_int_equal(cap.css, 1);
	assert_int_equal(cap.doorbell_stride_bytes, 4);
	assert_int_equal(exp_nvme_doorbell(&cap, 2, false), 0x1010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespace_create),
		cmocka_unit_test(test_namespace_delete),
		cmocka_unit_test(test_namespace_attachment),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_capabilities_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
