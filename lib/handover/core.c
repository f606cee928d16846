/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "handover/core.h"

const char *exp_act_name(enum exp_act act)
{
	static const char *const names[] = {
#define X(NAME, name) [EXP_ACT_##NAME] = name,
		EXP_ACTS(X)
#undef X
	};

	return (size_t)act < EXP_ARRAY_SIZE(names) ? names[act] : NULL;
}

const char *exp_event_name(enum exp_event_type type)
{
	switch (type) {
	case EXP_EV_START: return "start";
	case EXP_EV_RECOVER: return "recover";
	case EXP_EV_COMMITTED: return "committed";
	case EXP_EV_COMMIT_FAILED: return "commit-failed";
	case EXP_EV_ACT_DONE: return "act-done";
	case EXP_EV_ACT_FAILED: return "act-failed";
	case EXP_EV_MSG: return "msg";
	case EXP_EV_COPY: return "copy";
	case EXP_EV_LINK_UP: return "link-up";
	case EXP_EV_LINK_DOWN: return "link-down";
	case EXP_EV_DEVICE_RESET: return "device-reset";
	case EXP_EV_VERB: return "verb";
	case EXP_EV_TICK: return "tick";
	}
	return NULL;
}

static uint64_t backoff_ms(struct exp_repeat *r, uint32_t min_ms, uint32_t max_ms)
{
	uint64_t wait = min_ms;

	for (uint32_t i = 0; i < r->tries && wait < max_ms; i++)
		wait *= 2;
	if (r->tries < UINT32_MAX)
		r->tries++;
	return EXP_MIN(wait, (uint64_t)max_ms);
}

int exp_core_init(struct exp_core *c, struct exp_job *job, enum exp_role role,
		  const struct exp_sm *sm, const struct exp_ownership *owner, struct exp_error *err)
{
	memset(c, 0, sizeof(*c));
	c->job = job;
	c->sm = sm;
	if (job->role != role)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "the record's role is %u, this machine is the %s",
				     (unsigned int)job->role, sm->what);
	if (!job->n_exports || job->n_exports > EXP_JOB_EXPORTS_MAX)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "a job has 1 to %d exports, this one %u", EXP_JOB_EXPORTS_MAX,
				     job->n_exports);
	if (job->state && !exp_state_name(role, job->state))
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "the record's state %u is none of a %s", job->state, sm->what);
	for (uint32_t i = 0; i < job->n_exports; i++) {
		for (uint32_t k = 0; k < i; k++)
			if (exp_uuid_eq(&job->exports[i].id, &job->exports[k].id))
				return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
						     "exports %u and %u of the job are the same", k,
						     i);
		c->owner[i] = owner[i];
	}
	return 0;
}

void exp_core_done(struct exp_core *c)
{
	exp_job_free(c->job);
	c->job = NULL;
}

void exp_core_begin(struct exp_core *c, const struct exp_event *ev, struct exp_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	c->plan = plan;
	c->now_ms = EXP_MAX(c->now_ms, ev->now_ms);
}

/* ------------------------------------------------------------------ the record */

static void queue_commit(struct exp_core *c)
{
	struct exp_plan *p = c->plan;

	assert(!p->n_actions); /* store or act, never both */
	p->store = true;
	p->seq = ++c->seq;
	p->record = c->job;
	p->fresh_connection = c->commit_again.tries > 0;
	p->n_changes = c->n_changes;
	memcpy(p->changes, c->changes, c->n_changes * sizeof(c->changes[0]));
	c->commit = EXP_COMMIT_QUEUED;
}

void exp_core_store(struct exp_core *c)
{
	assert(c->commit == EXP_COMMIT_IDLE);
	queue_commit(c);
}

void exp_core_move(struct exp_core *c, unsigned int from, unsigned int to)
{
	if (from)
		exp_sm_move(c->sm, &c->job->state, from, to);
	else
		c->job->state = to; /* a new record */
	c->sending = 0;
	c->act_again = (struct exp_repeat){ 0 };
	exp_core_store(c);
}

