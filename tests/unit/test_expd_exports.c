/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/exports: what the loop knows of every export, beside the journal of lib/inventory */
#include "support/job_samples.h"
#include "support/tests.h"
#include "support/tmpdir.h"

#include <event2/event.h>
#include <event2/thread.h>

#include "daemon/expd.h"
#include "daemon/exports.h"
#include "daemon/store.h"
#include "daemon/worker.h"
#include "inventory/exports.h"

#define MANY 200 /* more than it makes room for at first */

struct rig {
	struct tmpdir dir;
	struct expd x;
	struct expd_exports *es;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct exp_error err = { 0 };

	assert_non_null(rig);
	rig->dir = tmpdir_new();
	rig->x.base = event_base_new();
	assert_non_null(rig->x.base);
	assert_ok(expd_inbox_new(rig->x.base, &rig->x.inbox, &err), &err);
	assert_ok(expd_store_open(&rig->x, rig->dir.path, &rig->x.store, &err), &err);
	assert_ok(expd_exports_load(&rig->x, &rig->es, &err), &err);
	assert_int_equal(expd_exports_count(rig->es), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	expd_exports_free(rig->es);
	expd_store_quiesce(rig->x.store);
	expd_inbox_free(rig->x.inbox);
	expd_store_close(rig->x.store);
	event_base_free(rig->x.base);
	tmpdir_free(&rig->dir);
	free(rig);
	return 0;
}

/* Export @seed as the inventory gives it; owned from @epoch on, 0: not ours. */
static struct exp_export *sample_export(uint8_t seed, uint64_t epoch)
{
	static struct exp_export e;

