/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving side, row by row: held until activating is durable, never decides in restored */
#include "support/handover_play.h"

#include <errno.h>

#define TO_PREPARING                                      \
	{ "start", "store+own preparing" }, { "up", "" }, \
	{                                                 \
		"committed", "=preparing build"           \
	}
#define TO_RECEIVING                                 \
	TO_PREPARING, { "done", "store receiving" }, \
	{                                            \
		"committed", "=receiving ->prepared" \
	}
#define TO_SUSPENDED                                                       \
	TO_RECEIVING, { "verb target-ready", "accepted store receiving" }, \
		{ "committed", "suspend-target" },                         \
	{                                                                  \
		"done", "->target"                                         \
	}
#define TO_RESTORED                                                                 \
	TO_SUSPENDED, { "msg attempt", "check-ready" }, { "done", "->attempt-ok" }, \
		{ "msg final", "check-final" }, { "done", "set-state" },            \
		{ "done", "store restored" },                                       \
	{                                                                           \
		"committed", "=restored ->restored"                                 \
	}
#define TO_ACTIVATING                                           \
	TO_RESTORED, { "msg release", "store+own activating" }, \
	{                                                       \
		"committed", "=activating attach"               \
	}
#define DELETED                                               \
	{ "done", "delete" }, { "done", "store discarded" },  \
	{                                                     \
		"committed", "=discarded ->discarded publish" \
	}

static void new_job(struct play *p, uint32_t n, enum exp_state_path path)
{
	struct exp_job *j = play_record(EXP_ROLE_DESTINATION, 0, n, 6);

	j->path = path;
	if (path == EXP_PATH_COLD)
		j->dirty = EXP_DIRTY_NONE;
	play_dst(p, j);
}

static void found(struct play *p, enum exp_dst_state state)
{
	play_dst(p, play_record(EXP_ROLE_DESTINATION, state, 2, 6));
}

/* ------------------------------------------------------------------ the rows, step by step */

static void test_dst_live_move_goes_step_by_step(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, TO_ACTIVATING, { "done", "resume" }, { "done", "verify-runs" },
	     { "done", "store active" }, { "committed", "=active ->active copy-stop" },
	     { "done", "store done" }, { "committed", "=done publish" });
	play_end(&p);
}

static void test_dst_first_record_closes_the_epochs(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, { "start", "store+own preparing" });
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(p.plan.changes[i].owner.own, 0);
		assert_int_equal(p.plan.changes[i].owner.floor, 6 + i);
		assert_int_equal(p.plan.changes[i].owner.maxown, 0);
		assert_int_equal(p.plan.changes[i].status, EXP_STATUS_UNCHANGED);
		assert_string_equal(p.plan.changes[i].owner_peer.s, "other");
	}
	play_end(&p);
}

static void test_dst_activating_owns_all_exports_in_one_row(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RESTORED, { "msg release", "store+own activating" });
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(p.plan.changes[i].owner.own, 6 + i);
		assert_int_equal(p.plan.changes[i].owner.floor, 6 + i);
		assert_int_equal(p.plan.changes[i].owner.maxown, 6 + i);
		assert_int_equal(p.plan.changes[i].status, EXP_EXPORT_OWNED);
	}
	play_end(&p);
}

static void test_dst_restored_holds_the_controller_state(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED, { "msg final", "check-final" });
	assert_int_equal(exp_dst_final(p.dst)->session, 3);
	PLAY(&p, { "msg final", "ignored" }, { "done", "set-state" }, { "done", "store restored" });
	assert_int_equal(p.plan.record->exports[1].state_len, 8);
	play_end(&p);
}

static void test_dst_prepare_is_answered_when_it_is_built(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, { "start", "store+own preparing" }, { "up", "" }, { "msg prepare", "" },
	     { "committed", "=preparing build" }, { "msg prepare", "" }, { "tick 60000", "" },
	     { "done", "store receiving" }, { "committed", "=receiving ->prepared" },
	     { "msg prepare", "->prepared" }, { "msg attempt", "check-ready" },
	     { "failed", "store discarding" }, { "committed", "=discarding copy-stop" }, DELETED);
	assert_int_equal(p.job->error.code, EXP_CODE_DEVICE);
	play_end(&p);
}

