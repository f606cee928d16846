/* SPDX-License-Identifier: Apache-2.0 */
/* lib/inventory, peers: a database that went back is noticed, and stays noticed */
#include <errno.h>

#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include "inventory/peers.h"
#include "inventory/sql.h"

static struct tmpdir dir;
static struct exp_db *db;

static void open_db(void)
{
	struct exp_db_config c = { .path = tmpdir_file(&dir, "test.db") };
	struct exp_error err = { 0 };

	assert_ok(exp_db_open(&exp_journal_schema, &c, &db, &err), &err);
}

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	open_db();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exp_db_close(db);
	tmpdir_free(&dir);
	return 0;
}

static struct exp_peer_record hello(uint8_t host, uint8_t instance, uint64_t counter, uint64_t now)
{
	struct exp_db_identity id = { sample_uuid(instance), counter };
	struct exp_uuid h = sample_uuid(host);
	struct exp_error err = { 0 };
	struct exp_peer_record p;

	memset(&p, 0x77, sizeof(p));
	assert_ok(exp_peers_hello(db, "host-b", &h, &id, now, &p, &err), &err);
	return p;
}

static void is(const struct exp_peer_record *p, enum exp_peer_memory memory, uint8_t host,
	       uint8_t instance, uint64_t counter)
{
	struct exp_uuid h = sample_uuid(host), i = sample_uuid(instance);

	assert_string_equal(p->name.s, "host-b");
	assert_int_equal(p->memory, memory);
	assert_true(exp_uuid_eq(&p->host, &h));
	assert_true(exp_uuid_eq(&p->db.instance, &i));
	assert_int_equal(p->db.counter, counter);
}

static void test_peer_is_remembered(void **state)
{
	struct exp_error err = { 0 };
	struct exp_peer_record p;

	(void)state;
	assert_int_equal(exp_peers_get(db, "host-b", &p, &err), -ENOENT);
	assert_error(&err, EXP_CODE_NOT_FOUND, "host-b was never met");
	p = hello(1, 2, INT64_MAX - 1, 1000);
	is(&p, EXP_PEER_FINE, 1, 2, INT64_MAX - 1);
	assert_int_equal(p.seen_ms, 1000);
	assert_int_equal(p.accepted_ms, 0);
	p = hello(1, 2, INT64_MAX, 2000);
	is(&p, EXP_PEER_FINE, 1, 2, INT64_MAX);
	p = hello(1, 2, INT64_MAX, 3000); /* nothing written between two hellos is fine */
	is(&p, EXP_PEER_FINE, 1, 2, INT64_MAX);
	exp_db_close(db);
	open_db();
	memset(&p, 0x77, sizeof(p));
	assert_ok(exp_peers_get(db, "host-b", &p, &err), &err);
	is(&p, EXP_PEER_FINE, 1, 2, INT64_MAX);
	assert_int_equal(p.seen_ms, 3000);
}

static void test_counter_that_went_back(void **state)
{
	struct exp_peer_record p;

	(void)state;
	hello(1, 2, 10, 1);
	p = hello(1, 2, 9, 2);
	is(&p, EXP_PEER_WENT_BACK, 1, 2, 10);
	/* growing beyond it again brings no row back */
	p = hello(1, 2, 11, 3);
	is(&p, EXP_PEER_WENT_BACK, 1, 2, 10);
	exp_db_close(db);
	open_db();
	p = hello(1, 2, 12, 4);
	is(&p, EXP_PEER_WENT_BACK, 1, 2, 10);
	assert_int_equal(p.seen_ms, 4);
}

static void test_another_database_or_host(void **state)
{
	struct exp_error err = { 0 };
	struct exp_peer_record p;

	(void)state;
	hello(1, 2, 10, 1);
	p = hello(1, 3, 1000, 2);
	is(&p, EXP_PEER_OTHER_DB, 1, 2, 10);
	assert_ok(exp_peers_accept(db, "host-b", 5, &err), &err);
	p = hello(1, 3, 7, 6);
	is(&p, EXP_PEER_FINE, 1, 3, 7);
	assert_int_equal(p.accepted_ms, 5);
	p = hello(4, 3, 8, 7);
	is(&p, EXP_PEER_OTHER_HOST, 1, 3, 7);
	p = hello(1, 3, 8, 8); /* noticed is noticed */
	is(&p, EXP_PEER_OTHER_HOST, 1, 3, 7);
}

static void test_accepting_is_a_persons_act(void **state)
{
	struct exp_error err = { 0 };
	struct exp_peer_record p;

	(void)state;
	assert_int_equal(exp_peers_accept(db, "host-b", 1, &err), -ENOENT);
	hello(1, 2, 10, 1);
	hello(1, 2, 9, 2);
	assert_ok(exp_peers_accept(db, "host-b", 77, &err), &err);
	assert_ok(exp_peers_get(db, "host-b", &p, &err), &err);
	assert_int_equal(p.memory, EXP_PEER_FINE);
	assert_int_equal(p.accepted_ms, 77);
	p = hello(1, 2, 3, 3);
	is(&p, EXP_PEER_FINE, 1, 2, 3);
	p = hello(1, 2, 2, 4); /* and from there it is watched again */
	is(&p, EXP_PEER_WENT_BACK, 1, 2, 3);
}

static void test_peer_that_cannot_be(void **state)
{
	struct exp_db_identity id = { sample_uuid(1), UINT64_MAX };
	char name[EXP_NAME_MAX + 2];
	struct exp_uuid h = sample_uuid(1);
	struct exp_error err = { 0 };
	struct exp_peer_record p;

	(void)state;
	assert_int_equal(exp_peers_hello(db, "b", &h, &id, 1, &p, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "18446744073709551615");
	id.counter = 1;
	assert_int_equal(exp_peers_hello(db, "", &h, &id, 1, &p, &err), -EINVAL);
	memset(name, 'x', sizeof(name));
	name[EXP_NAME_MAX + 1] = '\0';
	assert_int_equal(exp_peers_hello(db, name, &h, &id, 1, &p, &err), -EINVAL);
	assert_error(&err, EXP_CODE_INVALID, "64 bytes, at most 63");
}

static void test_schema_checks_every_column(void **state)
{
	static const char *const sets[] = {
		"name = ''",        "name = printf('%64d', 1)",
		"host = x'00'",     "instance = x'00'",
		"counter = -1",     "memory = 4",
		"memory = -1",      "seen_ms = -1",
		"accepted_ms = -1", "host = NULL",
	};
	char text[128];

	(void)state;
	hello(1, 2, 3, 4);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(sets); i++) {
		snprintf(text, sizeof(text), "UPDATE peer SET %s", sets[i]);
		if (sqlite3_exec(db->conn, text, NULL, NULL, NULL) == SQLITE_OK)
			fail_msg("%s was taken", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_peer_is_remembered),       T(test_counter_that_went_back),
		T(test_another_database_or_host), T(test_accepting_is_a_persons_act),
		T(test_peer_that_cannot_be),      T(test_schema_checks_every_column),
#undef T
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
