/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy engines around the real planner of lib/copy. What the planner hands out is read a while
 * later, travels on connections that keep their own order and no other, and is lost only together
 * with all of them; the change log is read late.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FITS       (3 * SIM_BLOCK) /* what may remain for the blackout */
#define EXTENT_MAX (2 * SIM_BLOCK)

struct parcel { /* one extent on its way */
	struct exp_extent x;
	struct exp_uuid job;
	uint32_t gen, uid;
	uint64_t arrival_ms;
	uint32_t values[SIM_BLOCKS]; /* of a range without data too */
};

static void tick(struct sim *s, int host, uint32_t uid, uint32_t gen, void *p);

static bool live(const struct sim_job *j)
{
	return j->job->dirty == EXP_DIRTY_CDQ;
}

static void news(struct sim *s, struct sim_host *h, struct sim_job *j, enum exp_copy_news n,
		 const char *why)
{
	struct exp_event ev = { .type = EXP_EV_COPY, .copy.news = n };

	if (why)
		exp_error_set(&ev.copy.err, EXP_CODE_LOG_OVERFLOW, 0, "%s", why);
	sim_step(s, h, j, &ev);
}

static void must(struct sim *s, int r, const char *what)
{
	if (r < 0)
		sim_break(s, "the planner refused: %s (%d)", what, r);
}

/* Allocation status, read after the change log runs. */
static void scan(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	for (uint32_t i = 0; i < j->n; i++) {
		const struct sim_ctrl *c = &h->ctrl[j->exports[i]];

		for (uint32_t b = 0; b < SIM_BLOCKS; b++)
			if (c->data[b])
				must(s,
				     exp_planner_allocated(j->copy.planner, i, b * SIM_BLOCK,
							   SIM_BLOCK),
				     "allocated");
		exp_planner_allocated_end(j->copy.planner, i);
	}
}

void sim_copy_start(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	struct exp_planner_config cfg = {
		.n_ns = j->n,
		.extent_max = EXTENT_MAX,
		.streams = 1 + (uint32_t)sim_rnd(s, SIM_STREAMS),
		.window_extents = 1 + (uint32_t)sim_rnd(s, 4),
	};
	struct exp_error err;

	for (uint32_t i = 0; i < j->n; i++)
		cfg.ns[i] = (struct exp_planner_ns){ SIM_BLOCKS * SIM_BLOCK, SIM_BLOCK };
	sim_copy_free(j);
	j->copy.streams = cfg.streams;
	must(s, exp_planner_new(&cfg, &j->copy.planner, &err), "new");
	scan(s, h, j);
	sim_at(s, 1, tick, h->nr, j->uid, ++j->copy.gen, NULL);
}

void sim_copy_free(struct sim_job *j)
{
	exp_planner_free(j->copy.planner);
	j->copy.planner = NULL;
}

void sim_copy_stop(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	(void)s;
	(void)h;
	sim_copy_free(j);
	j->copy.last_step = j->copy.drain_step = 0;
	j->copy.gen++;
}

void sim_copy_link(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	(void)h;
	if (!j->copy.planner)
		return;
	j->copy.streams = 1 + (uint32_t)sim_rnd(s, SIM_STREAMS);
	exp_planner_session(j->copy.planner, j->copy.streams);
}

/* Entries of the change logs; false: a log is lost and nothing more can be known from it. */
static bool read_logs(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	bool ok = true;

	for (uint32_t i = 0; i < j->n; i++) {
		struct sim_log *log = &h->ctrl[j->exports[i]].log;

		if (!log->exists || log->full)
			ok = false;
		for (uint32_t b = 0; b < SIM_BLOCKS; b++)
			if (log->dirty >> b & 1)
				must(s,
				     exp_planner_dirty(j->copy.planner, i, b * SIM_BLOCK, SIM_BLOCK,
						       false),
				     "dirty");
		log->dirty = 0;
	}
	return ok;
}

static void relog(struct sim_host *h, struct sim_job *j)
{
	/* a new log runs first, then everything is dirty */
	for (uint32_t i = 0; i < j->n; i++)
		h->ctrl[j->exports[i]].log = (struct sim_log){ .exists = true, .logging = true };
	exp_planner_all_dirty(j->copy.planner);
}

static void durable(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	struct parcel *e = p;
	struct sim_job *j = sim_job_by_uid(&s->host[host], e->uid);
	struct exp_error err;

	(void)a;
	(void)b;
	if (j && j->copy.planner && e->gen == s->link_gen)
		must(s,
		     exp_planner_durable(j->copy.planner, e->x.session, e->x.stream, e->x.seq,
					 &err),
		     "durable");
	free(e);
}

static bool accepts(const struct sim *s, const struct sim_host *h, const struct sim_job *j,
		    const struct parcel *e)
{
	return e->gen == s->link_gen && h->up && j && j->dst &&
	       exp_dst_state(j->dst) == EXP_DST_RECEIVING && j->job->state == EXP_DST_RECEIVING &&
	       e->x.session >= j->copy.rx_session;
}

