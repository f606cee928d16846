/* SPDX-License-Identifier: Apache-2.0 */
/* lib/inventory, jobs: records with their ownership, one open job per export, no way back */
#include <errno.h>

#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/jobs.h"

static struct tmpdir dir;
static struct exp_db *db;
static struct exp_fault_plan faults;

static void open_db(void)
{
	struct exp_db_config c = { .path = tmpdir_file(&dir, "test.db"), .faults = &faults };
	struct exp_error err = { 0 };

	assert_ok(exp_db_open(&exp_journal_schema, &c, &db, &err), &err);
}

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	memset(&faults, 0, sizeof(faults));
	open_db();
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

static void refused(const struct exp_job *j, int r, enum exp_code code, const char *part)
{
	uint64_t counter = exp_db_identity(db).counter;
	struct exp_error err = { 0 };

	assert_int_equal(exp_jobs_commit(db, j, NULL, 0, &err), r);
	assert_error(&err, code, part);
	assert_int_equal(exp_db_identity(db).counter, counter);
}

static struct exp_job *get(const struct exp_job *like)
{
	struct exp_error err = { 0 };
	struct exp_job *j = NULL;

	assert_ok(exp_jobs_get(db, &like->id, like->role, &j, &err), &err);
	return j;
}

static void is_stored(const struct exp_job *j)
{
	struct exp_job *back = get(j);

	assert_same_job(j, back);
	exp_job_free(back);
}

static void test_job_comes_back_field_by_field(void **state)
{
	struct exp_job *src = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_READY);
	struct exp_job *dst = sample_job(100, EXP_ROLE_DESTINATION, EXP_DST_RESTORED);
	struct exp_error err = { 0 };
	struct exp_job *by_key = NULL;

	(void)state;
	commit(src);
	commit(dst);
	is_stored(src);
	is_stored(dst);
	assert_ok(exp_jobs_by_key(db, dst->key, &by_key, &err), &err);
	assert_same_job(dst, by_key);
	exp_job_free(by_key);
	exp_db_close(db);
	open_db();
	is_stored(src);
	is_stored(dst);
	exp_job_free(src);
	exp_job_free(dst);
}

/* every other value of the small enums, so that a column that is always the same is seen */
static void test_job_with_other_values(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_PREFLIGHT);

	(void)state;
	j->path = EXP_PATH_NONE;
	j->dirty = EXP_DIRTY_CDQ;
	j->hold = 0;
	j->intent = EXP_INTENT_GO;
	j->error = (struct exp_error){ 0 };
	j->n_memory = 0;
	memset(j->memory, 0, sizeof(j->memory));
	j->key[0] = '\0';
	memset(j->key, 0, sizeof(j->key));
	j->exports[3].discard_namespace = false;
	assert_int_equal(exp_job_set_state_blob(j, 3, NULL, 0), 0);
	j->exports[4].desc.config_len = 0;
	memset(j->exports[4].desc.config, 0, EXP_CONFIG_STATE_MAX);
	commit(j);
	is_stored(j);
	exp_job_free(j);
}

static void test_job_record_replaces_the_former_one(void **state)
{
	struct exp_job *a = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_PREPARING);
	struct exp_job *b = sample_job(77, EXP_ROLE_SOURCE, EXP_SRC_COPYING);

	(void)state;
	commit(a);
	b->id = a->id;
	b->attempt = 3;
	memset(b->peer.s, 'P', EXP_NAME_MAX);
	b->path = EXP_PATH_VMM;
	b->dirty = EXP_DIRTY_CDQ;
	b->hold = EXP_HOLD_COMMIT;
	b->hold_lease_ms = 11;
	b->blackout_limit_ms = 12;
	b->intent = EXP_INTENT_CANCEL;
	b->error.code = EXP_CODE_BLACKOUT;
	b->error.errnum = 13;
	b->error.nvme_status = 14;
	memset(b->error.msg, 'E', sizeof(b->error.msg) - 1);
	memset(b->want_device.s, 'W', EXP_NAME_MAX);
	b->want_cntlid = 15;
	memset(b->target_device.s, 'T', EXP_NAME_MAX);
	b->exports[1].discard_namespace = false;
	b->n_exports = 2;
	b->n_memory = 1;
	for (uint32_t i = 2; i < EXP_JOB_EXPORTS_MAX; i++) {
		assert_int_equal(exp_job_set_state_blob(b, i, NULL, 0), 0);
		memset(&b->exports[i], 0, sizeof(b->exports[i]));
		b->target_cntlid[i] = 0;
	}
	memset(&b->memory[1], 0, sizeof(b->memory) - sizeof(b->memory[0]));
	commit(b);
	is_stored(b);
	exp_job_free(a);
	exp_job_free(b);
}

