/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs_control.c - what the control sockets ask of migrations: start, list, show, verbs, preflight
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config.h"
#include "control/api.h"
#include "control_server.h"
#include "expd.h"
#include "exports.h"
#include "inventory/events_db.h"
#include "inventory/jobs.h"
#include "jobs_int.h"
#include "peers.h"
#include "preflight.h"
#include "store.h"
#include "tls/digest.h"

/* The record may be ahead of what is durable; only the durable state is shown. */
struct exp_json *expd_job_json(const struct expd_job *j)
{
	const struct exp_job *rec = expd_job_record(j);
	struct exp_job *view = malloc(sizeof(*view));
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_json *v;

	if (!view)
		return NULL;
	*view = *rec; /* borrows the state blobs: freed with free() alone */
	if (expd_job_state(j))
		view->state = expd_job_state(j);
	else if (!view->state)
		view->state = j->role == EXP_ROLE_SOURCE ? (unsigned int)EXP_SRC_PREFLIGHT
							 : (unsigned int)EXP_DST_PREPARING;
	view->updated_ms = EXP_MAX(j->updated_ms, rec->updated_ms);
	if (exp_uuid_is_nil(&view->peer_host)) /* it was not known when the record was made */
		view->peer_host = expd_peers_host(j->x->peers, &rec->peer);
	for (uint32_t i = 0; i < rec->n_exports; i++) {
		const struct exp_export *e = expd_exports_find(j->x->exports, &rec->exports[i].id);

		if (e)
			owner[i] = e->owner;
	}
	v = exp_api_job(view, &j->progress, owner);
	free(view);
	return v;
}

static void reply_job(struct expd_request *rq, int status, const struct expd_job *j)
{
	char id[EXP_UUID_TEXT], location[64];

	exp_uuid_format(&j->id, id);
	snprintf(location, sizeof(location), "/v1/migrations/%s", id);
	expd_reply_created(rq, status, status == 202 ? location : NULL, expd_job_json(j));
}

/* A record from a request: exports looked up, owned here, held by nobody. */
static int record_from(struct expd *x, const struct exp_api_migration *m, struct exp_job **ret,
		       struct exp_ownership *owner, struct exp_error *err)
{
	EXP_CLEANUP(exp_job_freep) struct exp_job *rec = exp_job_new();

	if (!rec)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "job: out of memory");
	if (!expd_config_peer(x->config, m->to.s))
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, ENOENT,
				     "to: there is no peer %s in the configuration", m->to.s);
	rec->id = exp_uuid_new();
	rec->role = EXP_ROLE_SOURCE;
	rec->peer = m->to;
	rec->dirty = m->dirty;
	rec->hold = m->hold;
	rec->hold_lease_ms = m->hold_lease_ms ? m->hold_lease_ms : x->config->hold_lease_ms;
	rec->blackout_limit_ms = m->blackout_limit_ms ? m->blackout_limit_ms
						      : x->config->blackout_limit_ms;
	rec->want_device = m->to_device;
	rec->want_cntlid = m->to_controller;
	rec->created_ms = exp_wall_ms();
	for (uint32_t i = 0; i < m->n_exports; i++) {
		const struct exp_export *e = expd_exports_by_ref(x->exports, &m->exports[i]);
		struct exp_job_export *je = &rec->exports[i];
		char id[EXP_UUID_TEXT];

		if (!e || !*e->desc.nqn.s)
			return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT,
					     "exports[%u]: this host knows no export %s", i,
					     m->exports[i].by_nqn
						     ? m->exports[i].nqn.s
						     : exp_uuid_format(&m->exports[i].id, id));
		if (!e->owner.own)
			return exp_error_set(err, EXP_CODE_NOT_OWNER, EPERM,
					     "exports[%u]: %s is %s here%s%s", i, e->desc.nqn.s,
					     exp_export_status_name(e->status),
					     *e->owner_peer.s ? "; it was handed to " : "",
					     e->owner_peer.s);
		if (expd_jobs_holder(x->jobs, &e->id))
			return exp_error_set(
				err, EXP_CODE_BUSY, EBUSY,
				"exports[%u]: %s is held by migration %s", i, e->desc.nqn.s,
				exp_uuid_format(&expd_jobs_holder(x->jobs, &e->id)->id, id));
		if (!exp_uuid_is_nil(&e->job))
			return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
					     "exports[%u]: %s is being created or deleted by "
					     "another request",
					     i, e->desc.nqn.s);
		je->id = e->id;
		je->desc = e->desc;
		je->here = e->place;
		owner[i] = expd_exports_ownership(x->exports, &e->id);
		rec->n_exports++;
	}
	*ret = EXP_TAKE(rec);
	return 0;
}

