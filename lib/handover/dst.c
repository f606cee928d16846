/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dst.c - the receiving side: events become facts, operators are answered, messages are filled in
 *
 * Nothing here starts an action or queues a commit but start and recovery; dst_decide.c does.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handover/dst_priv.h"

/* ------------------------------------------------------------------ events become facts */

static void start(struct exp_dst *m, const struct exp_event *ev)
{
	assert(!m->c.job->state);
	m->c.job->boot = ev->boot;
	exp_dst_raise_floor(m);
	exp_dst_move(m, 0, EXP_DST_PREPARING, EXP_DST_PH_BUILD);
	m->prepare_asked = true;
}

/* Whatever is found is stored once more before it is acted on: what a reopened database shows
 * proves nothing about the disk, and the vote or the answer that follows is relied on for ever. */
static void recover(struct exp_dst *m, const struct exp_event *ev)
{
	struct exp_core *c = &m->c;
	struct exp_job *j = c->job;
	bool later_boot = !exp_uuid_eq(&j->boot, &ev->boot);

	c->durable = j->state;
	if (exp_state_is_final(EXP_ROLE_DESTINATION, j->state))
		return;
	if (later_boot && (j->state == EXP_DST_RESTORED || j->state == EXP_DST_ACTIVATING ||
			   j->state == EXP_DST_ACTIVE)) {
		c->stuck = true;
		exp_core_alarm(c, EXP_CODE_NEEDS_OPERATOR,
			       "job found in %s after a restart of the host: what was built on the "
			       "drive may be gone; a person must look",
			       exp_dst_state_name(j->state));
		return;
	}
	j->boot = ev->boot;
	switch ((enum exp_dst_state)j->state) {
	case EXP_DST_PREPARING: m->phase = EXP_DST_PH_BUILD; break;
	case EXP_DST_RECEIVING: m->phase = EXP_DST_PH_REBUILD; break;
	case EXP_DST_RESTORED: m->phase = EXP_DST_PH_REHOLD; break;
	case EXP_DST_ACTIVATING:
		exp_dst_own_all(m);
		m->phase = EXP_DST_PH_ATTACH;
		break;
	case EXP_DST_ACTIVE:
		m->phase = EXP_DST_PH_STOP;
		m->active_asked = true;
		break;
	case EXP_DST_DISCARDING: m->phase = EXP_DST_PH_STOP; break;
	case EXP_DST_DISCARDED:
	case EXP_DST_DONE: break;
	}
	if (later_boot && j->state != EXP_DST_DISCARDING) {
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_RESTARTED,
			       "the destination's host restarted in %s",
			       exp_dst_state_name(j->state));
		exp_dst_discard(m);
		return;
	}
	m->prepare_asked = true;
	exp_core_store(c);
}

static void committed(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_DST_ACTIVE && c->plan->entered)
		m->active_asked = true;
	if (!exp_state_is_final(EXP_ROLE_DESTINATION, c->job->state))
		return;
	c->plan->publish = true;
	if (c->job->state == EXP_DST_DISCARDED) /* R12: deleted, and that is on the disk */
		exp_core_send(c, EXP_MSG_DISCARDED);
}

static void act_done(struct exp_dst *m, enum exp_act was, const struct exp_act_result *res)
{
	struct exp_core *c = &m->c;
	struct exp_job *j = c->job;

	if (was == EXP_ACT_BUILD || was == EXP_ACT_REBUILD) {
		for (uint32_t i = 0; i < j->n_exports; i++) {
			j->exports[i].here = res->places[i];
			j->exports[i].discard_namespace = true;
		}
		m->target = was == EXP_ACT_BUILD ? EXP_TARGET_ABSENT : res->target;
		if (m->reset && m->target == EXP_TARGET_SUSPENDED)
			m->target = EXP_TARGET_ENABLED;
	}
	if (was == EXP_ACT_SUSPEND_TARGET)
		m->target = m->reset ? EXP_TARGET_ENABLED : res->target;
	if (was == EXP_ACT_CHECK_READY)
		m->attempt_ok = true;
	if (was == EXP_ACT_SUSPEND_TARGET || was == EXP_ACT_CHECK_READY)
		return;
	if (j->state == EXP_DST_DISCARDING && was != exp_dst_phase_act(m->phase))
		return; /* it was outstanding when the job was given up */
	if (m->phase == EXP_DST_PH_REHOLD && m->reset)
		return; /* once more */
	exp_dst_advance(m);
}