static void test_every_state_can_be_stored(void **state)
{
	static const struct {
		enum exp_role role;
		unsigned int n;
	} roles[] = { { EXP_ROLE_SOURCE, 11 }, { EXP_ROLE_DESTINATION, 8 } };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		for (unsigned int s = 1; s <= roles[r].n; s++) {
			struct exp_job *j = sample_job((uint8_t)(s + 20 * r), roles[r].role, s);

			j->n_exports = 1;
			j->exports[0].id = sample_uuid((uint8_t)(200 + s + 20 * r));
			commit(j);
			exp_job_free(j);
		}
		assert_null(exp_state_name(roles[r].role, roles[r].n + 1));
	}
}

static void test_job_out_of_range_is_refused(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_READY);

	(void)state;
	j->state = 12;
	refused(j, -EINVAL, EXP_CODE_INVALID, "role 1 has no state 12");
	j->state = EXP_SRC_READY;
	j->role = (enum exp_role)3;
	refused(j, -EINVAL, EXP_CODE_INVALID, "role 3");
	j->role = EXP_ROLE_SOURCE;
	j->n_exports = 0;
	refused(j, -EINVAL, EXP_CODE_INVALID, "0 exports");
	j->n_exports = 17;
	refused(j, -EINVAL, EXP_CODE_INVALID, "17 exports");
	j->n_exports = 16;
	j->n_memory = 65;
	refused(j, -EINVAL, EXP_CODE_INVALID, "65 memory ranges");
	j->n_memory = 64;
	j->exports[2].desc.config_len = 4097;
	refused(j, -EINVAL, EXP_CODE_INVALID, "export 2: 4097 bytes");
	j->exports[2].desc.config_len = 4096;
	j->exports[2].epoch = 1ull << 63;
	refused(j, -EINVAL, EXP_CODE_INVALID, "9223372036854775808");
	j->exports[2].epoch = 1;
	j->path = (enum exp_state_path)6;
	refused(j, -EINVAL, EXP_CODE_INVALID, "CHECK");
	j->path = EXP_PATH_COLD;
	j->attempt = 0;
	refused(j, -EINVAL, EXP_CODE_INVALID, "CHECK");
	j->attempt = 1;
	j->memory[9].bytes = 0;
	refused(j, -EINVAL, EXP_CODE_INVALID, "CHECK");
	j->memory[9].bytes = 1;
	j->exports[4].id = j->exports[5].id;
	refused(j, -EEXIST, EXP_CODE_EXISTS, "job_export");
	exp_job_free(j);
}

/*
 * One transaction
 */

static void test_ownership_comes_with_the_record(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_SWITCHING);
	struct exp_export_change c = { .id = j->exports[0].id,
				       .status = EXP_EXPORT_OWNED,
				       .owner = { 7, 8, 7 },
				       .desc = &j->exports[0].desc,
				       .place = &j->exports[0].here };
	struct exp_error err = { 0 };
	struct exp_export e;

	(void)state;
	assert_ok(exp_jobs_commit(db, j, &c, 1, &err), &err);
	assert_ok(exp_exports_get(db, &c.id, &e, &err), &err);
	assert_int_equal(e.owner.own, 7);
	assert_memory_equal(&e.desc, &j->exports[0].desc, sizeof(e.desc));
	assert_memory_equal(&e.place, &j->exports[0].here, sizeof(e.place));
	assert_int_equal(e.created_ms, j->updated_ms);
	assert_true(exp_uuid_eq(&e.job, &j->id));
	j->state = EXP_SRC_RELEASED;
	c.owner.own = 0;
	c.status = EXP_EXPORT_SUPERSEDED;
	c.owner_peer = j->peer;
	assert_ok(exp_jobs_commit(db, j, &c, 1, &err), &err);
	assert_ok(exp_exports_get(db, &c.id, &e, &err), &err);
	assert_int_equal(e.owner.own, 0);
	assert_int_equal(e.status, EXP_EXPORT_SUPERSEDED);
	assert_string_equal(e.owner_peer.s, j->peer.s);
	exp_job_free(j);
}

