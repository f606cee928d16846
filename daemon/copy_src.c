/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "copy_src_int.h"
#include "expd.h"
#include "job.h"
#include "tls/digest.h"
#include "tls/stream.h"

#define STREAMS        1                    /* the structure is there for more */
#define TIMER_MS       20                   /* how often rounds are judged */
#define SESSION_MS     1000                 /* repeat SESSION until it is answered */
#define WINDOW_EXTENTS 65536                /* unacknowledged, per stream; many are of one block */
#define WINDOW_BYTES   (256u * 1024 * 1024) /* the same: a few flushes of the peer */
#define FIXED_US       50000 /* steps of the blackout that do not depend on bytes: a cautious guess */
#define NEWS_US        200000 /* between two words on a copy that has nothing left to send */
#define BUDGET_PART    2      /* of the blackout, this part is for data: 1/2 */
#define GOAL_US        25000  /* of data: less is not worth another round */
#define STALE_ROUNDS   5      /* without gain: as little as it will get */

struct note {
	struct expd_task t;
	struct expd *x;
	struct exp_uuid id;
	struct expd_copy_src *c; /* compared, never followed, until it is known to be the job's */
	enum copy_note what;
	struct exp_error err;
};

static void on_note(struct expd_copy_src *c, enum copy_note what, const struct exp_error *err);

static void note_done(struct expd_task *t)
{
	struct note *n = (struct note *)t;
	struct expd_job *j = expd_job_find(n->x, &n->id, EXP_ROLE_SOURCE);

	if (j && j->copy_src == n->c)
		on_note(n->c, n->what, &n->err);
	free(n);
}

void copy_note(struct expd_copy_src *c, enum copy_note what, const struct exp_error *err)
{
	struct note *n = calloc(1, sizeof(*n));

	if (!n)
		abort(); /* a thread whose end nobody hears of would hang the job for ever */
	n->t.done = note_done;
	n->x = c->x;
	n->id = c->id;
	n->c = c;
	n->what = what;
	if (err)
		n->err = *err;
	expd_inbox_post(c->x->inbox, &n->t);
}

static void end_step(struct expd_copy_src *c, uint32_t *step, int r, const struct exp_error *err)
{
	uint32_t s = *step;

	*step = 0;
	if (s)
		expd_job_done(c->job, s, r, NULL, err);
}

/* Something broke: whoever waits is told; when nobody does, the machine is. */
static void broke(struct expd_copy_src *c, const struct exp_error *err)
{
	uint32_t *waiting = c->start_step   ? &c->start_step
			    : c->drain_step ? &c->drain_step
					    : &c->last_step;

	if (c->failed || c->stopped)
		return;
	c->failed = true;
	if (*waiting)
		end_step(c, waiting, -(err->errnum ? err->errnum : EIO), err);
	else
		expd_job_copy_news(c->job, EXP_COPY_FAILED, err);
}

static int start_thread(struct expd_copy_src *c, struct copy_thread *t, void *(*fn)(void *),
			const char *name)
{
	int r;

	t->c = c;
	r = pthread_create(&t->thread, NULL, fn, t);
	if (r) {
		struct exp_error err = { 0 };

		exp_error_set(&err, EXP_CODE_SYSTEM, r, "thread %s: %s", name, strerror(r));
		broke(c, &err);
		return -r;
	}
	pthread_setname_np(t->thread, name);
	t->started = true;
	c->alive++;
	return 0;
}

static void ask_for_session(struct expd_copy_src *c)
{
	struct exp_msg m;

	c->session_asked_ms = exp_mono_ms();
	exp_msg_for_job(&m, EXP_MSG_SESSION, expd_job_record(c->job));
	m.request = c->request;
	m.session.session = c->session;
	m.session.streams = c->streams;
	expd_job_send(c->job, &m);
}

/* Logs run and the destination waits for our streams: now the data may flow. */
static void start_senders(struct expd_copy_src *c)
{
	if (!c->session_ok || !(c->log_runs || c->everything) || c->sender[0].started)
		return;
	for (uint32_t i = 0; i < c->streams; i++) {
		c->sender[i].stream = i;
		if (start_thread(c, &c->sender[i], copy_bulk_sender, "expd-bulk-out") < 0)
			return;
	}
}

