/* SPDX-License-Identifier: Apache-2.0 */
/* The giving side, row by row: what each event means in each state, and that nothing runs early */
#include "support/handover_play.h"

#include <errno.h>

/* Lines that bring a new job to a state; each script goes on from there. */
#define TO_PREFLIGHT                                \
	{ "start", "store preflight" },             \
	{                                           \
		"committed", "=preflight preflight" \
	}
#define TO_PREPARING                                                   \
	TO_PREFLIGHT, { "done", "store+own preparing" }, { "up", "" }, \
	{                                                              \
		"committed", "=preparing ->prepare"                    \
	}
#define TO_COPYING                                         \
	TO_PREPARING, { "msg prepared", "store copying" }, \
	{                                                  \
		"committed", "=copying copy-start"         \
	}
#define TO_READY                           \
	TO_COPYING, { "done", "" },        \
	{                                  \
		"copy fits", "store ready" \
	}
#define TO_SWITCHING                                                                            \
	TO_READY, { "committed", "=ready ->attempt" }, { "msg attempt-ok", "store switching" }, \
	{                                                                                       \
		"committed", "=switching suspend"                                               \
	}
#define TO_VOTE                                                                              \
	TO_SWITCHING, { "done", "drain" }, { "done", "last-data" }, { "done", "get-state" }, \
	{                                                                                    \
		"done", "->final"                                                            \
	}
#define TO_RELEASED                                                          \
	TO_VOTE, { "msg restored", "fence" }, { "done", "check-suspended" }, \
	{                                                                    \
		"done", "store+own released"                                 \
	}
#define RUN_AGAIN                                   \
	{ "done", "attach" }, { "done", "resume" }, \
	{                                           \
		"done", "verify-runs"               \
	}

static void new_job(struct play *p, uint32_t n, uint8_t hold)
{
	struct exp_job *j = play_record(EXP_ROLE_SOURCE, 0, n, 0);

	j->hold = hold;
	play_src(p, j);
}

static void found(struct play *p, enum exp_src_state state)
{
	play_src(p, play_record(EXP_ROLE_SOURCE, state, 2, state == EXP_SRC_PREFLIGHT ? 0 : 6));
}

/* ------------------------------------------------------------------ the rows, step by step */

static void test_src_live_move_goes_step_by_step(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, 0);
	PLAY(&p, TO_RELEASED, { "committed", "=released ->release" }, { "msg active", "copy-stop" },
	     { "done", "take-down" }, { "done", "store done" }, { "committed", "=done publish" });
	assert_string_equal(p.job->target_device.s, "drive");
	play_end(&p);
}

static void test_src_epoch_is_one_above_the_floor_of_each_export(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, 0);
	PLAY(&p, TO_PREFLIGHT, { "done", "store+own preparing" });
	assert_int_equal(p.job->exports[0].epoch, 6);
	assert_int_equal(p.job->exports[1].epoch, 7);
	assert_int_equal(p.plan.n_changes, 2);
	assert_int_equal(p.plan.changes[1].owner.floor, 7);
	assert_int_equal(p.plan.changes[1].owner.own, 6);
	play_end(&p);
}

static void test_src_burned_epochs_are_not_used_again(void **state)
{
	struct exp_ownership o = { 5, 9, 5 }; /* 6 to 9 belong to attempts that failed */
	struct exp_error err;
	struct play p = { .path = EXP_PATH_REFERENCE };

	(void)state;
	p.job = play_record(EXP_ROLE_SOURCE, 0, 1, 0);
	assert_int_equal(exp_src_new(p.job, &o, &p.src, &err), 0);
	PLAY(&p, TO_PREFLIGHT, { "done", "store+own preparing" });
	assert_int_equal(p.job->exports[0].epoch, 10);
	assert_int_equal(p.plan.changes[0].owner.floor, 10);
	assert_int_equal(p.plan.changes[0].owner.own, 5);
	play_end(&p);
}

