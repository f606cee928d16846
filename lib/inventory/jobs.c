/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.c - storing migrations: one transaction per record, with the ownership it comes with
 *
 * The record is replaced as a whole, but a row is written only where it differs: a state change
 * inside the blackout does not write a quarter megabyte of controller state again.
 * Reading is in jobs_read.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "inventory/jobs.h"
#include "inventory/rows.h"

static bool is_open(const struct exp_job *j)
{
	return !exp_state_is_final(j->role, j->state);
}

/* What a WHERE takes to mean this job. */
static void put_job_id(struct exp_sql *q, const struct exp_job *j)
{
	exp_sql_put_uuid(q, &j->id);
	exp_sql_put_u64(q, j->role);
}

static int put_line(struct exp_db *db, const struct exp_job *j, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO job (id, role, open, compact, state, attempt, peer, peer_host,"
		     " path, dirty, hold, hold_lease_ms, blackout_limit_ms, intent, err_code,"
		     " err_errno, err_nvme, err_msg, boot, want_device, want_cntlid,"
		     " target_device, key, body_sha256, created_ms, updated_ms)"
		     " VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		     " ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)"
		     " ON CONFLICT (id, role) DO UPDATE SET open = excluded.open,"
		     " state = excluded.state, attempt = excluded.attempt, peer = excluded.peer,"
		     " peer_host = excluded.peer_host, path = excluded.path,"
		     " dirty = excluded.dirty, hold = excluded.hold,"
		     " hold_lease_ms = excluded.hold_lease_ms,"
		     " blackout_limit_ms = excluded.blackout_limit_ms, intent = excluded.intent,"
		     " err_code = excluded.err_code, err_errno = excluded.err_errno,"
		     " err_nvme = excluded.err_nvme, err_msg = excluded.err_msg,"
		     " boot = excluded.boot, want_device = excluded.want_device,"
		     " want_cntlid = excluded.want_cntlid,"
		     " target_device = excluded.target_device, key = excluded.key,"
		     " body_sha256 = excluded.body_sha256, created_ms = excluded.created_ms,"
		     " updated_ms = excluded.updated_ms",
		     "store a migration", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, is_open(j));
	exp_sql_put_u64(&q, j->state);
	exp_sql_put_u64(&q, j->attempt);
	exp_sql_put_text(&q, j->peer.s);
	exp_sql_put_uuid(&q, &j->peer_host);
	exp_sql_put_u64(&q, j->path);
	exp_sql_put_u64(&q, j->dirty);
	exp_sql_put_u64(&q, j->hold);
	exp_sql_put_u64(&q, j->hold_lease_ms);
	exp_sql_put_u64(&q, j->blackout_limit_ms);
	exp_sql_put_u64(&q, j->intent);
	exp_sql_put_u64(&q, j->error.code);
	exp_sql_put_u64(&q, (uint64_t)j->error.errnum);
	exp_sql_put_u64(&q, j->error.nvme_status);
	exp_sql_put_text(&q, j->error.msg);
	exp_sql_put_uuid(&q, &j->boot);
	exp_sql_put_text(&q, j->want_device.s);
	exp_sql_put_u64(&q, j->want_cntlid);
	exp_sql_put_text(&q, j->target_device.s);
	exp_sql_put_text(&q, j->key);
	exp_sql_put_blob(&q, j->body_sha256, sizeof(j->body_sha256));
	exp_sql_put_u64(&q, j->created_ms);
	exp_sql_put_u64(&q, j->updated_ms);
	return exp_sql_run(&q);
}

static int put_export(struct exp_db *db, const struct exp_job *j, uint32_t i, struct exp_error *err)
{
	const struct exp_job_export *e = &j->exports[i];
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO job_export (job, role, idx, open, export, epoch, target_cntlid,"
		     " discard_namespace, nqn, template, ensid, ecntlid, nsze, lba_bytes, nguid,"
		     " uuid, config, device, serial, cntlid, esubid, nsid)"
		     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		     " ?16, ?17, ?18, ?19, ?20, ?21, ?22)"
		     " ON CONFLICT (job, role, idx) DO UPDATE SET export = excluded.export,"
		     " epoch = excluded.epoch, target_cntlid = excluded.target_cntlid,"
		     " discard_namespace = excluded.discard_namespace, nqn = excluded.nqn,"
		     " template = excluded.template, ensid = excluded.ensid,"
		     " ecntlid = excluded.ecntlid, nsze = excluded.nsze,"
		     " lba_bytes = excluded.lba_bytes, nguid = excluded.nguid,"
		     " uuid = excluded.uuid, config = excluded.config, device = excluded.device,"
		     " serial = excluded.serial, cntlid = excluded.cntlid,"
		     " esubid = excluded.esubid, nsid = excluded.nsid"
		     " WHERE (export, epoch, target_cntlid, discard_namespace, nqn, template,"
		     " ensid, ecntlid, nsze, lba_bytes, nguid, uuid, config, device, serial,"
		     " cntlid, esubid, nsid) IS NOT (excluded.export, excluded.epoch,"
		     " excluded.target_cntlid, excluded.discard_namespace, excluded.nqn,"
		     " excluded.template, excluded.ensid, excluded.ecntlid, excluded.nsze,"
		     " excluded.lba_bytes, excluded.nguid, excluded.uuid, excluded.config,"
		     " excluded.device, excluded.serial, excluded.cntlid, excluded.esubid,"
		     " excluded.nsid)",
		     "store an export of a migration", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, i);
	exp_sql_put_u64(&q, is_open(j));
	exp_sql_put_uuid(&q, &e->id);
	exp_sql_put_u64(&q, e->epoch);
	exp_sql_put_u64(&q, j->target_cntlid[i]);
	exp_sql_put_u64(&q, e->discard_namespace);
	exp_rows_put_desc(&q, &e->desc);
	exp_rows_put_place(&q, &e->here);
	return exp_sql_run(&q);
}

