/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "copy_dst.h"
#include "copy_src.h"
#include "expd.h"
#include "exports.h"
#include "inventory/jobs.h"
#include "jobs_int.h"
#include "peers.h"
#include "preflight.h"
#include "store.h"

#define TIMER_MAX_MS 60000

static void tell(struct expd_job *j, struct exp_event *ev, struct exp_plan *plan);

const struct exp_job *expd_job_record(const struct expd_job *j)
{
	return j->src ? exp_src_job(j->src) : exp_dst_job(j->dst);
}

unsigned int expd_job_state(const struct expd_job *j)
{
	return j->src ? exp_src_state(j->src) : exp_dst_state(j->dst);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct exp_event ev = { .type = EXP_EV_TICK };
	struct exp_plan plan;

	(void)fd;
	(void)what;
	tell(arg, &ev, &plan);
}

int expd_job_new(struct expd *x, struct exp_job *rec, const struct exp_ownership *owner,
		 struct expd_job **ret, struct exp_error *err)
{
	struct expd_job *j = calloc(1, sizeof(*j));
	int r;

	if (!j) {
		exp_job_free(rec);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "job: out of memory");
	}
	j->x = x;
	j->id = rec->id;
	j->role = rec->role;
	if (rec->role == EXP_ROLE_SOURCE)
		r = exp_src_new(rec, owner, &j->src, err);
	else
		r = exp_dst_new(rec, owner, &j->dst, err);
	if (r < 0) {
		free(j);
		return r;
	}
	j->timer = event_new(x->base, -1, 0, on_timer, j);
	if (!j->timer) {
		expd_job_free(j);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "job: out of memory");
	}
	*ret = j;
	return 0;
}

void expd_job_free(struct expd_job *j)
{
	if (!j)
		return;
	assert(!j->stepping && !j->waiting);
	expd_copy_src_free(j->copy_src);
	expd_copy_dst_free(j->copy_dst);
	expd_preflight_cancel(j->preflight);
	if (j->timer)
		event_free(j->timer);
	exp_src_free(j->src);
	exp_dst_free(j->dst);
	free(j);
}

/*
 * The commit: record and ownership in one transaction, copied, since the machine goes on.
 */
struct commit {
	struct exp_uuid id;
	enum exp_role role;
	uint64_t seq;
	struct exp_job *rec;
	uint32_t n;
	struct exp_own_change changes[EXP_JOB_EXPORTS_MAX];
};

static int run_commit(struct exp_db *db, void *arg, struct exp_error *err)
{
	struct commit *c = arg;
	struct exp_export_change changes[EXP_JOB_EXPORTS_MAX];

	for (uint32_t i = 0; i < c->n; i++) {
		const struct exp_own_change *o = &c->changes[i];
		const struct exp_job_export *je = &c->rec->exports[o->index];

		changes[i] = (struct exp_export_change){
			.id = o->id,
			.owner = o->owner,
			.status = o->status,
			.owner_peer = o->owner_peer,
			.desc = &je->desc,
			/* until it is owned here, what lies here is the job's affair alone */
			.place = expd_exports_place_counts(c->rec, o) ? &je->here : NULL,
		};
	}
	return exp_jobs_commit(db, c->rec, changes, c->n, err);
}

static void commit_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	struct commit *c = arg;
	struct expd_job *j = expd_job_find(x, &c->id, c->role);
	struct exp_event ev = { .type = EXP_EV_COMMITTED };
	struct exp_plan plan;

	if (j) {
		ev.commit.seq = c->seq;
		if (r == 0)
			r = expd_exports_apply(x->exports, c->rec, c->changes, c->n);
		if (r < 0) {
			ev.type = EXP_EV_COMMIT_FAILED;
			ev.commit.err = *err;
			exp_log(LOG_ERR, "commit failed", kv_s("error", err->msg),
				kv_s("path", x->config->state_dir));
		}
		tell(j, &ev, &plan);
		expd_jobs_answer_waiting(j);
	}
	exp_job_free(c->rec);
	free(c);
}

