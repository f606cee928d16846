/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/device against the emulated SSD while a guest runs: suspend, state, change log.
 */
#include "support/device_rig.h"

#include "device/change_log.h"
#include "device/ctrl.h"

/* ---- suspend, state ---- */

static const struct exp_state_format *reference(void)
{
	static struct exp_state_format f = { .kind = EXP_NVME_STATE_REFERENCE };

	f.uuid = exp_nvme_reference_template;
	return &f;
}

static void test_suspend_holds_and_resume_releases(void **state)
{
	struct rig *r = start("aurora", "map");
	struct guest g;
	bool was, is;

	(void)state;
	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &g, "fn1");
	guest_write(r, &g, 0, 8, 1);

	assert_ok(exp_ctrl_is_suspended(r->d, GUEST, &is, &r->err), &r->err);
	assert_false(is);
	assert_ok(exp_ctrl_suspend_notice(r->d, GUEST, &r->err), &r->err);
	guest_write(r, &g, 8, 8, 2);
	for (int again = 0; again < 2; again++)
		assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
	assert_ok(exp_ctrl_is_suspended(r->d, GUEST, &is, &r->err), &r->err);
	assert_true(is);
	guest_submit(r, &g, 16, 8, 3);
	assert_int_equal(guest_reap(r, &g, 50), 0);

	/* the fence: detached, and still suspended afterwards */
	assert_ok(exp_ns_detach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	assert_ok(exp_ctrl_is_suspended(r->d, GUEST, &is, &r->err), &r->err);
	assert_true(is);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	assert_ok(exp_ctrl_resume(r->d, GUEST, &was, 0, &r->err), &r->err);
	assert_true(was);
	assert_int_equal(guest_reap(r, &g, 10000), 1);
	assert_ok(exp_ctrl_resume(r->d, GUEST, &was, 0, &r->err), &r->err);
	assert_false(was);
	assert_int_equal(exp_ctrl_suspend(r->d, 99, 0, &r->err), -ENOENT);

	/* taken down only when the VMM has let go; until then nothing is taken from the guest */
	assert_int_equal(exp_subsys_teardown(r->d, r->desc, &r->place, true, &r->err), -EBUSY);
	assert_error(&r->err, EXP_CODE_BUSY, "VMM");
	assert_ok(exp_ns_is_attached(r->d, r->place.nsid, GUEST, &is, &r->err), &r->err);
	assert_true(is);
	guest_stop(&g);
	end(r);
}

static void test_is_live_sees_the_vmm(void **state)
{
	struct rig *r = start("aurora", "map");
	struct exp_caps c;
	struct guest g;
	bool live;

	(void)state;
	assert_ok(exp_ctrl_is_live(r->d, GUEST, &live, &r->err), &r->err);
	assert_false(live);
	guest_enable(r, &g, "fn1");
	assert_ok(exp_ctrl_is_live(r->d, GUEST, &live, &r->err), &r->err);
	assert_true(live);
	assert_ok(exp_device_refresh(r->d, &r->err), &r->err);
	exp_device_caps(r->d, &c);
	assert_true(exp_caps_ctrl(&c, GUEST)->enabled);
	assert_false(exp_caps_ctrl(&c, GUEST + 1)->enabled);
	assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
	assert_ok(exp_ctrl_is_live(r->d, GUEST, &live, &r->err), &r->err);
	assert_true(live);
	/* it was only asked: the controller goes on as before */
	assert_ok(exp_ctrl_resume(r->d, GUEST, NULL, 0, &r->err), &r->err);
	guest_stop(&g);
	end(r);
}

static void state_moves(const char *profile, const struct exp_state_format *format)
{
	struct rig *r = start(profile, "map");
	struct guest source, target;
	struct exp_state_load load;
	uint8_t *state, *other;
	size_t len, other_len;
	bool was;

	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &source, "fn1");
	guest_write(r, &source, 0, 8, 1);
	guest_write(r, &source, 8, 8, 2);

	assert_int_equal(exp_ctrl_get_state(r->d, GUEST, format, 1 << 18, &state, &len, &r->err),
			 -EAGAIN);
	assert_int_equal(r->err.code, EXP_CODE_NOT_SUSPENDED);
	assert_ok(exp_ctrl_peek_state(r->d, GUEST, format, 1 << 18, &state, &len, &r->err),
		  &r->err);
	assert_true(len > 48);
	free(state);
	assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
	assert_ok(exp_ctrl_get_state(r->d, GUEST, format, 1 << 18, &state, &len, &r->err), &r->err);
	assert_int_equal(exp_ctrl_get_state(r->d, GUEST, format, len - 4, &other, &other_len,
					    &r->err),
			 -EFBIG);

	/* a target with an admin queue and nothing else, suspended */
	guest_enable(r, &target, "fn2");
	assert_ok(exp_ctrl_suspend(r->d, 2, 0, &r->err), &r->err);
	assert_ok(exp_ctrl_load_state(r->d, 2, format, state, len, &load, &r->err), &r->err);
	assert_ok(exp_ctrl_load_state(r->d, 2, format, state, len, &load, &r->err), &r->err);
	assert_ok(exp_ctrl_commit_state(r->d, &load, 0, &r->err), &r->err);
	assert_ok(exp_ctrl_get_state(r->d, 2, format, 1 << 18, &other, &other_len, &r->err),
		  &r->err);
	assert_int_equal(other_len, len);
	assert_memory_equal(other, state, len);
	assert_ok(exp_ctrl_resume(r->d, 2, &was, 0, &r->err), &r->err);
	assert_true(was);
	/* it has queues now: not a second time */
	assert_true(exp_ctrl_load_state(r->d, 2, format, state, len, &load, &r->err) < 0 ||
		    exp_ctrl_commit_state(r->d, &load, 0, &r->err) < 0);
	free(state);
	free(other);
	assert_ok(exp_ctrl_resume(r->d, GUEST, NULL, 0, &r->err), &r->err);
	guest_stop(&target);
	guest_stop(&source);
	end(r);
}

