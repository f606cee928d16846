/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "copy_dst_int.h"
#include "expd.h"
#include "job.h"
#include "tls/digest.h"
#include "tls/stream.h"

#define STREAMS_MAX  8
#define CREDIT_BYTES (256u * 1024 * 1024) /* unacknowledged, per stream, that a source may send */

struct note {
	struct expd_task t;
	struct expd *x;
	struct exp_uuid id;
	struct expd_copy_dst *c; /* compared, never followed, until it is known to be the job's */
	enum dst_note what;
	struct exp_error err;
};

static void on_note(struct expd_copy_dst *c, enum dst_note what, const struct exp_error *err);

static void note_done(struct expd_task *t)
{
	struct note *n = (struct note *)t;
	struct expd_job *j = expd_job_find(n->x, &n->id, EXP_ROLE_DESTINATION);

	if (j && j->copy_dst == n->c)
		on_note(n->c, n->what, &n->err);
	free(n);
}

void dst_note(struct expd_copy_dst *c, enum dst_note what, const struct exp_error *err)
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

static void end_step(struct expd_copy_dst *c, uint32_t *step, int r, const struct exp_error *err)
{
	uint32_t s = *step;

	*step = 0;
	if (s)
		expd_job_done(c->job, s, r, NULL, err);
}

static void join(struct recv_thread *t)
{
	if (t->started)
		pthread_join(t->thread, NULL);
	t->started = false;
	exp_stream_free(t->s);
	t->s = NULL;
}

static void join_all(struct expd_copy_dst *c)
{
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		join(&c->receiver[i]);
	join(&c->checker);
	c->checking = false;
	if (c->final)
		free(c->final->digests);
	free(c->final);
	c->final = NULL;
}

static void cancel_streams(struct expd_copy_dst *c)
{
	for (uint32_t i = 0; i < EXP_JOB_STREAMS_MAX; i++)
		if (c->receiver[i].s)
			exp_stream_cancel(c->receiver[i].s);
}

static void acknowledge(struct expd_copy_dst *c)
{
	struct exp_msg m;
	bool news;

	exp_msg_for_job(&m, EXP_MSG_DATA_ACK, expd_job_record(c->job));
	pthread_mutex_lock(&c->lock);
	c->progress_posted = false;
	news = exp_bulk_track_ack(c->track, &m.data_ack);
	pthread_mutex_unlock(&c->lock);
	if (news)
		expd_job_send(c->job, &m);
}

static void open_session(struct expd_copy_dst *c, const struct exp_msg *m);

static void all_gone(struct expd_copy_dst *c)
{
	if (c->alive)
		return;
	if (c->stopped) {
		join_all(c);
		expd_drive_release(c->drive);
		c->drive = NULL;
		end_step(c, &c->stop_step, 0, NULL);
	} else if (c->draining) {
		join_all(c);
		c->draining = false;
		atomic_store(&c->stop, false);
		open_session(c, &c->wanted);
	}
}

static void on_note(struct expd_copy_dst *c, enum dst_note what, const struct exp_error *err)
{
	switch (what) {
	case DST_NOTE_PROGRESS: acknowledge(c); return;
	case DST_NOTE_FAILED:
		if (c->failed || c->stopped || c->draining)
			return;
		c->failed = true;
		c->error = *err;
		/* a lost connection is the source's to mend; a drive that fails is ours to tell */
		if (err->code != EXP_CODE_PEER_GONE)
			expd_job_copy_news(c->job, EXP_COPY_FAILED, err);
		return;
	case DST_NOTE_CHECKED:
		/* the streams have ended; one that has not writes nothing from here on */
		atomic_store(&c->stop, true);
		cancel_streams(c);
		end_step(c, &c->final_step,
			 err->code == EXP_CODE_OK ? 0 : -(err->errnum ? err->errnum : EIO), err);
		return;
	case DST_NOTE_EXITED:
		c->alive--;
		all_gone(c);
		return;
	}
}

static int copy_new(struct expd_job *j, struct exp_error *err)
{
	const struct exp_job *rec = expd_job_record(j);
	struct expd_copy_dst *c = calloc(1, sizeof(*c));

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "copy: out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->x = j->x;
	c->job = j;
	c->id = j->id;
	c->n_ns = rec->n_exports;
	for (uint32_t i = 0; i < c->n_ns; i++) {
		c->ns[i].bytes = exp_export_bytes(&rec->exports[i].desc);
		c->ns[i].lba_bytes = rec->exports[i].desc.lba_bytes;
		c->nsid[i] = rec->exports[i].here.nsid;
	}
	j->copy_dst = c;
	if (exp_bulk_track_new(c->ns, c->n_ns, &c->track) < 0)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "copy: out of memory");
	c->drive = expd_device_hold(j->x, &rec->exports[0].here.device, err);
	return c->drive ? 0 : -ENODEV;
}

static void answer_session(struct expd_copy_dst *c, uint64_t request)
{
	struct exp_msg m;

	exp_msg_for_job(&m, EXP_MSG_SESSION_OK, expd_job_record(c->job));
	m.request = request;
	m.session.session = c->session;
	m.session.streams = c->streams;
	m.session.credit_bytes = CREDIT_BYTES;
	memcpy(m.session.token, c->token, sizeof(m.session.token));
	expd_job_send(c->job, &m);
	exp_digest_wipe(m.session.token, sizeof(m.session.token));
}

