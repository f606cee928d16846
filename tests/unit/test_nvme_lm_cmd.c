/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/lm_cmd: live-migration commands against worked encodings (Base 5.2.4, .16, .17, .28) */
#include "support/nvme_tests.h"

#include "nvme/lm_cmd.h"

static const struct exp_nvme_state_sel csvi1 = { .csvi = 1 };
static const struct exp_nvme_state_sel both = { .csvi = 1, .csuuidi = 2 };

static void test_suspend(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_suspend(&c, 5, EXP_NVME_SUSPEND_NOTIFY);
	assert_sqe(&c, { 0, 0x41 }, { 11, 0x00000005 });
	assert_no_data(&c);
	exp_nvme_suspend(&c, 5, EXP_NVME_SUSPEND);
	assert_sqe(&c, { 0, 0x41 }, { 11, 0x00010005 });
	assert_string_equal(c.name, "Migration Send, Suspend");
	assert_no_data(&c);
	exp_nvme_suspend(&c, 0xffef, EXP_NVME_SUSPEND); /* bit 31, DUDMQ, is never set */
	assert_sqe(&c, { 0, 0x41 }, { 11, 0x0001ffef });
}

static void test_resume(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_resume(&c, 5);
	assert_sqe(&c, { 0, 0x41 }, { 10, 0x00000001 }, { 11, 0x00000005 });
	assert_no_data(&c);
}

static void test_set_state(void **state)
{
	struct exp_nvme_cmd c;
	uint8_t data[4096] = { 0 };

	(void)state;
	exp_nvme_set_state(&c, 5, csvi1, EXP_NVME_SEQ_ONLY, 0, data, 104);
	assert_sqe(&c, { 0, 0x41 }, { 10, 0x00030002 }, { 11, 0x00010005 }, { 15, 26 });
	assert_data(&c, data, NULL, 104);

	exp_nvme_set_state(&c, 5, both, EXP_NVME_SEQ_FIRST, 0, data, 4096);
	assert_sqe(&c, { 0, 0x41 }, { 10, 0x00010002 }, { 11, 0x02010005 }, { 15, 1024 });
	assert_data(&c, data, NULL, 4096);

	exp_nvme_set_state(&c, 5, both, EXP_NVME_SEQ_MIDDLE, 4096, data, 4096);
	assert_sqe(&c, { 0, 0x41 }, { 10, 0x00000002 }, { 11, 0x02010005 }, { 12, 4096 },
		   { 15, 1024 });

	exp_nvme_set_state(&c, 5, both, EXP_NVME_SEQ_LAST, 0x123456788, NULL, 0);
	assert_sqe(&c, { 0, 0x41 }, { 10, 0x00020002 }, { 11, 0x02010005 }, { 12, 0x23456788 },
		   { 13, 1 });
	assert_no_data(&c);
}

static void test_get_state(void **state)
{
	struct exp_nvme_cmd c;
	struct exp_nvme_state_sel uuid3 = { .csuuidi = 3 };
	struct exp_nvme_cqe cqe = { .dw0 = 1 };
	uint8_t buf[4096];

	(void)state;
	exp_nvme_get_state(&c, 5, csvi1, 0, buf, 4096);
	assert_sqe(&c, { 0, 0x42 }, { 10, 0x00010000 }, { 11, 0x00000005 }, { 15, 1023 });
	assert_data(&c, NULL, buf, 4096);

	exp_nvme_get_state(&c, 5, uuid3, 0x200000010, buf, 4);
	assert_sqe(&c, { 0, 0x42 }, { 11, 0x00030005 }, { 12, 0x10 }, { 13, 2 });

	assert_true(exp_nvme_csup(&cqe));
	cqe.dw0 = 0xfffffffe;
	assert_false(exp_nvme_csup(&cqe));
}

/* 10 000 bytes in pieces of 4096: first, middle, last */
static void test_sequence_indicator(void **state)
{
	(void)state;
	assert_int_equal(exp_nvme_seq_of(0, 4096, 10000), 1);
	assert_int_equal(exp_nvme_seq_of(4096, 4096, 10000), 0);
	assert_int_equal(exp_nvme_seq_of(8192, 1808, 10000), 2);
	assert_int_equal(exp_nvme_seq_of(0, 104, 104), 3);
	assert_int_equal(exp_nvme_seq_of(104, 0, 104), 2); /* the empty last one */
}

static void test_controller_data_queue(void **state)
{
	struct exp_nvme_cmd c;
	struct exp_nvme_cqe cqe = { .dw0 = 0xffff0003 };

	(void)state;
	exp_nvme_cdq_create(&c, 5, 0x1122334455667000, true, 128);
	assert_sqe(&c, { 0, 0x45 }, { 6, 0x55667000 }, { 7, 0x11223344 }, { 11, 0x00050001 },
		   { 12, 1024 });
	assert_no_data(&c);
	assert_true(c.own_prp);
	exp_nvme_cdq_create(&c, 5, 0x1000, false, 1);
	assert_sqe(&c, { 0, 0x45 }, { 6, 0x1000 }, { 11, 0x00050000 }, { 12, 8 });
	assert_int_equal(exp_nvme_cdqid(&cqe), 3);

	exp_nvme_cdq_delete(&c, 3);
	assert_sqe(&c, { 0, 0x45 }, { 10, 1 }, { 11, 3 });
	assert_no_data(&c);
	assert_false(c.own_prp);
}

static void test_track_send(void **state)
{
	struct exp_nvme_cmd c;

	(void)state;
	exp_nvme_log_changes(&c, 3, true);
	assert_sqe(&c, { 0, 0x3d }, { 10, 0x00010000 }, { 11, 3 });
	exp_nvme_log_changes(&c, 3, false);
	assert_sqe(&c, { 0, 0x3d }, { 11, 3 });
	assert_no_data(&c);
}

static void test_queue_head_feature(void **state)
{
	struct exp_nvme_cmd c;
	uint8_t buf[512] = { 0x11, 0, 0, 0, 0x40, 0, 0, 0x80 };
	uint32_t head, trigger = 64;

	(void)state;
	exp_nvme_cdq_set_head(&c, 2, 17, NULL);
	assert_sqe(&c, { 0, 0x09 }, { 10, 0x21 }, { 11, 2 }, { 12, 17 });
	exp_nvme_cdq_set_head(&c, 3, 17, &trigger);
	assert_sqe(&c, { 0, 0x09 }, { 10, 0x21 }, { 11, 0x80000003 }, { 12, 17 }, { 13, 64 });
	assert_no_data(&c);

	exp_nvme_cdq_get_head(&c, 3, buf);
	assert_sqe(&c, { 0, 0x0a }, { 10, 0x21 }, { 11, 3 });
	assert_data(&c, NULL, buf, 512);
	exp_nvme_cdq_head_decode(buf, &head, &trigger);
	assert_int_equal(head, 17);
	assert_int_equal(trigger, 0x80000040);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_set_state),
		cmocka_unit_test(test_get_state),
		cmocka_unit_test(test_sequence_indicator),
		cmocka_unit_test(test_controller_data_queue),
		cmocka_unit_test(test_track_send),
		cmocka_unit_test(test_queue_head_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
