/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src.c - the giving side: events become facts, operators are answered, messages are filled in
 *
 * Nothing here starts an action or queues a commit but start and recovery; src_decide.c does.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handover/src_priv.h"

/* ------------------------------------------------------------------ events become facts */

static void start(struct exp_src *m, const struct exp_event *ev)
{
	assert(!m->c.job->state);
	m->c.job->boot = ev->boot;
	exp_src_move(m, 0, EXP_SRC_PREFLIGHT, EXP_SRC_PH_BEGIN);
}

static void recover(struct exp_src *m, const struct exp_event *ev)
{
	struct exp_core *c = &m->c;
	struct exp_job *j = c->job;
	bool later_boot = !exp_uuid_eq(&j->boot, &ev->boot);

	c->durable = j->state;
	if (exp_state_is_final(EXP_ROLE_SOURCE, j->state))
		return;
	if (later_boot && j->state >= EXP_SRC_SWITCHING) {
		/* R10: somebody may have fenced this host while it was off and let the peer run */
		c->stuck = true;
		exp_core_alarm(c, EXP_CODE_NEEDS_OPERATOR,
			       "job found in %s after a restart of the host: ask %s what it owns "
			       "before anything runs here",
			       exp_src_state_name(j->state), j->peer.s);
		return;
	}
	j->boot = ev->boot;
	switch ((enum exp_src_state)j->state) {
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING:
	case EXP_SRC_COPYING:
	case EXP_SRC_READY:
	case EXP_SRC_SWITCHING:
		/* R4: never gone on with, and never released: the suspension may have ended
		 * while nobody looked, and an old RESTORED may still be on its way */
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_RESTARTED,
			       "the daemon restarted in %s; start the migration again",
			       exp_src_state_name(j->state));
		exp_src_roll_back(m);
		break;
	case EXP_SRC_ROLLING_BACK:
		m->phase = EXP_SRC_PH_STOP;
		exp_core_store(c);
		break;
	case EXP_SRC_RELEASED:
		/* what a reopened database shows proves nothing about the disk: the same row is
		 * committed once more before RELEASE is sent */
		m->phase = EXP_SRC_PH_HOLD_STILL;
		exp_src_own_nothing(m);
		exp_core_store(c);
		break;
	case EXP_SRC_DONE:
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
	case EXP_SRC_TAKEN: break;
	}
}

static void committed(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_SRC_READY)
		m->lease_ms = c->now_ms + c->job->hold_lease_ms;
	if (exp_state_is_final(EXP_ROLE_SOURCE, c->job->state))
		c->plan->publish = true;
}

static void commit_failed(struct exp_src *m, const struct exp_error *err)
{
	struct exp_core *c = &m->c;

	/* The outcome of a failed commit is not known. Before the switch is decided the safe answer
	 * is to go back, and rolling-back may follow either way. `released` has no way back: the
	 * same row again, fenced, silent, until it is known to be durable. */
	if (c->job->state >= EXP_SRC_ROLLING_BACK)
		return;
	c->commit = EXP_COMMIT_IDLE;
	exp_core_stop(c, EXP_INTENT_FAIL, err);
}

/* What an action found; false: the attempt ends. */
static bool accept_result(struct exp_src *m, enum exp_act act, const struct exp_act_result *res)
{
	struct exp_core *c = &m->c;
	struct exp_job *j = c->job;

	if (act == EXP_ACT_PREFLIGHT) {
		j->path = res->path;
		j->dirty = res->dirty;
		if (j->path == EXP_PATH_COLD)
			j->dirty = EXP_DIRTY_NONE;
		if (j->path != EXP_PATH_NONE)
			return true;
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_STATE_INCOMPLETE,
			       "preflight found no way for the controller state to travel");
		return false;
	}
	if (act != EXP_ACT_GET_STATE && act != EXP_ACT_CHECK_SUSPENDED)
		return true;
	if (!res->suspended) {
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_NOT_SUSPENDED,
			       "the guest's controller is no longer suspended: something reset it "
			       "after Suspend; the guest goes on here");
		return false;
	}
	for (uint32_t i = 0; act == EXP_ACT_GET_STATE && i < j->n_exports; i++) {
		int r = exp_job_set_state_blob(j, i, res->state[i].data, res->state[i].len);

		if (r == 0 && res->state[i].len)
			continue;
		exp_core_stopf(c, EXP_INTENT_FAIL,
			       r == -ENOMEM ? EXP_CODE_NO_MEMORY : EXP_CODE_DEVICE_DATA,
			       "controller state of export %u has %u bytes; 1 to %u are possible",
			       i, res->state[i].len, EXP_STATE_BLOB_MAX);
		return false;
	}
	return true;
}

