/* SPDX-License-Identifier: Apache-2.0 */
/* lib/inventory, the file: made, found again, upgraded, refused, damaged, locked, full */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/sql.h"

static struct tmpdir dir;

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tmpdir_free(&dir);
	return 0;
}

static const char *path(void)
{
	return tmpdir_file(&dir, "test.db");
}

static int try_open(const struct exp_db_schema *schema, struct exp_fault_plan *faults,
		    struct exp_db **ret, struct exp_error *err)
{
	struct exp_db_config c = { .path = path(), .faults = faults };

	*ret = NULL;
	return exp_db_open(schema, &c, ret, err);
}

static struct exp_db *open_schema(const struct exp_db_schema *schema)
{
	struct exp_error err = { 0 };
	struct exp_db *db;

	assert_ok(try_open(schema, NULL, &db, &err), &err);
	return db;
}

static struct exp_db *open_journal(void)
{
	return open_schema(&exp_journal_schema);
}

/* Statements of a test's own, straight to SQLite: what other programs might have done. */
static void raw(const char *sql)
{
	sqlite3 *conn;
	char *msg = NULL;

	assert_int_equal(sqlite3_open(path(), &conn), SQLITE_OK);
	if (sqlite3_exec(conn, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
	assert_int_equal(sqlite3_close(conn), SQLITE_OK);
}

static int first_int(struct exp_db *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int v;

	assert_int_equal(sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	v = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return v;
}

static void slurp(uint8_t **ret, size_t *ret_len)
{
	FILE *f = fopen(path(), "rb");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*ret_len = (size_t)st.st_size;
	*ret = malloc(*ret_len + 1);
	assert_non_null(*ret);
	assert_int_equal(fread(*ret, 1, *ret_len, f), *ret_len);
	fclose(f);
}

/* a transaction that changes nothing but the counter */
static int write_once(struct exp_db *db, struct exp_error *err)
{
	int r = exp_sql_begin(db, err);

	return r < 0 ? r : exp_sql_end(db, 0, err);
}

static void test_db_is_made_and_found_again(void **state)
{
	struct exp_db *db = open_journal();
	struct exp_db_identity first = exp_db_identity(db), again;
	struct exp_error err = { 0 };
	struct stat st;

	(void)state;
	assert_false(exp_uuid_is_nil(&first.instance));
	assert_ok(write_once(db, &err), &err);
	assert_int_equal(exp_db_identity(db).counter, first.counter + 1);
	assert_int_equal(first_int(db, "PRAGMA synchronous"), 2);
	assert_int_equal(first_int(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(first_int(db, "PRAGMA application_id"), 0x4558504a);
	assert_int_equal(first_int(db, "PRAGMA user_version"), exp_journal_schema.n_migrations);
	exp_db_close(db);
	assert_int_equal(stat(path(), &st), 0);
	assert_int_equal(st.st_mode & 07, 0);
	db = open_journal();
	again = exp_db_identity(db);
	assert_true(exp_uuid_eq(&first.instance, &again.instance));
	assert_int_equal(again.counter, first.counter + 1);
	exp_db_close(db);
}

static void test_db_two_files_have_two_identities(void **state)
{
	struct exp_db *db = open_journal();
	struct exp_db_identity a = exp_db_identity(db), b;

	(void)state;
	exp_db_close(db);
	tmpdir_clear(&dir);
	db = open_journal();
	b = exp_db_identity(db);
	exp_db_close(db);
	assert_false(exp_uuid_eq(&a.instance, &b.instance));
}

static void refused_untouched(const struct exp_db_schema *schema, enum exp_code code,
			      const char *part)
{
	struct exp_error err = { 0 };
	uint8_t *before, *after;
	size_t n_before, n_after;
	struct exp_db *db;
	struct stat st;

	slurp(&before, &n_before);
	assert_true(try_open(schema, NULL, &db, &err) < 0);
	assert_null(db);
	assert_error(&err, code, part);
	assert_non_null(strstr(err.msg, "test.db"));
	slurp(&after, &n_after);
	assert_int_equal(n_before, n_after);
	assert_memory_equal(before, after, n_before);
	assert_int_equal(stat(tmpdir_file(&dir, "test.db-wal"), &st), -1);
	free(before);
	free(after);
}

static void test_db_newer_is_refused_untouched(void **state)
{
	(void)state;
	exp_db_close(open_journal());
	raw("PRAGMA user_version = 9");
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_NEWER, "version 9 ");
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_NEWER, "knows up to 1");
}

/* the upgrade by a newer program that was killed is only in the WAL */
static void test_db_newer_in_the_wal_is_refused(void **state)
{
	struct exp_db *db = open_journal();
	struct exp_error err = { 0 };
	uint8_t *head;
	size_t n;

	(void)state;
	assert_int_equal(sqlite3_exec(db->conn, "PRAGMA user_version = 9", 0, 0, 0), SQLITE_OK);
	sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	exp_db_close(db);
	for (int i = 0; i < 2; i++) {
		slurp(&head, &n);
		assert_true(n < 100 || head[63] != 9); /* not in the file itself, nor put there */
		free(head);
		assert_int_equal(try_open(&exp_journal_schema, NULL, &db, &err), -EINVAL);
		assert_error(&err, EXP_CODE_DB_NEWER, "version 9 ");
	}
}

static void test_db_foreign_is_refused_untouched(void **state)
{
	FILE *f = fopen(path(), "w");

	(void)state;
	assert_non_null(f);
	fputs("[daemon]\nthis is no database\n", f);
	fclose(f);
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_FOREIGN, "no SQLite file");
	unlink(path());
	raw("CREATE TABLE notes (t TEXT); INSERT INTO notes VALUES ('mine')");
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_FOREIGN, "application id 00000000");
	unlink(path());
	raw("PRAGMA application_id = 305419896");
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_FOREIGN, "12345678, expected 4558504a");
	unlink(path());
	exp_db_close(open_schema(&exp_events_schema));
	refused_untouched(&exp_journal_schema, EXP_CODE_DB_FOREIGN, "45585045");
}