static void commit_failed_at_once(struct expd_job *j, uint64_t seq)
{
	j->late = (struct exp_event){ .type = EXP_EV_COMMIT_FAILED,
				      .commit = { .seq = seq,
						  .err = { .code = EXP_CODE_NO_MEMORY,
							   .errnum = ENOMEM,
							   .msg = "commit: out of memory" } } };
	j->have_late = true;
}

static void commit(struct expd_job *j, const struct exp_plan *plan)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (c)
		c->rec = exp_job_copy(plan->record);
	if (!c || !c->rec) {
		free(c);
		commit_failed_at_once(j, plan->seq);
		return;
	}
	c->id = j->id;
	c->role = j->role;
	c->seq = plan->seq;
	c->rec->updated_ms = j->updated_ms = exp_wall_ms();
	c->n = plan->n_changes;
	memcpy(c->changes, plan->changes, sizeof(c->changes));
	for (uint32_t i = 0; i < c->n; i++) {
		const struct exp_own_change *o = &plan->changes[i];

		c->changes[i].status = expd_exports_status(j->x->exports, o);
		if (expd_exports_queue_floor(j->x->exports, &o->id, o->owner.floor) < 0) {
			exp_job_free(c->rec);
			free(c);
			commit_failed_at_once(j, plan->seq);
			return;
		}
	}
	if (plan->fresh_connection)
		expd_store_fresh(j->x->store);
	expd_store_run(j->x->store, true, run_commit, commit_done, c);
}

void expd_job_send(struct expd_job *j, const struct exp_msg *m)
{
	struct exp_error err = { 0 };
	char id[EXP_UUID_TEXT];

	if (expd_peers_send(j->x->peers, &expd_job_record(j)->peer, m, &err) < 0 &&
	    err.code != EXP_CODE_PEER_GONE)
		exp_log(LOG_WARNING, "message not sent", kv_s("mig", exp_uuid_format(&j->id, id)),
			kv_s("what", exp_msg_name(m->type)), kv_s("error", err.msg));
}

/* A FINAL that cannot be built will not be built later: the attempt ends, with the reason. */
static void final_failed(struct expd_job *j, int r)
{
	j->late = (struct exp_event){ .type = EXP_EV_COPY, .copy = { .news = EXP_COPY_FAILED } };
	if (r == -E2BIG)
		exp_error_set(&j->late.copy.err, EXP_CODE_TOO_LARGE, E2BIG,
			      "more than %d ranges were dirty after Suspend: lower "
			      "blackout_limit_ms, or try when the guest writes less",
			      EXP_MSG_DIGESTS_MAX);
	else
		exp_error_set(&j->late.copy.err, EXP_CODE_NO_MEMORY, ENOMEM,
			      "last message: out of memory");
	j->have_late = true;
}

static void send_action(struct expd_job *j, const struct exp_action *a)
{
	struct exp_msg m;
	int r = j->src ? exp_src_message(j->src, a, &m) : exp_dst_message(j->dst, a, &m);

	if (r < 0)
		return; /* out of memory is a lost message */
	if (m.type == EXP_MSG_FINAL && j->copy_src)
		r = expd_copy_src_fill_final(j->copy_src, m.final);
	if (r == 0)
		expd_job_send(j, &m);
	else
		final_failed(j, r);
	exp_msg_done(&m);
}

static void preflight_done(struct expd *x, void *arg, const struct exp_error *err,
			   const struct expd_preflight_result *res)
{
	struct expd_job *j = arg;
	struct exp_act_result result = { 0 };
	struct exp_error refused = *err;
	int r = err->code == EXP_CODE_OK ? 0 : -(err->errnum ? err->errnum : EIO);

	(void)x;
	if (r == 0)
		r = exp_findings_error(&res->findings, EXP_CODE_PREFLIGHT, &refused);
	if (r == 0) {
		result.path = res->path;
		result.dirty = res->dirty;
	}
	expd_job_done(j, j->preflight_step, r, &result, &refused);
}

