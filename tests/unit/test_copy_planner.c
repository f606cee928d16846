/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_planner.c - one rule at a time; test_copy_sim.c runs them all together
 */
#include "support/tests.h"

#include <errno.h>

#include "copy/planner.h"

#define G   ((uint64_t)EXP_COPY_GRAIN)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static int fail_in; /* the nth allocation from now fails; 0: none */
static uint64_t allocated;

void *__wrap_calloc(size_t n, size_t size)
{
	if (fail_in && !--fail_in)
		return NULL;
	allocated += n * size;
	return __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (fail_in && !--fail_in)
		return NULL;
	allocated += n * size;
	return __real_reallocarray(p, n, size);
}

static struct exp_planner_config config(uint64_t bytes)
{
	return (struct exp_planner_config){
		.n_ns = 1,
		.ns = { { bytes, 512 } },
		.extent_max = MIB,
		.streams = 2,
		.window_extents = 1000,
	};
}

static struct exp_planner *planner(const struct exp_planner_config *c)
{
	struct exp_error err = { 0 };
	struct exp_planner *p;

	assert_ok(exp_planner_new(c, &p, &err), &err);
	return p;
}

/* What stream 0 gets next: "ns kind offset len flags" in grains, "" nothing, or the error. */
static const char *next(struct exp_planner *p, bool last)
{
	static char s[80];
	struct exp_extent x;
	int r = exp_planner_take(p, 0, last, &x);

	if (r < 0)
		return r == -EAGAIN ? "EAGAIN" : r == -ENOMEM ? "ENOMEM" : "?";
	if (!r)
		return "";
	snprintf(s, sizeof(s), "%u %c %llu %llu%s%s%s", x.ns,
		 x.kind == EXP_EXTENT_READ          ? 'R'
		 : x.kind == EXP_EXTENT_UNALLOCATED ? 'U'
						    : 'D',
		 (unsigned long long)(x.offset / G), (unsigned long long)(x.len / G),
		 x.len % G ? "+" : "", x.first_pass ? " first" : "", x.resent ? " resent" : "");
	return s;
}

#define assert_next(p, want)      assert_string_equal(next(p, false), want)
#define assert_next_last(p, want) assert_string_equal(next(p, true), want)

static void ack_all(struct exp_planner *p)
{
	struct exp_planner_stats s;

	exp_planner_stats(p, &s);
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		if (s.extents[i])
			assert_int_equal(exp_planner_durable(p, s.session, i, s.extents[i], NULL),
					 0);
}

/* A planner whose first pass is through and acknowledged. */
static struct exp_planner *copied(const struct exp_planner_config *c)
{
	struct exp_planner *p = planner(c);
	struct exp_extent x;

	for (uint32_t i = 0; i < c->n_ns; i++) {
		assert_int_equal(exp_planner_allocated(p, i, 0, c->ns[i].bytes), 0);
		exp_planner_allocated_end(p, i);
	}
	while (exp_planner_take(p, 0, false, &x) == 1)
		ack_all(p);
	assert_true(exp_planner_round(p));
	assert_true(exp_planner_drained(p));
	return p;
}

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
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_namespaces_take_turns),
		cmocka_unit_test(test_large_logical_blocks_stay_whole),
		cmocka_unit_test(test_everything_is_dirty),
		cmocka_unit_test(test_everything_is_dirty_in_a_round),
		cmocka_unit_test(test_acknowledgements_that_make_no_sense),
		cmocka_unit_test(test_no_memory_to_begin),
		cmocka_unit_test(test_no_memory_to_notice),
		cmocka_unit_test(test_no_memory_to_forget),
		cmocka_unit_test(test_no_memory_to_take),
		cmocka_unit_test(test_a_large_sparse_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
