/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon as the machines' contract asks for one: it commits what a plan stores, runs what a plan
 * names, and dies at any moment. Its database is the only thing that it finds again.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* ------------------------------------------------------------------ open jobs */

struct sim_job *sim_job_by_uid(struct sim_host *h, uint32_t uid)
{
	for (int i = 0; i < SIM_JOBS; i++)
		if (uid && h->jobs[i].uid == uid)
			return &h->jobs[i];
	return NULL;
}

struct sim_job *sim_job_by_id(struct sim_host *h, const struct exp_uuid *id)
{
	for (int i = 0; i < SIM_JOBS; i++)
		if (h->jobs[i].uid && exp_uuid_eq(&h->jobs[i].job->id, id))
			return &h->jobs[i];
	return NULL;
}

bool sim_busy(const struct sim_host *h, int x)
{
	for (int i = 0; i < SIM_JOBS; i++)
		for (uint32_t k = 0; h->jobs[i].uid && k < h->jobs[i].n; k++)
			if (h->jobs[i].exports[k] == x)
				return true;
	return false;
}

static void job_free(struct sim_job *j)
{
	sim_copy_free(j);
	exp_src_free(j->src);
	exp_dst_free(j->dst);
	memset(j, 0, sizeof(*j));
}

bool sim_linked(const struct sim *s)
{
	return s->link && s->host[0].up && s->host[1].up;
}

/* A machine for @job, which it takes; NULL: no room or refused. */
struct sim_job *sim_open_job(struct sim *s, struct sim_host *h, struct exp_job *job)
{
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct sim_job *j = NULL;
	struct exp_error err;
	int r;

	for (int i = 0; i < SIM_JOBS && !j; i++)
		if (!h->jobs[i].uid)
			j = &h->jobs[i];
	if (!j) {
		exp_job_free(job);
		return NULL;
	}
	j->uid = ++s->uid;
	j->job = job;
	j->n = job->n_exports;
	for (uint32_t i = 0; i < j->n; i++) {
		j->exports[i] = sim_export_nr(s, &job->exports[i].id);
		owner[i] = h->own[j->exports[i]];
		owner[i].floor = h->floor[j->exports[i]];
	}
	j->vm = j->exports[0] / 2;
	if (job->role == EXP_ROLE_SOURCE)
		r = exp_src_new(job, owner, &j->src, &err);
	else
		r = exp_dst_new(job, owner, &j->dst, &err);
	if (r < 0) {
		sim_say(s, h->nr, "refused: %s", err.msg);
		memset(j, 0, sizeof(*j));
		return NULL;
	}
	return j;
}

void sim_begin(struct sim *s, struct sim_host *h, struct sim_job *j, enum exp_event_type type)
{
	struct exp_event ev = { .type = type, .boot = h->boot };
	uint32_t uid = j->uid;

	sim_step(s, h, j, &ev);
	j = sim_job_by_uid(h, uid);
	if (!j || !sim_linked(s))
		return;
	ev = (struct exp_event){ .type = EXP_EV_LINK_UP };
	sim_step(s, h, j, &ev);
}

/* ------------------------------------------------------------------ plans */

static void preflight_over(struct sim *s, int host, uint32_t uid, uint32_t step, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_act_result res = { .path = EXP_PATH_COLD };
	struct exp_error err;

	(void)p;
	if (!j)
		return;
	if (!sim_linked(s) && sim_rnd(s, 4)) { /* keeps trying for a while */
		sim_at(s, 200, preflight_over, host, uid, step, NULL);
		return;
	}
	for (uint32_t i = 0; i < j->n; i++)
		if (h->ctrl[j->exports[i]].enabled)
			res.path = EXP_PATH_REFERENCE;
	res.dirty = j->job->dirty;
	exp_error_set(&err, EXP_CODE_UNREACHABLE, 0, "no answer to caps");
	sim_act_over(s, h, j, step, &res, sim_linked(s) ? NULL : &err);
}

static void check_final_over(struct sim *s, int host, uint32_t uid, uint32_t step, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_act_result res = { 0 };
	struct exp_error err;
	bool ok;

	(void)p;
	if (!j)
		return;
	ok = exp_dst_final(j->dst) && sim_copy_check_final(j, exp_dst_final(j->dst)) &&
	     !sim_fault(s, 20);
	exp_error_set(&err, EXP_CODE_DIGEST, 0, "extents are missing");
	sim_act_over(s, h, j, step, &res, ok ? NULL : &err);
}

