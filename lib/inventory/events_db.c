/* SPDX-License-Identifier: Apache-2.0 */
/* events_db.c - numbered events, and the numbers of migrations that ended */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "inventory/events_db.h"
#include "inventory/sql.h"

/*
 * Events
 */

static int insert_event(struct exp_db *db, const struct exp_event_line *e, uint64_t *ret_seq,
			struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "INSERT INTO event (time_ms, type, job, export, detail)"
		     " VALUES (?1, ?2, ?3, ?4, ?5)",
		     "append an event", err);
	exp_sql_put_u64(&q, e->time_ms);
	exp_sql_put_text(&q, e->type);
	exp_sql_put_uuid(&q, &e->job);
	exp_sql_put_uuid(&q, &e->export_id);
	exp_sql_put_text(&q, e->detail);
	r = exp_sql_run(&q);
	if (!r)
		*ret_seq = (uint64_t)sqlite3_last_insert_rowid(db->conn);
	return r;
}

static int check_detail(const struct exp_event_line *e, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int r = exp_json_parse(e->detail, strlen(e->detail), EXP_EVENT_DETAIL_MAX, &v, err);

	if (r < 0)
		return exp_error_wrap(err, r, "detail of event %s", e->type);
	if (exp_json_type(v) != EXP_JSON_OBJECT)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "detail of event %s: not an object", e->type);
	return 0;
}

int exp_events_append(struct exp_db *db, const struct exp_event_line *e, uint64_t *ret_seq,
		      struct exp_error *err)
{
	uint64_t seq = 0;
	int r = check_detail(e, err);

	if (!r)
		r = exp_sql_begin(db, err);
	if (r < 0)
		return r;
	r = exp_sql_end(db, insert_event(db, e, &seq, err), err);
	if (!r)
		*ret_seq = seq;
	return r;
}

int exp_events_range(struct exp_db *db, struct exp_events_range *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	/* sqlite_sequence has the highest number ever given; without rows the first is the next */
	exp_sql_open(&q, db,
		     "WITH s (last) AS (SELECT coalesce((SELECT seq FROM sqlite_sequence"
		     " WHERE name = 'event'), 0))"
		     " SELECT coalesce((SELECT min(seq) FROM event), last + 1), last FROM s",
		     "look which events are kept", err);
	r = exp_sql_step(&q);
	if (r < 0)
		return r;
	ret->first = exp_sql_get_u64(&q, INT64_MAX);
	ret->last = exp_sql_get_u64(&q, INT64_MAX);
	return exp_sql_row_end(&q);
}

static int read_event(struct exp_sql *q, struct exp_event_line *e)
{
	e->seq = exp_sql_get_u64(q, INT64_MAX);
	e->time_ms = exp_sql_get_u64(q, INT64_MAX);
	exp_sql_get_text(q, e->type, sizeof(e->type));
	exp_sql_get_uuid(q, &e->job);
	exp_sql_get_uuid(q, &e->export_id);
	exp_sql_get_text(q, e->detail, sizeof(e->detail));
	return exp_sql_row_end(q);
}

int exp_events_read(struct exp_db *db, uint64_t since, uint32_t max,
		    int (*fn)(const struct exp_event_line *e, void *arg), void *arg,
		    struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	struct exp_events_range range;
	struct exp_event_line e;
	int r = exp_events_range(db, &range, err);

	if (r < 0)
		return r;
	if (since + 1 < range.first || since > range.last)
		return exp_error_set(err, EXP_CODE_GONE, EIDRM,
				     "events after %" PRIu64 " are not all kept: %" PRIu64
				     " to %" PRIu64 " are here; look at the present state, then "
				     "go on from %" PRIu64,
				     since, range.first, range.last, range.last);
	exp_sql_open(&q, db,
		     "SELECT seq, time_ms, type, job, export, detail FROM event WHERE seq > ?1"
		     " ORDER BY seq LIMIT ?2",
		     "read events", err);
	exp_sql_put_u64(&q, since);
	exp_sql_put_u64(&q, max);
	while ((r = exp_sql_step(&q)) > 0) {
		r = read_event(&q, &e);
		if (!r)
			r = fn(&e, arg);
		if (r < 0)
			return r;
	}
	return r;
}

static int trim_events(struct exp_db *db, uint64_t keep, uint32_t max, uint32_t *ret_n,
		       struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq NOT IN"
		     " (SELECT seq FROM event ORDER BY seq DESC LIMIT ?1) ORDER BY seq LIMIT ?2)",
		     "trim events", err);
	exp_sql_put_u64(&q, keep);
	exp_sql_put_u64(&q, max);
	r = exp_sql_run(&q);
	if (!r)
		*ret_n = (uint32_t)sqlite3_changes(db->conn);
	return r;
}