/* POST /v1/migrations on its way: the key is looked up first, the answer waits for the commit. */
struct start {
	struct expd_request *rq;
	struct exp_api_migration m;
	char key[EXP_KEY_MAX + 1];
	uint8_t sha256[EXP_SHA256_BYTES];
	struct exp_job *same;
};

static void start_free(struct start *s)
{
	exp_job_free(s->same);
	free(s);
}

static void start_now(struct expd *x, struct start *s)
{
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX];
	struct expd_waiting_verb *w = calloc(1, sizeof(*w));
	struct exp_error err = { 0 };
	struct exp_job *rec;
	struct expd_job *j;
	int r;

	if (!w)
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "job: out of memory");
	else if (x->jobs->open >= x->config->max_jobs)
		r = exp_error_set(&err, EXP_CODE_BUSY, EBUSY,
				  "%u migrations are open, max_jobs is %u", x->jobs->open,
				  x->config->max_jobs);
	else
		r = record_from(x, &s->m, &rec, owner, &err);
	if (r == 0) {
		memcpy(rec->key, s->key, sizeof(rec->key));
		memcpy(rec->body_sha256, s->sha256, sizeof(rec->body_sha256));
		r = expd_job_new(x, rec, owner, &j, &err);
	}
	if (r < 0) {
		free(w);
		expd_reply_error(s->rq, &err);
	} else {
		w->rq = s->rq; /* verb 0: answered as soon as the job is durable */
		j->waiting = w;
		expd_jobs_add(x->jobs, j);
		expd_job_begin(j, false);
	}
	start_free(s);
}

static int run_by_key(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct start *s = arg;
	int r = exp_jobs_by_key(db, s->key, &s->same, err);

	return r == -ENOENT ? 0 : r;
}

static void reply_stored(struct expd_request *rq, int status, const struct exp_job *rec)
{
	expd_reply_json(rq, status, exp_api_job(rec, NULL, NULL));
}

static void key_looked_up(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct start *s = arg;
	struct exp_error reused = { 0 };
	struct expd_job *j;
	char id[EXP_UUID_TEXT];

	if (r < 0) {
		expd_reply_error(s->rq, err);
	} else if (!s->same) {
		start_now(x, s);
		return;
	} else if (memcmp(s->same->body_sha256, s->sha256, sizeof(s->sha256))) {
		exp_error_set(&reused, EXP_CODE_KEY_REUSED, EINVAL,
			      "this Idempotency-Key started migration %s with another body",
			      exp_uuid_format(&s->same->id, id));
		expd_reply_error(s->rq, &reused);
	} else {
		j = expd_job_find(x, &s->same->id, EXP_ROLE_SOURCE);
		if (j)
			reply_job(s->rq, 202, j);
		else
			reply_stored(s->rq, 202, s->same);
	}
	start_free(s);
}

static int parse_body(struct expd_request *rq, struct exp_api_migration *ret, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *v = NULL;
	int r = expd_request_json(rq, &v, err);

	return r < 0 ? r : exp_api_parse_migration(v, ret, err);
}

static bool refuse_unless_running(struct expd *x, struct expd_request *rq)
{
	struct exp_error err = { 0 };

	if (x->phase == EXPD_RUNNING)
		return false;
	exp_error_set(&err, x->phase == EXPD_STARTING ? EXP_CODE_STARTING : EXP_CODE_STOPPING,
		      EAGAIN, "the daemon is %s",
		      x->phase == EXPD_STARTING ? "still recovering: see /v1/health" : "stopping");
	expd_reply_error(rq, &err);
	return true;
}

void expd_jobs_start(struct expd *x, struct expd_request *rq)
{
	struct start *s = calloc(1, sizeof(*s));
	const char *key = expd_request_header(rq, "Idempotency-Key");
	struct exp_error err = { 0 };
	const void *body;
	size_t len;
	int r;

	if (refuse_unless_running(x, rq)) {
		free(s);
		return;
	}
	if (!s)
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	else
		r = parse_body(rq, &s->m, &err);
	if (r == 0 && key)
		r = exp_api_parse_key(key, s->key, &err);
	if (r == 0) {
		body = expd_request_body(rq, &len);
		if (exp_digest_sha256(body, len, s->sha256) < 0)
			r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	}
	if (r < 0) {
		expd_reply_error(rq, &err);
		free(s);
		return;
	}
	s->rq = rq;
	if (key)
		expd_store_run(x->store, false, run_by_key, key_looked_up, s);
	else
		start_now(x, s);
}