static void act_done(struct exp_src *m, enum exp_act act, const struct exp_act_result *res)
{
	struct exp_core *c = &m->c;

	switch ((enum exp_src_state)c->job->state) {
	case EXP_SRC_PREFLIGHT:
		if (accept_result(m, act, res))
			m->phase = EXP_SRC_PH_PASSED;
		break;
	case EXP_SRC_COPYING: m->phase = EXP_SRC_PH_COPYING; break;
	case EXP_SRC_SWITCHING:
		if (accept_result(m, act, res) && !c->stop && c->now_ms < m->phase_end_ms)
			exp_src_advance(m);
		break;
	case EXP_SRC_ROLLING_BACK:
		/* the step of the switch that was outstanding when it was given up changes nothing
		 */
		if (act == EXP_ACT_COPY_STOP || m->phase != EXP_SRC_PH_STOP)
			exp_src_advance(m);
		break;
	case EXP_SRC_RELEASED: exp_src_advance(m); break;
	case EXP_SRC_PREPARING:
	case EXP_SRC_READY:
	case EXP_SRC_DONE:
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
	case EXP_SRC_TAKEN: break;
	}
}

static void act_failed(struct exp_src *m, enum exp_act act, const struct exp_error *err)
{
	struct exp_core *c = &m->c;

	switch ((enum exp_src_state)c->job->state) {
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING:
	case EXP_SRC_COPYING:
	case EXP_SRC_READY:
	case EXP_SRC_SWITCHING: exp_core_stop(c, EXP_INTENT_FAIL, err); break;
	case EXP_SRC_ROLLING_BACK:
		if (act != EXP_ACT_COPY_STOP && m->phase == EXP_SRC_PH_STOP)
			break;
		exp_core_act_failed(c);
		if (m->phase != EXP_SRC_PH_STOP)
			m->phase = EXP_SRC_PH_ATTACH;
		break;
	case EXP_SRC_RELEASED:
		exp_core_act_failed(c);
		/* clean-up never fails a job that is committed; BUSY is the VMM, which is waited
		 * for */
		m->vmm_has_it = act == EXP_ACT_TAKE_DOWN && err->code == EXP_CODE_BUSY;
		if (act == EXP_ACT_TAKE_DOWN && !m->vmm_has_it &&
		    c->act_again.tries >= EXP_TRIES_ALONE) {
			c->job->error = *err;
			m->phase = EXP_SRC_PH_CLOSE;
			c->act_again = (struct exp_repeat){ 0 };
		}
		break;
	case EXP_SRC_DONE:
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
	case EXP_SRC_TAKEN: break;
	}
}

static void on_discarded(struct exp_src *m, const struct exp_msg *msg)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_SRC_RELEASED || c->job->state == EXP_SRC_DONE) {
		/* it promised RESTORED and may not take that back: obeying would leave no owner */
		exp_core_alarm(c, EXP_CODE_PROTOCOL,
			       "%s says it discarded what was released to it; still waiting for "
			       "ACTIVE, a person should look at both hosts",
			       c->job->peer.s);
		return;
	}
	m->discarded = true; /* a lasting promise: it recorded the epoch as burned first */
	/* a connection that broke was a consequence: now the peer says of what */
	if (c->job->state == EXP_SRC_ROLLING_BACK && c->job->error.code == EXP_CODE_PEER_GONE &&
	    msg->reason.code && msg->reason.code != EXP_CODE_PEER_GONE)
		exp_error_set(&c->job->error, msg->reason.code, 0, "%s gave up: %s", c->job->peer.s,
			      msg->reason.msg);
	if (c->job->state < EXP_SRC_ROLLING_BACK)
		exp_core_stopf(c, EXP_INTENT_FAIL,
			       msg->reason.code ? msg->reason.code : EXP_CODE_PEER_REFUSED,
			       "%s gave up: %s", c->job->peer.s,
			       msg->reason.code ? msg->reason.msg : "no reason was sent");
}