	memset(&e, 0, sizeof(e));
	e.id = sample_uuid(seed);
	sample_desc(&e.desc, seed);
	sample_place(&e.place, seed);
	e.owner = (struct exp_ownership){ epoch, epoch, epoch };
	e.status = epoch ? EXP_EXPORT_OWNED : EXP_EXPORT_SUPERSEDED;
	e.created_ms = 4711;
	return &e;
}

static const struct exp_export *find(const struct rig *rig, uint8_t seed)
{
	const struct exp_uuid id = sample_uuid(seed);

	return expd_exports_find(rig->es, &id);
}

static void put(struct rig *rig, uint8_t seed, uint64_t epoch)
{
	assert_int_equal(expd_exports_put(rig->es, sample_export(seed, epoch)), 0);
}

static void assert_owner(const struct exp_export *e, uint64_t own, uint64_t floor, uint64_t maxown)
{
	assert_int_equal(e->owner.own, own);
	assert_int_equal(e->owner.floor, floor);
	assert_int_equal(e->owner.maxown, maxown);
}

static void test_what_is_put_is_found(void **state)
{
	struct rig *rig = *state;
	struct exp_uuid last = { 0 };

	for (unsigned int i = 0; i < MANY; i++)
		put(rig, (uint8_t)(i * 77 % 251), i + 1); /* in no order */
	assert_int_equal(expd_exports_count(rig->es), MANY);
	for (unsigned int i = 0; i < MANY; i++) {
		const struct exp_export *e = find(rig, (uint8_t)(i * 77 % 251));

		assert_non_null(e);
		assert_int_equal(e->owner.own, i + 1);
		e = expd_exports_at(rig->es, i);
		assert_true(exp_uuid_cmp(&last, &e->id) < 0);
		last = e->id;
	}
	assert_null(find(rig, (uint8_t)(MANY * 77 % 251)));
	put(rig, 77, 1000); /* again: replaced */
	assert_int_equal(expd_exports_count(rig->es), MANY);
	assert_int_equal(find(rig, 77)->owner.own, 1000);
}

static void test_by_reference(void **state)
{
	struct rig *rig = *state;
	struct exp_api_ref ref = { .id = sample_uuid(2) };

	put(rig, 1, 1);
	put(rig, 2, 1);
	assert_ptr_equal(expd_exports_by_ref(rig->es, &ref), find(rig, 2));
	ref = (struct exp_api_ref){ .by_nqn = true, .nqn = find(rig, 1)->desc.nqn };
	assert_ptr_equal(expd_exports_by_ref(rig->es, &ref), find(rig, 1));
	ref.nqn.s[strlen(ref.nqn.s) - 1]++;
	assert_null(expd_exports_by_ref(rig->es, &ref));
	ref = (struct exp_api_ref){ .id = sample_uuid(3) };
	assert_null(expd_exports_by_ref(rig->es, &ref));
}

static void test_loaded_from_the_journal(void **state)
{
	struct rig *rig = *state;
	struct exp_export e = *sample_export(7, 5);
	const struct exp_export_change c = {
		.id = e.id, .owner = e.owner, .status = e.status, .desc = &e.desc, .place = &e.place
	};
	const struct exp_export_change bare = { .id = sample_uuid(8),
						.owner = { 0, 9, 4 },
						.status = EXP_EXPORT_AWAY,
						.owner_peer = { "host-b" } };
	struct exp_db *db = expd_store_journal(rig->x.store);
	struct exp_error err = { 0 };

	e.desc.nsze = 1 << 20;
	e.desc.lba_bytes = 4096;
	assert_ok(exp_exports_put(db, &c, 1, 4711, &err), &err);
	assert_ok(exp_exports_put(db, &bare, 1, 4712, &err), &err);
	expd_exports_free(rig->es);
	assert_ok(expd_exports_load(&rig->x, &rig->es, &err), &err);
	assert_int_equal(expd_exports_count(rig->es), 2);
	assert_string_equal(find(rig, 7)->desc.nqn.s, e.desc.nqn.s);
	assert_string_equal(find(rig, 7)->place.device.s, e.place.device.s);
	assert_int_equal(find(rig, 7)->created_ms, 4711);
	assert_owner(find(rig, 7), 5, 5, 5);
	assert_owner(find(rig, 8), 0, 9, 4);
	assert_string_equal(find(rig, 8)->owner_peer.s, "host-b");
	assert_string_equal(find(rig, 8)->desc.nqn.s, "");
}

static void test_a_hello_says_what_is_known(void **state)
{
	struct rig *rig = *state;
	struct exp_msg_known *known = NULL;
	struct exp_error err = { 0 };
	uint32_t n = 77;

	assert_ok(expd_exports_known(rig->es, &known, &n, &err), &err);
	assert_int_equal(n, 0);
	free(known);
	put(rig, 1, 3);
	put(rig, 2, 0);
	assert_ok(expd_exports_known(rig->es, &known, &n, &err), &err);
	assert_int_equal(n, 2);
	for (uint32_t i = 0; i < n; i++) {
		const struct exp_export *e = expd_exports_at(rig->es, i);

		assert_true(exp_uuid_eq(&known[i].id, &e->id));
		assert_int_equal(known[i].own, e->owner.own);
		assert_int_equal(known[i].floor, e->owner.floor);
		assert_int_equal(known[i].status, e->status);
	}
	free(known);
}

static void test_forgotten_but_for_its_ownership(void **state)
{
	struct rig *rig = *state;
	const struct exp_uuid id = sample_uuid(1), stranger = sample_uuid(2);

	put(rig, 1, 6);
	expd_exports_forget(rig->es, &id);
	assert_owner(find(rig, 1), 0, 6, 6);
	assert_int_equal(find(rig, 1)->status, EXP_EXPORT_AWAY);
	assert_string_equal(find(rig, 1)->desc.nqn.s, "");
	assert_string_equal(find(rig, 1)->place.device.s, "");
	expd_exports_forget(rig->es, &stranger);
	assert_null(find(rig, 2));
}

/* floor and maxown never fall, whatever an old writer says; who owns it is what the change says. */
static void test_ownership_is_raised(void **state)
{
	struct rig *rig = *state;
	struct exp_own_change c = { .id = sample_uuid(1),
				    .owner = { 0, 4, 2 },
				    .status = EXP_EXPORT_SUPERSEDED,
				    .owner_peer = { "host-b" } };

	put(rig, 1, 3);
	assert_int_equal(expd_exports_raise(rig->es, &c), 0);
	assert_owner(find(rig, 1), 0, 4, 3);
	assert_int_equal(find(rig, 1)->status, EXP_EXPORT_SUPERSEDED);
	assert_string_equal(find(rig, 1)->owner_peer.s, "host-b");
	assert_string_not_equal(find(rig, 1)->desc.nqn.s, "");
	c.owner = (struct exp_ownership){ 0, 1, 9 };
	assert_int_equal(expd_exports_raise(rig->es, &c), 0);
	assert_owner(find(rig, 1), 0, 4, 9);
	/* one that was never heard of */
	c.id = sample_uuid(2);
	assert_int_equal(expd_exports_raise(rig->es, &c), 0);
	assert_owner(find(rig, 2), 0, 1, 9);
	assert_true(find(rig, 2)->created_ms > 0);
	assert_string_equal(find(rig, 2)->desc.nqn.s, "");
}

/* A floor on its way to the disk is never taken again, and never mistaken for a durable one. */
static void test_floors_that_are_queued(void **state)
{
	struct rig *rig = *state;
	const struct exp_uuid known = sample_uuid(1), stranger = sample_uuid(2);
	struct exp_ownership o;

	put(rig, 1, 3);
	assert_int_equal(expd_exports_queued_floor(rig->es, &known), 0);
	assert_int_equal(expd_exports_queue_floor(rig->es, &known, 5), 0);
	assert_int_equal(expd_exports_queue_floor(rig->es, &known, 4), 0);
	assert_int_equal(expd_exports_queued_floor(rig->es, &known), 5);
	assert_owner(find(rig, 1), 3, 3, 3);
	o = expd_exports_ownership(rig->es, &known);
	assert_int_equal(o.own, 3);
	assert_int_equal(o.floor, 5);
	assert_int_equal(o.maxown, 3);
	assert_int_equal(expd_exports_queue_floor(rig->es, &stranger, 9), 0);
	assert_null(find(rig, 2));
	o = expd_exports_ownership(rig->es, &stranger);
	assert_int_equal(o.own, 0);
	assert_int_equal(o.floor, 9);
	for (uint8_t i = 3; i < 60; i++) { /* more than it had room for */
		const struct exp_uuid id = sample_uuid(i);

		assert_int_equal(expd_exports_queue_floor(rig->es, &id, i), 0);
	}
	assert_int_equal(expd_exports_queued_floor(rig->es, &known), 5);
}

static void test_status_unchanged(void **state)
{
	struct rig *rig = *state;
	struct exp_own_change c = { .id = sample_uuid(1),
				    .owner = { 3, 3, 3 },
				    .status = EXP_STATUS_UNCHANGED };

	assert_int_equal(expd_exports_status(rig->es, &c), EXP_EXPORT_AWAY); /* not known */
	put(rig, 1, 3);
	assert_int_equal(expd_exports_status(rig->es, &c), EXP_EXPORT_OWNED);
	assert_int_equal(expd_exports_raise(rig->es, &c), 0);
	assert_int_equal(find(rig, 1)->status, EXP_EXPORT_OWNED);
	c.status = EXP_EXPORT_CONFLICT;
	assert_int_equal(expd_exports_status(rig->es, &c), EXP_EXPORT_CONFLICT);
	c.id = sample_uuid(2);
	c.status = EXP_STATUS_UNCHANGED;
	assert_int_equal(expd_exports_raise(rig->es, &c), 0);
	assert_int_equal(find(rig, 2)->status, EXP_EXPORT_AWAY);
}

static struct exp_job *job(enum exp_role role)
{
	struct exp_job *j = exp_job_new();

