/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_drive.h"

#include "device/ctrl.h"

static struct exp_error err;

/* A container of version 0 with an I/O queue state of @n_sq + @n_cq empty slots (Base 5.2.17.1.3)
 */
static size_t put_image(uint8_t *p, uint16_t n_sq, uint16_t n_cq)
{
	size_t queues = 8 + 24u * (n_sq + n_cq);

	memset(p, 0, 48 + queues);
	p[2] = 1; /* CP */
	exp_put_le64(p + 16, queues / 4);
	exp_put_le16(p + 48 + 2, n_sq);
	exp_put_le16(p + 48 + 4, n_cq);
	for (uint16_t i = 0; i < n_sq; i++) {
		uint8_t *q = p + 56 + 24 * i;

		exp_put_le64(q, 0x100000u + 0x1000u * i);
		exp_put_le16(q + 8, 15);
		exp_put_le16(q + 10, (uint16_t)(i + 1));
		exp_put_le16(q + 12, (uint16_t)(i + 1));
		exp_put_le16(q + 14, 1);
	}
	for (uint16_t i = 0; i < n_cq; i++) {
		uint8_t *q = p + 56 + 24 * (n_sq + i);

		exp_put_le64(q, 0x200000u + 0x1000u * i);
		exp_put_le16(q + 8, 15);
		exp_put_le16(q + 10, (uint16_t)(i + 1));
		exp_put_le32(q + 16, 3);
	}
	return 48 + queues;
}

static const struct exp_state_format queues_only = { .kind = EXP_NVME_STATE_QUEUES };

struct rig {
	struct fake *f;
	struct exp_device *d;
	uint8_t *image;
	size_t len;
};

/* A drive that moves 4 KiB at once, and a state of about five times that. */
static void set_up(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	r->f = fake_new();
	r->f->id_ctrl[77] = 0;
	r->d = fake_open(r->f);
	r->f->t.max_bytes = 4096;
	/* whatever opening sent does not count */
	memset(r->f->n, 0, sizeof(r->f->n));
	r->f->state_len = put_image(r->f->state, 150, 150);
	r->f->suspended = true;
	assert_int_equal(r->f->state_len, 48 + 8 + 24 * 300);
}

static void tear_down(struct rig *r)
{
	free(r->image);
	exp_device_close(r->d);
	fake_free(r->f);
}

static int get(struct rig *r, size_t max)
{
	memset(&err, 0, sizeof(err));
	return exp_ctrl_get_state(r->d, FAKE_GUEST, &queues_only, max, &r->image, &r->len, &err);
}

/* ---- taking ---- */

static void test_get_state_in_pieces(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	assert_ok(get(&r, 1 << 18), &err);
	assert_int_equal(r.len, r.f->state_len);
	assert_memory_equal(r.image, r.f->state, r.len);
	assert_int_equal(r.f->n[0x42], 2); /* 7256 bytes by 4096 */
	assert_int_equal(r.f->last.cdw12, 4096);
	assert_int_equal(r.f->last.cdw15, (7256 - 4096) / 4 - 1); /* 0's based */
	assert_int_equal(r.f->last.cdw11, FAKE_GUEST);
	assert_int_equal(r.f->last.cdw10, 0x00010000); /* CSVI 1 */
	tear_down(&r);
}

static void test_get_state_size_limits(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	assert_int_equal(get(&r, r.f->state_len - 1), -EFBIG);
	assert_error(&err, EXP_CODE_TOO_LARGE, "7256");
	assert_int_equal(get(&r, 47), -EINVAL);
	/* a header that claims more than any state has */
	exp_put_le64(r.f->state + 16, UINT64_MAX / 4);
	assert_true(get(&r, 1 << 18) < 0);
	exp_put_le64(r.f->state + 16, 0);
	exp_put_le64(r.f->state + 24, 1); /* upper half of 128 bits */
	assert_true(get(&r, 1 << 18) < 0);
	tear_down(&r);
}

/* The suspension ended between two pieces. */
static enum fake_answer resumed_at_piece(struct fake *f, const struct exp_nvme_cmd *cmd,
					 uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)data;
	(void)cqe;
	if (cmd->sqe.opcode == 0x42)
		f->suspended = cmd->sqe.cdw12 != *(const uint32_t *)f->arg;
	return FAKE_DEFAULT;
}

static void test_get_state_each_piece_must_say_suspended(void **state)
{
	static const uint32_t offsets[] = { 0, 4096 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct rig r;

		set_up(&r);
		r.f->hook = resumed_at_piece;
		r.f->arg = (void *)(uintptr_t)&offsets[i];
		assert_int_equal(get(&r, 1 << 18), -EAGAIN);
		assert_int_equal(err.code, EXP_CODE_NOT_SUSPENDED);
		tear_down(&r);
	}
}