static void test_db_foreign_kinds_of_file(void **state)
{
	struct exp_error err = { 0 };
	struct exp_db *db;

	(void)state;
	assert_int_equal(mkdir(path(), 0700), 0);
	assert_true(try_open(&exp_journal_schema, NULL, &db, &err) < 0);
	assert_non_null(strstr(err.msg, "test.db"));
	rmdir(path());
	assert_int_equal(mkfifo(path(), 0600), 0);
	assert_int_equal(try_open(&exp_journal_schema, NULL, &db, &err), -EINVAL);
	assert_error(&err, EXP_CODE_DB_FOREIGN, "not a regular file");
}

static void test_db_needs_its_directory(void **state)
{
	struct exp_db_config c = { .path = "/nonexistent/dir/test.db" };
	struct exp_error err = { 0 };
	struct exp_db *db;

	(void)state;
	assert_int_equal(exp_db_open(&exp_journal_schema, &c, &db, &err), -ENOENT);
	assert_error(&err, EXP_CODE_SYSTEM, "/nonexistent/dir/test.db");
}

static void test_db_second_opener_is_refused(void **state)
{
	struct exp_db *db = open_journal(), *second;
	struct exp_error err = { 0 };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int r = try_open(&exp_journal_schema, NULL, &second, &err);

		_exit(r == -EBUSY && err.code == EXP_CODE_BUSY && strstr(err.msg, "second expd")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_ok(write_once(db, &err), &err);
	exp_db_close(db);
	exp_db_close(open_journal()); /* free again */
}

/*
 * Upgrades: a schema of tests, one entry more each time
 */

static const char *const steps[] = {
	"CREATE TABLE a (x INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)",
	"ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7",
	"CREATE TABLE b (z INTEGER NOT NULL) STRICT; INSERT INTO b SELECT y FROM a",
};

static struct exp_db_schema test_schema(size_t n)
{
	return (struct exp_db_schema){ "test", 0x54455354, steps, n, 0 };
}

static void test_db_is_upgraded_from_every_version(void **state)
{
	struct exp_db_schema newest = test_schema(3);
	struct exp_db_identity id, after;

	(void)state;
	for (size_t from = 0; from <= 3; from++) {
		struct exp_db_schema old = test_schema(from);
		struct exp_db *db = open_schema(&old);

		assert_int_equal(first_int(db, "PRAGMA user_version"), from);
		id = exp_db_identity(db);
		exp_db_close(db);
		db = open_schema(&newest);
		assert_int_equal(first_int(db, "PRAGMA user_version"), 3);
		assert_int_equal(first_int(db, "SELECT z FROM b"), 7);
		after = exp_db_identity(db);
		assert_true(exp_uuid_eq(&id.instance, &after.instance));
		exp_db_close(db);
		tmpdir_clear(&dir);
	}
}

static void test_db_upgrade_that_fails_leaves_the_last_version(void **state)
{
	static const char *const bad[] = {
		"CREATE TABLE a (x INTEGER NOT NULL) STRICT",
		"INSERT INTO a VALUES (1); INSERT INTO a VALUES (NULL)"
	};
	struct exp_db_schema schema = { "test", 0x54455354, bad, 2, 0 };
	struct exp_db_schema first = { "test", 0x54455354, bad, 1, 0 };
	struct exp_error err = { 0 };
	struct exp_db *db;

	(void)state;
	assert_int_equal(try_open(&schema, NULL, &db, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "upgrade to version 2"));
	db = open_schema(&first);
	assert_int_equal(first_int(db, "PRAGMA user_version"), 1);
	assert_int_equal(first_int(db, "SELECT count(*) FROM a"), 0);
	exp_db_close(db);
}

/* each write of making and upgrading fails once, in each way; then it goes on where it was */
static void test_db_upgrade_goes_on_after_every_fault(void **state)
{
	static const char *const points[] = { "db-write", "db-commit-done", "db-commit-lost" };
	struct exp_db_schema newest = test_schema(3);

	(void)state;
	for (size_t p = 0; p < EXP_ARRAY_SIZE(points); p++) {
		unsigned int fired = 0;

		for (uint64_t n = 0;; n++) {
			struct exp_fault_plan plan = { 0 };
			struct exp_error err = { 0 };
			struct exp_db *db;
			int r;

			exp_fault_arm(&plan, points[p], n, -EIO);
			r = try_open(&newest, &plan, &db, &err);
			exp_db_close(db);
			assert_int_equal(r < 0, plan.fired);
			if (plan.fired) {
				fired++;
				assert_int_equal(r, p ? -EXP_DB_EUNKNOWN : -EIO);
				assert_int_equal(err.code, EXP_CODE_DB);
			}
			db = open_schema(&newest);
			assert_int_equal(first_int(db, "SELECT z FROM b"), 7);
			assert_int_equal(first_int(db, "SELECT count(*) FROM b"), 1);
			exp_db_close(db);
			tmpdir_clear(&dir);
			if (!plan.fired)
				break;
		}
		assert_int_equal(fired, 4); /* made, and three upgrades */
	}
}

/*
 * Commits
 */

static void test_db_failed_write_is_known_not_to_be_there(void **state)
{
	struct exp_fault_plan plan = { 0 };
	struct exp_error err = { 0 };
	struct exp_db *db;
	uint64_t counter;

	(void)state;
	assert_ok(try_open(&exp_journal_schema, &plan, &db, &err), &err);
	counter = exp_db_identity(db).counter;
	exp_fault_arm(&plan, "db-write", 0, -ENOSPC);
	assert_int_equal(write_once(db, &err), -ENOSPC);
	assert_int_equal(err.code, EXP_CODE_NO_SPACE);
	assert_false(exp_db_unknown(-ENOSPC));
	assert_ok(write_once(db, &err), &err);
	assert_int_equal(exp_db_identity(db).counter, counter + 1);
	exp_db_close(db);
}

static void test_db_failed_commit_closes_the_handle(void **state)
{
	static const char *const points[] = { "db-commit-done", "db-commit-lost" };

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		struct exp_fault_plan plan = { 0 };
		struct exp_error err = { 0 };
		struct exp_db *db;
		uint64_t counter;

		assert_ok(try_open(&exp_journal_schema, &plan, &db, &err), &err);
		counter = exp_db_identity(db).counter;
		exp_fault_arm(&plan, points[p], 0, -EIO);
		assert_true(exp_db_unknown(write_once(db, &err)));
		assert_error(&err, EXP_CODE_DB, "may or may not have become durable");
		/* nobody was told of the transaction, so nobody may be told that it counts */
		assert_int_equal(exp_db_identity(db).counter, counter);
		assert_int_equal(write_once(db, &err), -ESHUTDOWN);
		assert_int_equal(exp_db_checkpoint(db, &err), -ESHUTDOWN);
		assert_int_equal(exp_db_check(db, &err), -ESHUTDOWN);
		exp_db_close(db);
		db = open_journal();
		assert_int_equal(exp_db_identity(db).counter, counter + (p ? 0 : 1));
		assert_ok(write_once(db, &err), &err);
		exp_db_close(db);
		tmpdir_clear(&dir);
	}
}