static void act_failed(struct exp_dst *m, enum exp_act was, const struct exp_error *err)
{
	struct exp_core *c = &m->c;

	switch ((enum exp_dst_state)c->job->state) {
	case EXP_DST_PREPARING:
	case EXP_DST_RECEIVING:
		if (was == EXP_ACT_SUSPEND_TARGET) { /* the VMM has not enabled it after all */
			m->target = EXP_TARGET_ABSENT;
			exp_core_act_failed(c);
			break;
		}
		exp_core_stop(c, EXP_INTENT_FAIL, err);
		break;
	case EXP_DST_RESTORED: exp_core_act_failed(c); break; /* again and again; never decides */
	case EXP_DST_ACTIVATING:
		/* no way back from here: it is this host's to run, and it tries until it does */
		exp_core_act_failed(c);
		m->phase = EXP_DST_PH_ATTACH;
		break;
	case EXP_DST_ACTIVE:
		exp_core_act_failed(c);
		if (c->act_again.tries >= EXP_TRIES_ALONE) { /* clean-up never fails the job */
			m->phase = EXP_DST_PH_CLOSE;
			c->act_again = (struct exp_repeat){ 0 };
		}
		break;
	case EXP_DST_DISCARDING:
		m->vmm_has_it = was == EXP_ACT_DELETE && err->code == EXP_CODE_BUSY;
		if (was == exp_dst_phase_act(m->phase))
			exp_core_act_failed(c);
		break;
	case EXP_DST_DISCARDED:
	case EXP_DST_DONE: break;
	}
}

static void final_free(struct exp_msg_final *f)
{
	if (f)
		free(f->digests);
	free(f);
}

static int take_final(struct exp_dst *m, const struct exp_msg_final *f)
{
	struct exp_job *j = m->c.job;
	struct exp_msg_final *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *f;
	memset(copy->state, 0, sizeof(copy->state));
	copy->digests = NULL;
	if (f->n_digests) {
		copy->digests = malloc(f->n_digests * sizeof(*copy->digests));
		if (!copy->digests) {
			final_free(copy);
			return -ENOMEM;
		}
		memcpy(copy->digests, f->digests, f->n_digests * sizeof(*copy->digests));
	}
	final_free(m->final);
	m->final = copy;
	for (uint32_t i = 0; i < j->n_exports; i++) {
		int r = exp_job_set_state_blob(j, i, f->state[i].data, f->state[i].len);

		if (r < 0)
			return r;
	}
	return 0;
}

static void on_final(struct exp_dst *m, const struct exp_msg_final *f)
{
	struct exp_core *c = &m->c;
	int r;

	for (uint32_t i = 0; i < c->job->n_exports; i++) {
		if (exp_dst_cold(m) == !f->state[i].len && f->state[i].len <= EXP_STATE_BLOB_MAX)
			continue;
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_PROTOCOL,
			       "controller state of export %u has %u bytes; the %s path has %s", i,
			       f->state[i].len, exp_path_name(c->job->path),
			       exp_dst_cold(m) ? "none" : "some, and at most 262144");
		return;
	}
	r = take_final(m, f);
	if (r < 0)
		exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_NO_MEMORY,
			       "no memory for the last message of the source");
	else
		m->final_asked = true;
}

static void on_release(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	switch ((enum exp_dst_state)c->job->state) {
	case EXP_DST_PREPARING:
	case EXP_DST_RECEIVING:
	case EXP_DST_DISCARDING:
		exp_core_alarm(c, EXP_CODE_PROTOCOL,
			       "%s releases what was never restored here (state %s); not obeyed",
			       c->job->peer.s, exp_dst_state_name(c->job->state));
		break;
	case EXP_DST_RESTORED: m->released = true; break;
	case EXP_DST_ACTIVATING: break; /* ACTIVE follows when it runs */
	case EXP_DST_ACTIVE: m->active_asked = true; break;
	case EXP_DST_DISCARDED:
	case EXP_DST_DONE: break;
	}
}