static void test_src_released_is_one_row_for_all_exports(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 3, 0);
	PLAY(&p, TO_RELEASED);
	assert_int_equal(p.plan.n_changes, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(p.plan.changes[i].owner.own, 0);
		assert_int_equal(p.plan.changes[i].owner.floor, 6 + i);
		assert_int_equal(p.plan.changes[i].owner.maxown, 5 + i);
		assert_int_equal(p.plan.changes[i].status, EXP_EXPORT_SUPERSEDED);
		assert_string_equal(p.plan.changes[i].owner_peer.s, "other");
	}
	play_end(&p);
}

static void test_src_nothing_happens_while_a_commit_is_out(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_READY, { "tick 60000", "" }, { "msg attempt-ok", "ignored" }, { "up", "" },
	     { "committed", "=ready ->attempt" }, { "msg attempt-ok", "store switching" },
	     { "tick 100000", "" }, { "verb switchover", "wait" },
	     { "committed", "=switching suspend" });
	play_end(&p);
}

static void test_src_messages_are_repeated_with_a_bounded_back_off(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREPARING, { "tick 249", "" }, { "tick 1", "->prepare" }, { "tick 499", "" },
	     { "tick 1", "->prepare" }, { "tick 60000", "->prepare" },
	     { "tick 60000", "->prepare" }, { "tick 60000", "->prepare" },
	     { "tick 60000", "->prepare" }, { "tick 4999", "" }, { "tick 1", "->prepare" },
	     { "down", "" }, { "tick 60000", "" }, { "up", "->prepare" });
	assert_int_equal(exp_src_deadline_ms(p.src), p.now_ms + EXP_BLACKOUT_LIMIT_MS / 4);
	play_end(&p);
}

static void test_src_restored_counts_only_when_final_was_sent_in_this_life(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "msg restored", "ignored" }, { "done", "drain" },
	     { "done", "last-data" }, { "msg restored", "ignored" }, { "down", "" },
	     { "done", "get-state" }, { "done", "" }, { "msg restored", "ignored" },
	     { "up", "->final" }, { "old restored", "ignored" }, { "msg restored", "fence" });
	play_end(&p);
}

static void test_src_not_suspended_behind_the_fence_rolls_back(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_VOTE, { "msg restored", "fence" }, { "done", "check-suspended" },
	     { "done unsuspended", "store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, RUN_AGAIN, { "done", "" },
	     { "msg discarded", "store failed" }, { "committed", "=failed publish" });
	assert_int_equal(p.job->error.code, EXP_CODE_NOT_SUSPENDED);
	play_end(&p);
}

static void test_src_state_got_from_a_running_controller_rolls_back(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "done", "drain" }, { "done", "last-data" },
	     { "done", "get-state" }, { "done unsuspended", "store rolling-back" });
	play_end(&p);
}

static void test_src_suspend_that_is_late_holds_up_resume_and_outcome(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "tick 249", "" }, { "tick 1", "store rolling-back" },
	     { "committed", "=rolling-back ->discard" }, { "msg discarded", "" },
	     { "tick 600000", "" });
	assert_int_equal(p.job->error.code, EXP_CODE_BLACKOUT);
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_SUSPEND_UNKNOWN);
	PLAY(&p, { "done", "copy-stop" });
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_NONE);
	PLAY(&p, RUN_AGAIN, { "done", "store failed" }, { "committed", "=failed publish" });
	play_end(&p);
}

static void test_src_copying_can_be_cut_short(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "done", "drain" }, { "tick 350", "store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" });
	play_end(&p);
}

static void test_src_steps_inherit_what_the_earlier_ones_left(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "done", "drain" }, { "done", "last-data" }, { "tick 599", "" },
	     { "done", "get-state" }, { "tick 101", "store rolling-back" });
	play_end(&p);
}