static void test_dst_what_cannot_go_on_is_deleted_before_it_is_said(void **state)
{
	static const char *const at[] = { "copy failed", "verb cancel", "msg discard" };
	struct play p;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(at); i++) {
		new_job(&p, 1, EXP_PATH_REFERENCE);
		PLAY(&p, TO_RECEIVING,
		     { at[i], i == 1 ? "accepted store discarding" : "store discarding" },
		     { "committed", "=discarding copy-stop" }, { "msg discard", "" },
		     { "done", "delete" }, { "failed", "" }, { "tick 200", "delete" },
		     { "done", "store discarded" }, { "commit-failed", "" },
		     { "tick 100", "store discarded again" },
		     { "committed", "=discarded ->discarded publish" });
		play_end(&p);
	}
}

static void test_dst_deleting_waits_for_the_vmm(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RECEIVING, { "msg discard", "store discarding" },
	     { "committed", "=discarding copy-stop" }, { "done", "delete" });
	assert_string_equal(exp_dst_waiting(p.dst), "");
	for (int i = 0; i < 6; i++)
		PLAY(&p, { "failed BUSY", "" }, { "tick 10000", "delete" });
	assert_string_equal(exp_dst_waiting(p.dst), "the VMM to release the target function");
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NONE);
	PLAY(&p, { "failed", "" });
	assert_string_equal(exp_dst_waiting(p.dst), "");
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NEEDS_OPERATOR);
	PLAY(&p, { "tick 10000", "delete" }, { "done", "store discarded" });
	play_end(&p);
}

static void test_dst_building_ends_before_it_is_deleted(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_PREPARING, { "msg discard", "store discarding" },
	     { "committed", "=discarding" }, { "tick 100000", "" }, { "done", "copy-stop" },
	     DELETED);
	play_end(&p);
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_PREPARING, { "failed", "store discarding" },
	     { "committed", "=discarding copy-stop" });
	play_end(&p);
}

static void test_dst_final_can_be_cut_short_but_not_set_state(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED, { "msg final", "check-final" },
	     { "msg discard", "store discarding" }, { "committed", "=discarding copy-stop" },
	     DELETED);
	play_end(&p);
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED, { "msg final", "check-final" }, { "done", "set-state" },
	     { "msg discard", "store discarding" }, { "committed", "=discarding" },
	     { "done", "copy-stop" }, DELETED);
	play_end(&p);
}

static void test_dst_never_decides_in_restored(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RESTORED, { "tick 250", "->restored" }, { "tick 500", "->restored" },
	     { "tick 1000", "->restored ->query" }, { "msg answer", "" },
	     { "tick 1000000000", "->restored ->query" }, { "verb cancel", "refused CONFLICT" },
	     { "verb abort", "refused CONFLICT" }, { "verb commit", "refused CONFLICT" },
	     { "copy failed", "" }, { "down", "" }, { "tick 100000", "" }, { "up", "->restored" },
	     { "msg final", "->restored" }, { "old release", "ignored" },
	     { "old discard", "ignored" }, { "msg prepare", "ignored" },
	     { "msg attempt", "ignored" });
	assert_int_equal(exp_dst_state(p.dst), EXP_DST_RESTORED);
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NONE);
	PLAY(&p, { "msg discard", "store discarding" }, { "committed", "=discarding copy-stop" },
	     DELETED);
	play_end(&p);
}

static void test_dst_unknown_decides_nothing_and_is_shown(void **state)
{
	struct exp_msg m;
	struct exp_event ev = { .type = EXP_EV_MSG, .msg = &m };
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RESTORED);
	play_msg(&p, EXP_MSG_ANSWER, 0, &m);
	m.answer = EXP_ANSWER_UNKNOWN;
	play_event(&p, &ev);
	assert_false(p.plan.store);
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NEEDS_OPERATOR);
	PLAY(&p, { "msg release", "store+own activating" });
	play_end(&p);
}

static void test_dst_release_is_obeyed_only_in_restored(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_PREPARING, { "msg release", "alarm" }, { "done", "store receiving" },
	     { "committed", "=receiving ->prepared" }, { "msg release", "alarm" },
	     { "copy failed", "store discarding" }, { "msg release", "alarm" });
	play_end(&p);
}