static void test_get_state_container_must_say_suspended(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	r.f->state[2] = 0; /* CP */
	assert_int_equal(get(&r, 1 << 18), -EAGAIN);
	assert_int_equal(err.code, EXP_CODE_NOT_SUSPENDED);
	/* a look at it while the guest runs is another thing */
	r.f->suspended = false;
	assert_ok(exp_ctrl_peek_state(r.d, FAKE_GUEST, &queues_only, 1 << 18, &r.image, &r.len,
				      &err),
		  &err);
	assert_int_equal(r.len, r.f->state_len);
	tear_down(&r);
}

static void test_get_state_that_contradicts_itself(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r);
	exp_put_le16(r.f->state + 48 + 2, 151); /* one more queue than there is room for */
	assert_int_equal(get(&r, 1 << 18), -EBADMSG);
	assert_int_equal(err.code, EXP_CODE_DEVICE_DATA);
	tear_down(&r);
}

static void test_is_suspended_asks_the_drive_each_time(void **state)
{
	struct rig r;
	bool is;

	(void)state;
	set_up(&r);
	assert_ok(exp_ctrl_is_suspended(r.d, FAKE_GUEST, &is, &err), &err);
	assert_true(is);
	assert_int_equal(r.f->last.cdw15, 48 / 4 - 1); /* the header alone */
	r.f->suspended = false;
	assert_ok(exp_ctrl_is_suspended(r.d, FAKE_GUEST, &is, &err), &err);
	assert_false(is);
	assert_int_equal(r.f->n[0x42], 2);
	tear_down(&r);
}

/* ---- commands as the specification spells them ---- */

static void test_suspend_and_resume_encodings(void **state)
{
	struct rig r;
	bool was;

	(void)state;
	set_up(&r);
	r.f->suspended = false;
	assert_ok(exp_ctrl_suspend_notice(r.d, 5, &err), &err);
	assert_int_equal(r.f->last.cdw10, 0);
	assert_int_equal(r.f->last.cdw11, 0x00000005);
	assert_false(r.f->suspended);
	assert_ok(exp_ctrl_suspend(r.d, 5, 0, &err), &err);
	assert_int_equal(r.f->last.cdw11, 0x00010005); /* DUDMQ is 0 */
	assert_ok(exp_ctrl_resume(r.d, 5, &was, 0, &err), &err);
	assert_int_equal(r.f->last.cdw10, 1);
	assert_int_equal(r.f->last.cdw11, 5);
	assert_true(was);
	assert_ok(exp_ctrl_resume(r.d, 5, &was, 0, &err), &err); /* 1/3Ah */
	assert_false(was);
	tear_down(&r);
}

/* ---- giving ---- */

static void test_load_then_commit(void **state)
{
	struct exp_state_load load;
	struct rig r;

	(void)state;
	set_up(&r);
	for (int twice = 0; twice < 2; twice++) { /* the second starts over */
		assert_ok(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state,
					      r.f->state_len, &load, &err),
			  &err);
		assert_int_equal(r.f->last.cdw10, 0x00000002); /* middle */
		assert_int_equal(r.f->last.cdw12, 4096);
		assert_int_equal(r.f->last.cdw15, (7256 - 4096) / 4); /* plain */
		assert_false(r.f->committed);
	}
	assert_int_equal(r.f->n[0x41], 4);
	assert_ok(exp_ctrl_commit_state(r.d, &load, 0, &err), &err);
	assert_int_equal(r.f->last.cdw10, 0x00020002); /* last, empty, at the end */
	assert_int_equal(r.f->last.cdw12, 7256);
	assert_int_equal(r.f->last.cdw15, 0);
	assert_true(r.f->committed);
	assert_int_equal(r.f->set_len, 7256);
	assert_memory_equal(r.f->set, r.f->state, 7256);
	tear_down(&r);
}

static enum fake_answer refuse_second_piece(struct fake *f, const struct exp_nvme_cmd *cmd,
					    uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)data;
	if (cmd->sqe.opcode != 0x41 || !cmd->sqe.cdw12)
		return FAKE_DEFAULT;
	cqe->status = 0x002;
	return FAKE_DONE;
}

static void test_load_refused_names_the_byte(void **state)
{
	struct exp_state_load load;
	struct rig r;

	(void)state;
	set_up(&r);
	r.f->hook = refuse_second_piece;
	assert_true(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state, r.f->state_len,
					&load, &err) < 0);
	assert_int_equal(err.nvme_status, 0x002);
	assert_non_null(strstr(err.msg, "byte 4096"));
	assert_int_equal(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state, 47, &load,
					     &err),
			 -EINVAL);
	assert_int_equal(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state, 50, &load,
					     &err),
			 -EINVAL);
	tear_down(&r);
}

