/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.c - opening a file of ours: is it ours, is it whole, is it ours alone, is it up to date
 *
 * A file that is not accepted is left as it was: its header is read before SQLite opens it, and
 * until it is accepted nothing is written, not even a checkpoint at close.
 * The connection is in exclusive locking mode. That keeps a second opener out, and keeps the WAL
 * index on the heap: in a shared memory file it would be a SIGBUS away from a full file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "inventory/sql.h"

/* Where SQLite's file format has what we look at, big-endian ("The Database Header"). */
#define HEADER_BYTES     100
#define HEADER_MAGIC     "SQLite format 3"
#define HEADER_USER      60 /* user_version, 4 bytes */
#define HEADER_APP       68 /* application_id, 4 bytes */
#define WAL_HEADER_BYTES 32
#define WAL_FRAME_BYTES  24

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int newer(const struct exp_db_schema *schema, const char *path, uint64_t version,
		 struct exp_error *err)
{
	return exp_error_set(
		err, EXP_CODE_DB_NEWER, EINVAL,
		"%s has version %" PRIu64 " of the %s database, this program knows up "
		"to %zu: start the newer expd, or restore a copy from before its upgrade",
		path, version, schema->name, schema->n_migrations);
}

static int foreign(const struct exp_db_schema *schema, const char *path, uint32_t app,
		   struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_DB_FOREIGN, EINVAL,
			     "%s is not the %s database of expd (application id %08" PRIx32
			     ", expected %08" PRIx32 "): it was left as it is; name another path",
			     path, schema->name, app, schema->application_id);
}

/* Looks at the header and makes the file when there is none. */
static int look_at_file(const struct exp_db_schema *schema, const char *path, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp)
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	uint8_t head[HEADER_BYTES];
	struct stat st;
	ssize_t n;
	uint32_t app;

	if (fd < 0)
		return exp_error_set(err, errno == ENOSPC ? EXP_CODE_NO_SPACE : EXP_CODE_SYSTEM,
				     errno, "open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return exp_error_set(err, EXP_CODE_DB_FOREIGN, EINVAL, "%s is not a regular file",
				     path);
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "read %s: %s", path,
				     strerror(errno));
	if (!n)
		return 0;
	if (n < HEADER_BYTES || memcmp(head, HEADER_MAGIC, sizeof(HEADER_MAGIC)))
		return exp_error_set(
			err, EXP_CODE_DB_FOREIGN, EINVAL,
			"%s is no SQLite file: it was left as it is; name another path", path);
	app = be32(head + HEADER_APP);
	/* 0: made, but what marks it as ours may still be in the WAL */
	if (app && app != schema->application_id)
		return foreign(schema, path, app, err);
	if (app && be32(head + HEADER_USER) > schema->n_migrations)
		return newer(schema, path, be32(head + HEADER_USER), err);
	return 0;
}

/*
 * Before the file is accepted
 */

static int pragma_u64(struct exp_db *db, const char *text, uint64_t *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db, text, text, err);
	r = exp_sql_step(&q);
	if (r < 0)
		return r;
	*ret = r ? exp_sql_get_u64(&q, UINT32_MAX) : 0;
	return exp_sql_row_end(&q);
}

static int is_ours(struct exp_db *db, const char *path, bool *ret_new, struct exp_error *err)
{
	uint64_t app = 0, version = 0, tables = 0;
	int r;

	r = pragma_u64(db, "PRAGMA application_id", &app, err);
	if (!r)
		r = pragma_u64(db, "PRAGMA user_version", &version, err);
	if (!r)
		r = pragma_u64(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (r < 0)
		return r;
	*ret_new = !app && !version && !tables;
	if (*ret_new)
		return 0;
	if (app != db->schema->application_id)
		return foreign(db->schema, path, (uint32_t)app, err);
	if (version > db->schema->n_migrations)
		return newer(db->schema, path, version, err);
	return 0;
}

static void keep_wal_at_close(struct exp_db *db, bool keep)
{
	sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, NULL);
}

/* What a connection needs before it looks into the file. */
static int configure(struct exp_db *db, struct exp_error *err)
{
	static const char *const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE",
		"PRAGMA trusted_schema = OFF",
		"PRAGMA foreign_keys = ON",
		/* not NORMAL: in WAL mode that loses the last commits with the power */
		"PRAGMA synchronous = FULL",
		"PRAGMA cell_size_check = ON",
		/* the triggers that keep rows also see a REPLACE */
		"PRAGMA recursive_triggers = ON",
		/* the WAL file is cut back to 64 MiB when it starts over */
		"PRAGMA journal_size_limit = 67108864",
	};
	int r = 0;

	keep_wal_at_close(db, true);
	sqlite3_extended_result_codes(db->conn, 1);
	sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	for (size_t i = 0; !r && i < EXP_ARRAY_SIZE(pragmas); i++)
		r = exp_sql_exec(db, pragmas[i], "set up the connection", err);
	return r;
}