static void copy_all_over(struct sim *s, int host, uint32_t uid, uint32_t step, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_act_result res = { 0 };

	(void)p;
	if (!j || j->job->state != EXP_SRC_SWITCHING)
		return;
	sim_copy_start(s, h, j);
	sim_act_over(s, h, j, step, &res, NULL);
}

static void send_action(struct sim *s, struct sim_host *h, struct sim_job *j,
			const struct exp_action *a)
{
	struct sim_netmsg *n = sim_netmsg();
	int r = j->src ? exp_src_message(j->src, a, &n->m) : exp_dst_message(j->dst, a, &n->m);

	if (r < 0)
		abort();
	if (a->msg == EXP_MSG_FINAL)
		sim_copy_fill_final(j, n->m.final);
	sim_send(s, h, n);
}

static void run_action(struct sim *s, struct sim_host *h, struct sim_job *j,
		       const struct exp_action *a)
{
	if (a->act != EXP_ACT_SEND)
		sim_say(s, h->nr, "%s", exp_act_name(a->act));
	switch (a->act) {
	case EXP_ACT_SEND: send_action(s, h, j, a); break;
	case EXP_ACT_PREFLIGHT:
		sim_at(s, 1 + sim_delay(s, 20), preflight_over, h->nr, j->uid, a->step, NULL);
		break;
	case EXP_ACT_DRAIN: sim_copy_drain(s, h, j, a->step); break;
	case EXP_ACT_LAST_DATA: sim_copy_last(s, h, j, a->step); break;
	case EXP_ACT_CHECK_FINAL:
		sim_at(s, 1 + sim_delay(s, 5), check_final_over, h->nr, j->uid, a->step, NULL);
		break;
	case EXP_ACT_COPY_START:
		if (a->everything)
			sim_at(s, 1 + sim_delay(s, 5), copy_all_over, h->nr, j->uid, a->step, NULL);
		else
			sim_dev_submit(s, h, j, a);
		break;
	case EXP_ACT_COPY_STOP:
		sim_copy_stop(s, h, j);
		sim_dev_submit(s, h, j, a);
		break;
	case EXP_ACT_SUSPEND:
	case EXP_ACT_GET_STATE:
	case EXP_ACT_FENCE:
	case EXP_ACT_CHECK_SUSPENDED:
	case EXP_ACT_ATTACH:
	case EXP_ACT_RESUME:
	case EXP_ACT_VERIFY_RUNS:
	case EXP_ACT_TAKE_DOWN:
	case EXP_ACT_BUILD:
	case EXP_ACT_REBUILD:
	case EXP_ACT_SUSPEND_TARGET:
	case EXP_ACT_CHECK_READY:
	case EXP_ACT_SET_STATE:
	case EXP_ACT_DELETE: sim_dev_submit(s, h, j, a); break;
	case EXP_ACT_NONE:
	case EXP_ACT_N: sim_break(s, "a plan names no action"); break;
	}
}

static uint64_t deadline(const struct sim_job *j)
{
	return j->src ? exp_src_deadline_ms(j->src) : exp_dst_deadline_ms(j->dst);
}

static void tick(struct sim *s, int host, uint32_t uid, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_event ev = { .type = EXP_EV_TICK };

	(void)b;
	(void)p;
	if (!j || j->timer_ms > s->now_ms)
		return;
	j->timer_ms = EXP_NEVER_MS;
	sim_step(s, h, j, &ev);
	j = sim_job_by_uid(h, uid);
	if (j && deadline(j) <= s->now_ms)
		sim_break(s, "a machine wants to be woken again and again, and does nothing");
}

static void arm(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	uint64_t d = deadline(j);

	if (d == EXP_NEVER_MS || (j->timer_ms > s->now_ms && j->timer_ms <= d))
		return;
	j->timer_ms = EXP_MAX(d, s->now_ms) + 1 + sim_rnd(s, 10);
	sim_at(s, j->timer_ms - s->now_ms, tick, h->nr, j->uid, 0, NULL);
}