static void test_src_outcome_needs_both_the_guest_running_and_the_promise(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_COPYING, { "verb cancel", "accepted store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, { "msg discarded", "" },
	     { "done", "attach" }, { "failed", "" }, { "tick 199", "" }, { "tick 1", "attach" },
	     { "done", "resume" }, { "done", "verify-runs" }, { "failed", "" },
	     { "tick 10000", "attach" }, { "done", "resume" }, { "done", "verify-runs" },
	     { "done", "store cancelled" }, { "committed", "=cancelled publish" });
	assert_int_equal(p.job->error.code, EXP_CODE_CANCELLED);
	play_end(&p);
}

static void test_src_discarded_ends_the_attempt_before_released(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREPARING, { "msg discarded", "store rolling-back" },
	     { "committed", "=rolling-back copy-stop" }, RUN_AGAIN, { "done", "store failed" });
	assert_int_equal(p.job->error.code, EXP_CODE_NO_SPACE);
	assert_string_equal(p.job->error.msg, "other gave up: no room");
	play_end(&p);
}

static void test_src_discarded_tells_why_the_connection_broke(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_COPYING, { "done", "" }, { "copy gone", "store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, { "msg discarded", "" });
	assert_int_equal(p.job->error.code, EXP_CODE_NO_SPACE);
	assert_string_equal(p.job->error.msg, "other gave up: no room");
	play_end(&p);
	new_job(&p, 1, 0);
	PLAY(&p, TO_COPYING, { "done", "" }, { "copy failed", "store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, { "msg discarded", "" });
	assert_int_equal(p.job->error.code, EXP_CODE_NO_CONVERGENCE);
	play_end(&p);
}

static void test_src_discarded_after_released_is_an_alarm_and_changes_nothing(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_RELEASED, { "msg discarded", "alarm" }, { "committed", "=released ->release" },
	     { "msg discarded", "alarm" }, { "tick 250", "->release" },
	     { "msg active", "copy-stop" });
	play_end(&p);
}

static void test_src_nothing_but_active_ends_released(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_RELEASED, { "committed", "=released ->release" },
	     { "tick 100000000", "->release" }, { "tick 5000", "->release" },
	     { "tick 5000", "->release" }, { "tick 5000", "->release" },
	     { "tick 5000", "->release" }, { "tick 5000", "->release" }, { "reset", "" },
	     { "verb cancel", "refused TOO_LATE" }, { "verb abort", "refused TOO_LATE" },
	     { "old active", "ignored" }, { "msg restored", "ignored" }, { "copy failed", "" },
	     { "down", "" }, { "up", "->release" }, { "msg active", "copy-stop" });
	play_end(&p);
}

static void test_src_cancel_is_being_decided_while_released_is_queued(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_RELEASED, { "verb cancel", "wait" }, { "commit-failed", "" },
	     { "verb cancel", "wait" }, { "tick 100", "store+own released again" },
	     { "verb cancel", "wait" }, { "committed", "=released ->release" },
	     { "verb cancel", "refused TOO_LATE" });
	assert_string_equal(p.plan.verb_error.msg, "too late: other owns it");
	play_end(&p);
}

static void test_src_failed_commit_of_released_is_committed_again_and_nothing_else(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, 0);
	PLAY(&p, TO_RELEASED, { "commit-failed", "" });
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_RELEASE_UNKNOWN);
	assert_int_equal(exp_src_state(p.src), EXP_SRC_SWITCHING);
	PLAY(&p, { "msg query", "" }, { "reset", "" }, { "tick 99", "" },
	     { "tick 1", "store+own released again" }, { "commit-failed", "" },
	     { "tick 200", "store+own released again" });
	assert_int_equal(p.plan.n_changes, 2);
	PLAY(&p, { "committed", "=released ->release ->release" });
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_NONE);
	play_end(&p);
}

static void test_src_failed_commit_before_released_rolls_back(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREFLIGHT, { "done", "store+own preparing" },
	     { "commit-failed", "store+own rolling-back again" }, { "commit-failed", "copy-stop" },
	     { "tick 5000", "store+own rolling-back again" }, { "up", "" },
	     { "committed", "=rolling-back ->discard" }, { "done", "attach" });
	assert_int_equal(p.job->error.code, EXP_CODE_DB);
	play_end(&p);
}