static void test_state_moves_reference(void **state)
{
	(void)state;
	state_moves("aurora", reference());
	state_moves("borealis", reference());
}

static void test_state_moves_queues_only(void **state)
{
	(void)state;
	state_moves("aurora", &(struct exp_state_format){ .kind = EXP_NVME_STATE_QUEUES });
}

static void test_broken_state_is_refused(void **state)
{
	struct exp_state_format unknown = { .kind = EXP_NVME_STATE_VENDOR,
					    .uuid = { { 1, 2, 3 } } };
	struct rig *r = start("aurora", "map");
	uint8_t image[64] = { 1 }; /* version 1 */
	struct exp_state_load load;
	struct guest target;

	(void)state;
	guest_enable(r, &target, "fn2");
	assert_ok(exp_ctrl_suspend(r->d, 2, 0, &r->err), &r->err);
	assert_true(exp_ctrl_load_state(r->d, 2, reference(), image, sizeof(image), &load,
					&r->err) < 0 ||
		    exp_ctrl_commit_state(r->d, &load, 0, &r->err) < 0);
	assert_int_not_equal(r->err.nvme_status, 0);
	assert_int_equal(exp_ctrl_load_state(r->d, 2, reference(), image, 46, &load, &r->err),
			 -EINVAL);
	assert_int_equal(exp_ctrl_load_state(r->d, 2, &unknown, image, 64, &load, &r->err),
			 -EOPNOTSUPP);
	guest_stop(&target);
	end(r);
}

/* ---- change log ---- */

struct seen {
	uint8_t dirty[NSZE];
	bool all;
	enum exp_change_mark mark;
	unsigned int entries, firsts;
};

/* Reads until the mark @until is seen and block @lba was told, or the log is over. */
static int drain(struct rig *r, struct exp_change_log *log, struct seen *s,
		 enum exp_change_mark until, uint64_t lba)
{
	uint64_t deadline_ms = exp_mono_ms() + 10000;
	struct exp_change e[64];
	size_t n;

	while (exp_mono_ms() < deadline_ms) {
		int res = exp_change_log_read(log, e, EXP_ARRAY_SIZE(e), &n, &r->err);

		if (res < 0)
			return res;
		for (size_t i = 0; i < n; i++, s->entries++) {
			if (e[i].kind == EXP_CHANGE_RANGE)
				memset(s->dirty + e[i].slba, 1, e[i].nlb);
			s->all = s->all || e[i].kind == EXP_CHANGE_ALL;
			s->firsts += e[i].mark == EXP_CHANGE_FIRST;
			s->mark = e[i].mark ? e[i].mark : s->mark;
		}
		if ((!until || s->mark == until) && (s->all || s->dirty[lba]))
			return 0;
	}
	fail_msg("the log did not end");
	return -1;
}

