/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c - a radix tree of leaves, 64 slots to a node
 *
 * A slot is clean, wholly written, wholly deallocated, or has a child that is none of these (but
 * see split()). Whatever becomes uniform is replaced by a bit in its parent. The root node is part
 * of the map, so that "everything is dirty" can always be said.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy/dirty.h"

#define LEAF_GRAINS (EXP_DIRTY_LEAF / EXP_COPY_GRAIN) /* 512 */
#define LEAF_WORDS  (LEAF_GRAINS / 64)
#define SLOTS       64u
#define N_MARKS     3

struct leaf {
	uint64_t dirty[LEAF_WORDS];
	uint64_t *dealloc; /* LEAF_WORDS of them, a subset of dirty; NULL: none */
};

struct node {
	uint64_t written, deallocated; /* bit per slot: all of it */
	uint64_t below;                /* bit per slot: see the child */
	void *child[SLOTS];            /* struct leaf on level 1, struct node above */
};

struct exp_dirty {
	uint64_t bytes, grains;
	unsigned int levels;     /* of nodes; the root's level */
	uint64_t count[N_MARKS]; /* grains by mark; CLEAN is not kept */
	struct exp_dirty_budget *budget;
	struct node root;
};

/* Grains under one slot of a node on @level. */
static uint64_t span_of(unsigned int level)
{
	return (uint64_t)LEAF_GRAINS << (6 * (level - 1));
}

/* Bits [@a, @b) of a word; 0 <= a < b <= 64. */
static uint64_t bits(unsigned int a, unsigned int b)
{
	uint64_t upto = b == 64 ? UINT64_MAX : (UINT64_C(1) << b) - 1;

	return upto & ~((UINT64_C(1) << a) - 1);
}

static unsigned int ones(uint64_t w)
{
	return (unsigned int)__builtin_popcountll(w);
}

int exp_dirty_new(uint64_t bytes, struct exp_dirty_budget *budget, struct exp_dirty **ret)
{
	struct exp_dirty *d;

	if (!bytes || bytes > INT64_MAX)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->bytes = bytes;
	d->grains = (bytes + EXP_COPY_GRAIN - 1) / EXP_COPY_GRAIN;
	d->budget = budget;
	d->levels = 1;
	while (span_of(d->levels) * SLOTS < d->grains)
		d->levels++;
	*ret = d;
	return 0;
}

/* @beyond: the budget may be passed. */
static void *get(struct exp_dirty *d, size_t size, bool beyond)
{
	struct exp_dirty_budget *b = d->budget;
	void *p;

	if (!beyond && (size > b->max_bytes || b->used_bytes > b->max_bytes - size))
		return NULL;
	p = calloc(1, size);
	if (p)
		b->used_bytes += size;
	return p;
}

static void put(struct exp_dirty *d, void *p, size_t size)
{
	if (!p)
		return;
	assert(d->budget->used_bytes >= size);
	d->budget->used_bytes -= size;
	free(p);
}

static uint64_t dealloc_word(const struct leaf *l, unsigned int w)
{
	return l->dealloc ? l->dealloc[w] : 0;
}

static void leaf_free(struct exp_dirty *d, struct leaf *l)
{
	put(d, l->dealloc, LEAF_WORDS * sizeof(*l->dealloc));
	put(d, l, sizeof(*l));
}