static void test_src_full_disk_does_not_keep_the_guest_suspended(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_VOTE, { "verb abort", "accepted store rolling-back" }, { "tick 1", "" },
	     { "commit-failed", "copy-stop" }, { "done", "attach" },
	     { "tick 100", "store rolling-back again" }, { "done", "" },
	     { "commit-failed", "resume" }, { "done", "verify-runs" }, { "done", "" },
	     { "msg discarded", "" }, { "tick 199", "" }, { "tick 1", "store rolling-back again" },
	     { "committed", "=rolling-back store cancelled" });
	play_end(&p);
}

static void test_src_query_has_three_answers(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_VOTE, { "msg query", "->answer" });
	assert_int_equal(p.plan.actions[0].answer, EXP_ANSWER_PENDING);
	PLAY(&p, { "msg restored", "fence" }, { "msg query", "->answer" },
	     { "done", "check-suspended" }, { "done", "store+own released" }, { "msg query", "" },
	     { "committed", "=released ->release ->release" }, { "msg query", "->release" });
	play_end(&p);
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "failed", "store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, { "msg query", "->discard" });
	play_end(&p);
}

static void test_src_active_of_what_was_never_released_needs_a_person(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_VOTE, { "msg active", "alarm store rolling-back" },
	     { "committed", "=rolling-back" }, { "tick 100000", "" });
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_NEEDS_OPERATOR);
	play_end(&p);
}

static void test_src_take_down_waits_for_the_vmm_and_never_fails_the_job(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_RELEASED, { "committed", "=released ->release" }, { "msg active", "copy-stop" },
	     { "failed", "" }, { "tick 200", "copy-stop" }, { "done", "take-down" },
	     { "failed BUSY", "" }, { "tick 10000", "take-down" }, { "failed BUSY", "" },
	     { "tick 10000", "take-down" }, { "failed BUSY", "" }, { "tick 10000", "take-down" },
	     { "failed BUSY", "" }, { "tick 10000", "take-down" }, { "failed BUSY", "" },
	     { "tick 10000", "take-down" });
	PLAY(&p, { "failed BUSY", "" });
	assert_string_equal(exp_src_waiting(p.src), "the VMM to release the function");
	assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_NONE); /* it is no question */
	PLAY(&p, { "tick 10000", "take-down" }, { "failed", "store done" },
	     { "committed", "=done publish" });
	assert_int_equal(p.job->error.code, EXP_CODE_DEVICE);
	play_end(&p);
}

/* ------------------------------------------------------------------ holds */

static void test_src_hold_switch_waits_and_its_lease_throws_nothing_away(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_HOLD_SWITCH);
	PLAY(&p, TO_COPYING, { "verb switchover", "refused CONFLICT" }, { "done", "" },
	     { "copy fits", "store ready" }, { "committed", "=ready" });
	assert_string_equal(exp_src_waiting(p.src), "switchover");
	assert_int_equal(exp_src_lease_ms(p.src), EXP_HOLD_LEASE_MS);
	PLAY(&p, { "tick 29999", "->prepare" }, { "tick 1", "store copying" },
	     { "committed", "=copying" }, { "copy fits", "store ready" }, { "committed", "=ready" },
	     { "verb switchover", "accepted ->attempt" }, { "verb switchover", "accepted" },
	     { "msg attempt-ok", "store switching" }, { "committed", "=switching suspend" },
	     { "verb switchover", "accepted" });
	play_end(&p);
}

static void test_src_hold_commit_does_not_count_for_the_blackout(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_HOLD_COMMIT);
	PLAY(&p, TO_VOTE, { "verb commit", "refused CONFLICT" }, { "msg restored", "" });
	assert_string_equal(exp_src_waiting(p.src), "commit");
	PLAY(&p, { "tick 20000", "" }, { "verb commit", "accepted fence" },
	     { "verb commit", "accepted" }, { "tick 949", "" }, { "done", "check-suspended" },
	     { "tick 31", "store rolling-back" });
	play_end(&p);
}