static void test_dst_release_during_the_commit_of_restored_waits_for_it(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED, { "msg final", "check-final" }, { "done", "set-state" },
	     { "done", "store restored" }, { "msg discard", "" }, { "commit-failed", "" },
	     { "tick 100", "store restored again" }, { "committed", "=restored store discarding" });
	play_end(&p);
}

static void test_dst_active_is_said_only_of_what_was_seen_to_run(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_ACTIVATING, { "msg release", "" }, { "failed", "" }, { "tick 200", "attach" },
	     { "done", "resume" }, { "failed", "" }, { "tick 399", "" }, { "tick 10000", "attach" },
	     { "msg discard", "alarm" }, { "done", "resume" },
	     { "verb cancel", "refused TOO_LATE" }, { "done", "verify-runs" }, { "reset", "" },
	     { "failed", "" }, { "tick 10000", "attach" }, { "done", "resume" },
	     { "done", "verify-runs" }, { "done", "store active" }, { "msg release", "" },
	     { "committed", "=active ->active copy-stop" }, { "msg release", "->active" },
	     { "msg discard", "alarm ->active" }, { "failed", "" }, { "tick 200", "copy-stop" },
	     { "done", "store done" });
	play_end(&p);
}

static void test_dst_activation_that_fails_is_tried_for_ever(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_ACTIVATING);
	for (int i = 0; i < 20; i++)
		PLAY(&p, { "failed", "" }, { "tick 10000", "attach" });
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NEEDS_OPERATOR);
	PLAY(&p, { "done", "resume" }, { "done", "verify-runs" }, { "done", "store active" });
	assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NONE);
	play_end(&p);
}

static void test_dst_cold_has_no_state_and_no_resume(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_COLD);
	PLAY(&p, TO_RECEIVING, { "verb target-ready", "refused CONFLICT" },
	     { "msg attempt", "check-ready" }, { "done", "->attempt-ok" },
	     { "msg final", "check-final" }, { "done", "store restored" },
	     { "committed", "=restored ->restored" }, { "msg release", "store+own activating" },
	     { "committed", "=activating attach" }, { "done", "verify-runs" },
	     { "done", "store active" });
	play_end(&p);
}

/* ------------------------------------------------------------------ the target and the VMM */

static void test_dst_target_is_suspended_when_the_vmm_has_enabled_it(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RECEIVING);
	assert_string_equal(exp_dst_waiting(p.dst), "target-ready");
	PLAY(&p, { "verb target-ready", "accepted store receiving" },
	     { "verb target-ready", "wait" }, { "committed", "suspend-target" }, { "failed", "" });
	assert_string_equal(exp_dst_waiting(p.dst), "the VMM to enable the target controller");
	PLAY(&p, { "tick 200", "suspend-target" }, { "failed", "" },
	     { "verb target-ready", "accepted store receiving" }, { "committed", "suspend-target" },
	     { "reset", "" }, { "done", "->target suspend-target" }, { "done", "->target" },
	     { "down", "" }, { "up", "->target" });
	assert_int_equal(exp_dst_target(p.dst), EXP_TARGET_SUSPENDED);
	PLAY(&p, { "reset", "->target suspend-target" }, { "msg attempt", "" },
	     { "done", "->target check-ready" });
	play_end(&p);
}

static void test_dst_target_ready_names_sound_memory(void **state)
{
	static const struct exp_memory_range wraps = { UINT64_MAX, 2 }, empty = { 0, 0 };
	struct exp_event ev = { .type = EXP_EV_VERB, .verb = { .verb = EXP_VERB_TARGET_READY } };
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RECEIVING);
	play_event(&p, &ev);
	assert_int_equal(p.plan.verb_error.code, EXP_CODE_INVALID);
	ev.verb.n_memory = 1;
	ev.verb.memory = &wraps;
	play_event(&p, &ev);
	assert_int_equal(p.plan.verb_error.code, EXP_CODE_INVALID);
	ev.verb.memory = &empty;
	play_event(&p, &ev);
	assert_int_equal(p.plan.verb_error.code, EXP_CODE_INVALID);
	ev.verb.n_memory = EXP_MEMORY_RANGES_MAX + 1;
	play_event(&p, &ev);
	assert_int_equal(p.plan.verb_error.code, EXP_CODE_INVALID);
	assert_int_equal(p.job->n_memory, 0);
	play_end(&p);
}