static void on_active(struct exp_src *m)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_SRC_RELEASED || c->job->state == EXP_SRC_DONE) {
		m->active = true;
		return;
	}
	exp_core_alarm(c, EXP_CODE_CONFLICT,
		       "%s says it owns an attempt that was never released (here: %s); both hosts "
		       "may run it, a person must decide",
		       c->job->peer.s, exp_src_state_name(c->job->state));
	m->conflict = true;
	if (c->job->state < EXP_SRC_ROLLING_BACK)
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_CONFLICT,
			       "%s says it owns an attempt that was never released",
			       c->job->peer.s);
}

static void on_prepared(struct exp_src *m, const struct exp_msg *msg)
{
	struct exp_job *j = m->c.job;

	m->target = msg->prepared.target;
	if (j->state != EXP_SRC_PREPARING)
		return;
	m->prepared = true;
	j->target_device = msg->prepared.device;
	memcpy(j->target_cntlid, msg->prepared.cntlid, sizeof(j->target_cntlid));
}

static void on_msg(struct exp_src *m, const struct exp_msg *msg)
{
	struct exp_core *c = &m->c;
	unsigned int state = c->job->state;
	bool used = true;

	if (!exp_src_has_epoch(m) || !exp_core_ours(c, msg)) {
		c->plan->ignored = true;
		return;
	}
	switch (msg->type) {
	case EXP_MSG_PREPARED: on_prepared(m, msg); break;
	case EXP_MSG_TARGET: m->target = msg->target; break;
	case EXP_MSG_ATTEMPT_OK:
		used = state == EXP_SRC_READY && c->sending == EXP_MSG_ATTEMPT;
		m->attempt_ok |= used;
		break;
	case EXP_MSG_RESTORED:
		/* R5: a vote counts only when this very life of the process asked for it */
		used = state == EXP_SRC_SWITCHING && m->phase == EXP_SRC_PH_VOTE && m->final_sent;
		m->restored |= used;
		break;
	case EXP_MSG_ACTIVE: on_active(m); break;
	case EXP_MSG_DISCARDED: on_discarded(m, msg); break;
	case EXP_MSG_QUERY: m->asked = true; break;
	case EXP_MSG_HELLO:
	case EXP_MSG_BYE:
	case EXP_MSG_PING:
	case EXP_MSG_PONG:
	case EXP_MSG_CAPS:
	case EXP_MSG_CAPS_REPLY:
	case EXP_MSG_PREPARE:
	case EXP_MSG_SESSION:
	case EXP_MSG_SESSION_OK:
	case EXP_MSG_DATA_ACK:
	case EXP_MSG_ATTEMPT:
	case EXP_MSG_FINAL:
	case EXP_MSG_RELEASE:
	case EXP_MSG_DISCARD:
	case EXP_MSG_ANSWER: used = false; break;
	}
	c->plan->ignored = !used;
}

static void on_copy(struct exp_src *m, const struct exp_event *ev)
{
	unsigned int state = m->c.job->state;

	switch (ev->copy.news) {
	case EXP_COPY_FITS: m->fits = true; break;
	case EXP_COPY_NOT_FIT: m->fits = false; break;
	case EXP_COPY_WILL_NOT:
	case EXP_COPY_FAILED:
		if (state >= EXP_SRC_COPYING && state <= EXP_SRC_SWITCHING)
			exp_core_stop(&m->c, EXP_INTENT_FAIL, &ev->copy.err);
		break;
	}
}

