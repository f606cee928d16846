/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon writes and says: commits that are slow, fail, or fail and are durable all the same;
 * messages that are lost, doubled, late and out of order; answers for jobs that are not open.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* ------------------------------------------------------------------ the database */

void sim_apply(struct sim *s, struct sim_host *h, struct sim_commit *c)
{
	uint32_t i;

	for (i = 0; i < c->n_changes; i++) {
		int x = sim_export_nr(s, &c->changes[i].id);
		struct exp_ownership *o = &h->own[x];

		o->own = c->changes[i].owner.own;
		o->floor = EXP_MAX(o->floor, c->changes[i].owner.floor);
		o->maxown = EXP_MAX(o->maxown, c->changes[i].owner.maxown);
	}
	if (!c->rec)
		return;
	for (i = 0; i < h->n_rec && !exp_uuid_eq(&h->rec[i]->id, &c->rec->id); i++)
		;
	if (i == SIM_RECORDS)
		abort();
	if (i == h->n_rec)
		h->n_rec++;
	else
		exp_job_free(h->rec[i]);
	h->rec[i] = EXP_TAKE(c->rec);
	sim_note_commit(s, h, h->rec[i]);
}

static void netmsg_unref(void *p)
{
	struct sim_netmsg *m = p;

	if (!m || --m->refs)
		return;
	exp_msg_done(&m->m);
	free(m);
}

void sim_commit_free(struct sim_commit *c)
{
	exp_job_free(c->rec);
	netmsg_unref(c->then);
	free(c);
}

static void commit_over(struct sim *s, int host, uint32_t life, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_commit *c = h->commits;
	struct exp_event ev = { .type = EXP_EV_COMMITTED };
	struct sim_job *j;
	bool failed, full;

	(void)b;
	if (life != h->life)
		return; /* settled by the crash; @p is gone */
	if (c != p)
		abort();
	h->commits = c->next;
	full = s->now_ms < h->full_ms;
	failed = full || sim_fault(s, 25);
	if (!failed || (!full && sim_rnd(s, 2))) /* one that fails may be durable all the same */
		sim_apply(s, h, c);
	if (failed) {
		sim_say(s, host, "database: a commit failed");
		ev.type = EXP_EV_COMMIT_FAILED;
		exp_error_set(&ev.commit.err, EXP_CODE_DB, 5, "commit: I/O error");
	}
	ev.commit.seq = c->seq;
	j = sim_job_by_uid(h, c->uid);
	if (j)
		sim_step(s, h, j, &ev);
	if (c->then && !failed)
		sim_send(s, h, EXP_TAKE(c->then));
	sim_commit_free(c);
}

void sim_commit(struct sim *s, struct sim_host *h, struct sim_commit *c)
{
	struct sim_commit **end = &h->commits;

	for (uint32_t i = 0; i < c->n_changes; i++) {
		int x = sim_export_nr(s, &c->changes[i].id);

		/* an epoch is closed from the moment that this is meant to become durable */
		h->floor[x] = EXP_MAX(h->floor[x], c->changes[i].owner.floor);
	}
	while (*end)
		end = &(*end)->next;
	*end = c;
	h->commit_free_ms = EXP_MAX(h->commit_free_ms, s->now_ms) + 1 + sim_delay(s, 3);
	sim_at(s, h->commit_free_ms - s->now_ms, commit_over, h->nr, h->life, 0, c);
}

/* ------------------------------------------------------------------ messages */

static void answer(struct sim *s, struct sim_host *h, const struct exp_msg *m);

static void deliver(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_netmsg *n = p;
	struct exp_event ev = { .type = EXP_EV_MSG, .msg = &n->m };
	struct sim_job *j;

	(void)a;
	(void)b;
	if (h->up) {
		j = sim_job_by_id(h, &n->m.job);
		if (j && j->job->role != n->m.role)
			sim_step(s, h, j, &ev);
		else
			answer(s, h, &n->m);
	}
	netmsg_unref(n);
}

void sim_send(struct sim *s, struct sim_host *from, struct sim_netmsg *m)
{
	int copies = 1;

	if (!sim_linked(s) || sim_fault(s, 60))
		copies = 0;
	else if (sim_fault(s, 60))
		copies = 2;
	sim_say(s, from->nr, "-> %s (epoch %llu)%s", exp_msg_name(m->m.type),
		(unsigned long long)m->m.exports[0].epoch,
		copies == 1 ? ""
		: copies    ? " [twice]"
			    : " [lost]");
	for (int i = 0; i < copies; i++) {
		m->refs++;
		sim_at(s, 1 + sim_delay(s, 8), deliver, 1 - from->nr, 0, 0, m);
		sim_own(s, netmsg_unref);
	}
	netmsg_unref(m);
}

struct sim_netmsg *sim_netmsg(void)
{
	struct sim_netmsg *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	n->refs = 1;
	return n;
}

static void begin_receiving(struct sim *s, struct sim_host *h, const struct exp_msg *m,
			    const struct exp_known_export *known, struct exp_reply *r)
{
	struct exp_name peer = { .s = "peer" };
	struct exp_job *job = NULL;
	struct exp_error err;
	struct sim_job *j;

	if (sim_fault(s, 60)) {
		exp_error_set(&err, EXP_CODE_NO_SPACE, 0, "no room");
		exp_dst_refuse(known, m, &err, r);
		return;
	}
	r->kind = EXP_REPLY_IGNORE;
	if (exp_dst_job_new(m, &peer, &job, &err) < 0) {
		sim_break(s, "an honest PREPARE was not understood: %s", err.msg);
		return;
	}
	j = sim_open_job(s, h, job);
	if (j)
		sim_begin(s, h, j, EXP_EV_START);
}

/* A message about a job that is not open here. */
static void answer(struct sim *s, struct sim_host *h, const struct exp_msg *m)
{
	struct exp_known_export known[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_job *closed = NULL;
	struct sim_netmsg *n;
	struct sim_commit *c;
	struct exp_reply r;

	for (uint32_t i = 0; i < m->n_exports; i++) {
		int x = sim_export_nr(s, &m->exports[i].id);

		known[i].owner = h->own[x];
		known[i].queued_floor = h->floor[x];
		known[i].busy = sim_busy(h, x);
	}
	for (uint32_t i = 0; i < h->n_rec; i++)
		if (exp_uuid_eq(&h->rec[i]->id, &m->job))
			closed = h->rec[i];
	if (m->role == EXP_ROLE_DESTINATION)
		exp_src_answer(closed, m, &r);
	else
		exp_dst_answer(known, m, &r);
	if (r.alarm.code)
		sim_break(s, "alarm among honest hosts: %s", r.alarm.msg);
	if (r.kind == EXP_REPLY_BEGIN)
		begin_receiving(s, h, m, known, &r);
	if (r.kind != EXP_REPLY_SEND)
		return;
	n = sim_netmsg();
	exp_reply_message(&r, m, &n->m);
	if (!r.n_changes) {
		sim_send(s, h, n);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->n_changes = r.n_changes;
	memcpy(c->changes, r.changes, sizeof(c->changes));
	c->then = n;
	sim_commit(s, h, c);
}
