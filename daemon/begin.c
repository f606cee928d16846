/* SPDX-License-Identifier: Apache-2.0 */
/*
 * begin.c - messages about jobs that are not open here: old ones are answered, new ones begun
 *
 * What an answer promises (a raised floor) is durable before it is sent. A new PREPARE is
 * authorised and a place is looked for as if the peer had never asked before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "exports.h"
#include "handover/answer.h"
#include "handover/preflight.h"
#include "inventory/exports.h"
#include "inventory/jobs.h"
#include "jobs_int.h"
#include "peers.h"
#include "store.h"
#include "target.h"

static void known_exports(const struct expd_jobs *js, const struct exp_msg *m,
			  struct exp_known_export known[EXP_JOB_EXPORTS_MAX])
{
	memset(known, 0, sizeof(*known) * EXP_JOB_EXPORTS_MAX);
	for (uint32_t i = 0; i < m->n_exports; i++) {
		const struct exp_export *e = expd_exports_find(js->x->exports, &m->exports[i].id);

		known[i].busy = expd_jobs_holder(js, &m->exports[i].id) != NULL;
		known[i].queued_floor = expd_exports_queued_floor(js->x->exports,
								  &m->exports[i].id);
		if (!e)
			continue;
		known[i].owner = e->owner;
		known[i].status = e->status;
		known[i].owner_peer = e->owner_peer;
	}
}

/* A reply on its way: its changes are stored first. */
struct answer {
	struct exp_name peer;
	struct exp_msg head; /* of the question: job, attempt, exports; owns nothing */
	struct exp_reply reply;
};

static int run_answer(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct answer *a = arg;
	struct exp_export_change c[EXP_JOB_EXPORTS_MAX];
	struct exp_export now;

	/* only floors rise: who owns it is what is durable by now, behind all that was queued */
	for (uint32_t i = 0; i < a->reply.n_changes; i++) {
		struct exp_own_change *o = &a->reply.changes[i];
		int r = exp_exports_get(db, &o->id, &now, err);

		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0) {
			o->owner.own = now.owner.own;
			o->status = now.status;
			o->owner_peer = now.owner_peer;
		}
		c[i] = (struct exp_export_change){ .id = o->id,
						   .owner = o->owner,
						   .status = o->status,
						   .owner_peer = o->owner_peer };
	}
	return exp_exports_put(db, c, a->reply.n_changes, exp_wall_ms(), err);
}

static void answer_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct answer *a = arg;
	struct exp_msg m;

	for (uint32_t i = 0; r == 0 && i < a->reply.n_changes; i++)
		r = expd_exports_raise(x->exports, &a->reply.changes[i]);
	if (r < 0) { /* not durable, so not said; the peer repeats */
		exp_log(LOG_WARNING, "an answer could not be stored", kv_s("peer", a->peer.s),
			kv_s("error", err->msg));
	} else {
		exp_reply_message(&a->reply, &a->head, &m);
		expd_peers_try(x->peers, &a->peer, &m);
		exp_msg_done(&m);
	}
	free(a);
}

static void send_reply(struct expd *x, const struct exp_name *peer, const struct exp_msg *m,
		       const struct exp_reply *reply)
{
	const struct exp_error fine = { 0 };
	struct answer *a;

	if (reply->alarm.code != EXP_CODE_OK)
		exp_log(LOG_ERR, "a person should look at this", kv_s("peer", peer->s),
			kv_s("error", reply->alarm.msg));
	if (reply->kind != EXP_REPLY_SEND)
		return;
	a = calloc(1, sizeof(*a));
	if (!a)
		return;
	a->peer = *peer;
	a->head = (struct exp_msg){ .type = EXP_MSG_QUERY,
				    .job = m->job,
				    .attempt = m->attempt,
				    .role = m->role,
				    .state = m->state,
				    .n_exports = m->n_exports };
	memcpy(a->head.exports, m->exports, sizeof(a->head.exports));
	a->reply = *reply;
	for (uint32_t i = 0; i < reply->n_changes; i++) {
		const struct exp_own_change *c = &reply->changes[i];

		a->reply.changes[i].status = expd_exports_status(x->exports, c);
		if (expd_exports_queue_floor(x->exports, &c->id, c->owner.floor) < 0) {
			free(a);
			return; /* the peer repeats */
		}
	}
	if (a->reply.n_changes)
		expd_store_run(x->store, true, run_answer, answer_done, a);
	else
		answer_done(x, a, 0, &fine);
}