static void test_neither_without_the_other(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_SWITCHING);
	struct exp_export_change c = { .id = j->exports[0].id,
				       .status = EXP_EXPORT_OWNED,
				       .owner = { 7, 8, 7 } };
	struct exp_error err = { 0 };
	struct exp_export e;

	(void)state;
	assert_ok(exp_jobs_commit(db, j, &c, 1, &err), &err);
	/* the record is wrong: the ownership does not change */
	c.owner.own = 0;
	c.status = EXP_EXPORT_AWAY;
	j->state = EXP_SRC_RELEASED;
	j->attempt = 0;
	assert_int_equal(exp_jobs_commit(db, j, &c, 1, &err), -EINVAL);
	assert_ok(exp_exports_get(db, &c.id, &e, &err), &err);
	assert_int_equal(e.owner.own, 7);
	/* the ownership is wrong: the record does not change */
	j->attempt = 1;
	c.status = EXP_EXPORT_OWNED;
	assert_int_equal(exp_jobs_commit(db, j, &c, 1, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "owner_has_epoch");
	assert_non_null(strstr(err.msg, "to released"));
	j->state = EXP_SRC_SWITCHING;
	j->attempt = 0xffffff01u;
	is_stored(j);
	exp_job_free(j);
}

/* the outcome is not known; after opening again the same record is committed until it is */
static void test_unknown_outcome_is_repeated(void **state)
{
	static const char *const points[] = { "db-commit-done", "db-commit-lost" };

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		struct exp_job *j = sample_job((uint8_t)(1 + p), EXP_ROLE_SOURCE,
					       EXP_SRC_SWITCHING);
		struct exp_export_change c = { .id = sample_uuid((uint8_t)(60 + p)),
					       .status = EXP_EXPORT_OWNED,
					       .owner = { 7, 8, 7 } };
		struct exp_error err = { 0 };
		struct exp_export e;

		j->n_exports = 1;
		j->exports[0].id = c.id;
		assert_ok(exp_jobs_commit(db, j, &c, 1, &err), &err);
		j->state = EXP_SRC_RELEASED;
		c.owner.own = 0;
		c.status = EXP_EXPORT_AWAY;
		for (int tries = 0; tries < 3; tries++) {
			exp_fault_arm(&faults, points[p], 0, -EIO);
			assert_true(exp_db_unknown(exp_jobs_commit(db, j, &c, 1, &err)));
			assert_error(&err, EXP_CODE_DB, "to released");
			assert_int_equal(exp_jobs_commit(db, j, &c, 1, &err), -ESHUTDOWN);
			exp_db_close(db);
			open_db();
		}
		assert_ok(exp_jobs_commit(db, j, &c, 1, &err), &err);
		assert_ok(exp_exports_get(db, &c.id, &e, &err), &err);
		assert_int_equal(e.owner.own, 0);
		exp_job_free(j);
	}
}

/* a state change inside the blackout writes a handful of pages, not the controller state */
static void test_state_change_writes_few_pages(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_DESTINATION, EXP_DST_RESTORED);
	uint8_t *blob = malloc(EXP_STATE_BLOB_MAX);
	struct exp_error err = { 0 };
	uint64_t before;

	(void)state;
	assert_non_null(blob);
	for (uint32_t i = 0; i < 16; i++) {
		sample_bytes(blob, EXP_STATE_BLOB_MAX, (uint8_t)i);
		assert_int_equal(exp_job_set_state_blob(j, i, blob, EXP_STATE_BLOB_MAX), 0);
	}
	free(blob);
	commit(j);
	is_stored(j);
	assert_ok(exp_db_checkpoint(db, &err), &err);
	before = exp_db_wal_bytes(db);
	j->state = EXP_DST_ACTIVATING;
	commit(j);
	assert_true(exp_db_wal_bytes(db) - before <= 12 * (4096 + 24));
	is_stored(j);
	/* and the first time it is there once, not twice */
	exp_job_free(j);
}

/*
 * One open job per export, keys
 */

