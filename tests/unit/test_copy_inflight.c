/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_inflight.c - the set of unacknowledged extents against a plain list
 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "copy/inflight.h"

#define N_NS      3
#define N_STREAMS 4
#define SPACE     4096 /* grains of each namespace */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool no_memory;

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return no_memory ? NULL : __real_reallocarray(p, n, size);
}

static struct exp_extent extent(uint32_t ns, uint64_t grain, uint32_t grains, uint32_t stream)
{
	return (struct exp_extent){
		.kind = EXP_EXTENT_READ,
		.ns = ns,
		.offset = grain * EXP_COPY_GRAIN,
		.len = grains * EXP_COPY_GRAIN,
		.stream = stream,
	};
}

static void test_numbers_by_stream(void **state)
{
	struct exp_inflight *f;
	struct exp_extent x;

	(void)state;
	assert_int_equal(exp_inflight_new(1, 2, &f), 0);
	assert_true(exp_inflight_empty(f));
	assert_int_equal(exp_inflight_last(f, 0), 0);
	for (uint32_t i = 0; i < 6; i++) {
		x = extent(0, i, 1, i % 2);
		assert_int_equal(exp_inflight_add(f, &x), 0);
		assert_int_equal(x.session, 1);
		assert_int_equal(x.seq, i / 2 + 1);
	}
	assert_int_equal(exp_inflight_count(f, 0), 3);
	assert_int_equal(exp_inflight_data(f, 1), 3 * EXP_COPY_GRAIN);
	assert_int_equal(exp_inflight_data_all(f), 6 * EXP_COPY_GRAIN);
	x = extent(0, 100, 7, 0);
	x.kind = EXP_EXTENT_DEALLOCATED; /* no data */
	assert_int_equal(exp_inflight_add(f, &x), 0);
	assert_int_equal(exp_inflight_data(f, 0), 3 * EXP_COPY_GRAIN);
	assert_int_equal(exp_inflight_durable(f, 1, 0, 2, NULL), 0);
	assert_int_equal(exp_inflight_count(f, 0), 2);
	assert_int_equal(exp_inflight_count(f, 1), 3);
	assert_int_equal(exp_inflight_last(f, 0), 4);
	assert_int_equal(exp_inflight_durable(f, 1, 0, 4, NULL), 0);
	assert_int_equal(exp_inflight_durable(f, 1, 0, 1, NULL), 0); /* late: nothing more */
	assert_int_equal(exp_inflight_count(f, 0), 0);
	assert_int_equal(exp_inflight_data_all(f), 3 * EXP_COPY_GRAIN);
	exp_inflight_free(f);
	exp_inflight_free(NULL);
}

