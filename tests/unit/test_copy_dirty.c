/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_copy_dirty.c - the dirty map against an array of one byte per grain
 */
#include "support/tests.h"

#include <errno.h>

#include "base/rng.h"
#include "copy/dirty.h"

#define GRAIN EXP_COPY_GRAIN
#define LEAF  ((uint64_t)EXP_DIRTY_LEAF)
#define TIB   (UINT64_C(1) << 40)

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static struct exp_rng oom_rng;
static unsigned int oom_per_cent;
static uint64_t allocated, largest;

void *__wrap_calloc(size_t n, size_t size)
{
	if (oom_per_cent && exp_rng_chance(&oom_rng, oom_per_cent, 100))
		return NULL;
	allocated += n * size;
	largest = EXP_MAX(largest, n * size);
	return __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	allocated += n * size;
	return __real_reallocarray(p, n, size);
}

static struct exp_dirty *map_new(uint64_t bytes, struct exp_dirty_budget *b, uint64_t max)
{
	struct exp_dirty *d;

	*b = (struct exp_dirty_budget){ 0, max };
	assert_int_equal(exp_dirty_new(bytes, b, &d), 0);
	return d;
}

/* The map says exactly this: runs written as "offset len W|D", in grains; "" none. */
static void assert_runs(const struct exp_dirty *d, const char *want)
{
	struct exp_dirty_run run;
	char got[512] = "";
	uint64_t at = 0;

	while (exp_dirty_next(d, at, UINT64_MAX, UINT64_MAX, &run)) {
		size_t n = strlen(got);

		assert_true(run.offset >= at && run.offset % GRAIN == 0);
		snprintf(got + n, sizeof(got) - n, "%s%llu %llu%s %c", n ? ", " : "",
			 (unsigned long long)(run.offset / GRAIN),
			 (unsigned long long)(run.len / GRAIN), run.len % GRAIN ? "+" : "",
			 run.mark == EXP_MARK_WRITTEN ? 'W' : 'D');
		at = run.offset + run.len;
	}
	assert_string_equal(got, want);
}

static void test_sizes_that_are_refused(void **state)
{
	struct exp_dirty_budget b = { 0, 0 };
	struct exp_dirty *d;

	(void)state;
	assert_int_equal(exp_dirty_new(0, &b, &d), -EINVAL);
	assert_int_equal(exp_dirty_new((uint64_t)INT64_MAX + 1, &b, &d), -EINVAL);
	d = map_new(INT64_MAX, &b, 1 << 20);
	exp_dirty_set(d, INT64_MAX - 1, 1, EXP_MARK_WRITTEN);
	assert_runs(d, "2251799813685247 0+ W");
	assert_int_equal(exp_dirty_total(d), GRAIN - 1);
	exp_dirty_set_all(d, EXP_MARK_WRITTEN);
	assert_true(exp_dirty_total(d) == INT64_MAX);
	assert_int_equal(b.used_bytes, 0);
	exp_dirty_free(d);
	exp_dirty_free(NULL);
	oom_per_cent = 100;
	assert_int_equal(exp_dirty_new(1, &b, &d), -ENOMEM);
	oom_per_cent = 0;
}

static void test_written_rounds_outward(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(100 * GRAIN, &b, UINT64_MAX);

	(void)state;
	exp_dirty_set(d, 3 * GRAIN + 512, 512, EXP_MARK_WRITTEN);
	assert_runs(d, "3 1 W");
	exp_dirty_set(d, 10 * GRAIN - 512, 1024, EXP_MARK_WRITTEN);
	assert_runs(d, "3 1 W, 9 2 W");
	exp_dirty_set(d, 20 * GRAIN, GRAIN, EXP_MARK_WRITTEN);
	exp_dirty_set(d, 50 * GRAIN, 0, EXP_MARK_WRITTEN);
	assert_runs(d, "3 1 W, 9 2 W, 20 1 W");
	assert_int_equal(exp_dirty_total(d), 4 * GRAIN);
	assert_int_equal(exp_dirty_clear(d, 9 * GRAIN + 1, 1), 0);
	assert_runs(d, "3 1 W, 10 1 W, 20 1 W");
	exp_dirty_free(d);
}