static void test_src_hold_commit_lease_ends_the_attempt(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_HOLD_COMMIT);
	PLAY(&p, TO_VOTE, { "msg restored", "" }, { "tick 29999", "" },
	     { "tick 1", "store rolling-back" });
	assert_int_equal(p.job->error.code, EXP_CODE_LEASE);
	play_end(&p);
}

static void test_src_abort_at_hold_commit_resumes_the_guest(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_HOLD_COMMIT);
	PLAY(&p, TO_VOTE, { "msg restored", "" }, { "verb abort", "accepted store rolling-back" },
	     { "committed", "=rolling-back ->discard copy-stop" }, RUN_AGAIN, { "done", "" },
	     { "msg discarded", "store cancelled" }, { "verb cancel", "accepted" });
	assert_int_equal(p.job->error.code, EXP_CODE_ABORTED);
	play_end(&p);
}

/* ------------------------------------------------------------------ other paths */

static void test_src_offline_move_suspends_first_and_has_no_ceiling(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	p.job->dirty = EXP_DIRTY_NONE;
	PLAY(&p, TO_PREPARING, { "msg prepared", "store copying" },
	     { "committed", "=copying store ready" }, { "committed", "=ready ->attempt" },
	     { "msg attempt-ok", "store switching" }, { "committed", "=switching suspend" },
	     { "tick 59999", "" }, { "done", "copy-start" });
	assert_true(p.plan.actions[0].everything);
	PLAY(&p, { "done", "last-data" }, { "tick 4999", "" }, { "tick 90000000", "->prepare" },
	     { "done", "get-state" }, { "done", "->final" },
	     { "tick 60000", "store rolling-back" });
	assert_int_equal(p.job->error.code, EXP_CODE_DEVICE_TIMEOUT);
	play_end(&p);
}

static void test_src_cold_move_detaches_before_the_copy(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	p.path = EXP_PATH_COLD;
	PLAY(&p, TO_PREPARING, { "msg prepared", "store copying" },
	     { "committed", "=copying store ready" }, { "committed", "=ready ->attempt" },
	     { "msg attempt-ok", "store switching" }, { "committed", "=switching fence" },
	     { "done", "copy-start" }, { "done", "last-data" }, { "done", "->final" },
	     { "reset", "" }, { "msg restored", "fence" }, { "done", "store+own released" });
	assert_int_equal(p.job->dirty, EXP_DIRTY_NONE);
	play_end(&p);
}

static void test_src_waits_for_the_target_and_asks_how_it_is(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_READY, { "committed", "=ready ->attempt" });
	play_end(&p);
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREPARING);
	p.job->target_cntlid[0] = 9;
	{
		struct exp_msg m;
		struct exp_event ev = { .type = EXP_EV_MSG, .msg = &m };

		play_msg(&p, EXP_MSG_PREPARED, 0, &m);
		m.prepared.target = EXP_TARGET_ABSENT;
		play_event(&p, &ev);
	}
	PLAY(&p, { "committed", "=copying copy-start" }, { "done", "" },
	     { "copy fits", "store ready" }, { "committed", "=ready" }, { "tick 4999", "" },
	     { "tick 1", "->prepare" }, { "msg attempt-ok", "ignored" });
	assert_string_equal(exp_src_waiting(p.src), "target-ready at the destination");
	PLAY(&p, { "msg target", "->attempt" }, { "copy not-fit", "" },
	     { "msg attempt-ok", "store copying" }, { "copy fits", "" },
	     { "committed", "=copying store ready" });
	play_end(&p);
}

