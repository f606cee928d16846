/* SPDX-License-Identifier: Apache-2.0 */
/* lib/inventory, events: numbers that are never given twice, what is gone, history */
#include <errno.h>

#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/events_db.h"
#include "inventory/sql.h"

static struct tmpdir dir;
static struct exp_db *db;

static void open_db(void)
{
	struct exp_db_config c = { .path = tmpdir_file(&dir, "test.db") };
	struct exp_error err = { 0 };

	assert_ok(exp_db_open(&exp_events_schema, &c, &db, &err), &err);
}

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	open_db();
	return 0;
}

static int teardown(void **state)
{
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_db_check(db, &err), &err);
	exp_db_close(db);
	tmpdir_free(&dir);
	return 0;
}

static uint64_t append(uint64_t time_ms)
{
	struct exp_event_line e = { .seq = 999,
				    .time_ms = time_ms,
				    .type = "migration-state",
				    .job = sample_uuid(1),
				    .export_id = sample_uuid(2),
				    .detail = "{\"state\":\"ready\"}" };
	struct exp_error err = { 0 };
	uint64_t seq = 0;

	assert_ok(exp_events_append(db, &e, &seq, &err), &err);
	return seq;
}

static struct exp_event_line lines[64];
static size_t n_lines;

static int keep(const struct exp_event_line *e, void *arg)
{
	(void)arg;
	lines[n_lines++] = *e;
	return 0;
}

static void read_since(uint64_t since, uint32_t max, size_t want)
{
	struct exp_error err = { 0 };

	n_lines = 0;
	assert_ok(exp_events_read(db, since, max, keep, NULL, &err), &err);
	assert_int_equal(n_lines, want);
	for (size_t i = 0; i < want; i++)
		assert_int_equal(lines[i].seq, since + 1 + i);
}

static void is_gone(uint64_t since, const char *part)
{
	struct exp_error err = { 0 };

	n_lines = 0;
	assert_int_equal(exp_events_read(db, since, 10, keep, NULL, &err), -EIDRM);
	assert_error(&err, EXP_CODE_GONE, part);
	assert_int_equal(n_lines, 0);
}

static void range_is(uint64_t first, uint64_t last)
{
	struct exp_events_range r;
	struct exp_error err = { 0 };

	assert_ok(exp_events_range(db, &r, &err), &err);
	assert_int_equal(r.first, first);
	assert_int_equal(r.last, last);
}

static void test_event_comes_back(void **state)
{
	struct exp_event_line e = { .time_ms = INT64_MAX,
				    .job = sample_uuid(1),
				    .export_id = sample_uuid(2) };
	struct exp_error err = { 0 };
	uint64_t seq;

	(void)state;
	sample_text(e.type, sizeof(e.type), 't');
	sample_text(e.detail, sizeof(e.detail), ' ');
	memcpy(e.detail, "{\"a\":\"\xc3\xa4\"", 9);
	e.detail[EXP_EVENT_DETAIL_MAX - 1] = '}';
	assert_ok(exp_events_append(db, &e, &seq, &err), &err);
	assert_int_equal(seq, 1);
	read_since(0, 10, 1);
	assert_int_equal(lines[0].time_ms, e.time_ms);
	assert_string_equal(lines[0].type, e.type);
	assert_true(exp_uuid_eq(&lines[0].job, &e.job));
	assert_true(exp_uuid_eq(&lines[0].export_id, &e.export_id));
	assert_string_equal(lines[0].detail, e.detail);
}

static void test_events_are_read_from_a_number_on(void **state)
{
	(void)state;
	range_is(1, 0);
	read_since(0, 10, 0);
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(append(i), i);
	range_is(1, 10);
	read_since(0, 64, 10);
	read_since(7, 64, 3);
	assert_int_equal(lines[0].time_ms, 8);
	read_since(3, 2, 2);
	read_since(10, 64, 0);
	is_gone(11, "1 to 10 are here");
	is_gone(UINT64_MAX, "1 to 10 are here");
}

static void test_trimmed_events_are_gone(void **state)
{
	struct exp_error err = { 0 };
	uint32_t n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		append(1);
	assert_ok(exp_events_trim(db, 4, 2, &n, &err), &err);
	assert_int_equal(n, 2); /* bounded */
	range_is(3, 10);
	assert_ok(exp_events_trim(db, 4, 100, &n, &err), &err);
	assert_int_equal(n, 4);
	range_is(7, 10);
	read_since(6, 64, 4); /* the one before the first that is there */
	is_gone(5, "7 to 10 are here; look at the present state, then go on from 10");
	is_gone(0, "events after 0 are not all kept");
	assert_ok(exp_events_trim(db, 4, 100, &n, &err), &err);
	assert_int_equal(n, 0);
}