static void test_deallocated_rounds_inward_and_writes_its_edges(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(100 * GRAIN, &b, UINT64_MAX);

	(void)state;
	exp_dirty_set(d, 10 * GRAIN, 5 * GRAIN, EXP_MARK_DEALLOCATED);
	assert_runs(d, "10 5 D");
	exp_dirty_set(d, 20 * GRAIN + 512, 3 * GRAIN, EXP_MARK_DEALLOCATED);
	assert_runs(d, "10 5 D, 20 1 W, 21 2 D, 23 1 W");
	exp_dirty_set(d, 30 * GRAIN + 512, 512, EXP_MARK_DEALLOCATED); /* not one whole grain */
	assert_runs(d, "10 5 D, 20 1 W, 21 2 D, 23 1 W, 30 1 W");
	exp_dirty_set(d, 40 * GRAIN - 512, 1024, EXP_MARK_DEALLOCATED);
	assert_runs(d, "10 5 D, 20 1 W, 21 2 D, 23 1 W, 30 1 W, 39 2 W");
	assert_int_equal(exp_dirty_bytes(d, EXP_MARK_DEALLOCATED), 7 * GRAIN);
	assert_int_equal(exp_dirty_bytes(d, EXP_MARK_WRITTEN), 5 * GRAIN);
	exp_dirty_free(d);
}

static void test_the_later_mark_wins(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(4 * LEAF, &b, UINT64_MAX);

	(void)state;
	exp_dirty_set(d, 0, LEAF, EXP_MARK_DEALLOCATED); /* a leaf as a whole */
	exp_dirty_set(d, 5 * GRAIN + 512, 512, EXP_MARK_WRITTEN);
	assert_runs(d, "0 5 D, 5 1 W, 6 506 D");
	exp_dirty_set(d, 0, 2 * LEAF, EXP_MARK_DEALLOCATED);
	assert_runs(d, "0 1024 D");
	exp_dirty_set(d, LEAF - GRAIN, 2 * GRAIN, EXP_MARK_WRITTEN);
	assert_runs(d, "0 511 D, 511 2 W, 513 511 D");
	exp_dirty_set(d, LEAF - 2 * GRAIN, 2 * GRAIN, EXP_MARK_DEALLOCATED);
	assert_runs(d, "0 512 D, 512 1 W, 513 511 D");
	exp_dirty_set(d, 0, 4 * LEAF, EXP_MARK_WRITTEN);
	assert_runs(d, "0 2048 W");
	exp_dirty_free(d);
}

static void test_memory_comes_back_grain_by_grain(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(LEAF + 10 * GRAIN, &b, UINT64_MAX);

	(void)state;
	for (int m = EXP_MARK_WRITTEN; m <= EXP_MARK_DEALLOCATED; m++) {
		for (uint64_t g = 0; g < LEAF / GRAIN + 10; g++) {
			assert_int_equal(exp_dirty_set(d, g * GRAIN, GRAIN, m), 0);
			assert_int_equal(b.used_bytes == 0, g == 511 || g == 521);
		}
		assert_runs(d, m == EXP_MARK_WRITTEN ? "0 522 W" : "0 522 D");
	}
	exp_dirty_free(d);
}

/* Room for a leaf, none for what is deallocated in it. */
static void test_deallocated_becomes_written_for_want_of_memory(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(LEAF, &b, 100);

	(void)state;
	assert_int_equal(exp_dirty_set(d, 7 * GRAIN, GRAIN, EXP_MARK_DEALLOCATED), -ENOMEM);
	assert_runs(d, "7 1 W");
	assert_true(b.used_bytes <= 100);
	exp_dirty_free(d);
	d = map_new(4 * LEAF, &b, 0); /* none at all: the whole leaf */
	assert_int_equal(exp_dirty_set(d, 700 * GRAIN, GRAIN, EXP_MARK_WRITTEN), -ENOMEM);
	assert_runs(d, "512 512 W");
	assert_int_equal(exp_dirty_set(d, 701 * GRAIN, GRAIN, EXP_MARK_WRITTEN), 0);
	exp_dirty_free(d);
}

