/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_rounds.c - what the planner does with changes: rounds, lost sessions, lost logs, no
 * memory
 */
#include "support/copy_planner.h"

static void test_rounds(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_planner_stats s;

	(void)state;
	exp_planner_allocated_end(p, 0);
	assert_false(exp_planner_round(p)); /* not through */
	assert_next(p, "0 U 0 1000 first");
	assert_true(exp_planner_round(p)); /* through, told once */
	assert_false(exp_planner_round(p));
	ack_all(p);
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, 2 * G, false), 0);
	assert_next(p, ""); /* waits */
	assert_true(exp_planner_round(p));
	assert_int_equal(exp_planner_dirty(p, 0, 20 * G, G, false), 0); /* the next one's */
	assert_int_equal(exp_planner_dirty(p, 0, 11 * G, G, false),
			 0); /* again: it is hot, it waits */
	assert_false(exp_planner_round(p));
	assert_next(p, "0 R 10 1");
	assert_next(p, "");
	assert_true(exp_planner_round(p)); /* 10 may still be in flight */
	assert_next(p, "0 R 11 1");
	assert_next(p, "0 R 20 1");
	assert_next(p, "");
	ack_all(p);
	exp_planner_stats(p, &s);
	assert_int_equal(s.rounds, 3);
	assert_int_equal(s.marked_bytes, 3 * G); /* unique: block 11 was dirty already */
	assert_true(exp_planner_round(p));
	assert_false(exp_planner_round(p));
	exp_planner_stats(p, &s);
	assert_int_equal(s.rounds, 3);
	exp_planner_free(p);
}

static void test_last_waits_for_no_round(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = copied(&c);

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, G, false), 0);
	assert_true(exp_planner_round(p));
	assert_int_equal(exp_planner_dirty(p, 0, 5 * G, G, false), 0);
	assert_next_last(p, "0 R 10 1"); /* of this round first */
	assert_next_last(p, "0 R 5 1");
	assert_next_last(p, "");
	assert_true(exp_planner_all_taken(p));
	ack_all(p);
	assert_true(exp_planner_drained(p));
	exp_planner_free(p);
}

/* Also at the end a gap is told before a newer write in it, never after. */
static void test_last_in_the_first_pass(void **state)
{
	struct exp_planner_config c = config(100 * G);
	struct exp_planner *p = planner(&c);

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 0, 10 * G), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 50 * G, G, false), 0);
	assert_next_last(p, "0 R 0 10 first");
	assert_next_last(p, ""); /* what is allocated beyond is not known */
	exp_planner_allocated_end(p, 0);
	assert_next_last(p, "0 U 10 90 first");
	assert_next_last(p, ""); /* in flight */
	ack_all(p);
	assert_next_last(p, "0 R 50 1");
	exp_planner_free(p);
}