static void test_src_preflight_failures_touch_nothing(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREFLIGHT, { "failed", "store rolling-back" },
	     { "committed", "=rolling-back store failed" }, { "committed", "=failed publish" });
	play_end(&p);
	new_job(&p, 1, 0);
	p.path = EXP_PATH_NONE;
	PLAY(&p, TO_PREFLIGHT, { "done", "store rolling-back" });
	assert_int_equal(p.job->error.code, EXP_CODE_STATE_INCOMPLETE);
	play_end(&p);
	new_job(&p, 1, 0);
	PLAY(&p, TO_PREFLIGHT, { "verb cancel", "accepted store rolling-back" },
	     { "committed", "=rolling-back store cancelled" },
	     { "committed", "=cancelled publish" });
	play_end(&p);
}

static void test_src_copy_engine_can_give_up(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_COPYING, { "copy will-not", "store rolling-back" });
	assert_int_equal(p.job->error.code, EXP_CODE_NO_CONVERGENCE);
	play_end(&p);
	new_job(&p, 1, 0);
	PLAY(&p, TO_SWITCHING, { "copy failed", "store rolling-back" });
	play_end(&p);
}

static void test_src_reset_during_the_switch_ends_the_attempt(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	PLAY(&p, TO_COPYING, { "reset", "" }, { "done", "" }, { "copy fits", "store ready" },
	     { "committed", "=ready ->attempt" }, { "msg attempt-ok", "store switching" },
	     { "committed", "=switching suspend" }, { "reset", "store rolling-back" });
	assert_int_equal(p.job->error.code, EXP_CODE_NOT_SUSPENDED);
	play_end(&p);
}

/* ------------------------------------------------------------------ recovery, row by row */

static void test_src_restart_before_released_rolls_back(void **state)
{
	static const enum exp_src_state states[] = { EXP_SRC_PREPARING, EXP_SRC_COPYING,
						     EXP_SRC_READY, EXP_SRC_SWITCHING };
	struct play p;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(states); i++) {
		found(&p, states[i]);
		PLAY(&p, { "recover", "store rolling-back" }, { "up", "" },
		     { "msg restored", "ignored" },
		     { "committed", "=rolling-back ->discard copy-stop" }, RUN_AGAIN,
		     { "done", "" }, { "msg discarded", "store failed" },
		     { "committed", "=failed publish" });
		assert_int_equal(p.job->error.code, EXP_CODE_RESTARTED);
		play_end(&p);
	}
	found(&p, EXP_SRC_PREFLIGHT);
	PLAY(&p, { "recover", "store rolling-back" },
	     { "committed", "=rolling-back store failed" });
	play_end(&p);
}

static void test_src_restart_in_rolling_back_begins_it_anew(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_SRC_ROLLING_BACK);
	p.job->intent = EXP_INTENT_CANCEL;
	PLAY(&p, { "recover", "store rolling-back" }, { "up", "" },
	     { "committed", "->discard copy-stop" }, RUN_AGAIN, { "msg discarded", "" },
	     { "done", "store cancelled" });
	play_end(&p);
}

static void test_src_restart_in_released_commits_again_holds_and_repeats(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_SRC_RELEASED);
	PLAY(&p, { "recover", "store+own released" }, { "up", "" }, { "msg query", "" },
	     { "commit-failed", "" }, { "tick 100", "store+own released again" },
	     { "committed", "fence" }, { "failed", "" }, { "msg query", "" },
	     { "tick 200", "fence" }, { "done", "->release" }, { "msg active", "copy-stop" });
	assert_int_equal(p.job->exports[1].epoch, 7);
	play_end(&p);
}

static void test_src_later_boot_at_or_beyond_switching_needs_a_person(void **state)
{
	static const enum exp_src_state states[] = { EXP_SRC_SWITCHING, EXP_SRC_ROLLING_BACK,
						     EXP_SRC_RELEASED };
	struct play p;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(states); i++) {
		found(&p, states[i]);
		PLAY(&p, { "boot", "alarm" }, { "up", "" }, { "tick 1000000", "" },
		     { "verb cancel", "refused NEEDS_OPERATOR" }, { "msg restored", "ignored" });
		assert_int_equal(exp_src_condition(p.src), EXP_CONDITION_NEEDS_OPERATOR);
		play_end(&p);
	}
	found(&p, EXP_SRC_COPYING);
	PLAY(&p, { "boot", "store rolling-back" });
	assert_memory_equal(&p.job->boot, &play_later, sizeof(play_later));
	play_end(&p);
}

