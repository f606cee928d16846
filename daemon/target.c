/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"
#include "device_service.h"
#include "expd.h"
#include "exports.h"
#include "guest_view.h"
#include "handover/preflight.h"
#include "jobs.h"
#include "peers.h"
#include "store.h"
#include "target.h"

/* One look for a place: the drives one after the other, until one does. */
struct search {
	struct expd *x;
	struct exp_name peer, only; /* only: the one asked for, "" any */
	size_t at;                  /* device that is looked at */
	uint32_t n;
	uint32_t want[EXP_JOB_EXPORTS_MAX];
	struct exp_export_desc *descs;
	void (*fn)(struct expd *x, void *arg, const struct expd_target *t);
	void *arg;
	struct exp_findings policy;
	struct expd_target t;
};

static void next_device(struct search *s);

static void finish(struct search *s)
{
	s->fn(s->x, s->arg, &s->t);
	free(s->descs);
	free(s);
}

static int run_refresh(struct exp_device *d, void *arg, struct exp_error *err)
{
	struct search *s = arg;
	int r = exp_device_refresh(d, err);

	if (r == 0)
		exp_device_caps(d, &s->t.caps);
	return r;
}

/* A controller that another job of ours builds on is as good as taken, whatever the drive says. */
static void mark_taken(const struct search *s, struct exp_caps *caps)
{
	for (uint32_t i = 0; i < caps->n_ctrls; i++)
		if (expd_jobs_takes(s->x->jobs, &s->t.device, caps->ctrls[i].cntlid))
			caps->ctrls[i].associated = true;
}

static void refreshed(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct search *s = arg;
	struct exp_findings *fs = &s->t.findings;
	struct exp_guest_view views[EXP_JOB_EXPORTS_MAX];
	struct exp_caps *caps;

	*fs = s->policy;
	if (r < 0) {
		exp_findings_add(fs, EXP_FINDING_REFUSAL, "DEVICE", "the drive answers", "",
				 s->t.device.s, "%s", err->msg);
	} else {
		expd_device_refreshed(x, &s->t.device, &s->t.caps);
		caps = malloc(sizeof(*caps));
		if (!caps) {
			exp_findings_add(fs, EXP_FINDING_REFUSAL, "NO_MEMORY", "memory", "", "",
					 "out of memory");
		} else {
			*caps = s->t.caps;
			mark_taken(s, caps);
			for (uint32_t i = 0; i < s->n; i++)
				expd_guest_view(&s->descs[i], &views[i]);
			exp_preflight_target(caps, s->descs, views, s->n, s->want, fs, s->t.cntlid);
			free(caps);
		}
	}
	s->at++;
	if (!exp_findings_refuse(fs) || *s->only.s || s->at >= expd_devices_count(x))
		finish(s);
	else
		next_device(s);
}

static void next_device(struct search *s)
{
	s->t.device = *s->only.s ? s->only : *expd_devices_name(s->x, s->at);
	expd_device_run(s->x, &s->t.device, run_refresh, refreshed, s);
}

static void check_policy(struct search *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const char *nqn = s->descs[i].nqn.s;
		const struct exp_api_ref ref = { .by_nqn = true, .nqn = s->descs[i].nqn };
		const struct exp_export *known = expd_exports_by_ref(s->x->exports, &ref);
		struct exp_error err = { 0 };

		if (expd_peers_allows(s->x->peers, &s->peer, EXPD_MAY_SEND, nqn, &err) < 0)
			exp_findings_add(&s->policy, EXP_FINDING_REFUSAL, "PEER_RIGHTS",
					 "the source has the right may_send at the destination",
					 s->peer.s, nqn, "at the destination: %s", err.msg);
		if (known && known->owner.own)
			exp_findings_add(&s->policy, EXP_FINDING_REFUSAL, "OWNED_THERE",
					 "one owner of an NQN", nqn, "not owned",
					 "the destination owns an export called %s itself", nqn);
	}
	if (expd_store_peer_condition(s->x->store, &s->peer) == EXP_CONDITION_JOURNAL_REGRESSED)
		exp_findings_add(&s->policy, EXP_FINDING_REFUSAL, "JOURNAL_REGRESSED",
				 "the source remembers what it promised",
				 "an older or another database", "the one seen before",
				 "the source came back with a database that went back or was "
				 "replaced: a person must look before the destination takes "
				 "anything from it");
	if (s->x->phase == EXPD_STOPPING)
		exp_findings_add(&s->policy, EXP_FINDING_REFUSAL, "STOPPING",
				 "the destination takes work", "stopping", "running",
				 "the destination's daemon is stopping");
}