	assert_non_null(j);
	j->role = role;
	j->n_exports = 2;
	for (uint8_t i = 0; i < 2; i++) {
		j->exports[i].id = sample_uuid((uint8_t)(i + 1));
		sample_desc(&j->exports[i].desc, (uint8_t)(i + 11));
		sample_place(&j->exports[i].here, (uint8_t)(i + 21));
	}
	return j;
}

/* A destination's target is the job's own until the export is owned here. */
static void test_apply_at_the_destination(void **state)
{
	struct rig *rig = *state;
	struct exp_job *j = job(EXP_ROLE_DESTINATION);
	struct exp_own_change c[2] = { { .id = sample_uuid(2),
					 .owner = { 0, 8, 0 },
					 .status = EXP_STATUS_UNCHANGED,
					 .index = 1 },
				       { .id = sample_uuid(1),
					 .owner = { 0, 7, 0 },
					 .status = EXP_STATUS_UNCHANGED,
					 .index = 0 } };

	put(rig, 1, 0); /* an older, superseded copy is still on this host */
	assert_false(expd_exports_place_counts(j, &c[0]));
	assert_int_equal(expd_exports_apply(rig->es, j, c, 2), 0);
	assert_string_equal(find(rig, 1)->desc.nqn.s, j->exports[0].desc.nqn.s);
	assert_int_equal(find(rig, 1)->place.nsid, 0xfc000000u + 1);
	assert_int_equal(find(rig, 1)->status, EXP_EXPORT_SUPERSEDED);
	assert_string_equal(find(rig, 2)->desc.nqn.s, j->exports[1].desc.nqn.s);
	assert_string_equal(find(rig, 2)->place.device.s, "");
	assert_int_equal(find(rig, 2)->status, EXP_EXPORT_AWAY);

	c[1].owner = (struct exp_ownership){ 7, 7, 7 };
	c[1].status = EXP_EXPORT_OWNED;
	assert_true(expd_exports_place_counts(j, &c[1]));
	assert_int_equal(expd_exports_apply(rig->es, j, &c[1], 1), 0);
	assert_int_equal(find(rig, 1)->place.nsid, 0xfc000000u + 21);
	assert_owner(find(rig, 1), 7, 7, 7);
	assert_int_equal(find(rig, 1)->status, EXP_EXPORT_OWNED);
	exp_job_free(j);
}

static void test_apply_at_the_source(void **state)
{
	struct rig *rig = *state;
	struct exp_job *j = job(EXP_ROLE_SOURCE);
	const struct exp_own_change c = { .id = sample_uuid(1),
					  .owner = { 0, 4, 3 },
					  .status = EXP_EXPORT_SUPERSEDED,
					  .owner_peer = { "host-b" } };

	put(rig, 1, 3);
	assert_true(expd_exports_place_counts(j, &c));
	assert_int_equal(expd_exports_apply(rig->es, j, &c, 1), 0);
	assert_owner(find(rig, 1), 0, 4, 3);
	assert_int_equal(find(rig, 1)->place.nsid, 0xfc000000u + 21);
	assert_string_equal(find(rig, 1)->owner_peer.s, "host-b");
	exp_job_free(j);
}

static void test_held_by_a_job(void **state)
{
	struct rig *rig = *state;
	const struct exp_uuid id = sample_uuid(1), stranger = sample_uuid(2), j = sample_uuid(50);

	put(rig, 1, 1);
	expd_exports_hold(rig->es, &id, &j);
	assert_true(exp_uuid_eq(&find(rig, 1)->job, &j));
	expd_exports_hold(rig->es, &id, NULL);
	assert_true(exp_uuid_is_nil(&find(rig, 1)->job));
	expd_exports_hold(rig->es, &stranger, &j);
	assert_null(find(rig, 2));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_is_put_is_found),
		T(test_by_reference),
		T(test_loaded_from_the_journal),
		T(test_a_hello_says_what_is_known),
		T(test_forgotten_but_for_its_ownership),
		T(test_ownership_is_raised),
		T(test_floors_that_are_queued),
		T(test_status_unchanged),
		T(test_apply_at_the_destination),
		T(test_apply_at_the_source),
		T(test_held_by_a_job),
	};
#undef T

	evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
