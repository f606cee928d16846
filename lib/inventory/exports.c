/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exports.c - ownership, description and place of exports
 *
 * An upsert writes only where something differs, so that committing a whole record inside a
 * blackout costs the pages that changed. Which job holds an export is not stored with it but looked
 * up among the open jobs: one truth, no stale lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inventory/rows.h"

void exp_rows_put_desc(struct exp_sql *q, const struct exp_export_desc *d)
{
	exp_sql_put_text(q, d->nqn.s);
	exp_sql_put_uuid(q, &d->template);
	exp_sql_put_u64(q, d->ensid);
	exp_sql_put_u64(q, d->ecntlid);
	exp_sql_put_u64(q, d->nsze);
	exp_sql_put_u64(q, d->lba_bytes);
	exp_sql_put_blob(q, d->nguid, sizeof(d->nguid));
	exp_sql_put_uuid(q, &d->uuid);
	exp_sql_put_blob(q, d->config, EXP_MIN(d->config_len, EXP_CONFIG_STATE_MAX));
}

void exp_rows_get_desc(struct exp_sql *q, struct exp_export_desc *d)
{
	exp_sql_get_text(q, d->nqn.s, sizeof(d->nqn.s));
	exp_sql_get_uuid(q, &d->template);
	d->ensid = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	d->ecntlid = (uint16_t)exp_sql_get_u64(q, UINT16_MAX);
	d->nsze = exp_sql_get_u64(q, INT64_MAX);
	d->lba_bytes = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
	exp_sql_get_blob(q, d->nguid, sizeof(d->nguid));
	exp_sql_get_uuid(q, &d->uuid);
	d->config_len = (uint32_t)exp_sql_get_blob_upto(q, d->config, sizeof(d->config));
}

void exp_rows_put_place(struct exp_sql *q, const struct exp_place *p)
{
	exp_sql_put_text(q, p->device.s);
	exp_sql_put_text(q, p->serial);
	exp_sql_put_u64(q, p->cntlid);
	exp_sql_put_u64(q, p->esubid);
	exp_sql_put_u64(q, p->nsid);
}

void exp_rows_get_place(struct exp_sql *q, struct exp_place *p)
{
	exp_sql_get_text(q, p->device.s, sizeof(p->device.s));
	exp_sql_get_text(q, p->serial, sizeof(p->serial));
	p->cntlid = (uint16_t)exp_sql_get_u64(q, UINT16_MAX);
	p->esubid = (uint16_t)exp_sql_get_u64(q, UINT16_MAX);
	p->nsid = (uint32_t)exp_sql_get_u64(q, UINT32_MAX);
}

/*
 * Writing
 */

static int put_ownership(struct exp_db *db, const struct exp_export_change *c,
			 struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "INSERT INTO ownership (id, own, floor, maxown, status, owner_peer)"
		     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		     " ON CONFLICT (id) DO UPDATE SET own = excluded.own,"
		     " floor = max(floor, excluded.floor), maxown = max(maxown, excluded.maxown),"
		     " status = excluded.status, owner_peer = excluded.owner_peer"
		     " WHERE (own, status, owner_peer) IS NOT"
		     " (excluded.own, excluded.status, excluded.owner_peer)"
		     " OR floor < excluded.floor OR maxown < excluded.maxown",
		     "store the ownership of an export", err);
	exp_sql_put_uuid(&q, &c->id);
	exp_sql_put_u64(&q, c->owner.own);
	exp_sql_put_u64(&q, c->owner.floor);
	exp_sql_put_u64(&q, c->owner.maxown);
	exp_sql_put_u64(&q, c->status);
	exp_sql_put_text(&q, c->owner_peer.s);
	return exp_sql_run(&q);
}

