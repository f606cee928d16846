/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/store: the journal's queue, a failed COMMIT and the fresh connection after it */
#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include <pthread.h>
#include <semaphore.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "base/fs.h"
#include "base/log.h"
#include "daemon/expd.h"
#include "daemon/store.h"
#include "daemon/worker.h"
#include "inventory/exports.h"
#include "support/fault_vfs.h"

#define MIB (1024u * 1024)

struct rig {
	struct tmpdir dir;
	struct expd x;
	/* of the last task that run_task() waited for */
	int r;
	struct exp_error err;
	unsigned int warnings;
};

/* A task of these tests, on the stack of the one who waits for it. */
struct task {
	struct rig *rig;
	struct exp_export_change c[EXP_JOB_EXPORTS_MAX];
	struct exp_export_desc desc[EXP_JOB_EXPORTS_MAX];
	uint32_t n;       /* changes to store */
	int ret;          /* without changes: what the task is to return */
	bool gated;       /* waits for the gate */
	bool ran, ended;  /* worker's, loop's */
	unsigned int seq; /* order of the runs */
};

static sem_t begun, gate;
static unsigned int runs; /* worker only */

static int run(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct task *t = arg;

	assert_non_null(db);
	if (t->gated) {
		sem_post(&begun);
		sem_wait(&gate);
	}
	t->ran = true;
	t->seq = ++runs;
	return t->n ? exp_exports_put(db, t->c, t->n, 4711, err) : t->ret;
}

static void done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct task *t = arg;

	assert_ptr_equal(x, &t->rig->x);
	assert_false(t->ended);
	t->ended = true;
	t->rig->r = r;
	t->rig->err = *err;
}

static void wait_for(struct task *t)
{
	while (!t->ended)
		assert_int_not_equal(event_base_loop(t->rig->x.base, EVLOOP_ONCE), 1);
}

static int run_task(struct task *t)
{
	t->ran = t->ended = false;
	expd_store_run(t->rig->x.store, true, run, done, t);
	wait_for(t);
	return t->rig->r;
}

/* Stores export @seed, which this host owns from @epoch on. */
static int put_export(struct rig *rig, uint8_t seed, uint64_t epoch)
{
	struct task *t = calloc(1, sizeof(*t));
	int r;

	assert_non_null(t);
	t->rig = rig;
	t->n = 1;
	t->c[0] = (struct exp_export_change){ .id = sample_uuid(seed),
					      .owner = { epoch, epoch, epoch },
					      .status = EXP_EXPORT_OWNED };
	r = run_task(t);
	free(t);
	return r;
}

static int get_export(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct task *t = arg;
	struct exp_export e;
	const struct exp_uuid id = sample_uuid((uint8_t)t->n);
	int r = exp_exports_get(db, &id, &e, err);

	t->seq = r ? 0 : (unsigned int)e.owner.floor;
	return r;
}

/* The floor of export @seed as the journal has it, 0: not there. */
static unsigned int stored_floor(struct rig *rig, uint8_t seed)
{
	struct task t = { .rig = rig, .n = seed };

	expd_store_run(rig->x.store, false, get_export, done, &t);
	wait_for(&t);
	if (rig->r != -ENOENT)
		assert_ok(rig->r, &rig->err);
	return t.seq;
}

static void count_warnings(int level, const char *msg, const struct exp_kv *kv, void *arg)
{
	struct rig *rig = arg;

	(void)msg;
	(void)kv;
	if (level == LOG_WARNING)
		rig->warnings++;
}

static int open_store(struct rig *rig, struct exp_error *err)
{
	return expd_store_open(&rig->x, rig->dir.path, &rig->x.store, err);
}

