/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.c - an array, live between head and head + n
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/ranges.h"

#define FIRST_CAP 64

struct range {
	uint64_t start, end;
};

struct exp_ranges {
	struct range *v;
	size_t head, n, cap, max;
	uint64_t bytes;
};

int exp_ranges_new(size_t max, struct exp_ranges **ret)
{
	EXP_CLEANUP(exp_ranges_freep) struct exp_ranges *r = NULL;

	if (max < 2)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->max = max;
	r->cap = EXP_MIN(max, (size_t)FIRST_CAP);
	r->v = calloc(r->cap, sizeof(*r->v));
	if (!r->v)
		return -ENOMEM;
	*ret = EXP_TAKE(r);
	return 0;
}

void exp_ranges_free(struct exp_ranges *r)
{
	if (!r)
		return;
	free(r->v);
	free(r);
}

/*
 * At most half of the places stay in use; the smallest gaps go first. A pass joins pairs only:
 * where all gaps are alike, joining each that is small enough would make one range of the whole
 * list.
 */
static void squeeze(struct exp_ranges *r)
{
	struct range *v = r->v + r->head;
	uint64_t gap = 4096;

	while (r->n > r->cap / 2) {
		bool joined = false; /* the range at out */
		size_t out = 0;

		for (size_t i = 1; i < r->n; i++) {
			if (!joined && v[i].start - v[out].end <= gap) {
				r->bytes += v[i].start - v[out].end;
				v[out].end = v[i].end;
				joined = true;
			} else {
				v[++out] = v[i];
				joined = false;
			}
		}
		r->n = out + 1;
		gap = gap > UINT64_MAX / 2 ? UINT64_MAX : gap * 2;
	}
}

static void make_room(struct exp_ranges *r)
{
	if (r->head + r->n < r->cap)
		return;
	if (r->n > r->cap / 2 && r->cap < r->max) {
		size_t cap = EXP_MIN(r->cap * 2, r->max);
		struct range *v = reallocarray(r->v, cap, sizeof(*v));

		if (v) {
			r->v = v;
			r->cap = cap;
		}
	}
	memmove(r->v, r->v + r->head, r->n * sizeof(*r->v));
	r->head = 0;
	if (r->n >
	    r->cap / 4 * 3) /* not only when it is full: moving it costs as much as it is long */
		squeeze(r);
}

void exp_ranges_add(struct exp_ranges *r, uint64_t start, uint64_t end)
{
	struct range *last = r->n ? &r->v[r->head + r->n - 1] : NULL;

	assert(start < end && (!last || start >= last->end));
	r->bytes += end - start;
	if (last && last->end == start) {
		last->end = end;
		return;
	}
	make_room(r);
	r->v[r->head + r->n++] = (struct range){ start, end };
}

/* Index, counted from head, of the first range that ends above @pos; n: none. */
static size_t first_above(const struct exp_ranges *r, uint64_t pos)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->v[r->head + mid].end > pos)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

bool exp_ranges_find(const struct exp_ranges *r, uint64_t pos, uint64_t *ret_start,
		     uint64_t *ret_end)
{
	size_t i = first_above(r, pos);

	if (i == r->n)
		return false;
	*ret_start = r->v[r->head + i].start;
	*ret_end = r->v[r->head + i].end;
	return true;
}

void exp_ranges_consume(struct exp_ranges *r, uint64_t pos)
{
	struct range *first;

	while (r->n && r->v[r->head].end <= pos) {
		r->bytes -= r->v[r->head].end - r->v[r->head].start;
		r->head++;
		r->n--;
	}
	first = &r->v[r->head];
	if (r->n && first->start < pos) {
		r->bytes -= pos - first->start;
		first->start = pos;
	}
}

uint64_t exp_ranges_bytes(const struct exp_ranges *r)
{
	return r->bytes;
}

size_t exp_ranges_count(const struct exp_ranges *r)
{
	return r->n;
}
