/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_emu_queue.c - the guest's rings: what a good device does, and every wrong completion planted
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* before cmocka */
#include <cmocka.h>
#include <string.h>

#include "base/le.h"
#include "emu/guest_queue.h"

#define ENTRIES 8
#define SLOTS   5

/* A device that follows orders. */
struct fixture {
	struct emu_mem mem;
	struct emu_queue q;
	uint16_t sq_head, cq_tail;
	uint8_t phase;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (emu_mem_open(&f.mem, NULL, 1 << 20, NULL) < 0)
		return -1;
	f.phase = 1;
	*state = &f;
	return emu_queue_init(&f.q, &f.mem, 3, ENTRIES, SLOTS, NULL);
}

static int teardown(void **state)
{
	emu_mem_close(&((struct fixture *)*state)->mem);
	return 0;
}

/* Fetches the next command; returns its identifier. */
static uint16_t fetch(struct fixture *f)
{
	uint16_t cid = exp_le16(f->q.sq + (size_t)f->sq_head * 64 + 2);

	assert_int_not_equal(f->sq_head, f->q.sq_tail);
	f->sq_head = (uint16_t)((f->sq_head + 1) % ENTRIES);
	return cid;
}

static void post_as(struct fixture *f, uint16_t cid, uint16_t sqhd, uint16_t sqid, uint16_t status)
{
	uint8_t *e = f->q.cq + (size_t)f->cq_tail * 16;

	exp_put_le32(e, 0x11111111);
	exp_put_le32(e + 4, 0x22222222);
	exp_put_le16(e + 8, sqhd);
	exp_put_le16(e + 10, sqid);
	exp_put_le16(e + 12, cid);
	exp_put_le16(e + 14, (uint16_t)(status << 1 | f->phase));
	f->cq_tail = (uint16_t)((f->cq_tail + 1) % ENTRIES);
	if (!f->cq_tail)
		f->phase ^= 1;
}

static void post(struct fixture *f, uint16_t cid)
{
	post_as(f, cid, f->sq_head, 3, 0);
}

static void submit(struct fixture *f)
{
	uint8_t sqe[64] = { 0x02 };
	int slot = emu_queue_free_slot(&f->q);

	assert_true(slot >= 0);
	emu_queue_submit(&f->q, (uint16_t)slot, sqe);
}

static void no_faults_but(struct fixture *f, uint64_t dup, uint64_t torn, uint64_t reordered)
{
	assert_int_equal(f->q.faults.duplicated, dup);
	assert_int_equal(f->q.faults.torn, torn);
	assert_int_equal(f->q.faults.reordered, reordered);
	assert_int_equal(f->q.faults.lost, 0);
}

static void test_round_and_round(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t cid[SLOTS];

	for (int round = 0; round < 1000; round++) {
		unsigned int n = 1 + (unsigned int)round % SLOTS;

		for (unsigned int i = 0; i < n; i++)
			submit(f);
		assert_int_equal(f->q.outstanding, n);
		for (unsigned int i = 0; i < n; i++)
			cid[i] = fetch(f);
		assert_false(emu_queue_reap(&f->q, &e));
		for (unsigned int i = n; i-- > 0;) { /* in another order */
			assert_false(emu_queue_waiting(&f->q));
			post_as(f, cid[i], f->sq_head, 3, i ? 0 : 0x4281);
			assert_true(emu_queue_waiting(&f->q));
			assert_true(emu_queue_reap(&f->q, &e));
			assert_int_equal(e.slot, cid[i] & 0xff);
			assert_int_equal(e.dw0, 0x11111111);
			assert_int_equal(e.dw1, 0x22222222);
			assert_int_equal(e.status, i ? 0 : 0x4281);
		}
		assert_int_equal(f->q.outstanding, 0);
		emu_queue_idle_check(&f->q);
	}
	no_faults_but(f, 0, 0, 0);
}

static void test_slots_and_room(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;

	for (int i = 0; i < SLOTS; i++)
		submit(f);
	assert_int_equal(emu_queue_free_slot(&f->q), -1);
	/* completions without news of the SQ head: slots are free, the ring is not */
	for (int i = 0; i < 3; i++) {
		uint16_t cid = fetch(f);

		post_as(f, cid, f->sq_head, 3, 0);
		assert_true(emu_queue_reap(&f->q, &e));
	}
	for (int i = 0; i < 3; i++)
		submit(f);
	assert_int_equal(f->q.outstanding, SLOTS);
	assert_int_equal(emu_queue_free_slot(&f->q), -1);
}