static void on_discard(struct exp_dst *m, const struct exp_msg *msg)
{
	struct exp_core *c = &m->c;

	if (c->job->state == EXP_DST_ACTIVE)
		m->active_asked = true;
	if (c->job->state == EXP_DST_ACTIVATING || c->job->state == EXP_DST_ACTIVE || m->released)
		exp_core_alarm(c, EXP_CODE_PROTOCOL, "%s takes back what it released; it runs here",
			       c->job->peer.s);
	else if (c->job->state != EXP_DST_DISCARDING)
		exp_core_stop(c, EXP_INTENT_FAIL, &msg->reason);
}

static void on_msg(struct exp_dst *m, const struct exp_msg *msg)
{
	struct exp_core *c = &m->c;
	unsigned int state = c->job->state;
	bool used = true;

	if (!exp_core_ours(c, msg)) {
		c->plan->ignored = true;
		return;
	}
	switch (msg->type) {
	case EXP_MSG_PREPARE:
		used = state == EXP_DST_PREPARING || state == EXP_DST_RECEIVING;
		m->prepare_asked |= used;
		break;
	case EXP_MSG_ATTEMPT:
		used = state == EXP_DST_RECEIVING;
		m->attempt_asked |= used;
		break;
	case EXP_MSG_FINAL:
		if (state == EXP_DST_RESTORED)
			c->send_again = (struct exp_repeat){ 0 }; /* RESTORED again, now */
		else if (state == EXP_DST_RECEIVING && !m->final_asked && msg->final)
			on_final(m, msg->final);
		else
			used = false;
		break;
	case EXP_MSG_RELEASE: on_release(m); break;
	case EXP_MSG_DISCARD: on_discard(m, msg); break;
	case EXP_MSG_ANSWER: m->unknown = msg->answer == EXP_ANSWER_UNKNOWN; break;
	case EXP_MSG_HELLO:
	case EXP_MSG_BYE:
	case EXP_MSG_PING:
	case EXP_MSG_PONG:
	case EXP_MSG_CAPS:
	case EXP_MSG_CAPS_REPLY:
	case EXP_MSG_PREPARED:
	case EXP_MSG_TARGET:
	case EXP_MSG_SESSION:
	case EXP_MSG_SESSION_OK:
	case EXP_MSG_DATA_ACK:
	case EXP_MSG_ATTEMPT_OK:
	case EXP_MSG_RESTORED:
	case EXP_MSG_ACTIVE:
	case EXP_MSG_DISCARDED:
	case EXP_MSG_QUERY: used = false; break;
	}
	c->plan->ignored = !used;
}

static void on_reset(struct exp_dst *m)
{
	m->reset = true;
	switch ((enum exp_dst_state)m->c.job->state) {
	case EXP_DST_RECEIVING:
		if (m->target == EXP_TARGET_SUSPENDED)
			m->target = EXP_TARGET_ENABLED;
		if (m->phase >
		    EXP_DST_PH_SERVE) /* the state may have gone to a controller that runs */
			exp_core_stopf(&m->c, EXP_INTENT_FAIL, EXP_CODE_NOT_SUSPENDED,
				       "the destination's drive was reset while it restored");
		break;
	case EXP_DST_RESTORED: m->phase = EXP_DST_PH_REHOLD; break;
	case EXP_DST_PREPARING:
	case EXP_DST_ACTIVATING:
	case EXP_DST_ACTIVE:
	case EXP_DST_DISCARDING:
	case EXP_DST_DISCARDED:
	case EXP_DST_DONE: break;
	}
}

/* ------------------------------------------------------------------ verbs */

