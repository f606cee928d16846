/* SPDX-License-Identifier: Apache-2.0 */
/* lib/inventory, exports: ownership that only rises and never goes, descriptions, places */
#include <errno.h>

#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/exports.h"
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

static struct exp_export_desc desc;
static struct exp_place place;
static struct exp_export got;

static struct exp_export_change sample_change(uint8_t seed)
{
	sample_desc(&desc, seed);
	sample_place(&place, seed);
	return (struct exp_export_change){
		.id = sample_uuid(seed),
		.owner = { INT64_MAX - 2, INT64_MAX, INT64_MAX - 1 },
		.status = EXP_EXPORT_OWNED,
		.owner_peer = { "some-peer" },
		.desc = &desc,
		.place = &place,
	};
}

static void put(const struct exp_export_change *c)
{
	struct exp_error err = { 0 };

	assert_ok(exp_exports_put(db, c, 1, 4711, &err), &err);
}

static void get(const struct exp_uuid *id)
{
	struct exp_error err = { 0 };

	memset(&got, 0x77, sizeof(got));
	assert_ok(exp_exports_get(db, id, &got, &err), &err);
}

static void test_export_comes_back_field_by_field(void **state)
{
	struct exp_export_change c = sample_change(3);
	struct exp_error err = { 0 };

	(void)state;
	put(&c);
	get(&c.id);
	assert_true(exp_uuid_eq(&got.id, &c.id));
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
	assert_memory_equal(&got.place, &place, sizeof(place));
	assert_memory_equal(&got.owner, &c.owner, sizeof(c.owner));
	assert_int_equal(got.status, EXP_EXPORT_OWNED);
	assert_string_equal(got.owner_peer.s, "some-peer");
	assert_true(exp_uuid_is_nil(&got.job));
	assert_int_equal(got.created_ms, 4711);
	memset(&got, 0x77, sizeof(got));
	assert_ok(exp_exports_by_nqn(db, desc.nqn.s, &got, &err), &err);
	assert_true(exp_uuid_eq(&got.id, &c.id));
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
}

static void test_export_without_configuration_or_ids(void **state)
{
	struct exp_export_change c = sample_change(3);

	(void)state;
	desc.config_len = 0;
	memset(desc.config, 0, sizeof(desc.config));
	memset(desc.nguid, 0, sizeof(desc.nguid));
	desc.uuid = (struct exp_uuid){ 0 };
	put(&c);
	get(&c.id);
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
}

static void test_export_is_updated(void **state)
{
	struct exp_export_change c = sample_change(3);

	(void)state;
	put(&c);
	desc.nsze--;
	desc.config[4095] ^= 1;
	place.esubid++;
	c.status = EXP_EXPORT_COLD;
	c.owner = (struct exp_ownership){ INT64_MAX - 1, INT64_MAX, INT64_MAX - 1 };
	put(&c);
	get(&c.id);
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
	assert_memory_equal(&got.place, &place, sizeof(place));
	assert_int_equal(got.owner.own, INT64_MAX - 1);
	assert_int_equal(got.status, EXP_EXPORT_COLD);
	/* ownership alone leaves the rest as it was */
	c.desc = NULL;
	c.place = NULL;
	c.status = EXP_EXPORT_SUPERSEDED;
	c.owner.own = 0;
	put(&c);
	get(&c.id);
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
	assert_memory_equal(&got.place, &place, sizeof(place));
	assert_int_equal(got.status, EXP_EXPORT_SUPERSEDED);
}

/* what makes the commits of a blackout cheap */
static void test_export_unchanged_writes_nothing_of_it(void **state)
{
	struct exp_export_change c = sample_change(3);
	struct exp_error err = { 0 };
	uint64_t before, one_page, two;

	(void)state;
	put(&c);
	assert_ok(exp_db_checkpoint(db, &err), &err);
	put(&c); /* the counter of meta */
	one_page = exp_db_wal_bytes(db);
	before = one_page;
	put(&c);
	two = exp_db_wal_bytes(db);
	assert_int_equal(two - before, 4096 + 24);
}

static void test_floor_and_maxown_only_rise(void **state)
{
	struct exp_export_change c = { .id = sample_uuid(9), .status = EXP_EXPORT_AWAY };
	struct exp_error err = { 0 };

	(void)state;
	c.owner = (struct exp_ownership){ 0, 9, 5 };
	put(&c);
	c.owner = (struct exp_ownership){ 0, 7, 6 }; /* an old floor, a new maxown */
	put(&c);
	get(&c.id);
	assert_int_equal(got.owner.floor, 9);
	assert_int_equal(got.owner.maxown, 6);
	c.owner = (struct exp_ownership){ 0, 3, 3 };
	put(&c);
	c.owner_peer = (struct exp_name){ "b" }; /* and when something else does change */
	put(&c);
	get(&c.id);
	assert_int_equal(got.owner.floor, 9);
	assert_int_equal(got.owner.maxown, 6);
	/* own is set, up and down */
	c.owner = (struct exp_ownership){ 9, 9, 9 };
	c.status = EXP_EXPORT_OWNED;
	put(&c);
	get(&c.id);
	assert_int_equal(got.owner.own, 9);
	c.owner.own = 0;
	c.status = EXP_EXPORT_AWAY;
	put(&c);
	get(&c.id);
	assert_int_equal(got.owner.own, 0);
	assert_int_equal(exp_exports_put(db,
					 &(struct exp_export_change){
						 .id = c.id,
						 .status = EXP_EXPORT_AWAY,
						 .owner = { 0, UINT64_MAX, 0 } },
					 1, 1, &err),
			 -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "18446744073709551615 is more than the database");
}