static void close_store(struct rig *rig)
{
	expd_store_quiesce(rig->x.store);
	expd_inbox_run(rig->x.inbox);
	expd_store_close(rig->x.store);
	rig->x.store = NULL;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct exp_error err = { 0 };

	assert_non_null(rig);
	rig->dir = tmpdir_new();
	rig->x.base = event_base_new();
	assert_non_null(rig->x.base);
	assert_ok(expd_inbox_new(rig->x.base, &rig->x.inbox, &err), &err);
	assert_ok(open_store(rig, &err), &err);
	exp_log_set_sink(count_warnings, LOG_WARNING, rig);
	*state = rig;
	return 0;
}

/* The store opens its files with SQLite's default: make that the disk that can fail. */
static int setup_faults(void **state)
{
	sqlite3_vfs_register(sqlite3_vfs_find(fault_vfs_register()), 1);
	return setup(state);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	fault_vfs_arm(FAULT_VFS_NONE, 0);
	if (fault_real_vfs)
		sqlite3_vfs_register(fault_real_vfs, 1);
	exp_log_set_sink(NULL, LOG_DEBUG, NULL);
	if (rig->x.store)
		close_store(rig);
	expd_inbox_free(rig->x.inbox);
	event_base_free(rig->x.base);
	tmpdir_free(&rig->dir);
	free(rig);
	return 0;
}

static void test_host_id_is_made_once(void **state)
{
	struct rig *rig = *state;
	const struct exp_uuid host = rig->x.host;
	struct exp_error err = { 0 };
	char text[EXP_UUID_TEXT], *file = NULL;

	assert_false(exp_uuid_is_nil(&host));
	assert_string_equal(expd_store_host_text(rig->x.store), exp_uuid_format(&host, text));
	assert_ok(exp_fs_read(tmpdir_file(&rig->dir, "host-id"), 100, &file, NULL, &err), &err);
	assert_memory_equal(file, text, 36);
	assert_string_equal(file + 36, "\n");
	free(file);
	close_store(rig);
	memset(&rig->x.host, 0, sizeof(rig->x.host));
	assert_ok(open_store(rig, &err), &err);
	assert_true(exp_uuid_eq(&rig->x.host, &host));
}

static void test_host_id_that_is_none(void **state)
{
	static const char *const bad[] = { "", "no id\n", "9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a1\n",
					   "9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10 \n" };
	struct rig *rig = *state;
	const char *path = strdupa(tmpdir_file(&rig->dir, "host-id"));
	struct exp_error err = { 0 };

	close_store(rig);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		assert_ok(exp_fs_replace(path, bad[i], strlen(bad[i]), 0644, &err), &err);
		assert_true(open_store(rig, &err) < 0);
		assert_error(&err, EXP_CODE_CONFIG, path);
		assert_null(rig->x.store);
	}
}

static void test_one_daemon_a_directory(void **state)
{
	struct rig *rig = *state;
	struct expd other = { .base = rig->x.base, .inbox = rig->x.inbox };
	struct expd_store *s = NULL;
	struct exp_error err = { 0 };

	assert_int_equal(expd_store_open(&other, rig->dir.path, &s, &err), -EBUSY);
	assert_error(&err, EXP_CODE_BUSY, "journal.db");
	assert_null(s);
	assert_int_equal(put_export(rig, 1, 1), 0);
}

static void test_result_and_error_come_back(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig, .ret = -EIO };
	struct exp_uuid instance;
	uint64_t before, after;

	assert_int_equal(run_task(&t), -EIO); /* that said nothing: it is said for it */
	assert_true(t.ran);
	assert_error(&rig->err, EXP_CODE_SYSTEM, "journal");
	t.ret = 0;
	assert_int_equal(run_task(&t), 0);

	expd_store_identity(rig->x.store, &instance, &before);
	assert_false(exp_uuid_is_nil(&instance));
	assert_int_equal(put_export(rig, 1, 3), 0);
	expd_store_identity(rig->x.store, &instance, &after);
	assert_true(after > before); /* a hello tells what is durable */
	assert_int_equal(stored_floor(rig, 1), 3);
	assert_int_equal(stored_floor(rig, 2), 0);
}

