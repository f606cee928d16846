/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/inventory under trouble: killed at every operation, power cut at every operation, a disk that
 * fills up at every write or fails at every sync. What was acknowledged is there; record and
 * ownership agree; an unknown outcome can be repeated.
 *
 * One hand-over is played again and again: the source's records with the ownership they come with.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "support/fault_vfs.h"
#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/jobs.h"
#include "inventory/sql.h"

static const unsigned int script[] = { EXP_SRC_PREFLIGHT, EXP_SRC_PREPARING, EXP_SRC_COPYING,
				       EXP_SRC_SWITCHING, EXP_SRC_RELEASED,  EXP_SRC_DONE };

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
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	tmpdir_free(&dir);
	return 0;
}

static int open_with(const char *vfs, struct exp_db **ret, struct exp_error *err)
{
	struct exp_db_config c = { .path = tmpdir_file(&dir, "test.db"), .vfs = vfs };

	*ret = NULL;
	return exp_db_open(&exp_journal_schema, &c, ret, err);
}

static struct exp_job *the_job(unsigned int state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, state);

	j->n_exports = 1;
	return j;
}

/* The ownership that goes with a state: the epoch is the host's until it is released. */
static struct exp_export_change the_change(const struct exp_job *j)
{
	bool mine = j->state < EXP_SRC_RELEASED;

	return (struct exp_export_change){
		.id = j->exports[0].id,
		.owner = { mine ? 7 : 0, j->state >= EXP_SRC_PREPARING ? 8 : 7, 7 },
		.status = mine ? EXP_EXPORT_OWNED : EXP_EXPORT_SUPERSEDED,
		.desc = &j->exports[0].desc,
		.place = &j->exports[0].here,
	};
}

static int commit_state(struct exp_db *db, unsigned int state, struct exp_error *err)
{
	struct exp_job *j = the_job(state);
	struct exp_export_change c = the_change(j);
	int r = exp_jobs_commit(db, j, &c, 1, err);

	exp_job_free(j);
	return r;
}

/* Index into the script of what is stored, -1: nothing. Fails when parts do not agree. */
static int stored(void)
{
	struct exp_job *want, *got = NULL;
	struct exp_error err = { 0 };
	struct exp_export e;
	struct exp_db *db;
	int at = -1, r;

	/* this VFS does not wait for the disk: thousands of openings in seconds */
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	assert_ok(open_with(fault_vfs_register(), &db, &err), &err);
	assert_ok(exp_db_check(db, &err), &err);
	want = the_job(EXP_SRC_PREFLIGHT);
	r = exp_jobs_get(db, &want->id, EXP_ROLE_SOURCE, &got, &err);
	if (r == -ENOENT) {
		assert_int_equal(exp_exports_get(db, &want->exports[0].id, &e, &err), -ENOENT);
	} else {
		struct exp_export_change c = the_change(got);

		assert_ok(r, &err);
		want->state = got->state;
		if (exp_state_is_final(EXP_ROLE_SOURCE, got->state))
			assert_int_equal(exp_job_set_state_blob(want, 0, NULL, 0), 0);
		for (uint32_t i = 1; i < EXP_JOB_EXPORTS_MAX; i++) {
			assert_int_equal(exp_job_set_state_blob(want, i, NULL, 0), 0);
			memset(&want->exports[i], 0, sizeof(want->exports[i]));
			want->target_cntlid[i] = 0;
		}
		assert_same_job(got, want);
		assert_ok(exp_exports_get(db, &c.id, &e, &err), &err);
		assert_memory_equal(&e.owner, &c.owner, sizeof(e.owner));
		assert_int_equal(e.status, c.status);
		assert_memory_equal(&e.desc, c.desc, sizeof(e.desc));
		for (at = 0; script[at] != got->state; at++)
			assert_true((size_t)at + 1 < EXP_ARRAY_SIZE(script));
	}
	exp_job_free(want);
	exp_job_free(got);
	exp_db_close(db);
	return at;
}

/* Child: plays the script, tells each acknowledged commit; never returns. */
static void play(int tell, enum fault_vfs_trouble trouble, unsigned int after, const char *pragma)
{
	struct exp_error err = { 0 };
	struct exp_db *db;

	fault_vfs_arm(trouble, after);
	if (open_with(fault_vfs_register(), &db, &err) < 0)
		_exit(1);
	if (pragma && sqlite3_exec(db->conn, pragma, NULL, NULL, NULL) != SQLITE_OK)
		_exit(2);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(script); i++) {
		if (commit_state(db, script[i], &err) < 0)
			_exit(3);
		if (write(tell, "", 1) != 1)
			_exit(4);
		if (i == 2 && exp_db_checkpoint(db, &err) < 0)
			_exit(5);
	}
	exp_db_close(db);
	_exit(0);
}