static void run_action(struct expd_job *j, const struct exp_action *a)
{
	if (a->act == EXP_ACT_SEND) {
		send_action(j, a);
		return;
	}
	j->running = true;
	j->step = a->step;
	j->act = a->act;
	switch (a->act) {
	case EXP_ACT_PREFLIGHT:
		j->preflight_step = a->step;
		expd_preflight_start(j->x, expd_job_record(j), preflight_done, j, &j->preflight);
		return;
	case EXP_ACT_COPY_START: expd_copy_src_start(j, a->step, a->everything); return;
	case EXP_ACT_DRAIN: expd_copy_src_drain(j, a->step); return;
	case EXP_ACT_LAST_DATA: expd_copy_src_last(j, a->step); return;
	case EXP_ACT_CHECK_FINAL: expd_copy_dst_check_final(j, a->step); return;
	case EXP_ACT_COPY_STOP:
		if (j->src)
			expd_copy_src_stop(j, a->step);
		else
			expd_copy_dst_stop(j, a->step);
		return;
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
	case EXP_ACT_DELETE: expd_job_on_device(j, a); return;
	case EXP_ACT_NONE:
	case EXP_ACT_SEND:
	case EXP_ACT_N: break;
	}
	abort(); /* a plan with an action that does not exist: our own bug */
}

static void stamp(struct expd_job *j, const struct exp_mark *m)
{
	uint64_t now = exp_mono_us();

	if (m->begin) {
		j->mark_us[m->step] = now;
		if (m->step == EXP_STEP_SUSPEND)
			j->blackout_began_us = now;
		return;
	}
	if (!j->mark_us[m->step])
		return;
	j->progress.steps_us[m->step] += now - j->mark_us[m->step];
	j->mark_us[m->step] = 0;
	if (m->step != EXP_STEP_ACTIVATE)
		return;
	if (j->blackout_began_us)
		j->progress.blackout_us = now - j->blackout_began_us;
	expd_jobs_guest_runs(j);
}

static void arm(struct expd_job *j)
{
	uint64_t now = exp_mono_ms();
	uint64_t at = j->src ? exp_src_deadline_ms(j->src) : exp_dst_deadline_ms(j->dst);
	uint64_t ms = at > now ? EXP_MIN(at - now, (uint64_t)TIMER_MAX_MS) : 0;
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
			      .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (at == EXP_NEVER_MS || j->ended)
		event_del(j->timer);
	else
		event_add(j->timer, &tv);
}

static void say(struct expd_job *j, const struct exp_plan *plan)
{
	char id[EXP_UUID_TEXT];

	for (uint32_t i = 0; i < plan->n_marks; i++)
		stamp(j, &plan->marks[i]);
	if (plan->alarm.code != EXP_CODE_OK)
		exp_log(LOG_ERR, "a person should look at this migration",
			kv_s("mig", exp_uuid_format(&j->id, id)), kv_s("error", plan->alarm.msg));
	if (plan->ignored)
		j->ignored++;
	j->progress.condition = j->src ? exp_src_condition(j->src) : exp_dst_condition(j->dst);
	j->progress.target = j->src ? exp_src_target(j->src) : exp_dst_target(j->dst);
	j->progress.waiting = j->src ? exp_src_waiting(j->src) : exp_dst_waiting(j->dst);
	if (plan->entered)
		expd_jobs_entered(j, plan->entered);
}

/* One event, and those that arise inside while its plan is carried out. */
static void tell(struct expd_job *j, struct exp_event *ev, struct exp_plan *plan)
{
	struct exp_plan inner;
	struct exp_event next;

	assert(!j->stepping);
	if (j->ended)
		return;
	j->stepping = true;
	for (;;) {
		ev->now_ms = exp_mono_ms();
		if (j->src)
			exp_src_step(j->src, ev, plan);
		else
			exp_dst_step(j->dst, ev, plan);
		say(j, plan);
		if (plan->store)
			commit(j, plan);
		for (uint32_t i = 0; i < plan->n_actions; i++)
			run_action(j, &plan->actions[i]);
		if (plan->publish)
			j->ended = true;
		if (!j->have_late)
			break;
		j->have_late = false;
		next = j->late;
		ev = &next;
		plan = &inner; /* the first one's answer to a verb is the caller's */
	}
	j->stepping = false;
	arm(j);
	if (j->ended)
		expd_jobs_ended(j);
}

