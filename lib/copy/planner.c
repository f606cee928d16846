/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.c - a cursor, three dirty maps per namespace, and what is in flight
 *
 * Where a byte of a namespace is, while the copy runs:
 *
 *	ahead of the cursor	the first pass will come to it; a change is marked only where the
 *pass would not read (gaps between the allocated ranges, and what has not been said to be allocated
 *yet) again			handed out in a session that ended, not acknowledged, not changed
 *since now			to be sent in this round later			changed in this
 *round: waits for the next one, hot blocks cost one send in flight		handed out, not
 *durable; may be in `later` as well, not in the others none of these		safe at the
 *destination
 *
 * A DEALLOCATED mark is a statement about the content, so no stale one may stay behind a newer
 * change; forget() makes it WRITTEN where it cannot be removed. WRITTEN is always true.
 */
#include "copy/planner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "copy/dirty.h"
#include "copy/inflight.h"
#include "copy/ranges.h"

struct space {
	uint64_t bytes;
	uint64_t unit; /* bytes: what marks and ranges are rounded to, outward */
	uint64_t cursor;
	struct exp_ranges *allocated;
	uint64_t known;      /* below it the allocation is known */
	uint64_t last_start; /* of the last range that was named */
	bool named_all;      /* exp_planner_allocated_end() */
	bool given_up;       /* exp_planner_all_dirty(): the maps say all, there is no first pass */
	struct exp_dirty *again, *now, *later;
	uint64_t pos; /* where the round goes on in `now` */
};

struct exp_planner {
	struct exp_planner_config cfg;
	struct exp_dirty_budget budget;
	struct exp_inflight *inflight;
	uint32_t turn;   /* namespace that is asked first */
	bool round_open; /* its end has not been told yet */
	uint64_t allocated_bytes, taken_bytes, resent_bytes, marked_bytes;
	uint32_t rounds;
	struct space ns[EXP_JOB_EXPORTS_MAX];
};

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static int check_config(const struct exp_planner_config *c, struct exp_error *err)
{
	if (!c->n_ns || c->n_ns > EXP_JOB_EXPORTS_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u namespaces to copy, a job has 1 to %u", c->n_ns,
				     EXP_JOB_EXPORTS_MAX);
	if (!c->streams || c->streams > EXP_JOB_STREAMS_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u bulk streams, a job has 1 to %u", c->streams,
				     EXP_JOB_STREAMS_MAX);
	if (!power_of_two(c->extent_max) || c->extent_max < EXP_COPY_GRAIN ||
	    c->extent_max > EXP_COPY_EXTENT_MAX)
		return exp_error_set(
			err, EXP_CODE_INVALID, EINVAL,
			"extents of up to %u bytes: a power of two from %u to %u is needed",
			c->extent_max, EXP_COPY_GRAIN, EXP_COPY_EXTENT_MAX);
	if (!c->window_extents || (c->window_bytes && c->window_bytes < c->extent_max))
		return exp_error_set(
			err, EXP_CODE_INVALID, EINVAL,
			"a window of %u extents and %llu bytes holds no extent of %u bytes",
			c->window_extents, (unsigned long long)c->window_bytes, c->extent_max);
	for (uint32_t i = 0; i < c->n_ns; i++) {
		const struct exp_planner_ns *n = &c->ns[i];

		if (n->lba_bytes < 512 || !power_of_two(n->lba_bytes) ||
		    n->lba_bytes > c->extent_max)
			return exp_error_set(
				err, EXP_CODE_INVALID, EINVAL,
				"namespace %u has logical blocks of %u bytes, a power of "
				"two from 512 to %u is needed",
				i, n->lba_bytes, c->extent_max);
		if (!n->bytes || n->bytes > INT64_MAX || n->bytes % n->lba_bytes)
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "namespace %u has %llu bytes: not a whole number of "
					     "logical blocks of %u bytes, or none, or too many",
					     i, (unsigned long long)n->bytes, n->lba_bytes);
	}
	return 0;
}