/* Runs a child that dies at operation @after; *ret_acked: commits it was told of. true: it lived */
static bool run_child(unsigned int after, const char *pragma, int *ret_acked)
{
	int pipe_fd[2], status;
	char buf[64];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		play(pipe_fd[1], FAULT_VFS_KILL, after, pragma);
	close(pipe_fd[1]);
	*ret_acked = 0;
	while ((n = read(pipe_fd[0], buf, sizeof(buf))) > 0)
		*ret_acked += (int)n;
	close(pipe_fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return true;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return false;
}

/* Commits that were acknowledged are there; at most the one under way is there too. */
static bool holds(int acked)
{
	int at = stored();

	return at == acked - 1 || at == acked;
}

static void test_killed_at_every_operation(void **state)
{
	unsigned int n = 0;
	int acked;

	(void)state;
	while (!run_child(n, NULL, &acked)) {
		if (!holds(acked))
			fail_msg("killed at operation %u after %d commits", n, acked);
		tmpdir_clear(&dir);
		n++;
	}
	assert_int_equal(stored(), EXP_ARRAY_SIZE(script) - 1);
	assert_true(n > 100);
}

/* 0, or 1 at the first loss */
static unsigned int lost_at_power_cut(const char *pragma)
{
	char path[256];
	unsigned int lost = 0;
	int acked;

	snprintf(path, sizeof(path), "%s", tmpdir_file(&dir, "test.db"));
	for (unsigned int n = 0; !run_child(n, pragma, &acked); n++) {
		fault_vfs_power_cut(path);
		if (!holds(acked))
			lost++;
		tmpdir_clear(&dir);
		if (lost)
			break;
	}
	return lost;
}

static void test_power_cut_at_every_operation(void **state)
{
	(void)state;
	assert_int_equal(lost_at_power_cut(NULL), 0);
}

/* the reason for FULL, and the proof that the test above can fail */
static void test_power_cut_loses_commits_with_less_than_full(void **state)
{
	(void)state;
	assert_true(lost_at_power_cut("PRAGMA synchronous = NORMAL") > 0);
	assert_true(lost_at_power_cut("PRAGMA synchronous = OFF") > 0);
}

/*
 * A disk in trouble, and a daemon that goes on
 */

/*
 * Plays the script against trouble at operation @after, as the daemon would: a known failure is
 * tried again on the same handle, an unknown one after closing and opening. Trouble ends when it
 * has been seen once. Returns whether it was.
 */
static bool ride_out(enum fault_vfs_trouble trouble, unsigned int after, unsigned int *ret_unknown)
{
	struct exp_error err = { 0 };
	struct exp_db *db = NULL;
	unsigned int seen = 0;
	int r;

	fault_vfs_arm(trouble, after);
	r = open_with(fault_vfs_register(), &db, &err);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(script);) {
		if (db)
			r = commit_state(db, script[i], &err);
		if (!r && db) {
			i++;
			continue;
		}
		if (r < 0) {
			assert_true(fault_vfs_plan.fired);
			assert_true(r == -ENOSPC || r == -EIO || exp_db_unknown(r));
			assert_true(err.code == EXP_CODE_NO_SPACE || err.code == EXP_CODE_DB);
			*ret_unknown += exp_db_unknown(r);
			seen++;
			assert_true(seen < 3);
			fault_vfs_plan.trouble = FAULT_VFS_NONE;
		}
		if (!db || exp_db_unknown(r)) {
			exp_db_close(db);
			r = open_with("fault", &db, &err);
			assert_ok(r, &err);
		}
	}
	exp_db_close(db);
	seen += fault_vfs_plan.fired;
	assert_int_equal(stored(), EXP_ARRAY_SIZE(script) - 1);
	tmpdir_clear(&dir);
	return seen;
}

static void test_full_disk_at_every_write(void **state)
{
	unsigned int n = 0, unknown = 0;

	(void)state;
	while (ride_out(FAULT_VFS_FULL, n, &unknown))
		n++;
	assert_true(n > 50);
	assert_true(unknown > 5);
}