static void test_number_is_never_given_twice(void **state)
{
	struct exp_error err = { 0 };
	uint32_t n;

	(void)state;
	append(1);
	append(2);
	assert_ok(exp_events_trim(db, 0, 100, &n, &err), &err);
	range_is(3, 2);
	read_since(2, 10, 0);
	is_gone(1, "");
	exp_db_close(db);
	open_db();
	range_is(3, 2);
	assert_int_equal(append(3), 3);
	range_is(3, 3);
}

static void refused(struct exp_event_line e, const char *part)
{
	struct exp_error err = { 0 };
	uint64_t seq = 99;

	assert_int_equal(exp_events_append(db, &e, &seq, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, part);
	assert_int_equal(seq, 99);
	range_is(1, 0);
}

static void test_event_that_cannot_be(void **state)
{
	struct exp_event_line e = { .type = "ok", .detail = "{}" };

	(void)state;
	strcpy(e.type, "");
	refused(e, "CHECK");
	strcpy(e.type, "Upper");
	refused(e, "CHECK");
	strcpy(e.type, "a b");
	refused(e, "CHECK");
	strcpy(e.type, "ok");
	strcpy(e.detail, "[]");
	refused(e, "not an object");
	strcpy(e.detail, "{");
	refused(e, "detail of event ok: JSON");
	strcpy(e.detail, "{}");
	e.time_ms = UINT64_MAX;
	refused(e, "18446744073709551615");
}

static int stop(const struct exp_event_line *e, void *arg)
{
	(void)e;
	(void)arg;
	return -ECANCELED;
}

static void test_reader_may_stop(void **state)
{
	struct exp_error err = { 0 };

	(void)state;
	append(1);
	append(2);
	assert_int_equal(exp_events_read(db, 0, 10, stop, NULL, &err), -ECANCELED);
	read_since(0, 10, 2);
}

/*
 * History
 */

static struct exp_history sample_history(uint8_t seed, uint64_t ended_ms)
{
	struct exp_history h;
	uint64_t *words = (uint64_t *)&h.progress;

	memset(&h, 0, sizeof(h));
	for (size_t i = 0; i < sizeof(h.progress) / 8; i++)
		words[i] = UINT64_MAX - seed * 64 - i;
	h.progress.condition = EXP_CONDITION_SUSPEND_UNKNOWN;
	h.progress.target = EXP_TARGET_ENABLED;
	h.progress.verdict = EXP_VERDICT_WILL_NOT;
	h.progress.rounds = UINT32_MAX - seed;
	h.progress.log_overflows = UINT32_MAX - seed - 1;
	h.job = sample_uuid(seed);
	h.role = EXP_ROLE_SOURCE;
	h.state = EXP_SRC_DONE;
	sample_text(h.peer.s, sizeof(h.peer.s), 'p');
	sample_text(h.device.s, sizeof(h.device.s), 'd');
	h.ended_ms = ended_ms;
	return h;
}

static void assert_same_history(const struct exp_history *a, const struct exp_history *b)
{
	const struct exp_job_progress *p = &a->progress, *q = &b->progress;

	assert_true(exp_uuid_eq(&a->job, &b->job));
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->state, b->state);
	assert_string_equal(a->peer.s, b->peer.s);
	assert_string_equal(a->device.s, b->device.s);
	assert_int_equal(a->ended_ms, b->ended_ms);
#define SAME(f) assert_true(p->f == q->f)
	SAME(condition);
	SAME(target);
	SAME(namespace_bytes);
	SAME(allocated_bytes);
	SAME(sent_bytes);
	SAME(zero_bytes);
	SAME(acked_bytes);
	SAME(resent_bytes);
	SAME(remaining_bytes);
	SAME(dirty_rate);
	SAME(send_rate);
	SAME(eta_ms);
	SAME(forecast_blackout_us);
	SAME(verdict);
	SAME(rounds);
	SAME(log_entries);
	SAME(log_overflows);
	SAME(blackout_us);
	for (unsigned int s = 0; s < EXP_STEP_N; s++)
		SAME(steps_us[s]);
#undef SAME
}

static void put(const struct exp_history *h)
{
	struct exp_error err = { 0 };

	assert_ok(exp_history_put(db, h, &err), &err);
}

