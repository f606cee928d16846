/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_planner.c - settings, first pass and turns of the planner, one rule at a time;
 * test_copy_rounds.c goes on, test_copy_sim.c runs all rules together
 */
#include "support/copy_planner.h"

static void test_settings_that_are_refused(void **state)
{
	static const struct {
		struct exp_planner_config c;
		const char *part;
	} cases[] = {
		{ { .n_ns = 0 }, "0 namespaces" },
		{ { .n_ns = EXP_JOB_EXPORTS_MAX + 1 }, "17 namespaces" },
		{ { .n_ns = 1, .streams = 0 }, "0 bulk streams" },
		{ { .n_ns = 1, .streams = 33 }, "33 bulk streams" },
		{ { .n_ns = 1, .streams = 1, .extent_max = 0 }, "extents of up to 0 bytes" },
		{ { .n_ns = 1, .streams = 1, .extent_max = 2048 }, "2048" },
		{ { .n_ns = 1, .streams = 1, .extent_max = 2 * MIB }, "2097152" },
		{ { .n_ns = 1, .streams = 1, .extent_max = 12288 }, "power of two" },
		{ { .n_ns = 1, .streams = 1, .extent_max = MIB }, "window of 0 extents" },
		{ { .n_ns = 1,
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1,
		    .window_bytes = MIB - 1 },
		  "1048575 bytes holds no extent" },
		{ { .n_ns = 1, .streams = 1, .extent_max = MIB, .window_extents = 1 },
		  "blocks of 0 bytes" },
		{ { .n_ns = 2,
		    .ns = { { 4096, 4096 }, { 4096, 520 } },
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1 },
		  "namespace 1 has logical blocks of 520 bytes" },
		{ { .n_ns = 1,
		    .ns = { { MIB, 8192 } },
		    .streams = 1,
		    .extent_max = 4096,
		    .window_extents = 1 },
		  "from 512 to 4096" },
		{ { .n_ns = 1,
		    .ns = { { 5000, 4096 } },
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1 },
		  "5000 bytes" },
		{ { .n_ns = 1,
		    .ns = { { 0, 4096 } },
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1 },
		  "namespace 0 has 0 bytes" },
		{ { .n_ns = 1,
		    .ns = { { UINT64_C(1) << 63, 4096 } },
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1 },
		  "too many" },
		{ { .n_ns = 1,
		    .ns = { { MIB, 4096 } },
		    .streams = 1,
		    .extent_max = MIB,
		    .window_extents = 1,
		    .ranges_max = 1 },
		  "namespaces" },
	};
	struct exp_planner *p;

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(cases); i++) {
		struct exp_error err = { 0 };

		assert_int_equal(exp_planner_new(&cases[i].c, &p, &err), -EINVAL);
		assert_non_null(strstr(err.msg, cases[i].part));
	}
	exp_planner_free(NULL);
}

static void test_largest_settings(void **state)
{
	struct exp_planner_config c = config(MIB);
	struct exp_planner_stats s;
	struct exp_planner *p;
	struct exp_extent x;

	(void)state;
	c.n_ns = EXP_JOB_EXPORTS_MAX;
	c.streams = EXP_JOB_STREAMS_MAX;
	for (uint32_t i = 0; i < c.n_ns; i++)
		c.ns[i] = c.ns[0];
	c.ns[15].bytes = INT64_MAX / 4096 * 4096;
	p = planner(&c);
	assert_int_equal(exp_planner_session(p, EXP_JOB_STREAMS_MAX), 2);
	for (uint32_t i = 0; i < c.n_ns; i++)
		exp_planner_allocated_end(p, i);
	for (uint32_t i = 0; i < c.n_ns; i++) {
		assert_int_equal(exp_planner_take(p, 31, false, &x), 1);
		assert_int_equal(x.ns, i);
		assert_int_equal(x.stream, 31);
		assert_int_equal(x.seq, i + 1);
	}
	exp_planner_stats(p, &s);
	assert_int_equal(s.extents[31], 16);
	assert_true(s.total_bytes == 15 * MIB + c.ns[15].bytes);
	assert_int_equal(exp_planner_durable(p, 2, 31, 16, NULL), 0);
	exp_planner_free(p);
}