static void on_reset(struct exp_src *m)
{
	/* it may have ended the suspension. Behind the fence, in released, that does not matter */
	if (m->c.job->state == EXP_SRC_SWITCHING && !exp_src_cold(m))
		exp_core_stopf(&m->c, EXP_INTENT_FAIL, EXP_CODE_NOT_SUSPENDED,
			       "the drive was reset during the switch; the guest goes on here");
}

/* ------------------------------------------------------------------ verbs */

static void verb_end(struct exp_src *m, enum exp_verb verb)
{
	struct exp_core *c = &m->c;
	bool cancel = verb == EXP_VERB_CANCEL;

	switch ((enum exp_src_state)c->job->state) {
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_PREPARING:
	case EXP_SRC_COPYING:
	case EXP_SRC_READY:
	case EXP_SRC_SWITCHING:
		c->plan->verb = EXP_VERB_ACCEPTED;
		exp_core_stopf(c, EXP_INTENT_CANCEL, cancel ? EXP_CODE_CANCELLED : EXP_CODE_ABORTED,
			       "%s on request", cancel ? "cancelled" : "aborted");
		break;
	case EXP_SRC_ROLLING_BACK:
	case EXP_SRC_CANCELLED: c->plan->verb = EXP_VERB_ACCEPTED; break;
	case EXP_SRC_RELEASED:
		/* R12: from the moment `released` is queued its outcome decides, nobody else */
		if (c->durable != EXP_SRC_RELEASED) {
			c->plan->verb = EXP_VERB_WAIT;
			break;
		}
		/* fallthrough */
	case EXP_SRC_DONE:
	case EXP_SRC_TAKEN:
		exp_core_refuse(c, EXP_CODE_TOO_LATE, "too late: %s owns it", c->job->peer.s);
		break;
	case EXP_SRC_FAILED:
		exp_core_refuse(c, EXP_CODE_CONFLICT, "the migration has failed already");
		break;
	}
}

static void verb_go(struct exp_src *m, enum exp_verb verb)
{
	struct exp_core *c = &m->c;
	unsigned int state = c->job->state;
	bool switchover = verb == EXP_VERB_SWITCHOVER;

	if (c->commit != EXP_COMMIT_IDLE) {
		c->plan->verb = EXP_VERB_WAIT;
		return;
	}
	c->plan->verb = EXP_VERB_ACCEPTED;
	if (state == EXP_SRC_RELEASED || state == EXP_SRC_DONE)
		return; /* it happened */
	if (switchover && state == EXP_SRC_READY)
		m->switchover = true;
	else if (switchover && state == EXP_SRC_SWITCHING)
		return;
	else if (!switchover && state == EXP_SRC_SWITCHING && m->phase >= EXP_SRC_PH_HOLD)
		m->commit = true;
	else
		exp_core_refuse(c, EXP_CODE_CONFLICT,
				"%s is for a migration in %s; this one is in %s%s",
				switchover ? "switchover" : "commit",
				switchover ? "ready" : "switching that waits for it",
				exp_src_state_name(state),
				switchover ? "" : " and does not wait for it");
}

static void on_verb(struct exp_src *m, const struct exp_event *ev)
{
	struct exp_core *c = &m->c;

	if (c->stuck) {
		exp_core_refuse(c, EXP_CODE_NEEDS_OPERATOR,
				"the host restarted while this job was in %s; only resolve helps",
				exp_src_state_name(c->job->state));
		return;
	}
	switch (ev->verb.verb) {
	case EXP_VERB_ABORT:
	case EXP_VERB_CANCEL: verb_end(m, ev->verb.verb); break;
	case EXP_VERB_SWITCHOVER:
	case EXP_VERB_COMMIT: verb_go(m, ev->verb.verb); break;
	case EXP_VERB_TARGET_READY:
		exp_core_refuse(c, EXP_CODE_CONFLICT,
				"target-ready belongs to the destination; ask %s", c->job->peer.s);
		break;
	}
}

/* ------------------------------------------------------------------ the interface */