static void test_db_statement_error_rolls_back(void **state)
{
	struct exp_db_schema schema = test_schema(1);
	struct exp_db *db = open_schema(&schema);
	uint64_t counter = exp_db_identity(db).counter;
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_sql_begin(db, &err), &err);
	assert_ok(exp_sql_exec(db, "INSERT INTO a VALUES (2)", "insert", &err), &err);
	assert_int_equal(exp_sql_end(db, exp_error_set(&err, EXP_CODE_INVALID, EINVAL, "no"), &err),
			 -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "no");
	assert_int_equal(first_int(db, "SELECT count(*) FROM a"), 1);
	assert_int_equal(exp_db_identity(db).counter, counter);
	exp_db_close(db);
}

/*
 * WAL
 */

static uint64_t wal_file_bytes(void)
{
	struct stat st;

	return stat(tmpdir_file(&dir, "test.db-wal"), &st) ? 0 : (uint64_t)st.st_size;
}

static void test_db_checkpoints_only_when_told(void **state)
{
	struct exp_db_schema schema = test_schema(1);
	struct exp_db *db = open_schema(&schema);
	struct exp_error err = { 0 };
	uint64_t before, peak;

	(void)state;
	assert_ok(exp_db_checkpoint(db, &err), &err);
	assert_int_equal(exp_db_wal_bytes(db), 0);
	for (int i = 0; i < 3000; i++) { /* three times SQLite's own threshold */
		before = exp_db_wal_bytes(db);
		assert_ok(exp_sql_exec(db, "UPDATE a SET x = x + 1", "count", &err), &err);
		assert_true(exp_db_wal_bytes(db) > before);
	}
	peak = exp_db_wal_bytes(db);
	assert_int_equal(wal_file_bytes(), peak);
	assert_ok(exp_db_checkpoint(db, &err), &err);
	assert_int_equal(exp_db_wal_bytes(db), 0);
	assert_ok(write_once(db, &err), &err);
	assert_true(exp_db_wal_bytes(db) < peak);
	/* the file keeps its blocks for the next commits */
	assert_int_equal(wal_file_bytes(), peak);
	assert_int_equal(first_int(db, "SELECT x FROM a"), 3001);
	exp_db_close(db);
	assert_int_equal(wal_file_bytes(), 0);
	db = open_schema(&schema);
	assert_int_equal(first_int(db, "SELECT x FROM a"), 3001);
	exp_db_close(db);
}