static int put_desc(struct exp_db *db, const struct exp_export_change *c, uint64_t now_ms,
		    struct exp_error *err)
{
	static const struct exp_place nowhere;
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(
		&q, db,
		"INSERT INTO export (id, nqn, template, ensid, ecntlid, nsze, lba_bytes, nguid,"
		" uuid, config, device, serial, cntlid, esubid, nsid, created_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
		" ON CONFLICT (id) DO UPDATE SET nqn = excluded.nqn,"
		" template = excluded.template, ensid = excluded.ensid,"
		" ecntlid = excluded.ecntlid, nsze = excluded.nsze,"
		" lba_bytes = excluded.lba_bytes, nguid = excluded.nguid,"
		" uuid = excluded.uuid, config = excluded.config"
		" WHERE (nqn, template, ensid, ecntlid, nsze, lba_bytes, nguid, uuid, config)"
		" IS NOT (excluded.nqn, excluded.template, excluded.ensid, excluded.ecntlid,"
		" excluded.nsze, excluded.lba_bytes, excluded.nguid, excluded.uuid,"
		" excluded.config)",
		"store an export", err);
	exp_sql_put_uuid(&q, &c->id);
	exp_rows_put_desc(&q, c->desc);
	exp_rows_put_place(&q, &nowhere);
	exp_sql_put_u64(&q, now_ms);
	r = exp_sql_run(&q);
	if (r == -EEXIST)
		exp_error_set(err, EXP_CODE_EXISTS, EEXIST, "another export here has the name %s",
			      c->desc->nqn.s);
	return r;
}

static int put_place(struct exp_db *db, const struct exp_export_change *c, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "UPDATE export SET device = ?2, serial = ?3, cntlid = ?4, esubid = ?5,"
		     " nsid = ?6 WHERE id = ?1 AND (device, serial, cntlid, esubid, nsid) IS NOT"
		     " (?2, ?3, ?4, ?5, ?6)",
		     "store the place of an export", err);
	exp_sql_put_uuid(&q, &c->id);
	exp_rows_put_place(&q, c->place);
	return exp_sql_run(&q);
}

static int described(struct exp_db *db, const struct exp_uuid *id, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, "SELECT 1 FROM export WHERE id = ?1", "look for an export", err);
	exp_sql_put_uuid(&q, id);
	return exp_sql_step(&q);
}

static int check_change(const struct exp_export_change *c, struct exp_error *err)
{
	char id[EXP_UUID_TEXT];

	if (c->desc && (c->desc->config_len > EXP_CONFIG_STATE_MAX || !c->desc->nqn.s[0]))
		return exp_error_set(
			err, EXP_CODE_INVALID, EINVAL,
			"export %s: %u bytes of configuration (at most %d), NQN \"%s\"",
			exp_uuid_format(&c->id, id), c->desc->config_len, EXP_CONFIG_STATE_MAX,
			c->desc->nqn.s);
	return 0;
}

int exp_rows_change(struct exp_db *db, const struct exp_export_change *c, uint64_t now_ms,
		    struct exp_error *err)
{
	char id[EXP_UUID_TEXT];
	int r;

	r = check_change(c, err);
	if (!r)
		r = put_ownership(db, c, err);
	if (!r && c->desc)
		r = put_desc(db, c, now_ms, err);
	if (r || !c->place)
		return r;
	r = described(db, &c->id, err);
	if (r > 0)
		return put_place(db, c, err);
	return r < 0 ? r
		     : exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "export %s: a place, but nothing says what lies there",
				     exp_uuid_format(&c->id, id));
}

int exp_exports_put(struct exp_db *db, const struct exp_export_change *changes, size_t n,
		    uint64_t now_ms, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	for (size_t i = 0; !r && i < n; i++)
		r = exp_rows_change(db, &changes[i], now_ms, err);
	return exp_sql_end(db, r, err);
}

static int holder(struct exp_db *db, const struct exp_uuid *id, struct exp_uuid *ret,
		  struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db, "SELECT job FROM job_export WHERE export = ?1 AND open = 1",
		     "look for the migration that holds an export", err);
	exp_sql_put_uuid(&q, id);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	exp_sql_get_uuid(&q, ret);
	r = exp_sql_row_end(&q);
	return r < 0 ? r : 1;
}

static int drop_description(struct exp_db *db, const struct exp_uuid *id, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, "DELETE FROM export WHERE id = ?1", "forget an export", err);
	exp_sql_put_uuid(&q, id);
	return exp_sql_run(&q);
}

static int give_up_ownership(struct exp_db *db, const struct exp_uuid *id, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db,
		     "UPDATE ownership SET own = 0, status = ?2, owner_peer = '' WHERE id = ?1",
		     "keep the ownership of an export", err);
	exp_sql_put_uuid(&q, id);
	exp_sql_put_u64(&q, EXP_EXPORT_AWAY);
	return exp_sql_run(&q);
}