static void test_dst_reset_while_it_restores_gives_up(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED, { "msg final", "check-final" }, { "done", "set-state" },
	     { "reset", "store discarding" }, { "committed", "=discarding" },
	     { "failed", "copy-stop" }, DELETED);
	play_end(&p);
}

static void test_dst_reset_in_restored_holds_it_again_from_the_blob(void **state)
{
	struct play p;

	(void)state;
	new_job(&p, 1, EXP_PATH_REFERENCE);
	PLAY(&p, TO_RESTORED, { "reset", "rebuild" });
	assert_true(p.plan.actions[0].apply_state);
	PLAY(&p, { "reset", "" }, { "done", "rebuild" }, { "failed", "" }, { "msg release", "" },
	     { "tick 200", "rebuild" }, { "done", "store+own activating" });
	play_end(&p);
}

static void test_dst_final_of_the_wrong_shape_is_refused(void **state)
{
	struct exp_msg m;
	struct exp_event ev = { .type = EXP_EV_MSG, .msg = &m };
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED);
	play_msg(&p, EXP_MSG_FINAL, 0, &m);
	free(m.final->state[1].data);
	m.final->state[1] = (struct exp_msg_blob){ 0 };
	play_event(&p, &ev);
	exp_msg_done(&m);
	assert_int_equal(p.plan.record->state, EXP_DST_DISCARDING);
	assert_int_equal(p.plan.record->error.code, EXP_CODE_PROTOCOL);
	play_end(&p);
}

/* ------------------------------------------------------------------ recovery, row by row */

static void test_dst_restart_in_preparing_builds_anew(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_PREPARING);
	PLAY(&p, { "recover", "store preparing" }, { "up", "" }, { "committed", "build" },
	     { "done", "store receiving" }, { "committed", "=receiving ->prepared" });
	play_end(&p);
}

static void test_dst_restart_in_receiving_keeps_what_is_there(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_RECEIVING);
	PLAY(&p, { "recover", "store receiving" }, { "up", "" }, { "committed", "rebuild" },
	     { "msg prepare", "" }, { "done absent", "->prepared" },
	     { "msg prepare", "->prepared" }, { "msg discard", "store discarding" });
	play_end(&p);
	found(&p, EXP_DST_RECEIVING);
	PLAY(&p, { "recover", "store receiving" }, { "committed", "rebuild" }, { "reset", "" },
	     { "done", "" });
	assert_int_equal(exp_dst_target(p.dst), EXP_TARGET_ENABLED);
	play_end(&p);
}

static void test_dst_restart_in_restored_is_held_and_votes_again(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_RESTORED);
	PLAY(&p, { "recover", "store restored" }, { "up", "" }, { "msg release", "" },
	     { "commit-failed", "" }, { "tick 100", "store restored again" },
	     { "committed", "rebuild" }, { "done", "store+own activating" });
	play_end(&p);
	found(&p, EXP_DST_RESTORED);
	PLAY(&p, { "recover", "store restored" }, { "up", "" }, { "committed", "rebuild" },
	     { "done", "->restored" }, { "msg discard", "store discarding" });
	play_end(&p);
}

static void test_dst_restart_in_activating_goes_on_and_never_sets_state(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_ACTIVATING);
	PLAY(&p, { "recover", "store+own activating" }, { "up", "" }, { "committed", "attach" },
	     { "done", "resume" }, { "done", "verify-runs" }, { "done", "store active" },
	     { "committed", "=active ->active copy-stop" });
	play_end(&p);
}

static void test_dst_restart_in_active_says_so_and_closes(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_ACTIVE);
	PLAY(&p, { "recover", "store active" }, { "up", "" }, { "committed", "->active copy-stop" },
	     { "done", "store done" });
	play_end(&p);
}

static void test_dst_restart_in_discarding_finishes(void **state)
{
	struct play p;

	(void)state;
	found(&p, EXP_DST_DISCARDING);
	PLAY(&p, { "recover", "store discarding" }, { "up", "" }, { "committed", "copy-stop" },
	     DELETED);
	play_end(&p);
}