static void test_db_events_checkpoint_by_themselves(void **state)
{
	struct exp_db_schema schema = test_schema(1);
	struct exp_error err = { 0 };
	struct exp_db *db;

	(void)state;
	schema.auto_checkpoint_pages = 10;
	db = open_schema(&schema);
	for (int i = 0; i < 100; i++)
		assert_ok(exp_sql_exec(db, "UPDATE a SET x = x + 1", "count", &err), &err);
	assert_true(wal_file_bytes() < 30 * 4120);
	exp_db_close(db);
}

static void test_db_wal_left_behind_counts(void **state)
{
	struct exp_db *db = open_journal();
	uint64_t left;

	(void)state;
	left = exp_db_wal_bytes(db);
	assert_true(left > 0);
	sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	exp_db_close(db);
	db = open_journal();
	assert_int_equal(exp_db_wal_bytes(db), left);
	exp_db_close(db);
}

/*
 * Damage
 */

static void test_db_damaged_page_is_found_at_open(void **state)
{
	struct exp_db_schema schema = test_schema(3);
	struct exp_error err = { 0 };
	uint8_t junk[4096];
	struct exp_db *db;
	unsigned int found = 0;
	struct stat st;

	(void)state;
	memset(junk, 0xa5, sizeof(junk));
	db = open_schema(&schema);
	exp_db_close(db);
	assert_int_equal(stat(path(), &st), 0);
	assert_true(st.st_size >= 3 * 4096);
	for (off_t page = 0; page < st.st_size / 4096; page++) {
		uint8_t old[4096];
		int fd = open(path(), O_RDWR);
		int r;

		/* behind the header of page 1: the header says whose file it is */
		off_t at = page ? page * 4096 : 100;
		size_t n = page ? 4096 : 3996;

		assert_int_equal(pread(fd, old, n, at), n);
		assert_int_equal(pwrite(fd, junk, n, at), n);
		r = try_open(&schema, NULL, &db, &err);
		if (r < 0) {
			assert_int_equal(r, -EUCLEAN);
			assert_error(&err, EXP_CODE_DB_CORRUPT, "damaged");
			found++;
		}
		exp_db_close(db);
		assert_int_equal(pwrite(fd, old, n, at), n);
		close(fd);
	}
	assert_int_equal(found, st.st_size / 4096);
	exp_db_close(open_schema(&schema));
}

