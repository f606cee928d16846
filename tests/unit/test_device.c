/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_drive.h"

#include "device/ctrl.h"
#include "device/ns.h"

static struct exp_error err;

/* ---- opening ---- */

static void test_open_reads_what_the_drive_can(void **state)
{
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);
	struct exp_caps c;
	uint16_t cntlid;

	(void)state;
	exp_device_caps(d, &c);
	assert_string_equal(c.model, "Fake Drive");
	assert_string_equal(c.serial, "SERIAL7");
	assert_string_equal(c.firmware, "F1");
	assert_string_equal(c.subnqn.s, "nqn.2026-11.test:fake");
	assert_int_equal(c.flags, EXP_CAP_MMC | EXP_CAP_NS_MGMT | EXP_CAP_TEMPLATE |
					  EXP_CAP_EXPORT_MIGRATE | EXP_CAP_ENF1 |
					  EXP_CAP_CHANGE_LOG | EXP_CAP_RESET_AT_OPEN);
	assert_int_equal(c.mdts, 5);
	assert_int_equal(f->t.max_bytes, 128 << 10);
	assert_int_equal(c.mqes, 0xfff);
	assert_int_equal(c.nsqs, 7);
	assert_int_equal(c.max_exports, 8);
	assert_int_equal(c.total_bytes, 1 << 30);
	assert_int_equal(c.free_bytes, 1 << 29);
	assert_int_equal(c.n_ctrls, 3); /* 0 is the MMC */
	assert_non_null(exp_caps_ctrl(&c, 3));
	assert_null(exp_caps_ctrl(&c, 0));
	assert_true(exp_caps_has_template(&c, &exp_nvme_reference_template));
	assert_true(exp_caps_has_state_uuid(&c, &exp_nvme_reference_template));
	assert_true(exp_caps_has_version(&c, 0));
	assert_non_null(exp_caps_format(&c, 4096));
	assert_int_equal(c.n_formats, 3);
	assert_int_equal(c.dlfeat, 1);
	/* no I/O queues, no data controller */
	assert_false(exp_device_data_cntlid(d, &cntlid));
	assert_non_null(strstr(c.no_ns_data, "data="));

	/* what changes is read again */
	exp_put_le64(f->id_ctrl + 296, 5);
	assert_ok(exp_device_refresh(d, &err), &err);
	exp_device_caps(d, &c);
	assert_int_equal(c.free_bytes, 5);
	exp_device_close(d);
	fake_free(f);
}

#define REFUSED(change, errnum, part)                                                           \
	do {                                                                                    \
		struct fake *f = fake_new();                                                    \
		struct exp_device_config config = { .transport = "fake" };                      \
		struct exp_device *d;                                                           \
		change;                                                                         \
		memset(&err, 0, sizeof(err));                                                   \
		assert_int_equal(exp_device_open_on(&f->t, NULL, &config, &d, &err), (errnum)); \
		if (!strstr(err.msg, part))                                                     \
			fail_msg("\"%s\" does not contain \"%s\"", err.msg, part);              \
		fake_free(f);                                                                   \
	} while (0)

static void test_open_refusals(void **state)
{
	(void)state;
	REFUSED(exp_put_le16(f->id_ctrl + 256, 0x0208), -EOPNOTSUPP, "bit 11");
	REFUSED(f->id_ctrl[111] = 2, -EOPNOTSUPP, "SERIAL7");
	REFUSED(f->id_ns[128 + 2] = 40, -EBADMSG, "LBADS");
	REFUSED(f->gone = true, -ENODEV, "gone");
}

static enum fake_answer no_such_page(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				     struct exp_nvme_cqe *cqe)
{
	const uint32_t *missing = f->arg;

	(void)data;
	if (cmd->sqe.opcode != 0x06 || (cmd->sqe.cdw10 & 0xff) != *missing)
		return FAKE_DEFAULT;
	cqe->status = 0x002;
	return FAKE_DONE;
}

/* Pages that older drives lack are missing capabilities, not errors. */
static void test_open_without_optional_pages(void **state)
{
	static uint32_t pages[] = { 0x06, 0x20, 0x22, 0x21 };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(pages); i++) {
		struct fake *f = fake_new();
		struct exp_device *d;
		struct exp_caps c;

		f->hook = no_such_page;
		f->arg = &pages[i];
		if (pages[i] == 0x21) {
			/* then the list of all controllers has to be there, and the fake has none
			 */
			struct exp_device_config config = { .transport = "fake" };

			assert_int_equal(exp_device_open_on(&f->t, NULL, &config, &d, &err),
					 -EREMOTEIO);
		} else {
			d = fake_open(f);
			exp_device_caps(d, &c);
			assert_int_equal(c.n_versions, pages[i] == 0x20 ? 0 : 1);
			assert_int_equal(c.n_templates, pages[i] == 0x22 ? 0 : 1);
			exp_device_close(d);
		}
		fake_free(f);
	}
}