static void test_urgent_goes_first(void **state)
{
	struct rig *rig = *state;
	struct task first = { .rig = rig, .gated = true }, normal = { .rig = rig },
		    urgent = { .rig = rig };

	expd_store_run(rig->x.store, false, run, done, &first);
	sem_wait(&begun);
	expd_store_run(rig->x.store, false, run, done, &normal);
	expd_store_run(rig->x.store, true, run, done, &urgent);
	sem_post(&gate);
	wait_for(&normal);
	assert_true(first.seq < urgent.seq);
	assert_true(urgent.seq < normal.seq);
}

static void test_events_have_a_queue_of_their_own(void **state)
{
	struct rig *rig = *state;
	struct task journal = { .rig = rig, .gated = true }, events = { .rig = rig };

	expd_store_run(rig->x.store, false, run, done, &journal);
	sem_wait(&begun);
	expd_store_run_events(rig->x.store, run, done, &events);
	wait_for(&events); /* although the journal stands still */
	sem_post(&gate);
	wait_for(&journal);
}

/* The record of a hand-over whose COMMIT may or may not have happened is written once more. */
static void test_after_an_unknown_commit_the_file_is_opened_anew(void **state)
{
	struct rig *rig = *state;
	struct exp_uuid before, after;
	uint64_t counter;

	assert_int_equal(put_export(rig, 1, 1), 0);
	expd_store_identity(rig->x.store, &before, &counter);
	fault_vfs_arm(FAULT_VFS_SYNC_FAIL, 0);
	assert_true(exp_db_unknown(put_export(rig, 1, 2)));
	assert_int_equal(fault_vfs_plan.fired, 1);
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	/* the connection that failed would refuse this */
	assert_ok(put_export(rig, 1, 2), &rig->err);
	assert_int_equal(stored_floor(rig, 1), 2);
	expd_store_identity(rig->x.store, &after, &counter);
	assert_true(exp_uuid_eq(&before, &after));
}

static void test_full_disk_then_room_again(void **state)
{
	struct rig *rig = *state;

	fault_vfs_arm(FAULT_VFS_FULL, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(put_export(rig, 1, 1) < 0);
		assert_int_equal(rig->err.code, EXP_CODE_NO_SPACE);
	}
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	assert_ok(put_export(rig, 1, 1), &rig->err);
	assert_int_equal(stored_floor(rig, 1), 1);
}

/* Where the file should be there is now something that cannot be opened. */
static void hide_journal(const struct rig *rig)
{
	char away[300];

	snprintf(away, sizeof(away), "%s/away", rig->dir.path);
	assert_int_equal(rename(tmpdir_file(&rig->dir, "journal.db"), away), 0);
	assert_int_equal(mkdir(tmpdir_file(&rig->dir, "journal.db"), 0700), 0);
}

static void show_journal(const struct rig *rig)
{
	char away[300];

	snprintf(away, sizeof(away), "%s/away", rig->dir.path);
	assert_int_equal(rmdir(tmpdir_file(&rig->dir, "journal.db")), 0);
	assert_int_equal(rename(away, tmpdir_file(&rig->dir, "journal.db")), 0);
}

static void test_fresh_opens_the_file_anew(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig };

	hide_journal(rig);
	assert_int_equal(run_task(&t), 0); /* the one that is open needs no name */
	expd_store_fresh(rig->x.store);
	assert_true(run_task(&t) < 0);
	assert_false(t.ran);
	assert_int_not_equal(rig->err.code, EXP_CODE_OK);
	/* and as long as it cannot be opened nothing runs on what was there before */
	assert_true(run_task(&t) < 0);
	assert_false(t.ran);
	show_journal(rig);
	assert_ok(run_task(&t), &rig->err);
	assert_true(t.ran);
}

