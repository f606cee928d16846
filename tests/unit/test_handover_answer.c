/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that are not open here still answer, from floor and maxown alone */
#include "support/tests.h"

#include "handover/answer.h"

#define IGNORE EXP_REPLY_IGNORE
#define SEND   EXP_REPLY_SEND
#define BEGIN  EXP_REPLY_BEGIN

struct row {
	const char *what;
	enum exp_msg_type msg;
	uint64_t epoch;
	struct exp_ownership owner; /* own, floor, maxown */
	bool busy;
	enum exp_reply_kind kind;
	enum exp_msg_type send;
	uint64_t floor; /* raised to; 0: nothing to store */
	bool alarm;
};

static const struct row rows[] = {
	{ "a new job", EXP_MSG_PREPARE, 6, { 0, 5, 0 }, false, BEGIN, 0, 0, false },
	{ "never seen", EXP_MSG_PREPARE, 1, { 0, 0, 0 }, false, BEGIN, 0, 0, false },
	{ "another job is open", EXP_MSG_PREPARE, 6, { 0, 5, 0 }, true, IGNORE, 0, 0, false },
	{ "the job in released is open",
	  EXP_MSG_PREPARE,
	  6,
	  { 0, 5, 4 },
	  true,
	  IGNORE,
	  0,
	  0,
	  false },
	{ "owned here", EXP_MSG_PREPARE, 6, { 5, 5, 5 }, false, SEND, EXP_MSG_DISCARDED, 6, true },
	{ "discarded before",
	  EXP_MSG_PREPARE,
	  5,
	  { 0, 5, 0 },
	  false,
	  SEND,
	  EXP_MSG_DISCARDED,
	  0,
	  false },
	{ "discarded, other job open",
	  EXP_MSG_PREPARE,
	  5,
	  { 0, 6, 0 },
	  true,
	  SEND,
	  EXP_MSG_DISCARDED,
	  0,
	  false },
	{ "activated before",
	  EXP_MSG_PREPARE,
	  5,
	  { 5, 5, 5 },
	  false,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "and given away since",
	  EXP_MSG_PREPARE,
	  5,
	  { 0, 7, 5 },
	  false,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "final, discarded",
	  EXP_MSG_FINAL,
	  5,
	  { 0, 5, 0 },
	  false,
	  SEND,
	  EXP_MSG_DISCARDED,
	  0,
	  false },
	{ "final, activated",
	  EXP_MSG_FINAL,
	  5,
	  { 5, 5, 5 },
	  false,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "final of the unknown", EXP_MSG_FINAL, 6, { 0, 5, 0 }, false, IGNORE, 0, 0, false },
	{ "attempt, discarded",
	  EXP_MSG_ATTEMPT,
	  5,
	  { 0, 5, 0 },
	  false,
	  SEND,
	  EXP_MSG_DISCARDED,
	  0,
	  false },
	{ "attempt of the unknown", EXP_MSG_ATTEMPT, 6, { 0, 5, 0 }, false, IGNORE, 0, 0, false },
	{ "release, activated",
	  EXP_MSG_RELEASE,
	  5,
	  { 5, 5, 5 },
	  false,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "release, given away since",
	  EXP_MSG_RELEASE,
	  5,
	  { 0, 9, 5 },
	  true,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "release of the unknown", EXP_MSG_RELEASE, 6, { 0, 5, 0 }, false, IGNORE, 0, 0, true },
	{ "release of the discarded", EXP_MSG_RELEASE, 5, { 0, 5, 4 }, false, IGNORE, 0, 0, true },
	{ "discard of the unknown",
	  EXP_MSG_DISCARD,
	  6,
	  { 0, 5, 0 },
	  false,
	  SEND,
	  EXP_MSG_DISCARDED,
	  6,
	  false },
	{ "discard, other job open",
	  EXP_MSG_DISCARD,
	  7,
	  { 0, 6, 0 },
	  true,
	  SEND,
	  EXP_MSG_DISCARDED,
	  7,
	  false },
	{ "discard again",
	  EXP_MSG_DISCARD,
	  5,
	  { 0, 5, 0 },
	  false,
	  SEND,
	  EXP_MSG_DISCARDED,
	  0,
	  false },
	{ "discard of the activated",
	  EXP_MSG_DISCARD,
	  5,
	  { 5, 5, 5 },
	  false,
	  SEND,
	  EXP_MSG_ACTIVE,
	  0,
	  false },
	{ "no epoch", EXP_MSG_PREPARE, 0, { 0, 0, 0 }, false, IGNORE, 0, 0, false },
	{ "not a source's message", EXP_MSG_RESTORED, 6, { 0, 5, 0 }, false, IGNORE, 0, 0, false },
};

