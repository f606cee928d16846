/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "expd.h"
#include "exports.h"
#include "inventory/exports.h"
#include "store.h"

struct queued {
	struct exp_uuid id;
	uint64_t floor;
};

/* Sorted by id: a host has hundreds, and the API asks by id. */
struct expd_exports {
	struct exp_export **e;
	size_t n, cap;
	struct queued *queued; /* one for each export that ever had a floor queued, in no order */
	size_t n_queued, cap_queued;
};

static size_t place_of(const struct expd_exports *es, const struct exp_uuid *id, bool *found)
{
	size_t lo = 0, hi = es->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = exp_uuid_cmp(&es->e[mid]->id, id);

		if (!c) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = false;
	return lo;
}

static struct exp_export *get(const struct expd_exports *es, const struct exp_uuid *id)
{
	bool found;
	size_t i = place_of(es, id, &found);

	return found ? es->e[i] : NULL;
}

int expd_exports_put(struct expd_exports *es, const struct exp_export *e)
{
	bool found;
	size_t i = place_of(es, &e->id, &found);
	struct exp_export *copy;

	if (found) {
		*es->e[i] = *e;
		return 0;
	}
	if (es->n == es->cap) {
		size_t cap = es->cap ? es->cap * 2 : 64;
		struct exp_export **bigger = realloc(es->e, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		es->e = bigger;
		es->cap = cap;
	}
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *e;
	memmove(&es->e[i + 1], &es->e[i], (es->n - i) * sizeof(*es->e));
	es->e[i] = copy;
	es->n++;
	return 0;
}

static int load_one(const struct exp_export *e, void *arg)
{
	return expd_exports_put(arg, e);
}

int expd_exports_load(struct expd *x, struct expd_exports **ret, struct exp_error *err)
{
	struct expd_exports *es = calloc(1, sizeof(*es));
	int r;

	if (!es)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "exports: out of memory");
	r = exp_exports_list(expd_store_journal(x->store), load_one, es, err);
	if (r < 0) {
		expd_exports_free(es);
		return exp_error_wrap(err, r, "read the exports");
	}
	*ret = es;
	return 0;
}

void expd_exports_free(struct expd_exports *es)
{
	if (!es)
		return;
	for (size_t i = 0; i < es->n; i++)
		free(es->e[i]);
	free(es->e);
	free(es->queued);
	free(es);
}

size_t expd_exports_count(const struct expd_exports *es)
{
	return es->n;
}

const struct exp_export *expd_exports_at(const struct expd_exports *es, size_t i)
{
	return es->e[i];
}

const struct exp_export *expd_exports_find(const struct expd_exports *es, const struct exp_uuid *id)
{
	return get(es, id);
}

const struct exp_export *expd_exports_by_ref(const struct expd_exports *es,
					     const struct exp_api_ref *ref)
{
	if (!ref->by_nqn)
		return get(es, &ref->id);
	for (size_t i = 0; i < es->n; i++)
		if (!strcmp(es->e[i]->desc.nqn.s, ref->nqn.s))
			return es->e[i];
	return NULL;
}

int expd_exports_known(const struct expd_exports *es, struct exp_msg_known **ret, uint32_t *ret_n,
		       struct exp_error *err)
{
	size_t n = EXP_MIN(es->n, (size_t)EXP_MSG_KNOWN_MAX);
	struct exp_msg_known *k = calloc(n ? n : 1, sizeof(*k));

	if (!k)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "hello: out of memory");
	for (size_t i = 0; i < n; i++) {
		k[i].id = es->e[i]->id;
		k[i].own = es->e[i]->owner.own;
		k[i].floor = es->e[i]->owner.floor;
		k[i].status = es->e[i]->status;
	}
	*ret = k;
	*ret_n = (uint32_t)n;
	return 0;
}