static void test_failed_sync_at_every_commit(void **state)
{
	unsigned int n = 0, unknown = 0;

	(void)state;
	while (ride_out(FAULT_VFS_SYNC_FAIL, n, &unknown))
		n++;
	assert_true(n > 8);
	assert_true(unknown >= EXP_ARRAY_SIZE(script));
}

/* why "unknown" is not "failed": the same failed COMMIT is there, or is not */
static void test_failed_sync_may_or_may_not_be_there(void **state)
{
	struct exp_error err = { 0 };
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s", tmpdir_file(&dir, "test.db"));
	for (int cut = 0; cut < 2; cut++) {
		struct exp_db *db;

		fault_vfs_arm(FAULT_VFS_NONE, 0);
		assert_ok(open_with(fault_vfs_register(), &db, &err), &err);
		assert_ok(commit_state(db, EXP_SRC_SWITCHING, &err), &err);
		fault_vfs_arm(FAULT_VFS_SYNC_FAIL, 0);
		assert_true(exp_db_unknown(commit_state(db, EXP_SRC_RELEASED, &err)));
		assert_int_equal(fault_vfs_plan.fired, 1);
		exp_db_close(db);
		if (cut)
			fault_vfs_power_cut(path);
		assert_int_equal(script[stored()], cut ? EXP_SRC_SWITCHING : EXP_SRC_RELEASED);
		tmpdir_clear(&dir);
	}
}

/* fsync(2) can be the call that says so; of a checkpoint the outcome is known: it is not done */
static void test_no_space_found_at_sync(void **state)
{
	static const struct {
		int errnum;
		enum exp_code code;
	} rows[] = { { ENOSPC, EXP_CODE_NO_SPACE },
		     { EDQUOT, EXP_CODE_NO_SPACE },
		     { EIO, EXP_CODE_DB } };
	struct exp_error err = { 0 };
	struct exp_db *db;
	uint64_t wal;

	(void)state;
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	assert_ok(open_with(fault_vfs_register(), &db, &err), &err);
	assert_ok(commit_state(db, EXP_SRC_PREFLIGHT, &err), &err);
	wal = exp_db_wal_bytes(db);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		fault_vfs_arm(FAULT_VFS_SYNC_FAIL, 0);
		fault_vfs_plan.errnum = rows[i].errnum;
		assert_int_equal(exp_db_checkpoint(db, &err),
				 rows[i].code == EXP_CODE_DB ? -EIO : -ENOSPC);
		assert_int_equal(err.code, rows[i].code);
		assert_int_equal(exp_db_wal_bytes(db), wal);
	}
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	assert_ok(commit_state(db, EXP_SRC_PREPARING, &err), &err);
	assert_ok(exp_db_checkpoint(db, &err), &err);
	exp_db_close(db);
	assert_int_equal(script[stored()], EXP_SRC_PREPARING);
}

/* a real file system that is full, where this user may mount one */
static void test_full_file_system(void **state)
{
	struct exp_error err = { 0 };
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		struct exp_db *db;
		char filler[300];
		int fd, r;

		if (unshare(CLONE_NEWNS) < 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", dir.path, "tmpfs", 0, "size=1m") < 0)
			_exit(77);
		if (open_with(NULL, &db, &err) < 0 || commit_state(db, script[0], &err) < 0)
			_exit(1);
		snprintf(filler, sizeof(filler), "%s/filler", dir.path);
		fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		while (write(fd, "0123456789abcdef", 16) == 16)
			;
		r = commit_state(db, script[1], &err);
		if (r >= 0 || err.code != EXP_CODE_NO_SPACE || !strstr(err.msg, "no space left"))
			_exit(2);
		unlink(filler);
		close(fd);
		if (exp_db_unknown(r)) {
			exp_db_close(db);
			if (open_with(NULL, &db, &err) < 0)
				_exit(3);
		}
		_exit(commit_state(db, script[1], &err) < 0 ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_killed_at_every_operation),
		T(test_power_cut_at_every_operation),
		T(test_power_cut_loses_commits_with_less_than_full),
		T(test_full_disk_at_every_write),
		T(test_failed_sync_at_every_commit),
		T(test_failed_sync_may_or_may_not_be_there),
		T(test_no_space_found_at_sync),
		T(test_full_file_system),
#undef T
	};

	return cmocka_run_group_tests_name("db_crash", tests, NULL, NULL);
}