/* A PREPARE whose place is being looked for; the same one may come again meanwhile. */
struct expd_begin {
	struct expd *x;
	struct exp_name peer;
	struct exp_msg prepare;
	struct expd_begin *next;
};

static void begin_free(struct expd_begin *b)
{
	exp_msg_done(&b->prepare);
	free(b);
}

static int copy_prepare(const struct exp_msg *m, struct exp_msg *ret)
{
	*ret = *m;
	ret->prepare.descs = calloc(m->prepare.n_descs, sizeof(*ret->prepare.descs));
	if (!ret->prepare.descs)
		return -ENOMEM;
	memcpy(ret->prepare.descs, m->prepare.descs,
	       m->prepare.n_descs * sizeof(*ret->prepare.descs));
	return 0;
}

static int create_job(struct expd_begin *b, const struct expd_target *t, struct exp_error *err)
{
	struct expd *x = b->x;
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_job *rec;
	struct expd_job *j;
	int r;

	r = exp_dst_job_new(&b->prepare, &b->peer, &rec, err);
	if (r < 0)
		return r;
	rec->peer_host = expd_peers_host(x->peers, &b->peer);
	rec->created_ms = exp_wall_ms();
	for (uint32_t i = 0; i < rec->n_exports; i++) {
		struct exp_place *here = &rec->exports[i].here;

		here->device = t->device;
		memcpy(here->serial, t->caps.serial, sizeof(here->serial));
		here->cntlid = t->cntlid[i];
		owner[i] = expd_exports_ownership(x->exports, &rec->exports[i].id);
	}
	r = expd_job_new(x, rec, owner, &j, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < rec->n_exports; i++) {
		const struct exp_export *e = expd_exports_find(x->exports, &rec->exports[i].id);

		if (e && !e->owner.own)
			j->old_place[i] = e->place;
	}
	expd_jobs_add(x->jobs, j);
	expd_job_begin(j, false);
	return 0;
}

/* A name that this host knows under another id would never fit into its inventory. */
static void check_names(struct expd *x, const struct exp_msg *m, struct exp_findings *fs)
{
	for (uint32_t i = 0; i < m->n_exports; i++) {
		const struct exp_export_desc *d = &m->prepare.descs[i];
		const struct exp_api_ref ref = { .by_nqn = true, .nqn = d->nqn };
		const struct exp_export *e = expd_exports_by_ref(x->exports, &ref);
		bool twice = false;

		for (uint32_t k = 0; k < i; k++)
			twice = twice || !strcmp(d->nqn.s, m->prepare.descs[k].nqn.s);
		if (twice || (e && !exp_uuid_eq(&e->id, &m->exports[i].id)))
			exp_findings_add(fs, EXP_FINDING_REFUSAL, "NAME_TAKEN",
					 "one export for each NQN", d->nqn.s, "a free name",
					 "the destination knows another export called %s, or the "
					 "request names it twice",
					 d->nqn.s);
	}
}

static void place_found(struct expd *x, void *arg, const struct expd_target *t)
{
	struct expd_begin *b = arg, **p;
	struct exp_known_export known[EXP_JOB_EXPORTS_MAX];
	struct exp_findings *fs = calloc(1, sizeof(*fs));
	struct exp_error err = { 0 };
	struct exp_reply reply;
	int r = -ENOMEM;

	for (p = &x->jobs->beginning; *p && *p != b; p = &(*p)->next)
		;
	if (*p)
		*p = b->next;
	if (!t || !fs)
		goto out; /* it comes again */
	known_exports(x->jobs, &b->prepare, known);
	exp_dst_answer(known, &b->prepare, &reply);
	if (reply.kind != EXP_REPLY_BEGIN) { /* something came between */
		send_reply(x, &b->peer, &b->prepare, &reply);
		goto out;
	}
	*fs = t->findings;
	check_names(x, &b->prepare, fs);
	exp_preflight_restart(t->device.s, false, x->config->allow_reset_on_restart,
			      b->prepare.prepare.dirty, fs);
	r = exp_findings_error(fs, EXP_CODE_PEER_REFUSED, &err);
	if (r == 0)
		r = create_job(b, t, &err);
	if (r < 0) {
		exp_log(LOG_WARNING, "a migration was refused", kv_s("peer", b->peer.s),
			kv_s("error", err.msg));
		exp_dst_refuse(known, &b->prepare, &err, &reply);
		send_reply(x, &b->peer, &b->prepare, &reply);
	}
out:
	free(fs);
	begin_free(b);
}