static bool memory_is_sound(struct exp_core *c, const struct exp_event *ev)
{
	if (!ev->verb.n_memory || ev->verb.n_memory > EXP_MEMORY_RANGES_MAX) {
		exp_core_refuse(c, EXP_CODE_INVALID,
				"memory: %u ranges; target-ready names 1 to %d, since queues are "
				"accepted only inside them",
				ev->verb.n_memory, EXP_MEMORY_RANGES_MAX);
		return false;
	}
	for (uint32_t i = 0; i < ev->verb.n_memory; i++) {
		const struct exp_memory_range *r = &ev->verb.memory[i];

		if (r->bytes && r->iova <= UINT64_MAX - r->bytes)
			continue;
		exp_core_refuse(c, EXP_CODE_INVALID,
				"memory[%u]: %llu bytes at iova %llu are no range of addresses", i,
				(unsigned long long)r->bytes, (unsigned long long)r->iova);
		return false;
	}
	return true;
}

static void verb_target_ready(struct exp_dst *m, const struct exp_event *ev)
{
	struct exp_core *c = &m->c;
	struct exp_job *j = c->job;

	if (exp_dst_cold(m)) {
		exp_core_refuse(c, EXP_CODE_CONFLICT,
				"it moves cold: start the VM here when the job is active");
		return;
	}
	if (j->state > EXP_DST_RESTORED) {
		exp_core_refuse(c, EXP_CODE_CONFLICT,
				"target-ready is for a migration before it is restored; this one "
				"is in %s",
				exp_dst_state_name(j->state));
		return;
	}
	if (c->commit != EXP_COMMIT_IDLE) {
		c->plan->verb = EXP_VERB_WAIT;
		return;
	}
	if (!memory_is_sound(c, ev))
		return;
	c->plan->verb = EXP_VERB_ACCEPTED;
	c->act_again = (struct exp_repeat){ 0 }; /* whatever waits for the VMM need not rest */
	if (j->state == EXP_DST_RESTORED || m->phase > EXP_DST_PH_SERVE)
		return;
	j->n_memory = ev->verb.n_memory;
	memcpy(j->memory, ev->verb.memory, j->n_memory * sizeof(j->memory[0]));
	m->memory_new = true;
}

static void verb_cancel(struct exp_dst *m)
{
	struct exp_core *c = &m->c;

	switch ((enum exp_dst_state)c->job->state) {
	case EXP_DST_PREPARING:
	case EXP_DST_RECEIVING:
		c->plan->verb = EXP_VERB_ACCEPTED;
		exp_core_stopf(c, EXP_INTENT_CANCEL, EXP_CODE_CANCELLED,
			       "cancelled on request at the destination");
		break;
	case EXP_DST_RESTORED:
		exp_core_refuse(c, EXP_CODE_CONFLICT,
				"restored here: only the source decides now; cancel it at %s",
				c->job->peer.s);
		break;
	case EXP_DST_ACTIVATING:
	case EXP_DST_ACTIVE:
	case EXP_DST_DONE:
		exp_core_refuse(c, EXP_CODE_TOO_LATE, "too late: this host owns it");
		break;
	case EXP_DST_DISCARDING:
	case EXP_DST_DISCARDED: c->plan->verb = EXP_VERB_ACCEPTED; break;
	}
}

static void on_verb(struct exp_dst *m, const struct exp_event *ev)
{
	struct exp_core *c = &m->c;

	if (c->stuck) {
		exp_core_refuse(c, EXP_CODE_NEEDS_OPERATOR,
				"the host restarted while this job was in %s; only resolve helps",
				exp_dst_state_name(c->job->state));
		return;
	}
	switch (ev->verb.verb) {
	case EXP_VERB_TARGET_READY: verb_target_ready(m, ev); break;
	case EXP_VERB_CANCEL: verb_cancel(m); break;
	case EXP_VERB_SWITCHOVER:
	case EXP_VERB_COMMIT:
	case EXP_VERB_ABORT:
		exp_core_refuse(c, EXP_CODE_CONFLICT, "this belongs to the source; ask %s",
				c->job->peer.s);
		break;
	}
}

/* ------------------------------------------------------------------ the interface */