static int put_state(struct exp_db *db, const struct exp_job *j, uint32_t i, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO job_state (job, role, idx, data) VALUES (?1, ?2, ?3, ?4)"
		     " ON CONFLICT (job, role, idx) DO UPDATE SET data = excluded.data"
		     " WHERE data IS NOT excluded.data",
		     "store controller state", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, i);
	exp_sql_put_blob(&q, j->exports[i].state, j->exports[i].state_len);
	return exp_sql_run(&q);
}

static int drop_state(struct exp_db *db, const struct exp_job *j, uint32_t i, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, "DELETE FROM job_state WHERE job = ?1 AND role = ?2 AND idx = ?3",
		     "drop controller state", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, i);
	return exp_sql_run(&q);
}

static int put_memory(struct exp_db *db, const struct exp_job *j, uint32_t i, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO job_memory (job, role, idx, iova, bytes)"
		     " VALUES (?1, ?2, ?3, ?4, ?5)"
		     " ON CONFLICT (job, role, idx) DO UPDATE SET iova = excluded.iova,"
		     " bytes = excluded.bytes"
		     " WHERE (iova, bytes) IS NOT (excluded.iova, excluded.bytes)",
		     "store the guest's memory map", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, i);
	exp_sql_put_bits(&q, j->memory[i].iova);
	exp_sql_put_bits(&q, j->memory[i].bytes);
	return exp_sql_run(&q);
}

/* Rows of a former version of the record that the present one does not have. */
static int drop_rest(struct exp_db *db, const char *text, const struct exp_job *j, uint32_t n,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, text, "drop what a migration no longer has", err);
	put_job_id(&q, j);
	exp_sql_put_u64(&q, n);
	return exp_sql_run(&q);
}

static int put_parts(struct exp_db *db, const struct exp_job *j, struct exp_error *err)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < j->n_exports; i++) {
		r = put_export(db, j, i, err);
		if (r < 0)
			return r;
		/* nothing applies controller state once the job has ended */
		r = j->exports[i].state_len && is_open(j) ? put_state(db, j, i, err)
							  : drop_state(db, j, i, err);
	}
	for (uint32_t i = 0; !r && i < j->n_memory; i++)
		r = put_memory(db, j, i, err);
	if (!r)
		r = drop_rest(db,
			      "DELETE FROM job_export WHERE job = ?1 AND role = ?2 AND idx >= ?3",
			      j, j->n_exports, err);
	if (!r)
		r = drop_rest(db,
			      "DELETE FROM job_memory WHERE job = ?1 AND role = ?2 AND idx >= ?3",
			      j, j->n_memory, err);
	return r;
}

/*
 * Conflicts, asked for before the constraint says it in its own words
 */

static int key_is_free(struct exp_db *db, const struct exp_job *j, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char text[EXP_UUID_TEXT];
	struct exp_uuid other;
	int r;

	if (!j->key[0])
		return 0;
	exp_sql_open(&q, db, "SELECT id FROM job WHERE key = ?1 AND NOT (id = ?2 AND role = ?3)",
		     "look for an Idempotency-Key", err);
	exp_sql_put_text(&q, j->key);
	put_job_id(&q, j);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	exp_sql_get_uuid(&q, &other);
	r = exp_sql_row_end(&q);
	if (r < 0)
		return r;
	return exp_error_set(err, EXP_CODE_KEY_REUSED, EEXIST,
			     "Idempotency-Key \"%.64s\" belongs to migration %s", j->key,
			     exp_uuid_format(&other, text));
}