int exp_planner_new(const struct exp_planner_config *cfg, struct exp_planner **ret,
		    struct exp_error *err)
{
	EXP_CLEANUP(exp_planner_freep) struct exp_planner *p = NULL;
	int r = check_config(cfg, err);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "no memory to plan a copy");
	p->cfg = *cfg;
	p->budget.max_bytes = cfg->map_bytes_max ? cfg->map_bytes_max : EXP_PLANNER_MAP_BYTES;
	p->rounds = 1;
	p->round_open = true;
	r = exp_inflight_new(cfg->n_ns, cfg->streams, &p->inflight);
	for (uint32_t i = 0; !r && i < cfg->n_ns; i++) {
		struct space *n = &p->ns[i];

		n->bytes = cfg->ns[i].bytes;
		n->unit = EXP_MAX(EXP_COPY_GRAIN, cfg->ns[i].lba_bytes);
		r = exp_ranges_new(cfg->ranges_max ? cfg->ranges_max : EXP_RANGES_MAX,
				   &n->allocated);
		if (!r)
			r = exp_dirty_new(n->bytes, &p->budget, &n->again);
		if (!r)
			r = exp_dirty_new(n->bytes, &p->budget, &n->now);
		if (!r)
			r = exp_dirty_new(n->bytes, &p->budget, &n->later);
	}
	if (r < 0)
		return exp_error_wrap(err, r, "plan a copy of %u namespaces", cfg->n_ns);
	*ret = EXP_TAKE(p);
	return 0;
}

void exp_planner_free(struct exp_planner *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		exp_ranges_free(p->ns[i].allocated);
		exp_dirty_free(p->ns[i].again);
		exp_dirty_free(p->ns[i].now);
		exp_dirty_free(p->ns[i].later);
	}
	exp_inflight_free(p->inflight);
	free(p);
}

static uint64_t round_down(const struct space *n, uint64_t at)
{
	return at - at % n->unit;
}

static uint64_t round_up(const struct space *n, uint64_t at)
{
	return at % n->unit ? EXP_MIN(round_down(n, at) + n->unit, n->bytes) : at;
}

/* Is it whole blocks inside the namespace? */
static bool good_range(const struct exp_planner *p, uint32_t ns, uint64_t offset, uint64_t len)
{
	uint64_t bytes = p->ns[ns].bytes, lba_bytes = p->cfg.ns[ns].lba_bytes;

	return offset <= bytes && len <= bytes - offset && offset % lba_bytes == 0 &&
	       len % lba_bytes == 0;
}

static bool first_pass_through(const struct space *n)
{
	return n->named_all && n->cursor == n->bytes;
}

static bool all_through(const struct exp_planner *p)
{
	for (uint32_t i = 0; i < p->cfg.n_ns; i++)
		if (!first_pass_through(&p->ns[i]))
			return false;
	return true;
}

static uint64_t dirty_total(const struct space *n)
{
	return exp_dirty_total(n->again) + exp_dirty_total(n->now) + exp_dirty_total(n->later);
}

/* What @map says of [@start, @end) is out of date. */
static void forget(struct exp_dirty *map, uint64_t start, uint64_t end)
{
	if (exp_dirty_total(map) && exp_dirty_clear(map, start, end - start) < 0)
		exp_dirty_set(map, start, end - start, EXP_MARK_WRITTEN);
}

static int mark(struct exp_planner *p, struct space *n, uint64_t start, uint64_t end,
		enum exp_mark m)
{
	uint64_t before = dirty_total(n), after;
	int r;

	if (start >= end)
		return 0;
	forget(n->again, round_down(n, start), round_up(n, end));
	forget(n->now, round_down(n, start), round_up(n, end));
	r = exp_dirty_set(n->later, start, end - start, m);
	after = dirty_total(n);
	if (after > before)
		p->marked_bytes += after - before;
	return r;
}

/*
 * Marks what of [@start, @end) the first pass will not read, or has read already. A gap counts as
 * read: it will be told as unallocated, which is no longer true.
 */
static int mark_unread(struct exp_planner *p, struct space *n, uint64_t start, uint64_t end,
		       enum exp_mark m)
{
	uint64_t at = EXP_MAX(start, n->cursor), from, to;
	int r = mark(p, n, start, EXP_MIN(end, n->cursor), m), r2 = 0;