static void changes_are_told(const char *profile)
{
	struct rig *r = start(profile, "map");
	struct seen *s = calloc(1, sizeof(*s));
	uint8_t *written = calloc(1, NSZE);
	struct exp_change_log_stats stats;
	struct exp_change_log *log, *second;
	uint64_t last = NSZE;
	struct guest g;

	assert_non_null(s);
	assert_non_null(written);
	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &g, "fn1");
	log = start_log(r, 512);
	assert_true(exp_change_log_create(r->d, GUEST,
					  &(struct exp_change_log_ns){ r->place.nsid, 1, NSZE }, 0,
					  &second, &r->err) < 0);
	/* many times around the ring, writes in one half of the namespace */
	for (unsigned int i = 0; i < 3000; i++) {
		uint64_t slba = (uint64_t)i * 7919 % (NSZE / 2 - 64);
		uint32_t nlb = 1 + i % 64;

		/* and now and then one that is like no other: when it is told, all before it are */
		if (i % 100 == 99) {
			slba = NSZE / 2 + i / 100 * 512;
			last = slba;
		}
		guest_write(r, &g, slba, nlb, (uint8_t)i);
		memset(written + slba, 1, nlb);
		if (slba == last)
			assert_int_equal(drain(r, log, s, EXP_CHANGE_NO_MARK, slba), 0);
	}
	assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
	assert_int_equal(drain(r, log, s, EXP_CHANGE_SUSPENDED, last), 0);
	/* more may be told than was written, never less */
	for (size_t i = 0; i < NSZE && !s->all; i++)
		if (written[i] && !s->dirty[i])
			fail_msg("block %zu was written and not told", i);
	assert_int_equal(s->firsts, 1);
	exp_change_log_stats(log, &stats);
	assert_int_equal(stats.entries, s->entries);
	if (s->entries > 2000) {
		assert_true(stats.wraps >= 2);
		assert_true(stats.head_updates >= 8);
	}
	exp_change_log_close(log);
	/* and a new one can be made */
	assert_ok(exp_ctrl_resume(r->d, GUEST, NULL, 0, &r->err), &r->err);
	log = start_log(r, 0);
	exp_change_log_close(log);
	guest_stop(&g);
	free(s);
	free(written);
	end(r);
}

static void test_changes_are_told(void **state)
{
	(void)state;
	changes_are_told("aurora");
	changes_are_told("borealis");
}

static void test_exact_changes_are_told_entry_by_entry(void **state)
{
	(void)state;
	changes_are_told("gentle");
	changes_are_told("contrary");
}

static void test_stopped_log_ends_with_its_mark(void **state)
{
	struct rig *r = start("aurora", "map");
	struct seen *s = calloc(1, sizeof(*s));
	struct exp_change_log *log;
	struct guest g;

	(void)state;
	assert_non_null(s);
	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &g, "fn1");
	log = start_log(r, 64);
	guest_write(r, &g, 40, 2, 1);
	assert_ok(exp_change_log_stop(log, &r->err), &r->err);
	guest_write(r, &g, 4000, 2, 1);
	assert_int_equal(drain(r, log, s, EXP_CHANGE_STOPPED, 40), 0);
	assert_true(s->all || (s->dirty[40] && s->dirty[41]));
	exp_change_log_close(log);
	/* a suspended controller cannot be logged */
	assert_ok(exp_ctrl_suspend(r->d, GUEST, 0, &r->err), &r->err);
	assert_ok(exp_change_log_create(r->d, GUEST,
					&(struct exp_change_log_ns){ r->place.nsid, 1, NSZE }, 64,
					&log, &r->err),
		  &r->err);
	assert_int_equal(exp_change_log_start(log, &r->err), -EBUSY);
	exp_change_log_close(log);
	assert_ok(exp_ctrl_resume(r->d, GUEST, NULL, 0, &r->err), &r->err);
	guest_stop(&g);
	free(s);
	end(r);
}

static void test_unread_log_overflows_and_says_so(void **state)
{
	struct rig *r = start("gentle", "map");
	struct seen *s = calloc(1, sizeof(*s));
	struct exp_change_log *log;
	struct guest g;
	size_t n;

	(void)state;
	assert_non_null(s);
	build_export(r, GUEST, LBA);
	assert_ok(exp_ns_attach(r->d, r->place.nsid, GUEST, &r->err), &r->err);
	guest_start(r, &g, "fn1");
	log = start_log(r, 16);
	for (unsigned int i = 0; i < 100; i++)
		guest_write(r, &g, i * 50, 1, (uint8_t)i);
	assert_int_equal(drain(r, log, s, EXP_CHANGE_SUSPENDED, 0), -EOVERFLOW);
	assert_error(&r->err, EXP_CODE_LOG_OVERFLOW, "16 entries");
	assert_true(s->entries > 0); /* what came before was delivered */
	assert_int_equal(exp_change_log_read(log, &(struct exp_change){ 0 }, 1, &n, &r->err),
			 -EOVERFLOW);
	exp_change_log_close(log);
	guest_stop(&g);
	free(s);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suspend_holds_and_resume_releases),
		cmocka_unit_test(test_is_live_sees_the_vmm),
		cmocka_unit_test(test_state_moves_reference),
		cmocka_unit_test(test_state_moves_queues_only),
		cmocka_unit_test(test_broken_state_is_refused),
		cmocka_unit_test(test_changes_are_told),
		cmocka_unit_test(test_exact_changes_are_told_entry_by_entry),
		cmocka_unit_test(test_stopped_log_ends_with_its_mark),
		cmocka_unit_test(test_unread_log_overflows_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
