/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.c - SQLite's results as our errors, statements that remember what went wrong, transactions
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "inventory/sql.h"

/*
 * Errors
 */

static int full(struct exp_db *db, int rc, const char *what, struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_NO_SPACE, ENOSPC,
			     "%s database: %s: no space left on its file system (SQLite %d)",
			     db->schema->name, what, rc);
}

static int constraint(struct exp_db *db, int rc, const char *what, struct exp_error *err)
{
	const char *why = sqlite3_errmsg(db->conn);

	if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		return exp_error_set(err, EXP_CODE_EXISTS, EEXIST, "%s: %s", what, why);
	return exp_error_set(err, EXP_CODE_INVALID, EINVAL, "%s: %s", what, why);
}

int exp_sql_fail(struct exp_db *db, int rc, const char *what, struct exp_error *err)
{
	const char *name = db->schema->name, *why = db->conn ? sqlite3_errmsg(db->conn) : "";
	int errnum = db->conn ? sqlite3_system_errno(db->conn) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL: return full(db, rc, what, err);
	case SQLITE_IOERR:
		if (errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG)
			return full(db, rc, what, err);
		return exp_error_set(err, EXP_CODE_DB, EIO, "%s database: %s: %s (SQLite %d, %s)",
				     name, what, why, rc, strerror(errnum ? errnum : EIO));
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return exp_error_set(err, EXP_CODE_DB_CORRUPT, EUCLEAN,
				     "%s database: %s: the file is damaged: %s (SQLite %d)", name,
				     what, why, rc);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
				     "%s database: %s: another process has it open: is a second "
				     "expd running on this state directory?",
				     name, what);
	case SQLITE_NOMEM:
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM,
				     "%s database: %s: out of memory", name, what);
	case SQLITE_CONSTRAINT: return constraint(db, rc, what, err);
	case SQLITE_TOOBIG:
		return exp_error_set(err, EXP_CODE_TOO_LARGE, E2BIG, "%s database: %s: %s", name,
				     what, why);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return exp_error_set(err, EXP_CODE_SYSTEM, errnum ? errnum : EACCES,
				     "%s database: %s: %s (SQLite %d)", name, what, why, rc);
	default:
		return exp_error_set(err, EXP_CODE_DB, EIO, "%s database: %s: %s (SQLite %d)", name,
				     what, why, rc);
	}
}

static int dead(struct exp_db *db, const char *what, struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_DB, ESHUTDOWN,
			     "%s database: %s: a commit before this one failed; it has to be "
			     "opened again first",
			     db->schema->name, what);
}

/*
 * Statements
 */

static sqlite3_stmt *cached(struct exp_db *db, const char *text)
{
	for (size_t i = 0; i < db->n_cached; i++)
		if (db->cached[i].text == text)
			return db->cached[i].stmt;
	return NULL;
}

void exp_sql_open(struct exp_sql *q, struct exp_db *db, const char *text, const char *what,
		  struct exp_error *err)
{
	sqlite3_stmt *stmt = cached(db, text);
	int rc;

