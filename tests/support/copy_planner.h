/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_planner.h - what the tests of the planner share: extents as text, allocations that fail
 *
 * For one test program each: it defines the wrapped allocation functions.
 */
#ifndef EXP_TESTS_SUPPORT_COPY_PLANNER_H
#define EXP_TESTS_SUPPORT_COPY_PLANNER_H

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

static inline struct exp_planner_config config(uint64_t bytes)
{
	return (struct exp_planner_config){
		.n_ns = 1,
		.ns = { { bytes, 512 } },
		.extent_max = MIB,
		.streams = 2,
		.window_extents = 1000,
	};
}

static inline struct exp_planner *planner(const struct exp_planner_config *c)
{
	struct exp_error err = { 0 };
	struct exp_planner *p;

	assert_ok(exp_planner_new(c, &p, &err), &err);
	return p;
}

/* What stream 0 gets next: "ns kind offset len flags" in grains, "" nothing, or the error. */
static inline const char *next(struct exp_planner *p, bool last)
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

static inline void ack_all(struct exp_planner *p)
{
	struct exp_planner_stats s;

	exp_planner_stats(p, &s);
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		if (s.extents[i])
			assert_int_equal(exp_planner_durable(p, s.session, i, s.extents[i], NULL),
					 0);
}

/* A planner whose first pass is through and acknowledged. */
static inline struct exp_planner *copied(const struct exp_planner_config *c)
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

#endif
