/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "copy_dst.h"
#include "device_service.h"
#include "events.h"
#include "expd.h"
#include "exports.h"
#include "inventory/events_db.h"
#include "inventory/jobs.h"
#include "jobs_int.h"
#include "peers.h"
#include "preflight.h"
#include "store.h"
#include "target.h"
#include "tls/stream.h"

#define STOP_MS 20000 /* what is in its blackout gets that long at shutdown */

static int keep_job(struct exp_job **rec, void *arg)
{
	struct expd_jobs *js = arg;
	struct exp_ownership owner[EXP_JOB_EXPORTS_MAX] = { 0 };
	struct exp_error err = { 0 };
	struct expd_job *j;
	char id[EXP_UUID_TEXT];
	int r;

	for (uint32_t i = 0; i < (*rec)->n_exports; i++) {
		const struct exp_export *e = expd_exports_find(js->x->exports,
							       &(*rec)->exports[i].id);

		if (e)
			owner[i] = e->owner;
	}
	exp_uuid_format(&(*rec)->id, id);
	r = expd_job_new(js->x, EXP_TAKE(*rec), owner, &j, &err);
	if (r < 0) {
		exp_log(LOG_ERR, "a stored migration cannot be taken up", kv_s("mig", id),
			kv_s("error", err.msg));
		return r;
	}
	expd_jobs_add(js, j);
	return 0;
}

int expd_jobs_load(struct expd *x, struct expd_jobs **ret, struct exp_error *err)
{
	const struct exp_jobs_filter open = { .open = true };
	struct expd_jobs *js = calloc(1, sizeof(*js));
	int r;

	if (!js)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "jobs: out of memory");
	js->x = x;
	x->jobs = *ret = js;
	r = exp_jobs_list(expd_store_journal(x->store), &open, keep_job, js, err);
	return r < 0 ? exp_error_wrap(err, r, "read the open migrations") : 0;
}

void expd_jobs_free(struct expd_jobs *js)
{
	if (!js)
		return;
	expd_jobs_begin_free(js);
	if (js->stop_timer)
		event_free(js->stop_timer);
	while (js->list) {
		struct expd_job *j = js->list;

		js->list = j->next;
		while (j->waiting) { /* their requests end with the control sockets */
			struct expd_waiting_verb *w = j->waiting;

			j->waiting = w->next;
			free(w);
		}
		expd_job_free(j);
	}
	free(js);
}

void expd_jobs_halt(struct expd_jobs *js)
{
	for (struct expd_job *j = js ? js->list : NULL; j; j = j->next)
		j->ended = true;
}

void expd_jobs_add(struct expd_jobs *js, struct expd_job *j)
{
	const struct exp_job *rec = expd_job_record(j);

	j->next = js->list;
	js->list = j;
	js->open++;
	for (uint32_t i = 0; i < rec->n_exports; i++)
		expd_exports_hold(js->x->exports, &rec->exports[i].id, &rec->id);
	if (js->x->peers)
		expd_peers_want(js->x->peers, &rec->peer, 1);
}

struct expd_job *expd_job_find(struct expd *x, const struct exp_uuid *id, enum exp_role role)
{
	for (struct expd_job *j = x->jobs ? x->jobs->list : NULL; j; j = j->next)
		if (j->role == role && exp_uuid_eq(&j->id, id))
			return j;
	return NULL;
}

void expd_jobs_recover(struct expd_jobs *js)
{
	for (struct expd_job *j = js->list, *next; j; j = next) {
		next = j->next;
		/* loaded before there were peers */
		expd_peers_want(js->x->peers, &expd_job_record(j)->peer, 1);
		expd_job_begin(j, true);
	}
}

static bool in_blackout(const struct expd_job *j)
{
	unsigned int s = expd_job_state(j);

	if (j->role == EXP_ROLE_SOURCE)
		return s == EXP_SRC_SWITCHING ||
		       ((s == EXP_SRC_RELEASED || s == EXP_SRC_ROLLING_BACK) && j->in_blackout);
	return s == EXP_DST_RESTORED || s == EXP_DST_ACTIVATING;
}

static void check_idle(struct expd_jobs *js)
{
	void (*idle)(struct expd *) = js->idle;

	if (!idle)
		return;
	for (const struct expd_job *j = js->list; j; j = j->next)
		if (!j->ended && in_blackout(j))
			return;
	js->idle = NULL;
	idle(js->x);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expd_jobs *js = arg;
	void (*idle)(struct expd *) = js->idle;

	(void)fd;
	(void)what;
	js->idle = NULL;
	exp_log(LOG_WARNING, "stopping with a migration in its blackout; the next start goes on");
	if (idle)
		idle(js->x);
}