static int settings_took(struct exp_db *db, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	uint64_t synchronous = 0, keys = 0;
	char mode[16] = "";
	int r;

	exp_sql_open(&q, db, "PRAGMA journal_mode = WAL", "switch to WAL", err);
	r = exp_sql_step(&q);
	if (r < 0)
		return r;
	exp_sql_get_text(&q, mode, sizeof(mode));
	r = exp_sql_row_end(&q);
	if (!r)
		r = pragma_u64(db, "PRAGMA synchronous", &synchronous, err);
	if (!r)
		r = pragma_u64(db, "PRAGMA foreign_keys", &keys, err);
	if (r < 0)
		return r;
	if (strcmp(mode, "wal") || synchronous != 2 || keys != 1)
		return exp_error_set(err, EXP_CODE_DB, ENOTSUP,
				     "%s database: this SQLite does not do what is needed: "
				     "journal_mode %s (wal), synchronous %" PRIu64
				     " (2), foreign_keys %" PRIu64 " (1)",
				     db->schema->name, mode, synchronous, keys);
	return 0;
}

/*
 * Making and upgrading
 */

/* A pragma takes no parameters; what is printed into its text is a number of ours. */
static int set_pragma(struct exp_db *db, const char *name, uint32_t value, struct exp_error *err)
{
	char text[64];

	snprintf(text, sizeof(text), "PRAGMA %s = %" PRIu32, name, value);
	return exp_sql_exec(db, text, "mark the file", err);
}

static int insert_meta(struct exp_db *db, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	struct exp_uuid instance = exp_uuid_new();

	exp_sql_open(&q, db,
		     "INSERT INTO meta (id, instance, counter, created_ms) "
		     "VALUES (1, ?1, 0, ?2)",
		     "mark the file", err);
	exp_sql_put_uuid(&q, &instance);
	exp_sql_put_u64(&q, exp_wall_ms());
	return exp_sql_run(&q);
}

static int make(struct exp_db *db, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	r = exp_sql_exec(db,
			 "CREATE TABLE meta ("
			 " id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),"
			 " instance BLOB NOT NULL CHECK (length(instance) = 16),"
			 " counter INTEGER NOT NULL CHECK (counter >= 0),"
			 " created_ms INTEGER NOT NULL CHECK (created_ms >= 0)"
			 ") STRICT",
			 "make the file", err);
	if (!r)
		r = insert_meta(db, err);
	if (!r)
		r = set_pragma(db, "application_id", db->schema->application_id, err);
	return exp_sql_end(db, r, err);
}

static int migrate_once(struct exp_db *db, uint64_t version, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	if (r < 0)
		return r;
	r = exp_sql_exec(db, db->schema->migrations[version], "upgrade", err);
	if (!r)
		r = set_pragma(db, "user_version", (uint32_t)version + 1, err);
	return exp_sql_end(db, r, err);
}

static int migrate(struct exp_db *db, struct exp_error *err)
{
	uint64_t version = 0;
	int r = pragma_u64(db, "PRAGMA user_version", &version, err);

	for (; !r && version < db->schema->n_migrations; version++) {
		r = migrate_once(db, version, err);
		if (r < 0)
			return exp_error_wrap(err, r, "upgrade to version %" PRIu64, version + 1);
	}
	return r;
}

static int read_identity(struct exp_db *db, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r;

	exp_sql_open(&q, db, "SELECT instance, counter FROM meta", "read the identity", err);
	r = exp_sql_step(&q);
	if (r < 0)
		return r;
	if (!r)
		return exp_error_set(err, EXP_CODE_DB_CORRUPT, EUCLEAN,
				     "%s database: it has no identity", db->schema->name);
	exp_sql_get_uuid(&q, &db->identity.instance);
	db->identity.counter = exp_sql_get_u64(&q, INT64_MAX);
	return exp_sql_row_end(&q);
}

static int wal_grew(void *arg, sqlite3 *conn, const char *name, int pages)
{
	struct exp_db *db = arg;

	(void)name;
	db->wal_bytes = WAL_HEADER_BYTES + (uint64_t)pages * (db->page_bytes + WAL_FRAME_BYTES);
	/* a checkpoint that fails here leaves the WAL to grow; what was committed stays so */
	if (db->schema->auto_checkpoint_pages &&
	    (unsigned int)pages >= db->schema->auto_checkpoint_pages &&
	    sqlite3_wal_checkpoint_v2(conn, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) ==
		    SQLITE_OK)
		db->wal_bytes = 0;
	return SQLITE_OK;
}