int exp_src_new(struct exp_job *job, const struct exp_ownership *owner, struct exp_src **ret,
		struct exp_error *err)
{
	EXP_CLEANUP(exp_job_freep) struct exp_job *mine = job;
	EXP_CLEANUP(exp_src_freep) struct exp_src *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "source machine");
	m->timed = EXP_SRC_NO_STEP;
	r = exp_core_init(&m->c, EXP_TAKE(mine), EXP_ROLE_SOURCE, &exp_src_sm, owner, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; !job->state && i < job->n_exports; i++)
		if (!owner[i].own)
			return exp_error_set(err, EXP_CODE_NOT_OWNER, EINVAL,
					     "export %s is not owned by this host",
					     job->exports[i].desc.nqn.s);
	*ret = EXP_TAKE(m);
	return 0;
}

void exp_src_free(struct exp_src *m)
{
	if (!m)
		return;
	exp_core_done(&m->c);
	free(m);
}

void exp_src_step(struct exp_src *m, const struct exp_event *ev, struct exp_plan *ret)
{
	struct exp_core *c = &m->c;
	enum exp_act act = c->act;

	exp_core_begin(c, ev, ret);
	switch (ev->type) {
	case EXP_EV_START: start(m, ev); break;
	case EXP_EV_RECOVER: recover(m, ev); break;
	case EXP_EV_COMMITTED:
		if (exp_core_committed(c, ev))
			committed(m);
		break;
	case EXP_EV_COMMIT_FAILED:
		if (exp_core_commit_failed(c, ev))
			commit_failed(m, &ev->commit.err);
		break;
	case EXP_EV_ACT_DONE:
		if (exp_core_ended(c, ev))
			act_done(m, act, &ev->act.result);
		break;
	case EXP_EV_ACT_FAILED:
		if (exp_core_ended(c, ev))
			act_failed(m, act, &ev->act.err);
		break;
	case EXP_EV_MSG: on_msg(m, ev->msg); break;
	case EXP_EV_COPY: on_copy(m, ev); break;
	case EXP_EV_LINK_UP: exp_core_link_up(c); break;
	case EXP_EV_LINK_DOWN: c->link = false; break;
	case EXP_EV_DEVICE_RESET: on_reset(m); break;
	case EXP_EV_VERB: on_verb(m, ev); break;
	case EXP_EV_TICK: break;
	}
	if (exp_core_may_decide(c))
		exp_src_decide(m);
	else
		exp_src_rescue(m);
	c->plan = NULL;
}

uint64_t exp_src_deadline_ms(const struct exp_src *m)
{
	const struct exp_core *c = &m->c;
	uint64_t d = exp_core_deadline(c);

	if (c->stuck || c->commit != EXP_COMMIT_IDLE)
		return d;
	if (c->job->state == EXP_SRC_SWITCHING)
		return EXP_MIN(d, m->phase_end_ms);
	return EXP_MIN(d, exp_src_lease_ms(m));
}

static int fill_prepare(const struct exp_job *j, struct exp_msg_prepare *p)
{
	p->path = j->path;
	p->dirty = j->dirty;
	p->hold = j->hold;
	p->hold_lease_ms = j->hold_lease_ms;
	p->blackout_limit_ms = j->blackout_limit_ms;
	p->device = j->want_device;
	for (uint32_t i = 0; i < EXP_JOB_EXPORTS_MAX; i++) /* the request names the first one's */
		p->cntlid[i] = i ? UINT32_MAX : j->want_cntlid;
	p->descs = calloc(j->n_exports, sizeof(*p->descs));
	if (!p->descs)
		return -ENOMEM;
	p->n_descs = j->n_exports;
	for (uint32_t i = 0; i < j->n_exports; i++)
		p->descs[i] = j->exports[i].desc;
	return 0;
}

static int fill_final(const struct exp_job *j, struct exp_msg *msg)
{
	msg->final = calloc(1, sizeof(*msg->final));
	if (!msg->final)
		return -ENOMEM;
	for (uint32_t i = 0; i < j->n_exports; i++) {
		struct exp_msg_blob *b = &msg->final->state[i];

		if (!j->exports[i].state_len)
			continue;
		b->data = malloc(j->exports[i].state_len);
		if (!b->data) {
			exp_msg_done(msg);
			return -ENOMEM;
		}
		b->len = j->exports[i].state_len;
		memcpy(b->data, j->exports[i].state, b->len);
	}
	return 0;
}