static void test_first_pass_follows_what_is_allocated(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_next(p, ""); /* nothing is known yet */
	assert_false(exp_planner_round(p));
	assert_int_equal(exp_planner_remaining(p), 1000 * G);
	assert_int_equal(exp_planner_allocated(p, 0, 100 * G, 50 * G), 0);
	assert_next(p, "0 U 0 100 first");
	assert_next(p, "0 R 100 50 first");
	assert_next(p, ""); /* as far as is known */
	assert_int_equal(exp_planner_allocated(p, 0, 200 * G, 400 * G), 0);
	assert_next(p, "0 U 150 50 first");
	assert_next(p, "0 R 200 56 first"); /* to the next multiple of 1 MiB */
	assert_next(p, "0 R 256 256 first");
	exp_planner_stats(p, &s);
	assert_int_equal(s.allocated_bytes, 450 * G);
	assert_int_equal(s.first_left_bytes, 88 * G);
	assert_int_equal(s.inflight_bytes, 362 * G);
	assert_int_equal(s.taken_bytes, 362 * G);
	assert_int_equal(s.extents[0], 5);
	assert_int_equal(s.total_extents, 5);
	assert_int_equal(s.rounds, 1);
	exp_planner_allocated_end(p, 0);
	assert_int_equal(exp_planner_remaining(p), 450 * G);
	assert_next(p, "0 R 512 88 first");
	assert_next(p, "0 U 600 400 first");
	assert_next(p, "");
	assert_true(exp_planner_all_taken(p));
	assert_false(exp_planner_drained(p));
	assert_int_equal(exp_planner_remaining(p), 450 * G);
	ack_all(p);
	assert_int_equal(exp_planner_remaining(p), 0);
	assert_true(exp_planner_drained(p));
	exp_planner_free(p);
}

static void test_allocation_is_rounded_outward(void **state)
{
	struct exp_planner_config c = config(100 * G + 512);
	struct exp_planner *p = planner(&c);

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 10 * G + 512, 512), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 10 * G + 2048, 512), 0); /* the same grain */
	assert_int_equal(exp_planner_allocated(p, 0, 12 * G - 512, 1024), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 100 * G, 512), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 U 0 10 first");
	assert_next(p, "0 R 10 3 first"); /* 10, 11 and 12: they touch */
	assert_next(p, "0 U 13 87 first");
	assert_next(p, "0 R 100 0+ first");
	assert_next(p, "");
	ack_all(p);
	assert_true(exp_planner_drained(p));
	exp_planner_free(p);
}

/* From a drive that contradicts itself: more is sent, nothing is left out. */
static void test_ranges_that_make_no_sense(void **state)
{
	static const struct {
		uint64_t offset, len;
	} bad[] = {
		{ 100 * G, 512 }, { 0, 101 * G }, { 512, UINT64_MAX - 511 },
		{ 100, 512 },     { 512, 100 },
	};
	struct exp_planner_config c = config(100 * G);

	(void)state;
	for (size_t i = 0; i < EXP_ARRAY_SIZE(bad); i++) {
		struct exp_planner *p = planner(&c);

		assert_int_equal(exp_planner_allocated(p, 0, 5 * G, 0), 0);
		assert_int_equal(exp_planner_allocated(p, 0, 10 * G, G), 0);
		assert_int_equal(exp_planner_allocated(p, 0, bad[i].offset, bad[i].len), -EINVAL);
		exp_planner_allocated_end(p, 0);
		assert_next(p, "0 U 0 10 first");
		assert_next(p, "0 R 10 90 first");
		assert_next(p, "");
		ack_all(p);
		assert_int_equal(exp_planner_dirty(p, 0, 5 * G, 0, false), 0);
		assert_true(exp_planner_round(p));
		assert_false(exp_planner_round(p));
		assert_int_equal(exp_planner_allocated(p, 0, bad[i].offset, bad[i].len), -EINVAL);
		assert_false(exp_planner_round(p)); /* all of it was known */
		assert_int_equal(exp_planner_dirty(p, 0, bad[i].offset, bad[i].len, true), -EINVAL);
		assert_true(exp_planner_round(p));
		assert_next(p, "0 R 0 100");
		ack_all(p);
		/* allocated after the end, where nothing was: to be sent */
		assert_int_equal(exp_planner_allocated(p, 0, 20 * G, G), 0);
		assert_true(exp_planner_round(p));
		assert_next(p, "0 R 20 1");
		assert_int_equal(exp_planner_allocated(p, 1, 0, G), -EINVAL);
		assert_int_equal(exp_planner_allocated(p, UINT32_MAX, 0, G), -EINVAL);
		assert_int_equal(exp_planner_dirty(p, 1, 0, G, false), -EINVAL);
		exp_planner_free(p);
	}
}

/* What was said to be a gap and turns out not to be comes with the next round. */
static void test_allocation_out_of_order_is_not_lost(void **state)
{
	struct exp_planner_config c = config(100 * G);
	struct exp_planner *p = planner(&c);

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 50 * G, 10 * G), 0);
	assert_next(p, "0 U 0 50 first");
	assert_int_equal(exp_planner_allocated(p, 0, 20 * G, 35 * G), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 R 50 10 first");
	assert_next(p, "0 U 60 40 first");
	assert_next(p, "");
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 20 30");
	assert_next(p, "");
	exp_planner_free(p);
}

