/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/inventory, jobs: what the schema refuses whatever a program does, and rows that we never
 * wrote
 */
#include <errno.h>

#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/jobs.h"
#include "inventory/sql.h"

static struct tmpdir dir;
static struct exp_db *db;

static int setup(void **state)
{
	struct exp_db_config c;
	struct exp_error err = { 0 };

	(void)state;
	dir = tmpdir_new();
	c = (struct exp_db_config){ .path = tmpdir_file(&dir, "test.db") };
	assert_ok(exp_db_open(&exp_journal_schema, &c, &db, &err), &err);
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

static void commit(const struct exp_job *j)
{
	struct exp_error err = { 0 };

	assert_ok(exp_jobs_commit(db, j, NULL, 0, &err), &err);
}

static void is_stored(const struct exp_job *j)
{
	struct exp_error err = { 0 };
	struct exp_job *back = NULL;

	assert_ok(exp_jobs_get(db, &j->id, j->role, &back, &err), &err);
	assert_same_job(j, back);
	exp_job_free(back);
}

static void sql(const char *text, const char *refused_with)
{
	char *msg = NULL;
	int rc = sqlite3_exec(db->conn, text, NULL, NULL, &msg);

	if (!refused_with && rc != SQLITE_OK)
		fail_msg("%s: %s", text, msg);
	if (refused_with && (rc == SQLITE_OK || !strstr(msg, refused_with)))
		fail_msg("%s: wanted \"%s\", got \"%s\"", text, refused_with, msg ? msg : "OK");
	sqlite3_free(msg);
}

static void test_schema_keeps_the_last_line(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_DONE);

	(void)state;
	commit(j);
	sql("DELETE FROM job", "kept for ever");
	sql("INSERT OR REPLACE INTO job SELECT * FROM job", "kept for ever");
	sql("UPDATE job SET open = 1", "open_is_not_final");
	sql("UPDATE job SET compact = 1", NULL);
	exp_job_free(j);
}

static void test_schema_checks_every_column(void **state)
{
	static const char *const job[] = {
		"id = x'00'",
		"role = 3",
		"role = 0",
		"open = 2",
		"compact = 2",
		"compact = 1",
		"state = 0",
		"state = 12",
		"state = 8",
		"attempt = 0",
		"attempt = 4294967296",
		"peer = ''",
		"peer = printf('%64d', 1)",
		"peer_host = x'00'",
		"path = -1",
		"path = 6",
		"dirty = 0",
		"dirty = 3",
		"hold = -1",
		"hold = 4",
		"hold_lease_ms = -1",
		"hold_lease_ms = 4294967296",
		"blackout_limit_ms = -1",
		"blackout_limit_ms = 4294967296",
		"intent = -1",
		"intent = 3",
		"err_code = -1",
		"err_errno = -1",
		"err_errno = 2147483648",
		"err_nvme = -1",
		"err_nvme = 65536",
		"err_msg = printf('%256d', 1)",
		"err_msg = NULL",
		"boot = x'00'",
		"want_device = printf('%64d', 1)",
		"want_cntlid = -1",
		"want_cntlid = 4294967296",
		"target_device = printf('%64d', 1)",
		"key = printf('%129d', 1)",
		"key = NULL",
		"body_sha256 = x'00'",
		"created_ms = -1",
		"updated_ms = -1",
		"state = 'done'",
	};
	static const char *const export[] = {
		"job = x'00'",
		"role = 2",
		"idx = -1",
		"idx = 16",
		"open = 0",
		"export = x'00'",
		"epoch = -1",
		"target_cntlid = 65536",
		"target_cntlid = -1",
		"discard_namespace = 2",
		"nqn = ''",
		"nqn = printf('%224d', 1)",
		"template = x'00'",
		"ensid = 4294967296",
		"ecntlid = 65536",
		"nsze = -1",
		"lba_bytes = 4294967296",
		"nguid = x'00'",
		"uuid = x'00'",
		"config = zeroblob(4097)",
		"device = printf('%64d', 1)",
		"serial = printf('%21d', 1)",
		"cntlid = 65536",
		"esubid = 65536",
		"nsid = 4294967296",
		"export = (SELECT export FROM job_export WHERE idx = 1)",
	};
	static const char *const others[] = {
		"UPDATE job_state SET data = x''",
		"UPDATE job_state SET data = zeroblob(262145)",
		"UPDATE job_state SET idx = 20",
		"UPDATE job_state SET data = 'text'",
		"UPDATE job_memory SET idx = 64 WHERE idx = 0",
		"UPDATE job_memory SET idx = -1 WHERE idx = 0",
		"UPDATE job_memory SET bytes = 0",
		"UPDATE job_memory SET iova = NULL",
		"UPDATE job_memory SET job = x'00'",
	};
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING);
	char text[256];

	(void)state;
	commit(j);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(job); i++) {
		snprintf(text, sizeof(text), "UPDATE job SET %s", job[i]);
		sql(text, "");
	}
	for (size_t i = 0; i < EXP_ARRAY_SIZE(export); i++) {
		snprintf(text, sizeof(text), "UPDATE job_export SET %s WHERE idx = 0", export[i]);
		sql(text, "");
	}
	for (size_t i = 0; i < EXP_ARRAY_SIZE(others); i++)
		sql(others[i], "");
	is_stored(j);
	exp_job_free(j);
}