void expd_exports_forget(struct expd_exports *es, const struct exp_uuid *id)
{
	struct exp_export *e = get(es, id);

	if (!e)
		return;
	memset(&e->desc, 0, sizeof(e->desc));
	memset(&e->place, 0, sizeof(e->place));
	e->owner.own = 0;
	e->status = EXP_EXPORT_AWAY;
}

bool expd_exports_place_counts(const struct exp_job *j, const struct exp_own_change *c)
{
	return j->role == EXP_ROLE_SOURCE || c->owner.own > 0;
}

enum exp_export_status expd_exports_status(const struct expd_exports *es,
					   const struct exp_own_change *c)
{
	const struct exp_export *e = get(es, &c->id);

	if (c->status != EXP_STATUS_UNCHANGED)
		return c->status;
	return e && e->status ? e->status : EXP_EXPORT_AWAY;
}

/* The ownership part of a change; *ret is the export, made when it was not known. */
static int raise(struct expd_exports *es, const struct exp_own_change *c, struct exp_export **ret)
{
	struct exp_export fresh = { .id = c->id, .created_ms = exp_wall_ms() };
	struct exp_export *e = get(es, &c->id);
	int r;

	if (!e) {
		r = expd_exports_put(es, &fresh);
		if (r < 0)
			return r;
		e = get(es, &c->id);
	}
	e->owner.own = c->owner.own;
	e->owner.floor = EXP_MAX(e->owner.floor, c->owner.floor);
	e->owner.maxown = EXP_MAX(e->owner.maxown, c->owner.maxown);
	e->status = expd_exports_status(es, c);
	e->owner_peer = c->owner_peer;
	*ret = e;
	return 0;
}

static struct queued *queued_of(const struct expd_exports *es, const struct exp_uuid *id)
{
	for (size_t i = 0; i < es->n_queued; i++)
		if (exp_uuid_eq(&es->queued[i].id, id))
			return &es->queued[i];
	return NULL;
}

int expd_exports_queue_floor(struct expd_exports *es, const struct exp_uuid *id, uint64_t floor)
{
	struct queued *q = queued_of(es, id);

	if (!q && es->n_queued == es->cap_queued) {
		size_t cap = es->cap_queued ? es->cap_queued * 2 : 16;
		struct queued *bigger = realloc(es->queued, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		es->queued = bigger;
		es->cap_queued = cap;
	}
	if (!q) {
		q = &es->queued[es->n_queued++];
		*q = (struct queued){ .id = *id };
	}
	q->floor = EXP_MAX(q->floor, floor);
	return 0;
}

uint64_t expd_exports_queued_floor(const struct expd_exports *es, const struct exp_uuid *id)
{
	const struct queued *q = queued_of(es, id);

	return q ? q->floor : 0;
}

struct exp_ownership expd_exports_ownership(const struct expd_exports *es,
					    const struct exp_uuid *id)
{
	const struct exp_export *e = get(es, id);
	struct exp_ownership o = e ? e->owner : (struct exp_ownership){ 0 };

	o.floor = EXP_MAX(o.floor, expd_exports_queued_floor(es, id));
	return o;
}

int expd_exports_raise(struct expd_exports *es, const struct exp_own_change *c)
{
	struct exp_export *e;

	return raise(es, c, &e);
}

int expd_exports_apply(struct expd_exports *es, const struct exp_job *j,
		       const struct exp_own_change *changes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct exp_job_export *je = &j->exports[changes[i].index];
		struct exp_export *e;
		int r = raise(es, &changes[i], &e);

		if (r < 0)
			return r;
		e->desc = je->desc;
		if (expd_exports_place_counts(j, &changes[i]))
			e->place = je->here;
	}
	return 0;
}

void expd_exports_hold(struct expd_exports *es, const struct exp_uuid *id,
		       const struct exp_uuid *job)
{
	struct exp_export *e = get(es, id);

	if (e)
		e->job = job ? *job : (struct exp_uuid){ 0 };
}