int exp_src_message(const struct exp_src *m, const struct exp_action *a, struct exp_msg *ret)
{
	const struct exp_job *j = m->c.job;

	exp_msg_for_job(ret, a->msg, j);
	if (a->msg == EXP_MSG_PREPARE)
		return fill_prepare(j, &ret->prepare);
	if (a->msg == EXP_MSG_FINAL)
		return fill_final(j, ret);
	if (a->msg == EXP_MSG_DISCARD)
		ret->reason = j->error;
	if (a->msg == EXP_MSG_ANSWER)
		ret->answer = a->answer;
	return 0;
}

/* ------------------------------------------------------------------ for people */

const struct exp_job *exp_src_job(const struct exp_src *m)
{
	return m->c.job;
}

unsigned int exp_src_state(const struct exp_src *m)
{
	return m->c.durable;
}

enum exp_target_state exp_src_target(const struct exp_src *m)
{
	return m->target;
}

enum exp_condition exp_src_condition(const struct exp_src *m)
{
	const struct exp_core *c = &m->c;

	if (c->stuck || m->conflict)
		return EXP_CONDITION_NEEDS_OPERATOR;
	if (c->job->state == EXP_SRC_RELEASED && c->commit_again.tries)
		return EXP_CONDITION_RELEASE_UNKNOWN;
	if (c->job->state == EXP_SRC_ROLLING_BACK && c->act == EXP_ACT_SUSPEND)
		return EXP_CONDITION_SUSPEND_UNKNOWN;
	if (c->act_again.tries >= EXP_TRIES_ALONE && !m->vmm_has_it)
		return EXP_CONDITION_NEEDS_OPERATOR;
	return EXP_CONDITION_NONE;
}

uint64_t exp_src_lease_ms(const struct exp_src *m)
{
	if (m->c.durable == EXP_SRC_READY && m->c.job->state == EXP_SRC_READY &&
	    exp_src_held_before_switch(m))
		return m->lease_ms;
	if (m->c.job->state == EXP_SRC_SWITCHING && m->phase == EXP_SRC_PH_HOLD)
		return m->phase_end_ms;
	return EXP_NEVER_MS;
}

const char *exp_src_waiting(const struct exp_src *m)
{
	const struct exp_core *c = &m->c;

	if (c->stuck || m->conflict)
		return "a person to decide who owns it";
	if (c->commit != EXP_COMMIT_IDLE)
		return c->commit_again.tries ? "the database to take the record" : "";
	switch ((enum exp_src_state)c->job->state) {
	case EXP_SRC_PREPARING: return "the destination to build the target";
	case EXP_SRC_READY:
		if (exp_src_held_before_switch(m))
			return "switchover";
		return exp_src_target_ready(m) ? "the destination to accept the attempt"
					       : "target-ready at the destination";
	case EXP_SRC_SWITCHING:
		if (m->phase == EXP_SRC_PH_HOLD)
			return "commit";
		return m->phase == EXP_SRC_PH_VOTE ? "the destination to restore" : "";
	case EXP_SRC_ROLLING_BACK:
		if (c->act == EXP_ACT_SUSPEND)
			return "the drive to complete Suspend";
		return m->phase == EXP_SRC_PH_RUNS ? "the destination to discard" : "";
	case EXP_SRC_RELEASED:
		if (m->phase == EXP_SRC_PH_TAKE_DOWN && m->vmm_has_it)
			return "the VMM to release the function";
		return m->phase == EXP_SRC_PH_TELL ? "the destination to activate" : "";
	case EXP_SRC_PREFLIGHT:
	case EXP_SRC_COPYING:
	case EXP_SRC_DONE:
	case EXP_SRC_FAILED:
	case EXP_SRC_CANCELLED:
	case EXP_SRC_TAKEN: break;
	}
	return "";
}