/* What took the state has its queues, wherever their heads are by now; without queues none. */
static void test_has_queues_of(void **state)
{
	uint8_t other[7256];
	bool has = false;
	struct rig r;

	(void)state;
	set_up(&r);
	assert_int_equal(r.f->state_len, sizeof(other));
	assert_ok(exp_ctrl_has_queues_of(r.d, FAKE_GUEST, &queues_only, r.f->state, sizeof(other),
					 &has, &err),
		  &err);
	assert_true(has);
	memcpy(other, r.f->state, sizeof(other));
	other[48 + 8 + 16] ^= 1; /* head of the first submission queue */
	assert_ok(exp_ctrl_has_queues_of(r.d, FAKE_GUEST, &queues_only, other, sizeof(other), &has,
					 &err),
		  &err);
	assert_true(has);
	other[48 + 8 + 2] ^= 1; /* its address */
	assert_ok(exp_ctrl_has_queues_of(r.d, FAKE_GUEST, &queues_only, other, sizeof(other), &has,
					 &err),
		  &err);
	assert_false(has);
	assert_int_equal(exp_ctrl_has_queues_of(r.d, FAKE_GUEST, &queues_only, other, 52, &has,
						&err),
			 -EBADMSG);
	tear_down(&r);
}

/* ---- is it live? ---- */

/* One that is off answers 1/1Fh; the others 0/0Ch, since no state was begun. */
static enum fake_answer only_guest_is_on(struct fake *f, const struct exp_nvme_cmd *cmd,
					 uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)data;
	if (cmd->sqe.opcode != 0x41 || (cmd->sqe.cdw11 & 0xffff) == FAKE_GUEST)
		return FAKE_DEFAULT;
	cqe->status = 0x11f;
	return FAKE_DONE;
}

static void test_is_live(void **state)
{
	struct rig r;
	bool live = false;

	(void)state;
	set_up(&r);
	r.f->hook = only_guest_is_on;
	assert_ok(exp_ctrl_is_live(r.d, FAKE_GUEST, &live, &err), &err);
	assert_true(live);
	assert_ok(exp_ctrl_is_live(r.d, FAKE_GUEST + 1, &live, &err), &err);
	assert_false(live);
	tear_down(&r);
}

/* The question is itself a piece of a state: it must not land in one that is being sent. */
static void test_is_live_never_disturbs_a_load(void **state)
{
	struct exp_state_load load;
	struct rig r;
	bool live = false;

	(void)state;
	set_up(&r);
	r.f->hook = only_guest_is_on;
	assert_ok(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state, r.f->state_len,
				      &load, &err),
		  &err);
	memset(r.f->n, 0, sizeof(r.f->n));
	assert_ok(exp_ctrl_is_live(r.d, FAKE_GUEST, &live, &err), &err);
	assert_true(live);
	assert_int_equal(r.f->n[0x41], 0);
	assert_ok(exp_device_refresh(r.d, &err), &err); /* which asks about every controller */
	assert_ok(exp_ctrl_commit_state(r.d, &load, 0, &err), &err);
	assert_memory_equal(r.f->set, r.f->state, r.f->state_len);
	/* committed: asked again */
	memset(r.f->n, 0, sizeof(r.f->n));
	assert_ok(exp_ctrl_is_live(r.d, FAKE_GUEST, &live, &err), &err);
	assert_int_equal(r.f->n[0x41], 1);
	tear_down(&r);
}

static enum fake_answer hold_everything(struct fake *f, const struct exp_nvme_cmd *cmd,
					uint8_t *data, struct exp_nvme_cqe *cqe)
{
	(void)f;
	(void)cmd;
	(void)data;
	(void)cqe;
	return FAKE_HOLD;
}

/* A question whose answer is late may still arrive at the drive: no state is sent before it has. */
static void test_late_question_holds_up_a_load(void **state)
{
	struct exp_state_load load;
	struct rig r;
	bool live = false;

	(void)state;
	set_up(&r);
	r.f->hook = hold_everything;
	assert_int_equal(exp_ctrl_is_live(r.d, FAKE_GUEST, &live, &err), -ETIMEDOUT);
	r.f->hook = NULL;
	assert_int_equal(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state,
					     r.f->state_len, &load, &err),
			 -EBUSY);
	assert_ok(exp_ctrl_is_live(r.d, FAKE_GUEST, &live, &err), &err);
	assert_true(live);
	fake_release(r.f, 0x00c);
	assert_ok(exp_ctrl_load_state(r.d, FAKE_GUEST, &queues_only, r.f->state, r.f->state_len,
				      &load, &err),
		  &err);
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_state_in_pieces),
		cmocka_unit_test(test_get_state_size_limits),
		cmocka_unit_test(test_get_state_each_piece_must_say_suspended),
		cmocka_unit_test(test_get_state_container_must_say_suspended),
		cmocka_unit_test(test_get_state_that_contradicts_itself),
		cmocka_unit_test(test_is_suspended_asks_the_drive_each_time),
		cmocka_unit_test(test_suspend_and_resume_encodings),
		cmocka_unit_test(test_load_then_commit),
		cmocka_unit_test(test_load_refused_names_the_byte),
		cmocka_unit_test(test_has_queues_of),
		cmocka_unit_test(test_is_live),
		cmocka_unit_test(test_is_live_never_disturbs_a_load),
		cmocka_unit_test(test_late_question_holds_up_a_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