void expd_target_choose(struct expd *x, const struct exp_name *peer, const struct exp_name *device,
			const uint32_t *cntlid, const struct exp_export_desc *descs, uint32_t n,
			void (*fn)(struct expd *x, void *arg, const struct expd_target *t),
			void *arg)
{
	struct search *s = calloc(1, sizeof(*s));

	if (s)
		s->descs = calloc(n, sizeof(*s->descs));
	if (!s || !s->descs) {
		free(s);
		exp_log(LOG_WARNING, "no memory to look for a target; the peer asks again");
		fn(x, arg, NULL);
		return;
	}
	s->x = x;
	s->peer = *peer;
	s->only = *device;
	s->n = n;
	memcpy(s->descs, descs, n * sizeof(*descs));
	memcpy(s->want, cntlid, n * sizeof(*cntlid));
	s->fn = fn;
	s->arg = arg;
	check_policy(s);
	if (!expd_devices_count(x)) {
		s->t.findings = s->policy;
		exp_findings_add(&s->t.findings, EXP_FINDING_REFUSAL, "NO_DEVICE",
				 "the destination has a drive", "0", "1",
				 "the destination has no device configured");
		finish(s);
		return;
	}
	next_device(s);
}

struct caps_question {
	struct exp_name peer;
	uint64_t request;
	enum exp_dirty_source dirty;
};

/* The same as PREPARE will be asked, so that a dry run knows it too. */
static void judge_restart(const struct expd *x, const struct caps_question *q,
			  const struct expd_target *t, struct exp_findings *fs)
{
	char name[sizeof(t->device.s) + 32];

	if (!q->dirty || !*t->device.s)
		return;
	snprintf(name, sizeof(name), "%s of the destination", t->device.s);
	exp_preflight_restart(name, false, x->config->allow_reset_on_restart, q->dirty, fs);
}

static void caps_chosen(struct expd *x, void *arg, const struct expd_target *t)
{
	struct caps_question *q = arg;
	struct exp_msg m = { .type = EXP_MSG_CAPS_REPLY, .request = q->request };

	m.caps_reply = t ? calloc(1, sizeof(*m.caps_reply)) : NULL;
	if (m.caps_reply) {
		m.caps_reply->findings = t->findings;
		m.caps_reply->device = t->device;
		m.caps_reply->caps = t->caps;
		if (!exp_findings_refuse(&t->findings)) /* else none was chosen */
			memcpy(m.caps_reply->cntlid, t->cntlid, sizeof(m.caps_reply->cntlid));
		judge_restart(x, q, t, &m.caps_reply->findings);
		expd_peers_try(x->peers, &q->peer, &m);
	}
	exp_msg_done(&m);
	free(q);
}

void expd_target_caps(struct expd *x, const struct exp_name *peer, const struct exp_msg *m)
{
	struct caps_question *q = calloc(1, sizeof(*q));
	uint32_t want[EXP_JOB_EXPORTS_MAX];

	if (!q || m->caps.n_descs > EXP_JOB_EXPORTS_MAX) {
		free(q);
		return;
	}
	q->peer = *peer;
	q->request = m->request;
	q->dirty = m->caps.dirty;
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++)
		want[i] = m->caps.cntlid;
	expd_target_choose(x, peer, &m->caps.device, want, m->caps.descs, m->caps.n_descs,
			   caps_chosen, q);
}