int exp_events_trim(struct exp_db *db, uint64_t keep, uint32_t max, uint32_t *ret_n,
		    struct exp_error *err)
{
	uint32_t n = 0;
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	r = exp_sql_end(db, trim_events(db, keep, max, &n, err), err);
	if (!r)
		*ret_n = n;
	return r;
}

/*
 * History
 */

static int insert_history(struct exp_db *db, const struct exp_history *h, struct exp_error *err)
{
	const struct exp_job_progress *p = &h->progress;
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT OR REPLACE INTO history (job, role, state, peer, device, ended_ms,"
		     " condition, target, verdict, namespace_bytes, allocated_bytes, sent_bytes,"
		     " zero_bytes, acked_bytes, resent_bytes, remaining_bytes, dirty_rate,"
		     " send_rate, eta_ms, forecast_blackout_us, rounds, log_entries,"
		     " log_overflows, blackout_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
		     " ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
		     "store the history of a migration", err);
	exp_sql_put_uuid(&q, &h->job);
	exp_sql_put_u64(&q, h->role);
	exp_sql_put_u64(&q, h->state);
	exp_sql_put_text(&q, h->peer.s);
	exp_sql_put_text(&q, h->device.s);
	exp_sql_put_u64(&q, h->ended_ms);
	exp_sql_put_u64(&q, p->condition);
	exp_sql_put_u64(&q, p->target);
	exp_sql_put_u64(&q, p->verdict);
	exp_sql_put_bits(&q, p->namespace_bytes);
	exp_sql_put_bits(&q, p->allocated_bytes);
	exp_sql_put_bits(&q, p->sent_bytes);
	exp_sql_put_bits(&q, p->zero_bytes);
	exp_sql_put_bits(&q, p->acked_bytes);
	exp_sql_put_bits(&q, p->resent_bytes);
	exp_sql_put_bits(&q, p->remaining_bytes);
	exp_sql_put_bits(&q, p->dirty_rate);
	exp_sql_put_bits(&q, p->send_rate);
	exp_sql_put_bits(&q, p->eta_ms);
	exp_sql_put_bits(&q, p->forecast_blackout_us);
	exp_sql_put_u64(&q, p->rounds);
	exp_sql_put_bits(&q, p->log_entries);
	exp_sql_put_u64(&q, p->log_overflows);
	exp_sql_put_bits(&q, p->blackout_us);
	return exp_sql_run(&q);
}

static int insert_step(struct exp_db *db, const struct exp_history *h, enum exp_step step,
		       struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	/* by name: the order of the steps may change, what was measured does not */
	exp_sql_open(&q, db,
		     "INSERT OR REPLACE INTO history_step (job, role, step, us)"
		     " VALUES (?1, ?2, ?3, ?4)",
		     "store the step times of a migration", err);
	exp_sql_put_uuid(&q, &h->job);
	exp_sql_put_u64(&q, h->role);
	exp_sql_put_text(&q, exp_step_name(step));
	exp_sql_put_bits(&q, h->progress.steps_us[step]);
	return exp_sql_run(&q);
}

static int put_history(struct exp_db *db, const struct exp_history *h, struct exp_error *err)
{
	int r = insert_history(db, h, err);

	for (unsigned int s = 0; !r && s < EXP_STEP_N; s++)
		r = insert_step(db, h, (enum exp_step)s, err);
	return r;
}

int exp_history_put(struct exp_db *db, const struct exp_history *h, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	return r < 0 ? r : exp_sql_end(db, put_history(db, h, err), err);
}

#define HISTORY_COLUMNS                                                           \
	"job, role, state, peer, device, ended_ms, condition, target, verdict,"   \
	" namespace_bytes, allocated_bytes, sent_bytes, zero_bytes, acked_bytes," \
	" resent_bytes, remaining_bytes, dirty_rate, send_rate, eta_ms,"          \
	" forecast_blackout_us, rounds, log_entries, log_overflows, blackout_us"

static void set_step(struct exp_job_progress *p, const char *name, uint64_t us)
{
	/* a step that this program does not know was written by a newer one and is left out */
	for (unsigned int s = 0; s < EXP_STEP_N; s++)
		if (!strcmp(exp_step_name((enum exp_step)s), name))
			p->steps_us[s] = us;
}