static void test_nothing_overlaps_what_is_in_flight(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = copied(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 100 * G, 10 * G, false), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 100 10");
	exp_planner_stats(p, &s);
	assert_int_equal(exp_planner_dirty(p, 0, 90 * G, 30 * G, false), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 90 10");
	assert_next(p, "0 R 110 10"); /* around it */
	assert_next(p, "");
	assert_false(exp_planner_round(p)); /* the round is not through */
	assert_int_equal(exp_planner_durable(p, 1, 0, s.extents[0], NULL), 0);
	assert_next(p, "0 R 100 10"); /* and back to it */
	assert_next(p, "");
	exp_planner_free(p);
}

/* What was passed over is come back to at the end, not at once: reads go forward. */
static void test_a_pass_goes_forward(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = copied(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, G, false), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 10 1");
	exp_planner_stats(p, &s);
	for (uint64_t g = 10; g <= 50; g += 10)
		assert_int_equal(exp_planner_dirty(p, 0, g * G, G, false), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 20 1");
	assert_int_equal(exp_planner_durable(p, 1, 0, s.extents[0], NULL), 0);
	assert_next(p, "0 R 30 1");
	assert_next(p, "0 R 40 1");
	assert_next(p, "0 R 50 1");
	assert_next(p, "0 R 10 1");
	assert_next(p, "");
	exp_planner_free(p);
}

static void test_a_round_of_several_namespaces(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p;

	(void)state;
	c.n_ns = 2;
	c.ns[1] = c.ns[0];
	p = copied(&c);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(exp_planner_dirty(p, i, 7 * G, G, false), 0);
		assert_true(exp_planner_round(p));
		assert_string_equal(next(p, false), i ? "1 R 7 1" : "0 R 7 1");
		assert_next(p, "");
		ack_all(p);
		assert_true(exp_planner_round(p));
		assert_false(exp_planner_round(p));
	}
	exp_planner_free(p);
}

static void test_deallocated_is_told_until_it_is_written(void **state)
{
	struct exp_planner_config c = config(4 * GIB);
	struct exp_planner *p = copied(&c);
	uint64_t remaining;

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 100 * G, 100 * G, true), 0);
	assert_int_equal(exp_planner_remaining(p), 0); /* no data */
	assert_int_equal(exp_planner_dirty(p, 0, 150 * G + 512, 512, false), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 300 * G, 10 * G, false), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 305 * G, 100 * G, true), 0);
	remaining = exp_planner_remaining(p);
	assert_int_equal(remaining, 6 * G);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 D 100 50");
	assert_next(p, "0 R 150 1");
	assert_int_equal(exp_planner_dirty(p, 0, 150 * G, G, true), 0); /* while it is in flight */
	assert_next(p, "0 D 151 49");
	assert_next(p, "0 R 300 5");
	assert_next(p, "0 D 305 100");
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 D 150 1");
	ack_all(p);
	/* the whole namespace: in pieces of 1 GiB */
	assert_int_equal(exp_planner_dirty(p, 0, 0, 4 * GIB, true), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 D 0 262144");
	assert_next(p, "0 D 262144 262144");
	exp_planner_free(p);
}

static void test_a_lost_session(void **state)
{
	struct exp_planner_config c = config(10000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_planner_stats s;
	struct exp_extent x;

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 1000 * G, 9000 * G), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 U 0 1000 first");
	assert_next(p, "0 R 1000 24 first");
	assert_next(p, "0 R 1024 256 first");
	assert_int_equal(exp_planner_take(p, 1, false, &x), 1); /* 1280..1535 */
	assert_int_equal(exp_planner_dirty(p, 0, 500 * G, G, false), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 1100 * G, 10 * G, false), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 1200 * G, 10 * G, true), 0);
	assert_int_equal(exp_planner_durable(p, 1, 0, 2, NULL), 0); /* 0..1023 are safe */
	assert_int_equal(exp_planner_session(p, 3), 2);
	assert_int_equal(exp_planner_durable(p, 1, 1, 1, NULL), 0); /* too late */
	/* first what was lost, except what is to be sent anyway; then where the pass was */
	assert_next(p, "0 R 1024 76 resent");
	assert_next(p, "0 R 1110 90 resent");
	assert_next(p, "0 R 1210 70 resent");
	assert_next(p, "0 R 1280 256 resent");
	assert_next(p, "0 R 1536 256 first");
	exp_planner_stats(p, &s);
	assert_int_equal(s.session, 2);
	assert_int_equal(s.total_extents, 5);
	assert_int_equal(s.resent_bytes, (76 + 90 + 70 + 256) * G);
	assert_int_equal(s.marked_bytes, 21 * G); /* the guest's doing only */
	while (exp_planner_take(p, 0, false, &x) == 1)
		ack_all(p);
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 500 1");
	assert_next(p, "0 R 1100 10");
	assert_next(p, "0 D 1200 10");
	exp_planner_free(p);
}

/* In a round: what was lost, what is left of the round and what waits are three things. */
static void test_a_session_lost_in_a_round(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = copied(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, 2 * G, false), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 20 * G, 2 * G, true), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 10 2");
	assert_int_equal(exp_planner_dirty(p, 0, 30 * G, 3 * G, false), 0);
	assert_int_equal(exp_planner_session(p, 1), 2);
	exp_planner_stats(p, &s);
	assert_int_equal(s.dirty_bytes, 7 * G);
	assert_int_equal(s.inflight_bytes, 0);
	assert_int_equal(exp_planner_remaining(p), 5 * G);
	assert_false(exp_planner_all_taken(p));
	assert_false(exp_planner_round(p));
	assert_next(p, "0 R 10 2 resent");
	assert_false(exp_planner_round(p));
	assert_next(p, "0 D 20 2");
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 30 3");
	exp_planner_free(p);
}