	while (at < end && exp_ranges_find(n->allocated, at, &from, &to) && from < end) {
		r2 = mark(p, n, at, from, m); /* nothing, where at lies in the range */
		r = r ? r : r2;
		/* marked while it was a gap: deallocated may be untrue now, and it will be read */
		forget(n->later, EXP_MAX(round_down(n, at), from), EXP_MIN(round_up(n, end), to));
		at = to;
	}
	r2 = mark(p, n, at, end, m);
	return r ? r : r2;
}

int exp_planner_allocated(struct exp_planner *p, uint32_t ns, uint64_t offset, uint64_t len)
{
	uint64_t start, end, before;
	struct space *n;
	int r = 0;

	if (ns >= p->cfg.n_ns)
		return -EINVAL;
	n = &p->ns[ns];
	if (!good_range(p, ns, offset, len)) {
		offset = round_down(n, n->known);
		len = n->bytes - offset;
		r = -EINVAL;
	}
	if (n->given_up || !len)
		return r;
	start = round_down(n, offset);
	end = round_up(n, offset + len);
	if (start < n->last_start || n->named_all)
		mark_unread(p, n, start, EXP_MIN(end, n->known), EXP_MARK_WRITTEN);
	start = EXP_MAX(start, n->known);
	if (start >= end)
		return r;
	before = exp_ranges_bytes(n->allocated);
	exp_ranges_add(n->allocated, start, end);
	p->allocated_bytes += exp_ranges_bytes(n->allocated) - before;
	forget(n->later, start, end); /* changes noticed before: the pass will read them */
	n->last_start = start;
	n->known = end;
	return r;
}

void exp_planner_allocated_end(struct exp_planner *p, uint32_t ns)
{
	struct space *n = &p->ns[ns];

	assert(ns < p->cfg.n_ns);
	n->named_all = true;
	n->known = n->bytes;
}

int exp_planner_dirty(struct exp_planner *p, uint32_t ns, uint64_t offset, uint64_t len,
		      bool deallocated)
{
	struct space *n;

	if (ns >= p->cfg.n_ns)
		return -EINVAL;
	n = &p->ns[ns];
	if (!good_range(p, ns, offset, len)) {
		mark_unread(p, n, 0, n->bytes, EXP_MARK_WRITTEN);
		return -EINVAL;
	}
	return mark_unread(p, n, offset, offset + len,
			   deallocated ? EXP_MARK_DEALLOCATED : EXP_MARK_WRITTEN);
}

void exp_planner_all_dirty(struct exp_planner *p)
{
	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		struct space *n = &p->ns[i];

		/* gaps that were told may have been written since: the first pass has no ground */
		exp_ranges_consume(n->allocated, n->bytes);
		n->cursor = n->known = n->bytes;
		n->named_all = n->given_up = true;
		exp_dirty_set_all(n->again, EXP_MARK_CLEAN);
		exp_dirty_set_all(n->now, EXP_MARK_CLEAN);
		exp_dirty_set_all(n->later, EXP_MARK_WRITTEN);
	}
}

/* Extents stay inside windows of @size, so that streams and rounds cut a namespace alike. */
static uint64_t window_end(uint64_t at, uint64_t size)
{
	return (at / size + 1) * size;
}

static void fill(struct exp_extent *x, enum exp_extent_kind kind, uint64_t start, uint64_t end)
{
	x->kind = kind;
	x->offset = start;
	x->len = (uint32_t)(end - start);
}

/* The first part of @map in [@from, @to) that overlaps nothing in flight. */
static bool find_free(const struct exp_planner *p, uint32_t ns, const struct exp_dirty *map,
		      uint64_t from, uint64_t to, struct exp_extent *x)
{
	struct exp_dirty_run run;

	while (from < to && exp_dirty_next(map, from, to, EXP_COPY_RANGE_MAX, &run)) {
		bool read = run.mark == EXP_MARK_WRITTEN;
		uint64_t size = read ? p->cfg.extent_max : EXP_COPY_RANGE_MAX;
		uint64_t end = EXP_MIN(run.offset + run.len, window_end(run.offset, size));
		uint64_t busy, busy_end;

		if (exp_inflight_next(p->inflight, ns, run.offset, &busy, &busy_end)) {
			if (busy <= run.offset) {
				from = busy_end;
				continue;
			}
			end = EXP_MIN(end, busy);
		}
		fill(x, read ? EXP_EXTENT_READ : EXP_EXTENT_DEALLOCATED, run.offset, end);
		return true;
	}
	return false;
}