static void answer_verb(struct expd_job *j, struct expd_waiting_verb *w)
{
	struct exp_error err = { 0 };

	if (!w->verb) { /* the start itself */
		if (!j->ended || expd_job_state(j))
			reply_job(w->rq, 202, j);
		else
			expd_reply_error(w->rq, &expd_job_record(j)->error);
		free(w);
		return;
	}
	switch (j->ended ? EXP_VERB_NONE
			 : expd_job_verb(j, w->verb, w->memory.memory, w->memory.n_memory, &err)) {
	case EXP_VERB_WAIT:
		w->next = j->waiting;
		j->waiting = w;
		return;
	case EXP_VERB_ACCEPTED: reply_job(w->rq, 202, j); break;
	case EXP_VERB_REFUSED: expd_reply_error(w->rq, &err); break;
	case EXP_VERB_NONE: /* it ended meanwhile: the outcome is the answer */
		if ((w->verb == EXP_VERB_CANCEL || w->verb == EXP_VERB_ABORT) &&
		    expd_job_record(j)->state == EXP_SRC_DONE) {
			exp_error_set(&err, EXP_CODE_TOO_LATE, EALREADY,
				      "too late: host %s owns it", expd_job_record(j)->peer.s);
			expd_reply_error(w->rq, &err);
		} else {
			reply_job(w->rq, 200, j);
		}
		break;
	}
	free(w);
}

void expd_jobs_answer_waiting(struct expd_job *j)
{
	struct expd_waiting_verb *w = j->waiting, *next;

	j->waiting = NULL;
	for (; w; w = next) {
		next = w->next;
		answer_verb(j, w);
	}
}

static struct expd_job *either_role(struct expd *x, const char *text, struct exp_uuid *id,
				    struct exp_error *err)
{
	struct expd_job *j;

	if (exp_uuid_parse(text, id) < 0) {
		exp_error_set(err, EXP_CODE_INVALID, EINVAL,
			      "\"%s\" is no migration id: a UUID is needed", text);
		return NULL;
	}
	j = expd_job_find(x, id, EXP_ROLE_SOURCE);
	if (!j)
		j = expd_job_find(x, id, EXP_ROLE_DESTINATION);
	if (!j)
		exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "there is no migration %s here",
			      text);
	return j;
}

void expd_jobs_verb(struct expd *x, struct expd_request *rq, const char *id, enum exp_verb verb,
		    const struct exp_api_target_ready *memory)
{
	struct exp_error err = { 0 };
	struct exp_uuid uuid;
	struct expd_waiting_verb *w;
	struct expd_job *j;

	if (refuse_unless_running(x, rq))
		return;
	j = either_role(x, id, &uuid, &err);
	if (!j) {
		expd_reply_error(rq, &err);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
		expd_reply_error(rq, &err);
		return;
	}
	w->rq = rq;
	w->verb = verb;
	if (memory)
		w->memory = *memory;
	answer_verb(j, w);
}

/* What memory has forgotten: from the journal, with how it went from the history. */
struct lookup {
	struct expd_request *rq;
	struct exp_uuid id;
	struct exp_job *rec;
	struct exp_history history;
	bool have_history;
};

static int run_history(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct lookup *l = arg;
	int r = exp_history_get(db, &l->id, l->rec->role, &l->history, err);

	l->have_history = r == 0;
	return 0; /* without: the record alone */
}

static void history_found(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct lookup *l = arg;

	(void)x;
	(void)r;
	(void)err;
	expd_reply_json(l->rq, 200,
			exp_api_job(l->rec, l->have_history ? &l->history.progress : NULL, NULL));
	exp_job_free(l->rec);
	free(l);
}

static int run_get(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct lookup *l = arg;
	int r = exp_jobs_get(db, &l->id, EXP_ROLE_SOURCE, &l->rec, err);

	return r == -ENOENT ? exp_jobs_get(db, &l->id, EXP_ROLE_DESTINATION, &l->rec, err) : r;
}

static void record_found(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct lookup *l = arg;

	if (r < 0) {
		expd_reply_error(l->rq, err);
		free(l);
		return;
	}
	expd_store_run_events(x->store, run_history, history_found, l);
}

void expd_jobs_show(struct expd *x, struct expd_request *rq, const char *id)
{
	struct exp_error err = { 0 };
	struct exp_uuid uuid;
	struct expd_job *j = either_role(x, id, &uuid, &err);
	struct lookup *l;

	if (j) {
		reply_job(rq, 200, j);
		return;
	}
	l = err.code == EXP_CODE_NOT_FOUND ? calloc(1, sizeof(*l)) : NULL;
	if (!l) {
		expd_reply_error(rq, &err);
		return;
	}
	l->rq = rq;
	l->id = uuid;
	expd_store_run(x->store, false, run_get, record_found, l);
}