static void join_all(struct expd_copy_src *c)
{
	if (c->reader.started)
		pthread_join(c->reader.thread, NULL);
	c->reader.started = false;
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++) {
		if (c->sender[i].started)
			pthread_join(c->sender[i].thread, NULL);
		c->sender[i].started = false;
	}
}

/* The drive is let go with the last thread: one that was lost can then be opened anew. */
static void stop_if_all_gone(struct expd_copy_src *c)
{
	if (!c->stopped || c->alive)
		return;
	join_all(c);
	expd_drive_release(c->drive);
	c->drive = NULL;
	end_step(c, &c->stop_step, 0, NULL);
}

static void on_note(struct expd_copy_src *c, enum copy_note what, const struct exp_error *err)
{
	switch (what) {
	case COPY_NOTE_LOG_RUNS:
		c->log_runs = true;
		start_senders(c);
		return;
	case COPY_NOTE_STREAM_RUNS:
		c->streams_run = true;
		end_step(c, &c->start_step, 0, NULL);
		return;
	case COPY_NOTE_DRAINED: end_step(c, &c->drain_step, 0, NULL); return;
	case COPY_NOTE_FAILED: broke(c, err); return;
	case COPY_NOTE_EXITED:
		c->alive--;
		stop_if_all_gone(c);
		return;
	}
}

void expd_copy_src_session_ok(struct expd_copy_src *c, const struct exp_msg *m)
{
	if (c->session_ok || m->request != c->request || m->session.session != c->session)
		return;
	if (m->session.streams != c->streams) {
		struct exp_error err = { 0 };

		exp_error_set(&err, EXP_CODE_PROTOCOL, EPROTO,
			      "peer grants %u bulk streams, %u were asked for", m->session.streams,
			      c->streams);
		broke(c, &err);
		return;
	}
	if (m->session.credit_bytes < WINDOW_BYTES) {
		struct exp_error err = { 0 };

		exp_error_set(&err, EXP_CODE_PROTOCOL, EPROTO,
			      "peer grants %llu bytes of credit for each stream, %u are needed",
			      (unsigned long long)m->session.credit_bytes, WINDOW_BYTES);
		broke(c, &err);
		return;
	}
	memcpy(c->token, m->session.token, sizeof(c->token));
	c->session_ok = true;
	start_senders(c);
}

static void publish_progress(struct expd_copy_src *c, const struct exp_planner_stats *st,
			     uint64_t remaining)
{
	struct exp_job_progress *p = &c->job->progress;

	p->namespace_bytes = st->total_bytes;
	p->allocated_bytes = st->allocated_bytes;
	p->sent_bytes = c->sent_bytes;
	p->zero_bytes = c->zero_bytes;
	p->acked_bytes = st->total_bytes > remaining ? st->total_bytes - remaining : 0;
	p->resent_bytes = st->resent_bytes;
	p->remaining_bytes = remaining;
	p->dirty_rate = exp_forecast_dirty_rate(&c->forecast);
	p->send_rate = exp_forecast_send_rate(&c->forecast);
	p->eta_ms = exp_forecast_eta_ms(&c->forecast, c->limit_us);
	p->forecast_blackout_us = exp_forecast_blackout_us(&c->forecast);
	p->verdict = exp_forecast_verdict(&c->forecast, c->limit_us);
	p->rounds = st->rounds;
	p->log_entries = c->log_entries;
	p->log_overflows = c->overflows;
}

/*
 * At the end of a round: is it time to switch? The budget is what the blackout may take, not what
 * it should: while rounds still make it shorter they go on. Once it fits it does until it is over
 * the budget, or the job would go to and fro.
 */
static bool judge_fit(struct expd_copy_src *c, uint64_t remaining)
{
	uint64_t forecast = exp_forecast_blackout_us(&c->forecast);
	uint64_t budget = c->limit_us / BUDGET_PART;

	if (forecast < c->best_us - c->best_us / 8) {
		c->best_us = forecast;
		c->stale = 0;
	} else {
		c->stale++;
	}
	if (!remaining)
		return true;
	if (forecast > budget)
		return false;
	return c->fits || forecast <= FIXED_US + GOAL_US || c->stale >= STALE_ROUNDS;
}