void expd_jobs_stop(struct expd_jobs *js, void (*idle)(struct expd *x))
{
	struct exp_error err;

	js->idle = idle;
	js->stop_timer = event_new(js->x->base, -1, 0, on_stop_timer, js);
	if (js->stop_timer)
		event_add(js->stop_timer, &(struct timeval){ .tv_sec = STOP_MS / 1000 });
	for (struct expd_job *j = js->list; j; j = j->next)
		if (!j->ended && j->role == EXP_ROLE_SOURCE &&
		    expd_job_state(j) == EXP_SRC_SWITCHING)
			expd_job_verb(j, EXP_VERB_CANCEL, NULL, 0, &err);
	check_idle(js);
}

void expd_jobs_link(struct expd_jobs *js, const struct exp_name *peer, bool up)
{
	for (struct expd_job *j = js ? js->list : NULL, *next; j; j = next) {
		next = j->next;
		if (!j->ended && !strcmp(expd_job_record(j)->peer.s, peer->s))
			expd_job_link(j, up);
	}
}

/* The same job id, our end of it, and from nobody but its own peer. */
static struct expd_job *open_job(struct expd_jobs *js, const struct exp_name *peer,
				 const struct exp_msg *m, bool *foreign)
{
	enum exp_role ours = m->role == EXP_ROLE_SOURCE ? EXP_ROLE_DESTINATION : EXP_ROLE_SOURCE;
	struct expd_job *j = expd_job_find(js->x, &m->job, ours);

	*foreign = j && strcmp(expd_job_record(j)->peer.s, peer->s);
	return j && !j->ended && !*foreign ? j : NULL;
}

void expd_jobs_message(struct expd_jobs *js, const struct exp_name *peer, const struct exp_msg *m)
{
	struct expd_job *j;
	bool foreign;

	if (m->type == EXP_MSG_CAPS) {
		expd_target_caps(js->x, peer, m);
		return;
	}
	if (m->type == EXP_MSG_CAPS_REPLY) {
		expd_preflight_message(js->x, peer, m);
		return;
	}
	j = open_job(js, peer, m, &foreign);
	if (j) {
		expd_job_message(j, m);
	} else if (foreign) {
		exp_log(LOG_WARNING, "message about another peer's migration",
			kv_s("peer", peer->s), kv_s("what", exp_msg_name(m->type)));
	} else {
		expd_jobs_stranger(js, peer, m);
	}
}

void expd_jobs_bulk(struct expd_jobs *js, const struct exp_name *peer,
		    const struct exp_bulk_open *open, struct exp_stream *s)
{
	struct expd_job *j = expd_job_find(js->x, &open->job, EXP_ROLE_DESTINATION);

	if (!j || j->ended || strcmp(expd_job_record(j)->peer.s, peer->s)) {
		exp_log(LOG_WARNING, "bulk connection for a migration that is not open here",
			kv_s("peer", peer->s));
		exp_stream_free(s);
		return;
	}
	expd_copy_dst_stream(j, open, s);
}

static bool uses(const struct expd_job *j, const struct exp_name *device)
{
	return !j->ended && !strcmp(expd_job_record(j)->exports[0].here.device.s, device->s);
}

void expd_jobs_device_reset(struct expd_jobs *js, const struct exp_name *device)
{
	for (struct expd_job *j = js->list, *next; j; j = next) {
		next = j->next;
		if (uses(j, device))
			expd_job_device_reset(j);
	}
}

void expd_jobs_device_back(struct expd_jobs *js, const struct exp_name *device)
{
	/* what waits for the drive tries again by its own timers; a reset it has been told */
	(void)js;
	exp_log(LOG_INFO, "device is back", kv_s("device", device->s));
}

unsigned int expd_jobs_open(const struct expd_jobs *js)
{
	return js ? js->open : 0;
}

const struct exp_job *expd_jobs_holder(const struct expd_jobs *js, const struct exp_uuid *id)
{
	for (const struct expd_job *j = js->list; j; j = j->next) {
		const struct exp_job *rec = expd_job_record(j);

		for (uint32_t i = 0; !j->ended && i < rec->n_exports; i++)
			if (exp_uuid_eq(&rec->exports[i].id, id))
				return rec;
	}
	return NULL;
}