void exp_core_own(struct exp_core *c, uint32_t i, enum exp_export_status status,
		  const struct exp_name *owner_peer)
{
	struct exp_own_change *change = &c->changes[c->n_changes++];

	assert(c->n_changes <= EXP_JOB_EXPORTS_MAX);
	*change = (struct exp_own_change){
		.id = c->job->exports[i].id,
		.owner = c->owner[i],
		.status = status,
		.index = i,
	};
	if (owner_peer)
		change->owner_peer = *owner_peer;
}

bool exp_core_committed(struct exp_core *c, const struct exp_event *ev)
{
	if (c->commit != EXP_COMMIT_QUEUED || ev->commit.seq != c->seq)
		return false;
	c->commit = EXP_COMMIT_IDLE;
	c->commit_again = (struct exp_repeat){ 0 };
	c->n_changes = 0;
	if (c->durable != c->job->state)
		c->plan->entered = c->job->state;
	c->durable = c->job->state;
	return true;
}

bool exp_core_commit_failed(struct exp_core *c, const struct exp_event *ev)
{
	if (c->commit != EXP_COMMIT_QUEUED || ev->commit.seq != c->seq)
		return false;
	c->commit = EXP_COMMIT_RETRY;
	c->commit_again.next_ms = c->now_ms + backoff_ms(&c->commit_again, EXP_COMMIT_MIN_MS,
							 EXP_COMMIT_MAX_MS);
	return true;
}

bool exp_core_may_decide(struct exp_core *c)
{
	if (c->stuck)
		return false;
	switch (c->commit) {
	case EXP_COMMIT_IDLE: c->armed = c->probing = false; return true;
	case EXP_COMMIT_QUEUED: return false;
	case EXP_COMMIT_RETRY:
		if (c->now_ms >= c->commit_again.next_ms)
			queue_commit(c);
		return false;
	}
	return false;
}

/* ------------------------------------------------------------------ actions */

static struct exp_action *add_action(struct exp_core *c, enum exp_act act)
{
	struct exp_plan *p = c->plan;
	struct exp_action *a = &p->actions[p->n_actions++];

	assert(!p->store && p->n_actions <= EXP_PLAN_ACTIONS_MAX);
	*a = (struct exp_action){
		.act = act,
		.job = c->job->id,
		.attempt = c->job->attempt,
		.deadline_ms = EXP_NEVER_MS,
	};
	return a;
}

void exp_core_act(struct exp_core *c, enum exp_act act, uint64_t deadline_ms)
{
	struct exp_action *a;

	assert(c->act == EXP_ACT_NONE || (act == EXP_ACT_COPY_STOP && exp_core_is_copy(c->act)));
	a = add_action(c, act);
	a->step = ++c->step;
	a->deadline_ms = deadline_ms;
	c->act = act;
}

bool exp_core_ended(struct exp_core *c, const struct exp_event *ev)
{
	if (c->act == EXP_ACT_NONE || ev->act.step != c->step)
		return false;
	/* attach, resume, verify are tried again as a whole: half of it going well is no success */
	if (ev->type == EXP_EV_ACT_DONE && c->act != EXP_ACT_ATTACH && c->act != EXP_ACT_RESUME)
		c->act_again = (struct exp_repeat){ 0 };
	c->act = EXP_ACT_NONE;
	return true;
}

void exp_core_act_failed(struct exp_core *c)
{
	c->act_again.next_ms = c->now_ms +
			       backoff_ms(&c->act_again, EXP_ACT_MIN_MS, EXP_ACT_MAX_MS);
}

bool exp_core_rests(const struct exp_core *c)
{
	return c->now_ms < c->act_again.next_ms;
}

bool exp_core_is_copy(enum exp_act act)
{
	return act == EXP_ACT_COPY_START || act == EXP_ACT_DRAIN || act == EXP_ACT_LAST_DATA ||
	       act == EXP_ACT_CHECK_FINAL;
}

/* ------------------------------------------------------------------ messages */

void exp_core_send(struct exp_core *c, enum exp_msg_type type)
{
	if (c->link)
		add_action(c, EXP_ACT_SEND)->msg = type;
}

