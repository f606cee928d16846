/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config.h"
#include "expd.h"
#include "jobs.h"
#include "reload.h"
#include "tls/ctx.h"
#include "worker.h"

/* Threads of open jobs may still make connections from these. */
struct retired {
	struct exp_tls_ctx *tls;
	struct retired *next;
};

struct expd_reload {
	struct expd *x;
	const char *path;
	struct expd_worker *worker;
	struct retired *retired;
};

struct reload_task {
	struct expd_task t;
	struct expd_reload *rl; /* not of use once the daemon is stopping */
	struct expd *x;
	const char *path;
	void (*done)(struct expd *x, const struct exp_error *err);
	struct expd_config *config;
	struct exp_tls_ctx *tls;
	struct retired *place; /* for the context that goes, so that the swap cannot fail */
	struct exp_error err;
};

static void free_retired(struct expd_reload *rl)
{
	while (rl->retired) {
		struct retired *r = rl->retired;

		rl->retired = r->next;
		exp_tls_ctx_free(r->tls);
		free(r);
	}
}

int expd_reload_new(struct expd *x, const char *path, struct expd_reload **ret,
		    struct exp_error *err)
{
	struct expd_reload *rl = calloc(1, sizeof(*rl));
	int r;

	if (!rl)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "reload: out of memory");
	rl->x = x;
	rl->path = path;
	r = expd_worker_new(x->inbox, "expd-reload", &rl->worker, err);
	if (r < 0) {
		free(rl);
		return r;
	}
	*ret = rl;
	return 0;
}

void expd_reload_free(struct expd_reload *rl)
{
	if (!rl)
		return;
	expd_worker_free(rl->worker);
	free_retired(rl);
	free(rl);
}

static void task_run(struct expd_task *t)
{
	struct reload_task *rt = (struct reload_task *)t;
	struct exp_tls_files files;
	int r;

	r = expd_config_load(rt->path, &rt->config, &rt->err);
	if (r < 0)
		return;
	files = (struct exp_tls_files){ .ca_file = rt->config->ca_file,
					.cert_file = rt->config->cert_file,
					.key_file = rt->config->key_file };
	r = exp_tls_ctx_new(&files, &rt->tls, &rt->err);
	if (r == 0) /* the old one may still be good: keep it rather than this */
		r = exp_tls_ctx_check(rt->tls, (int64_t)(exp_wall_ms() / 1000), &rt->err);
	if (r < 0 && rt->err.code == EXP_CODE_OK)
		exp_error_wrap(&rt->err, r, "certificates");
}

static bool same_devices(const struct expd_config *a, const struct expd_config *b)
{
	if (a->n_devices != b->n_devices)
		return false;
	for (size_t i = 0; i < a->n_devices; i++) {
		const struct expd_device_config *d = &a->devices[i], *e = &b->devices[i];

		if (strcmp(d->name.s, e->name.s) || strcmp(d->transport, e->transport) ||
		    strcmp(d->data, e->data) || !exp_uuid_eq(&d->template, &e->template) ||
		    d->logs_after_resume != e->logs_after_resume)
			return false;
	}
	return true;
}

/* The same names in the same order: connections and jobs point at them. */
static bool same_peers(const struct expd_config *a, const struct expd_config *b)
{
	if (a->n_peers != b->n_peers)
		return false;
	for (size_t i = 0; i < a->n_peers; i++)
		if (strcmp(a->peers[i].name.s, b->peers[i].name.s))
			return false;
	return true;
}

static int check_fixed(const struct expd_config *a, const struct expd_config *b,
		       struct exp_error *err)
{
	const char *what = NULL;

	if (strcmp(a->runtime_dir, b->runtime_dir))
		what = "runtime_dir";
	else if (strcmp(a->state_dir, b->state_dir))
		what = "state_dir";
	else if (strcmp(a->listen, b->listen))
		what = "listen";
	else if (a->log_level != b->log_level)
		what = "log_level";
	else if (!same_devices(a, b))
		what = "a [device]";
	else if (!same_peers(a, b))
		what = "the list of [peer] sections, or their order";
	if (!what)
		return 0;
	return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
			     "%s has changed: that takes a restart; nothing of the file was taken",
			     what);
}

static void swap(struct expd *x, struct reload_task *rt)
{
	struct expd_config *c = x->config;
	const struct expd_config *fresh = rt->config;

	strcpy(c->ca_file, fresh->ca_file);
	strcpy(c->cert_file, fresh->cert_file);
	strcpy(c->key_file, fresh->key_file);
	c->allow_reset_on_restart = fresh->allow_reset_on_restart;
	c->blackout_limit_ms = fresh->blackout_limit_ms;
	c->hold_lease_ms = fresh->hold_lease_ms;
	c->max_jobs = fresh->max_jobs;
	memcpy(c->peers, fresh->peers, sizeof(c->peers));

	if (!expd_jobs_open(x->jobs))
		free_retired(rt->rl);
	rt->place->tls = x->tls;
	rt->place->next = rt->rl->retired;
	rt->rl->retired = EXP_TAKE(rt->place);
	x->tls = EXP_TAKE(rt->tls);
}

static void task_done(struct expd_task *t)
{
	struct reload_task *rt = (struct reload_task *)t;
	struct expd *x = rt->x;

	if (x->phase != EXPD_STOPPING) {
		if (rt->err.code == EXP_CODE_OK &&
		    check_fixed(x->config, rt->config, &rt->err) == 0)
			swap(x, rt);
		rt->done(x, &rt->err);
	}
	expd_config_free(rt->config);
	exp_tls_ctx_free(rt->tls);
	free(rt->place);
	free(rt);
}

void expd_reload_start(struct expd_reload *rl,
		       void (*done)(struct expd *x, const struct exp_error *err))
{
	struct reload_task *rt = calloc(1, sizeof(*rt));
	struct exp_error err = { 0 };

	if (rt)
		rt->place = calloc(1, sizeof(*rt->place));
	if (!rt || !rt->place) {
		free(rt);
		exp_error_set(&err, EXP_CODE_NO_MEMORY, ENOMEM, "reload: out of memory");
		done(rl->x, &err);
		return;
	}
	rt->t.run = task_run;
	rt->t.done = task_done;
	rt->rl = rl;
	rt->x = rl->x;
	rt->path = rl->path;
	rt->done = done;
	expd_worker_submit(rl->worker, &rt->t, false);
}