/* GET /v1/migrations: the journal's order, the live state of those that are open. */
struct listing {
	struct expd_request *rq;
	struct exp_jobs_filter f;
	struct exp_uuid export_id;
	struct exp_json *arr;
	struct listed {
		struct exp_uuid id;
		enum exp_role role;
		struct exp_json *stored;
	} * rows;
	size_t n, cap;
};

static int keep_row(struct exp_job **j, void *arg)
{
	struct listing *l = arg;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct listed *bigger = realloc(l->rows, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		l->rows = bigger;
		l->cap = cap;
	}
	l->rows[l->n++] = (struct listed){ (*j)->id, (*j)->role, exp_api_job(*j, NULL, NULL) };
	return 0;
}

static int run_list(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct listing *l = arg;

	return exp_jobs_list(db, &l->f, keep_row, l, err);
}

static void listed(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct listing *l = arg;

	for (size_t i = 0; i < l->n; i++) {
		const struct expd_job *j = expd_job_find(x, &l->rows[i].id, l->rows[i].role);

		if (j) {
			exp_json_free(l->rows[i].stored);
			l->rows[i].stored = expd_job_json(j);
		}
		exp_json_add(l->arr, l->rows[i].stored);
	}
	if (r < 0) {
		exp_json_free(l->arr);
		expd_reply_error(l->rq, err);
	} else {
		expd_reply_json(l->rq, 200, exp_api_list("migrations", l->arr));
	}
	free(l->rows);
	free(l);
}

void expd_jobs_list(struct expd *x, struct expd_request *rq,
		    const struct exp_api_migrations_query *q)
{
	struct listing *l = calloc(1, sizeof(*l));
	const struct exp_export *e = NULL;
	struct exp_error err = { 0 };
	bool nothing = false;

	if (!l) {
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
		expd_reply_error(rq, &err);
		return;
	}
	l->rq = rq;
	l->arr = exp_json_array();
	l->f.open = q->open;
	l->f.limit = q->limit;
	if (*q->state) {
		bool s = exp_state_by_name(EXP_ROLE_SOURCE, q->state, &l->f.src_state) == 0;
		bool d = exp_state_by_name(EXP_ROLE_DESTINATION, q->state, &l->f.dst_state) == 0;

		nothing = !s && !d;
		if (s && !d)
			l->f.role = EXP_ROLE_SOURCE;
		else if (d && !s)
			l->f.role = EXP_ROLE_DESTINATION;
	}
	if (q->has_export) {
		e = expd_exports_by_ref(x->exports, &q->export_ref);
		nothing = nothing || !e;
		if (e) {
			l->export_id = e->id;
			l->f.export_id = &l->export_id;
		}
	}
	if (nothing) {
		const struct exp_error fine = { 0 };

		listed(x, l, 0, &fine);
		return;
	}
	expd_store_run(x->store, false, run_list, listed, l);
}

/* POST /v1/preflight */
struct dry_run {
	struct expd_request *rq;
	struct expd_preflight *running;
	uint32_t n;
};

static void dry_run_done(struct expd *x, void *arg, const struct exp_error *err,
			 const struct expd_preflight_result *res)
{
	struct dry_run *d = arg;

	(void)x;
	if (err->code != EXP_CODE_OK) {
		expd_reply_refusal(d->rq, err, res ? &res->findings : NULL);
	} else {
		struct exp_api_preflight p = { .findings = &res->findings,
					       .device = res->device,
					       .n_cntlid = d->n,
					       .path = res->path,
					       .bytes = res->bytes,
					       .eta_ms = UINT64_MAX };

		memcpy(p.cntlid, res->cntlid, sizeof(p.cntlid));
		expd_reply_json(d->rq, 200, exp_api_preflight(&p));
	}
	free(d);
}

void expd_jobs_preflight(struct expd *x, struct expd_request *rq)
{
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX];
	EXP_CLEANUP(exp_job_freep) struct exp_job *rec = NULL;
	struct exp_api_migration m;
	struct exp_error err = { 0 };
	struct dry_run *d;

	if (refuse_unless_running(x, rq))
		return;
	if (parse_body(rq, &m, &err) < 0 || record_from(x, &m, &rec, owner, &err) < 0) {
		expd_reply_error(rq, &err);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
		expd_reply_error(rq, &err);
		return;
	}
	d->rq = rq;
	d->n = rec->n_exports;
	expd_preflight_start(x, rec, dry_run_done, d, &d->running);
}