static void test_dst_later_boot(void **state)
{
	static const enum exp_dst_state stuck[] = { EXP_DST_RESTORED, EXP_DST_ACTIVATING,
						    EXP_DST_ACTIVE };
	struct play p;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(stuck); i++) {
		found(&p, stuck[i]);
		PLAY(&p, { "boot", "alarm" }, { "up", "" }, { "tick 1000000", "" },
		     { "verb cancel", "refused NEEDS_OPERATOR" });
		assert_int_equal(exp_dst_condition(p.dst), EXP_CONDITION_NEEDS_OPERATOR);
		play_end(&p);
	}
	found(&p, EXP_DST_RECEIVING);
	PLAY(&p, { "boot", "store discarding" }, { "committed", "=discarding copy-stop" });
	play_end(&p);
	found(&p, EXP_DST_DISCARDING);
	PLAY(&p, { "boot", "store discarding" }, { "committed", "copy-stop" });
	play_end(&p);
}

/* ------------------------------------------------------------------ the interface */

static void test_dst_new_refuses_what_it_must_not_take(void **state)
{
	struct exp_ownership o[EXP_JOB_EXPORTS_MAX] = { { 0, 5, 0 }, { 6, 6, 6 } };
	struct exp_error err = { 0 };
	struct exp_dst *m = NULL;

	(void)state;
	assert_int_equal(exp_dst_new(play_record(EXP_ROLE_DESTINATION, 0, 2, 7), o, &m, &err),
			 -EINVAL);
	assert_int_equal(err.code, EXP_CODE_CONFLICT);
	assert_int_equal(exp_dst_new(play_record(EXP_ROLE_DESTINATION, 0, 1, 5), o, &m, &err),
			 -EINVAL);
	assert_int_equal(err.code, EXP_CODE_GONE);
	assert_null(m);
}

static struct exp_msg *a_prepare(uint32_t n)
{
	struct exp_msg *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->type = EXP_MSG_PREPARE;
	m->attempt = 1;
	m->role = EXP_ROLE_SOURCE;
	m->n_exports = m->prepare.n_descs = n;
	m->prepare.path = EXP_PATH_REFERENCE;
	m->prepare.dirty = EXP_DIRTY_CDQ;
	m->prepare.hold = EXP_HOLD_SWITCH;
	m->prepare.blackout_limit_ms = 777;
	m->prepare.descs = calloc(n, sizeof(*m->prepare.descs));
	assert_non_null(m->prepare.descs);
	for (uint32_t i = 0; i < n; i++) {
		m->exports[i].id.b[0] = (uint8_t)(1 + i);
		m->exports[i].epoch = 9 + i;
		m->prepare.descs[i].ensid = 1 + i;
	}
	return m;
}

static void drop(struct exp_msg *m)
{
	exp_msg_done(m);
	free(m);
}

static void test_dst_job_is_made_from_prepare(void **state)
{
	struct exp_name peer = { .s = "west" };
	struct exp_job *j = NULL;
	struct exp_error err;
	struct exp_msg *m = a_prepare(2);

	(void)state;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), 0);
	assert_int_equal(j->role, EXP_ROLE_DESTINATION);
	assert_int_equal(j->state, 0);
	assert_int_equal(j->exports[1].epoch, 10);
	assert_int_equal(j->exports[1].desc.ensid, 2);
	assert_int_equal(j->blackout_limit_ms, 777);
	assert_int_equal(j->hold, EXP_HOLD_SWITCH);
	assert_string_equal(j->peer.s, "west");
	exp_job_free(j);
	drop(m);
}

static void test_dst_job_refuses_a_prepare_that_makes_no_sense(void **state)
{
	struct exp_name peer = { .s = "west" };
	struct exp_job *j = NULL;
	struct exp_error err;
	struct exp_msg *m;

	(void)state;
	m = a_prepare(2);
	m->prepare.n_descs = 1;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->prepare.n_descs = 2;
	m->prepare.path = (enum exp_state_path)99;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->prepare.path = EXP_PATH_COLD; /* with a change log */
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->prepare.path = EXP_PATH_REFERENCE;
	m->prepare.dirty = (enum exp_dirty_source)0;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->prepare.dirty = EXP_DIRTY_CDQ;
	m->prepare.hold = 4;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->prepare.hold = 0;
	m->prepare.descs[1].config_len = EXP_CONFIG_STATE_MAX + 1;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	m->n_exports = 0;
	assert_int_equal(exp_dst_job_new(m, &peer, &j, &err), -EINVAL);
	assert_null(j);
	drop(m);
}

