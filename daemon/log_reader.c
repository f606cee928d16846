/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_reader.c - the thread that takes the change logs of a job's controllers
 *
 * The rules that keep writes: a log runs before anything is read; an entry is marked in the planner
 * as soon as it is seen; a log that ended by anything but our stop or its end marker is replaced by
 * a new one first, and then everything is dirty. After Suspend a lost log cannot be replaced: what
 * it did not tell will never be known, so the attempt ends. This thread waits for nothing slow.
 */
#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "copy_src_int.h"
#include "device/change_log.h"

#define BATCH       256 /* entries marked under one lock */
#define IDLE_MIN_NS 20000
#define IDLE_MAX_NS 1000000

struct reader {
	struct expd_copy_src *c;
	struct exp_device *d;
	struct exp_change_log *log[EXP_JOB_EXPORTS_MAX];
	bool ended[EXP_JOB_EXPORTS_MAX]; /* its end marker has been seen */
};

static int open_log(struct reader *r, uint32_t i, struct exp_error *err)
{
	struct expd_copy_src *c = r->c;
	const struct exp_change_log_ns ns = { .nsid = c->place[i].nsid,
					      .ensid = c->ensid[i],
					      .nsze = c->ns[i].bytes / c->ns[i].lba_bytes };
	int e;

	e = exp_change_log_create(r->d, c->place[i].cntlid, &ns, 0, &r->log[i], err);
	if (e < 0)
		return e;
	e = exp_change_log_start(r->log[i], err);
	return e < 0 ? exp_error_wrap(err, e, "start the change log") : 0;
}

static void close_logs(struct reader *r)
{
	for (uint32_t i = 0; i < r->c->n_ns; i++) {
		exp_change_log_close(r->log[i]);
		r->log[i] = NULL;
	}
}

/* Under the lock. */
static void mark(struct reader *r, uint32_t i, const struct exp_change *e)
{
	struct expd_copy_src *c = r->c;
	uint32_t lba = c->ns[i].lba_bytes;
	bool gone = e->deallocated && c->dealloc_is_zero[i];

	if (r->ended[i] && e->mark != EXP_CHANGE_FIRST)
		c->noise = true;
	switch (e->kind) {
	case EXP_CHANGE_RANGE:
		if (exp_planner_dirty(c->planner, i, e->slba * lba, e->nlb * lba, gone) < 0)
			exp_log(LOG_DEBUG, "a change is marked coarser than it was told");
		break;
	case EXP_CHANGE_ALL:
		if (exp_planner_dirty(c->planner, i, 0, c->ns[i].bytes, gone) < 0)
			exp_log(LOG_DEBUG, "a change is marked coarser than it was told");
		break;
	case EXP_CHANGE_NOTHING: break;
	}
	if (e->mark == EXP_CHANGE_SUSPENDED)
		r->ended[i] = true;
	else if (e->mark == EXP_CHANGE_FIRST && r->ended[i])
		c->noise = true; /* it was resumed, or reset: the suspension is over */
}

static bool all_ended(const struct reader *r)
{
	for (uint32_t i = 0; i < r->c->n_ns; i++)
		if (!r->ended[i])
			return false;
	return true;
}

/* A log is lost: a new one first, then everything is dirty. False: it cannot be replaced. */
static bool replace(struct reader *r, uint32_t i, const struct exp_error *why)
{
	struct expd_copy_src *c = r->c;
	struct exp_error err = { 0 };
	bool too_late;

	pthread_mutex_lock(&c->lock);
	c->overflows++;
	too_late = c->drain || c->last;
	if (too_late)
		c->log_lost = true;
	pthread_mutex_unlock(&c->lock);
	exp_log(LOG_WARNING, "change log lost", kv_u("nsid", c->place[i].nsid),
		kv_s("error", why->msg));
	exp_change_log_close(r->log[i]);
	r->log[i] = NULL;
	if (too_late) {
		copy_note(c, COPY_NOTE_FAILED, why);
		return false;
	}
	if (open_log(r, i, &err) < 0) {
		copy_note(c, COPY_NOTE_FAILED, &err);
		return false;
	}
	pthread_mutex_lock(&c->lock);
	exp_planner_all_dirty(c->planner);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return true;
}

/* Returns entries taken, or -1 when the log cannot go on. */
static int take_some(struct reader *r, uint32_t i)
{
	struct expd_copy_src *c = r->c;
	struct exp_change e[BATCH];
	struct exp_error err = { 0 };
	size_t n = 0;
	int ret;

	ret = exp_change_log_read(r->log[i], e, BATCH, &n, &err);
	if (ret < 0)
		return replace(r, i, &err) ? 1 : -1;
	if (!n)
		return 0;
	pthread_mutex_lock(&c->lock);
	for (size_t k = 0; k < n; k++)
		mark(r, i, &e[k]);
	c->log_entries += n;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return (int)n;
}

static void rest(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

static void follow(struct reader *r)
{
	struct expd_copy_src *c = r->c;
	uint64_t idle_ns = IDLE_MIN_NS;
	bool told = false;

	while (!atomic_load(&c->stop)) {
		bool any = false, drain;

		for (uint32_t i = 0; i < c->n_ns; i++) {
			int n = take_some(r, i);

			if (n < 0)
				return;
			any = any || n > 0;
		}
		pthread_mutex_lock(&c->lock);
		drain = c->drain;
		if (drain && !told && all_ended(r)) {
			c->drained = told = true;
			pthread_mutex_unlock(&c->lock);
			copy_note(c, COPY_NOTE_DRAINED, NULL);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		/* in the blackout nobody waits for us longer than needed */
		idle_ns = any || (drain && !told) ? IDLE_MIN_NS
						  : EXP_MIN(idle_ns * 2, (uint64_t)IDLE_MAX_NS);
		if (!any)
			rest(idle_ns);
	}
}

void *copy_log_reader(void *arg)
{
	struct copy_thread *t = arg;
	struct expd_copy_src *c = t->c;
	struct reader r = { .c = c, .d = expd_drive_device(c->drive) };
	struct exp_error err = { 0 };
	int e = 0;

	for (uint32_t i = 0; i < c->n_ns && e == 0; i++)
		e = open_log(&r, i, &err);
	if (e < 0) {
		copy_note(c, COPY_NOTE_FAILED, &err);
	} else {
		copy_note(c, COPY_NOTE_LOG_RUNS, NULL);
		follow(&r);
	}
	close_logs(&r);
	copy_note(c, COPY_NOTE_EXITED, NULL);
	return NULL;
}