/* ------------------------------------------------------------------ the interface */

static void test_src_new_refuses_what_is_no_job_of_ours(void **state)
{
	struct exp_ownership o[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_error err = { 0 };
	struct exp_src *m = NULL;
	struct exp_job *j;

	(void)state;
	assert_int_equal(exp_src_new(play_record(EXP_ROLE_SOURCE, 0, 1, 0), o, &m, &err), -EINVAL);
	assert_int_equal(err.code, EXP_CODE_NOT_OWNER);
	play_owner(o, 2, true);
	assert_int_equal(exp_src_new(play_record(EXP_ROLE_SOURCE, 0, 0, 0), o, &m, &err), -EINVAL);
	assert_int_equal(exp_src_new(play_record(EXP_ROLE_SOURCE, 12, 1, 6), o, &m, &err), -EINVAL);
	assert_int_equal(exp_src_new(play_record(EXP_ROLE_DESTINATION, 1, 1, 6), o, &m, &err),
			 -EINVAL);
	j = play_record(EXP_ROLE_SOURCE, 0, 2, 0);
	j->exports[1].id = j->exports[0].id;
	assert_int_equal(exp_src_new(j, o, &m, &err), -EINVAL);
	assert_null(m);
}

static void test_src_messages_carry_what_they_must(void **state)
{
	struct exp_action a = { .act = EXP_ACT_SEND, .msg = EXP_MSG_PREPARE };
	struct exp_msg m;
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_HOLD_COMMIT);
	p.job->want_cntlid = 7;
	strcpy(p.job->exports[1].desc.nqn.s, "nqn.2026-01.org.example:b");
	PLAY(&p, TO_VOTE);
	assert_int_equal(exp_src_message(p.src, &a, &m), 0);
	assert_int_equal(m.role, EXP_ROLE_SOURCE);
	assert_int_equal(m.exports[1].epoch, 7);
	assert_int_equal(m.prepare.n_descs, 2);
	assert_int_equal(m.prepare.cntlid[0], 7);
	assert_int_equal(m.prepare.cntlid[1], UINT32_MAX);
	assert_int_equal(m.prepare.hold, EXP_HOLD_COMMIT);
	assert_string_equal(m.prepare.descs[1].nqn.s, "nqn.2026-01.org.example:b");
	exp_msg_done(&m);
	a.msg = EXP_MSG_FINAL;
	assert_int_equal(exp_src_message(p.src, &a, &m), 0);
	assert_int_equal(m.state, EXP_SRC_SWITCHING);
	assert_int_equal(m.final->state[1].len, 4);
	assert_memory_equal(m.final->state[1].data, "blob", 4);
	exp_msg_done(&m);
	play_end(&p);
}