void expd_job_begin(struct expd_job *j, bool stored)
{
	struct exp_event ev = { .type = stored ? EXP_EV_RECOVER : EXP_EV_START };
	const struct exp_name peer = expd_job_record(j)->peer;
	struct exp_plan plan;

	ev.boot = j->x->boot;
	tell(j, &ev, &plan);
	if (!j->ended && expd_peers_connected(j->x->peers, &peer))
		expd_job_link(j, true);
}

void expd_job_link(struct expd_job *j, bool up)
{
	struct exp_event ev = { .type = up ? EXP_EV_LINK_UP : EXP_EV_LINK_DOWN };
	struct exp_plan plan;

	tell(j, &ev, &plan);
}

void expd_job_message(struct expd_job *j, const struct exp_msg *m)
{
	struct exp_event ev = { .type = EXP_EV_MSG, .msg = m };
	struct exp_plan plan;

	switch (m->type) {
	case EXP_MSG_SESSION_OK:
		if (j->copy_src)
			expd_copy_src_session_ok(j->copy_src, m);
		return;
	case EXP_MSG_DATA_ACK:
		if (j->copy_src)
			expd_copy_src_ack(j->copy_src, &m->data_ack);
		return;
	case EXP_MSG_SESSION: expd_copy_dst_session(j, m); return;
	default: break; /* the rest is the machine's */
	}
	tell(j, &ev, &plan);
}

void expd_job_device_reset(struct expd_job *j)
{
	struct exp_event ev = { .type = EXP_EV_DEVICE_RESET };
	struct exp_plan plan;

	tell(j, &ev, &plan);
}

void expd_job_copy_news(struct expd_job *j, enum exp_copy_news news, const struct exp_error *err)
{
	struct exp_event ev = { .type = EXP_EV_COPY };
	struct exp_plan plan;

	ev.copy.news = news;
	if (err)
		ev.copy.err = *err;
	tell(j, &ev, &plan);
}

enum exp_verb_answer expd_job_verb(struct expd_job *j, enum exp_verb verb,
				   const struct exp_memory_range *memory, uint32_t n_memory,
				   struct exp_error *err)
{
	struct exp_event ev = { .type = EXP_EV_VERB };
	struct exp_plan plan = { 0 };

	ev.verb.verb = verb;
	ev.verb.memory = memory;
	ev.verb.n_memory = n_memory;
	tell(j, &ev, &plan);
	*err = plan.verb_error;
	return plan.verb;
}

/* Once per cause, since much is tried again and again; that the VMM is waited for is no failure. */
static void step_failed(struct expd_job *j, const struct exp_error *err)
{
	char id[EXP_UUID_TEXT];

	if (err->code == EXP_CODE_BUSY || !strcmp(j->last_failure, err->msg))
		return;
	memcpy(j->last_failure, err->msg, sizeof(j->last_failure));
	exp_log(LOG_WARNING, "a step of a migration failed",
		kv_s("mig", exp_uuid_format(&j->id, id)), kv_s("what", exp_act_name(j->act)),
		kv_s("error", err->msg));
}

void expd_job_done(struct expd_job *j, uint32_t step, int r, const struct exp_act_result *result,
		   const struct exp_error *err)
{
	struct exp_event ev = { .type = r < 0 ? EXP_EV_ACT_FAILED : EXP_EV_ACT_DONE };
	struct exp_plan plan;

	if (!j->running || j->step != step)
		return;
	j->running = false;
	if (r < 0)
		step_failed(j, err);
	/* rolled back as far as the guest can tell: what is left is the peer's to clear up */
	if (r == 0 && j->src && j->act == EXP_ACT_VERIFY_RUNS)
		expd_jobs_guest_runs(j);
	ev.act.step = step;
	if (r < 0)
		ev.act.err = *err;
	else if (result)
		ev.act.result = *result;
	if (j->stepping) { /* it ended before it began; only failures without a result do */
		j->late = ev;
		j->have_late = true;
		return;
	}
	tell(j, &ev, &plan);
}