static void test_changes_and_the_cursor(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p = planner(&c);
	struct exp_planner_stats s;

	(void)state;
	assert_int_equal(exp_planner_allocated(p, 0, 0, 300 * G), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 500 * G, 500 * G), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 R 0 256 first");
	assert_int_equal(exp_planner_dirty(p, 0, 255 * G, G, false), 0); /* taken: marks */
	assert_int_equal(exp_planner_dirty(p, 0, 256 * G, G, false), 0); /* ahead: will be read */
	assert_int_equal(exp_planner_dirty(p, 0, 400 * G, G, false),
			 0); /* ahead, in a gap: marks */
	assert_int_equal(exp_planner_dirty(p, 0, 290 * G, 20 * G, false), 0); /* both: 300..309 */
	assert_int_equal(exp_planner_dirty(p, 0, 490 * G, 20 * G, true), 0);  /* both: 490..499 */
	exp_planner_stats(p, &s);
	assert_int_equal(s.dirty_bytes, 22 * G);
	assert_int_equal(s.marked_bytes, 22 * G);
	assert_next(p, "0 R 256 44 first");
	assert_next(p, "0 U 300 200 first");
	assert_next(p, "0 R 500 12 first");
	assert_next(p, "0 R 512 256 first");
	assert_next(p, "0 R 768 232 first");
	assert_next(p, "");
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 255 1");
	assert_next(p, "0 R 300 10");
	assert_next(p, "0 R 400 1");
	assert_next(p, "0 D 490 10");
	assert_next(p, "");
	exp_planner_free(p);
}

/* Noticed before the scan came so far: marked, and not sent twice when the scan confirms it. */
static void test_change_before_its_allocation_is_known(void **state)
{
	struct exp_planner_config c = config(100 * G);
	struct exp_planner *p = planner(&c);

	(void)state;
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, 2 * G, true), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 50 * G, 2 * G, false), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 10 * G, G), 0);
	exp_planner_allocated_end(p, 0); /* read before block 50 was written */
	assert_int_equal(exp_planner_dirty(p, 0, 10 * G, G, false), 0);
	assert_next(p, "0 U 0 10 first");
	assert_next(p, "0 R 10 1 first");
	assert_next(p, "0 U 11 89 first");
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 D 11 1");
	assert_next(p, "0 R 50 2");
	assert_next(p, "");
	exp_planner_free(p);
}

/* A gap that a long list swallowed: a change in it is noticed by the pass, an old mark may not stay
 */
static void test_a_swallowed_gap_keeps_no_old_mark(void **state)
{
	struct exp_planner_config c = config(1000 * G);
	struct exp_planner *p;

	(void)state;
	c.ranges_max = 2;
	p = planner(&c);
	assert_int_equal(exp_planner_allocated(p, 0, 0, 10 * G), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 20 * G, 10 * G), 0);
	assert_int_equal(exp_planner_dirty(p, 0, 15 * G, 1 * G, true), 0);
	assert_int_equal(exp_planner_allocated(p, 0, 900 * G, 10 * G), 0); /* 0..29 are one now */
	assert_int_equal(exp_planner_dirty(p, 0, 15 * G, 1 * G, false), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 R 0 30 first");
	while (*next(p, false))
		;
	ack_all(p);
	assert_true(exp_planner_round(p)); /* the end of the pass */
	assert_next(p, "");
	assert_true(exp_planner_drained(p)); /* above all: nothing is told to be deallocated */
	exp_planner_free(p);
}

static void test_windows(void **state)
{
	struct exp_planner_config c = config(GIB);
	struct exp_planner *p;

	(void)state;
	c.window_extents = 2;
	p = planner(&c);
	assert_int_equal(exp_planner_allocated(p, 0, 512 * MIB, 512 * MIB), 0);
	assert_next(p, "0 U 0 131072 first");
	assert_next(p, "0 R 131072 256 first");
	assert_next(p, "EAGAIN");
	assert_int_equal(exp_planner_durable(p, 1, 0, 1, NULL), 0);
	assert_next(p, "0 R 131328 256 first");
	assert_next(p, "EAGAIN");
	exp_planner_free(p);
	c.window_extents = 100;
	c.window_bytes = 5 * MIB / 2;
	p = planner(&c);
	assert_int_equal(exp_planner_allocated(p, 0, 512 * MIB, 512 * MIB), 0);
	assert_next(p, "0 U 0 131072 first"); /* no data, no room taken */
	assert_next(p, "0 R 131072 256 first");
	assert_next(p, "0 R 131328 256 first");
	assert_next(p, "EAGAIN"); /* a third does not fit */
	exp_planner_free(p);
}