static int check_prepare(const struct exp_msg *m, struct exp_error *err)
{
	const struct exp_msg_prepare *p = &m->prepare;

	if (!m->n_exports || m->n_exports > EXP_JOB_EXPORTS_MAX || m->n_exports != p->n_descs)
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "prepare names %u exports and describes %u; 1 to %d are "
				     "possible",
				     m->n_exports, p->n_descs, EXP_JOB_EXPORTS_MAX);
	if (!exp_path_name(p->path) || p->path == EXP_PATH_NONE || p->path == EXP_PATH_VFIO)
		return exp_error_set(err, EXP_CODE_NOT_SUPPORTED, EINVAL,
				     "prepare asks for state path %u", (unsigned int)p->path);
	if (!exp_dirty_name(p->dirty) || (p->path == EXP_PATH_COLD && p->dirty != EXP_DIRTY_NONE))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "prepare asks for dirty source %u on the %s path",
				     (unsigned int)p->dirty, exp_path_name(p->path));
	if (p->hold & ~(EXP_HOLD_SWITCH | EXP_HOLD_COMMIT))
		return exp_error_set(err, EXP_CODE_PROTOCOL, EINVAL,
				     "prepare asks for unknown holds, %02xh", p->hold);
	for (uint32_t i = 0; i < p->n_descs; i++)
		if (p->descs[i].config_len > EXP_CONFIG_STATE_MAX)
			return exp_error_set(err, EXP_CODE_TOO_LARGE, EINVAL,
					     "configuration of export %u has %u bytes, more than "
					     "%d",
					     i, p->descs[i].config_len, EXP_CONFIG_STATE_MAX);
	return 0;
}

int exp_dst_job_new(const struct exp_msg *prepare, const struct exp_name *peer,
		    struct exp_job **ret, struct exp_error *err)
{
	const struct exp_msg_prepare *p = &prepare->prepare;
	struct exp_job *j;
	int r = check_prepare(prepare, err);

	if (r < 0)
		return r;
	j = exp_job_new();
	if (!j)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "record of a migration");
	j->id = prepare->job;
	j->role = EXP_ROLE_DESTINATION;
	j->attempt = prepare->attempt;
	j->peer = *peer;
	j->path = p->path;
	j->dirty = p->dirty;
	j->hold = p->hold;
	j->hold_lease_ms = p->hold_lease_ms;
	j->blackout_limit_ms = p->blackout_limit_ms;
	j->n_exports = prepare->n_exports;
	for (uint32_t i = 0; i < j->n_exports; i++) {
		j->exports[i].id = prepare->exports[i].id;
		j->exports[i].epoch = prepare->exports[i].epoch;
		j->exports[i].desc = p->descs[i];
	}
	*ret = j;
	return 0;
}

int exp_dst_new(struct exp_job *job, const struct exp_ownership *owner, struct exp_dst **ret,
		struct exp_error *err)
{
	EXP_CLEANUP(exp_job_freep) struct exp_job *mine = job;
	EXP_CLEANUP(exp_dst_freep) struct exp_dst *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "destination machine");
	m->target = m->told = EXP_TARGET_ABSENT;
	r = exp_core_init(&m->c, EXP_TAKE(mine), EXP_ROLE_DESTINATION, &exp_dst_sm, owner, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; !job->state && i < job->n_exports; i++) {
		if (owner[i].own)
			return exp_error_set(err, EXP_CODE_CONFLICT, EINVAL,
					     "export %s is owned by this host already",
					     job->exports[i].desc.nqn.s);
		if (job->exports[i].epoch <= owner[i].floor)
			return exp_error_set(
				err, EXP_CODE_GONE, EINVAL,
				"epoch %llu of export %s is closed here, %llu was seen",
				(unsigned long long)job->exports[i].epoch,
				job->exports[i].desc.nqn.s, (unsigned long long)owner[i].floor);
	}
	*ret = EXP_TAKE(m);
	return 0;
}

void exp_dst_free(struct exp_dst *m)
{
	if (!m)
		return;
	exp_core_done(&m->c);
	final_free(m->final);
	free(m);
}