/* Takes what is under a child out of the counts, and releases it. */
static void drop(struct exp_dirty *d, void *child, unsigned int child_level, uint64_t base)
{
	struct node *n = child;
	uint64_t span;

	if (!child_level) {
		struct leaf *l = child;

		for (unsigned int w = 0; w < LEAF_WORDS; w++) {
			unsigned int told = ones(dealloc_word(l, w));

			d->count[EXP_MARK_DEALLOCATED] -= told;
			d->count[EXP_MARK_WRITTEN] -= ones(l->dirty[w]) - told;
		}
		leaf_free(d, l);
		return;
	}
	span = span_of(child_level);
	for (unsigned int i = 0; i < SLOTS; i++) {
		uint64_t bit = UINT64_C(1) << i, at = base + i * span;

		if (n->below & bit)
			drop(d, n->child[i], child_level - 1, at);
		else if (n->written & bit)
			d->count[EXP_MARK_WRITTEN] -= EXP_MIN(span, d->grains - at);
		else if (n->deallocated & bit)
			d->count[EXP_MARK_DEALLOCATED] -= EXP_MIN(span, d->grains - at);
	}
	if (n != &d->root)
		put(d, n, sizeof(*n));
}

/* Makes slot @i of @n, which begins at grain @at, uniformly @mark. */
static void slot_set(struct exp_dirty *d, struct node *n, unsigned int level, unsigned int i,
		     uint64_t at, enum exp_mark mark)
{
	uint64_t bit = UINT64_C(1) << i, grains = EXP_MIN(span_of(level), d->grains - at);

	if (n->below & bit)
		drop(d, n->child[i], level - 1, at);
	else if (n->written & bit)
		d->count[EXP_MARK_WRITTEN] -= grains;
	else if (n->deallocated & bit)
		d->count[EXP_MARK_DEALLOCATED] -= grains;
	n->child[i] = NULL;
	n->below &= ~bit;
	n->written &= ~bit;
	n->deallocated &= ~bit;
	if (mark == EXP_MARK_WRITTEN)
		n->written |= bit;
	else if (mark == EXP_MARK_DEALLOCATED)
		n->deallocated |= bit;
	if (mark != EXP_MARK_CLEAN)
		d->count[mark] += grains;
}

static enum exp_mark slot_mark(const struct node *n, unsigned int i)
{
	if (n->written >> i & 1)
		return EXP_MARK_WRITTEN;
	return n->deallocated >> i & 1 ? EXP_MARK_DEALLOCATED : EXP_MARK_CLEAN;
}

/* Slots of a node on @level that begins at grain @base which lie in the namespace. */
static uint64_t valid_slots(const struct exp_dirty *d, unsigned int level, uint64_t base)
{
	uint64_t span = span_of(level), n = (d->grains - base + span - 1) / span;

	return bits(0, (unsigned int)EXP_MIN(n, (uint64_t)SLOTS));
}

static unsigned int valid_grains(const struct exp_dirty *d, uint64_t base)
{
	return (unsigned int)EXP_MIN(d->grains - base, (uint64_t)LEAF_GRAINS);
}

/* Gives slot @i a child that says what the slot said. false: no memory, nothing changed. */
static bool slot_open(struct exp_dirty *d, struct node *n, unsigned int level, unsigned int i,
		      uint64_t at, bool beyond)
{
	enum exp_mark mark = slot_mark(n, i);
	uint64_t bit = UINT64_C(1) << i;

	if (level == 1) {
		struct leaf *l = get(d, sizeof(*l), beyond);
		unsigned int left = valid_grains(d, at);

		if (!l)
			return false;
		if (mark == EXP_MARK_DEALLOCATED) {
			l->dealloc = get(d, LEAF_WORDS * sizeof(*l->dealloc), beyond);
			if (!l->dealloc) {
				leaf_free(d, l);
				return false;
			}
		}
		for (unsigned int w = 0; mark != EXP_MARK_CLEAN && left; w++) {
			unsigned int here = EXP_MIN(left, 64u);

			l->dirty[w] = bits(0, here);
			if (l->dealloc)
				l->dealloc[w] = l->dirty[w];
			left -= here;
		}
		n->child[i] = l;
	} else {
		struct node *c = get(d, sizeof(*c), beyond);

		if (!c)
			return false;
		if (mark == EXP_MARK_WRITTEN)
			c->written = valid_slots(d, level - 1, at);
		else if (mark == EXP_MARK_DEALLOCATED)
			c->deallocated = valid_slots(d, level - 1, at);
		n->child[i] = c;
	}
	n->written &= ~bit;
	n->deallocated &= ~bit;
	n->below |= bit;
	return true;
}