static void open_session(struct expd_copy_dst *c, const struct exp_msg *m)
{
	struct exp_error err = { 0 };
	int r;

	pthread_mutex_lock(&c->lock);
	r = exp_bulk_track_session(c->track, m->session.session, m->session.streams, &err);
	pthread_mutex_unlock(&c->lock);
	if (r < 0) { /* it would only be asked for again */
		expd_job_copy_news(c->job, EXP_COPY_FAILED, &err);
		return;
	}
	c->session = m->session.session;
	c->streams = m->session.streams;
	c->used = 0;
	c->failed = false;
	exp_random_bytes(c->token, sizeof(c->token));
	answer_session(c, m->request);
}

void expd_copy_dst_session(struct expd_job *j, const struct exp_msg *m)
{
	struct expd_copy_dst *c;
	struct exp_error err = { 0 };

	if (expd_job_state(j) != EXP_DST_RECEIVING || !m->session.session || !m->session.streams ||
	    m->session.streams > STREAMS_MAX)
		return; /* too early or too late: the source repeats, or learns of our state */
	if (!j->copy_dst && copy_new(j, &err) < 0) {
		expd_copy_dst_free(j->copy_dst);
		j->copy_dst = NULL;
		expd_job_copy_news(j, EXP_COPY_FAILED, &err);
		return;
	}
	c = j->copy_dst;
	if (c->stopped || c->draining || c->checking)
		return; /* what FINAL names is being looked at: nothing new is let in */
	if (m->session.session == c->session) { /* our answer was lost */
		if (!c->used)
			answer_session(c, m->request);
		return;
	}
	if (!c->alive) {
		join_all(c);
		open_session(c, m);
		return;
	}
	/* every writer of the old session is through before the new one is accepted */
	c->draining = true;
	c->wanted = *m;
	atomic_store(&c->stop, true);
	cancel_streams(c);
}

static int start_thread(struct expd_copy_dst *c, struct recv_thread *t, void *(*fn)(void *),
			const char *name, struct exp_error *err)
{
	int r;

	t->c = c;
	r = pthread_create(&t->thread, NULL, fn, t);
	if (r)
		return exp_error_set(err, EXP_CODE_SYSTEM, r, "thread %s: %s", name, strerror(r));
	pthread_setname_np(t->thread, name);
	t->started = true;
	c->alive++;
	return 0;
}

void expd_copy_dst_stream(struct expd_job *j, const struct exp_bulk_open *open,
			  struct exp_stream *s)
{
	struct expd_copy_dst *c = j->copy_dst;
	struct exp_error err = { 0 };
	struct recv_thread *t;

	/* bound to the job, its present session, and a token that each stream may spend once */
	if (!c || c->stopped || c->draining || c->checking ||
	    expd_job_state(j) != EXP_DST_RECEIVING || open->session != c->session ||
	    open->stream >= c->streams || c->used >> open->stream & 1 ||
	    !exp_digest_equal(open->token, c->token, sizeof(c->token))) {
		exp_log(LOG_WARNING,
			"bulk connection refused: session, stream or token is not open",
			kv_u("session", open->session), kv_u("stream", open->stream));
		exp_stream_free(s);
		return;
	}
	c->used |= 1u << open->stream;
	t = &c->receiver[open->stream];
	t->s = s;
	t->stream = open->stream;
	if (start_thread(c, t, copy_bulk_receiver, "expd-bulk-in", &err) < 0) {
		exp_stream_free(s);
		t->s = NULL;
		expd_job_copy_news(j, EXP_COPY_FAILED, &err);
	}
}

static struct exp_msg_final *copy_final(const struct exp_msg_final *f)
{
	struct exp_msg_final *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *f;
	memset(c->state, 0, sizeof(c->state)); /* the machine's own affair */
	c->digests = NULL;
	if (f->n_digests) {
		c->digests = malloc(f->n_digests * sizeof(*c->digests));
		if (!c->digests) {
			free(c);
			return NULL;
		}
		memcpy(c->digests, f->digests, f->n_digests * sizeof(*c->digests));
	}
	return c;
}

void expd_copy_dst_check_final(struct expd_job *j, uint32_t step)
{
	struct expd_copy_dst *c = j->copy_dst;
	const struct exp_msg_final *f = exp_dst_final(j->dst);
	struct exp_error err = { 0 };
	int r;

	if (!c || !f || c->stopped || c->checking) {
		r = exp_error_set(&err, EXP_CODE_PROTOCOL, EPROTO,
				  "FINAL came, but no data session is open");
		expd_job_done(j, step, r, NULL, &err);
		return;
	}
	c->final = copy_final(f);
	if (!c->final)
		r = exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "final check: out of memory");
	else
		r = start_thread(c, &c->checker, copy_final_checker, "expd-final", &err);
	if (r < 0) {
		expd_job_done(j, step, r, NULL, &err);
		return;
	}
	c->checking = true;
	c->final_step = step;
}

void expd_copy_dst_stop(struct expd_job *j, uint32_t step)
{
	struct expd_copy_dst *c = j->copy_dst;

	if (!c) {
		expd_job_done(j, step, 0, NULL, NULL);
		return;
	}
	c->stopped = true;
	c->stop_step = step;
	atomic_store(&c->stop, true);
	cancel_streams(c);
	all_gone(c);
}

void expd_copy_dst_free(struct expd_copy_dst *c)
{
	if (!c)
		return;
	atomic_store(&c->stop, true);
	cancel_streams(c);
	join_all(c);
	exp_bulk_track_free(c->track);
	expd_drive_release(c->drive);
	exp_digest_wipe(c->token, sizeof(c->token));
	pthread_mutex_destroy(&c->lock);
	free(c);
}