void exp_dst_step(struct exp_dst *m, const struct exp_event *ev, struct exp_plan *ret)
{
	struct exp_core *c = &m->c;
	enum exp_act was = c->act;

	exp_core_begin(c, ev, ret);
	switch (ev->type) {
	case EXP_EV_START: start(m, ev); break;
	case EXP_EV_RECOVER: recover(m, ev); break;
	case EXP_EV_COMMITTED:
		if (exp_core_committed(c, ev))
			committed(m);
		break;
	case EXP_EV_COMMIT_FAILED: /* unknown outcome: the same row again, nothing done meanwhile */
		exp_core_commit_failed(c, ev);
		break;
	case EXP_EV_ACT_DONE:
		if (exp_core_ended(c, ev))
			act_done(m, was, &ev->act.result);
		break;
	case EXP_EV_ACT_FAILED:
		if (exp_core_ended(c, ev))
			act_failed(m, was, &ev->act.err);
		break;
	case EXP_EV_MSG: on_msg(m, ev->msg); break;
	case EXP_EV_COPY:
		if (ev->copy.news == EXP_COPY_FAILED && c->job->state == EXP_DST_RECEIVING)
			exp_core_stop(c, EXP_INTENT_FAIL, &ev->copy.err);
		break;
	case EXP_EV_LINK_UP:
		exp_core_link_up(c);
		m->told = 0; /* the source may have missed how the target is */
		break;
	case EXP_EV_LINK_DOWN: c->link = false; break;
	case EXP_EV_DEVICE_RESET: on_reset(m); break;
	case EXP_EV_VERB: on_verb(m, ev); break;
	case EXP_EV_TICK: break;
	}
	if (exp_core_may_decide(c))
		exp_dst_decide(m);
	c->plan = NULL;
}

uint64_t exp_dst_deadline_ms(const struct exp_dst *m)
{
	return exp_core_deadline(&m->c);
}

int exp_dst_message(const struct exp_dst *m, const struct exp_action *a, struct exp_msg *ret)
{
	const struct exp_job *j = m->c.job;

	exp_msg_for_job(ret, a->msg, j);
	if (a->msg == EXP_MSG_PREPARED) {
		ret->prepared.device = j->exports[0].here.device;
		ret->prepared.target = m->target;
		for (uint32_t i = 0; i < j->n_exports; i++)
			ret->prepared.cntlid[i] = j->exports[i].here.cntlid;
	}
	if (a->msg == EXP_MSG_TARGET)
		ret->target = m->target;
	if (a->msg == EXP_MSG_DISCARDED)
		ret->reason = j->error;
	return 0;
}

/* ------------------------------------------------------------------ for people */

const struct exp_job *exp_dst_job(const struct exp_dst *m)
{
	return m->c.job;
}

unsigned int exp_dst_state(const struct exp_dst *m)
{
	return m->c.durable;
}

enum exp_target_state exp_dst_target(const struct exp_dst *m)
{
	return m->target;
}

const struct exp_msg_final *exp_dst_final(const struct exp_dst *m)
{
	return m->final;
}

enum exp_condition exp_dst_condition(const struct exp_dst *m)
{
	const struct exp_core *c = &m->c;

	if (c->stuck || (c->act_again.tries >= EXP_TRIES_ALONE && !m->vmm_has_it) ||
	    (c->job->state == EXP_DST_RESTORED && m->unknown))
		return EXP_CONDITION_NEEDS_OPERATOR;
	return EXP_CONDITION_NONE;
}

const char *exp_dst_waiting(const struct exp_dst *m)
{
	const struct exp_core *c = &m->c;

	if (c->stuck)
		return "a person to look at the drive";
	if (c->commit != EXP_COMMIT_IDLE)
		return c->commit_again.tries ? "the database to take the record" : "";
	if (c->job->state == EXP_DST_RECEIVING && m->phase == EXP_DST_PH_SERVE &&
	    !exp_dst_cold(m) && m->target != EXP_TARGET_SUSPENDED)
		return c->job->n_memory ? "the VMM to enable the target controller"
					: "target-ready";
	if (c->job->state == EXP_DST_RESTORED)
		return m->phase == EXP_DST_PH_VOTE ? "the source to release or discard"
						   : "the target to be held again";
	if (c->job->state == EXP_DST_DISCARDING && m->vmm_has_it)
		return "the VMM to release the target function";
	return "";
}