static void test_schema_allows_one_open_job(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING);

	(void)state;
	commit(j);
	sql("INSERT INTO job SELECT zeroblob(16), role, open, compact, state, attempt, peer,"
	    " peer_host, path, dirty, hold, hold_lease_ms, blackout_limit_ms, intent, err_code,"
	    " err_errno, err_nvme, err_msg, boot, want_device, want_cntlid, target_device, '',"
	    " body_sha256, created_ms, updated_ms FROM job",
	    NULL);
	sql("INSERT INTO job_export SELECT zeroblob(16), role, idx, open, export, epoch,"
	    " target_cntlid, discard_namespace, nqn, template, ensid, ecntlid, nsze, lba_bytes,"
	    " nguid, uuid, config, device, serial, cntlid, esubid, nsid FROM job_export"
	    " WHERE idx = 0",
	    "held by another open migration");
	sql("DROP TRIGGER one_open_job", NULL);
	sql("INSERT INTO job_export SELECT zeroblob(16), role, idx, open, export, epoch,"
	    " target_cntlid, discard_namespace, nqn, template, ensid, ecntlid, nsze, lba_bytes,"
	    " nguid, uuid, config, device, serial, cntlid, esubid, nsid FROM job_export"
	    " WHERE idx = 0",
	    "UNIQUE constraint failed: job_export.export");
	exp_job_free(j);
}

static void damaged(const char *text, const struct exp_job *like, const char *part)
{
	struct exp_error err = { 0 };
	struct exp_job *j = NULL;

	sql("SAVEPOINT s; PRAGMA ignore_check_constraints = ON", NULL);
	sql(text, NULL);
	assert_int_equal(exp_jobs_get(db, &like->id, like->role, &j, &err), -EUCLEAN);
	assert_error(&err, EXP_CODE_DB_CORRUPT, part);
	assert_null(j);
	sql("ROLLBACK TO s; RELEASE s; PRAGMA ignore_check_constraints = OFF", NULL);
}

static void test_rows_that_we_never_wrote(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING);

	(void)state;
	commit(j);
	damaged("UPDATE job SET state = 40", j, "its state is none");
	damaged("UPDATE job SET path = 6", j, "column path is out of range");
	damaged("UPDATE job SET peer = printf('%64d', 1)", j, "column peer is too long");
	damaged("UPDATE job SET peer = 'a' || char(0) || 'b'", j, "column peer");
	damaged("UPDATE job SET boot = x'00'", j, "column boot is too short");
	damaged("UPDATE job SET body_sha256 = zeroblob(33)", j, "column body_sha256 is too long");
	damaged("UPDATE job SET attempt = -1", j, "column attempt is out of range");
	damaged("DELETE FROM job_export", j, "no exports");
	damaged("DELETE FROM job_export WHERE idx = 3", j, "one of its exports is missing");
	damaged("DELETE FROM job_memory WHERE idx = 3", j, "memory map is missing");
	damaged("UPDATE job_export SET config = zeroblob(5000)", j, "column config is too long");
	damaged("UPDATE job_state SET data = zeroblob(262145)", j, "beyond its limit");
	is_stored(j);
	exp_job_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_schema_keeps_the_last_line),
		T(test_schema_checks_every_column),
		T(test_schema_allows_one_open_job),
		T(test_rows_that_we_never_wrote),
#undef T
	};

	return cmocka_run_group_tests_name("jobs_schema", tests, NULL, NULL);
}