/* Bits [@a, @b) of a leaf become @mark. false: they are WRITTEN for want of memory. */
static bool leaf_set(struct exp_dirty *d, struct leaf *l, unsigned int a, unsigned int b,
		     enum exp_mark mark)
{
	bool as_asked = true;

	if (mark == EXP_MARK_DEALLOCATED && !l->dealloc) {
		l->dealloc = get(d, LEAF_WORDS * sizeof(*l->dealloc), false);
		if (!l->dealloc) {
			mark = EXP_MARK_WRITTEN;
			as_asked = false;
		}
	}
	while (a < b) {
		unsigned int w = a / 64, end = EXP_MIN(b, (w + 1) * 64);
		uint64_t m = bits(a % 64, end - w * 64), told = dealloc_word(l, w) & m;
		uint64_t written = l->dirty[w] & m & ~told;

		d->count[EXP_MARK_WRITTEN] -= ones(written);
		d->count[EXP_MARK_DEALLOCATED] -= ones(told);
		if (mark == EXP_MARK_CLEAN) {
			l->dirty[w] &= ~m;
		} else {
			l->dirty[w] |= m;
			d->count[mark] += ones(m);
		}
		if (mark == EXP_MARK_DEALLOCATED)
			l->dealloc[w] |= m;
		else if (l->dealloc)
			l->dealloc[w] &= ~m;
		a = end;
	}
	return as_asked;
}

/* Is all under the child of one mark? */
static bool child_uniform(const struct exp_dirty *d, const void *child, unsigned int child_level,
			  uint64_t base, enum exp_mark *ret)
{
	const struct node *n = child;
	uint64_t valid;

	if (!child_level) {
		const struct leaf *l = child;
		unsigned int dirty = 0, told = 0, all = valid_grains(d, base);

		for (unsigned int w = 0; w < LEAF_WORDS; w++) {
			dirty += ones(l->dirty[w]);
			told += ones(dealloc_word(l, w));
		}
		*ret = !dirty ? EXP_MARK_CLEAN : told ? EXP_MARK_DEALLOCATED : EXP_MARK_WRITTEN;
		return !dirty || (dirty == all && (!told || told == all));
	}
	valid = valid_slots(d, child_level, base);
	*ret = n->written       ? EXP_MARK_WRITTEN
	       : n->deallocated ? EXP_MARK_DEALLOCATED
				: EXP_MARK_CLEAN;
	return !n->below &&
	       (!(n->written | n->deallocated) || n->written == valid || n->deallocated == valid);
}

/*
 * Grains [@a, @b) under @n become @mark. false: memory ended, and something larger is WRITTEN.
 * Clearing needs no memory here: split() went before.
 */
static bool apply(struct exp_dirty *d, struct node *n, unsigned int level, uint64_t base,
		  uint64_t a, uint64_t b, enum exp_mark mark)
{
	uint64_t span = span_of(level);
	bool as_asked = true;

	while (a < b) {
		unsigned int i = (unsigned int)((a - base) / span);
		uint64_t at = base + i * span, end = EXP_MIN(at + span, d->grains);
		uint64_t to = EXP_MIN(b, end), from = a;
		enum exp_mark whole;

		a = to;
		if (from == at && to == end) {
			slot_set(d, n, level, i, at, mark);
			continue;
		}
		if (!(n->below >> i & 1)) {
			if (slot_mark(n, i) == mark)
				continue;
			if (!slot_open(d, n, level, i, at, false)) {
				assert(mark != EXP_MARK_CLEAN);
				slot_set(d, n, level, i, at, EXP_MARK_WRITTEN);
				as_asked = false;
				continue;
			}
		}
		if (level == 1)
			as_asked &= leaf_set(d, n->child[i], (unsigned int)(from - at),
					     (unsigned int)(to - at), mark);
		else
			as_asked &= apply(d, n->child[i], level - 1, at, from, to, mark);
		if (child_uniform(d, n->child[i], level - 1, at, &whole))
			slot_set(d, n, level, i, at, whole);
	}
	return as_asked;
}

