/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflight.c - a queue per stream, a treap by offset per namespace, one entry in both
 *
 * Extents of a namespace are disjoint, so their order by offset is their order by end too. The
 * treap's priorities are the offsets, scrambled: no generator to seed, balanced for any input that
 * was not made for it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "copy/inflight.h"
#include "model/job.h"

struct entry {
	struct exp_extent x;
	struct entry *left, *right; /* below and above, in the treap */
	struct entry *next;         /* younger, in the queue */
};

struct stream {
	struct entry *oldest, *youngest;
	uint64_t last;
	uint32_t n;
	uint64_t data;
};

struct exp_inflight {
	uint32_t session, n_streams, n_ns;
	struct stream streams[EXP_JOB_STREAMS_MAX];
	struct entry *root[EXP_JOB_EXPORTS_MAX];
	uint64_t data;
};

int exp_inflight_new(uint32_t n_ns, uint32_t streams, struct exp_inflight **ret)
{
	struct exp_inflight *f;

	assert(n_ns && n_ns <= EXP_JOB_EXPORTS_MAX && streams && streams <= EXP_JOB_STREAMS_MAX);
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->session = 1;
	f->n_ns = n_ns;
	f->n_streams = streams;
	*ret = f;
	return 0;
}

void exp_inflight_free(struct exp_inflight *f)
{
	if (!f)
		return;
	for (uint32_t s = 0; s < f->n_streams; s++) {
		struct entry *e = f->streams[s].oldest;

		while (e) {
			struct entry *next = e->next;

			free(e);
			e = next;
		}
	}
	free(f);
}

static uint64_t end_of(const struct entry *e)
{
	return e->x.offset + e->x.len;
}

static uint64_t priority(const struct entry *e)
{
	uint64_t h = (e->x.offset / EXP_COPY_GRAIN + 1) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

/* All of @a lies below all of @b. */
static struct entry *merge(struct entry *a, struct entry *b)
{
	if (!a || !b)
		return a ? a : b;
	if (priority(a) > priority(b)) {
		a->right = merge(a->right, b);
		return a;
	}
	b->left = merge(a, b->left);
	return b;
}

static void insert(struct entry **root, struct entry *e)
{
	struct entry **below = &e->left, **above = &e->right, *t;

	while (*root && priority(*root) >= priority(e))
		root = e->x.offset < (*root)->x.offset ? &(*root)->left : &(*root)->right;
	for (t = *root; t;) { /* divide what hangs there by our offset */
		if (t->x.offset < e->x.offset) {
			*below = t;
			below = &t->right;
			t = t->right;
		} else {
			*above = t;
			above = &t->left;
			t = t->left;
		}
	}
	*below = *above = NULL;
	*root = e;
}

static void take_out(struct entry **root, struct entry *e)
{
	while (*root != e)
		root = e->x.offset < (*root)->x.offset ? &(*root)->left : &(*root)->right;
	*root = merge(e->left, e->right);
}

bool exp_inflight_next(const struct exp_inflight *f, uint32_t ns, uint64_t pos, uint64_t *ret_start,
		       uint64_t *ret_end)
{
	const struct entry *best = NULL;

	for (const struct entry *t = f->root[ns]; t;) {
		if (end_of(t) > pos) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	if (!best)
		return false;
	*ret_start = best->x.offset;
	*ret_end = end_of(best);
	return true;
}

int exp_inflight_add(struct exp_inflight *f, struct exp_extent *x)
{
	struct stream *s = &f->streams[x->stream];
	uint64_t start, end;
	struct entry *e;

	assert(x->stream < f->n_streams && x->ns < f->n_ns && x->len);
	assert(!exp_inflight_next(f, x->ns, x->offset, &start, &end) ||
	       start >= x->offset + x->len);
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	x->session = f->session;
	x->seq = ++s->last;
	e->x = *x;
	insert(&f->root[x->ns], e);
	if (s->youngest)
		s->youngest->next = e;
	else
		s->oldest = e;
	s->youngest = e;
	s->n++;
	if (x->kind == EXP_EXTENT_READ) {
		s->data += x->len;
		f->data += x->len;
	}
	return 0;
}

static void pop(struct exp_inflight *f, struct stream *s, struct exp_extent *ret)
{
	struct entry *e = s->oldest;

	s->oldest = e->next;
	if (!s->oldest)
		s->youngest = NULL;
	s->n--;
	if (e->x.kind == EXP_EXTENT_READ) {
		s->data -= e->x.len;
		f->data -= e->x.len;
	}
	take_out(&f->root[e->x.ns], e);
	if (ret)
		*ret = e->x;
	free(e);
}

int exp_inflight_durable(struct exp_inflight *f, uint32_t session, uint32_t stream, uint64_t seq,
			 struct exp_error *err)
{
	struct stream *s;

	if (session > f->session)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "acknowledged bulk session %u, the present one is %u", session,
				     f->session);
	if (session < f->session)
		return 0;
	if (stream >= f->n_streams)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EPROTO,
				     "acknowledged stream %u of session %u, which has %u", stream,
				     session, f->n_streams);
	s = &f->streams[stream];
	if (seq > s->last)
		return exp_error_set(
			err, EXP_CODE_PROTOCOL, EPROTO,
			"acknowledged extent %llu on stream %u of session %u, the last sent is %llu",
			(unsigned long long)seq, stream, session, (unsigned long long)s->last);
	while (s->oldest && s->oldest->x.seq <= seq)
		pop(f, s, NULL);
	return 0;
}

bool exp_inflight_pop(struct exp_inflight *f, struct exp_extent *ret)
{
	for (uint32_t i = 0; i < f->n_streams; i++) {
		if (f->streams[i].oldest) {
			pop(f, &f->streams[i], ret);
			return true;
		}
	}
	return false;
}

uint32_t exp_inflight_session(struct exp_inflight *f, uint32_t streams)
{
	assert(exp_inflight_empty(f) && streams && streams <= EXP_JOB_STREAMS_MAX);
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		f->streams[i] = (struct stream){ 0 };
	f->n_streams = streams;
	return ++f->session;
}

uint32_t exp_inflight_current(const struct exp_inflight *f)
{
	return f->session;
}

uint32_t exp_inflight_streams(const struct exp_inflight *f)
{
	return f->n_streams;
}

uint64_t exp_inflight_last(const struct exp_inflight *f, uint32_t stream)
{
	return f->streams[stream].last;
}

uint32_t exp_inflight_count(const struct exp_inflight *f, uint32_t stream)
{
	return f->streams[stream].n;
}

uint64_t exp_inflight_data(const struct exp_inflight *f, uint32_t stream)
{
	return f->streams[stream].data;
}

uint64_t exp_inflight_data_all(const struct exp_inflight *f)
{
	return f->data;
}

bool exp_inflight_empty(const struct exp_inflight *f)
{
	for (uint32_t i = 0; i < f->n_streams; i++)
		if (f->streams[i].oldest)
			return false;
	return true;
}