static void test_the_namespace_ends_inside_a_grain(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(10 * GRAIN + 512, &b, UINT64_MAX);
	struct exp_dirty_run run;

	(void)state;
	exp_dirty_set(d, 10 * GRAIN, 512, EXP_MARK_DEALLOCATED); /* all that there is of it */
	assert_runs(d, "10 0+ D");
	assert_int_equal(exp_dirty_total(d), 512);
	exp_dirty_set(d, 9 * GRAIN, 1, EXP_MARK_WRITTEN);
	assert_int_equal(exp_dirty_total(d), GRAIN + 512);
	exp_dirty_set_all(d, EXP_MARK_WRITTEN);
	assert_int_equal(exp_dirty_total(d), 10 * GRAIN + 512);
	assert_true(exp_dirty_next(d, 8 * GRAIN, 10 * GRAIN + 512, UINT64_MAX, &run));
	assert_int_equal(run.len, 2 * GRAIN + 512);
	assert_false(exp_dirty_next(d, 10 * GRAIN + 512, 10 * GRAIN + 512, UINT64_MAX, &run));
	assert_int_equal(exp_dirty_clear(d, 0, 10 * GRAIN + 512), 0);
	assert_int_equal(exp_dirty_total(d), 0);
	exp_dirty_free(d);
}

static void test_next_stops_where_it_is_told(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(1000 * LEAF, &b, UINT64_MAX);
	struct exp_dirty_run run;

	(void)state;
	exp_dirty_set(d, 2 * LEAF, 500 * LEAF, EXP_MARK_WRITTEN);
	assert_true(exp_dirty_next(d, 0, 1000 * LEAF, 1 << 20, &run));
	assert_int_equal(run.offset, 2 * LEAF);
	assert_int_equal(run.len, 1 << 20);
	assert_true(exp_dirty_next(d, 3 * LEAF + GRAIN, 4 * LEAF, UINT64_MAX, &run));
	assert_int_equal(run.offset, 3 * LEAF + GRAIN);
	assert_int_equal(run.len, LEAF - GRAIN);
	assert_true(exp_dirty_next(d, 0, UINT64_MAX, 1, &run)); /* at least a grain */
	assert_int_equal(run.len, GRAIN);
	assert_true(exp_dirty_next(d, 0, UINT64_MAX, UINT64_MAX, &run));
	assert_int_equal(run.len, 500 * LEAF);
	assert_false(exp_dirty_next(d, 0, 2 * LEAF, UINT64_MAX, &run));
	assert_false(exp_dirty_next(d, 502 * LEAF, UINT64_MAX, UINT64_MAX, &run));
	exp_dirty_free(d);
}

/* --- property: the map and an array say the same ------------------------------------------------
 */

struct naive {
	uint64_t bytes, grains;
	uint8_t *mark;
};

static void naive_set(struct naive *v, uint64_t off, uint64_t len, enum exp_mark m)
{
	for (uint64_t g = off / GRAIN; len && g * GRAIN < off + len; g++) {
		bool whole = off <= g * GRAIN && off + len >= EXP_MIN((g + 1) * GRAIN, v->bytes);

		v->mark[g] = m == EXP_MARK_DEALLOCATED && !whole ? EXP_MARK_WRITTEN : m;
	}
}