/*
 * Takes @x out of @map and puts it in flight, in this order: what is noticed from here on marks
 * again, whenever the read is issued.
 */
static int take_from(struct exp_planner *p, struct exp_dirty *map, struct exp_extent *x)
{
	int r = exp_dirty_clear(map, x->offset, x->len);

	if (r < 0)
		return r;
	r = exp_inflight_add(p->inflight, x);
	if (r < 0) {
		exp_dirty_set(map, x->offset, x->len,
			      x->kind == EXP_EXTENT_READ ? EXP_MARK_WRITTEN : EXP_MARK_DEALLOCATED);
		return r;
	}
	return 1;
}

static int take_again(struct exp_planner *p, struct exp_extent *x)
{
	struct space *n = &p->ns[x->ns];

	/* marks beyond the cursor are coarse ones: the first pass has not handed that out yet */
	if (!find_free(p, x->ns, n->again, 0, n->cursor, x))
		return 0;
	x->resent = true;
	return take_from(p, n->again, x);
}

static int take_first(struct exp_planner *p, struct exp_extent *x)
{
	struct space *n = &p->ns[x->ns];
	uint64_t at = n->cursor, start, end;
	int r;

	if (at >= n->known)
		return 0;
	if (!exp_ranges_find(n->allocated, at, &start, &end))
		start = end = n->known;
	if (start <= at)
		fill(x, EXP_EXTENT_READ, at, EXP_MIN(end, window_end(at, p->cfg.extent_max)));
	else
		fill(x, EXP_EXTENT_UNALLOCATED, at,
		     EXP_MIN(start, window_end(at, EXP_COPY_RANGE_MAX)));
	x->first_pass = true;
	r = exp_inflight_add(p->inflight, x);
	if (r < 0)
		return r;
	n->cursor = x->offset + x->len;
	exp_ranges_consume(n->allocated, n->cursor);
	return 1;
}

/*
 * A namespace whose first pass is not through gives nothing from its maps, not even at the end:
 * the pass would tell a gap as unallocated after a newer write in it was sent.
 */
static int take_now(struct exp_planner *p, struct exp_extent *x)
{
	struct space *n = &p->ns[x->ns];
	int r;

	if (!first_pass_through(n))
		return 0;
	if (!find_free(p, x->ns, n->now, n->pos, n->bytes, x) &&
	    !find_free(p, x->ns, n->now, 0, n->pos, x)) /* what was in flight when we passed */
		return 0;
	r = take_from(p, n->now, x);
	if (r > 0)
		n->pos = x->offset + x->len;
	return r;
}

static int take_later(struct exp_planner *p, struct exp_extent *x)
{
	struct space *n = &p->ns[x->ns];

	if (!first_pass_through(n) || !find_free(p, x->ns, n->later, 0, n->bytes, x))
		return 0;
	return take_from(p, n->later, x);
}

int exp_planner_take(struct exp_planner *p, uint32_t stream, bool last, struct exp_extent *ret)
{
	static int (*const sources[])(struct exp_planner *, struct exp_extent *) = {
		take_again,
		take_first,
		take_now,
		take_later,
	};
	const struct exp_planner_config *c = &p->cfg;

	assert(stream < exp_inflight_streams(p->inflight));
	if (exp_inflight_count(p->inflight, stream) >= c->window_extents ||
	    (c->window_bytes &&
	     exp_inflight_data(p->inflight, stream) > c->window_bytes - c->extent_max))
		return -EAGAIN;
	for (size_t s = 0; s < EXP_ARRAY_SIZE(sources); s++) {
		if (sources[s] == take_later && !last)
			break;
		for (uint32_t i = 0; i < c->n_ns; i++) {
			struct exp_extent x = { .ns = (p->turn + i) % c->n_ns, .stream = stream };
			int r = sources[s](p, &x);

			if (r < 0)
				return r;
			if (!r)
				continue;
			p->turn = (x.ns + 1) % c->n_ns;
			if (x.kind == EXP_EXTENT_READ) {
				p->taken_bytes += x.len;
				p->resent_bytes += x.resent ? x.len : 0;
			}
			*ret = x;
			return 1;
		}
	}
	return 0;
}

