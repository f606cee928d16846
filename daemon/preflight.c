/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/rng.h"
#include "config.h"
#include "device_service.h"
#include "expd.h"
#include "guest_view.h"
#include "handover/preflight.h"
#include "peers.h"
#include "preflight.h"
#include "store.h"

#define ANSWER_MS 10000 /* for a connection, and for the peer to look at its drive */
#define AGAIN_MS  500   /* the question, or its answer, may be lost */

struct expd_preflight {
	struct expd *x;
	struct exp_job *rec;
	expd_preflight_fn fn;
	void *arg;
	struct expd_preflight **slot;
	uint64_t request, until_ms;
	struct exp_caps src;
	bool reading;  /* a device task has us */
	bool finished; /* freed when that task comes back */
	struct event *timer;
	struct expd_preflight *next, **link; /* x->preflights */
	struct expd_preflight_result res;
};

static void unlink_it(struct expd_preflight *p)
{
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	event_del(p->timer);
	*p->slot = NULL;
	expd_peers_want(p->x->peers, &p->rec->peer, -1);
}

static void destroy(struct expd_preflight *p)
{
	if (p->timer)
		event_free(p->timer);
	exp_job_free(p->rec);
	free(p);
}

static void finish(struct expd_preflight *p, const struct exp_error *err)
{
	unlink_it(p);
	p->finished = true;
	p->fn(p->x, p->arg, err, &p->res);
	if (!p->reading)
		destroy(p);
}

void expd_preflight_cancel(struct expd_preflight *p)
{
	if (!p)
		return;
	unlink_it(p);
	p->finished = true;
	if (!p->reading)
		destroy(p);
}