/*
 * No uniform slot lies across grain @g any more; one that was divided keeps a uniform child until
 * the next apply() comes by. -ENOMEM: what the map says is the same.
 */
static int split(struct exp_dirty *d, uint64_t g)
{
	void *at = &d->root;
	uint64_t base = 0;

	if (g >= d->grains)
		return 0;
	for (unsigned int level = d->levels; level; level--) {
		struct node *n = at;
		unsigned int i = (unsigned int)((g - base) / span_of(level));

		base += i * span_of(level);
		if (g == base)
			return 0;
		if (!(n->below >> i & 1)) {
			if (slot_mark(n, i) == EXP_MARK_CLEAN)
				return 0;
			if (!slot_open(d, n, level, i, base, true))
				return -ENOMEM;
		}
		at = n->child[i];
	}
	return 0;
}

static enum exp_mark leaf_look(const struct leaf *l, unsigned int b, unsigned int *ret_end)
{
	enum exp_mark mark = EXP_MARK_CLEAN;

	if (dealloc_word(l, b / 64) >> (b % 64) & 1)
		mark = EXP_MARK_DEALLOCATED;
	else if (l->dirty[b / 64] >> (b % 64) & 1)
		mark = EXP_MARK_WRITTEN;
	for (; b < LEAF_GRAINS; b = (b / 64 + 1) * 64) {
		uint64_t told = dealloc_word(l, b / 64), dirty = l->dirty[b / 64], differ = 0;

		switch (mark) {
		case EXP_MARK_CLEAN: differ = dirty; break;
		case EXP_MARK_WRITTEN: differ = ~dirty | told; break;
		case EXP_MARK_DEALLOCATED: differ = ~told; break;
		}
		differ >>= b % 64;
		if (differ) {
			b += (unsigned int)__builtin_ctzll(differ);
			break;
		}
	}
	*ret_end = b;
	return mark;
}

/* The mark of grain @g; *ret_end: up to there all have it (it may go on beyond). */
static enum exp_mark look(const struct exp_dirty *d, uint64_t g, uint64_t *ret_end)
{
	const void *at = &d->root;
	uint64_t base = 0;
	enum exp_mark mark;
	unsigned int end;

	for (unsigned int level = d->levels; level; level--) {
		const struct node *n = at;
		unsigned int i = (unsigned int)((g - base) / span_of(level));
		uint64_t differ = 0;

		if (n->below >> i & 1) {
			base += i * span_of(level);
			at = n->child[i];
			continue;
		}
		mark = slot_mark(n, i);
		switch (mark) {
		case EXP_MARK_CLEAN: differ = n->written | n->deallocated | n->below; break;
		case EXP_MARK_WRITTEN: differ = ~n->written; break;
		case EXP_MARK_DEALLOCATED: differ = ~n->deallocated; break;
		}
		differ >>= i;
		end = differ ? i + (unsigned int)__builtin_ctzll(differ) : SLOTS;
		*ret_end = base + end * span_of(level);
		return mark;
	}
	mark = leaf_look(at, (unsigned int)(g - base), &end);
	*ret_end = base + end;
	return mark;
}