static void bad(struct exp_export_change c, int r, enum exp_code code, const char *part)
{
	struct exp_db_identity before = exp_db_identity(db);
	struct exp_error err = { 0 };

	assert_int_equal(exp_exports_put(db, &c, 1, 1, &err), r);
	assert_error(&err, code, part);
	assert_int_equal(exp_db_identity(db).counter, before.counter);
}

static void test_export_that_cannot_be_is_refused(void **state)
{
	struct exp_export_change c = sample_change(3), other;
	struct exp_export_desc *big = malloc(sizeof(*big));

	(void)state;
	assert_non_null(big);
	put(&c);
	other = c;
	other.id = sample_uuid(4);
	bad(other, -EEXIST, EXP_CODE_EXISTS, "another export here has the name");
	other.desc = NULL;
	bad(other, -EINVAL, EXP_CODE_INVALID, "a place, but nothing says what lies there");
	other = c;
	other.status = EXP_EXPORT_AWAY;
	bad(other, -EINVAL, EXP_CODE_INVALID, "owner_has_epoch");
	other = c;
	other.owner.own = 0;
	bad(other, -EINVAL, EXP_CODE_INVALID, "owner_has_epoch");
	other = c;
	other.owner = (struct exp_ownership){ 3, 3, 2 };
	bad(other, -EINVAL, EXP_CODE_INVALID, "epochs_in_order");
	other.owner = (struct exp_ownership){ 3, 2, 3 };
	bad(other, -EINVAL, EXP_CODE_INVALID, "epochs_in_order");
	other = c;
	other.status = (enum exp_export_status)6;
	bad(other, -EINVAL, EXP_CODE_INVALID, "CHECK");
	*big = desc;
	big->config_len = EXP_CONFIG_STATE_MAX + 1;
	other = c;
	other.desc = big;
	bad(other, -EINVAL, EXP_CODE_INVALID, "4097 bytes of configuration");
	*big = desc;
	big->nsze = UINT64_MAX;
	bad(other, -EINVAL, EXP_CODE_INVALID, "18446744073709551615");
	free(big);
	get(&c.id);
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
}

static void test_puts_are_one_transaction(void **state)
{
	struct exp_export_change c[2] = { sample_change(3), { .id = sample_uuid(4) } };
	struct exp_error err = { 0 };

	(void)state;
	c[1].status = (enum exp_export_status)99;
	assert_int_equal(exp_exports_put(db, c, 2, 1, &err), -EINVAL);
	assert_int_equal(exp_exports_get(db, &c[0].id, &got, &err), -ENOENT);
}

static void test_conflict_may_own_or_not(void **state)
{
	struct exp_export_change c = { .id = sample_uuid(1), .status = EXP_EXPORT_CONFLICT };

	(void)state;
	c.owner = (struct exp_ownership){ 5, 5, 5 };
	put(&c);
	c.owner.own = 0;
	put(&c);
}

