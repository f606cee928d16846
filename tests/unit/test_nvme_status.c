/* SPDX-License-Identifier: Apache-2.0 */
/* lib/nvme/status: names, errno and retry of completion statuses (Base 4.2.3) */
#include <errno.h>

#include "support/nvme_tests.h"

#include "nvme/status.h"

/* typed from the status tables of the specification */
static const struct {
	unsigned int sct, sc;
	const char *name;
} names[] = {
	{ 0, 0x01, "Invalid Command Opcode" },
	{ 0, 0x02, "Invalid Field in Command" },
	{ 0, 0x0c, "Command Sequence Error" },
	{ 0, 0x13, "PRP Offset Invalid" },
	{ 1, 0x1f, "Invalid Controller Identifier" },
	{ 1, 0x35, "Invalid Host" },
	{ 1, 0x36, "Invalid NVM Subsystem" },
	{ 1, 0x37, "Invalid Controller Data Queue" },
	{ 1, 0x38, "Not Enough Resources" },
	{ 1, 0x39, "Controller Suspended" },
	{ 1, 0x3a, "Controller Not Suspended" },
	{ 1, 0x3b, "Controller Data Queue Full" },
	{ 1, 0x42, "Controller Active" },
	{ 1, 0x43, "Invalid Exported Association" },
	{ 1, 0x44, "Invalid Exported Configuration State" },
};

static void test_status_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(names); i++)
		assert_string_equal(exp_nvme_status_name(EXP_NVME_SC(names[i].sct, names[i].sc)),
				    names[i].name);
	assert_string_equal(exp_nvme_status_name(0x7ff), "unknown status");
	assert_string_equal(exp_nvme_status_name(0x138), "Not Enough Resources");
}

static void test_status_format(void **state)
{
	char text[EXP_NVME_STATUS_TEXT];

	(void)state;
	assert_string_equal(exp_nvme_status_format(0x139, text), "1/39h Controller Suspended");
	assert_string_equal(exp_nvme_status_format(0x002, text), "0/02h Invalid Field in Command");
	assert_string_equal(exp_nvme_status_format(0x7ff, text), "7/FFh unknown status");
}

static void test_status_errno(void **state)
{
	(void)state;
	assert_int_equal(exp_nvme_status_errno(0), 0);
	assert_int_equal(exp_nvme_status_errno(0x001), EOPNOTSUPP);
	assert_int_equal(exp_nvme_status_errno(0x138), ENOSPC);
	assert_int_equal(exp_nvme_status_errno(0x13a), EALREADY);
	assert_int_equal(exp_nvme_status_errno(0x118), EALREADY);
	assert_int_equal(exp_nvme_status_errno(0x11a), EALREADY);
	assert_int_equal(exp_nvme_status_errno(0x002), EREMOTEIO);
	assert_int_equal(exp_nvme_status_errno(0x7ff), EREMOTEIO);
}

static void test_status_retry_is_for_what_passes(void **state)
{
	struct exp_nvme_cqe cqe = { .status = 0x021 }; /* Command Interrupted */

	(void)state;
	assert_true(exp_nvme_status_retry(0x021));
	assert_false(exp_nvme_status_retry(0x002));
	assert_false(exp_nvme_status_retry(0x139)); /* only a Resume ends it */
	assert_false(exp_nvme_status_retry(0x281));
	assert_false(exp_nvme_status_retry(0x7ff));
	assert_true(exp_nvme_cqe_retry(&cqe));
	cqe.dnr = true;
	assert_false(exp_nvme_cqe_retry(&cqe));
}

static void test_check_says_command_status_and_code(void **state)
{
	struct exp_nvme_cmd cmd;
	struct exp_nvme_cqe cqe = { .status = 0 };
	struct exp_error err = { 0 };

	(void)state;
	exp_nvme_cmd_init(&cmd, 0x41, "Migration Send, Resume");
	assert_int_equal(exp_nvme_check(&cmd, &cqe, &err), 0);
	assert_int_equal(err.code, EXP_CODE_OK);

	cqe.status = 0x13a;
	assert_int_equal(exp_nvme_check(&cmd, &cqe, &err), -EALREADY);
	assert_error(&err, EXP_CODE_NOT_SUSPENDED,
		     "Migration Send, Resume: 1/3Ah Controller Not Suspended");
	assert_int_equal(err.errnum, EALREADY);
	assert_int_equal(err.nvme_status, 0x13a);

	cqe.status = 0x7c0;
	assert_int_equal(exp_nvme_check(&cmd, &cqe, &err), -EREMOTEIO);
	assert_error(&err, EXP_CODE_DEVICE_STATUS, "7/C0h unknown status");
	assert_int_equal(exp_nvme_check(&cmd, &cqe, NULL), -EREMOTEIO);
}

static void test_status_error_has_the_callers_words(void **state)
{
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(exp_nvme_status_error(&err, 0x115, "create %u MiB", 64u), -ENOSPC);
	assert_error(&err, EXP_CODE_NO_SPACE,
		     "create 64 MiB: 1/15h Namespace Insufficient Capacity");
	assert_int_equal(err.nvme_status, 0x115);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_names),
		cmocka_unit_test(test_status_format),
		cmocka_unit_test(test_status_errno),
		cmocka_unit_test(test_status_retry_is_for_what_passes),
		cmocka_unit_test(test_check_says_command_status_and_code),
		cmocka_unit_test(test_status_error_has_the_callers_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
