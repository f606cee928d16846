/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy engine that is as simple as it may be: one bit per block, a range leaves the map before
 * its read, at most one extent of a block in flight, everything unacknowledged goes again in a new
 * bulk session when the link changes. Connections reorder extents; they lose them only as a whole.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FITS 3 /* blocks that remain */

struct extent { /* packed into the two numbers that an event carries */
	uint32_t gen, session, block, value;
	int x;
	struct exp_uuid job;
};

static void tick(struct sim *s, int host, uint32_t uid, uint32_t gen, void *p);

static bool live(const struct sim_job *j)
{
	return j->job->dirty == EXP_DIRTY_CDQ;
}

static uint32_t remaining(const struct sim_job *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->n; i++)
		n += (uint32_t)__builtin_popcount(j->copy.dirty[i] | j->copy.inflight[i]);
	return n;
}

static void news(struct sim *s, struct sim_host *h, struct sim_job *j, enum exp_copy_news n,
		 const char *why)
{
	struct exp_event ev = { .type = EXP_EV_COPY, .copy.news = n };

	if (why)
		exp_error_set(&ev.copy.err, EXP_CODE_LOG_OVERFLOW, 0, "%s", why);
	sim_step(s, h, j, &ev);
}

void sim_copy_start(struct sim *s, struct sim_host *h, struct sim_job *j, bool everything)
{
	struct sim_copy *c = &j->copy;

	c->on = true;
	c->everything = everything;
	c->session++;
	c->sent = 0;
	for (uint32_t i = 0; i < j->n; i++)
		c->dirty[i] = SIM_ALL;
	sim_at(s, 1, tick, h->nr, j->uid, ++c->gen, NULL);
}

void sim_copy_stop(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	(void)s;
	(void)h;
	j->copy.on = false;
	j->copy.last_step = j->copy.drain_step = 0;
	j->copy.gen++;
}

void sim_copy_link(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	struct sim_copy *c = &j->copy;

	(void)s;
	(void)h;
	for (uint32_t i = 0; i < j->n; i++) {
		c->dirty[i] |= c->inflight[i];
		c->inflight[i] = 0;
	}
	c->session++;
	c->sent = 0;
}

/* Entries of the change logs; false: a log is lost and nothing more can be known from it. */
static bool read_logs(struct sim_host *h, struct sim_job *j)
{
	bool ok = true;

	for (uint32_t i = 0; i < j->n; i++) {
		struct sim_log *log = &h->ctrl[j->exports[i]].log;

		if (!log->exists || log->full)
			ok = false;
		j->copy.dirty[i] |= log->dirty;
		log->dirty = 0;
	}
	return ok;
}

static void relog(struct sim_host *h, struct sim_job *j)
{
	for (uint32_t i = 0; i < j->n; i++) {
		/* a new log runs first, then everything is dirty */
		h->ctrl[j->exports[i]].log = (struct sim_log){ .exists = true, .logging = true };
		j->copy.dirty[i] = SIM_ALL;
	}
}

static void acked(struct sim *s, int host, uint32_t uid, uint32_t packed, void *p)
{
	struct sim_job *j = sim_job_by_uid(&s->host[host], uid);
	struct extent *e = p;

	(void)packed;
	if (j && j->copy.on && e->gen == s->link_gen && e->session == j->copy.session)
		j->copy.inflight[e->x] &= ~(1u << e->block);
	free(e);
}

static void arrive(struct sim *s, int host, uint32_t uid, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct extent *e = p;
	struct sim_job *j = sim_job_by_id(h, &e->job);

	(void)b;
	if (e->gen != s->link_gen || !h->up || !j || !j->dst ||
	    exp_dst_state(j->dst) != EXP_DST_RECEIVING || j->job->state != EXP_DST_RECEIVING ||
	    e->session < j->copy.rx_session) {
		free(e);
		return;
	}
	if (e->session > j->copy.rx_session) {
		j->copy.rx_session = e->session;
		j->copy.rx_count = 0;
	}
	j->copy.rx_count++;
	h->ctrl[j->exports[e->x]].data[e->block] = e->value;
	sim_at(s, 1 + sim_rnd(s, 6), acked, 1 - host, uid, 0, e);
	sim_own(s, free);
}