static void test_deleted_export_leaves_its_floor(void **state)
{
	struct exp_export_change c = sample_change(3);
	struct exp_error err = { 0 };

	(void)state;
	put(&c);
	assert_ok(exp_exports_delete(db, &c.id, &err), &err);
	get(&c.id);
	assert_string_equal(got.desc.nqn.s, "");
	assert_int_equal(got.owner.own, 0);
	assert_int_equal(got.owner.floor, INT64_MAX);
	assert_int_equal(got.owner.maxown, INT64_MAX - 1);
	assert_int_equal(got.status, EXP_EXPORT_AWAY);
	assert_int_equal(exp_exports_by_nqn(db, desc.nqn.s, &got, &err), -ENOENT);
	assert_int_equal(exp_exports_delete(db, &c.id, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_FOUND, "not known");
	/* the name is free, and the same export may come back */
	c.id = sample_uuid(8);
	put(&c);
	assert_ok(exp_exports_delete(db, &c.id, &err), &err);
	c.id = sample_uuid(3);
	c.owner.own = INT64_MAX - 2;
	put(&c);
	get(&c.id);
	assert_memory_equal(&got.desc, &desc, sizeof(desc));
}

static void test_held_export_is_not_deleted(void **state)
{
	struct exp_job *j = sample_job(20, EXP_ROLE_SOURCE, EXP_SRC_COPYING);
	struct exp_export_change c = sample_change(3);
	struct exp_error err = { 0 };

	(void)state;
	c.id = j->exports[5].id;
	put(&c);
	assert_ok(exp_jobs_commit(db, j, NULL, 0, &err), &err);
	assert_int_equal(exp_exports_delete(db, &c.id, &err), -EBUSY);
	assert_error(&err, EXP_CODE_BUSY, "held by migration");
	get(&c.id);
	assert_true(exp_uuid_eq(&got.job, &j->id));
	j->state = EXP_SRC_CANCELLED;
	assert_ok(exp_jobs_commit(db, j, NULL, 0, &err), &err);
	get(&c.id);
	assert_true(exp_uuid_is_nil(&got.job));
	assert_ok(exp_exports_delete(db, &c.id, &err), &err);
	exp_job_free(j);
}

static int count(const struct exp_export *e, void *arg)
{
	struct exp_uuid *seen = arg;

	for (; !exp_uuid_is_nil(seen); seen++)
		assert_false(exp_uuid_eq(seen, &e->id));
	*seen = e->id;
	return 0;
}

static int stop(const struct exp_export *e, void *arg)
{
	(void)e;
	return --*(int *)arg ? 0 : -ECANCELED;
}

static void test_list_has_every_export(void **state)
{
	struct exp_uuid seen[12] = { 0 };
	struct exp_error err = { 0 };
	int left = 2;

	(void)state;
	for (uint8_t i = 1; i <= 10; i++) {
		struct exp_export_change c = sample_change(i);

		if (i % 3 == 0)
			c.desc = NULL, c.place = NULL;
		put(&c);
	}
	assert_ok(exp_exports_list(db, count, seen, &err), &err);
	assert_false(exp_uuid_is_nil(&seen[9]));
	assert_true(exp_uuid_is_nil(&seen[10]));
	assert_int_equal(exp_exports_list(db, stop, &left, &err), -ECANCELED);
	assert_int_equal(left, 0);
	memset(seen, 0, sizeof(seen));
	assert_ok(exp_exports_list(db, count, seen, &err), &err);
}

/*
 * What the schema itself refuses, whatever a program does
 */

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

static void test_schema_keeps_ownership(void **state)
{
	struct exp_export_change c = sample_change(3);

	(void)state;
	put(&c);
	sql("DELETE FROM ownership", "kept for ever");
	sql("UPDATE ownership SET floor = floor - 1", "never fall");
	sql("UPDATE ownership SET own = 0, status = 2, maxown = maxown - 1", "never fall");
	sql("UPDATE ownership SET id = randomblob(16)", "never fall");
	sql("INSERT OR REPLACE INTO ownership SELECT id, 0, 1, 1, 2, '' FROM ownership",
	    "kept for ever");
}

static void test_schema_checks_every_column(void **state)
{
	static const char *const ownership[] = {
		"id = x'00'",        "own = -1",
		"own = 'x'",         "floor = NULL",
		"maxown = NULL",     "status = 0",
		"status = 6",        "owner_peer = x'00'",
		"owner_peer = NULL", "owner_peer = printf('%64d', 1)",
	};
	static const char *const export[] = {
		"nqn = ''",
		"nqn = printf('%224d', 1)",
		"nqn = NULL",
		"template = x'00'",
		"ensid = -1",
		"ensid = 4294967296",
		"ecntlid = 65536",
		"ecntlid = -1",
		"nsze = -1",
		"nsze = 'big'",
		"lba_bytes = 4294967296",
		"lba_bytes = -1",
		"nguid = zeroblob(15)",
		"nguid = NULL",
		"uuid = zeroblob(17)",
		"uuid = NULL",
		"config = zeroblob(4097)",
		"config = NULL",
		"device = NULL",
		"device = printf('%64d', 1)",
		"serial = printf('%21d', 1)",
		"serial = NULL",
		"cntlid = 65536",
		"cntlid = -1",
		"esubid = 65536",
		"esubid = -1",
		"nsid = 4294967296",
		"nsid = -1",
		"created_ms = -1",
		"id = zeroblob(16)",
	};
	struct exp_export_change c = sample_change(3);
	char text[256];

	(void)state;
	put(&c);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(ownership); i++) {
		snprintf(text, sizeof(text), "UPDATE ownership SET %s", ownership[i]);
		sql(text, "");
	}
	for (size_t i = 0; i < EXP_ARRAY_SIZE(export); i++) {
		snprintf(text, sizeof(text), "UPDATE export SET %s", export[i]);
		sql(text, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_export_comes_back_field_by_field),
		T(test_export_without_configuration_or_ids),
		T(test_export_is_updated),
		T(test_export_unchanged_writes_nothing_of_it),
		T(test_floor_and_maxown_only_rise),
		T(test_export_that_cannot_be_is_refused),
		T(test_puts_are_one_transaction),
		T(test_conflict_may_own_or_not),
		T(test_deleted_export_leaves_its_floor),
		T(test_held_export_is_not_deleted),
		T(test_list_has_every_export),
		T(test_schema_keeps_ownership),
		T(test_schema_checks_every_column),
#undef T
	};

	return cmocka_run_group_tests_name("exports", tests, NULL, NULL);
}