static void run_plan(struct sim *s, struct sim_host *h, struct sim_job *j, struct exp_plan *p)
{
	struct sim_commit *c;

	if (p->entered)
		sim_say(s, h->nr, "== %s (%s)", exp_state_name(j->job->role, p->entered),
			exp_role_name(j->job->role));
	if (p->alarm.code)
		sim_break(s, "alarm among honest hosts: %s", p->alarm.msg);
	if (p->store && p->n_actions)
		sim_break(s, "a plan stores and acts");
	if (p->store) {
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->uid = j->uid;
		c->seq = p->seq;
		c->rec = exp_job_copy(p->record);
		if (!c->rec)
			abort();
		c->n_changes = p->n_changes;
		memcpy(c->changes, p->changes, sizeof(c->changes));
		sim_commit(s, h, c);
	}
	for (uint32_t i = 0; i < p->n_actions; i++)
		run_action(s, h, j, &p->actions[i]);
	if (p->publish) {
		sim_note_publish(s, h, j->job);
		job_free(j);
		return;
	}
	arm(s, h, j);
}

void sim_step(struct sim *s, struct sim_host *h, struct sim_job *j, struct exp_event *ev)
{
	struct exp_plan plan;

	ev->now_ms = s->now_ms;
	sim_cover(j->job->role, j->job->state, ev);
	if (j->src)
		exp_src_step(j->src, ev, &plan);
	else
		exp_dst_step(j->dst, ev, &plan);
	run_plan(s, h, j, &plan);
}

void sim_act_over(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step,
		  const struct exp_act_result *res, const struct exp_error *err)
{
	struct exp_event ev = { .type = err ? EXP_EV_ACT_FAILED : EXP_EV_ACT_DONE };

	ev.act.step = step;
	ev.act.result = *res;
	if (err) {
		ev.act.err = *err;
		sim_say(s, h->nr, "%s", err->msg);
	}
	sim_step(s, h, j, &ev);
}

/* ------------------------------------------------------------------ people, faults */

static void verb_again(struct sim *s, int host, uint32_t uid, uint32_t verb, void *p)
{
	struct sim_job *j = sim_job_by_uid(&s->host[host], uid);

	(void)p;
	if (j)
		sim_verb(s, host, j, (enum exp_verb)verb);
}

void sim_verb(struct sim *s, int host, struct sim_job *j, enum exp_verb verb)
{
	static const char *const names[] = { "",       "target-ready", "switchover",
					     "commit", "abort",        "cancel" };
	static const struct exp_memory_range memory = { 0, 1 << 20 };
	struct exp_event ev = { .type = EXP_EV_VERB, .verb = { .verb = verb } };
	struct sim_host *h = &s->host[host];
	struct exp_plan plan;
	unsigned int durable;

	ev.now_ms = s->now_ms;
	if (verb == EXP_VERB_TARGET_READY) {
		ev.verb.n_memory = 1;
		ev.verb.memory = &memory;
	}
	sim_cover(j->job->role, j->job->state, &ev);
	durable = j->src ? exp_src_state(j->src) : exp_dst_state(j->dst);
	if (j->src)
		exp_src_step(j->src, &ev, &plan);
	else
		exp_dst_step(j->dst, &ev, &plan);
	sim_say(s, host, "person: %s: %s", names[verb],
		plan.verb == EXP_VERB_ACCEPTED ? "accepted"
		: plan.verb == EXP_VERB_WAIT   ? "being decided"
					       : plan.verb_error.msg);
	if (plan.verb == EXP_VERB_NONE || (plan.verb == EXP_VERB_REFUSED && !plan.verb_error.code))
		sim_break(s, "a verb got no answer");
	if (plan.verb == EXP_VERB_ACCEPTED && verb == EXP_VERB_CANCEL && j->src &&
	    (durable == EXP_SRC_RELEASED || durable == EXP_SRC_DONE))
		sim_break(s, "cancel was accepted of a job that is released");
	if (plan.verb == EXP_VERB_ACCEPTED && verb == EXP_VERB_CANCEL && j->dst)
		s->dst_cancelled = true;
	if (plan.verb == EXP_VERB_WAIT)
		sim_at(s, 50, verb_again, host, j->uid, verb, NULL);
	run_plan(s, h, j, &plan);
}