static void test_missing_change_log_has_a_reason(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *reason;
	} cases[] = { { 576, 0, "TUDCS" }, { 578, 0, "MCUDMQ" } };
	struct exp_caps c;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		struct fake *f = fake_new();
		struct exp_device *d;

		f->id_ctrl[cases[i].at] = cases[i].value;
		d = fake_open(f);
		exp_device_caps(d, &c);
		assert_false(c.flags & EXP_CAP_CHANGE_LOG);
		assert_non_null(strstr(c.no_change_log, cases[i].reason));
		exp_device_close(d);
		fake_free(f);
	}
}

/* A drive that promises exports in Identify and lists no command for them. */
static enum fake_answer no_export_commands(struct fake *f, const struct exp_nvme_cmd *cmd,
					   uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)cqe;
	if (cmd->sqe.opcode != 0x02)
		return FAKE_DEFAULT;
	fake_put_effects(data);
	exp_put_le32(data + 4 * 0x2d, 0);
	return FAKE_DONE;
}

static void test_commands_that_are_not_listed_are_not_sent(void **state)
{
	struct fake *f = fake_new();
	struct exp_device *d;
	struct exp_caps c;

	(void)state;
	f->hook = no_export_commands;
	d = fake_open(f);
	exp_device_caps(d, &c);
	assert_false(c.flags & EXP_CAP_TEMPLATE);
	assert_int_equal(f->n[0x2a], 0);
	exp_device_close(d);
	fake_free(f);
}

/* ---- commands that miss their deadline ---- */

static enum fake_answer hold_opcode(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				    struct exp_nvme_cqe *cqe)
{
	(void)data;
	(void)cqe;
	return cmd->sqe.opcode == *(const uint8_t *)f->arg ? FAKE_HOLD : FAKE_DEFAULT;
}

static void test_late_suspend_stays_outstanding_and_bars_resume(void **state)
{
	uint8_t migration_send = 0x41;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);
	int how = 99;
	bool was, is;

	(void)state;
	memset(f->n, 0, sizeof(f->n));
	f->hook = hold_opcode;
	f->arg = &migration_send;
	assert_int_equal(exp_ctrl_suspend(d, FAKE_GUEST, 0, &err), -ETIMEDOUT);
	assert_int_equal(err.code, EXP_CODE_DEVICE_TIMEOUT);
	f->hook = NULL;

	assert_int_equal(exp_device_late(d, UINT32_MAX, 0, &how, &err), 1);
	assert_int_equal(exp_device_late(d, FAKE_GUEST, 0, &how, &err), 1);
	assert_int_equal(exp_device_late(d, FAKE_GUEST + 1, 0, &how, &err), 0);
	assert_int_equal(how, 99);
	/* nothing that it could overtake is sent, for this controller */
	assert_int_equal(exp_ctrl_resume(d, FAKE_GUEST, &was, 0, &err), -EBUSY);
	assert_error(&err, EXP_CODE_BUSY, "outstanding");
	assert_int_equal(exp_ns_attach(d, FAKE_NSID, FAKE_GUEST, &err), -EBUSY);
	assert_int_equal(f->n[0x41], 1);
	assert_int_equal(f->n[0x15], 0);
	/* others, and looking, go on */
	assert_ok(exp_ns_attach(d, FAKE_NSID, FAKE_GUEST + 1, &err), &err);
	f->state_len = 48;
	assert_ok(exp_ctrl_is_suspended(d, FAKE_GUEST, &is, &err), &err);
	assert_false(is);

	fake_release(f, 0);
	assert_int_equal(exp_device_late(d, FAKE_GUEST, 0, &how, &err), 0);
	assert_int_equal(how, 0);
	assert_ok(exp_ctrl_resume(d, FAKE_GUEST, &was, 0, &err), &err);
	assert_true(was);
	assert_int_equal(exp_device_late(d, UINT32_MAX, 0, NULL, &err), 0);
	exp_device_close(d);
	fake_free(f);
}

static void test_late_suspend_that_was_refused_in_the_end(void **state)
{
	uint8_t migration_send = 0x41;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);
	bool was = true;
	int how = 99;

	(void)state;
	f->hook = hold_opcode;
	f->arg = &migration_send;
	assert_int_equal(exp_ctrl_suspend(d, FAKE_GUEST, 0, &err), -ETIMEDOUT);
	f->hook = NULL;
	fake_release(f, 0x11f); /* Invalid Controller Identifier */
	assert_int_equal(exp_device_late(d, FAKE_GUEST, 0, &how, &err), 0);
	assert_int_equal(how, -ENOENT);
	assert_ok(exp_ctrl_resume(d, FAKE_GUEST, &was, 0, &err), &err);
	assert_false(was);
	exp_device_close(d);
	fake_free(f);
}

/* A late read is nobody's business: its memory is kept until it completes, and that is all. */
static void test_late_read_is_forgotten(void **state)
{
	uint8_t identify = 0x06;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);
	struct exp_ns_info info;

	(void)state;
	f->hook = hold_opcode;
	f->arg = &identify;
	assert_int_equal(exp_ns_identify(d, FAKE_NSID, &info, &err), -ETIMEDOUT);
	assert_int_equal(f->n_admins, 1);
	assert_int_equal(exp_device_late(d, UINT32_MAX, 0, NULL, &err), 0);
	fake_release(f, 0);
	assert_int_equal(f->n_admins, 0);
	exp_device_close(d);
	fake_free(f);
}