bool expd_jobs_uses_ns(const struct expd_jobs *js, const struct exp_name *device, uint32_t nsid)
{
	for (const struct expd_job *j = js->list; j; j = j->next) {
		const struct exp_job *rec = expd_job_record(j);

		for (uint32_t i = 0; !j->ended && i < rec->n_exports; i++)
			if (rec->exports[i].here.nsid == nsid &&
			    !strcmp(rec->exports[i].here.device.s, device->s))
				return true;
	}
	return false;
}

bool expd_jobs_takes(const struct expd_jobs *js, const struct exp_name *device, uint16_t cntlid)
{
	for (const struct expd_job *j = js->list; j; j = j->next) {
		const struct exp_job *rec = expd_job_record(j);

		if (j->ended || j->role != EXP_ROLE_DESTINATION || !uses(j, device))
			continue;
		for (uint32_t i = 0; i < rec->n_exports; i++)
			if (rec->exports[i].here.cntlid == cntlid)
				return true;
	}
	return false;
}

static void end_blackout(struct expd_job *j)
{
	j->in_blackout = false;
	expd_store_hold_checkpoints(j->x->store, -1);
}

void expd_jobs_entered(struct expd_job *j, unsigned int state)
{
	const struct exp_job *rec = expd_job_record(j);
	const char *name = exp_state_name(j->role, state);
	char id[EXP_UUID_TEXT];
	bool now = j->role == EXP_ROLE_SOURCE ? state == EXP_SRC_SWITCHING
					      : state == EXP_DST_RESTORED;

	exp_log(LOG_NOTICE, "migration", kv_s("mig", exp_uuid_format(&j->id, id)),
		kv_s("role", exp_role_name(j->role)), kv_s("state", name),
		kv_s("peer", rec->peer.s), kv_s("subsys", rec->exports[0].desc.nqn.s),
		kv_s("error", rec->error.msg));
	expd_event(j->x, "migration-state", &j->id, &rec->exports[0].id, "role",
		   exp_role_name(j->role), "state", name, "error", rec->error.msg, NULL);
	if (now && !j->in_blackout) {
		j->in_blackout = true;
		expd_store_hold_checkpoints(j->x->store, 1);
	} else if (j->in_blackout && !in_blackout(j)) {
		end_blackout(j);
	}
	check_idle(j->x->jobs);
}

void expd_jobs_guest_runs(struct expd_job *j)
{
	if (!j->in_blackout)
		return;
	end_blackout(j);
	check_idle(j->x->jobs);
}

static int run_history(struct exp_db *db, void *arg, struct exp_error *err)
{
	return exp_history_put(db, arg, err);
}

static void history_done(struct expd *x, void *arg, int r, const struct exp_error *err)
{
	(void)x;
	if (r < 0)
		exp_log(LOG_WARNING, "history not stored", kv_s("error", err->msg));
	free(arg);
}

static void keep_history(const struct expd_job *j)
{
	const struct exp_job *rec = expd_job_record(j);
	struct exp_history *h = calloc(1, sizeof(*h));

	if (!h)
		return;
	h->job = j->id;
	h->role = j->role;
	h->state = rec->state;
	h->peer = rec->peer;
	h->device = rec->exports[0].here.device;
	h->ended_ms = exp_wall_ms();
	h->progress = j->progress;
	expd_store_run_events(j->x->store, run_history, history_done, h);
}

/* The oldest ended one goes; never the one that is being told something right now. */
static void forget_oldest(struct expd_jobs *js, const struct expd_job *not_this)
{
	struct expd_job **oldest = NULL, *j;

	for (struct expd_job **p = &js->list; *p; p = &(*p)->next)
		if ((*p)->ended && *p != not_this && !(*p)->waiting && !(*p)->stepping)
			oldest = p;
	if (!oldest)
		return;
	j = *oldest;
	*oldest = j->next;
	js->ended--;
	expd_job_free(j);
}

void expd_jobs_ended(struct expd_job *j)
{
	struct expd_jobs *js = j->x->jobs;
	const struct exp_job *rec = expd_job_record(j);

	event_del(j->timer);
	for (uint32_t i = 0; i < rec->n_exports; i++)
		expd_exports_hold(js->x->exports, &rec->exports[i].id, NULL);
	expd_peers_want(js->x->peers, &rec->peer, -1);
	keep_history(j);
	if (j->role == EXP_ROLE_DESTINATION && rec->state == EXP_DST_DONE)
		expd_job_retire(j);
	js->open--;
	js->ended++;
	expd_jobs_answer_waiting(j);
	if (js->ended > EXPD_JOBS_ENDED_KEPT)
		forget_oldest(js, j);
	check_idle(js);
}