void sim_start_job(struct sim *s, int vm, uint8_t hold, enum exp_dirty_source dirty)
{
	static const uint32_t limits[] = { 1000, 3000, 30000 };
	struct sim_vm *v = &s->vm[vm];
	struct sim_host *h = &s->host[v->at];
	struct exp_job *job = exp_job_new();
	struct sim_job *j;

	if (!job)
		abort();
	job->id = sim_uuid(s);
	job->role = EXP_ROLE_SOURCE;
	memcpy(job->peer.s, "peer", 5);
	job->hold = hold;
	job->dirty = dirty;
	job->hold_lease_ms = 3000;
	job->blackout_limit_ms = limits[sim_rnd(s, 3)];
	job->n_exports = v->n;
	for (uint32_t i = 0; i < v->n; i++)
		job->exports[i].id = s->export_id[2 * vm + (int)i];
	v->job = job->id;
	v->patient = sim_rnd(s, 10) > 0;
	v->pace = sim_rnd(s, 3) ? 4 : 60;
	sim_say(s, h->nr, "person: migrate VM %d (%u exports, dirty %s, hold %u, limit %u ms)", vm,
		v->n, exp_dirty_name(dirty), hold, job->blackout_limit_ms);
	j = sim_open_job(s, h, job);
	if (j)
		sim_begin(s, h, j, EXP_EV_START);
}

/* To every machine on both hosts, by what is true at the time of each. */
static void tell_link(struct sim *s)
{
	s->link_gen++;
	for (int n = 0; n < SIM_HOSTS; n++) {
		for (int i = 0; i < SIM_JOBS; i++) {
			struct sim_host *h = &s->host[n];
			struct exp_event ev = { .type = sim_linked(s) ? EXP_EV_LINK_UP
								      : EXP_EV_LINK_DOWN };

			if (!h->up || !h->jobs[i].uid)
				continue;
			sim_copy_link(s, h, &h->jobs[i]);
			sim_step(s, h, &h->jobs[i], &ev);
		}
	}
}

void sim_link_set(struct sim *s, bool up)
{
	if (s->link == up)
		return;
	s->link = up;
	sim_say(s, -1, "** link %s", up ? "up" : "down");
	tell_link(s);
}

static void restart(struct sim *s, int host, uint32_t reset, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];

	(void)b;
	(void)p;
	h->up = true;
	sim_say(s, host, "** daemon starts%s", reset ? ", which resets the drive" : "");
	if (reset)
		sim_dev_reset(s, h);
	for (int x = 0; x < SIM_EXPORTS; x++) {
		h->floor[x] = h->own[x].floor;
		h->ctrl[x].log = (struct sim_log){ 0 }; /* stale change logs go first */
	}
	tell_link(s);
	for (uint32_t i = 0; i < h->n_rec; i++) {
		struct exp_job *copy;
		struct sim_job *j;

		if (exp_state_is_final(h->rec[i]->role, h->rec[i]->state))
			continue;
		copy = exp_job_copy(h->rec[i]);
		if (!copy)
			abort();
		j = sim_open_job(s, h, copy);
		if (!j) {
			sim_break(s, "a stored job could not be opened");
			return;
		}
		sim_begin(s, h, j, EXP_EV_RECOVER);
	}
}

void sim_crash(struct sim *s, struct sim_host *h, bool reset_at_start)
{
	struct sim_commit *c, *next;
	bool durable = true;

	if (!h->up)
		return;
	sim_say(s, h->nr, "** daemon dies");
	s->crashes++;
	h->up = false;
	h->life++;
	for (c = h->commits; c; c = next) {
		next = c->next;
		durable = durable && sim_rnd(s, 2); /* in order, up to some point */
		if (durable)
			sim_apply(s, h, c);
		sim_commit_free(c);
	}
	h->commits = NULL;
	h->commit_free_ms = 0;
	sim_dev_crash(s, h);
	for (int i = 0; i < SIM_JOBS; i++)
		job_free(&h->jobs[i]);
	tell_link(s);
	sim_at(s, 20 + sim_delay(s, 800), restart, h->nr, reset_at_start, 0, NULL);
}

void sim_host_init(struct sim *s, int nr)
{
	struct sim_host *h = &s->host[nr];

	h->nr = nr;
	h->up = true;
	h->boot = sim_uuid(s);
}

void sim_host_done(struct sim_host *h)
{
	struct sim_commit *c, *next;
	struct sim_task *t, *more;

	for (c = h->commits; c; c = next) {
		next = c->next;
		sim_commit_free(c);
	}
	for (t = h->tasks; t; t = more) {
		more = t->next;
		free(t);
	}
	for (int i = 0; i < SIM_JOBS; i++)
		job_free(&h->jobs[i]);
	for (uint32_t i = 0; i < h->n_rec; i++)
		exp_job_free(h->rec[i]);
}
