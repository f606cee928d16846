/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.h - prepared statements and transactions for lib/inventory; nobody else includes SQLite
 *
 * Values are bound and read in the order in which the SQL text names them. The first thing wrong is
 * kept in the statement and every later call is a no-op, so that a function checks once, at the
 * step. Statements are prepared once per connection and found again by the address of their text,
 * which therefore has to be a literal.
 */
#ifndef EXP_INVENTORY_SQL_H
#define EXP_INVENTORY_SQL_H

#include <sqlite3.h>

#include "inventory/db.h"

#define EXP_SQL_CACHE 64 /* statements of one file; more is a bug of ours */

struct exp_db {
	sqlite3 *conn;
	const struct exp_db_schema *schema;
	struct exp_fault_plan *faults;
	struct exp_db_identity identity;
	bool dead; /* a COMMIT failed: nothing goes through this connection any more */
	uint64_t wal_bytes;
	uint64_t page_bytes;
	size_t n_cached;
	struct {
		const char *text;
		sqlite3_stmt *stmt;
	} cached[EXP_SQL_CACHE];
};

/** exp_sql_fail - turn SQLite's result @rc into errno and @err; @what was being done. Never 0 */
int exp_sql_fail(struct exp_db *db, int rc, const char *what, struct exp_error *err);

/** exp_sql_exec - statements of fixed text without values */
int exp_sql_exec(struct exp_db *db, const char *text, const char *what,
		 struct exp_error *err) EXP_MUST_CHECK;

/*
 * One unit of work: begin, statements, end. _end commits when @r is 0, else rolls back and returns
 * @r. It counts the transaction and passes the fault points of db.h.
 */
int exp_sql_begin(struct exp_db *db, struct exp_error *err) EXP_MUST_CHECK;
int exp_sql_end(struct exp_db *db, int r, struct exp_error *err) EXP_MUST_CHECK;

struct exp_sql {
	struct exp_db *db;
	sqlite3_stmt *stmt;
	const char *what; /* for messages: "store export" */
	int at;           /* next parameter or column */
	int r;            /* first error */
	struct exp_error *err;
};

/** exp_sql_open - end with exp_sql_done(); @text and @what are literals */
void exp_sql_open(struct exp_sql *q, struct exp_db *db, const char *text, const char *what,
		  struct exp_error *err);
void exp_sql_done(struct exp_sql *q); /* the form that EXP_CLEANUP takes */

/* Bind the next parameter. Text and blobs, never NULL, are borrowed until exp_sql_done(). */
void exp_sql_put_u64(struct exp_sql *q, uint64_t v);  /* -EINVAL above INT64_MAX */
void exp_sql_put_bits(struct exp_sql *q, uint64_t v); /* all 64 bits; not to be compared in SQL */
void exp_sql_put_text(struct exp_sql *q, const char *s);
void exp_sql_put_blob(struct exp_sql *q, const void *p, size_t n);
void exp_sql_put_uuid(struct exp_sql *q, const struct exp_uuid *u);

/** exp_sql_step - 1: a row is there; 0: no more; negative: failed */
int exp_sql_step(struct exp_sql *q) EXP_MUST_CHECK;

/** exp_sql_run - a statement without rows; 0 or negative */
int exp_sql_run(struct exp_sql *q) EXP_MUST_CHECK;

/* Read the next column; what does not fit is -EUCLEAN DB_CORRUPT, found at exp_sql_row_end(). */
uint64_t exp_sql_get_u64(struct exp_sql *q, uint64_t max);
uint64_t exp_sql_get_bits(struct exp_sql *q);
void exp_sql_get_text(struct exp_sql *q, char *out, size_t cap);
void exp_sql_get_blob(struct exp_sql *q, void *out, size_t len);        /* exactly */
size_t exp_sql_get_blob_upto(struct exp_sql *q, void *out, size_t cap); /* its length */
void exp_sql_get_uuid(struct exp_sql *q, struct exp_uuid *ret);
/** exp_sql_row_end - 0, or the first thing wrong in this row; the next row starts over */
int exp_sql_row_end(struct exp_sql *q) EXP_MUST_CHECK;

#endif