static void test_stopping(void **state)
{
	struct rig *rig = *state;
	struct task first = { .rig = rig, .gated = true }, second = { .rig = rig },
		    third = { .rig = rig };

	expd_store_run(rig->x.store, false, run, done, &first);
	sem_wait(&begun);
	expd_store_run(rig->x.store, false, run, done, &second);
	sem_post(&gate);
	expd_store_quiesce(rig->x.store);
	assert_true(second.ran);
	assert_false(second.ended); /* that is the loop's */
	expd_store_run(rig->x.store, true, run, done, &third);
	assert_true(third.ended); /* at once */
	assert_false(third.ran);
	assert_int_equal(rig->r, -ESHUTDOWN);
	assert_int_equal(rig->err.code, EXP_CODE_STOPPING);
	expd_store_run_events(rig->x.store, run, done, &(struct task){ .rig = rig });
	assert_int_equal(rig->r, -ESHUTDOWN);
	expd_store_quiesce(rig->x.store);
	expd_inbox_run(rig->x.inbox);
	assert_true(second.ended);
}

static int sixteen_exports(struct rig *rig, uint8_t seed)
{
	struct task *t = calloc(1, sizeof(*t));
	int r;

	assert_non_null(t);
	t->rig = rig;
	t->n = EXP_JOB_EXPORTS_MAX;
	for (uint8_t i = 0; i < t->n; i++) {
		sample_desc(&t->desc[i], i);
		t->desc[i].config[0] = seed; /* so that every page is written */
		t->c[i] = (struct exp_export_change){ .id = sample_uuid(i),
						      .owner = { 1, 1, 1 },
						      .status = EXP_EXPORT_OWNED,
						      .desc = &t->desc[i] };
	}
	r = run_task(t);
	free(t);
	return r;
}

/* Writes until the log has more than @bytes; how many bytes it then has. */
static uint64_t write_until(struct rig *rig, uint64_t bytes)
{
	for (uint8_t seed = 0; expd_store_wal_bytes(rig->x.store) < bytes; seed++)
		assert_ok(sixteen_exports(rig, seed), &rig->err);
	return expd_store_wal_bytes(rig->x.store);
}

static void test_checkpoint_when_nothing_is_in_a_hurry(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig };

	write_until(rig, 4 * MIB);
	assert_int_equal(run_task(&t), 0); /* behind the checkpoint, or beside it */
	assert_int_equal(run_task(&t), 0);
	assert_true(expd_store_wal_bytes(rig->x.store) < 4 * MIB);
	assert_int_equal(rig->warnings, 0);
}

static void test_no_checkpoint_in_a_blackout(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig };

	expd_store_hold_checkpoints(rig->x.store, 1);
	expd_store_hold_checkpoints(rig->x.store, 1);
	write_until(rig, 8 * MIB);
	expd_store_hold_checkpoints(rig->x.store, -1);
	assert_int_equal(run_task(&t), 0);
	assert_int_equal(run_task(&t), 0);
	assert_true(expd_store_wal_bytes(rig->x.store) >= 8 * MIB); /* the other one lasts */
	expd_store_hold_checkpoints(rig->x.store, -1);
	assert_int_equal(run_task(&t), 0);
	assert_int_equal(run_task(&t), 0);
	assert_int_equal(run_task(&t), 0);
	assert_true(expd_store_wal_bytes(rig->x.store) < 4 * MIB);
}

static void test_checkpoint_in_any_case_beyond_64_mib(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig };

	expd_store_hold_checkpoints(rig->x.store, 1);
	write_until(rig, 63 * MIB);
	assert_int_equal(run_task(&t), 0);
	assert_true(expd_store_wal_bytes(rig->x.store) >= 63 * MIB);
	while (expd_store_wal_bytes(rig->x.store) >= 63 * MIB)
		assert_ok(sixteen_exports(rig, 0), &rig->err);
	expd_store_hold_checkpoints(rig->x.store, -1);
}