static void test_one_open_job_per_export(void **state)
{
	struct exp_job *a = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING);
	struct exp_job *b = sample_job(2, EXP_ROLE_SOURCE, EXP_SRC_PREFLIGHT);
	struct exp_job *in = sample_job(3, EXP_ROLE_DESTINATION, EXP_DST_PREPARING);

	(void)state;
	commit(a);
	b->n_exports = 3;
	b->exports[0].id = sample_uuid(240);
	b->exports[1].id = sample_uuid(241);
	b->exports[2].id = a->exports[15].id;
	refused(b, -EBUSY, EXP_CODE_BUSY, "is held by migration 02");
	/* neither as destination: a job that comes back waits until the first has ended */
	in->n_exports = 1;
	in->exports[0].id = a->exports[0].id;
	refused(in, -EBUSY, EXP_CODE_BUSY, "is held by migration 02");
	a->state = EXP_SRC_RELEASED;
	commit(a);
	refused(in, -EBUSY, EXP_CODE_BUSY, "is held by migration 02");
	a->state = EXP_SRC_DONE;
	commit(a);
	commit(in);
	commit(b);
	exp_job_free(a);
	exp_job_free(b);
	exp_job_free(in);
}

/* one daemon may hold both ends of a move between two drives of its own */
static void test_both_ends_on_one_host(void **state)
{
	struct exp_job *src = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING);
	struct exp_job *dst = sample_job(1, EXP_ROLE_DESTINATION, EXP_DST_PREPARING);
	struct exp_job *other = sample_job(2, EXP_ROLE_DESTINATION, EXP_DST_PREPARING);

	(void)state;
	assert_true(exp_uuid_eq(&src->id, &dst->id));
	assert_true(exp_uuid_eq(&src->exports[0].id, &dst->exports[0].id));
	commit(src);
	commit(dst);
	is_stored(src);
	is_stored(dst);
	memcpy(&other->exports[0].id, &src->exports[0].id, 16);
	refused(other, -EBUSY, EXP_CODE_BUSY, "held by migration");
	exp_job_free(src);
	exp_job_free(dst);
	exp_job_free(other);
}

static void test_key_starts_one_job(void **state)
{
	struct exp_job *a = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_FAILED);
	struct exp_job *b = sample_job(2, EXP_ROLE_SOURCE, EXP_SRC_PREFLIGHT);
	struct exp_error err = { 0 };
	struct exp_job *found = NULL;

	(void)state;
	commit(a);
	strcpy(b->key, a->key);
	refused(b, -EEXIST, EXP_CODE_KEY_REUSED, "belongs to migration 02");
	exp_db_close(db);
	open_db(); /* over a restart too */
	refused(b, -EEXIST, EXP_CODE_KEY_REUSED, "belongs to migration 02");
	assert_ok(exp_jobs_by_key(db, b->key, &found, &err), &err);
	assert_memory_equal(found->body_sha256, a->body_sha256, 32);
	exp_job_free(found);
	assert_int_equal(exp_jobs_by_key(db, "another", &found, &err), -ENOENT);
	/* no key is not a key */
	memset(b->key, 0, sizeof(b->key));
	commit(b);
	b->id = sample_uuid(99);
	for (uint32_t i = 0; i < 16; i++)
		b->exports[i].id = sample_uuid((uint8_t)(150 + i));
	commit(b);
	assert_int_equal(exp_jobs_by_key(db, "", &found, &err), -ENOENT);
	exp_job_free(a);
	exp_job_free(b);
}

/*
 * No way back
 */

static void test_ended_job_stays_as_it_ended(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_CANCELLED);

	(void)state;
	commit(j);
	j->state = EXP_SRC_COPYING;
	refused(j, -EINVAL, EXP_CODE_INVALID, "stays as it ended");
	j->state = EXP_SRC_DONE;
	refused(j, -EINVAL, EXP_CODE_INVALID, "stays as it ended");
	j->state = EXP_SRC_CANCELLED;
	j->updated_ms--;
	commit(j);
	exp_job_free(j);
}

static void test_released_does_not_go_back(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_RELEASED);

	(void)state;
	commit(j);
	for (unsigned int s = 1; s <= 11; s++) {
		j->state = s;
		if (s != EXP_SRC_RELEASED && s != EXP_SRC_DONE)
			refused(j, -EINVAL, EXP_CODE_INVALID, "does not go back");
	}
	j->state = EXP_SRC_RELEASED; /* repeated after an unknown outcome */
	commit(j);
	j->state = EXP_SRC_DONE;
	commit(j);
	exp_job_free(j);
}