static void message(struct exp_msg *m, enum exp_msg_type type, enum exp_role role, uint32_t n,
		    uint64_t epoch)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->role = role;
	m->job.b[0] = 1;
	m->attempt = 1;
	m->n_exports = n;
	for (uint32_t i = 0; i < n; i++) {
		m->exports[i].id.b[0] = (uint8_t)(10 + i);
		m->exports[i].epoch = epoch;
	}
}

static void test_answer_destination_row_by_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct exp_known_export known = { .owner = r->owner, .busy = r->busy };
		struct exp_reply reply;
		struct exp_msg m;

		message(&m, r->msg, EXP_ROLE_SOURCE, 1, r->epoch);
		exp_dst_answer(&known, &m, &reply);
		if (reply.kind != r->kind || (r->kind == SEND && reply.send != r->send))
			fail_msg("%s: kind %d, message %d", r->what, (int)reply.kind,
				 (int)reply.send);
		if ((reply.alarm.code != EXP_CODE_OK) != r->alarm)
			fail_msg("%s: alarm \"%s\"", r->what, reply.alarm.msg);
		if (reply.n_changes != (r->floor ? 1 : 0) ||
		    (r->floor && (reply.changes[0].owner.floor != r->floor ||
				  reply.changes[0].owner.own != r->owner.own)))
			fail_msg("%s: %u rows to store", r->what, reply.n_changes);
	}
}

static void test_answer_exports_of_a_job_stand_and_fall_together(void **state)
{
	struct exp_known_export known[2] = { { .owner = { 0, 6, 0 } }, { .owner = { 0, 5, 0 } } };
	struct exp_reply r;
	struct exp_msg m;

	(void)state;
	/* one epoch is closed: the whole job is, and the other epoch is closed before that is said
	 */
	message(&m, EXP_MSG_PREPARE, EXP_ROLE_SOURCE, 2, 6);
	exp_dst_answer(known, &m, &r);
	assert_int_equal(r.send, EXP_MSG_DISCARDED);
	assert_int_equal(r.n_changes, 1);
	assert_int_equal(r.changes[0].index, 1);
	assert_int_equal(r.changes[0].owner.floor, 6);
	/* half of it activated here: no answer is true */
	known[0].owner.maxown = 6;
	exp_dst_answer(known, &m, &r);
	assert_int_equal(r.kind, EXP_REPLY_IGNORE);
	assert_int_not_equal(r.alarm.code, EXP_CODE_OK);
	m.type = EXP_MSG_DISCARD;
	exp_dst_answer(known, &m, &r);
	assert_int_equal(r.kind, EXP_REPLY_IGNORE);
	m.type = EXP_MSG_RELEASE;
	exp_dst_answer(known, &m, &r);
	assert_int_equal(r.kind, EXP_REPLY_IGNORE);
	known[1].owner = (struct exp_ownership){ 6, 6, 6 };
	exp_dst_answer(known, &m, &r);
	assert_int_equal(r.send, EXP_MSG_ACTIVE);
}

static void test_answer_refusal_closes_the_epoch_first(void **state)
{
	struct exp_known_export known[2] = { { .owner = { 0, 5, 0 } }, { .owner = { 0, 5, 0 } } };
	struct exp_error why;
	struct exp_reply r;
	struct exp_msg m, out;

	(void)state;
	message(&m, EXP_MSG_PREPARE, EXP_ROLE_SOURCE, 2, 9);
	exp_error_set(&why, EXP_CODE_NO_SPACE, 0, "full");
	exp_dst_refuse(known, &m, &why, &r);
	assert_int_equal(r.kind, EXP_REPLY_SEND);
	assert_int_equal(r.n_changes, 2);
	assert_int_equal(r.changes[1].owner.floor, 9);
	exp_reply_message(&r, &m, &out);
	assert_int_equal(out.type, EXP_MSG_DISCARDED);
	assert_int_equal(out.role, EXP_ROLE_DESTINATION);
	assert_int_equal(out.n_exports, 2);
	assert_int_equal(out.exports[1].epoch, 9);
	assert_int_equal(out.reason.code, EXP_CODE_NO_SPACE);
	assert_true(exp_uuid_eq(&out.job, &m.job));
}