static void test_duplicated(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t cid;

	submit(f);
	cid = fetch(f);
	post(f, cid);
	post(f, cid);
	assert_true(emu_queue_reap(&f->q, &e));
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 1, 0, 0);
	/* again when the slot is in use by the next command */
	submit(f);
	fetch(f);
	post(f, cid);
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 2, 0, 0);
	/* of a slot that does not exist */
	post(f, 0x0107);
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 3, 0, 0);
	assert_int_equal(f->q.outstanding, 1);
}

static void test_torn(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;

	/* once around, so that consumed entries lie below */
	for (int i = 0; i < ENTRIES; i++) {
		submit(f);
		post(f, fetch(f));
		assert_true(emu_queue_reap(&f->q, &e));
	}
	submit(f);
	fetch(f);
	f->q.cq[14] ^= 1; /* only the phase */
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 1, 0);
	assert_int_equal(f->q.outstanding, 1);
}

static void test_torn_between(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t cid;

	for (int i = 0; i < ENTRIES; i++) {
		submit(f);
		post(f, fetch(f));
		assert_true(emu_queue_reap(&f->q, &e));
	}
	submit(f);
	cid = fetch(f);
	/* the last dword is there, those before it are not */
	exp_put_le16(f->q.cq + 12, cid);
	exp_put_le16(f->q.cq + 14, f->phase);
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 1, 0);
}

static void test_head_goes_back_behind_completed_commands(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t a, c;

	for (int i = 0; i < 3; i++)
		submit(f);
	a = fetch(f);
	fetch(f);
	c = fetch(f);
	post_as(f, c, 3, 3, 0);
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 0);
	post_as(f, a, 1, 3, 0); /* past this command, but it said 3 before */
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 1);
}

static void test_torn_identifier(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t cid;

	submit(f);
	cid = fetch(f);
	post_as(f, cid, 0xffff, 0xffff, 0); /* dword 2 not written */
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 1, 0);
}

static void test_reordered(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;
	uint16_t a, b;

	submit(f);
	submit(f);
	a = fetch(f);
	b = fetch(f);
	post_as(f, a, 2, 3, 0);
	post_as(f, b, 1, 3, 0); /* the head went back */
	assert_true(emu_queue_reap(&f->q, &e));
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 1);
	submit(f);
	submit(f);
	a = fetch(f);
	post_as(f, a, 5, 3, 0); /* beyond the tail */
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 2);
	b = fetch(f);
	post_as(f, b, 3, 3, 0); /* completed, says the head, before it was fetched */
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 3);
	submit(f);
	a = fetch(f);
	post_as(f, a, f->sq_head, 2, 0); /* another queue's */
	assert_false(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 4);
	post_as(f, a, 200, 3, 0); /* no such place */
	assert_true(emu_queue_reap(&f->q, &e));
	no_faults_but(f, 0, 0, 5);
}

static void test_stray_phase(void **state)
{
	struct fixture *f = *state;
	struct emu_cqe e;

	submit(f);
	post(f, fetch(f));
	assert_true(emu_queue_reap(&f->q, &e));
	emu_queue_idle_check(&f->q);
	no_faults_but(f, 0, 0, 0);
	f->q.cq[16 * 4 + 14] ^= 1; /* an entry nobody should have touched */
	emu_queue_idle_check(&f->q);
	no_faults_but(f, 0, 0, 1);
}

static void test_restart(void **state)
{
	struct fixture *f = *state;

	submit(f);
	fetch(f);
	f->q.faults.duplicated = 1;
	emu_queue_restart(&f->q);
	assert_int_equal(f->q.outstanding, 0);
	f->sq_head = f->cq_tail = 0;
	f->phase = 1;
	no_faults_but(f, 1, 0, 0);
	f->q.faults.duplicated = 0;
	test_round_and_round(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_round_and_round), CASE(test_slots_and_room),
		CASE(test_duplicated),      CASE(test_torn),
		CASE(test_torn_between),    CASE(test_head_goes_back_behind_completed_commands),
		CASE(test_torn_identifier), CASE(test_reordered),
		CASE(test_stray_phase),     CASE(test_restart),
	};

	return cmocka_run_group_tests_name("emu_queue", tests, NULL, NULL);
}