static int export_is_free(struct exp_db *db, const struct exp_job *j, uint32_t i,
			  struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char text[EXP_UUID_TEXT], id[EXP_UUID_TEXT];
	struct exp_uuid other;
	int r;

	exp_sql_open(&q, db,
		     "SELECT job FROM job_export WHERE export = ?1 AND open = 1 AND job <> ?2",
		     "look for the migration that holds an export", err);
	exp_sql_put_uuid(&q, &j->exports[i].id);
	exp_sql_put_uuid(&q, &j->id);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	exp_sql_get_uuid(&q, &other);
	r = exp_sql_row_end(&q);
	if (r < 0)
		return r;
	return exp_error_set(err, EXP_CODE_BUSY, EBUSY, "export %s is held by migration %s",
			     exp_uuid_format(&j->exports[i].id, id), exp_uuid_format(&other, text));
}

static int check_record(const struct exp_job *j, struct exp_error *err)
{
	char id[EXP_UUID_TEXT];

	exp_uuid_format(&j->id, id);
	if (!exp_role_name(j->role) || !exp_state_name(j->role, j->state))
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "migration %s: role %d has no state %u", id, (int)j->role,
				     j->state);
	if (!j->n_exports || j->n_exports > EXP_JOB_EXPORTS_MAX ||
	    j->n_memory > EXP_MEMORY_RANGES_MAX || j->error.errnum < 0)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "migration %s: %" PRIu32 " exports (1..%d), %" PRIu32
				     " memory ranges (..%d), errno %d",
				     id, j->n_exports, EXP_JOB_EXPORTS_MAX, j->n_memory,
				     EXP_MEMORY_RANGES_MAX, j->error.errnum);
	for (uint32_t i = 0; i < j->n_exports; i++)
		if (j->exports[i].desc.config_len > EXP_CONFIG_STATE_MAX)
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "migration %s: export %" PRIu32 ": %" PRIu32
					     " bytes of configuration, at most %d",
					     id, i, j->exports[i].desc.config_len,
					     EXP_CONFIG_STATE_MAX);
	return 0;
}

static int commit_parts(struct exp_db *db, const struct exp_job *j,
			const struct exp_export_change *changes, size_t n, struct exp_error *err)
{
	int r = key_is_free(db, j, err);

	for (uint32_t i = 0; !r && is_open(j) && i < j->n_exports; i++)
		r = export_is_free(db, j, i, err);
	for (size_t i = 0; !r && i < n; i++)
		r = exp_rows_change(db, &changes[i], j->updated_ms, err);
	if (!r)
		r = put_line(db, j, err);
	if (!r)
		r = put_parts(db, j, err);
	return r;
}

int exp_jobs_commit(struct exp_db *db, const struct exp_job *j,
		    const struct exp_export_change *changes, size_t n, struct exp_error *err)
{
	char id[EXP_UUID_TEXT];
	int r = check_record(j, err);

	if (!r)
		r = exp_sql_begin(db, err);
	if (r < 0)
		return r;
	r = exp_sql_end(db, commit_parts(db, j, changes, n, err), err);
	if (r < 0)
		return exp_error_wrap(err, r, "migration %s to %s", exp_uuid_format(&j->id, id),
				      exp_state_name(j->role, j->state));
	return 0;
}

/*
 * Compacting
 */

static int compact_part(struct exp_db *db, const char *text, const struct exp_uuid *id,
			uint64_t role, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, text, "compact a migration", err);
	exp_sql_put_uuid(&q, id);
	exp_sql_put_u64(&q, role);
	return exp_sql_run(&q);
}

/* 1: one was compacted; 0: there is none left */
static int compact_next(struct exp_db *db, uint64_t before_ms, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	struct exp_uuid id;
	uint64_t role;
	int r;

	exp_sql_open(&q, db,
		     "SELECT id, role FROM job WHERE open = 0 AND compact = 0 AND updated_ms < ?1"
		     " ORDER BY updated_ms LIMIT 1",
		     "look for a migration to compact", err);
	exp_sql_put_u64(&q, before_ms);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	exp_sql_get_uuid(&q, &id);
	role = exp_sql_get_u64(&q, EXP_ROLE_DESTINATION);
	r = exp_sql_row_end(&q);
	if (!r)
		r = compact_part(db, "DELETE FROM job_memory WHERE job = ?1 AND role = ?2", &id,
				 role, err);
	if (!r)
		r = compact_part(db,
				 "UPDATE job_export SET config = x'' WHERE job = ?1 AND role = ?2",
				 &id, role, err);
	if (!r)
		r = compact_part(db, "UPDATE job SET compact = 1 WHERE id = ?1 AND role = ?2", &id,
				 role, err);
	return r < 0 ? r : 1;
}

int exp_jobs_compact(struct exp_db *db, uint64_t before_ms, uint32_t max, uint32_t *ret_n,
		     struct exp_error *err)
{
	int r = exp_sql_begin(db, err);
	uint32_t n = 0;

	if (r < 0)
		return r;
	while (n < max && (r = compact_next(db, before_ms, err)) > 0)
		n++;
	r = exp_sql_end(db, r < 0 ? r : 0, err);
	if (!r)
		*ret_n = n;
	return r;
}
