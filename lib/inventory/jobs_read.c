/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs_read.c - migrations as they were stored
 *
 * A record is read in one transaction, so that its parts belong together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/jobs.h"
#include "inventory/rows.h"

#define JOB_COLUMNS                                                                    \
	"id, role, state, attempt, peer, peer_host, path, dirty, hold, hold_lease_ms," \
	" blackout_limit_ms, intent, err_code, err_errno, err_nvme, err_msg, boot,"    \
	" want_device, want_cntlid, target_device, key, body_sha256, created_ms, updated_ms"

static int read_line(struct exp_sql *q, struct exp_job *j)
{
	exp_sql_get_uuid(q, &j->id);
	j->role = (enum exp_role)exp_sql_get_u64(q, EXP_ROLE_DESTINATION);
	j->state = (unsigned int)exp_sql_get_u64(q, UINT32_MAX);
	j->attempt = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	exp_sql_get_text(q, j->peer.s, sizeof(j->peer.s));
	exp_sql_get_uuid(q, &j->peer_host);
	j->path = (enum exp_state_path)exp_sql_get_u64(q, EXP_PATH_VFIO);
	j->dirty = (enum exp_dirty_source)exp_sql_get_u64(q, EXP_DIRTY_NONE);
	j->hold = (uint8_t)exp_sql_get_u64(q, UINT8_MAX);
	j->hold_lease_ms = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	j->blackout_limit_ms = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	j->intent = (enum exp_job_intent)exp_sql_get_u64(q, EXP_INTENT_FAIL);
	j->error.code = (enum exp_code)exp_sql_get_u64(q, INT32_MAX);
	j->error.errnum = (int)exp_sql_get_u64(q, INT32_MAX);
	j->error.nvme_status = (uint16_t)exp_sql_get_u64(q, UINT16_MAX);
	exp_sql_get_text(q, j->error.msg, sizeof(j->error.msg));
	exp_sql_get_uuid(q, &j->boot);
	exp_sql_get_text(q, j->want_device.s, sizeof(j->want_device.s));
	j->want_cntlid = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	exp_sql_get_text(q, j->target_device.s, sizeof(j->target_device.s));
	exp_sql_get_text(q, j->key, sizeof(j->key));
	exp_sql_get_blob(q, j->body_sha256, sizeof(j->body_sha256));
	j->created_ms = exp_sql_get_u64(q, INT64_MAX);
	j->updated_ms = exp_sql_get_u64(q, INT64_MAX);
	return exp_sql_row_end(q);
}

static int broken(struct exp_db *db, const struct exp_job *j, const char *what,
		  struct exp_error *err)
{
	char id[EXP_UUID_TEXT];

	return exp_error_set(err, EXP_CODE_DB_CORRUPT, EUCLEAN, "%s database: migration %s: %s",
			     db->schema->name, exp_uuid_format(&j->id, id), what);
}

static void put_job_id(struct exp_sql *q, const struct exp_job *j)
{
	exp_sql_put_uuid(q, &j->id);
	exp_sql_put_u64(q, j->role);
}

static int read_export(struct exp_sql *q, struct exp_job *j)
{
	struct exp_job_export *e;
	uint64_t idx = exp_sql_get_u64(q, EXP_JOB_EXPORTS_MAX - 1);

	if (q->r)
		return q->r;
	if (idx != j->n_exports)
		return broken(q->db, j, "one of its exports is missing", q->err);
	e = &j->exports[j->n_exports++];
	exp_sql_get_uuid(q, &e->id);
	e->epoch = exp_sql_get_u64(q, INT64_MAX);
	j->target_cntlid[idx] = (uint16_t)exp_sql_get_u64(q, UINT16_MAX);
	e->discard_namespace = exp_sql_get_u64(q, 1);
	exp_rows_get_desc(q, &e->desc);
	exp_rows_get_place(q, &e->here);
	return exp_sql_row_end(q);
}

static int read_exports(struct exp_db *db, struct exp_job *j, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "SELECT idx, export, epoch, target_cntlid, discard_namespace, nqn, template,"
		     " ensid, ecntlid, nsze, lba_bytes, nguid, uuid, config, device, serial,"
		     " cntlid, esubid, nsid FROM job_export WHERE job = ?1 AND role = ?2"
		     " ORDER BY idx",
		     "read the exports of a migration", err);
	put_job_id(&q, j);
	while ((r = exp_sql_step(&q)) > 0) {
		r = read_export(&q, j);
		if (r < 0)
			return r;
	}
	if (!r && !j->n_exports)
		return broken(db, j, "it has no exports", err);
	return r;
}

static int read_state(struct exp_sql *q, struct exp_job *j)
{
	uint64_t idx = exp_sql_get_u64(q, EXP_JOB_EXPORTS_MAX - 1);
	const void *p;
	size_t len;
	int r;

	if (q->r)
		return q->r;
	p = sqlite3_column_blob(q->stmt, q->at);
	len = (size_t)sqlite3_column_bytes(q->stmt, q->at);
	if (!p || idx >= j->n_exports)
		return broken(q->db, j, "controller state of an export that it does not have",
			      q->err);
	r = exp_job_set_state_blob(j, (uint32_t)idx, p, len);
	if (r == -ENOMEM)
		return exp_error_set(q->err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "controller state of %zu bytes: out of memory", len);
	if (r < 0)
		return broken(q->db, j, "controller state beyond its limit", q->err);
	return exp_sql_row_end(q);
}