/* Rounds: what is dirty at the end of one is the next; between two it is judged whether it fits. */
static void judge(struct expd_copy_src *c)
{
	struct exp_planner_stats st;
	struct exp_forecast_sample s;
	bool round_over, drained, idle, told_lately;

	pthread_mutex_lock(&c->lock);
	idle = c->last || c->drain || c->everything;
	round_over = !idle && c->streams_run && exp_planner_round(c->planner);
	if (round_over)
		pthread_cond_broadcast(&c->changed);
	exp_planner_stats(c->planner, &st);
	s.remaining_bytes = exp_planner_remaining(c->planner);
	drained = exp_planner_drained(c->planner);
	s.now_us = exp_mono_us();
	s.sent_bytes = c->sent_bytes;
	s.marked_bytes = st.marked_bytes;
	exp_forecast_busy(&c->forecast,
			  c->busy_us + (c->busy_streams ? s.now_us - c->busy_since_us : 0));
	exp_forecast_add(&c->forecast, &s);
	publish_progress(c, &st, s.remaining_bytes);
	pthread_mutex_unlock(&c->lock);

	/* an idle guest makes no rounds: that nothing is left is said now and then */
	told_lately = s.now_us - c->news_us < NEWS_US;
	if (c->last_step && drained) {
		end_step(c, &c->last_step, 0, NULL);
	} else if (round_over || (drained && !idle && !told_lately)) {
		c->fits = judge_fit(c, s.remaining_bytes);
		c->news_us = s.now_us;
		expd_job_copy_news(c->job, c->fits ? EXP_COPY_FITS : EXP_COPY_NOT_FIT, NULL);
	}
}

static void rearm(struct expd_copy_src *c)
{
	event_add(c->timer, &(struct timeval){ .tv_usec = TIMER_MS * 1000 });
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expd_copy_src *c = arg;

	(void)fd;
	(void)what;
	if (c->failed || c->stopped)
		return;
	rearm(c);
	if (!c->session_ok && exp_mono_ms() - c->session_asked_ms >= SESSION_MS)
		ask_for_session(c);
	judge(c);
}

void expd_copy_src_ack(struct expd_copy_src *c, const struct exp_msg_data_ack *a)
{
	struct exp_error err = { 0 };
	bool drained;
	int r = 0;

	if (a->session != c->session || c->failed || c->stopped)
		return; /* of a session that is over */
	if (a->streams > c->streams) {
		exp_error_set(&err, EXP_CODE_PROTOCOL, EPROTO,
			      "peer acknowledges %u streams, there are %u", a->streams, c->streams);
		broke(c, &err);
		return;
	}
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < a->streams && r == 0; i++)
		r = exp_planner_durable(c->planner, a->session, i, a->durable[i], &err);
	drained = exp_planner_drained(c->planner);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (r < 0)
		broke(c, &err);
	else if (c->last_step && drained)
		judge(c);
}

static int copy_new(struct expd_job *j, bool everything, struct exp_error *err)
{
	const struct exp_job *rec = expd_job_record(j);
	const struct expd_peer_config *peer = expd_config_peer(j->x->config, rec->peer.s);
	struct exp_planner_config cfg = { .n_ns = rec->n_exports,
					  .extent_max = EXP_COPY_EXTENT_MAX,
					  .streams = STREAMS,
					  .window_bytes = WINDOW_BYTES,
					  .window_extents = WINDOW_EXTENTS };
	struct expd_copy_src *c;
	pthread_condattr_t attr;

	if (!peer)
		return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, ENOENT,
				     "peer %s is no longer in the configuration", rec->peer.s);
	c = calloc(1, sizeof(*c));
	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "copy: out of memory");
	j->copy_src = c;
	c->x = j->x;
	c->job = j;
	c->id = j->id;
	c->tls = j->x->tls;
	c->peer = rec->peer;
	c->everything = everything;
	memcpy(c->address, peer->address, sizeof(c->address));
	memcpy(c->identity, peer->identity, sizeof(c->identity));
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	c->n_ns = rec->n_exports;
	for (uint32_t i = 0; i < c->n_ns; i++) {
		c->place[i] = rec->exports[i].here;
		c->ensid[i] = rec->exports[i].desc.ensid;
		c->ns[i].bytes = exp_export_bytes(&rec->exports[i].desc);
		c->ns[i].lba_bytes = rec->exports[i].desc.lba_bytes;
	}
	memcpy(cfg.ns, c->ns, sizeof(cfg.ns));
	c->limit_us = (uint64_t)rec->blackout_limit_ms * 1000;
	c->best_us = UINT64_MAX;
	exp_forecast_init(&c->forecast, FIXED_US);
	exp_random_bytes(&c->request, sizeof(c->request));
	c->timer = event_new(j->x->base, -1, 0, on_timer, c);
	if (!c->timer)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "copy: out of memory");
	c->streams = STREAMS;
	if (exp_planner_new(&cfg, &c->planner, err) < 0)
		return -err->errnum;
	c->session = exp_planner_session(c->planner, c->streams);
	c->drive = expd_device_hold(j->x, &c->place[0].device, err);
	return c->drive ? 0 : -ENODEV;
}