int exp_planner_durable(struct exp_planner *p, uint32_t session, uint32_t stream, uint64_t seq,
			struct exp_error *err)
{
	return exp_inflight_durable(p->inflight, session, stream, seq, err);
}

bool exp_planner_round(struct exp_planner *p)
{
	bool more = false;

	if (!all_through(p))
		return false;
	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		if (exp_dirty_total(p->ns[i].again) || exp_dirty_total(p->ns[i].now))
			return false;
		more |= exp_dirty_total(p->ns[i].later) > 0;
	}
	if (!more) {
		bool told = p->round_open;

		p->round_open = false;
		return told;
	}
	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		struct space *n = &p->ns[i];
		struct exp_dirty *empty = n->now;

		n->now = n->later;
		n->later = empty;
		n->pos = 0;
	}
	p->rounds++;
	p->round_open = true;
	return true;
}

/* Not acknowledged: to be sent again, except what changed since and will be sent as that. */
static void put_back(struct exp_planner *p, const struct exp_extent *x)
{
	struct space *n = &p->ns[x->ns];
	struct exp_dirty *newer[] = { n->now, n->later };
	uint64_t end = x->offset + x->len;
	struct exp_dirty_run run;

	exp_dirty_set(n->again, x->offset, x->len,
		      x->kind == EXP_EXTENT_READ ? EXP_MARK_WRITTEN : EXP_MARK_DEALLOCATED);
	for (size_t i = 0; i < EXP_ARRAY_SIZE(newer); i++) {
		uint64_t at = x->offset;

		for (; exp_dirty_next(newer[i], at, end, x->len, &run); at = run.offset + run.len)
			forget(n->again, run.offset, run.offset + run.len);
	}
}

uint32_t exp_planner_session(struct exp_planner *p, uint32_t streams)
{
	struct exp_extent x;

	while (exp_inflight_pop(p->inflight, &x))
		put_back(p, &x);
	return exp_inflight_session(p->inflight, streams);
}

uint64_t exp_planner_remaining(const struct exp_planner *p)
{
	uint64_t sum = exp_inflight_data_all(p->inflight);

	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		const struct space *n = &p->ns[i];

		sum += exp_ranges_bytes(n->allocated) + (n->bytes - n->known) +
		       exp_dirty_bytes(n->again, EXP_MARK_WRITTEN) +
		       exp_dirty_bytes(n->now, EXP_MARK_WRITTEN) +
		       exp_dirty_bytes(n->later, EXP_MARK_WRITTEN);
	}
	return sum;
}

bool exp_planner_all_taken(const struct exp_planner *p)
{
	for (uint32_t i = 0; i < p->cfg.n_ns; i++)
		if (dirty_total(&p->ns[i]))
			return false;
	return all_through(p);
}

bool exp_planner_drained(const struct exp_planner *p)
{
	return exp_planner_all_taken(p) && exp_inflight_empty(p->inflight);
}

void exp_planner_stats(const struct exp_planner *p, struct exp_planner_stats *ret)
{
	struct exp_planner_stats s = {
		.allocated_bytes = p->allocated_bytes,
		.inflight_bytes = exp_inflight_data_all(p->inflight),
		.taken_bytes = p->taken_bytes,
		.resent_bytes = p->resent_bytes,
		.marked_bytes = p->marked_bytes,
		.rounds = p->rounds,
		.session = exp_inflight_current(p->inflight),
		.map_bytes = p->budget.used_bytes,
	};

	for (uint32_t i = 0; i < p->cfg.n_ns; i++) {
		s.total_bytes += p->ns[i].bytes;
		s.first_left_bytes += exp_ranges_bytes(p->ns[i].allocated);
		s.dirty_bytes += dirty_total(&p->ns[i]);
	}
	for (uint32_t i = 0; i < exp_inflight_streams(p->inflight); i++) {
		s.extents[i] = exp_inflight_last(p->inflight, i);
		s.total_extents += s.extents[i];
	}
	*ret = s;
}