static void compare(const struct naive *v, const struct exp_dirty *d, uint64_t seed)
{
	uint64_t bytes[3] = { 0 }, at = 0;
	struct exp_dirty_run run;

	for (uint64_t g = 0; g < v->grains; g++)
		bytes[v->mark[g]] += EXP_MIN(v->bytes - g * GRAIN, (uint64_t)GRAIN);
	for (int m = 1; m < 3; m++)
		if (exp_dirty_bytes(d, m) != bytes[m])
			fail_msg("seed %llu: mark %d: %llu bytes, not %llu",
				 (unsigned long long)seed, m,
				 (unsigned long long)exp_dirty_bytes(d, m),
				 (unsigned long long)bytes[m]);
	while (exp_dirty_next(d, at, v->bytes, UINT64_MAX, &run)) {
		uint64_t end = run.offset + run.len;

		for (; at < run.offset; at += GRAIN)
			assert_int_equal(v->mark[at / GRAIN], EXP_MARK_CLEAN);
		for (; at < end; at += GRAIN)
			assert_int_equal(v->mark[at / GRAIN], run.mark);
		at = end;
		/* as long as it can be */
		if (at < v->bytes)
			assert_int_not_equal(v->mark[at / GRAIN], run.mark);
	}
	for (; at < v->bytes; at += GRAIN)
		assert_int_equal(v->mark[at / GRAIN], EXP_MARK_CLEAN);
}

/* From the array: the first run at or above @from, below @to, of at most @max bytes. */
static bool naive_next(const struct naive *v, uint64_t from, uint64_t to, uint64_t max,
		       struct exp_dirty_run *ret)
{
	uint64_t g = from / GRAIN, end;

	while (g * GRAIN < to && !v->mark[g])
		g++;
	if (g * GRAIN >= to)
		return false;
	for (end = g; end * GRAIN < to && v->mark[end] == v->mark[g] && (end - g) * GRAIN < max;)
		end++;
	ret->offset = g * GRAIN;
	ret->len = EXP_MIN(end * GRAIN, to) - ret->offset;
	ret->mark = v->mark[g];
	return true;
}

static void random_range(struct exp_rng *r, uint64_t bytes, uint64_t *off, uint64_t *len)
{
	static const uint64_t sizes[] = { 512, GRAIN, 16 * GRAIN, LEAF, 64 * LEAF, UINT64_MAX };
	uint64_t unit = exp_rng_chance(r, 1, 3) ? 512 : exp_rng_chance(r, 1, 2) ? GRAIN : LEAF;

	*off = EXP_MIN(exp_rng_below(r, bytes) / unit * unit, bytes);
	*len = exp_rng_below(r, EXP_MIN(sizes[exp_rng_below(r, 6)], bytes)) + 1;
	*len = EXP_MIN((*len + unit - 1) / unit * unit, bytes - *off);
}

static void test_as_an_array(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct exp_dirty_budget b;
		struct exp_rng r;
		struct exp_dirty *d;
		struct naive v;

		exp_rng_seed(&r, seed);
		/* below one leaf, some leaves, more than a node of leaves, two levels of nodes */
		v.bytes = 512 * (1 + exp_rng_below(&r, (LEAF << exp_rng_below(&r, 9)) / 512));
		v.grains = (v.bytes + GRAIN - 1) / GRAIN;
		v.mark = __real_calloc(v.grains, 1);
		d = map_new(v.bytes, &b, UINT64_MAX);
		for (int i = 0; i < 60; i++) {
			struct exp_dirty_run got = { 0 }, want = { 0 };
			uint64_t off, len, max = 1 + exp_rng_below(&r, 4 * LEAF);
			enum exp_mark m = exp_rng_below(&r, 3);

			random_range(&r, v.bytes, &off, &len);
			if (m == EXP_MARK_CLEAN) {
				uint64_t a = off / GRAIN * GRAIN;
				uint64_t z = (off + len + GRAIN - 1) / GRAIN * GRAIN;

				assert_int_equal(exp_dirty_clear(d, off, len), 0);
				z = len ? EXP_MIN(z, v.bytes) : a;
				naive_set(&v, a, z - a, m);
			} else {
				assert_int_equal(exp_dirty_set(d, off, len, m), 0);
				naive_set(&v, off, len, m);
			}
			if (i % 10 == 9)
				compare(&v, d, seed);
			random_range(&r, v.bytes, &off, &len);
			off -= off % GRAIN;
			max = EXP_MAX(max / GRAIN, (uint64_t)1) * GRAIN;
			assert_int_equal(exp_dirty_next(d, off, off + len, max, &got),
					 len && naive_next(&v, off, off + len, max, &want));
			assert_int_equal(got.offset, want.offset);
			assert_int_equal(got.len, want.len);
			assert_int_equal(got.mark, want.mark);
		}
		/* what becomes uniform gives its memory back */
		exp_dirty_set(d, 0, v.bytes, EXP_MARK_DEALLOCATED);
		assert_int_equal(b.used_bytes, 0);
		for (uint64_t at = 0; at < v.bytes; at += LEAF / 2)
			assert_int_equal(exp_dirty_clear(d, at, EXP_MIN(LEAF / 2, v.bytes - at)),
					 0);
		assert_int_equal(exp_dirty_total(d), 0);
		assert_int_equal(b.used_bytes, 0);
		for (uint64_t at = 0; at < v.bytes; at += 512 * 100)
			exp_dirty_set(d, at, EXP_MIN(UINT64_C(51200), v.bytes - at),
				      EXP_MARK_WRITTEN);
		assert_int_equal(exp_dirty_total(d), v.bytes);
		assert_int_equal(b.used_bytes, 0);
		exp_dirty_free(d);
		free(v.mark);
	}
}