static void begin(struct expd_jobs *js, const struct exp_name *peer, const struct exp_msg *m)
{
	struct expd_begin *b;

	for (b = js->beginning; b; b = b->next)
		if (exp_uuid_eq(&b->prepare.job, &m->job))
			return; /* on its way */
	if (js->x->phase != EXPD_RUNNING || expd_store_peer_pending(js->x->store, peer))
		return; /* it comes again */
	b = calloc(1, sizeof(*b));
	if (!b || copy_prepare(m, &b->prepare) < 0) {
		free(b);
		return;
	}
	b->x = js->x;
	b->peer = *peer;
	b->next = js->beginning;
	js->beginning = b;
	expd_target_choose(js->x, peer, &m->prepare.device, m->prepare.cntlid, m->prepare.descs,
			   m->prepare.n_descs, place_found, b);
}

/* Our old record of a job that the peer still asks about. */
struct old_job {
	struct exp_name peer;
	struct exp_msg m; /* head only */
	struct exp_job *closed;
};

static int run_old(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct old_job *o = arg;
	int r = exp_jobs_get(db, &o->m.job, EXP_ROLE_SOURCE, &o->closed, err);

	return r == -ENOENT ? 0 : r;
}

static void old_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct old_job *o = arg;
	struct exp_reply reply;

	(void)err;
	if (r == 0) {
		exp_src_answer(o->closed, &o->m, &reply);
		send_reply(x, &o->peer, &o->m, &reply);
	}
	exp_job_free(o->closed);
	free(o);
}

/* Whoever lacks the right lacks it for every later message too, so no record is needed. */
static void refuse_without_trace(struct expd *x, const struct exp_name *peer,
				 const struct exp_msg *m)
{
	const struct exp_known_export known[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_error err = { 0 };
	struct exp_reply reply;

	exp_error_set(&err, EXP_CODE_PEER_RIGHTS, EACCES,
		      "peer %s has not the right may_send at the destination", peer->s);
	exp_dst_refuse(known, m, &err, &reply);
	reply.n_changes = 0;
	send_reply(x, peer, m, &reply);
}

void expd_jobs_stranger(struct expd_jobs *js, const struct exp_name *peer, const struct exp_msg *m)
{
	struct exp_known_export known[EXP_JOB_EXPORTS_MAX];
	struct exp_reply reply;
	struct old_job *o;

	if (js->x->phase == EXPD_STARTING)
		return; /* answers only after every record has been looked at */
	if (m->role == EXP_ROLE_SOURCE) {
		/* an answer may raise floors for ever: only for who may send here at all */
		if (!expd_peers_has_right(js->x->peers, peer, EXPD_MAY_SEND)) {
			exp_log(LOG_WARNING, "message of a peer that may not send here",
				kv_s("peer", peer->s), kv_s("what", exp_msg_name(m->type)));
			if (m->type == EXP_MSG_PREPARE)
				refuse_without_trace(js->x, peer, m);
			return;
		}
		known_exports(js, m, known);
		exp_dst_answer(known, m, &reply);
		if (reply.kind == EXP_REPLY_BEGIN)
			begin(js, peer, m);
		else
			send_reply(js->x, peer, m, &reply);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (!o)
		return;
	o->peer = *peer;
	o->m = *m;
	memset(&o->m.hello, 0, sizeof(o->m) - offsetof(struct exp_msg, hello));
	expd_store_run(js->x->store, false, run_old, old_done, o);
}

void expd_jobs_begin_free(struct expd_jobs *js)
{
	/* the device tasks have ended by now, so nobody comes back to these */
	while (js->beginning) {
		struct expd_begin *b = js->beginning;

		js->beginning = b->next;
		begin_free(b);
	}
}