/* An unallocated range that was lost is told again, not read; a change of it counts as before. */
static void test_a_lost_gap(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);

	(void)state;
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 U 0 1000 first");
	assert_int_equal(exp_planner_dirty(p, 0, 500 * G, G, false), 0);
	assert_int_equal(exp_planner_session(p, 1), 2);
	assert_int_equal(exp_planner_dirty(p, 0, 600 * G, G, false), 0);
	assert_next(p, "0 D 0 500 resent");
	assert_next(p, "0 D 501 99 resent");
	assert_next(p, "0 D 601 399 resent");
	assert_next(p, "");
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 500 1");
	assert_next(p, "0 R 600 1");
	assert_next(p, "");
	ack_all(p);
	assert_true(exp_planner_drained(p));
	exp_planner_free(p);
}

static void test_everything_is_dirty(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 500 * G, 100 * G), 0);
	assert_next(p, "0 U 0 500 first");
	assert_next(p, "0 R 500 12 first");
	exp_planner_all_dirty(p);
	assert_int_equal(exp_planner_allocated(p, 0, 700 * G, 100 * G), 0); /* proves nothing now */
	exp_planner_allocated_end(p, 0);
	assert_int_equal(exp_planner_remaining(p), 1012 * G); /* 12 in flight as well */
	exp_planner_stats(p, &s);
	assert_int_equal(s.marked_bytes, 0); /* says nothing of what the guest writes */
	assert_next(p, "");
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 512 256");
	assert_next(p, "0 R 768 232");
	assert_next(p, "");
	ack_all(p);
	assert_next(p, "0 R 0 256");
	assert_next(p, "0 R 256 256");
	assert_next(p, "");
	ack_all(p);
	assert_true(exp_planner_drained(p));
	assert_int_equal(exp_planner_allocated(p, 0, 700 * G, 100 * G), 0);
	assert_true(exp_planner_drained(p));
	exp_planner_free(p);
}

/* Each byte once, wherever it was. */
static void test_everything_is_dirty_in_a_round(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = copied(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, 5 * G, true), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 300 * G, 5 * G, false), 0);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 D 10 5");
	assert_int_equal(exp_planner_session(p, 1), 2);
	assert_int_equal(exp_planner_dirty(p, 0, 600 * G, 5 * G, true), 0);
	exp_planner_all_dirty(p);
	exp_planner_stats(p, &s);
	assert_int_equal(s.dirty_bytes, 1000 * G);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 0 256");
	exp_planner_free(p);
}