/* A checkpoint that fails is told once, not in a circle, and the journal goes on. */
static void test_checkpoint_fails(void **state)
{
	struct rig *rig = *state;
	struct task t = { .rig = rig };

	expd_store_hold_checkpoints(rig->x.store, 1);
	write_until(rig, 5 * MIB);
	fault_vfs_arm(FAULT_VFS_FULL, 0);
	expd_store_hold_checkpoints(rig->x.store, -1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(run_task(&t), 0);
	assert_int_equal(rig->warnings, 1);
	fault_vfs_arm(FAULT_VFS_NONE, 0);
	write_until(rig, 8 * MIB);
	while (expd_store_wal_bytes(rig->x.store) >= 8 * MIB)
		assert_ok(sixteen_exports(rig, 1), &rig->err);
	assert_int_equal(rig->warnings, 1);
}

static void hello(struct rig *rig, const char *peer, uint8_t instance, uint64_t counter)
{
	struct exp_msg_hello h = { .host = sample_uuid(9),
				   .db_instance = sample_uuid(instance),
				   .db_counter = counter };
	struct exp_name name = { 0 };
	struct task t = { .rig = rig };

	snprintf(name.s, sizeof(name.s), "%s", peer);
	assert_false(expd_store_peer_pending(rig->x.store, &name));
	expd_store_peer_seen(rig->x.store, &name, &h);
	assert_true(expd_store_peer_pending(rig->x.store, &name));
	expd_store_run(rig->x.store, false, run, done, &t); /* behind it */
	wait_for(&t);
	assert_false(expd_store_peer_pending(rig->x.store, &name));
}

static enum exp_condition condition(const struct rig *rig, const char *peer)
{
	struct exp_name name = { 0 };

	snprintf(name.s, sizeof(name.s), "%s", peer);
	return expd_store_peer_condition(rig->x.store, &name);
}

static void test_peer_whose_database_went_back(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(condition(rig, "b"), EXP_CONDITION_NONE);
	hello(rig, "b", 1, 5);
	hello(rig, "b", 1, 5);
	hello(rig, "c", 2, 9);
	assert_int_equal(condition(rig, "b"), EXP_CONDITION_NONE);
	hello(rig, "b", 1, 4);
	assert_int_equal(condition(rig, "b"), EXP_CONDITION_JOURNAL_REGRESSED);
	assert_int_equal(condition(rig, "c"), EXP_CONDITION_NONE);
	hello(rig, "b", 1, 6); /* it stays so until a person accepts it */
	assert_int_equal(condition(rig, "b"), EXP_CONDITION_JOURNAL_REGRESSED);
	hello(rig, "c", 3, 10);
	assert_int_equal(condition(rig, "c"), EXP_CONDITION_JOURNAL_REGRESSED);
}

int main(void)
{
#define T(f)      cmocka_unit_test_setup_teardown(f, setup, teardown)
#define FAULTS(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown)
	const struct CMUnitTest tests[] = {
		T(test_host_id_is_made_once),
		T(test_host_id_that_is_none),
		T(test_one_daemon_a_directory),
		T(test_result_and_error_come_back),
		T(test_urgent_goes_first),
		T(test_events_have_a_queue_of_their_own),
		FAULTS(test_after_an_unknown_commit_the_file_is_opened_anew),
		FAULTS(test_full_disk_then_room_again),
		T(test_fresh_opens_the_file_anew),
		T(test_stopping),
		T(test_checkpoint_when_nothing_is_in_a_hurry),
		T(test_no_checkpoint_in_a_blackout),
		T(test_checkpoint_in_any_case_beyond_64_mib),
		FAULTS(test_checkpoint_fails),
		T(test_peer_whose_database_went_back),
	};
#undef T
#undef FAULTS

	evthread_use_pthreads();
	sem_init(&begun, 0, 0);
	sem_init(&gate, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