static int read_states(struct exp_db *db, struct exp_job *j, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "SELECT idx, data FROM job_state WHERE job = ?1 AND role = ?2 ORDER BY idx",
		     "read controller state", err);
	put_job_id(&q, j);
	while ((r = exp_sql_step(&q)) > 0) {
		r = read_state(&q, j);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_memory(struct exp_db *db, struct exp_job *j, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db,
		     "SELECT idx, iova, bytes FROM job_memory WHERE job = ?1 AND role = ?2"
		     " ORDER BY idx",
		     "read a guest's memory map", err);
	put_job_id(&q, j);
	while ((r = exp_sql_step(&q)) > 0) {
		uint64_t idx = exp_sql_get_u64(&q, EXP_MEMORY_RANGES_MAX - 1);

		if (!q.r && idx != j->n_memory)
			return broken(db, j, "a range of its memory map is missing", err);
		j->memory[idx].iova = exp_sql_get_bits(&q);
		j->memory[idx].bytes = exp_sql_get_bits(&q);
		r = exp_sql_row_end(&q);
		if (r < 0)
			return r;
		j->n_memory++;
	}
	return r;
}

/* The row that @q stands on, with all that belongs to it. */
static int read_job(struct exp_sql *q, struct exp_job **ret)
{
	EXP_CLEANUP(exp_job_freep) struct exp_job *j = exp_job_new();
	int r;

	if (!j)
		return exp_error_set(q->err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "migration: out of memory");
	r = read_line(q, j);
	if (!r && (!exp_role_name(j->role) || !exp_state_name(j->role, j->state)))
		r = broken(q->db, j, "its state is none", q->err);
	if (!r)
		r = read_exports(q->db, j, q->err);
	if (!r)
		r = read_states(q->db, j, q->err);
	if (!r)
		r = read_memory(q->db, j, q->err);
	if (!r)
		*ret = EXP_TAKE(j);
	return r;
}

int exp_jobs_get(struct exp_db *db, const struct exp_uuid *id, enum exp_role role,
		 struct exp_job **ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char text[EXP_UUID_TEXT];
	int r;

	exp_sql_open(&q, db, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1 AND role = ?2",
		     "read a migration", err);
	exp_sql_put_uuid(&q, id);
	exp_sql_put_u64(&q, role);
	r = exp_sql_step(&q);
	if (r > 0)
		return read_job(&q, ret);
	return r < 0 ? r
		     : exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "migration %s is not known",
				     exp_uuid_format(id, text));
}

int exp_jobs_by_key(struct exp_db *db, const char *key, struct exp_job **ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db, "SELECT " JOB_COLUMNS " FROM job WHERE key = ?1 AND key <> ''",
		     "read a migration", err);
	exp_sql_put_text(&q, key);
	r = exp_sql_step(&q);
	if (r > 0)
		return read_job(&q, ret);
	return r < 0 ? r
		     : exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
				     "no migration has this Idempotency-Key");
}

int exp_jobs_list(struct exp_db *db, const struct exp_jobs_filter *f,
		  int (*fn)(struct exp_job **j, void *arg), void *arg, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	static const struct exp_uuid none;
	int r;

	/* a parameter that is 0 or empty does not restrict */
	exp_sql_open(&q, db,
		     "SELECT " JOB_COLUMNS " FROM job WHERE (?1 = 0 OR role = ?1)"
		     " AND ((?2 = 0 AND ?3 = 0) OR (role = 1 AND state = ?2)"
		     " OR (role = 2 AND state = ?3))"
		     " AND (?4 = 0 OR open = 1)"
		     " AND (?5 = 0 OR EXISTS (SELECT 1 FROM job_export e WHERE e.export = ?6"
		     " AND e.job = job.id AND e.role = job.role))"
		     " ORDER BY created_ms DESC, id DESC, role LIMIT CASE ?7 WHEN 0 THEN -1"
		     " ELSE ?7 END",
		     "list migrations", err);
	exp_sql_put_u64(&q, f->role);
	exp_sql_put_u64(&q, f->src_state);
	exp_sql_put_u64(&q, f->dst_state);
	exp_sql_put_u64(&q, f->open);
	exp_sql_put_u64(&q, f->export_id != NULL);
	exp_sql_put_uuid(&q, f->export_id ? f->export_id : &none);
	exp_sql_put_u64(&q, f->limit);
	while ((r = exp_sql_step(&q)) > 0) {
		struct exp_job *j = NULL;

		r = read_job(&q, &j);
		if (!r)
			r = fn(&j, arg);
		exp_job_free(j);
		if (r < 0)
			return r;
	}
	return r;
}