/* Without memory: nothing dirty is lost, nothing is called deallocated that is not. */
static void test_without_memory_marks_are_coarse_and_true(void **state)
{
	uint64_t coarse = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct exp_dirty_budget b;
		struct exp_rng r;
		struct exp_dirty *d;
		struct naive v;

		exp_rng_seed(&r, seed);
		exp_rng_seed(&oom_rng, seed);
		v.bytes = 512 * (1 + exp_rng_below(&r, (LEAF << exp_rng_below(&r, 9)) / 512));
		v.grains = (v.bytes + GRAIN - 1) / GRAIN;
		v.mark = __real_calloc(v.grains, 1);
		d = map_new(v.bytes, &b, seed & 1 ? UINT64_MAX : exp_rng_below(&r, 3000));
		oom_per_cent = seed & 2 ? 30 : 0;
		for (int i = 0; i < 60; i++) {
			enum exp_mark m = exp_rng_below(&r, 3);
			struct exp_dirty_run run;
			uint64_t off, len, before = exp_dirty_total(d);

			random_range(&r, v.bytes, &off, &len);
			if (m == EXP_MARK_CLEAN) {
				uint64_t a = off / GRAIN * GRAIN;
				uint64_t z = (off + len + GRAIN - 1) / GRAIN * GRAIN;
				int rc = exp_dirty_clear(d, off, len);

				z = len ? EXP_MIN(z, v.bytes) : a;
				if (rc < 0) {
					assert_int_equal(rc, -ENOMEM);
					assert_int_equal(exp_dirty_total(d), before);
					refused++;
				} else {
					naive_set(&v, a, z - a, m);
					assert_false(exp_dirty_next(d, a, z, LEAF, &run));
				}
			} else {
				coarse += exp_dirty_set(d, off, len, m) == -ENOMEM;
				naive_set(&v, off, len, m);
			}
			for (uint64_t g = 0; g < v.grains; g++) {
				uint64_t at = g * GRAIN;
				bool dirty = exp_dirty_next(d, at, at + 1, GRAIN, &run);

				assert_true(dirty || v.mark[g] == EXP_MARK_CLEAN);
				if (dirty && run.mark == EXP_MARK_DEALLOCATED)
					assert_int_equal(v.mark[g], EXP_MARK_DEALLOCATED);
				if (g % 97 == 0 && g + 200 < v.grains)
					g += exp_rng_below(&r, v.grains / 64 + 1);
			}
		}
		oom_per_cent = 0;
		assert_int_equal(exp_dirty_clear(d, 0, v.bytes), 0);
		assert_int_equal(exp_dirty_total(d), 0);
		assert_int_equal(b.used_bytes, 0);
		exp_dirty_free(d);
		free(v.mark);
	}
	assert_true(coarse > 100 && refused > 100); /* or this tested nothing */
}