static void test_src_every_step_of_the_blackout_is_marked_once(void **state)
{
	static const char *const script[] = {
		"start",          "committed",    "done", "up",        "committed",
		"msg prepared",   "committed",    "done", "copy fits", "committed",
		"msg attempt-ok", "committed",    "done", "done",      "done",
		"done",           "msg restored", "done", "done",      "committed",
		"msg active",     "done",         "done", "committed"
	};
	unsigned int begun[EXP_STEP_N] = { 0 }, ended[EXP_STEP_N] = { 0 };
	struct play p;

	(void)state;
	new_job(&p, 1, 0);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(script); i++) {
		play_line(&p, script[i]);
		for (uint32_t k = 0; k < p.plan.n_marks; k++)
			(p.plan.marks[k].begin ? begun : ended)[p.plan.marks[k].step]++;
	}
	assert_true(p.plan.publish);
	for (unsigned int s = 0; s < EXP_STEP_N; s++) {
		assert_int_equal(begun[s], s == EXP_STEP_HOLD ? 0 : 1);
		assert_int_equal(ended[s], begun[s]);
	}
	play_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_src_live_move_goes_step_by_step),
		cmocka_unit_test(test_src_epoch_is_one_above_the_floor_of_each_export),
		cmocka_unit_test(test_src_burned_epochs_are_not_used_again),
		cmocka_unit_test(test_src_released_is_one_row_for_all_exports),
		cmocka_unit_test(test_src_nothing_happens_while_a_commit_is_out),
		cmocka_unit_test(test_src_messages_are_repeated_with_a_bounded_back_off),
		cmocka_unit_test(test_src_restored_counts_only_when_final_was_sent_in_this_life),
		cmocka_unit_test(test_src_not_suspended_behind_the_fence_rolls_back),
		cmocka_unit_test(test_src_state_got_from_a_running_controller_rolls_back),
		cmocka_unit_test(test_src_suspend_that_is_late_holds_up_resume_and_outcome),
		cmocka_unit_test(test_src_copying_can_be_cut_short),
		cmocka_unit_test(test_src_steps_inherit_what_the_earlier_ones_left),
		cmocka_unit_test(test_src_outcome_needs_both_the_guest_running_and_the_promise),
		cmocka_unit_test(test_src_discarded_ends_the_attempt_before_released),
		cmocka_unit_test(test_src_discarded_tells_why_the_connection_broke),
		cmocka_unit_test(test_src_discarded_after_released_is_an_alarm_and_changes_nothing),
		cmocka_unit_test(test_src_nothing_but_active_ends_released),
		cmocka_unit_test(test_src_cancel_is_being_decided_while_released_is_queued),
		cmocka_unit_test(
			test_src_failed_commit_of_released_is_committed_again_and_nothing_else),
		cmocka_unit_test(test_src_failed_commit_before_released_rolls_back),
		cmocka_unit_test(test_src_full_disk_does_not_keep_the_guest_suspended),
		cmocka_unit_test(test_src_query_has_three_answers),
		cmocka_unit_test(test_src_active_of_what_was_never_released_needs_a_person),
		cmocka_unit_test(test_src_take_down_waits_for_the_vmm_and_never_fails_the_job),
		cmocka_unit_test(test_src_hold_switch_waits_and_its_lease_throws_nothing_away),
		cmocka_unit_test(test_src_hold_commit_does_not_count_for_the_blackout),
		cmocka_unit_test(test_src_hold_commit_lease_ends_the_attempt),
		cmocka_unit_test(test_src_abort_at_hold_commit_resumes_the_guest),
		cmocka_unit_test(test_src_offline_move_suspends_first_and_has_no_ceiling),
		cmocka_unit_test(test_src_cold_move_detaches_before_the_copy),
		cmocka_unit_test(test_src_waits_for_the_target_and_asks_how_it_is),
		cmocka_unit_test(test_src_preflight_failures_touch_nothing),
		cmocka_unit_test(test_src_copy_engine_can_give_up),
		cmocka_unit_test(test_src_reset_during_the_switch_ends_the_attempt),
		cmocka_unit_test(test_src_restart_before_released_rolls_back),
		cmocka_unit_test(test_src_restart_in_rolling_back_begins_it_anew),
		cmocka_unit_test(test_src_restart_in_released_commits_again_holds_and_repeats),
		cmocka_unit_test(test_src_later_boot_at_or_beyond_switching_needs_a_person),
		cmocka_unit_test(test_src_new_refuses_what_is_no_job_of_ours),
		cmocka_unit_test(test_src_messages_carry_what_they_must),
		cmocka_unit_test(test_src_every_step_of_the_blackout_is_marked_once),
	};

	return cmocka_run_group_tests_name("handover_src", tests, NULL, NULL);
}