static int delete_one(struct exp_db *db, const struct exp_uuid *id, struct exp_error *err)
{
	char text[EXP_UUID_TEXT], job_text[EXP_UUID_TEXT];
	struct exp_uuid job;
	int r = described(db, id, err);

	if (r < 0)
		return r;
	if (!r)
		return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "export %s is not known",
				     exp_uuid_format(id, text));
	r = holder(db, id, &job, err);
	if (r < 0)
		return r;
	if (r)
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY, "export %s is held by migration %s",
				     exp_uuid_format(id, text), exp_uuid_format(&job, job_text));
	r = drop_description(db, id, err);
	return r ? r : give_up_ownership(db, id, err);
}

int exp_exports_delete(struct exp_db *db, const struct exp_uuid *id, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	return exp_sql_end(db, delete_one(db, id, err), err);
}

/*
 * Reading
 */

#define SELECT_EXPORT                                                                   \
	"SELECT o.id, o.own, o.floor, o.maxown, o.status, o.owner_peer,"                \
	" (SELECT job FROM job_export j WHERE j.export = o.id AND j.open = 1),"         \
	" e.nqn, e.template, e.ensid, e.ecntlid, e.nsze, e.lba_bytes, e.nguid, e.uuid," \
	" e.config, e.device, e.serial, e.cntlid, e.esubid, e.nsid, e.created_ms"       \
	" FROM ownership o LEFT JOIN export e ON e.id = o.id"

static bool is_null(struct exp_sql *q)
{
	return !q->r && sqlite3_column_type(q->stmt, q->at) == SQLITE_NULL;
}

static int read_export(struct exp_sql *q, struct exp_export *e)
{
	memset(e, 0, sizeof(*e));
	exp_sql_get_uuid(q, &e->id);
	e->owner.own = exp_sql_get_u64(q, INT64_MAX);
	e->owner.floor = exp_sql_get_u64(q, INT64_MAX);
	e->owner.maxown = exp_sql_get_u64(q, INT64_MAX);
	e->status = (enum exp_export_status)exp_sql_get_u64(q, EXP_EXPORT_AWAY);
	exp_sql_get_text(q, e->owner_peer.s, sizeof(e->owner_peer.s));
	if (is_null(q))
		q->at++;
	else
		exp_sql_get_uuid(q, &e->job);
	if (!is_null(q)) {
		exp_rows_get_desc(q, &e->desc);
		exp_rows_get_place(q, &e->place);
		e->created_ms = exp_sql_get_u64(q, INT64_MAX);
	}
	return exp_sql_row_end(q);
}

static int read_one(struct exp_sql *q, const char *shown, struct exp_export *ret)
{
	struct exp_export *e;
	int r = exp_sql_step(q);

	if (r < 0)
		return r;
	if (!r)
		return exp_error_set(q->err, EXP_CODE_NOT_FOUND, ENOENT, "export %s is not known",
				     shown);
	e = malloc(sizeof(*e));
	if (!e)
		return exp_error_set(q->err, EXP_CODE_NO_MEMORY, ENOMEM, "export %s: out of memory",
				     shown);
	r = read_export(q, e);
	if (!r)
		*ret = *e;
	free(e);
	return r;
}

int exp_exports_get(struct exp_db *db, const struct exp_uuid *id, struct exp_export *ret,
		    struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char text[EXP_UUID_TEXT];

	exp_sql_open(&q, db, SELECT_EXPORT " WHERE o.id = ?1", "read an export", err);
	exp_sql_put_uuid(&q, id);
	return read_one(&q, exp_uuid_format(id, text), ret);
}

int exp_exports_by_nqn(struct exp_db *db, const char *nqn, struct exp_export *ret,
		       struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };

	exp_sql_open(&q, db, SELECT_EXPORT " WHERE e.nqn = ?1", "read an export", err);
	exp_sql_put_text(&q, nqn);
	return read_one(&q, nqn, ret);
}

int exp_exports_list(struct exp_db *db, int (*fn)(const struct exp_export *e, void *arg), void *arg,
		     struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	struct exp_export *e = malloc(sizeof(*e));
	int r;

	if (!e)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "exports: out of memory");
	exp_sql_open(&q, db, SELECT_EXPORT " ORDER BY e.created_ms, o.id", "list exports", err);
	while ((r = exp_sql_step(&q)) > 0) {
		r = read_export(&q, e);
		if (!r)
			r = fn(e, arg);
		if (r < 0)
			break;
	}
	free(e);
	return r < 0 ? r : 0;
}