static void send_some(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	struct sim_copy *c = &j->copy;

	for (int n = 0; n < 3; n++) {
		uint32_t i = (uint32_t)sim_rnd(s, j->n), b = (uint32_t)sim_rnd(s, SIM_BLOCKS);
		uint32_t may = c->dirty[i] & ~c->inflight[i];
		struct extent *e;

		if (!may)
			continue;
		while (!(may >> b & 1))
			b = (b + 1) % SIM_BLOCKS;
		c->dirty[i] &= ~(1u << b);
		c->inflight[i] |= 1u << b;
		c->sent++;
		e = calloc(1, sizeof(*e));
		if (!e)
			abort();
		*e = (struct extent){ s->link_gen, c->session, b, h->ctrl[j->exports[i]].data[b],
				      (int)i,      j->job->id };
		sim_at(s, 1 + sim_rnd(s, 8), arrive, 1 - h->nr, j->uid, 0, e);
		sim_own(s, free);
	}
}

static void finish_drain(struct sim *s, struct sim_host *h, struct sim_job *j, bool ok)
{
	struct exp_act_result res = { 0 };
	struct exp_error err;
	uint32_t step = j->copy.drain_step;

	j->copy.drain_step = 0;
	exp_error_set(&err, EXP_CODE_LOG_OVERFLOW, 0, "the change log was lost after Suspend");
	sim_act_over(s, h, j, step, &res, ok ? NULL : &err);
}

/* The DRAIN action: every log up to its end marker. True: the job may be gone now. */
static bool drain(struct sim *s, struct sim_host *h, struct sim_job *j, bool whole)
{
	bool all = true;

	if (!j->copy.drain_step)
		return false;
	for (uint32_t i = 0; i < j->n; i++)
		all &= h->ctrl[j->exports[i]].log.marker;
	if (whole && !all)
		return false;
	if (all)
		read_logs(h, j);
	finish_drain(s, h, j, whole && all);
	return true;
}

static void tick(struct sim *s, int host, uint32_t uid, uint32_t gen, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_act_result res = { 0 };
	uint32_t step, n;
	bool whole;

	if (!j || !j->copy.on || j->copy.gen != gen || !h->up)
		return;
	sim_at(s, 2 + sim_rnd(s, 8), tick, host, uid, gen, p);
	whole = !live(j) || read_logs(h, j);
	if (drain(s, h, j, whole))
		return;
	if (!whole && j->job->state == EXP_SRC_SWITCHING) {
		news(s, h, j, EXP_COPY_FAILED, "the change log was lost after Suspend");
		return;
	}
	if (!whole)
		relog(h, j);
	if (s->link)
		send_some(s, h, j);
	n = remaining(j);
	if (j->copy.last_step && !n && s->link) {
		step = j->copy.last_step;
		j->copy.last_step = 0;
		sim_act_over(s, h, j, step, &res, NULL);
		return;
	}
	if (!sim_rnd(s, 4))
		news(s, h, j, n <= FITS ? EXP_COPY_FITS : EXP_COPY_NOT_FIT, NULL);
}

void sim_copy_drain(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step)
{
	(void)s;
	(void)h;
	j->copy.drain_step = step;
}

void sim_copy_last(struct sim *s, struct sim_host *h, struct sim_job *j, uint32_t step)
{
	(void)s;
	(void)h;
	j->copy.last_step = step;
}

void sim_copy_fill_final(struct sim_job *j, struct exp_msg_final *f)
{
	f->session = j->copy.session;
	f->total_extents = j->copy.sent;
}

bool sim_copy_check_final(struct sim_job *j, const struct exp_msg_final *f)
{
	if (f->session == j->copy.rx_session)
		return f->total_extents == j->copy.rx_count;
	return f->session > j->copy.rx_session && !f->total_extents;
}