int exp_dirty_set(struct exp_dirty *d, uint64_t offset, uint64_t len, enum exp_mark mark)
{
	uint64_t end = offset + len, outer_a, outer_b, a, b;
	bool as_asked = true;

	assert(mark != EXP_MARK_CLEAN && offset <= d->bytes && len <= d->bytes - offset);
	if (!len)
		return 0;
	outer_a = a = offset / EXP_COPY_GRAIN;
	outer_b = b = (end + EXP_COPY_GRAIN - 1) / EXP_COPY_GRAIN;
	if (mark == EXP_MARK_DEALLOCATED) {
		a = (offset + EXP_COPY_GRAIN - 1) / EXP_COPY_GRAIN;
		b = end == d->bytes ? d->grains : end / EXP_COPY_GRAIN;
		if (a >= b) {
			a = b = outer_b; /* not one whole grain */
		} else if (b < outer_b) {
			as_asked &= apply(d, &d->root, d->levels, 0, b, outer_b, EXP_MARK_WRITTEN);
		}
		if (outer_a < a)
			as_asked &= apply(d, &d->root, d->levels, 0, outer_a, a, EXP_MARK_WRITTEN);
	}
	if (a < b)
		as_asked &= apply(d, &d->root, d->levels, 0, a, b, mark);
	return as_asked ? 0 : -ENOMEM;
}

void exp_dirty_set_all(struct exp_dirty *d, enum exp_mark mark)
{
	uint64_t valid = valid_slots(d, d->levels, 0);

	for (unsigned int i = 0; i < SLOTS && valid >> i & 1; i++)
		slot_set(d, &d->root, d->levels, i, i * span_of(d->levels), mark);
}

int exp_dirty_clear(struct exp_dirty *d, uint64_t offset, uint64_t len)
{
	uint64_t a = offset / EXP_COPY_GRAIN,
		 b = (offset + len + EXP_COPY_GRAIN - 1) / EXP_COPY_GRAIN;
	int r;

	assert(offset <= d->bytes && len <= d->bytes - offset);
	if (!len)
		return 0;
	r = split(d, a);
	if (!r)
		r = split(d, b);
	if (!r)
		apply(d, &d->root, d->levels, 0, a, b, EXP_MARK_CLEAN);
	return r;
}

bool exp_dirty_next(const struct exp_dirty *d, uint64_t from, uint64_t to, uint64_t max,
		    struct exp_dirty_run *ret)
{
	uint64_t g = from / EXP_COPY_GRAIN, stop, end, start;
	enum exp_mark mark = EXP_MARK_CLEAN;

	to = EXP_MIN(to, d->bytes);
	stop = (to + EXP_COPY_GRAIN - 1) / EXP_COPY_GRAIN;
	for (; g < stop; g = end) {
		mark = look(d, g, &end);
		if (mark != EXP_MARK_CLEAN)
			break;
	}
	if (g >= stop || from >= to)
		return false;
	start = g;
	stop = EXP_MIN(stop, start + EXP_MAX(max / EXP_COPY_GRAIN, (uint64_t)1));
	while (end < stop && look(d, end, &g) == mark)
		end = g;
	end = EXP_MIN(end, stop);
	ret->offset = start * EXP_COPY_GRAIN;
	ret->len = EXP_MIN(end * EXP_COPY_GRAIN, to) - ret->offset;
	ret->mark = mark;
	return true;
}

uint64_t exp_dirty_bytes(const struct exp_dirty *d, enum exp_mark mark)
{
	uint64_t bytes = d->count[mark] * EXP_COPY_GRAIN, end;

	/* the namespace may end inside its last grain */
	if (bytes && d->grains * EXP_COPY_GRAIN != d->bytes && look(d, d->grains - 1, &end) == mark)
		bytes -= d->grains * EXP_COPY_GRAIN - d->bytes;
	return bytes;
}

uint64_t exp_dirty_total(const struct exp_dirty *d)
{
	return exp_dirty_bytes(d, EXP_MARK_WRITTEN) + exp_dirty_bytes(d, EXP_MARK_DEALLOCATED);
}

void exp_dirty_free(struct exp_dirty *d)
{
	if (!d)
		return;
	drop(d, &d->root, d->levels, 0);
	free(d);
}
