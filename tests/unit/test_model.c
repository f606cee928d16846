/* SPDX-License-Identifier: Apache-2.0 */
/* lib/model: names and numbers that are stored and sent, and what a copied job owns */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/finding.h"
#include "model/job.h"
#include "model/msg.h"
#include "model/states.h"

/* typed by hand: a record or a message written by an older daemon must mean the same for ever */
static void test_states_numbers_never_change(void **state)
{
	(void)state;
	assert_int_equal(EXP_SRC_PREFLIGHT, 1);
	assert_int_equal(EXP_SRC_PREPARING, 2);
	assert_int_equal(EXP_SRC_COPYING, 3);
	assert_int_equal(EXP_SRC_READY, 4);
	assert_int_equal(EXP_SRC_SWITCHING, 5);
	assert_int_equal(EXP_SRC_ROLLING_BACK, 6);
	assert_int_equal(EXP_SRC_RELEASED, 7);
	assert_int_equal(EXP_SRC_DONE, 8);
	assert_int_equal(EXP_SRC_FAILED, 9);
	assert_int_equal(EXP_SRC_CANCELLED, 10);
	assert_int_equal(EXP_SRC_TAKEN, 11);
	assert_int_equal(EXP_DST_PREPARING, 1);
	assert_int_equal(EXP_DST_RECEIVING, 2);
	assert_int_equal(EXP_DST_RESTORED, 3);
	assert_int_equal(EXP_DST_ACTIVATING, 4);
	assert_int_equal(EXP_DST_ACTIVE, 5);
	assert_int_equal(EXP_DST_DISCARDING, 6);
	assert_int_equal(EXP_DST_DISCARDED, 7);
	assert_int_equal(EXP_DST_DONE, 8);
	assert_int_equal(EXP_MSG_RELEASE, 34);
	assert_int_equal(EXP_MSG_ACTIVE, 35);
}

static void test_states_names_go_both_ways(void **state)
{
	unsigned int v;

	(void)state;
	assert_string_equal(exp_src_state_name(EXP_SRC_ROLLING_BACK), "rolling-back");
	assert_string_equal(exp_state_name(EXP_ROLE_DESTINATION, 3), "restored");
	assert_int_equal(exp_state_by_name(EXP_ROLE_DESTINATION, "activating", &v), 0);
	assert_int_equal(v, EXP_DST_ACTIVATING);
	assert_int_equal(exp_state_by_name(EXP_ROLE_SOURCE, "restored", &v), -ENOENT);
	assert_null(exp_src_state_name(0));
	assert_null(exp_dst_state_name(9));
	assert_string_equal(exp_condition_name(EXP_CONDITION_NONE), "");
	assert_string_equal(exp_target_state_name(EXP_TARGET_SUSPENDED), "suspended");
}

static void test_states_final(void **state)
{
	(void)state;
	assert_true(exp_state_is_final(EXP_ROLE_SOURCE, EXP_SRC_CANCELLED));
	assert_false(exp_state_is_final(EXP_ROLE_SOURCE, EXP_SRC_RELEASED));
	assert_true(exp_state_is_final(EXP_ROLE_DESTINATION, EXP_DST_DISCARDED));
	assert_false(exp_state_is_final(EXP_ROLE_DESTINATION, EXP_DST_ACTIVE));
}

static void test_job_copy_is_deep(void **state)
{
	struct exp_job *a = exp_job_new(), *b;

	(void)state;
	assert_non_null(a);
	a->n_exports = 2;
	assert_int_equal(exp_job_set_state_blob(a, 1, "blob", 4), 0);
	b = exp_job_copy(a);
	assert_non_null(b);
	assert_int_equal(exp_job_set_state_blob(a, 1, "other", 5), 0);
	assert_int_equal(b->exports[1].state_len, 4);
	assert_memory_equal(b->exports[1].state, "blob", 4);
	exp_job_free(a);
	exp_job_free(b);
}

static void test_job_blob_is_bounded(void **state)
{
	struct exp_job *j = exp_job_new();
	uint8_t *big = calloc(1, EXP_STATE_BLOB_MAX + 1);

	(void)state;
	assert_non_null(j);
	assert_non_null(big);
	assert_int_equal(exp_job_set_state_blob(j, 0, big, EXP_STATE_BLOB_MAX + 1), -E2BIG);
	assert_int_equal(exp_job_set_state_blob(j, EXP_JOB_EXPORTS_MAX, big, 1), -EINVAL);
	assert_int_equal(exp_job_set_state_blob(j, 0, big, EXP_STATE_BLOB_MAX), 0);
	exp_job_free(j);
	free(big);
}

static void test_msg_names_job_and_epochs(void **state)
{
	struct exp_job *j = exp_job_new();
	struct exp_uuid stranger = exp_uuid_new();
	struct exp_msg m;

	(void)state;
	assert_non_null(j);
	j->id = exp_uuid_new();
	j->role = EXP_ROLE_SOURCE;
	j->state = EXP_SRC_RELEASED;
	j->n_exports = 2;
	j->exports[1].id = exp_uuid_new();
	j->exports[1].epoch = 7;
	exp_msg_for_job(&m, EXP_MSG_RELEASE, j);
	assert_true(exp_uuid_eq(&m.job, &j->id));
	assert_int_equal(m.state, EXP_SRC_RELEASED);
	assert_int_equal(exp_msg_epoch(&m, &j->exports[1].id), 7);
	assert_int_equal(exp_msg_epoch(&m, &stranger), 0);
	assert_string_equal(exp_msg_name(m.type), "release");
	assert_null(exp_msg_name(5));
	exp_msg_done(&m);
	exp_job_free(j);
}

static void test_findings_never_lose_a_refusal(void **state)
{
	struct exp_findings *fs = calloc(1, sizeof(*fs));
	struct exp_error err = { 0 };

	(void)state;
	assert_non_null(fs);
	assert_int_equal(exp_findings_error(fs, EXP_CODE_PREFLIGHT, &err), 0);
	for (int i = 0; i < EXP_FINDINGS_MAX + 5; i++)
		exp_findings_add(fs, EXP_FINDING_NOTE, "N", "rule", "a", "b", "note %d", i);
	assert_false(exp_findings_refuse(fs));
	exp_findings_add(fs, EXP_FINDING_REFUSAL, "TOO_SMALL", "dst >= src", "1", "2",
			 "1 is less than 2");
	assert_true(exp_findings_refuse(fs));
	assert_true(fs->cut);
	assert_int_equal(exp_findings_error(fs, EXP_CODE_PREFLIGHT, &err), -EPERM);
	assert_int_equal(err.code, EXP_CODE_PREFLIGHT);
	assert_string_equal(err.msg, "TOO_SMALL: 1 is less than 2");
	free(fs);
}

static void test_steps_have_names(void **state)
{
	(void)state;
	assert_string_equal(exp_step_name(EXP_STEP_SUSPEND), "suspend");
	assert_string_equal(exp_step_name(EXP_STEP_ACTIVATE), "activate");
	assert_null(exp_step_name(EXP_STEP_N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_numbers_never_change),
		cmocka_unit_test(test_states_names_go_both_ways),
		cmocka_unit_test(test_states_final),
		cmocka_unit_test(test_job_copy_is_deep),
		cmocka_unit_test(test_job_blob_is_bounded),
		cmocka_unit_test(test_msg_names_job_and_epochs),
		cmocka_unit_test(test_findings_never_lose_a_refusal),
		cmocka_unit_test(test_steps_have_names),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