static void test_late_command_on_a_drive_that_went_away(void **state)
{
	uint8_t migration_send = 0x41;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);

	(void)state;
	f->hook = hold_opcode;
	f->arg = &migration_send;
	assert_int_equal(exp_ctrl_suspend(d, FAKE_GUEST, 0, &err), -ETIMEDOUT);
	f->gone = true;
	assert_int_equal(exp_device_late(d, FAKE_GUEST, 0, NULL, &err), -ENODEV);
	assert_int_equal(exp_device_check(d, &err), -ENODEV);
	exp_device_close(d);
	fake_free(f);
}

/* ---- namespaces ---- */

/* The drive says "done" and does nothing: its own list decides. */
static enum fake_answer lies_about_attachment(struct fake *f, const struct exp_nvme_cmd *cmd,
					      uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)data;
	(void)cqe;
	return cmd->sqe.opcode == 0x15 ? FAKE_DONE : FAKE_DEFAULT;
}

static void test_fence_is_believed_from_the_list_only(void **state)
{
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);

	(void)state;
	f->attached = 1u << FAKE_GUEST;
	f->hook = lies_about_attachment;
	assert_int_equal(exp_ns_detach(d, FAKE_NSID, FAKE_GUEST, &err), -EIO);
	assert_error(&err, EXP_CODE_FENCE, "its list says \"attached\"");
	f->attached = 0;
	assert_int_equal(exp_ns_attach(d, FAKE_NSID, FAKE_GUEST, &err), -EIO);
	assert_int_equal(err.code, EXP_CODE_FENCE);
	/* not in the list: it is detached, whatever was answered */
	assert_ok(exp_ns_detach(d, FAKE_NSID, FAKE_GUEST, &err), &err);
	exp_device_close(d);
	fake_free(f);
}

static enum fake_answer attach_status(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				      struct exp_nvme_cqe *cqe)
{
	(void)data;
	if (cmd->sqe.opcode != 0x15)
		return FAKE_DEFAULT;
	cqe->status = *(const uint16_t *)f->arg;
	return FAKE_DONE;
}

static void test_attach_already_so_is_success(void **state)
{
	uint16_t attached = 0x118, not_attached = 0x11a, suspended = 0x139;
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);

	(void)state;
	f->hook = attach_status;
	f->arg = &attached;
	f->attached = 1u << FAKE_GUEST;
	assert_ok(exp_ns_attach(d, FAKE_NSID, FAKE_GUEST, &err), &err);
	f->arg = &not_attached;
	f->attached = 0;
	assert_ok(exp_ns_detach(d, FAKE_NSID, FAKE_GUEST, &err), &err);
	/* "already" of the other kind is no success */
	assert_true(exp_ns_attach(d, FAKE_NSID, FAKE_GUEST, &err) < 0);
	/* a drive that does not detach from a suspended controller: the fence has to be another */
	f->arg = &suspended;
	assert_int_equal(exp_ns_detach(d, FAKE_NSID, FAKE_GUEST, &err), -EBUSY);
	assert_int_equal(err.code, EXP_CODE_FENCE);
	assert_int_equal(err.nvme_status, 0x139);
	exp_device_close(d);
	fake_free(f);
}

/* What the drive made is not what was asked for: gone again. */
static void test_created_namespace_is_checked(void **state)
{
	struct fake *f = fake_new();
	struct exp_device *d = fake_open(f);
	uint32_t nsid;

	(void)state;
	f->ns_there = false;
	assert_ok(exp_ns_create(d, FAKE_NSZE, 512, &nsid, &err), &err);
	assert_int_equal(nsid, FAKE_NSID);
	f->ns_there = false;
	assert_int_equal(exp_ns_create(d, FAKE_NSZE + 1, 512, &nsid, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "1000"));
	assert_non_null(strstr(err.msg, "1001"));
	assert_false(f->ns_there);
	exp_device_close(d);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_reads_what_the_drive_can),
		cmocka_unit_test(test_open_refusals),
		cmocka_unit_test(test_open_without_optional_pages),
		cmocka_unit_test(test_missing_change_log_has_a_reason),
		cmocka_unit_test(test_commands_that_are_not_listed_are_not_sent),
		cmocka_unit_test(test_late_suspend_stays_outstanding_and_bars_resume),
		cmocka_unit_test(test_late_suspend_that_was_refused_in_the_end),
		cmocka_unit_test(test_late_read_is_forgotten),
		cmocka_unit_test(test_late_command_on_a_drive_that_went_away),
		cmocka_unit_test(test_fence_is_believed_from_the_list_only),
		cmocka_unit_test(test_attach_already_so_is_success),
		cmocka_unit_test(test_created_namespace_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