void exp_core_answer(struct exp_core *c, enum exp_answer answer)
{
	if (!c->link)
		return;
	exp_core_send(c, EXP_MSG_ANSWER);
	c->plan->actions[c->plan->n_actions - 1].answer = answer;
}

void exp_core_repeat(struct exp_core *c, enum exp_msg_type type)
{
	if (c->sending != type) {
		c->sending = type;
		c->send_again = (struct exp_repeat){ 0 };
	}
	c->armed = true;
	if (!c->link || c->now_ms < c->send_again.next_ms)
		return;
	exp_core_send(c, type);
	c->send_again.next_ms = c->now_ms +
				backoff_ms(&c->send_again, EXP_SEND_MIN_MS, EXP_SEND_MAX_MS);
}

void exp_core_probe(struct exp_core *c, enum exp_msg_type type)
{
	if (!c->probe_ms)
		c->probe_ms = c->now_ms + EXP_SEND_MAX_MS;
	c->probing = true;
	if (!c->link || c->now_ms < c->probe_ms)
		return;
	exp_core_send(c, type);
	c->probe_ms = c->now_ms + EXP_SEND_MAX_MS;
}

void exp_core_link_up(struct exp_core *c)
{
	c->link = true;
	c->send_again = (struct exp_repeat){ 0 };
	if (c->probe_ms)
		c->probe_ms = c->now_ms;
}

bool exp_core_ours(const struct exp_core *c, const struct exp_msg *m)
{
	const struct exp_job *j = c->job;

	if (!exp_uuid_eq(&m->job, &j->id) || m->role == j->role || m->attempt != j->attempt ||
	    m->n_exports != j->n_exports)
		return false;
	for (uint32_t i = 0; i < j->n_exports; i++)
		if (exp_msg_epoch(m, &j->exports[i].id) != j->exports[i].epoch)
			return false;
	return true;
}

/* ------------------------------------------------------------------ ends, verbs, time */

void exp_core_stop(struct exp_core *c, enum exp_job_intent intent, const struct exp_error *why)
{
	if (c->stop != EXP_INTENT_GO)
		return;
	c->stop = intent;
	c->why = *why;
	if (c->why.code == EXP_CODE_OK)
		exp_error_set(&c->why, EXP_CODE_SYSTEM, 0, "no reason was given");
}

void exp_core_stopf(struct exp_core *c, enum exp_job_intent intent, enum exp_code code,
		    const char *fmt, ...)
{
	struct exp_error e;
	char msg[sizeof(e.msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	exp_error_set(&e, code, 0, "%s", msg);
	exp_core_stop(c, intent, &e);
}

void exp_core_mark(struct exp_core *c, enum exp_step step, bool begin)
{
	struct exp_plan *p = c->plan;

	assert(p->n_marks < EXP_PLAN_MARKS_MAX);
	p->marks[p->n_marks++] = (struct exp_mark){ step, begin };
}

void exp_core_alarm(struct exp_core *c, enum exp_code code, const char *fmt, ...)
{
	char msg[sizeof(c->plan->alarm.msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	exp_error_set(&c->plan->alarm, code, 0, "%s", msg);
}

void exp_core_refuse(struct exp_core *c, enum exp_code code, const char *fmt, ...)
{
	char msg[sizeof(c->plan->verb_error.msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	c->plan->verb = EXP_VERB_REFUSED;
	exp_error_set(&c->plan->verb_error, code, 0, "%s", msg);
}

uint64_t exp_core_deadline(const struct exp_core *c)
{
	uint64_t d = EXP_NEVER_MS;

	if (c->stuck || c->commit == EXP_COMMIT_QUEUED)
		return EXP_NEVER_MS;
	if (c->act == EXP_ACT_NONE && exp_core_rests(c))
		d = c->act_again.next_ms;
	if (c->commit == EXP_COMMIT_RETRY)
		return EXP_MIN(d, c->commit_again.next_ms);
	if (c->armed && c->link)
		d = EXP_MIN(d, c->send_again.next_ms);
	if (c->probing && c->link)
		d = EXP_MIN(d, c->probe_ms);
	return d;
}