static void test_activating_does_not_go_back(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_DESTINATION, EXP_DST_ACTIVATING);

	(void)state;
	commit(j);
	for (unsigned int s = 1; s <= 8; s++) {
		j->state = s;
		if (s != EXP_DST_ACTIVATING && s != EXP_DST_ACTIVE && s != EXP_DST_DONE)
			refused(j, -EINVAL, EXP_CODE_INVALID, "does not go back");
	}
	j->state = EXP_DST_ACTIVE;
	commit(j);
	j->state = EXP_DST_DISCARDING;
	refused(j, -EINVAL, EXP_CODE_INVALID, "does not go back");
	j->state = EXP_DST_DONE;
	commit(j);
	exp_job_free(j);
}

/*
 * Lists, the last line
 */

struct found {
	size_t n;
	struct exp_uuid id[64];
	struct exp_job *kept;
};

static int collect(struct exp_job **j, void *arg)
{
	struct found *f = arg;

	f->id[f->n++] = (*j)->id;
	if (!f->kept)
		f->kept = EXP_TAKE(*j);
	return 0;
}

static void list(const struct exp_jobs_filter *filter, size_t n, const uint8_t *seeds)
{
	struct exp_error err = { 0 };
	struct found f = { 0 };

	assert_ok(exp_jobs_list(db, filter, collect, &f, &err), &err);
	assert_int_equal(f.n, n);
	for (size_t i = 0; i < n; i++) {
		struct exp_uuid want = sample_uuid(seeds[i]);

		assert_true(exp_uuid_eq(&f.id[i], &want));
	}
	exp_job_free(f.kept);
}

static int stop_at_once(struct exp_job **j, void *arg)
{
	(void)j;
	(void)arg;
	return -ECANCELED;
}

static void test_list_filters(void **state)
{
	static const struct {
		uint8_t seed;
		enum exp_role role;
		unsigned int state;
	} rows[] = {
		{ 1, EXP_ROLE_SOURCE, EXP_SRC_DONE },
		{ 2, EXP_ROLE_SOURCE, EXP_SRC_COPYING },
		{ 3, EXP_ROLE_DESTINATION, EXP_DST_PREPARING },
		{ 4, EXP_ROLE_SOURCE, EXP_SRC_PREPARING },
		{ 5, EXP_ROLE_DESTINATION, EXP_DST_DISCARDED },
	};
	struct exp_uuid wanted = sample_uuid(202);
	struct exp_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(rows); i++) {
		struct exp_job *j = sample_job(rows[i].seed, rows[i].role, rows[i].state);

		j->n_exports = 1;
		j->exports[0].id = sample_uuid((uint8_t)(200 + rows[i].seed % 3));
		if (i == 3)
			j->exports[0].id = sample_uuid(210);
		commit(j);
		exp_job_free(j);
	}
	list(&(struct exp_jobs_filter){ 0 }, 5, (uint8_t[]){ 5, 4, 3, 2, 1 });
	list(&(struct exp_jobs_filter){ .limit = 2 }, 2, (uint8_t[]){ 5, 4 });
	list(&(struct exp_jobs_filter){ .open = true }, 3, (uint8_t[]){ 4, 3, 2 });
	list(&(struct exp_jobs_filter){ .role = EXP_ROLE_SOURCE }, 3, (uint8_t[]){ 4, 2, 1 });
	list(&(struct exp_jobs_filter){ .src_state = EXP_SRC_PREPARING,
					.dst_state = EXP_DST_PREPARING },
	     2, (uint8_t[]){ 4, 3 });
	list(&(struct exp_jobs_filter){ .src_state = EXP_SRC_COPYING }, 1, (uint8_t[]){ 2 });
	list(&(struct exp_jobs_filter){ .export_id = &wanted }, 2, (uint8_t[]){ 5, 2 });
	list(&(struct exp_jobs_filter){ .export_id = &wanted, .open = true }, 1, (uint8_t[]){ 2 });
	list(&(struct exp_jobs_filter){ .src_state = EXP_SRC_TAKEN }, 0, NULL);
	assert_int_equal(exp_jobs_list(db, &(struct exp_jobs_filter){ 0 }, stop_at_once, NULL,
				       &err),
			 -ECANCELED);
	list(&(struct exp_jobs_filter){ .limit = 1 }, 1, (uint8_t[]){ 5 });
}