void expd_copy_src_start(struct expd_job *j, uint32_t step, bool everything)
{
	struct exp_error err = { 0 };
	int r;

	if (j->copy_src) { /* repeated: it runs */
		expd_job_done(j, step, 0, NULL, NULL);
		return;
	}
	r = copy_new(j, everything, &err);
	if (r < 0) {
		expd_copy_src_free(j->copy_src);
		j->copy_src = NULL;
		expd_job_done(j, step, r, NULL, &err);
		return;
	}
	j->copy_src->start_step = step;
	rearm(j->copy_src);
	if (!everything)
		start_thread(j->copy_src, &j->copy_src->reader, copy_log_reader, "expd-change-log");
	ask_for_session(j->copy_src);
}

static void not_running(struct expd_job *j, uint32_t step)
{
	struct exp_error err = { 0 };

	exp_error_set(&err, EXP_CODE_ABORTED, ESRCH, "the copy does not run");
	expd_job_done(j, step, -ESRCH, NULL, &err);
}

void expd_copy_src_drain(struct expd_job *j, uint32_t step)
{
	struct expd_copy_src *c = j->copy_src;
	bool drained;

	if (!c || c->failed) {
		not_running(j, step);
		return;
	}
	c->drain_step = step;
	pthread_mutex_lock(&c->lock);
	c->drain = true;
	drained = c->drained || c->everything;
	pthread_mutex_unlock(&c->lock);
	if (drained)
		end_step(c, &c->drain_step, 0, NULL);
}

void expd_copy_src_last(struct expd_job *j, uint32_t step)
{
	struct expd_copy_src *c = j->copy_src;

	if (!c || c->failed) {
		not_running(j, step);
		return;
	}
	c->last_step = step;
	pthread_mutex_lock(&c->lock);
	c->last = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	judge(c); /* there may be nothing left */
}

bool expd_copy_src_quiet(struct expd_copy_src *c)
{
	bool quiet;

	pthread_mutex_lock(&c->lock);
	quiet = !c->noise && !c->log_lost;
	pthread_mutex_unlock(&c->lock);
	return quiet;
}

int expd_copy_src_fill_final(struct expd_copy_src *c, struct exp_msg_final *f)
{
	struct exp_planner_stats st;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	exp_planner_stats(c->planner, &st);
	f->session = c->session;
	f->streams = c->streams;
	memcpy(f->last_seq, st.extents, sizeof(f->last_seq));
	f->total_extents = st.total_extents;
	if (c->digests_lost)
		r = -E2BIG;
	if (r == 0 && c->n_digests) {
		f->digests = malloc(c->n_digests * sizeof(*f->digests));
		r = f->digests ? 0 : -ENOMEM;
	}
	if (r == 0 && c->n_digests) {
		memcpy(f->digests, c->digests, c->n_digests * sizeof(*f->digests));
		f->n_digests = c->n_digests;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void tell_threads_to_stop(struct expd_copy_src *c)
{
	atomic_store(&c->stop, true);
	pthread_mutex_lock(&c->lock);
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		if (c->stream[i])
			exp_stream_cancel(c->stream[i]);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void expd_copy_src_stop(struct expd_job *j, uint32_t step)
{
	struct expd_copy_src *c = j->copy_src;

	if (!c) {
		expd_job_done(j, step, 0, NULL, NULL);
		return;
	}
	c->stopped = true;
	c->stop_step = step;
	event_del(c->timer);
	tell_threads_to_stop(c);
	stop_if_all_gone(c);
}

void expd_copy_src_free(struct expd_copy_src *c)
{
	if (!c)
		return;
	tell_threads_to_stop(c);
	join_all(c);
	if (c->timer)
		event_free(c->timer);
	exp_planner_free(c->planner);
	expd_drive_release(c->drive);
	exp_digest_wipe(c->token, sizeof(c->token));
	free(c->digests);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