static void test_history_comes_back(void **state)
{
	struct exp_history h = sample_history(1, INT64_MAX), got;
	struct exp_error err = { 0 };

	(void)state;
	put(&h);
	memset(&got, 0x77, sizeof(got));
	assert_ok(exp_history_get(db, &h.job, EXP_ROLE_SOURCE, &got, &err), &err);
	assert_same_history(&got, &h);
	assert_int_equal(exp_history_get(db, &h.job, EXP_ROLE_DESTINATION, &got, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_FOUND, "nothing is kept");
	h = sample_history(7, 5); /* written again: replaced */
	h.job = sample_uuid(1);
	put(&h);
	assert_ok(exp_history_get(db, &h.job, EXP_ROLE_SOURCE, &got, &err), &err);
	assert_same_history(&got, &h);
}

static void test_history_of_a_pair(void **state)
{
	struct exp_history h, got[3];
	struct exp_error err = { 0 };
	size_t n = 0;

	(void)state;
	for (uint8_t i = 1; i <= 6; i++) {
		h = sample_history(i, i);
		if (i == 4)
			h.state = EXP_SRC_FAILED; /* how long that took says nothing */
		if (i == 5)
			h.role = EXP_ROLE_DESTINATION;
		if (i == 6)
			strcpy(h.device.s, "another");
		put(&h);
	}
	assert_ok(exp_history_recent(db, sample_history(1, 1).peer.s, sample_history(1, 1).device.s,
				     3, got, &n, &err),
		  &err);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) {
		h = sample_history((uint8_t)(3 - i), 3 - i);
		assert_same_history(&got[i], &h);
	}
	assert_ok(exp_history_recent(db, h.peer.s, h.device.s, 2, got, &n, &err), &err);
	assert_int_equal(n, 2);
	assert_ok(exp_history_recent(db, "nobody", h.device.s, 2, got, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_ok(exp_history_trim(db, 4, &err), &err);
	h = sample_history(2, 2);
	assert_int_equal(exp_history_get(db, &h.job, EXP_ROLE_SOURCE, &got[0], &err), -ENOENT);
	h = sample_history(3, 3);
	assert_ok(exp_history_get(db, &h.job, EXP_ROLE_SOURCE, &got[0], &err), &err);
	assert_same_history(&got[0], &h);
}

static void test_history_of_unknown_steps(void **state)
{
	struct exp_history h = sample_history(1, 1), got;
	struct exp_error err = { 0 };

	(void)state;
	put(&h);
	assert_int_equal(sqlite3_exec(db->conn,
				      "INSERT INTO history_step SELECT job, role, 'teleport', 5"
				      " FROM history",
				      0, 0, 0),
			 SQLITE_OK);
	assert_ok(exp_history_get(db, &h.job, EXP_ROLE_SOURCE, &got, &err), &err);
	assert_same_history(&got, &h);
}

static void test_schema_checks_every_column(void **state)
{
	static const char *const sets[] = {
		"event SET time_ms = -1",
		"event SET type = ''",
		"event SET type = 'a1'",
		"event SET type = printf('%48s', 'a')",
		"event SET job = x'00'",
		"event SET export = x'00'",
		"event SET detail = '{'",
		"event SET detail = printf('%4097s', '{}')",
		"event SET detail = NULL",
		"history SET job = x'00'",
		"history SET role = 3",
		"history SET state = 0",
		"history SET state = 12",
		"history SET peer = ''",
		"history SET device = printf('%64d', 1)",
		"history SET ended_ms = -1",
		"history SET condition = 5",
		"history SET target = 4",
		"history SET verdict = 3",
		"history SET rounds = -1",
		"history SET rounds = 4294967296",
		"history SET log_overflows = 4294967296",
		"history SET blackout_us = 'slow'",
		"history SET eta_ms = NULL",
		"history_step SET step = ''",
		"history_step SET us = 'x'",
		"history_step SET job = zeroblob(16)",
	};
	struct exp_history h = sample_history(1, 1);
	char text[128];

	(void)state;
	append(1);
	put(&h);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sets); i++) {
		snprintf(text, sizeof(text), "UPDATE %s", sets[i]);
		if (sqlite3_exec(db->conn, text, NULL, NULL, NULL) == SQLITE_OK)
			fail_msg("%s was taken", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_event_comes_back),         T(test_events_are_read_from_a_number_on),
		T(test_trimmed_events_are_gone),  T(test_number_is_never_given_twice),
		T(test_event_that_cannot_be),     T(test_reader_may_stop),
		T(test_history_comes_back),       T(test_history_of_a_pair),
		T(test_history_of_unknown_steps), T(test_schema_checks_every_column),
#undef T
	};

	return cmocka_run_group_tests_name("events_db", tests, NULL, NULL);
}