/* --- memory of a large namespace ------------------------------------------------------------- */

static void test_large_namespace_takes_no_memory_of_its_own(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty_run run;
	struct exp_dirty *d;
	uint64_t at = 0, n = 0;

	(void)state;
	allocated = largest = 0;
	d = map_new(16 * TIB, &b, UINT64_MAX);
	assert_true(allocated < 4096);
	exp_dirty_set_all(d, EXP_MARK_WRITTEN);
	assert_true(exp_dirty_total(d) == 16 * TIB);
	assert_true(exp_dirty_next(d, 0, UINT64_MAX, UINT64_MAX, &run));
	assert_true(run.len == 16 * TIB);
	assert_true(allocated < 4096);
	/* sent from the front, a message at a time: one path of nodes at most */
	for (; n < 100000; n++) {
		assert_true(exp_dirty_next(d, at, UINT64_MAX, 1 << 20, &run));
		assert_int_equal(run.offset, at);
		assert_int_equal(exp_dirty_clear(d, run.offset, run.len), 0);
		at += run.len;
		assert_true(b.used_bytes < 4096);
	}
	assert_true(exp_dirty_total(d) == 16 * TIB - at);
	assert_true(largest < 4096);
	exp_dirty_free(d);
	assert_int_equal(b.used_bytes, 0);
}

static void test_memory_of_random_writes(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(16 * TIB, &b, UINT64_MAX);
	struct exp_rng r;

	(void)state;
	exp_rng_seed(&r, 16);
	largest = 0;
	for (int i = 0; i < 200000; i++)
		assert_int_equal(exp_dirty_set(d, exp_rng_below(&r, 16 * TIB / 512) * 512, 512,
					       EXP_MARK_WRITTEN),
				 0);
	/* what is dirty counts, not the size: a leaf and a part of its node for each */
	assert_true(exp_dirty_total(d) > UINT64_C(199000) * GRAIN);
	assert_true(b.used_bytes < UINT64_C(200000) * 650);
	assert_true(largest < 4096);
	exp_dirty_free(d);
	assert_int_equal(b.used_bytes, 0);
}

static void test_budget_is_kept(void **state)
{
	struct exp_dirty_budget b;
	struct exp_dirty *d = map_new(16 * TIB, &b, 1 << 20);
	struct exp_dirty_run run;
	struct exp_rng r;

	(void)state;
	for (int again = 0; again < 2; again++) {
		exp_rng_seed(&r, 17);
		for (int i = 0; i < 100000; i++) {
			uint64_t at = exp_rng_below(&r, 16 * TIB / GRAIN) * GRAIN;

			if (!again)
				exp_dirty_set(d, at, GRAIN, EXP_MARK_WRITTEN);
			assert_true(exp_dirty_next(d, at, at + 1, GRAIN, &run));
			assert_true(b.used_bytes <= 1 << 20);
		}
	}
	assert_true(exp_dirty_total(d) > UINT64_C(100000) * GRAIN); /* coarser */
	exp_dirty_free(d);
	assert_int_equal(b.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_that_are_refused),
		cmocka_unit_test(test_written_rounds_outward),
		cmocka_unit_test(test_deallocated_rounds_inward_and_writes_its_edges),
		cmocka_unit_test(test_the_later_mark_wins),
		cmocka_unit_test(test_memory_comes_back_grain_by_grain),
		cmocka_unit_test(test_deallocated_becomes_written_for_want_of_memory),
		cmocka_unit_test(test_the_namespace_ends_inside_a_grain),
		cmocka_unit_test(test_next_stops_where_it_is_told),
		cmocka_unit_test(test_as_an_array),
		cmocka_unit_test(test_without_memory_marks_are_coarse_and_true),
		cmocka_unit_test(test_large_namespace_takes_no_memory_of_its_own),
		cmocka_unit_test(test_memory_of_random_writes),
		cmocka_unit_test(test_budget_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