	*q = (struct exp_sql){ .db = db, .what = what, .err = err, .at = 1 };
	if (db->dead) {
		q->r = dead(db, what, err);
		return;
	}
	if (!stmt) {
		assert(db->n_cached < EXP_SQL_CACHE);
		rc = sqlite3_prepare_v3(db->conn, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
		if (rc != SQLITE_OK) {
			q->r = exp_sql_fail(db, rc, what, err);
			return;
		}
		db->cached[db->n_cached].text = text;
		db->cached[db->n_cached++].stmt = stmt;
	}
	assert(!sqlite3_stmt_busy(stmt));
	q->stmt = stmt;
}

void exp_sql_done(struct exp_sql *q)
{
	if (!q->stmt)
		return;
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
	q->stmt = NULL;
}

static bool usable(struct exp_sql *q)
{
	return !q->r && q->stmt;
}

static void bound(struct exp_sql *q, int rc)
{
	if (rc != SQLITE_OK)
		q->r = exp_sql_fail(q->db, rc, q->what, q->err);
	q->at++;
}

void exp_sql_put_u64(struct exp_sql *q, uint64_t v)
{
	if (!usable(q))
		return;
	if (v > INT64_MAX)
		q->r = exp_error_set(q->err, EXP_CODE_INVALID, EINVAL,
				     "%s: %s: %" PRIu64 " is more than the database can hold",
				     q->what,
				     sqlite3_bind_parameter_name(q->stmt, q->at)
					     ? sqlite3_bind_parameter_name(q->stmt, q->at)
					     : "a value",
				     v);
	else
		bound(q, sqlite3_bind_int64(q->stmt, q->at, (sqlite3_int64)v));
}

void exp_sql_put_bits(struct exp_sql *q, uint64_t v)
{
	sqlite3_int64 bits;

	memcpy(&bits, &v, sizeof(bits));
	if (usable(q))
		bound(q, sqlite3_bind_int64(q->stmt, q->at, bits));
}

void exp_sql_put_text(struct exp_sql *q, const char *s)
{
	if (usable(q))
		bound(q, sqlite3_bind_text(q->stmt, q->at, s, -1, SQLITE_STATIC));
}

void exp_sql_put_blob(struct exp_sql *q, const void *p, size_t n)
{
	if (usable(q))
		bound(q, sqlite3_bind_blob64(q->stmt, q->at, p, n, SQLITE_STATIC));
}

void exp_sql_put_uuid(struct exp_sql *q, const struct exp_uuid *u)
{
	exp_sql_put_blob(q, u->b, sizeof(u->b));
}

int exp_sql_step(struct exp_sql *q)
{
	int rc;

	if (q->r)
		return q->r;
	rc = sqlite3_step(q->stmt);
	q->at = 0;
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	q->r = exp_sql_fail(q->db, rc, q->what, q->err);
	return q->r;
}

int exp_sql_run(struct exp_sql *q)
{
	int r = exp_sql_step(q);

	assert(r <= 0);
	return r;
}

/*
 * Columns. A file that is well-formed to SQLite can still say what we never wrote.
 */

static void odd(struct exp_sql *q, const char *how)
{
	if (!q->r)
		q->r = exp_error_set(q->err, EXP_CODE_DB_CORRUPT, EUCLEAN,
				     "%s database: %s: column %s %s", q->db->schema->name, q->what,
				     sqlite3_column_name(q->stmt, q->at), how);
}

static bool is(struct exp_sql *q, int type)
{
	if (q->r)
		return false;
	if (sqlite3_column_type(q->stmt, q->at) == type)
		return true;
	odd(q, "is of another type");
	return false;
}

uint64_t exp_sql_get_bits(struct exp_sql *q)
{
	sqlite3_int64 v = is(q, SQLITE_INTEGER) ? sqlite3_column_int64(q->stmt, q->at) : 0;
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	q->at++;
	return bits;
}

uint64_t exp_sql_get_u64(struct exp_sql *q, uint64_t max)
{
	uint64_t v = exp_sql_get_bits(q);

	if (v <= max && v <= INT64_MAX)
		return v;
	q->at--;
	odd(q, "is out of range");
	q->at++;
	return 0;
}

void exp_sql_get_text(struct exp_sql *q, char *out, size_t cap)
{
	size_t n;

	out[0] = '\0';
	if (is(q, SQLITE_TEXT)) {
		const unsigned char *s = sqlite3_column_text(q->stmt, q->at);

		n = (size_t)sqlite3_column_bytes(q->stmt, q->at);
		if (!s)
			q->r = exp_sql_fail(q->db, SQLITE_NOMEM, q->what, q->err);
		else if (n >= cap || memchr(s, '\0', n))
			odd(q, "is too long");
		else
			memcpy(out, s, n + 1);
	}
	q->at++;
}

size_t exp_sql_get_blob_upto(struct exp_sql *q, void *out, size_t cap)
{
	size_t n = 0;

	if (is(q, SQLITE_BLOB)) {
		const void *p = sqlite3_column_blob(q->stmt, q->at);

		n = (size_t)sqlite3_column_bytes(q->stmt, q->at);
		if (n > cap) {
			odd(q, "is too long");
			n = 0;
		} else if (n && !p) {
			q->r = exp_sql_fail(q->db, SQLITE_NOMEM, q->what, q->err);
			n = 0;
		} else if (n) {
			memcpy(out, p, n);
		}
	}
	q->at++;
	return n;
}

void exp_sql_get_blob(struct exp_sql *q, void *out, size_t len)
{
	size_t n = exp_sql_get_blob_upto(q, out, len);

	if (q->r || n == len)
		return;
	q->at--;
	odd(q, "is too short");
	q->at++;
}

void exp_sql_get_uuid(struct exp_sql *q, struct exp_uuid *ret)
{
	exp_sql_get_blob(q, ret->b, sizeof(ret->b));
}

int exp_sql_row_end(struct exp_sql *q)
{
	q->at = 0;
	return q->r;
}

/*
 * Transactions
 */

int exp_sql_exec(struct exp_db *db, const char *text, const char *what, struct exp_error *err)
{
	int rc;

	if (db->dead)
		return dead(db, what, err);
	rc = sqlite3_exec(db->conn, text, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : exp_sql_fail(db, rc, what, err);
}

int exp_sql_begin(struct exp_db *db, struct exp_error *err)
{
	int r = exp_fault(db->faults, "db-write");

	if (r < 0)
		return exp_error_set(err, r == -ENOSPC ? EXP_CODE_NO_SPACE : EXP_CODE_DB, -r,
				     "%s database: the write was made to fail", db->schema->name);
	return exp_sql_exec(db, "BEGIN IMMEDIATE", "begin a transaction", err);
}

static void rollback(struct exp_db *db)
{
	/* SQLite has rolled back by itself after some errors */
	if (!sqlite3_get_autocommit(db->conn) &&
	    sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		db->dead = true;
}

static int count_transaction(struct exp_db *db, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db, "UPDATE meta SET counter = counter + 1", "count the transaction", err);
	r = exp_sql_run(&q);
	return r;
}

static int unknown_outcome(struct exp_db *db, struct exp_error *err)
{
	db->dead = true;
	exp_error_wrap(
		err, -EXP_DB_EUNKNOWN,
		"the commit may or may not have become durable; nothing is done before it is "
		"repeated");
	return -EXP_DB_EUNKNOWN;
}

static int commit(struct exp_db *db, struct exp_error *err)
{
	int r = exp_fault(db->faults, "db-commit-lost"), rc;

	if (r < 0) {
		exp_error_set(err, EXP_CODE_DB, -r, "%s database: COMMIT was made to fail",
			      db->schema->name);
		rollback(db);
		return unknown_outcome(db, err);
	}
	rc = sqlite3_exec(db->conn, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		exp_sql_fail(db, rc, "COMMIT", err);
		return unknown_outcome(db, err);
	}
	r = exp_fault(db->faults, "db-commit-done");
	if (r < 0) {
		exp_error_set(err, EXP_CODE_DB, -r, "%s database: COMMIT was made to look failed",
			      db->schema->name);
		return unknown_outcome(db, err);
	}
	db->identity.counter++;
	return 0;
}

int exp_sql_end(struct exp_db *db, int r, struct exp_error *err)
{
	if (!r)
		r = count_transaction(db, err);
	if (r < 0) {
		rollback(db);
		return r;
	}
	return commit(db, err);
}