static void test_acknowledgements_that_make_no_sense(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_error err = { 0 };

	(void)state;
	assert_int_equal(exp_planner_durable(p, 1, 0, 1, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "the last sent is 0");
	assert_int_equal(exp_planner_durable(p, 1, 2, 0, &err), -EPROTO);
	assert_int_equal(exp_planner_durable(p, 2, 0, 0, &err), -EPROTO);
	assert_int_equal(exp_planner_durable(p, 0, 0, 9, &err), 0);
	exp_planner_free(p);
}

/* All is dirty and the first leaf is taken, so that each further step has to divide something. */
static struct exp_planner *all_dirty(void)
{
	struct exp_planner_config c = config(GIB);
	struct exp_planner *p = planner(&c);

	exp_planner_all_dirty(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 0 256");
	assert_next(p, "0 R 256 256");
	ack_all(p);
	return p;
}

/* Each allocation in turn fails: what changed is sent all the same, and read, not told. */
static void test_no_memory_to_notice(void **state)
{
	bool failed = true, told = false;
	int n = 1;

	(void)state;
	for (; failed; n++) {
		struct exp_planner *p = all_dirty();
		struct exp_extent x;
		bool sent[2] = { false, false };
		int r;

		fail_in = n;
		r = exp_planner_dirty(p, 0, 10 * G, G, false);
		assert_true(!r || r == -ENOMEM);
		told |= r == -ENOMEM;
		r = exp_planner_dirty(p, 0, 1000 * G, 5 * G, true);
		assert_true(!r || r == -ENOMEM);
		told |= r == -ENOMEM;
		r = exp_planner_dirty(p, 0, 1001 * G, G, false);
		assert_true(!r || r == -ENOMEM);
		failed = !fail_in;
		fail_in = 0;
		while (exp_planner_take(p, 0, true, &x) == 1) {
			sent[0] |= x.offset <= 10 * G && x.offset + x.len > 10 * G;
			if (x.offset <= 1001 * G && x.offset + x.len > 1001 * G)
				sent[1] = x.kind == EXP_EXTENT_READ;
			ack_all(p);
		}
		assert_true(sent[0] && sent[1]);
		assert_true(exp_planner_drained(p));
		exp_planner_free(p);
	}
	assert_true(n > 4 && told);
}

/* An old mark that cannot be removed for want of memory is made one that is true. */
static void test_no_memory_to_forget(void **state)
{
	struct exp_planner_config c = config(100000 * G);
	struct exp_planner *p;
	struct exp_extent x;
	bool told = false;

	(void)state;
	c.ranges_max = 2;
	p = planner(&c);
	assert_int_equal(exp_planner_allocated(p, 0, 0, 10 * G), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 2000 * G, 10 * G), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 512 * G, 512 * G, true), 0); /* a leaf: one bit */
	assert_int_equal(exp_planner_allocated(p, 0, 90000 * G, 10 * G), 0);  /* 0..2009: one */
	fail_in = 1;
	assert_int_equal(exp_planner_dirty(p, 0, 600 * G, G, false), 0);
	assert_int_equal(fail_in, 0);
	exp_planner_allocated_end(p, 0);
	while (exp_planner_take(p, 0, true, &x) == 1) {
		told |= x.kind == EXP_EXTENT_DEALLOCATED;
		assert_true(x.kind != EXP_EXTENT_DEALLOCATED || x.offset > 600 * G ||
			    x.offset + x.len <= 600 * G);
		ack_all(p);
	}
	assert_true(told && exp_planner_drained(p));
	exp_planner_free(p);
}

static void test_no_memory_to_take(void **state)
{
	struct exp_planner_config c = config(GIB);
	struct exp_planner *p;
	const char *s = "ENOMEM";
	int n = 1;

	(void)state;
	for (; !strcmp(s, "ENOMEM"); n++) {
		p = all_dirty();
		fail_in = n;
		s = next(p, false);
		if (!strcmp(s, "ENOMEM")) { /* nothing happened */
			assert_int_equal(exp_planner_remaining(p), GIB - 2 * MIB);
			s = next(p, false);
			assert_string_equal(s, "0 R 512 256");
			s = "ENOMEM";
		}
		fail_in = 0;
		exp_planner_free(p);
	}
	assert_true(n > 2);
	p = planner(&c);
	exp_planner_allocated_end(p, 0);
	fail_in = 1;
	assert_next(p, "ENOMEM");
	assert_next(p, "0 U 0 262144 first");
	exp_planner_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_last_waits_for_no_round),
		cmocka_unit_test(test_last_in_the_first_pass),
		cmocka_unit_test(test_nothing_overlaps_what_is_in_flight),
		cmocka_unit_test(test_a_pass_goes_forward),
		cmocka_unit_test(test_a_round_of_several_namespaces),
		cmocka_unit_test(test_deallocated_is_told_until_it_is_written),
		cmocka_unit_test(test_a_lost_session),
		cmocka_unit_test(test_a_session_lost_in_a_round),
		cmocka_unit_test(test_a_lost_gap),
		cmocka_unit_test(test_everything_is_dirty),
		cmocka_unit_test(test_everything_is_dirty_in_a_round),
		cmocka_unit_test(test_acknowledgements_that_make_no_sense),
		cmocka_unit_test(test_no_memory_to_notice),
		cmocka_unit_test(test_no_memory_to_forget),
		cmocka_unit_test(test_no_memory_to_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