/* What the process before us left in the WAL counts too. */
static void measure_wal(struct exp_db *db)
{
	const char *wal = sqlite3_filename_wal(sqlite3_db_filename(db->conn, "main"));
	struct stat st;

	db->wal_bytes = wal && !stat(wal, &st) ? (uint64_t)st.st_size : 0;
}

static int first_line(struct exp_db *db, const char *text, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	char line[160];
	int r;

	exp_sql_open(&q, db, text, "check", err);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	snprintf(line, sizeof(line), "%s", (const char *)sqlite3_column_text(q.stmt, 0));
	if (!strcmp(line, "ok"))
		return 0;
	return exp_error_set(err, EXP_CODE_DB_CORRUPT, EUCLEAN,
			     "%s database: the file is damaged: %s", db->schema->name, line);
}

static int prepare(struct exp_db *db, const char *path, struct exp_error *err)
{
	bool is_new = false;
	int r;

	r = configure(db, err);
	if (!r)
		r = is_ours(db, path, &is_new, err);
	/* found now, not when a row on the bad page is needed inside a blackout */
	if (!r)
		r = first_line(db, "PRAGMA quick_check(1)", err);
	if (!r)
		r = settings_took(db, err);
	if (!r)
		r = pragma_u64(db, "PRAGMA page_size", &db->page_bytes, err);
	if (r < 0)
		return r;
	measure_wal(db);
	sqlite3_wal_hook(db->conn, wal_grew, db); /* instead of SQLite's automatic checkpoint */
	if (is_new)
		r = make(db, err);
	if (!r)
		r = migrate(db, err);
	if (!r)
		r = read_identity(db, err);
	if (!r)
		keep_wal_at_close(db, false);
	return r;
}

int exp_db_open(const struct exp_db_schema *schema, const struct exp_db_config *c,
		struct exp_db **ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_db_closep) struct exp_db *db = NULL;
	int r, rc;

	r = look_at_file(schema, c->path, err);
	if (r < 0)
		return r;
	db = calloc(1, sizeof(*db));
	if (!db)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "open %s: out of memory",
				     c->path);
	db->schema = schema;
	db->faults = c->faults;
	rc = sqlite3_open_v2(c->path, &db->conn,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			     c->vfs);
	if (rc != SQLITE_OK)
		return exp_error_wrap(err, exp_sql_fail(db, rc, "open", err), "%s", c->path);
	r = prepare(db, c->path, err);
	if (r < 0)
		return exp_error_wrap(err, r, "%s", c->path);
	*ret = EXP_TAKE(db);
	return 0;
}

void exp_db_close(struct exp_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < db->n_cached; i++)
		sqlite3_finalize(db->cached[i].stmt);
	/* after a failed commit the file is for the next opener to look at, as it is */
	if (db->dead)
		keep_wal_at_close(db, true);
	sqlite3_close(db->conn);
	free(db);
}

struct exp_db_identity exp_db_identity(const struct exp_db *db)
{
	return db->identity;
}

uint64_t exp_db_wal_bytes(const struct exp_db *db)
{
	return db->wal_bytes;
}

int exp_db_checkpoint(struct exp_db *db, struct exp_error *err)
{
	int rc;

	if (db->dead)
		return exp_sql_exec(db, "", "checkpoint", err); /* says why not */
	/*
	 * RESTART, not TRUNCATE: the next commits write over blocks that the file has already,
	 * which saves the file system's own journal an update inside the blackout.
	 */
	rc = sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	if (rc != SQLITE_OK)
		return exp_sql_fail(db, rc, "checkpoint", err);
	db->wal_bytes = 0;
	return 0;
}

int exp_db_check(struct exp_db *db, struct exp_error *err)
{
	EXP_CLEANUP(exp_sql_done) struct exp_sql q = { 0 };
	int r = first_line(db, "PRAGMA integrity_check(1)", err);

	if (r < 0)
		return r;
	exp_sql_open(&q, db, "PRAGMA foreign_key_check", "check the references", err);
	r = exp_sql_step(&q);
	if (r <= 0)
		return r;
	return exp_error_set(err, EXP_CODE_DB_CORRUPT, EUCLEAN,
			     "%s database: a row of %s refers to one that is not there",
			     db->schema->name, (const char *)sqlite3_column_text(q.stmt, 0));
}