static void test_db_check_finds_what_does_not_fit(void **state)
{
	struct exp_db *db = open_journal();
	struct exp_error err = { 0 };

	(void)state;
	assert_ok(exp_db_check(db, &err), &err);
	exp_db_close(db);
	raw("INSERT INTO job_memory VALUES (zeroblob(16), 1, 0, 1, 1)");
	db = open_journal();
	assert_int_equal(exp_db_check(db, &err), -EUCLEAN);
	assert_error(&err, EXP_CODE_DB_CORRUPT, "job_memory");
	exp_db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_db_is_made_and_found_again),
		T(test_db_two_files_have_two_identities),
		T(test_db_newer_is_refused_untouched),
		T(test_db_newer_in_the_wal_is_refused),
		T(test_db_foreign_is_refused_untouched),
		T(test_db_foreign_kinds_of_file),
		T(test_db_needs_its_directory),
		T(test_db_second_opener_is_refused),
		T(test_db_is_upgraded_from_every_version),
		T(test_db_upgrade_that_fails_leaves_the_last_version),
		T(test_db_upgrade_goes_on_after_every_fault),
		T(test_db_failed_write_is_known_not_to_be_there),
		T(test_db_failed_commit_closes_the_handle),
		T(test_db_statement_error_rolls_back),
		T(test_db_checkpoints_only_when_told),
		T(test_db_events_checkpoint_by_themselves),
		T(test_db_wal_left_behind_counts),
		T(test_db_damaged_page_is_found_at_open),
		T(test_db_check_finds_what_does_not_fit),
#undef T
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