static void test_acknowledgements_of_what_was_never_sent(void **state)
{
	struct exp_error err = { 0 };
	struct exp_inflight *f;
	struct exp_extent x = extent(0, 0, 1, 0);

	(void)state;
	assert_int_equal(exp_inflight_new(1, 2, &f), 0);
	assert_int_equal(exp_inflight_add(f, &x), 0);
	assert_int_equal(exp_inflight_durable(f, 1, 0, 2, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL,
		     "extent 2 on stream 0 of session 1, the last sent is 1");
	assert_int_equal(exp_inflight_durable(f, 1, 1, 1, &err), -EPROTO);
	assert_int_equal(exp_inflight_durable(f, 1, 2, 0, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "stream 2 of session 1, which has 2");
	assert_int_equal(exp_inflight_durable(f, 1, UINT32_MAX, 0, &err), -EPROTO);
	assert_int_equal(exp_inflight_durable(f, 2, 0, 1, &err), -EPROTO);
	assert_error(&err, EXP_CODE_PROTOCOL, "session 2, the present one is 1");
	assert_int_equal(exp_inflight_count(f, 0), 1);
	/* a former session says nothing any more, whatever it says */
	assert_true(exp_inflight_pop(f, &x));
	assert_int_equal(exp_inflight_session(f, 1), 2);
	x = extent(0, 0, 1, 0);
	assert_int_equal(exp_inflight_add(f, &x), 0);
	assert_int_equal(x.session, 2);
	assert_int_equal(x.seq, 1);
	assert_int_equal(exp_inflight_durable(f, 1, 0, 1, &err), 0);
	assert_int_equal(exp_inflight_durable(f, 1, 7, 99, &err), 0);
	assert_int_equal(exp_inflight_count(f, 0), 1);
	assert_int_equal(exp_inflight_current(f), 2);
	assert_int_equal(exp_inflight_streams(f), 1);
	exp_inflight_free(f);
}

static void test_without_memory_nothing_is_added(void **state)
{
	struct exp_inflight *f;
	struct exp_extent x = extent(0, 0, 1, 0);
	uint64_t a, b;

	(void)state;
	no_memory = true;
	assert_int_equal(exp_inflight_new(1, 1, &f), -ENOMEM);
	no_memory = false;
	assert_int_equal(exp_inflight_new(1, 1, &f), 0);
	no_memory = true;
	assert_int_equal(exp_inflight_add(f, &x), -ENOMEM);
	no_memory = false;
	assert_true(exp_inflight_empty(f));
	assert_int_equal(exp_inflight_last(f, 0), 0); /* no number is burned */
	assert_false(exp_inflight_next(f, 0, 0, &a, &b));
	exp_inflight_free(f);
}

struct list {
	struct exp_extent x[4096];
	size_t n;
};

static bool list_next(const struct list *l, uint32_t ns, uint64_t pos, uint64_t *a, uint64_t *b)
{
	bool found = false;

	for (size_t i = 0; i < l->n; i++) {
		const struct exp_extent *x = &l->x[i];

		if (x->ns == ns && x->offset + x->len > pos && (!found || x->offset < *a)) {
			found = true;
			*a = x->offset;
			*b = x->offset + x->len;
		}
	}
	return found;
}

static void list_durable(struct list *l, uint32_t stream, uint64_t seq)
{
	size_t out = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->x[i].stream != stream || l->x[i].seq > seq)
			l->x[out++] = l->x[i];
	l->n = out;
}

static void test_as_a_list(void **state)
{
	static struct list l;
	uint64_t a, b, a2 = 0, b2 = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint32_t session = 1;
		struct exp_inflight *f;
		struct exp_rng r;

		l.n = 0;
		exp_rng_seed(&r, seed);
		assert_int_equal(exp_inflight_new(N_NS, N_STREAMS, &f), 0);
		for (int i = 0; i < 3000; i++) {
			uint32_t ns = (uint32_t)exp_rng_below(&r, N_NS);
			uint32_t stream = (uint32_t)exp_rng_below(&r, N_STREAMS);
			struct exp_extent x = extent(ns, exp_rng_below(&r, SPACE),
						     1 + (uint32_t)exp_rng_below(&r, 16), stream);
			uint64_t data = 0, seq;

			assert_int_equal(exp_inflight_next(f, ns, x.offset + 1, &a, &b),
					 list_next(&l, ns, x.offset + 1, &a2, &b2));
			if (list_next(&l, ns, x.offset, &a2, &b2)) {
				assert_true(exp_inflight_next(f, ns, x.offset, &a, &b));
				assert_int_equal(a, a2);
				assert_int_equal(b, b2);
			}
			if (exp_rng_chance(&r, 1, 4))
				x.kind = EXP_EXTENT_UNALLOCATED;
			if (!list_next(&l, ns, x.offset, &a2, &b2) || a2 >= x.offset + x.len) {
				assert_int_equal(exp_inflight_add(f, &x), 0);
				l.x[l.n++] = x;
			}
			if (exp_rng_chance(&r, 1, 20)) {
				seq = exp_rng_below(&r, exp_inflight_last(f, stream) + 1);
				assert_int_equal(
					exp_inflight_durable(f, session, stream, seq, NULL), 0);
				list_durable(&l, stream, seq);
			}
			for (size_t k = 0; k < l.n; k++)
				data += l.x[k].kind == EXP_EXTENT_READ ? l.x[k].len : 0;
			assert_int_equal(exp_inflight_data_all(f), data);
			if (exp_rng_chance(&r, 1, 400)) { /* the session ends: all come back */
				struct exp_extent gone;
				size_t n = 0;

				while (exp_inflight_pop(f, &gone)) {
					for (size_t k = 0; k < l.n; k++)
						n += l.x[k].stream == gone.stream &&
						     l.x[k].seq == gone.seq &&
						     l.x[k].offset == gone.offset &&
						     l.x[k].ns == gone.ns &&
						     l.x[k].kind == gone.kind;
				}
				assert_int_equal(n, l.n);
				assert_int_equal(exp_inflight_session(f, N_STREAMS), ++session);
				l.n = 0;
			}
			assert_int_equal(exp_inflight_empty(f), !l.n);
		}
		exp_inflight_free(f);
	}
}

/* Offsets as a copy gives them out, front to back: the tree must not become a list. */
static void test_a_large_ascending_set(void **state)
{
	struct exp_inflight *f;
	uint64_t a, b;

	(void)state;
	assert_int_equal(exp_inflight_new(1, 1, &f), 0);
	for (uint64_t i = 0; i < 200000; i++) {
		struct exp_extent x = extent(0, 2 * i, 1, 0);

		assert_int_equal(exp_inflight_add(f, &x), 0);
	}
	for (uint64_t i = 0; i + 1 < 200000; i++) {
		assert_true(exp_inflight_next(f, 0, (2 * i + 1) * EXP_COPY_GRAIN, &a, &b));
		assert_int_equal(a, (2 * i + 2) * EXP_COPY_GRAIN);
	}
	assert_int_equal(exp_inflight_durable(f, 1, 0, 199999, NULL), 0);
	assert_int_equal(exp_inflight_count(f, 0), 1);
	exp_inflight_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_by_stream),
		cmocka_unit_test(test_acknowledgements_of_what_was_never_sent),
		cmocka_unit_test(test_without_memory_nothing_is_added),
		cmocka_unit_test(test_as_a_list),
		cmocka_unit_test(test_a_large_ascending_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