static void ask(struct expd_preflight *p)
{
	struct exp_msg m = { .type = EXP_MSG_CAPS, .request = p->request };
	const struct exp_job *rec = p->rec;

	m.caps.device = rec->want_device;
	m.caps.cntlid = rec->want_cntlid;
	m.caps.dirty = rec->dirty;
	m.caps.n_descs = rec->n_exports;
	m.caps.descs = calloc(rec->n_exports, sizeof(*m.caps.descs));
	if (m.caps.descs) {
		for (uint32_t i = 0; i < rec->n_exports; i++)
			m.caps.descs[i] = rec->exports[i].desc;
		expd_peers_try(p->x->peers, &rec->peer, &m); /* lost: the timer asks again */
	}
	exp_msg_done(&m);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expd_preflight *p = arg;
	struct exp_error err = { 0 };

	(void)fd;
	(void)what;
	if (exp_mono_ms() < p->until_ms) {
		ask(p);
		event_add(p->timer, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
		return;
	}
	if (expd_peers_connected(p->x->peers, &p->rec->peer))
		exp_error_set(&err, EXP_CODE_PEER_GONE, ETIMEDOUT,
			      "peer %s has not said within %d s what its drive can do",
			      p->rec->peer.s, ANSWER_MS / 1000);
	else
		expd_peers_why(p->x->peers, &p->rec->peer, &err);
	finish(p, &err);
}

void expd_preflight_link(struct expd *x, const struct exp_name *peer)
{
	for (struct expd_preflight *p = x->preflights; p; p = p->next)
		if (!p->reading && !strcmp(p->rec->peer.s, peer->s))
			ask(p);
}

void expd_preflight_refused(struct expd *x, const struct exp_name *peer,
			    const struct exp_error *err)
{
	struct exp_error why = *err;

	exp_error_wrap(&why, 0, "peer %s", peer->s);
	for (struct expd_preflight *p = x->preflights, *next; p; p = next) {
		next = p->next;
		if (!p->reading && !strcmp(p->rec->peer.s, peer->s))
			finish(p, &why);
	}
}

static int run_refresh(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct expd_preflight *p = arg;
	int r = exp_device_refresh(d, err);

	if (r == 0)
		exp_device_caps(d, &p->src);
	return r;
}

static void refresh_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct expd_preflight *p = arg;

	p->reading = false;
	if (p->finished) {
		destroy(p);
		return;
	}
	if (r < 0) {
		finish(p, err);
		return;
	}
	expd_device_refreshed(x, &p->rec->exports[0].here.device, &p->src);
	ask(p);
	event_add(p->timer, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
}

/* What this host itself objects to, before any drive is asked. */
static void check_policy(struct expd_preflight *p)
{
	const struct exp_job *rec = p->rec;
	struct exp_findings *fs = &p->res.findings;

	for (uint32_t i = 0; i < rec->n_exports; i++) {
		const struct exp_job_export *e = &rec->exports[i];
		struct exp_error err = { 0 };

		if (expd_peers_allows(p->x->peers, &rec->peer, EXPD_MAY_RECEIVE, e->desc.nqn.s,
				      &err) < 0)
			exp_findings_add(fs, EXP_FINDING_REFUSAL, "PEER_RIGHTS",
					 "the peer has the right may_receive here", rec->peer.s,
					 e->desc.nqn.s, "%s", err.msg);
		if (strcmp(e->here.device.s, rec->exports[0].here.device.s))
			exp_findings_add(fs, EXP_FINDING_REFUSAL, "SEVERAL_DEVICES",
					 "the exports of one job lie on one drive",
					 e->here.device.s, rec->exports[0].here.device.s,
					 "%s is on %s, the first export on %s: move them in "
					 "separate jobs",
					 e->desc.nqn.s, e->here.device.s,
					 rec->exports[0].here.device.s);
		p->res.bytes += exp_export_bytes(&e->desc);
	}
	/* without a descriptor store a restart of the daemon resets the drive */
	exp_preflight_restart(rec->exports[0].here.device.s, false,
			      p->x->config->allow_reset_on_restart, rec->dirty, fs);
}

void expd_preflight_start(struct expd *x, const struct exp_job *rec, expd_preflight_fn fn,
			  void *arg, struct expd_preflight **slot)
{
	struct expd_preflight *p = calloc(1, sizeof(*p));
	const struct exp_error oom = { .code = EXP_CODE_NO_MEMORY,
				       .errnum = ENOMEM,
				       .msg = "preflight: out of memory" };

	if (p) {
		p->rec = exp_job_copy(rec);
		p->timer = event_new(x->base, -1, 0, on_timer, p);
	}
	if (!p || !p->rec || !p->timer) {
		if (p)
			destroy(p);
		fn(x, arg, &oom, NULL);
		return;
	}
	p->x = x;
	p->fn = fn;
	p->arg = arg;
	p->slot = slot;
	*slot = p;
	p->until_ms = exp_mono_ms() + ANSWER_MS;
	exp_random_bytes(&p->request, sizeof(p->request));
	p->next = x->preflights;
	p->link = &x->preflights;
	if (p->next)
		p->next->link = &p->next;
	x->preflights = p;
	expd_peers_want(x->peers, &rec->peer, 1);
	check_policy(p);
	p->reading = true;
	expd_device_run(x, &rec->exports[0].here.device, run_refresh, refresh_done, p);
}

void expd_preflight_message(struct expd *x, const struct exp_name *peer, const struct exp_msg *m)
{
	const struct exp_error fine = { 0 };
	struct exp_guest_view views[EXP_JOB_EXPORTS_MAX];
	struct exp_preflight_result pr;
	struct expd_preflight *p;

	for (p = x->preflights; p; p = p->next)
		if (p->request == m->request && !strcmp(p->rec->peer.s, peer->s))
			break;
	if (!p || p->reading)
		return; /* answered before, or given up */
	if (expd_store_peer_pending(x->store, peer))
		return; /* asked again when it is known whether it remembers what it promised */
	if (expd_store_peer_condition(x->store, peer) == EXP_CONDITION_JOURNAL_REGRESSED)
		exp_findings_add(
			&p->res.findings, EXP_FINDING_REFUSAL, "JOURNAL_REGRESSED",
			"the peer remembers what it promised", "an older or another database",
			"the one seen before",
			"peer %s came back with a database that went back or was replaced: "
			"a person must look before anything is handed to it",
			peer->s);
	for (size_t i = 0; i < m->caps_reply->findings.n; i++) {
		const struct exp_finding *f = &m->caps_reply->findings.f[i];

		exp_findings_add(&p->res.findings, f->severity, f->code, f->rule, f->have, f->want,
				 "%s", f->message);
	}
	for (uint32_t i = 0; i < p->rec->n_exports; i++)
		expd_guest_view(&p->rec->exports[i].desc, &views[i]);
	exp_preflight(p->rec, views, &p->src, &m->caps_reply->caps, &p->res.findings, &pr);
	p->res.device = m->caps_reply->device;
	memcpy(p->res.cntlid, m->caps_reply->cntlid, sizeof(p->res.cntlid));
	p->res.path = pr.path;
	p->res.dirty = pr.dirty;
	finish(p, &fine);
}

void expd_preflight_end_all(struct expd *x)
{
	struct exp_error err = { 0 };

	exp_error_set(&err, EXP_CODE_STOPPING, ESHUTDOWN, "the daemon is stopping");
	while (x->preflights)
		finish(x->preflights, &err);
}