static int read_steps(struct exp_db *db, struct exp_history *h, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char name[33];
	int r;

	exp_sql_open(&q, db, "SELECT step, us FROM history_step WHERE job = ?1 AND role = ?2",
		     "read the step times of a migration", err);
	exp_sql_put_uuid(&q, &h->job);
	exp_sql_put_u64(&q, h->role);
	while ((r = exp_sql_step(&q)) > 0) {
		exp_sql_get_text(&q, name, sizeof(name));
		set_step(&h->progress, name, exp_sql_get_bits(&q));
		r = exp_sql_row_end(&q);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_history(struct exp_sql *q, struct exp_history *h)
{
	struct exp_job_progress *p = &h->progress;
	int r;

	memset(h, 0, sizeof(*h));
	exp_sql_get_uuid(q, &h->job);
	h->role = (enum exp_role)exp_sql_get_u64(q, EXP_ROLE_DESTINATION);
	h->state = (unsigned int)exp_sql_get_u64(q, UINT32_MAX);
	exp_sql_get_text(q, h->peer.s, sizeof(h->peer.s));
	exp_sql_get_text(q, h->device.s, sizeof(h->device.s));
	h->ended_ms = exp_sql_get_u64(q, INT64_MAX);
	p->condition = (enum exp_condition)exp_sql_get_u64(q, EXP_CONDITION_JOURNAL_REGRESSED);
	p->target = (enum exp_target_state)exp_sql_get_u64(q, EXP_TARGET_SUSPENDED);
	p->verdict = (enum exp_verdict)exp_sql_get_u64(q, EXP_VERDICT_WILL_NOT);
	p->namespace_bytes = exp_sql_get_bits(q);
	p->allocated_bytes = exp_sql_get_bits(q);
	p->sent_bytes = exp_sql_get_bits(q);
	p->zero_bytes = exp_sql_get_bits(q);
	p->acked_bytes = exp_sql_get_bits(q);
	p->resent_bytes = exp_sql_get_bits(q);
	p->remaining_bytes = exp_sql_get_bits(q);
	p->dirty_rate = exp_sql_get_bits(q);
	p->send_rate = exp_sql_get_bits(q);
	p->eta_ms = exp_sql_get_bits(q);
	p->forecast_blackout_us = exp_sql_get_bits(q);
	p->rounds = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	p->log_entries = exp_sql_get_bits(q);
	p->log_overflows = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	p->blackout_us = exp_sql_get_bits(q);
	r = exp_sql_row_end(q);
	return r ? r : read_steps(q->db, h, q->err);
}

int exp_history_get(struct exp_db *db, const struct exp_uuid *job, enum exp_role role,
		    struct exp_history *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char text[EXP_UUID_TEXT];
	struct exp_history h;
	int r;

	exp_sql_open(&q, db, "SELECT " HISTORY_COLUMNS " FROM history WHERE job = ?1 AND role = ?2",
		     "read the history of a migration", err);
	exp_sql_put_uuid(&q, job);
	exp_sql_put_u64(&q, role);
	r = exp_sql_step(&q);
	if (r < 0)
		return r;
	if (!r)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "nothing is kept of migration %s", exp_uuid_format(job, text));
	r = read_history(&q, &h);
	if (!r)
		*ret = h;
	return r;
}

int exp_history_recent(struct exp_db *db, const char *peer, const char *device, size_t max,
		       struct exp_history *ret, size_t *ret_n, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	size_t n = 0;
	int r;

	exp_sql_open(&q, db,
		     "SELECT " HISTORY_COLUMNS " FROM history WHERE peer = ?1 AND device = ?2"
		     " AND role = 1 AND state = ?3 ORDER BY ended_ms DESC, job LIMIT ?4",
		     "read the history of a pair", err);
	exp_sql_put_text(&q, peer);
	exp_sql_put_text(&q, device);
	exp_sql_put_u64(&q, EXP_SRC_DONE);
	exp_sql_put_u64(&q, max);
	while ((r = exp_sql_step(&q)) > 0) {
		r = read_history(&q, &ret[n]);
		if (r < 0)
			return r;
		n++;
	}
	if (!r)
		*ret_n = n;
	return r;
}

static int trim_history(struct exp_db *db, uint64_t keep, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "DELETE FROM history WHERE (job, role) NOT IN (SELECT job, role FROM history"
		     " ORDER BY ended_ms DESC, job LIMIT ?1)",
		     "trim the history", err);
	exp_sql_put_u64(&q, keep);
	return exp_sql_run(&q);
}

int exp_history_trim(struct exp_db *db, uint64_t keep, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	return r < 0 ? r : exp_sql_end(db, trim_history(db, keep, err), err);
}