static void test_state_blobs_go_when_it_ends(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_DESTINATION, EXP_DST_ACTIVE), *back;

	(void)state;
	commit(j);
	is_stored(j);
	j->state = EXP_DST_DONE;
	commit(j);
	back = get(j);
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(back->exports[i].state_len, 0);
		assert_int_equal(exp_job_set_state_blob(j, i, NULL, 0), 0);
	}
	assert_same_job(j, back);
	exp_job_free(back);
	exp_job_free(j);
}

static void test_last_line_is_kept_for_ever(void **state)
{
	struct exp_job *open = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_COPYING), *back;
	struct exp_job *old = sample_job(2, EXP_ROLE_SOURCE, EXP_SRC_DONE);
	struct exp_job *young = sample_job(3, EXP_ROLE_SOURCE, EXP_SRC_FAILED);
	struct exp_error err = { 0 };
	uint32_t n = 99;

	(void)state;
	open->updated_ms = 1000;
	old->updated_ms = 1000;
	young->updated_ms = 2000;
	for (uint32_t i = 0; i < 16; i++) {
		open->exports[i].id = sample_uuid((uint8_t)(100 + i));
		assert_int_equal(exp_job_set_state_blob(old, i, NULL, 0), 0);
		assert_int_equal(exp_job_set_state_blob(young, i, NULL, 0), 0);
	}
	commit(open);
	commit(old);
	commit(young);
	assert_ok(exp_jobs_compact(db, 1000, 10, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_ok(exp_jobs_compact(db, 2000, 10, &n, &err), &err);
	assert_int_equal(n, 1);
	is_stored(open);
	is_stored(young);
	back = get(old);
	assert_int_equal(back->n_memory, 0);
	old->n_memory = 0;
	memset(old->memory, 0, sizeof(old->memory));
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(back->exports[i].desc.config_len, 0);
		old->exports[i].desc.config_len = 0;
		memset(old->exports[i].desc.config, 0, EXP_CONFIG_STATE_MAX);
	}
	assert_same_job(old, back); /* everything else is there, the key too */
	exp_job_free(back);
	assert_ok(exp_jobs_compact(db, 2000, 10, &n, &err), &err);
	assert_int_equal(n, 0);
	assert_ok(exp_jobs_compact(db, INT64_MAX, 10, &n, &err), &err);
	assert_int_equal(n, 1);
	exp_job_free(open);
	exp_job_free(old);
	exp_job_free(young);
}

static void test_compact_is_bounded(void **state)
{
	struct exp_error err = { 0 };
	uint32_t n;

	(void)state;
	for (uint8_t i = 1; i <= 5; i++) {
		struct exp_job *j = sample_job(i, EXP_ROLE_SOURCE, EXP_SRC_DONE);

		commit(j);
		exp_job_free(j);
	}
	assert_ok(exp_jobs_compact(db, INT64_MAX, 3, &n, &err), &err);
	assert_int_equal(n, 3);
	assert_ok(exp_jobs_compact(db, INT64_MAX, 3, &n, &err), &err);
	assert_int_equal(n, 2);
}

static void test_unknown_job_is_not_found(void **state)
{
	struct exp_job *j = sample_job(1, EXP_ROLE_SOURCE, EXP_SRC_DONE), *none = NULL;
	struct exp_error err = { 0 };

	(void)state;
	commit(j);
	assert_int_equal(exp_jobs_get(db, &j->id, EXP_ROLE_DESTINATION, &none, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_FOUND, "not known");
	assert_null(none);
	exp_job_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_job_comes_back_field_by_field),
		T(test_job_with_other_values),
		T(test_job_record_replaces_the_former_one),
		T(test_every_state_can_be_stored),
		T(test_job_out_of_range_is_refused),
		T(test_ownership_comes_with_the_record),
		T(test_neither_without_the_other),
		T(test_unknown_outcome_is_repeated),
		T(test_state_change_writes_few_pages),
		T(test_one_open_job_per_export),
		T(test_both_ends_on_one_host),
		T(test_key_starts_one_job),
		T(test_ended_job_stays_as_it_ended),
		T(test_released_does_not_go_back),
		T(test_activating_does_not_go_back),
		T(test_list_filters),
		T(test_state_blobs_go_when_it_ends),
		T(test_last_line_is_kept_for_ever),
		T(test_compact_is_bounded),
		T(test_unknown_job_is_not_found),
#undef T
	};

	return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