static void arrive(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct parcel *e = p;
	struct sim_job *j = sim_job_by_id(h, &e->job);

	(void)a;
	(void)b;
	if (!accepts(s, h, j, e)) {
		free(e);
		return;
	}
	if (e->x.session > j->copy.rx_session) {
		j->copy.rx_session = e->x.session;
		memset(j->copy.rx_seq, 0, sizeof(j->copy.rx_seq));
	}
	if (e->x.seq != ++j->copy.rx_seq[e->x.stream])
		sim_break(s, "a connection lost an extent");
	for (uint32_t k = 0; k < e->x.len / SIM_BLOCK; k++)
		h->ctrl[j->exports[e->x.ns]].data[e->x.offset / SIM_BLOCK + k] = e->values[k];
	sim_at(s, 1 + sim_rnd(s, 6), durable, 1 - host, 0, 0, e);
	sim_own(s, free);
}

static void read_now(struct sim *s, int host, uint32_t a, uint32_t b, void *p)
{
	struct sim_host *h = &s->host[host];
	struct parcel *e = p;
	struct sim_job *j = sim_job_by_uid(h, e->uid);

	(void)a;
	(void)b;
	if (!j) {
		free(e);
		return;
	}
	for (uint32_t k = 0; k < e->x.len / SIM_BLOCK; k++)
		e->values[k] =
			e->x.kind == EXP_EXTENT_READ
				? h->ctrl[j->exports[e->x.ns]].data[e->x.offset / SIM_BLOCK + k]
				: 0;
	sim_at(s, e->arrival_ms - s->now_ms, arrive, 1 - host, 0, 0, e);
	sim_own(s, free);
}

static void send_some(struct sim *s, struct sim_host *h, struct sim_job *j)
{
	struct sim_copy *c = &j->copy;

	for (int n = 0; n < 4; n++) {
		uint64_t read_ms = sim_rnd(s, 4);
		struct exp_extent x;
		struct parcel *e;
		int r;

		r = exp_planner_take(c->planner, (uint32_t)sim_rnd(s, c->streams),
				     j->job->state == EXP_SRC_SWITCHING, &x);
		if (r == 0)
			exp_planner_round(c->planner);
		if (r != 1)
			continue;
		e = calloc(1, sizeof(*e));
		if (!e)
			abort();
		e->x = x;
		e->job = j->job->id;
		e->uid = j->uid;
		e->gen = s->link_gen;
		e->arrival_ms = EXP_MAX(c->arrival_ms[x.stream], s->now_ms + read_ms) + 1 +
				sim_rnd(s, 8);
		c->arrival_ms[x.stream] = e->arrival_ms;
		sim_at(s, read_ms, read_now, h->nr, 0, 0, e);
		sim_own(s, free);
	}
}

/* The DRAIN action: every log up to its end marker. True: it is over, the job may be gone. */
static bool drain(struct sim *s, struct sim_host *h, struct sim_job *j, bool whole)
{
	struct exp_act_result res = { 0 };
	uint32_t step = j->copy.drain_step;
	struct exp_error err;
	bool all = true;

	if (!step)
		return false;
	for (uint32_t i = 0; i < j->n; i++)
		all &= h->ctrl[j->exports[i]].log.marker;
	if (whole && !all)
		return false;
	if (all)
		read_logs(s, h, j);
	j->copy.drain_step = 0;
	exp_error_set(&err, EXP_CODE_LOG_OVERFLOW, 0, "the change log was lost after Suspend");
	sim_act_over(s, h, j, step, &res, whole && all ? NULL : &err);
	return true;
}

static void tick(struct sim *s, int host, uint32_t uid, uint32_t gen, void *p)
{
	struct sim_host *h = &s->host[host];
	struct sim_job *j = sim_job_by_uid(h, uid);
	struct exp_act_result res = { 0 };
	uint32_t step;
	bool whole;

	if (!j || !j->copy.planner || j->copy.gen != gen || !h->up)
		return;
	sim_at(s, 2 + sim_rnd(s, 8), tick, host, uid, gen, p);
	whole = !live(j) || read_logs(s, h, j);
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
	if (j->copy.last_step && s->link && exp_planner_drained(j->copy.planner)) {
		step = j->copy.last_step;
		j->copy.last_step = 0;
		sim_act_over(s, h, j, step, &res, NULL);
		return;
	}
	if (!sim_rnd(s, 4))
		news(s, h, j,
		     exp_planner_remaining(j->copy.planner) <= FITS ? EXP_COPY_FITS
								    : EXP_COPY_NOT_FIT,
		     NULL);
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
	struct exp_planner_stats st;

	exp_planner_stats(j->copy.planner, &st);
	f->session = st.session;
	f->streams = SIM_STREAMS;
	memcpy(f->last_seq, st.extents, sizeof(f->last_seq));
	f->total_extents = st.total_extents;
}

/* Every extent of the last session is there; what earlier ones left was acknowledged. */
bool sim_copy_check_final(struct sim_job *j, const struct exp_msg_final *f)
{
	if (f->session > j->copy.rx_session)
		return !f->total_extents;
	for (uint32_t i = 0; i < SIM_STREAMS; i++)
		if (f->last_seq[i] != j->copy.rx_seq[i])
			return false;
	return f->session == j->copy.rx_session;
}