static void test_namespaces_take_turns(void **state)
{
	struct exp_planner_config c = config(600 * G);
	struct exp_planner *p;

	(void)state;
	c.n_ns = 3;
	c.ns[1] = (struct exp_planner_ns){ 300 * G, 4096 };
	c.ns[2] = (struct exp_planner_ns){ 600 * G, 4096 };
	p = planner(&c);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(exp_planner_allocated(p, i, 0, c.ns[i].bytes), 0);
	exp_planner_allocated_end(p, 0);
	exp_planner_allocated_end(p, 1);
	assert_next(p, "0 R 0 256 first");
	assert_next(p, "1 R 0 256 first");
	assert_next(p, "2 R 0 256 first");
	assert_next(p, "0 R 256 256 first");
	assert_next(p, "1 R 256 44 first");
	assert_next(p, "2 R 256 256 first");
	assert_next(p, "0 R 512 88 first");
	assert_next(p, "2 R 512 88 first");
	assert_int_equal(exp_planner_dirty(p, 0, 0, G, false), 0);
	ack_all(p);
	assert_next(p, "");
	assert_false(exp_planner_round(p)); /* the end of namespace 2 has not been said */
	assert_next_last(p, "0 R 0 1");     /* but 0 could go at the end */
	exp_planner_allocated_end(p, 2);
	assert_true(exp_planner_round(p));
	exp_planner_free(p);
}

static void test_large_logical_blocks_stay_whole(void **state)
{
	struct exp_planner_config c = config(100 * 16384);
	struct exp_planner *p;

	(void)state;
	c.ns[0].lba_bytes = 16384;
	p = planner(&c);
	assert_int_equal(exp_planner_allocated(p, 0, 10 * 16384, 16384), 0);
	exp_planner_allocated_end(p, 0);
	assert_next(p, "0 U 0 40 first");
	assert_next(p, "0 R 40 4 first");
	assert_next(p, "0 U 44 356 first");
	assert_int_equal(exp_planner_dirty(p, 0, 16384, 16384, false), 0);
	ack_all(p);
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 4 4");
	assert_int_equal(exp_planner_dirty(p, 0, 4096, 16384, false), -EINVAL); /* not a block */
	assert_true(exp_planner_round(p));
	assert_next(p, "0 R 0 4");
	assert_next(p, "0 R 8 248"); /* 4 to 7 are in flight */
	exp_planner_free(p);
}

static void test_no_memory_to_begin(void **state)
{
	struct exp_planner_config c = config(GIB);
	struct exp_planner *p;
	int n = 1;

	(void)state;
	for (;; n++) {
		struct exp_error err = { 0 };
		int r;

		fail_in = n;
		r = exp_planner_new(&c, &p, &err);
		if (!r)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(err.code, EXP_CODE_NO_MEMORY);
	}
	assert_true(n > 5);
	fail_in = 0;
	exp_planner_free(p);
}

/* 16 TB of which 5 % are allocated, in many pieces: neither time nor memory follow the size. */
static void test_a_large_sparse_namespace(void **state)
{
	struct exp_planner_config c = config(16 * TIB);
	struct exp_planner_stats s;
	struct exp_extent x;
	struct exp_planner *p;
	uint64_t told = 0, n = 0;

	(void)state;
	allocated = 0;
	p = planner(&c);
	for (uint64_t at = 0; at < 16 * TIB; at += 64 * MIB) /* 262,144 pieces */
		assert_int_equal(exp_planner_allocated(p, 0, at, 3 * MIB), 0);
	exp_planner_allocated_end(p, 0);
	assert_true(allocated < 16 * MIB); /* ever, while the list grew */
	exp_planner_stats(p, &s);
	assert_true(s.allocated_bytes >= 16 * TIB / 64 * 3);
	assert_true(s.allocated_bytes < 16 * TIB / 4 * 3); /* merged in pairs, not into one */
	for (; told < 4 * TIB; told += x.len) {
		assert_int_equal(exp_planner_take(p, 0, false, &x), 1);
		assert_int_equal(x.offset, told); /* gaps and all */
		if (++n % 500 == 0)
			ack_all(p);
	}
	exp_planner_stats(p, &s);
	assert_int_equal(s.map_bytes, 0);
	exp_planner_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_that_are_refused),
		cmocka_unit_test(test_largest_settings),
		cmocka_unit_test(test_first_pass_follows_what_is_allocated),
		cmocka_unit_test(test_allocation_is_rounded_outward),
		cmocka_unit_test(test_ranges_that_make_no_sense),
		cmocka_unit_test(test_allocation_out_of_order_is_not_lost),
		cmocka_unit_test(test_changes_and_the_cursor),
		cmocka_unit_test(test_change_before_its_allocation_is_known),
		cmocka_unit_test(test_a_swallowed_gap_keeps_no_old_mark),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_namespaces_take_turns),
		cmocka_unit_test(test_large_logical_blocks_stay_whole),
		cmocka_unit_test(test_no_memory_to_begin),
		cmocka_unit_test(test_a_large_sparse_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