static void test_answer_queued_floor_closes_but_proves_nothing(void **state)
{
	struct exp_known_export known = { .owner = { 0, 5, 0 }, .queued_floor = 6 };
	struct exp_reply r;
	struct exp_msg m;

	(void)state;
	message(&m, EXP_MSG_PREPARE, EXP_ROLE_SOURCE, 1, 6);
	exp_dst_answer(&known, &m, &r);
	assert_int_equal(r.send, EXP_MSG_DISCARDED);
	assert_int_equal(r.n_changes, 1);
	m.type = EXP_MSG_DISCARD;
	exp_dst_answer(&known, &m, &r);
	assert_int_equal(r.n_changes, 1);
	known.owner.floor = 6; /* it is durable now */
	exp_dst_answer(&known, &m, &r);
	assert_int_equal(r.n_changes, 0);
}

static void test_answer_source_row_by_row(void **state)
{
	static const struct {
		unsigned int record; /* 0: none */
		enum exp_msg_type msg, send;
		enum exp_answer answer;
	} cases[] = {
		{ EXP_SRC_DONE, EXP_MSG_QUERY, EXP_MSG_RELEASE, 0 },
		{ EXP_SRC_DONE, EXP_MSG_RESTORED, EXP_MSG_RELEASE, 0 },
		{ EXP_SRC_FAILED, EXP_MSG_QUERY, EXP_MSG_DISCARD, 0 },
		{ EXP_SRC_CANCELLED, EXP_MSG_RESTORED, EXP_MSG_DISCARD, 0 },
		{ EXP_SRC_SWITCHING, EXP_MSG_QUERY, EXP_MSG_ANSWER, EXP_ANSWER_PENDING },
		{ 0, EXP_MSG_QUERY, EXP_MSG_ANSWER, EXP_ANSWER_UNKNOWN },
		{ EXP_SRC_DONE, EXP_MSG_ACTIVE, 0, 0 },
		{ EXP_SRC_FAILED, EXP_MSG_DISCARDED, 0, 0 },
		{ EXP_SRC_DONE, EXP_MSG_PREPARED, 0, 0 },
	};
	struct exp_job *j = exp_job_new();

	(void)state;
	assert_non_null(j);
	j->role = EXP_ROLE_SOURCE;
	j->id.b[0] = 1;
	j->n_exports = 1;
	j->exports[0].id.b[0] = 10;
	j->exports[0].epoch = 6;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		struct exp_reply r;
		struct exp_msg m;

		j->state = cases[i].record;
		message(&m, cases[i].msg, EXP_ROLE_DESTINATION, 1, 6);
		exp_src_answer(cases[i].record ? j : NULL, &m, &r);
		assert_int_equal(r.kind, cases[i].send ? EXP_REPLY_SEND : EXP_REPLY_IGNORE);
		if (cases[i].send)
			assert_int_equal(r.send, cases[i].send);
		if (cases[i].send == EXP_MSG_ANSWER)
			assert_int_equal(r.answer, cases[i].answer);
		assert_int_equal(r.n_changes, 0);
	}
	exp_job_free(j);
}

static void test_answer_record_of_another_attempt_covers_nothing(void **state)
{
	struct exp_job *j = exp_job_new();
	struct exp_reply r;
	struct exp_msg m, out;

	(void)state;
	assert_non_null(j);
	j->role = EXP_ROLE_SOURCE;
	j->state = EXP_SRC_FAILED;
	j->id.b[0] = 1;
	j->n_exports = 1;
	j->exports[0].id.b[0] = 10;
	j->exports[0].epoch = 6;
	message(&m, EXP_MSG_QUERY, EXP_ROLE_DESTINATION, 1, 7);
	exp_src_answer(j, &m, &r);
	assert_int_equal(r.send, EXP_MSG_ANSWER);
	assert_int_equal(r.answer, EXP_ANSWER_UNKNOWN);
	exp_reply_message(&r, &m, &out);
	assert_int_equal(out.answer, EXP_ANSWER_UNKNOWN);
	assert_int_equal(out.role, EXP_ROLE_SOURCE);
	m.exports[0].epoch = 6;
	m.job.b[0] = 2;
	exp_src_answer(j, &m, &r);
	assert_int_equal(r.answer, EXP_ANSWER_UNKNOWN);
	m.job.b[0] = 1;
	j->role = EXP_ROLE_DESTINATION;
	exp_src_answer(j, &m, &r);
	assert_int_equal(r.answer, EXP_ANSWER_UNKNOWN);
	exp_job_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_destination_row_by_row),
		cmocka_unit_test(test_answer_exports_of_a_job_stand_and_fall_together),
		cmocka_unit_test(test_answer_refusal_closes_the_epoch_first),
		cmocka_unit_test(test_answer_queued_floor_closes_but_proves_nothing),
		cmocka_unit_test(test_answer_source_row_by_row),
		cmocka_unit_test(test_answer_record_of_another_attempt_covers_nothing),
	};

	return cmocka_run_group_tests_name("handover_answer", tests, NULL, NULL);
}