static void test_dst_messages_carry_what_they_must(void **state)
{
	struct exp_action a = { .act = EXP_ACT_SEND, .msg = EXP_MSG_PREPARED };
	struct exp_msg m;
	struct play p;

	(void)state;
	new_job(&p, 2, EXP_PATH_REFERENCE);
	PLAY(&p, TO_SUSPENDED);
	strcpy(p.job->exports[0].here.device.s, "ssd");
	p.job->exports[1].here.cntlid = 5;
	assert_int_equal(exp_dst_message(p.dst, &a, &m), 0);
	assert_int_equal(m.role, EXP_ROLE_DESTINATION);
	assert_string_equal(m.prepared.device.s, "ssd");
	assert_int_equal(m.prepared.cntlid[1], 5);
	assert_int_equal(m.prepared.target, EXP_TARGET_SUSPENDED);
	PLAY(&p, { "copy failed", "store discarding" });
	a.msg = EXP_MSG_DISCARDED;
	assert_int_equal(exp_dst_message(p.dst, &a, &m), 0);
	assert_int_equal(m.reason.code, EXP_CODE_NO_CONVERGENCE);
	play_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dst_live_move_goes_step_by_step),
		cmocka_unit_test(test_dst_first_record_closes_the_epochs),
		cmocka_unit_test(test_dst_activating_owns_all_exports_in_one_row),
		cmocka_unit_test(test_dst_restored_holds_the_controller_state),
		cmocka_unit_test(test_dst_prepare_is_answered_when_it_is_built),
		cmocka_unit_test(test_dst_what_cannot_go_on_is_deleted_before_it_is_said),
		cmocka_unit_test(test_dst_deleting_waits_for_the_vmm),
		cmocka_unit_test(test_dst_building_ends_before_it_is_deleted),
		cmocka_unit_test(test_dst_final_can_be_cut_short_but_not_set_state),
		cmocka_unit_test(test_dst_never_decides_in_restored),
		cmocka_unit_test(test_dst_unknown_decides_nothing_and_is_shown),
		cmocka_unit_test(test_dst_release_is_obeyed_only_in_restored),
		cmocka_unit_test(test_dst_release_during_the_commit_of_restored_waits_for_it),
		cmocka_unit_test(test_dst_active_is_said_only_of_what_was_seen_to_run),
		cmocka_unit_test(test_dst_activation_that_fails_is_tried_for_ever),
		cmocka_unit_test(test_dst_cold_has_no_state_and_no_resume),
		cmocka_unit_test(test_dst_target_is_suspended_when_the_vmm_has_enabled_it),
		cmocka_unit_test(test_dst_target_ready_names_sound_memory),
		cmocka_unit_test(test_dst_reset_while_it_restores_gives_up),
		cmocka_unit_test(test_dst_reset_in_restored_holds_it_again_from_the_blob),
		cmocka_unit_test(test_dst_final_of_the_wrong_shape_is_refused),
		cmocka_unit_test(test_dst_restart_in_preparing_builds_anew),
		cmocka_unit_test(test_dst_restart_in_receiving_keeps_what_is_there),
		cmocka_unit_test(test_dst_restart_in_restored_is_held_and_votes_again),
		cmocka_unit_test(test_dst_restart_in_activating_goes_on_and_never_sets_state),
		cmocka_unit_test(test_dst_restart_in_active_says_so_and_closes),
		cmocka_unit_test(test_dst_restart_in_discarding_finishes),
		cmocka_unit_test(test_dst_later_boot),
		cmocka_unit_test(test_dst_new_refuses_what_it_must_not_take),
		cmocka_unit_test(test_dst_job_is_made_from_prepare),
		cmocka_unit_test(test_dst_job_refuses_a_prepare_that_makes_no_sense),
		cmocka_unit_test(test_dst_messages_carry_what_they_must),
	};

	return cmocka_run_group_tests_name("handover_dst", tests, NULL, NULL);
}
